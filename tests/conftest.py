"""The option `--profile`, see profiles.py, and short ids for the parameters of tests."""

import re

import postgres
import profiles
import pytest
from hypothesis import settings

profiles.register()


def pytest_addoption(parser):
    parser.addoption(
        "--profile",
        choices=sorted(profiles.PROFILES),
        default=profiles.DEFAULT,
        help="how much the tests do (default: %(default)s)",
    )


def pytest_configure(config):
    if config.getoption("hypothesis_profile", None) is not None:
        raise pytest.UsageError("--hypothesis-profile: choose with --profile instead")
    settings.load_profile(config.getoption("profile"))


def pytest_report_header(config):
    return f"profile: {config.getoption('profile')}"


def pytest_make_parametrize_id(val):
    """Return a short id, which can be typed in a shell, for texts, bytes and containers."""
    if isinstance(val, bytes):
        val = val.decode("latin-1")
    elif isinstance(val, dict):
        val = " ".join(f"{key}={value}" for key, value in val.items())
    elif isinstance(val, (list, tuple, set, frozenset)):
        val = " ".join(map(str, val))
    elif isinstance(val, BaseException) or (isinstance(val, int) and abs(val) > 10**30):
        val = repr(val)
    elif not isinstance(val, str):
        return None
    text = val.encode("unicode_escape").decode("ascii")
    words = re.sub(r"[^\w.=+-]+", "-", text).strip("-") or text.replace("::", ":")
    return (words if len(words) <= 32 else f"{words[:14]}..{words[-16:]}") or "empty"


@pytest.fixture(scope="session")
def server():
    """Return a PostgreSQL server; the test is skipped if none is installed."""
    server = postgres.Server()
    yield server
    server.close()
