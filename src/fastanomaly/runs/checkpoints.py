"""Checkpoints of a run: written by a forked child, and read when a run resumes.

The child has the state as it was at that moment and writes it while the run continues. It
first makes what the sinks hold durable, so a checkpoint never counts output that could
still be lost. The newest checkpoint and the one before it are kept.
"""

from __future__ import annotations

import fcntl
import os
import re
import signal
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple
from warnings import catch_warnings

from fastanomaly.detector import Detector, read_detector, save_detector
from fastanomaly.errors import CheckpointError, ParameterError, UsageError
from fastanomaly.runs.run_state import RunState, check_run_state
from fastanomaly.sinks.replacing import flush_folder, is_temporary
from fastanomaly.state_file import name_in_file

if TYPE_CHECKING:
    from fastanomaly.sinks.base import Sink

_NAME = re.compile(r"checkpoint-([0-9]{12})")
_STANDARD_ERROR = 2
_OTHER_FAULT = 255  # exit status of a child that failed without an error number


class Every(NamedTuple):
    """The interval of checkpoints: in lines or in seconds, the other being None."""

    lines: int | None
    seconds: float | None


def check_every(value: str | int) -> Every:
    """Return the interval that ``500`` (lines) or ``30s`` stands for.

    Raises
    ------
    ParameterError
        If it is neither; names the value.
    """
    text = str(value)
    if re.fullmatch("[0-9]{1,18}", text) and int(text) > 0:
        return Every(int(text), None)
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?s", text) and float(text[:-1]) > 0:
        return Every(None, float(text[:-1]))
    raise ParameterError(f"every: {value!r} is neither a number of lines nor seconds like 30s")


class Checkpoints:
    """The checkpoints of one run; a context manager that locks the folder.

    Parameters
    ----------
    folder : str
        Created if it does not exist.
    every : Every
        The interval.
    notice : callable
        Called with text that the operator should know.

    Attributes
    ----------
    written : int
        Checkpoints written by this run.
    written_at : float or None
        When the newest was begun, as time.time.
    seconds, stall_seconds : float
        How long the last one took, and how long the run was stopped for it.

    Raises
    ------
    UsageError
        If another run uses the folder.
    OSError
        If the folder cannot be used.
    """

    def __init__(self, folder: str, every: Every, notice: Callable[[str], object]) -> None:
        self.folder = folder
        self.every = every
        self.written = 0
        self.written_at: float | None = None
        self.seconds = 0.0
        self.stall_seconds = 0.0
        self._notice = notice
        self._child = 0
        self._good = 0  # the number of the newest that is known to be whole
        self._begun = 0.0
        self._lines = 0  # since the last one
        self._next_at = time.monotonic() + (every.seconds or 0)

    def __enter__(self) -> Checkpoints:
        os.makedirs(self.folder, exist_ok=True)
        self._lock = os.open(self._path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            # A lock of this process only: a forked child does not inherit it.
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise UsageError(f"{self.folder}: another run uses this folder") from error
        # A child of a run that was killed may still be writing: wait for it.
        writing = self._lock_writing()
        for name in os.listdir(self.folder):
            checkpoint = name.split(".")[0]
            if _NAME.fullmatch(checkpoint) and (
                is_temporary(name, checkpoint) or name == f"{checkpoint}.new"
            ):
                os.unlink(self._path(name))
        os.close(writing)
        self._number = max(self._numbers(), default=0)
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        # Nobody else waits for this file: whoever may has the lock, which is held here.
        with suppress(OSError):
            os.unlink(self._path("writing"))
        os.close(self._lock)

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _checkpoint(self, number: int) -> str:
        return self._path(f"checkpoint-{number:012}")

    def _numbers(self) -> list[int]:
        """Return the numbers of the checkpoints in the folder, newest first."""
        found = (_NAME.fullmatch(name) for name in os.listdir(self.folder))
        return sorted((int(match[1]) for match in found if match), reverse=True)

    def _lock_writing(self) -> int:
        """Take the lock under which checkpoints are written; a forked child inherits it."""
        file = os.open(self._path("writing"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(file, fcntl.LOCK_EX)
        return file

    # -- reading -------------------------------------------------------------------------

    def newest(self) -> tuple[Detector, RunState] | None:
        """Read the newest checkpoint that is whole; None if there is none at all.

        Raises
        ------
        CheckpointError
            If there are checkpoints, but all are damaged.
        """
        fault: CheckpointError | None = None
        for number in self._numbers():
            if fault is not None:
                self._notice(f"{fault}; trying the checkpoint before it")
            try:
                found = _read(self._checkpoint(number))
            except CheckpointError as error:
                fault = error
            else:
                self._good = number
                return found
        if fault is not None:
            raise CheckpointError(
                f"{self.folder}: all checkpoints are damaged (--fresh starts over); "
                f"the last one tried: {fault}"
            )
        return None

    def forget(self) -> None:
        """Remove the checkpoints in the folder."""
        numbers = self._numbers()
        for number in numbers:
            os.unlink(self._checkpoint(number))
        if numbers:
            flush_folder(self.folder)

    # -- writing -------------------------------------------------------------------------

    def lines_left(self) -> int | None:
        """Return how many lines may be read before the next one; None if by seconds."""
        return None if self.every.lines is None else max(1, self.every.lines - self._lines)

    def due(self, lines: int) -> bool:
        """Return whether a checkpoint is due after so many more lines."""
        self._lines += lines
        self.poll()
        if self._child or not self._lines:
            return False
        if self.every.lines is not None:
            return self._lines >= self.every.lines
        return time.monotonic() >= self._next_at

    def begin(self, detector: Detector, state: RunState, sinks: Sequence[Sink]) -> None:
        """Have a forked child write a checkpoint while the run continues."""
        self.wait()
        self._start()
        try:
            writing = self._lock_writing()
        except OSError as error:  # such as no descriptor left
            self._failed(error.strerror)
            return
        try:
            # Python warns of forks beside threads. Those that judge hold no lock now, and the
            # child needs none of them.
            with catch_warnings(action="ignore", category=DeprecationWarning):
                self._child = os.fork()
        except OSError:  # no memory for a child: the run writes it
            try:
                self._save(detector, state, sinks)
                self._done()
            except OSError as error:
                self._failed(error.strerror)
            except MemoryError:
                self._failed("out of memory")
            finally:
                os.close(writing)
            return
        if self._child == 0:
            self._save_and_exit(detector, state, sinks, writing)
        os.close(writing)
        self.stall_seconds = time.monotonic() - self._begun

    def finish(self, detector: Detector, state: RunState, sinks: Sequence[Sink]) -> None:
        """Write a checkpoint now.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        self.wait()
        self._start()
        try:
            self._save(detector, state, sinks)
        except OSError as error:
            path = self._checkpoint(self._number)
            raise OSError(error.errno, error.strerror, path) from error
        self._done()

    def _start(self) -> None:
        self._begun = time.monotonic()
        self._begun_at = time.time()
        self._number += 1
        self._lines = 0

    def _done(self) -> None:
        self.written += 1
        self._good = self._number
        self.written_at = self._begun_at
        self.seconds = time.monotonic() - self._begun
        self._next_at = self._begun + (self.every.seconds or 0)

    def _save(self, detector: Detector, state: RunState, sinks: Sequence[Sink]) -> None:
        for sink in sinks:
            sink.sync()
        save_detector(detector, self._checkpoint(self._number), run=state._asdict())
        for number in self._numbers():
            if number not in (self._good, self._number):
                os.unlink(self._checkpoint(number))

    def _save_and_exit(
        self, detector: Detector, state: RunState, sinks: Sequence[Sink], writing: int
    ) -> None:
        """Write a checkpoint in the child, and end the child."""
        status = _OTHER_FAULT
        try:
            for signum in (signal.SIGINT, signal.SIGTERM):
                signal.signal(signum, signal.SIG_IGN)  # they are for the run
            _close_others({writing}.union(*(sink.descriptors() for sink in sinks)))
            self._save(detector, state, sinks)
            status = 0
        except OSError as error:
            if error.errno is not None and 0 < error.errno < _OTHER_FAULT:
                status = error.errno
        finally:
            os._exit(status)

    def poll(self) -> None:
        """Take note if the child has ended."""
        if self._child:
            self._reap(os.WNOHANG)

    def wait(self) -> None:
        """Wait until the child, if there is one, has ended."""
        if self._child:
            self._reap(0)

    def _reap(self, options: int) -> None:
        pid, ended = os.waitpid(self._child, options)
        if pid == 0:
            return
        self._child = 0
        status = os.waitstatus_to_exitcode(ended)
        if status == 0:
            self._done()
            return
        self._failed(os.strerror(status) if 0 < status < _OTHER_FAULT else "it failed")

    def _failed(self, reason: str | None) -> None:
        self._next_at = time.monotonic() + (self.every.seconds or 0)
        before = "the checkpoint before it is kept" if self._good else "there is none yet"
        self._notice(
            f"{self._checkpoint(self._number)}: cannot be written: {reason}; {before}"
        )


def _close_others(kept: Collection[int]) -> None:
    """Close all descriptors but some; standard streams are redirected to nowhere.

    The child may outlive a run that is killed. Whoever waits for the end of a pipe, for a
    lock or for a port of the run must not wait for the child.
    """
    try:
        found = [int(name) for name in os.listdir("/dev/fd")]
    except (OSError, ValueError):
        found = list(range(os.sysconf("SC_OPEN_MAX")))
    for fd in found:
        if fd > _STANDARD_ERROR and fd not in kept:
            with suppress(OSError):
                os.close(fd)
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for fd in range(_STANDARD_ERROR + 1):
        if fd not in kept:
            os.dup2(nowhere, fd)
    if nowhere > _STANDARD_ERROR:
        os.close(nowhere)


def _read(path: str) -> tuple[Detector, RunState]:
    """Read the checkpoint of a run; raises CheckpointError."""
    with open(path, "rb") as file:
        detector, header = read_detector(path, file)
    if "run" not in header:
        raise CheckpointError(f"{path}: holds a detector's state, but not a run's")
    try:
        return detector, check_run_state(header["run"])
    except ValueError as error:
        member, colon, fault = str(error).partition(":")
        what = f"{name_in_file(member)}{colon}{fault}"
        raise CheckpointError(f"{path}: altered: {what}") from error
