"""Checkpoints of a run: written beside the run into a folder, and gone on from.

A forked child has the state as it was at that moment, and writes it while the run goes on.
It first has the outputs written to the disk, so a checkpoint never speaks of output that
could still be lost. The newest checkpoint and the one before are kept.
"""

from __future__ import annotations

import fcntl
import os
import re
import signal
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from fastanomaly.detector import Detector
from fastanomaly.errors import CheckpointError, ParameterError, UsageError
from fastanomaly.runs.run_state import check_note
from fastanomaly.state_file import flush_folder, write_file, write_state

_NAME = re.compile(r"checkpoint-([0-9]{12})")
_OTHER_FAULT = 255  # exit status of a child that failed, but for no reason of the system's


class Every(NamedTuple):
    """How often there is a checkpoint: after so many lines, or so many seconds."""

    lines: int | None
    seconds: float | None


def check_every(value: str | int) -> Every:
    """Return what ``500`` (lines) or ``30s`` stands for.

    Raises
    ------
    ParameterError
        Names the value.
    """
    text = str(value)
    if re.fullmatch("[0-9]{1,18}", text) and int(text) > 0:
        return Every(int(text), None)
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?s", text) and float(text[:-1]) > 0:
        return Every(None, float(text[:-1]))
    raise ParameterError(f"every: {value!r} is neither a number of lines nor like 30s")


class Checkpoints:
    """The checkpoints of one run; a context manager that holds the folder's lock.

    Parameters
    ----------
    folder : str
        Made if it is not there.
    every : Every
        How often there is one.
    notice : callable
        Told what an operator should know.

    Attributes
    ----------
    written : int
        Checkpoints written by this run.
    written_at : float or None
        When the newest was begun, by time.time.
    seconds, stall_seconds : float
        What the last one took, and for how long the run stood still for it.

    Raises
    ------
    UsageError
        If another run uses the folder.
    OSError
        If it cannot be used.
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
        self._lines = 0
        self._next_at = time.monotonic() + (every.seconds or 0)

    def __enter__(self) -> Checkpoints:
        os.makedirs(self.folder, exist_ok=True)
        self._lock = os.open(self._path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            # A lock of this process alone: a child does not inherit it.
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise UsageError(f"{self.folder}: another run uses this folder") from error
        # A child that outlived its run may still be writing: wait for it.
        writing = self._writing()
        for name in os.listdir(self.folder):
            if name.endswith(".new") and _NAME.fullmatch(name.removesuffix(".new")):
                os.unlink(self._path(name))
        os.close(writing)
        self._number = max(self._numbers(), default=0)
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        os.close(self._lock)

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _checkpoint(self, number: int) -> str:
        return self._path(f"checkpoint-{number:012}")

    def _numbers(self) -> list[int]:
        """The numbers of the checkpoints that are there, newest first."""
        found = (_NAME.fullmatch(name) for name in os.listdir(self.folder))
        return sorted((int(match[1]) for match in found if match), reverse=True)

    def _writing(self) -> int:
        """Take the lock under which checkpoints are written: a child inherits it."""
        fd = os.open(self._path("writing"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(fd, fcntl.LOCK_EX)
        return fd

    def newest(self) -> tuple[Detector, dict[str, Any]] | None:
        """Read the newest checkpoint that is whole: the detector, and what the run noted.

        Raises
        ------
        CheckpointError
            If there are some, and none is good.
        """
        fault: CheckpointError | None = None
        for number in self._numbers():
            path = self._checkpoint(number)
            try:
                with open(path, "rb") as file:
                    detector, header = Detector.load_with_header(path, file)
                if "run" not in header:
                    raise CheckpointError(f"{path}: a detector's state, but not of a run")
                try:
                    noted = check_note(header["run"])
                except ValueError as error:
                    raise CheckpointError(f"{path}: altered: {error}") from error
            except CheckpointError as error:
                self._notice(f"{error}; trying the one before")
                fault = error
            else:
                self._good = number
                return detector, noted
        if fault is not None:
            raise CheckpointError(
                f"{self.folder}: no checkpoint there is good (--fresh starts over); "
                f"the last one tried: {fault}"
            )
        return None

    def forget(self) -> None:
        """Remove the checkpoints that are there."""
        numbers = self._numbers()
        for number in numbers:
            os.unlink(self._checkpoint(number))
        if numbers:
            flush_folder(self.folder)

    def lines_left(self) -> int | None:
        """How many lines may still be read before a checkpoint, if lines are counted."""
        return None if self.every.lines is None else max(1, self.every.lines - self._lines)

    def due(self, lines: int) -> bool:
        """Whether there is to be a checkpoint now, after so many lines more."""
        self._lines += lines
        self.look()
        if self._child or not self._lines:
            return False
        if self.every.lines is not None:
            return self._lines >= self.every.lines
        return time.monotonic() >= self._next_at

    def begin(self, detector: Detector, run: dict[str, Any], outputs: list[int]) -> None:
        """Have a child write a checkpoint while the run goes on."""
        self.wait()
        self._start()
        writing = self._writing()
        try:
            self._child = os.fork()
        except OSError:  # no memory for a child: then the run waits
            try:
                self._save(detector, run, outputs)
                self._done()
            except OSError as error:
                self._failed(error.strerror)
            finally:
                os.close(writing)
            return
        if self._child == 0:
            self._save_and_exit(detector, run, outputs)
        os.close(writing)
        self.stall_seconds = time.monotonic() - self._begun

    def finish(self, detector: Detector, run: dict[str, Any], outputs: list[int]) -> None:
        """Write a checkpoint now.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        self.wait()
        self._start()
        try:
            self._save(detector, run, outputs)
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

    def _save(self, detector: Detector, run: dict[str, Any], outputs: list[int]) -> None:
        for fd in outputs:
            os.fsync(fd)
        path = self._checkpoint(self._number)
        write_file(path, lambda fd: write_state(fd, detector.engine, detector.header(run=run)))
        for number in self._numbers():
            if number not in (self._good, self._number):
                os.unlink(self._checkpoint(number))

    def _save_and_exit(
        self, detector: Detector, run: dict[str, Any], outputs: list[int]
    ) -> None:
        """What the child does: it never returns."""
        status = _OTHER_FAULT
        try:
            for signum in (signal.SIGINT, signal.SIGTERM):
                signal.signal(signum, signal.SIG_IGN)  # they are meant for the run
            self._save(detector, run, outputs)
            status = 0
        except OSError as error:
            if error.errno is not None and 0 < error.errno < _OTHER_FAULT:
                status = error.errno
        finally:
            os._exit(status)

    def look(self) -> None:
        """See whether the child is done."""
        if self._child:
            self._reap(os.WNOHANG)

    def wait(self) -> None:
        """Wait for the child, if there is one."""
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
        self._notice(
            f"{self._checkpoint(self._number)}: cannot be written: {reason}; "
            "the one before is good"
        )
