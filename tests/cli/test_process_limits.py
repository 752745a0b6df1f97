"""Where neither threads nor processes can be started, the commands do without them."""

import contextlib
import fcntl
import os
import pty
import select
import socket
import struct
import subprocess
import sys
import termios
import urllib.request

import pytest
from cli.commandline import COMMAND, FLAGS, PATIENCE, SANITIZED, STREAM, wait_until
from privileges import process_limit

UNDER = process_limit(1)
NO_THREAD = """\
import os, threading
for start in (threading.Thread(target=int).start, os.fork):
    try:
        start()
    except (OSError, RuntimeError):
        pass
    else:
        raise SystemExit(1)
"""
PATHS = ("batch.json", "stream.json")


@pytest.fixture(autouse=True)
def _limited():
    """Skip where the limit does not hold."""
    if SANITIZED:
        pytest.skip("a sanitizer starts threads")
    check = [*UNDER, sys.executable, "-c", NO_THREAD]
    if subprocess.run(check, check=False, capture_output=True).returncode != 0:
        pytest.skip("the number of processes cannot be limited here")


@pytest.mark.parametrize(
    "arguments",
    [
        ("detect", *PATHS, "out"),
        ("detect", *PATHS, "out", "--checkpoint", "kept", "--every", "1"),
        ("detect", *PATHS, "out", "--metrics", "metrics.prom"),
        ("sweep", *PATHS, "-D", "1,2", "-T", "2,50"),
        ("sweep", *PATHS, "-D", "1,2", "-T", "2,50", "-o", "table.parquet"),
        ("explain", *PATHS, "--flag", "1"),
        ("explain", *PATHS, "--flag", "1", "--picture", "picture.svg"),
        ("report", *PATHS, "-o", "report.html"),
        ("simulate", "b", "s", "--users", "9", "--batch-events", "99"),
    ],
    ids=" ".join,
)
def test_a_command_does_without_threads(folder, run, arguments):
    (folder / "stream.json").write_bytes(STREAM * 5)
    ended = run(*arguments, under=UNDER)
    assert ended.status == 0, ended.err
    assert "pthread" not in ended.err
    if arguments[0] == "detect":
        assert (folder / "out").read_bytes() == FLAGS * 5


def test_metrics_are_served_without_a_thread(folder, start):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    process = start("detect", "batch.json", "-", "out", "--metrics", str(port), under=UNDER)

    def metrics():
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer,
        ):
            return answer.read()
        return b""

    wait_until(lambda: b"fastanomaly_flags_total 0.0" in metrics(), "the metrics")
    process.stdin.write(STREAM)
    wait_until(lambda: b"fastanomaly_flags_total 1.0" in metrics(), "the flag")
    process.stdin.close()
    assert process.wait(PATIENCE) == 0
    err = process.stderr.read().decode()
    assert f"--metrics: 127.0.0.1:{port}: no thread can be started" in err


def test_a_progress_bar_needs_no_thread(folder):
    terminal, other_end = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 25, 80, 0, 0))
    command = [*UNDER, *COMMAND, "detect", *PATHS, "out"]
    with subprocess.Popen(command, cwd=folder, stderr=other_end) as process:
        os.close(other_end)
        shown = b""
        while select.select([terminal], [], [], PATIENCE)[0]:
            try:
                shown += os.read(terminal, 4096)
            except OSError:  # the end of a terminal
                break
        assert process.wait(PATIENCE) == 0
    os.close(terminal)
    assert b"stream.json" in shown
    assert b"Warning" not in shown
    assert b"1 flagged" in shown
