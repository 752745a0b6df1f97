"""Checkpoints of a run on a cluster: snapshots, of which each shard writes its part.

The run waits meanwhile. What the sinks hold is made durable first, as for other checkpoints;
the state of the run is in the snapshot's manifest.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from fastanomaly.cluster import ClusterDetector
from fastanomaly.errors import CheckpointError
from fastanomaly.names import is_url
from fastanomaly.runs.checkpoints.base import Checkpoints, run_of
from fastanomaly.runs.checkpoints.files import (
    lock_folder,
    read_newest_checkpoint,
    remove_checkpoints,
)
from fastanomaly.snapshots.reading import has_snapshots
from fastanomaly.snapshots.writing import remove_snapshots

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Self

    from fastanomaly.cluster.detector import AnyDetector
    from fastanomaly.runs.checkpoints.base import Every
    from fastanomaly.runs.run_state import RunState
    from fastanomaly.sinks.base import Sink


class SnapshotCheckpoints(Checkpoints):
    """Snapshots in a folder, which is locked, or at a URL, which is not.

    Parameters
    ----------
    folder : str
        A path or URL that all machines of the cluster can use.
    every : Every
        The interval.
    notice : callable
        Called with text that the operator should know.
    read : callable
        Makes a cluster of what was saved at a path or URL, and returns the members of the
        manifest or header, too; raises CheckpointError.
    """

    def __init__(
        self,
        folder: str,
        every: Every,
        notice: Callable[[str], object],
        read: Callable[[str], tuple[ClusterDetector, dict[str, Any]]],
    ) -> None:
        super().__init__(folder, every, notice)
        self._read = read
        self._good = False  # whether there is one that is known to be whole
        self._lock: int | None = None

    def __enter__(self) -> Self:
        if not is_url(self.folder):
            self._lock = lock_folder(self.folder)
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)

    def newest(self) -> tuple[ClusterDetector, RunState] | None:
        """Read the newest snapshot; without any, the newest checkpoint of one process."""
        found = self._find()
        self._good = found is not None
        return found

    def _find(self) -> tuple[ClusterDetector, RunState] | None:
        if has_snapshots(self.folder):
            return self._read_run(self.folder)
        if is_url(self.folder):
            return None
        found = read_newest_checkpoint(self.folder, self._read_run, self._notice)
        return None if found is None else found[1]

    def _read_run(self, path: str) -> tuple[ClusterDetector, RunState]:
        detector, members = self._read(path)
        try:
            return detector, run_of(path, members)
        except CheckpointError:
            detector.close()
            raise

    def forget(self) -> None:
        """Remove the snapshots, and checkpoints of one process."""
        remove_snapshots(self.folder)
        self._forget_files()

    def _forget_files(self) -> None:
        if not is_url(self.folder):
            remove_checkpoints(self.folder)

    def begin(self, detector: AnyDetector, state: RunState, sinks: Sequence[Sink]) -> None:
        """Write a snapshot, while the run waits; a failure is a notice."""
        try:
            self.finish(detector, state, sinks)
        except OSError as error:
            name, reason = error.filename or self.folder, error.strerror or str(error)
            self._failed(name, reason, self._good)
        except MemoryError:
            self._failed(self.folder, "out of memory", self._good)

    def finish(self, detector: AnyDetector, state: RunState, sinks: Sequence[Sink]) -> None:
        """Write a snapshot now."""
        self._start()
        for sink in sinks:
            sink.sync()
        assert isinstance(detector, ClusterDetector)
        detector.save(self.folder, run=state._asdict())
        self._forget_files()
        self._good = True
        self._done()
        self.stall_seconds = time.monotonic() - self._begun

    def poll(self) -> None:
        """Do nothing: none is written while the run continues."""
