"""Metrics of a run for Prometheus: over HTTP, or in a file for the node exporter.

The library prometheus-client writes the format (extra ``metrics``). The thread of the server
reads the run's latest `Snapshot`, never the detector itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from fastanomaly.detector import Detector
from fastanomaly.errors import UsageError, installation
from fastanomaly.sinks.replacing import replace_file
from fastanomaly.telemetry.address import parse_target
from fastanomaly.telemetry.messages import write_message
from fastanomaly.telemetry.shard_metrics import shard_metrics

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from fastanomaly.cluster import ShardProgress
    from fastanomaly.cluster.detector import AnyDetector
    from fastanomaly.results import Counts
    from fastanomaly.results.measures import Latency, Sharing
    from fastanomaly.runs.run import Run
    from fastanomaly.telemetry.server import Server

SECONDS = 0.5
"""How old the metrics may be, apart from the time that a block of a log takes."""

FILE_SECONDS = 5.0


class Snapshot(NamedTuple):
    """The values of a run at one moment."""

    counts: Counts
    rejected: dict[str, int]
    judging: tuple[Latency, Sharing] | None  # in one process
    shards: tuple[list[ShardProgress], list[int], list[int]] | None  # lags and bytes, too
    memory: dict[str, int]
    newest_us: int | None
    checkpoint: tuple[int, float | None, float, float] | None


class Metrics:
    """Publishes the metrics of a run, which calls `update` after each block of a log.

    Parameters
    ----------
    target : str
        An address or the path of a file, see `fastanomaly.telemetry.address`. A file is
        first written by `update`.

    Raises
    ------
    UsageError
        If prometheus-client is not installed, or `target` is neither.
    OutputError
        If the address cannot be used.
    """

    def __init__(self, target: str) -> None:
        try:
            import prometheus_client  # noqa: PLC0415
            import prometheus_client.core  # noqa: PLC0415
            import prometheus_client.exposition  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise UsageError(
                f"metrics: need prometheus-client: {installation('metrics')}"
            ) from error
        address = parse_target(target)
        self._client: Any = prometheus_client
        self._registry = prometheus_client.CollectorRegistry()
        self._snapshot: Snapshot | None = None
        self._snapshot_at = self._written_at = -inf
        self._registry.register(self)
        self._path = target if address is None else None
        self._has_written = self._is_failing = False
        self._server: Server | None = None
        if address is not None:
            # Imported late: it slows the start.
            from fastanomaly.telemetry.server import Server, address_text  # noqa: PLC0415

            self._server = Server(address, self._answer)
            if not self._server.has_thread:
                write_message(
                    f"--metrics: {address_text(address)}: no thread can be started: requests "
                    "are answered only between two blocks of a log",
                    "warning",
                )

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.close()

    def _answer(self, accept: str) -> tuple[str, bytes]:
        """Return the content type and the metrics for an Accept header."""
        encode, kind = self._client.exposition.choose_encoder(accept)
        return kind, encode(self._registry)

    def update(self, run: Run, now: bool = False) -> None:
        """Take a snapshot of the run if the last one is old, or `now`."""
        if self._server is not None and not self._server.has_thread:
            self._server.serve()
        at = time.monotonic()
        if not now and at - self._snapshot_at < SECONDS:
            return
        self._snapshot_at = at
        checkpoints = run.checkpoints
        self._snapshot = Snapshot(
            run.detector.counts,
            dict(run.summary.rejected),
            *_of_detector(run.detector),
            run.detector.newest_us,
            (
                checkpoints.written,
                checkpoints.written_at,
                checkpoints.seconds,
                checkpoints.stall_seconds,
            )
            if checkpoints is not None
            else None,
        )
        if self._path is not None and (now or at - self._written_at >= FILE_SECONDS):
            self._written_at = at
            self._write()

    def _write(self) -> None:
        """Replace the file; after it was written once, a failure is only reported."""
        assert self._path is not None
        view = memoryview(self._client.generate_latest(self._registry))

        def write(fd: int) -> None:
            rest = view
            while rest:
                rest = rest[os.write(fd, rest) :]

        try:
            replace_file(self._path, write, durable=False)
        except OSError as error:
            if not self._has_written:
                raise
            if not self._is_failing:
                text = error.strerror or str(error)
                write_message(
                    f"--metrics: {self._path}: cannot be written: {text}; trying again",
                    "warning",
                )
            self._is_failing = True
        else:
            self._has_written, self._is_failing = True, False

    def describe(self) -> list[Metric]:
        """Return no metrics: there are none before the first snapshot."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the latest snapshot."""
        snapshot = self._snapshot
        if snapshot is None:
            return
        core = self._client.core
        yield from _event_metrics(core, snapshot)
        if snapshot.judging is not None:
            latency, sharing = snapshot.judging
            yield _judging_metric(core, latency)
            yield from _sharing_metrics(core, sharing)
        if snapshot.shards is not None:
            yield from shard_metrics(core, *snapshot.shards)
        yield from _state_metrics(core, snapshot)
        if snapshot.checkpoint is not None:
            yield from _checkpoint_metrics(core, *snapshot.checkpoint)


def _of_detector(
    detector: AnyDetector,
) -> tuple[
    tuple[Latency, Sharing] | None,
    tuple[list[ShardProgress], list[int], list[int]] | None,
    dict[str, int],
]:
    """Return what a snapshot has of judging, of shards and of memory."""
    if isinstance(detector, Detector):
        detector.time_judging()
        judging = detector.latency(), detector.sharing()
        return judging, None, detector.memory()._asdict()
    memory = detector.memory().shards
    parts = {part: sum(getattr(one, part) for one in memory) for part in memory[0]._fields}
    return None, (detector.progress(), detector.lags(), [one.total for one in memory]), parts


def _event_metrics(core: Any, snapshot: Snapshot) -> Iterator[Metric]:
    events = core.CounterMetricFamily(
        "fastanomaly_events", "Valid events applied.", labels=["kind"]
    )
    for kind in ("purchase", "befriend", "unfriend"):
        events.add_metric([kind], getattr(snapshot.counts, f"{kind}s"))
    yield events
    yield core.CounterMetricFamily(
        "fastanomaly_flags", "Purchases flagged.", value=snapshot.counts.flags
    )
    yield core.CounterMetricFamily(
        "fastanomaly_rounded_amounts",
        "Amounts rounded to six decimals.",
        value=snapshot.counts.rounded_amounts,
    )
    yield core.CounterMetricFamily(
        "fastanomaly_cut_times",
        "Times cut to microseconds.",
        value=snapshot.counts.cut_times,
    )
    rejected = core.CounterMetricFamily(
        "fastanomaly_rejected_lines", "Lines rejected.", labels=["reason"]
    )
    for reason, count in sorted(snapshot.rejected.items()):
        rejected.add_metric([reason], count)
    yield rejected


def _histogram(
    core: Any,
    name: str,
    help_text: str,
    bounds: list[float],
    counts: list[int],
    total: float,
) -> Metric:
    """Return a histogram, given the counts of its buckets and the sum of all values."""
    below = 0
    buckets = []
    for bound, count in zip(bounds, counts, strict=True):
        below += count
        buckets.append((repr(bound) if bound != inf else "+Inf", below))
    metric: Metric = core.HistogramMetricFamily(
        name, help_text, buckets=buckets, sum_value=total
    )
    return metric


def _judging_metric(core: Any, latency: Latency) -> Metric:
    return _histogram(
        core,
        "fastanomaly_judging_seconds",
        "Time a judgement takes.",
        latency.bounds,
        latency.counts,
        latency.seconds,
    )


def _sharing_metrics(core: Any, sharing: Sharing) -> Iterator[Metric]:
    yield core.GaugeMetricFamily(
        "fastanomaly_busy_threads", "Threads that judged the last batch.", value=sharing.busy
    )
    judgements = core.CounterMetricFamily(
        "fastanomaly_judgements", "Purchases judged.", labels=["way"]
    )
    judgements.add_metric(["shared"], sharing.shared)
    judgements.add_metric(["in_turn"], sharing.judgements - sharing.shared)
    yield judgements
    yield _histogram(
        core,
        "fastanomaly_batch_events",
        "Events of a judged batch.",
        [*map(float, sharing.bounds), inf],
        [*sharing.batches, 0],
        sharing.events,
    )


def _state_metrics(core: Any, snapshot: Snapshot) -> Iterator[Metric]:
    if snapshot.newest_us is not None:
        yield core.GaugeMetricFamily(
            "fastanomaly_lag_seconds",
            "Now minus the newest purchase's timestamp.",
            value=time.time() - snapshot.newest_us / 1e6,
        )
    for name, help_text, value in (
        ("users", "Known users.", snapshot.counts.users),
        ("friendships", "Current friendships.", snapshot.counts.friendships),
        ("purchases_kept", "Purchases stored.", snapshot.counts.kept),
    ):
        yield core.GaugeMetricFamily(f"fastanomaly_{name}", help_text, value=value)
    state = core.GaugeMetricFamily(
        "fastanomaly_state_bytes", "Bytes of the state.", labels=["part"]
    )
    for part, size in snapshot.memory.items():
        state.add_metric([part], size)
    yield state


def _checkpoint_metrics(
    core: Any, written: int, written_at: float | None, seconds: float, stall_seconds: float
) -> Iterator[Metric]:
    yield core.CounterMetricFamily(
        "fastanomaly_checkpoints", "Checkpoints written.", value=written
    )
    if written_at is None:
        return
    for name, help_text, value in (
        ("age", "Age of the newest checkpoint.", time.time() - written_at),
        ("duration", "Time that the newest checkpoint took.", seconds),
        ("stall", "Time for which it stopped the run.", stall_seconds),
    ):
        yield core.GaugeMetricFamily(
            f"fastanomaly_checkpoint_{name}_seconds", help_text, value=value
        )
