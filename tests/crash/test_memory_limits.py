"""Whatever memory a run gets, it ends with the right output or with an error."""

import resource
import subprocess

import pytest
from cli.commandline import COMMAND, PATIENCE, SANITIZED
from profiles import current

from fastanomaly import Simulation, detect, simulate

pytestmark = pytest.mark.skipif(SANITIZED, reason="a sanitizer needs terabytes of addresses")

# From what Python itself hardly starts with to more than the run needs.
LIMITS = range(20_000_000, 60_000_000, 40_000_000 // current().memory_limits)


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """Logs of several blocks, and their flags."""
    folder = tmp_path_factory.mktemp("logs")
    options = Simulation(users=200, batch_events=300_000, stream_events=1, degree=1)
    simulate(folder / "batch", folder / "stream", options)
    lines = (folder / "batch").read_bytes().splitlines(keepends=True)
    (folder / "stream").write_bytes(b"".join(lines[150_000:]))
    summary = detect(folder / "batch", folder / "stream", folder / "flags")
    assert summary.flags > 1000
    return folder


def detect_within(limit, logs, out):
    """Run detect with a limit of its address space, in bytes."""
    return subprocess.run(
        [*COMMAND, "detect", logs / "batch", logs / "stream", out, "--quiet"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("limit", LIMITS)
def test_a_run_with_little_memory_is_right_or_fails(logs, tmp_path, limit):
    out = tmp_path / "out"
    done = detect_within(limit, logs, out)
    flags = (logs / "flags").read_bytes()
    if done.returncode == 0:
        assert out.read_bytes() == flags
    elif out.exists():  # if not, Python itself may have failed to start
        assert done.returncode == 1, done.stderr
        assert b"Traceback" not in done.stderr, done.stderr
        assert b"memory" in done.stderr
        assert flags.startswith(out.read_bytes())


def test_the_smallest_limit_is_too_small(logs, tmp_path):
    """A run needs more than the smallest limit, and 200 MB are enough."""
    assert detect_within(LIMITS[0], logs, tmp_path / "out").returncode != 0
    assert detect_within(200_000_000, logs, tmp_path / "out").returncode == 0
