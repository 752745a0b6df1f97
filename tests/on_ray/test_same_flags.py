"""Shards on Ray give the flags of one process, to the byte."""

from random import Random
from typing import Any

import profiles
import pyarrow as pa
import pytest
from adjusting import adjusted
from clusterlogs import crowd
from deliveries import flags_bytes
from on_ray.rayclusters import ray_cluster
from randomlogs import random_logs

from fastanomaly import Detector

pytestmark = pytest.mark.usefixtures("local_ray")
LOGS = profiles.current().ray_logs
SHARDS = (1, 2, 3, 5)
BATCHES = (1, 7, 100, 1000)


@pytest.mark.parametrize("seed", range(LOGS))
def test_columns(seed):
    rng = Random(seed)
    columns = crowd(rng, rng.choice((30, 300)), 3000)
    settings = 1 + seed % 5, rng.choice((3, 20, 300)), 0
    single = Detector(*settings)
    options = {"shards": rng.choice(SHARDS), "batch_events": rng.choice(BATCHES)}
    with ray_cluster(*settings, **options) as cluster:
        for start in range(0, 3000, 1100):
            part = [column[start : start + 1100] for column in columns]
            expected = single.feed_columns(*part)
            assert flags_bytes(cluster.feed_columns(*part)) == flags_bytes(expected)
        assert cluster.counts == single.counts
        memory = cluster.memory()
        assert len(memory.shards) == options["shards"]
        assert all(shard.total > 0 for shard in memory.shards)
        traffic = cluster.exchange.traffic
        assert traffic.messages["verdicts"] == traffic.messages["batch"]


def test_threads_in_the_processes_of_shards():
    columns, settings = crowd(Random(1), 3000, 8000), (3, 300, 1)
    expected = flags_bytes(Detector(*settings).feed_columns(*columns))
    for threads in (1, 2):
        options = {"shards": 2, "batch_events": 1000, "threads": threads}
        with ray_cluster(*settings, **options) as cluster:
            assert flags_bytes(cluster.feed_columns(*columns)) == expected
            judges = [shard.judges > 0 for shard in cluster.memory().shards]
            assert judges == [threads > 1] * 2


def test_a_table():
    rng = Random(5)
    kinds, times, users, friends, amounts = crowd(rng, 30, 3000)
    table = pa.table(
        {
            "kind": kinds,
            "user": [f"u{user}" for user in users],
            "friend": [f"u{friend}" for friend in friends],
            "amount": pa.array(amounts // 10**4 / 100),
            "timestamp": pa.array(times, pa.timestamp("us")),
            "row": range(3000),
        }
    )
    frame = pa.Table.from_batches(table.to_batches(max_chunksize=700))
    single = Detector(2, 20, 1)
    with ray_cluster(2, 20, 1, shards=3, batch_events=100) as cluster:
        found, expected = (one.feed_frame(frame, keep=["row"]) for one in (cluster, single))
        assert found.rejected == expected.rejected
        assert pa.table(found.flags) == pa.table(expected.flags)
        assert len(found.flags) > 20
        assert cluster.counts == single.counts


@pytest.mark.parametrize("seed", range(LOGS))
def test_lines(seed):
    logs = random_logs(seed)
    settings = logs.degree, logs.tracked, logs.sigmas
    reading: dict[str, Any] = {"round_amounts": True, "time_unit": "ms"}
    single = Detector(*settings, **reading)
    with ray_cluster(*settings, shards=3, batch_events=7, **reading) as cluster:
        assert cluster.newest_us is None
        for log, judge in ((logs.batch, False), (logs.stream, True)):
            text = adjusted(log, reading, Random(seed))
            options = {"judge": judge, "log": "log", "max_line": logs.max_line}
            assert cluster.feed(text, **options) == single.feed(text, **options)
        assert cluster.counts == single.counts
        assert cluster.newest_us == single.newest_us
