"""Run the command as a real process; the small logs that most tests use."""

import contextlib
import importlib
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-m", "fastanomaly")
EXIT_STATUSES = (0, 1, 2, 3, 4, 130, 143)
PATIENCE = 300  # seconds: far more than any run takes, even under a sanitizer


def sanitizer_loaded():
    """Return whether this process runs under a sanitizer: its runtime is mapped then."""
    try:
        maps = Path("/proc/self/maps").read_text(errors="replace")
    except OSError:
        return False
    return any(name in maps for name in ("libasan", "libubsan", "libclang_rt.asan"))


SANITIZED = sanitizer_loaded()  # memory use is much higher then

# The published example.
BATCH = b"""\
{"D":"3", "T":"50"}
{"event_type":"purchase", "timestamp":"2017-06-13 11:33:01", "id": "1", "amount": "16.83"}
{"event_type":"purchase", "timestamp":"2017-06-13 11:33:01", "id": "1", "amount": "59.28"}
{"event_type":"befriend", "timestamp":"2017-06-13 11:33:01", "id1": "1", "id2": "2"}
{"event_type":"befriend", "timestamp":"2017-06-13 11:33:01", "id1": "3", "id2": "1"}
{"event_type":"purchase", "timestamp":"2017-06-13 11:33:01", "id": "1", "amount": "11.20"}
{"event_type":"unfriend", "timestamp":"2017-06-13 11:33:01", "id1": "1", "id2": "3"}
"""
STREAM = b"""\
{"event_type":"purchase", "timestamp":"2017-06-13 11:33:02", "id": "2", "amount": "1601.83"}
"""
FLAGS = (
    b'{"event_type":"purchase", "timestamp":"2017-06-13 11:33:02", "id": "2", '
    b'"amount": "1601.83", "mean": "29.10", "sd": "21.46"}\n'
)

# Prefixes of a command line: the shell runs its parameters as the command.
NO_STDIN = ("sh", "-c", 'exec "$@" <&-', "sh")
NO_STDOUT = ("sh", "-c", 'exec "$@" >&-', "sh")
NO_STDERR = ("sh", "-c", 'exec "$@" 2>&-', "sh")
# A process inherits the peak memory of its parent, which may be a big test run; a shell
# that forks once more is small.
SMALL_PARENT = ("sh", "-c", '"$@"; exit $?', "sh")


def file_size_limit(size):
    """Return a prefix that limits the size of files, as on a full disk."""
    code = (
        "import os, resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    return (sys.executable, "-c", code)


@dataclass
class Ended:
    """How a process ended."""

    status: int
    out: bytes
    err: str


def check_manners(status, err):
    """Check what holds for every process: a documented exit status and no traceback."""
    assert "Traceback" not in err, err
    assert status in EXIT_STATUSES, (status, err)


def run_command(*args, cwd, stdin=b"", stdout=subprocess.PIPE, under=(), patience=PATIENCE):
    """Run the command to its end, under a prefix; `stdin` is bytes or a file."""
    feed = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
    done = subprocess.run(
        [*under, *COMMAND, *args],
        cwd=cwd,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=patience,
        check=False,
        **feed,
    )
    ended = Ended(done.returncode, done.stdout or b"", done.stderr.decode())
    check_manners(ended.status, ended.err)
    return ended


def wait_until(condition, what, patience=PATIENCE):
    """Wait until a condition holds that another process brings about."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"timed out: {what}"
        time.sleep(0.005)


def rows(path):
    """Return the rows of a rejects file: log, line number, reason, detail, line; as bytes."""
    data = path.read_bytes()
    assert data == b"" or data.endswith(b"\n")
    return [tuple(row.split(b"\t", 4)) for row in data.split(b"\n")[:-1]]


def zstd_module():
    """Return the zstd module of this Python; skip the test if there is none."""
    for name in ("compression.zstd", "backports.zstd"):
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    return pytest.skip("neither compression.zstd nor backports.zstd is installed")
