"""Shards whose batches several threads judge: what they send and count is the same."""

import gc
import tracemalloc
from collections import Counter
from random import Random

import batches
import numpy as np
import profiles
import pytest
from allocations import failing_after
from batches import all_shared
from clusterlogs import crowd, growing_log
from deliveries import check_same, flags_bytes, seeded_cluster, shards_of
from processes import forking, in_child, os_threads
from randomlogs import random_logs

from fastanomaly import PURCHASE, Detector, ParameterError
from fastanomaly._core import ShardEngine
from fastanomaly.cluster import Batch, ClusterDetector, LocalExchange
from fastanomaly.processors import available_processors

LOGS = profiles.current().cluster_logs
CHUNK = 50
SHARDS = (1, 2, 3)
THREADS = (1, 2, 3, 8)


class Recording(LocalExchange):
    """Keeps all messages but batches, in the order in which they were sent."""

    def __init__(self, make_shard, shards):
        super().__init__(make_shard, shards)
        self.messages = []

    def _post(self, to, message):
        super()._post(to, message)
        if not isinstance(message, Batch):
            self.messages.append(message)

    def poll(self):
        verdicts = super().poll()
        self.messages += verdicts
        return verdicts


def judged(settings, columns, shards, threads, batch_events=200):
    """Return a cluster that has judged columns, some at a time, and the flags as bytes."""
    cluster = ClusterDetector(
        *settings,
        shards=shards,
        threads=threads,
        batch_events=batch_events,
        make_exchange=Recording,
    )
    flags = [
        flags_bytes(cluster.feed_columns(*(column[start : start + 700] for column in columns)))
        for start in range(0, len(columns[0]), 700)
    ]
    return cluster, flags


def parts_of(columns, size):
    """Yield the place and the columns of batches, as an engine takes them."""
    columns = [columns[0].astype(np.uint8), *columns[1:]]
    for start in range(0, len(columns[0]), size):
        seq = int((columns[0][:start] == PURCHASE).sum())
        yield seq, [column[start : start + size] for column in columns]


# What shards send


@pytest.mark.parametrize("shards", SHARDS)
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_messages_are_the_same_whatever_the_number_of_threads(degree, shards):
    rng = Random(degree + 10 * shards)
    columns, settings = crowd(rng, 300, 3000), (degree, 20, 1)
    single = Detector(*settings, threads=1)
    expected = single.feed_columns(*columns)
    assert len(expected) > 100
    cluster, flags = judged(settings, columns, shards, 1)
    check_same(cluster, single)
    kinds = Counter(type(message).__name__ for message in cluster.exchange.messages)
    assert shards == 1 or kinds["Asks"] > 3
    with all_shared():
        for threads in THREADS:
            other, found = judged(settings, columns, shards, threads)
            assert found == flags
            assert other.exchange.messages == cluster.exchange.messages
            assert other.exchange.traffic == cluster.exchange.traffic
            check_same(other, single)
            assert all(
                (shard.memory().judges > 0) == (threads > 1) for shard in shards_of(other)
            )


@pytest.mark.parametrize("first_seed", range(0, LOGS, CHUNK))
def test_random_logs_with_messages_out_of_order(first_seed):
    for seed in range(first_seed, min(first_seed + CHUNK, LOGS)):
        logs, rng = random_logs(seed), Random(seed)
        settings = logs.degree, logs.tracked, logs.sigmas
        single = Detector(*settings, threads=1)
        cluster = seeded_cluster(
            seed,
            *settings,
            shards=rng.choice(SHARDS),
            batch_events=rng.choice((1, 10, 100, 1000)),
            threads=rng.choice(THREADS),
        )
        for log, judge in ((logs.batch, False), (logs.stream, True), (logs.stream, True)):
            events = batches.events_of(log, logs.max_line)
            if events:
                columns = batches.columns_of(events)
                expected = single.feed_columns(*columns, judge=judge)
                with all_shared():
                    found = cluster.feed_columns(*columns, judge=judge)
                assert flags_bytes(found) == flags_bytes(expected), seed
        check_same(cluster, single)


def test_work_adds_up():
    """Nobody has so many friends that their order would differ from run to run."""
    columns, settings = crowd(Random(1), 50, 3000), (1, 20, 1)
    for shards in SHARDS:
        works = []
        for threads in THREADS:
            with all_shared():
                cluster, _ = judged(settings, columns, shards, threads)
            works.append([shard.work() for shard in shards_of(cluster)])
            assert all(work.searches.members_merged > 0 for work in works[-1])
        assert works.count(works[0]) == len(THREADS)


def test_work_outlives_the_threads():
    columns = crowd(Random(5), 50, 1000)
    engine = ShardEngine(0, 1, 2, 20, 1, 1)
    engine.set_threads(3)
    with all_shared():
        for seq, part in parts_of(columns, 200):
            engine.feed(seq, *part, judged=True)
    before = engine.work()
    engine.set_threads(2)
    assert engine.work() == before


# Memory


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("shards", [1, 2])
def test_each_allocation_of_a_batch_fails(shards, threads):
    columns = growing_log() if shards == 1 else crowd(Random(1), 50, 1000)
    (_, before), (seq, batch) = parts_of(columns, 500)
    alone = ShardEngine(0, shards, 1, 300, 0, 1)
    alone.feed(0, *before, judged=False)
    prefix, expected = alone.counts(), alone.feed(seq, *batch, judged=True)
    assert shards == 1 or expected[2][1] is not None
    stages, failures, in_a_row, sweeps = Counter(), 0, 0, 0
    with all_shared():
        # How much is allocated depends on how the threads share the batch: the allocations at
        # the end, while it is applied, fail several times.
        while sweeps < 4:
            engine = ShardEngine(0, shards, 1, 300, 0, 1)
            engine.set_threads(threads)
            engine.feed(0, *before, judged=False)
            try:
                with failing_after(failures):
                    results = engine.feed(seq, *batch, judged=True)
                in_a_row += 1
            except MemoryError:
                in_a_row = 0
                applied = sum(engine.counts()[:3]) - sum(prefix[:3])
                stages[applied] += 1
                if applied == 0:
                    assert engine.counts() == prefix
                engine.check()
                results = engine.feed(seq, *batch, judged=True)
            assert results == expected
            assert engine.counts() == alone.counts()
            engine.check()
            failures += 1
            if in_a_row == 20:
                sweeps, failures, in_a_row = sweeps + 1, max(0, failures - 60), 0
    # Many failed before anything was applied, and if everything grows, some later.
    assert stages[0] > 20
    assert shards > 1 or len(stages) > 2


def test_failures_one_after_another():
    """Each attempt keeps what it has allocated, so the next one gets further."""
    parts, failed = list(parts_of(crowd(Random(1), 50, 4000), 1000)), []
    alone, shared = (ShardEngine(0, 3, 1, 50, 1, 1) for _ in range(2))
    shared.set_threads(2)
    with all_shared():
        for seq, part in parts:
            expected, found = alone.feed(seq, *part, judged=True), None
            while found is None:
                before = shared.counts()
                try:
                    with failing_after(1):
                        found = shared.feed(seq, *part, judged=True)
                except MemoryError:
                    failed.append(shared.seq == seq)
                    if failed[-1]:
                        assert shared.counts() == before
            assert found == expected
            assert shared.counts() == alone.counts()
            shared.check()
    assert failed.count(True) > 30


def test_memory_counts_the_judges_of_all_threads():
    columns = growing_log()
    gc.collect()
    tracemalloc.start()
    try:
        engine = ShardEngine(0, 2, 1, 300, 0, 1)
        engine.set_threads(3)
        with all_shared():
            for seq, part in parts_of(columns, 100):
                engine.feed(seq, *part, judged=True)
        del part
        gc.collect()
        allocated, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    *_, scratch, judges = engine.memory()
    counted = sum(engine.memory())
    assert scratch > 0 < judges
    # The object, and what Python keeps of its own.
    assert 0 <= allocated - counted < 0.01 * counted + 8000, (allocated, counted)
    engine.set_threads(1)
    assert engine.memory()[-1] == 0


# Threads


def test_threads_start_late_and_end():
    columns = crowd(Random(5), 50, 1000)
    before = os_threads()
    cluster = ClusterDetector(2, 20, 1, shards=2, threads=3)
    cluster.feed_columns(*columns, judge=False)
    assert os_threads() == before
    cluster.feed_columns(*(column[:1] for column in columns))  # not worth it
    assert os_threads() == before
    with all_shared():
        cluster.feed_columns(*columns)
    assert os_threads() == before + 4
    cluster.close()
    assert os_threads() == before


def test_one_thread_starts_none():
    before = os_threads()
    with all_shared():
        _cluster, _ = judged((2, 20, 1), crowd(Random(5), 50, 1000), 2, 1)
    assert os_threads() == before


def test_enough_to_judge_starts_them():
    cluster, _ = judged((3, 300, 1), crowd(Random(1), 3000, 8000), 1, 2, batch_events=1000)
    assert shards_of(cluster)[0].memory().judges > 0


@forking
def test_a_forked_child_and_its_parent_go_on():
    first, second = list(parts_of(crowd(Random(5), 50, 2000), 1000))
    alone, shared = (ShardEngine(0, 2, 2, 20, 1, 1) for _ in range(2))
    shared.set_threads(3)
    in_child(lambda: None)  # libraries of NumPy's may end their threads at a fork
    with all_shared():
        assert shared.feed(first[0], *first[1], judged=True) == alone.feed(
            first[0], *first[1], judged=True
        )
        before, expected = os_threads(), alone.feed(second[0], *second[1], judged=True)

        def work():
            return os_threads(), shared.feed(second[0], *second[1], judged=True), os_threads()

        assert in_child(work) == repr((1, expected, 3))
        assert os_threads() == before
        assert shared.feed(second[0], *second[1], judged=True) == expected


# Parameters


def test_the_number_is_checked_and_kept(tmp_path):
    for value in (0, 257, "two", None):
        with pytest.raises(ParameterError, match="threads: "):
            ClusterDetector(1, 2, threads=value)
    columns = crowd(Random(5), 50, 1000)
    cluster = ClusterDetector(2, 20, 1, threads="3")
    assert [shard.threads for shard in shards_of(cluster)] == [3, 3]
    assert shards_of(ClusterDetector(2, 20, 1))[0].threads == min(available_processors(), 256)
    cluster.feed_columns(*columns)
    cluster.save(tmp_path)
    loaded = ClusterDetector.load(tmp_path, threads=2)
    assert [shard.threads for shard in shards_of(loaded)] == [2, 2]
    with all_shared():
        found = loaded.feed_columns(*columns)
    assert all(shard.memory().judges > 0 for shard in shards_of(loaded))
    assert flags_bytes(found) == flags_bytes(cluster.feed_columns(*columns))
    assert np.array_equal(found.rows, np.sort(found.rows))
