"""What a cluster says of its memory."""

import gc
import tracemalloc

import numpy as np
import pytest
from clusterlogs import growing_log
from deliveries import shards_of

from fastanomaly import BEFRIEND, PURCHASE, Detector
from fastanomaly._core import ShardEngine
from fastanomaly.cluster import ClusterDetector


@pytest.mark.parametrize("tracked", [3, 300])
def test_memory_is_what_was_allocated(tracked):
    columns = growing_log()
    for judged in (False, True):
        gc.collect()
        tracemalloc.start()
        try:
            engines = [ShardEngine(number, 2, 1, tracked, 0, 1) for number in range(2)]
            for start in range(0, len(columns[0]), 100):
                part = [column[start : start + 100] for column in columns]
                seq = int((columns[0][:start] == PURCHASE).sum())
                asks = [engine.feed(seq, *part, judged=judged)[2] for engine in engines]
                for owner, asked in ((1, asks[0][1]), (0, asks[1][0])):
                    if asked is not None:
                        engines[owner].answer(asked)
            del part, asks, asked
            gc.collect()
            allocated, _peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        counted = sum(sum(engine.memory()) for engine in engines)
        # The two objects, and what Python keeps of its own.
        assert 0 <= allocated - counted < 0.01 * counted + 8000, (allocated, counted)


def test_purchases_are_held_once():
    """The others are in every shard."""
    rng = np.random.default_rng(1)
    users, friends = rng.integers(0, 5000, (2, 100_000))
    bought = rng.random(len(users)) < 0.9
    kept = bought | (users != friends)
    kinds = np.where(bought, PURCHASE, BEFRIEND)[kept]
    columns = kinds, np.arange(len(kinds)), users[kept], friends[kept], np.ones_like(kinds)
    cluster, single = ClusterDetector(1, 50, shards=4), Detector(1, 50, threads=1)
    for detector in (cluster, single):
        detector.feed_columns(*columns, judge=False)
    memory, alone = cluster.memory(), single.memory()
    assert memory.shards == [shard.memory() for shard in shards_of(cluster)]
    assert memory.total == sum(sum(shard) for shard in memory.shards)
    for shard in memory.shards:
        assert shard.recency == alone.recency
        assert 0.9 * alone.friendships < shard.friendships < 1.1 * alone.friendships
        assert 0.2 * alone.purchases < shard.purchases < 0.4 * alone.purchases
        assert shard.judges == 0 < shard.scratch
