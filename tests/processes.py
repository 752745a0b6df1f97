"""Threads that this process has, and forked children."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

TASKS = Path("/proc/self/task")
EXITING = 4  # PF_EXITING of Linux


def os_threads():
    """Return the number of threads that this process has, those without Python included.

    One that has been joined may be listed a moment longer, as exiting.
    """
    if not TASKS.is_dir():
        pytest.skip("no /proc here")
    count = 0
    for task in TASKS.iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            count += not int(fields[6]) & EXITING
    return count


def thread_sanitizer_loaded():
    """Return whether this is ThreadSanitizer, which starts no threads in a forked child."""
    maps = Path("/proc/self/maps")
    return maps.exists() and "libtsan" in maps.read_text(errors="replace")


forking = pytest.mark.skipif(thread_sanitizer_loaded(), reason="under ThreadSanitizer")


def in_child(work):
    """Fork, run `work` in the child, and return what it returned, as text."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(reader)
            with os.fdopen(writer, "w") as out:
                out.write(repr(work()))
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as source:
        text = source.read()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, text
    return text
