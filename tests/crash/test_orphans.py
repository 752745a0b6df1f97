"""A child that still writes a checkpoint when its run is killed keeps nothing else open."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from cli.commandline import COMMAND, PATIENCE, STREAM, wait_until
from lines import befriend, parameters

from fastanomaly import Detector
from fastanomaly.runs.checkpoints.base import Every
from fastanomaly.runs.checkpoints.forked import ForkedCheckpoints
from fastanomaly.runs.run_state import RunState

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="needs Linux's /proc"
)


def open_files(pid):
    """Return what the descriptors of a process lead to."""
    found = {}
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found[int(path.name)] = os.readlink(path)
    return found


class SpySink:
    """A sink that writes what the child has open when it syncs."""

    def __init__(self, folder):
        self.file = (folder / "spied").open("w+")

    def sync(self):
        json.dump(open_files("self"), self.file)
        self.file.flush()

    def descriptors(self):
        return [self.file.fileno()]


def test_the_child_keeps_what_it_needs(tmp_path):
    state = RunState({}, False, [], 0, None, {}, None, 0.5)
    sink: Any = SpySink(tmp_path)
    notices = []
    with (
        ForkedCheckpoints(
            str(tmp_path / "kept"), Every(1, None), notices.append
        ) as checkpoints,
        sink.file,
        (tmp_path / "unneeded").open("w"),
        socket.create_server(("127.0.0.1", 0)),
    ):
        before = open_files("self")
        checkpoints.begin(Detector(2, 3), state, [sink])
        checkpoints.wait()
        assert (notices, checkpoints.written) == ([], 1)
        assert open_files("self") == before
        sink.file.seek(0)
        found = set(json.load(sink.file).values())
    found = {path for path in found if not path.startswith("/proc/")}
    needed = {"/dev/null", str(tmp_path / "spied"), str(tmp_path / "kept" / "writing")}
    assert found == needed


def child_of(process):
    """Return the child of a run, stopped while it writes; None if there is none now."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    for child in map(int, listed.split()):
        with contextlib.suppress(OSError):
            for _ in range(1000):
                if any(path.endswith(".new") for path in open_files(child).values()):
                    os.kill(child, signal.SIGSTOP)
                    return child
    return None


def metrics(port, process):
    """Return the metrics that a process serves; None if nobody answers yet."""
    assert process.poll() is None, process.stderr.read()
    with (
        contextlib.suppress(OSError),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        return answer.read()
    return None


def test_a_killed_run_is_free_at_once(tmp_path):
    """Kill a run during a checkpoint: its port, its pipes and its locks are free."""
    if not Path(f"/proc/self/task/{os.getpid()}/children").exists():
        pytest.skip("needs the list of children in /proc")
    edges = b"".join(befriend(i, i + 1) for i in range(200_000))
    (tmp_path / "batch.json").write_bytes(parameters(2, 50) + edges)
    (tmp_path / "stream.json").write_bytes(STREAM)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    paths = ("batch.json", "stream.json", "out")
    options = ("--follow", "--checkpoint", "kept", "--every", "1", "--metrics", str(port))
    command = [*COMMAND, "detect", *paths, *options]
    inherited, other_end = os.pipe()  # as of a lock that a parent holds
    run = {"cwd": tmp_path, "stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, pass_fds=[other_end], **run)
    os.close(other_end)
    child = again = None
    try:
        wait_until((tmp_path / "out").exists, "the output")
        deadline = time.monotonic() + PATIENCE
        while child is None:
            assert time.monotonic() < deadline
            with (tmp_path / "stream.json").open("ab") as stream:
                stream.write(STREAM)
            child = child_of(process)
        process.kill()
        assert process.wait(PATIENCE) == -signal.SIGKILL
        for pipe in (inherited, process.stderr):
            assert select.select([pipe], [], [], PATIENCE)[0]
        assert os.read(inherited, 1) == b""
        again = subprocess.Popen(command, **run)

        wait_until(lambda: metrics(port, again) is not None, "an answer")
        os.kill(child, signal.SIGCONT)
        wait_until(lambda: b"fastanomaly_users" in metrics(port, again), "the next run")
    finally:
        os.close(inherited)
        if child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGCONT)
        for started in filter(None, (process, again)):
            started.kill()
            started.communicate()
