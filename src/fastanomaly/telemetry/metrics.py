"""What a run tells Prometheus: over HTTP, or in a file for the node exporter.

The library prometheus-client writes and serves the format (extra ``metrics``). Its thread
sees what the run last laid down, and never the detector itself.
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
"""How old what is told may be, beside the time that a block of a log takes."""

FILE_SECONDS = 5.0

_ADDRESS = re.compile(r"(?:(?P<host>[^/\s]+):)?(?P<port>[0-9]{1,5})")


class Seen(NamedTuple):
    """What a run laid down."""

    counts: Counts
    rejected: dict[str, int]
    latency: Latency
    memory: Memory
    newest_us: int | None
    checkpoint: tuple[int, float | None, float, float] | None


class Metrics:
    """Tells of a run; called after each block that is read.

    Parameters
    ----------
    target : str
        A port, with a host before it if others than this machine are to ask
        (``9100``, ``0.0.0.0:9100``); or the path of a file.

    Raises
    ------
    UsageError
        If prometheus-client is not there.
    OSError
        If it cannot be served or written.
    """

    def __init__(self, target: str) -> None:
        try:
            import prometheus_client  # noqa: PLC0415
            import prometheus_client.core  # noqa: PLC0415
        except ImportError as error:
            raise UsageError(
                "metrics: needs an extra, pip install 'fastanomaly[metrics]'"
            ) from error
        self._client: Any = prometheus_client
        self._registry = prometheus_client.CollectorRegistry()
        self._seen: Seen | None = None
        self._seen_at = 0.0
        self._written_at = 0.0
        self._registry.register(self)
        self._path: str | None = None
        self._server: Any = None
        if address := _ADDRESS.fullmatch(target):
            port = int(address["port"])
            if port > 65535:
                raise UsageError(f"metrics: {target}: no port")
            self._server, self._thread = prometheus_client.start_http_server(
                port, address["host"] or "127.0.0.1", self._registry
            )
        else:
            self._path = target
            self._write()

    def close(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def __call__(self, run: Run, now: bool = False) -> None:
        """Lay down how a run is doing, if it is time to."""
        at = time.monotonic()
        if not now and at - self._seen_at < SECONDS:
            return
        run.detector.time_judging()
        self._seen_at = at
        kept = run.checkpoints
        self._seen = Seen(
            run.detector.counts,
            dict(run.summary.rejected),
            run.detector.latency(),
            run.detector.memory(),
            run.detector.newest_us,
            (kept.written, kept.written_at, kept.seconds, kept.stall_seconds)
            if kept is not None
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
        """Nothing is told before there is something."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Give the metrics of what was laid down last."""
        core = self._client.core
        seen = self._seen
        if seen is None:
            return
        events = core.CounterMetricFamily(
            "fastanomaly_events", "Valid events applied.", labels=["kind"]
        )
        for kind in ("purchase", "befriend", "unfriend"):
            events.add_metric([kind], getattr(seen.counts, f"{kind}s"))
        yield events
        yield core.CounterMetricFamily(
            "fastanomaly_flags", "Purchases flagged.", value=seen.counts.flags
        )
        rejected = core.CounterMetricFamily(
            "fastanomaly_rejected_lines", "Lines rejected.", labels=["reason"]
        )
        for reason, count in sorted(seen.rejected.items()):
            rejected.add_metric([reason], count)
        yield rejected
        total = 0
        buckets = []
        for bound, count in zip(seen.latency.bounds, seen.latency.counts, strict=True):
            total += count
            buckets.append((repr(bound) if bound != float("inf") else "+Inf", total))
        yield core.HistogramMetricFamily(
            "fastanomaly_judging_seconds",
            "Time a judgement takes.",
            buckets=buckets,
            sum_value=seen.latency.seconds,
        )
        if seen.newest_us is not None:
            yield core.GaugeMetricFamily(
                "fastanomaly_lag_seconds",
                "The present less the newest purchase's timestamp.",
                value=time.time() - seen.newest_us / 1e6,
            )
        for name, help_text, value in (
            ("users", "Users known.", seen.counts.users),
            ("friendships", "Friendships that stand.", seen.counts.friendships),
            ("purchases_kept", "Purchases kept.", seen.counts.kept),
        ):
            yield core.GaugeMetricFamily(f"fastanomaly_{name}", help_text, value=value)
        state = core.GaugeMetricFamily(
            "fastanomaly_state_bytes", "Bytes of the state.", labels=["part"]
        )
        for part, size in seen.memory._asdict().items():
            state.add_metric([part], size)
        yield state
        if seen.checkpoint is None:
            return
        written, written_at, seconds, stall = seen.checkpoint
        yield core.CounterMetricFamily(
            "fastanomaly_checkpoints", "Checkpoints written.", value=written
        )
        if written_at is not None:
            for name, help_text, told in (
                ("age", "Age of the newest checkpoint.", time.time() - written_at),
                ("duration", "Time that the last one took.", seconds),
                ("stall", "Time for which the run stood still for it.", stall),
            ):
                yield core.GaugeMetricFamily(
                    f"fastanomaly_checkpoint_{name}_seconds", help_text, value=told
                )
