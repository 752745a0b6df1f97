"""The option `--profile`: how much the tests do, see profiles.py."""

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
