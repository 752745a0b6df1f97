"""Where the detector of a run is, in this process or on a cluster, and its checkpoints."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from fastanomaly.detector import Detector
from fastanomaly.errors import UsageError
from fastanomaly.names import is_url
from fastanomaly.rules.parameters import check_threads

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from fastanomaly.cluster import ClusterDetector
    from fastanomaly.cluster.detector import AnyDetector
    from fastanomaly.runs.checkpoints.base import Checkpoints
    from fastanomaly.runs.job import Job


class InProcess:
    """The detector in this process.

    Parameters
    ----------
    job : Job
    on_notice : callable
        Called with text that the operator should know.
    stack : ExitStack
        Closed when the run ends.
    """

    def __init__(self, job: Job, on_notice: Callable[[str], object], stack: ExitStack) -> None:
        self._job = job
        self._on_notice = on_notice

    def make(self, degree: int, tracked: int) -> Detector:
        """Make the detector."""
        job = self._job
        return Detector(
            degree,
            tracked,
            job.sigmas,
            method=job.method,
            threads=job.threads,
            **job.reading._asdict(),
        )

    def checkpoints(self, folder: str, every: int | str) -> Checkpoints:
        """Return the checkpoints in a folder.

        Raises
        ------
        UsageError
            If the interval is wrong, or the folder is a URL.
        """
        if is_url(folder):
            raise UsageError(
                f"{folder}: checkpoints of one process are in a folder; those of a run with "
                "--cluster may be at a URL"
            )
        from fastanomaly.runs.checkpoints.base import check_every  # noqa: PLC0415
        from fastanomaly.runs.checkpoints.forked import ForkedCheckpoints  # noqa: PLC0415

        return ForkedCheckpoints(folder, check_every(every), self._on_notice)

    def resume(self, detector: AnyDetector) -> None:
        """Give a detector of a checkpoint what may differ from run to run."""
        assert isinstance(detector, Detector)
        detector.method = self._job.method
        detector.threads = self._job.threads


class OnCluster:
    """The detector on a Ray cluster, with the same methods; connects to it.

    Raises
    ------
    UsageError
        If Ray is not installed or does not answer.
    """

    def __init__(self, job: Job, on_notice: Callable[[str], object], stack: ExitStack) -> None:
        from fastanomaly.cluster.on_ray.connection import connected  # noqa: PLC0415

        assert job.cluster is not None
        self._threads = check_threads(job.threads) or 1  # of each shard
        stack.enter_context(connected(job.cluster, job.shards * self._threads))
        self._job = job
        self._on_notice = on_notice
        self._stack = stack

    def make(self, degree: int, tracked: int) -> ClusterDetector:
        """Make the detector."""
        from fastanomaly.cluster import ClusterDetector  # noqa: PLC0415

        job = self._job
        detector = ClusterDetector(
            degree, tracked, job.sigmas, **job.reading._asdict(), **self._options()
        )
        self.resume(detector)
        return detector

    def checkpoints(self, folder: str, every: int | str) -> Checkpoints:
        """Return the snapshots in a folder or at a URL."""
        from fastanomaly.runs.checkpoints.base import check_every  # noqa: PLC0415
        from fastanomaly.runs.checkpoints.snapshots import SnapshotCheckpoints  # noqa: PLC0415

        return SnapshotCheckpoints(folder, check_every(every), self._on_notice, self._read)

    def _read(self, path: str) -> tuple[ClusterDetector, dict[str, Any]]:
        from fastanomaly.cluster.detector import read_cluster  # noqa: PLC0415

        return read_cluster(path, notice=self._on_notice, **self._options())

    def _options(self) -> dict[str, Any]:
        from functools import partial  # noqa: PLC0415

        from fastanomaly.cluster.on_ray import RayExchange  # noqa: PLC0415

        return {
            "shards": self._job.shards,
            "threads": self._threads,
            "make_exchange": partial(
                RayExchange, processors=self._threads, on_notice=self._on_notice
            ),
        }

    def resume(self, detector: AnyDetector) -> None:
        """Have the shards end when the run does."""
        self._stack.enter_context(closing(detector))


def detectors_of(
    job: Job, on_notice: Callable[[str], object], stack: ExitStack
) -> InProcess | OnCluster:
    """Return where the detector of a job is; see `InProcess` for the parameters."""
    kind = InProcess if job.cluster is None else OnCluster
    return kind(job, on_notice, stack)
