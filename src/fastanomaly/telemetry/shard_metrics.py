"""Metrics of the shards of a cluster, each with the label ``shard``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    from fastanomaly.cluster import ShardProgress

_COUNTERS = {
    "events": "Events that the shard has applied, with those of the state it began with.",
    "judged": "Purchases of its own users that the shard has judged.",
    "asks": "Messages in which it has asked other shards.",
    "answers": "Messages in which it has answered.",
    "bytes": "What these messages have carried.",
    "waited": "Batches whose verdicts had to wait for answers.",
}


def shard_metrics(
    core: Any,
    shards: Sequence[ShardProgress],
    lags: Sequence[int],
    memory_bytes: Sequence[int],
) -> Iterator[Metric]:
    """Yield the metrics of all shards.

    Parameters
    ----------
    core : module
        That of prometheus-client with the families of metrics.
    shards : sequence of ShardProgress
        By number.
    lags : sequence of int
        See `ClusterDetector.lags`.
    memory_bytes : sequence of int
        What each shard has allocated.
    """
    for name, text in _COUNTERS.items():
        counter = core.CounterMetricFamily(f"fastanomaly_shard_{name}", text, labels=["shard"])
        for number, shard in enumerate(shards):
            counter.add_metric([str(number)], getattr(shard, name))
        yield counter
    for name, text, values in (
        ("memory_bytes", "Bytes of its state.", memory_bytes),
        ("lag_batches", "Batches sent before its verdicts came, at most, lately.", lags),
    ):
        gauge = core.GaugeMetricFamily(f"fastanomaly_shard_{name}", text, labels=["shard"])
        for number, value in enumerate(values):
            gauge.add_metric([str(number)], value)
        yield gauge
