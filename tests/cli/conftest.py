"""Fixtures: a folder with the logs of the published example, and processes in it."""

import signal
import subprocess
from functools import partial

import pytest
from cli.commandline import BATCH, COMMAND, PATIENCE, STREAM, run_command


@pytest.fixture(autouse=True, scope="session")
def _interruptible():
    """Let processes receive SIGINT, even if the tests run in the background."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def folder(tmp_path):
    """Return a folder with batch.json and stream.json."""
    (tmp_path / "batch.json").write_bytes(BATCH)
    (tmp_path / "stream.json").write_bytes(STREAM)
    return tmp_path


@pytest.fixture
def run(tmp_path):
    """Return a function that runs the command in the test's folder, see `run_command`."""
    return partial(run_command, cwd=tmp_path)


@pytest.fixture
def start(tmp_path):
    """Return a function that starts the command; processes left at the end are killed."""
    processes = []

    def start_command(*args, under=(), **options):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen(
            [*under, *COMMAND, *args], cwd=tmp_path, bufsize=0, **{**pipes, **options}
        )
        processes.append(process)
        return process

    yield start_command
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
