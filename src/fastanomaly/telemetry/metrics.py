"""Metrics of a run for Prometheus: over HTTP, or in a file for the node exporter.

The library prometheus-client writes and serves the format (extra ``metrics``). Its thread
reads the run's latest `Snapshot`, never the detector itself.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from fastanomaly.errors import UsageError

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from fastanomaly.results import Counts, Latency, Memory
    from fastanomaly.runs.run import Run

SECONDS = 0.5
"""How old the metrics may be, apart from the time that a block of a log takes."""

FILE_SECONDS = 5.0

_ADDRESS = re.compile(r"(?:(?P<host>[^/\s]+):)?(?P<port>[0-9]{1,5})")


class Snapshot(NamedTuple):
    """The values of a run at one moment."""

    counts: Counts
    rejected: dict[str, int]
    latency: Latency
    memory: Memory
    newest_us: int | None
    checkpoint: tuple[int, float | None, float, float] | None


class Metrics:
    """Publishes the metrics of a run, which calls `update` after each block of a log.

    Parameters
    ----------
    target : str
        A port of this machine, or host and port to serve other machines (``9100``,
        ``0.0.0.0:9100``); or the path of a file.

    Raises
    ------
    UsageError
        If prometheus-client is not installed.
    OSError
        If the port cannot be served or the file cannot be written.
    """

    def __init__(self, target: str) -> None:
        try:
            import prometheus_client  # noqa: PLC0415
            import prometheus_client.core  # noqa: PLC0415
        except ImportError as error:
            raise UsageError(
                "metrics: need an extra: pip install 'fastanomaly[metrics]'"
            ) from error
        self._client: Any = prometheus_client
        self._registry = prometheus_client.CollectorRegistry()
        self._snapshot: Snapshot | None = None
        self._snapshot_at = 0.0
        self._written_at = 0.0
        self._registry.register(self)
        self._path: str | None = None
        self._server: Any = None
        if address := _ADDRESS.fullmatch(target):
            port = int(address["port"])
            if port > 65535:
                raise UsageError(f"metrics: {target}: not a port number")
            self._server, self._thread = prometheus_client.start_http_server(
                port, address["host"] or "127.0.0.1", self._registry
            )
        else:
            self._path = target
            self._write()

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def update(self, run: Run, now: bool = False) -> None:
        """Take a snapshot of the run if the last one is old, or `now`."""
        at = time.monotonic()
        if not now and at - self._snapshot_at < SECONDS:
            return
        run.detector.time_judging()
        self._snapshot_at = at
        checkpoints = run.checkpoints
        self._snapshot = Snapshot(
            run.detector.counts,
            dict(run.summary.rejected),
            run.detector.latency(),
            run.detector.memory(),
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
        assert self._path is not None
        try:
            self._client.write_to_textfile(self._path, self._registry)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._path) from error

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
        yield _judging_metric(core, snapshot.latency)
        yield from _state_metrics(core, snapshot)
        if snapshot.checkpoint is not None:
            yield from _checkpoint_metrics(core, *snapshot.checkpoint)


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
    rejected = core.CounterMetricFamily(
        "fastanomaly_rejected_lines", "Lines rejected.", labels=["reason"]
    )
    for reason, count in sorted(snapshot.rejected.items()):
        rejected.add_metric([reason], count)
    yield rejected


def _judging_metric(core: Any, latency: Latency) -> Metric:
    total = 0
    buckets = []
    for bound, count in zip(latency.bounds, latency.counts, strict=True):
        total += count
        buckets.append((repr(bound) if bound != float("inf") else "+Inf", total))
    metric: Metric = core.HistogramMetricFamily(
        "fastanomaly_judging_seconds",
        "Time a judgement takes.",
        buckets=buckets,
        sum_value=latency.seconds,
    )
    return metric


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
    for part, size in snapshot.memory._asdict().items():
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
