"""Checkpoints of a run: written by a forked child, and read when a run resumes.

The child has the state as it was at that moment and writes it while the run continues. It
first makes what the sinks hold durable, so a checkpoint never counts output that could
still be lost. The newest checkpoint and the one before it are kept.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from warnings import catch_warnings

from fastanomaly.detector import Detector, read_detector, read_snapshot, save_detector
from fastanomaly.runs.checkpoints.base import Checkpoints, run_of
from fastanomaly.runs.checkpoints.files import (
    CHECKPOINT,
    checkpoint_numbers,
    checkpoint_path,
    lock_folder,
    read_newest_checkpoint,
    remove_checkpoints,
)
from fastanomaly.sinks.replacing import is_temporary

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Self

    from fastanomaly.cluster.detector import AnyDetector
    from fastanomaly.runs.checkpoints.base import Every
    from fastanomaly.runs.run_state import RunState
    from fastanomaly.sinks.base import Sink

_STANDARD_ERROR = 2
_OTHER_FAULT = 255  # exit status of a child that failed without an error number


class ForkedCheckpoints(Checkpoints):
    """Files that a forked child writes; the folder is created and locked.

    Raises
    ------
    UsageError
        If another run uses the folder.
    OSError
        If the folder cannot be used.
    """

    def __init__(self, folder: str, every: Every, notice: Callable[[str], object]) -> None:
        super().__init__(folder, every, notice)
        self._child = 0
        self._good = 0  # the number of the newest that is known to be whole

    def __enter__(self) -> Self:
        self._lock = lock_folder(self.folder)
        # A child of a run that was killed may still be writing: wait for it.
        writing = self._lock_writing()
        for name in os.listdir(self.folder):
            checkpoint = name.split(".")[0]
            if CHECKPOINT.fullmatch(checkpoint) and (
                is_temporary(name, checkpoint) or name == f"{checkpoint}.new"
            ):
                os.unlink(self._path(name))
        os.close(writing)
        self._number = max(checkpoint_numbers(self.folder), default=0)
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
        return checkpoint_path(self.folder, number)

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
        found = read_newest_checkpoint(self.folder, _read, self._notice)
        if found is not None:
            self._good, run = found
            return run
        from fastanomaly.snapshots.reading import has_snapshots  # noqa: PLC0415 - few have any

        if self._of_cluster() and has_snapshots(self.folder):
            detector, members = read_snapshot(self.folder, Detector, self._notice)
            return detector, run_of(self.folder, members)
        return None

    def forget(self) -> None:
        """Remove the checkpoints in the folder, and snapshots of a cluster."""
        remove_checkpoints(self.folder)
        self._forget_snapshots()

    def _forget_snapshots(self) -> None:
        if self._of_cluster():
            from fastanomaly.snapshots.writing import remove_snapshots  # noqa: PLC0415

            remove_snapshots(self.folder)

    def _of_cluster(self) -> bool:
        """Return whether there are snapshots of a cluster in the folder."""
        return any(name.startswith("snapshot-") for name in os.listdir(self.folder))

    # -- writing -------------------------------------------------------------------------

    @property
    def _busy(self) -> bool:
        return bool(self._child)

    def begin(self, detector: AnyDetector, state: RunState, sinks: Sequence[Sink]) -> None:
        """Have a forked child write a checkpoint while the run continues."""
        self.wait()
        self._start()
        try:
            writing = self._lock_writing()
        except OSError as error:  # such as no descriptor left
            self._report(error.strerror)
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
                self._report(error.strerror)
            except MemoryError:
                self._report("out of memory")
            finally:
                os.close(writing)
            return
        if self._child == 0:
            self._save_and_exit(detector, state, sinks, writing)
        os.close(writing)
        self.stall_seconds = time.monotonic() - self._begun

    def finish(self, detector: AnyDetector, state: RunState, sinks: Sequence[Sink]) -> None:
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
        super()._start()
        self._number += 1

    def _done(self) -> None:
        super()._done()
        self._good = self._number

    def _save(self, detector: AnyDetector, state: RunState, sinks: Sequence[Sink]) -> None:
        for sink in sinks:
            sink.sync()
        assert isinstance(detector, Detector)
        save_detector(detector, self._checkpoint(self._number), run=state._asdict())
        for number in checkpoint_numbers(self.folder):
            if number not in (self._good, self._number):
                os.unlink(self._checkpoint(number))
        self._forget_snapshots()

    def _save_and_exit(
        self, detector: AnyDetector, state: RunState, sinks: Sequence[Sink], writing: int
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
        self._report(os.strerror(status) if 0 < status < _OTHER_FAULT else "it failed")

    def _report(self, reason: str | None) -> None:
        self._failed(self._checkpoint(self._number), reason, self._good)


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
    return detector, run_of(path, header)
