"""Whatever a command may not have, it ends with the right output or with an error.

Memory, descriptors and the size of files are limited, see also test_memory_limits.py (long
logs) and test_process_limits.py. The profile sets the number of limits.
"""

import os
import resource
import signal
import subprocess
from functools import cache

import pytest
from cli.commandline import BATCH, COMMAND, PATIENCE, SANITIZED, STREAM
from profiles import current

pytestmark = pytest.mark.skipif(SANITIZED, reason="a sanitizer needs terabytes of addresses")

COUNT = current().memory_limits
LOGS = ("batch.json", "stream.json")
COMMANDS = {
    "detect": ("detect", *LOGS, "out", "--rejects", "rejects"),
    "checkpoints": ("detect", *LOGS, "out", "--checkpoint", "kept", "--every", "9"),
    "metrics": ("detect", *LOGS, "out", "--metrics", "metrics.prom"),
    "sweep": (
        "sweep",
        *LOGS,
        "-D",
        "1,2",
        "-T",
        "2,50",
        "-o",
        "a.csv",
        "--flags-dir",
        "flags",
    ),
    "explain": ("explain", *LOGS, "--flag", "1"),
    "report": ("report", *LOGS, "-o", "report.html"),
}
# Bytes: from less than any output has to more than every output has.
SIZES = (0, 1, 100, 1000, 4000, 9000, 30_000, 100_000, 10**6, 10**7)


@cache
def least_memory():
    """Return the memory, in bytes, with which the command starts; Python may need more."""
    limit = 12_000_000
    while run_within("--version", None, resource.RLIMIT_AS, limit).returncode != 0:
        limit += 500_000
    return limit + 1_000_000


@cache
def least_descriptors():
    """Return the number of descriptors with which the command starts."""
    limit = 3
    while run_within("--version", None, resource.RLIMIT_NOFILE, limit).returncode != 0:
        limit += 1
    return limit


def run_within(arguments, folder, kind, limit):
    """Run a command with a limit."""
    return subprocess.run(
        [*COMMAND, *([arguments] if isinstance(arguments, str) else arguments)],
        cwd=folder,
        preexec_fn=lambda: resource.setrlimit(kind, (limit, limit)),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "PYTHONFAULTHANDLER": "1"},
    )


def numpy_crashed(done):
    """Return whether a run ended in NumPy's own import, which may crash without memory."""
    return done.returncode == -signal.SIGSEGV and b"/numpy/__init__.py" in done.stderr


def outputs(folder):
    """Return what a run has written; of checkpoints and metrics, their names."""
    return {
        path.name: b"" if "prom" in path.name else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in LOGS and "kept" not in path.parts
    }


def write_inputs(folder):
    folder.mkdir()
    (folder / "batch.json").write_bytes(BATCH)
    (folder / "stream.json").write_bytes((STREAM + b"garbage\n") * 50)
    return folder


def chosen(values):
    """Return as many of the values as the profile wants, evenly spaced."""
    values = list(values)
    return values[:: max(1, len(values) // COUNT)]


def limits_of(kind):
    """Return the limits to try."""
    if kind == resource.RLIMIT_AS:
        return chosen(range(least_memory(), 250_000_000, 500_000))
    if kind == resource.RLIMIT_NOFILE:
        return range(least_descriptors(), 13 if COUNT < 100 else 41)
    return chosen(SIZES)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("kind", ["AS", "NOFILE", "FSIZE"])
def test_a_limited_command_is_right_or_fails(tmp_path, kind, name):
    arguments = COMMANDS[name]
    kind = getattr(resource, f"RLIMIT_{kind}")
    folder = write_inputs(tmp_path / "unlimited")
    done = subprocess.run([*COMMAND, *arguments], cwd=folder, capture_output=True, check=True)
    expected = done.stdout, outputs(folder)
    for limit in limits_of(kind):
        folder = write_inputs(tmp_path / str(limit))
        done = run_within(arguments, folder, kind, limit)
        err = done.stderr.decode()
        assert "Traceback" not in err, (limit, err)
        if done.returncode == 0:
            assert (done.stdout, outputs(folder)) == expected, limit
        elif not numpy_crashed(done):
            assert done.returncode in (1, 2), (limit, done.returncode, err)
            assert "rror" in err, (limit, err)
