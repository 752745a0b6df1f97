"""A cluster gives the flags of one process, to the byte, whenever messages arrive."""

from collections import Counter
from random import Random

import batches
import numpy as np
import profiles
import pytest
from clusterlogs import crowd
from deliveries import check_same, flags_bytes, seeded_cluster
from randomlogs import random_logs
from reference import ReferenceDetector

from fastanomaly import BEFRIEND, PURCHASE, UNFRIEND, Detector

LOGS = profiles.current().cluster_logs
CHUNK = 50
SHARDS = (1, 2, 3, 5)
BATCHES = (1, 2, 10, 100, 1000)
DEGREES = (1, 1, 2, 2, 3, 4, 5)


@pytest.mark.parametrize("first_seed", range(0, LOGS, CHUNK))
def test_agrees_with_one_process(first_seed):
    for seed in range(first_seed, min(first_seed + CHUNK, LOGS)):
        logs, rng = random_logs(seed), Random(seed)
        settings = logs.degree, logs.tracked, logs.sigmas
        single, reference = Detector(*settings, threads=1), ReferenceDetector(*settings)
        cluster = seeded_cluster(
            seed, *settings, shards=rng.choice(SHARDS), batch_events=rng.choice(BATCHES)
        )
        for log, judge in ((logs.batch, False), (logs.stream, True), (logs.stream, True)):
            events = batches.events_of(log, logs.max_line)
            if not events:
                continue
            columns = batches.columns_of(events)
            expected = single.feed_columns(*columns, judge=judge)
            found = cluster.feed_columns(*columns, judge=judge)
            assert flags_bytes(found) == flags_bytes(expected), seed
            simple = batches.apply_reference(reference, events, judge)
            assert [(row, n) for row, n, *_ in simple] == list(zip(*found[:2], strict=True))
        check_same(cluster, single)


def compare(seed, columns, settings, options, seen):
    """Compare a cluster with one process, some rows at a time; adds to what was seen."""
    cluster, single = seeded_cluster(seed, *settings, **options), Detector(*settings)
    for start in range(0, len(columns[0]), 1100):
        part = [column[start : start + 1100] for column in columns]
        expected = single.feed_columns(*part)
        assert flags_bytes(cluster.feed_columns(*part)) == flags_bytes(expected), seed
    check_same(cluster, single)
    seen += cluster.exchange.seen


@pytest.mark.parametrize("first_seed", range(0, LOGS, CHUNK))
def test_crowds(first_seed):
    seen = Counter()
    for seed in range(first_seed, min(first_seed + CHUNK, LOGS)):
        rng = Random(seed)
        columns = crowd(rng, rng.choice((4, 30, 300)), rng.choice((40, 1000, 3000)))
        settings = rng.choice(DEGREES), rng.choice((2, 3, 5, 20, 50, 300)), 0
        options = {"shards": rng.choice(SHARDS), "batch_events": rng.choice(BATCHES)}
        compare(seed, columns, settings, options, seen)
    # What is to be tested has happened.
    assert seen["asked", 0] > 100
    assert seen["batch too early"] > 100
    assert seen["evictions kept"] > 100


def groups(rng, users, rows):
    """Return columns where friends are in groups of five of which one buys nearly all.

    That is far more than the share of its owner, who must be asked again.
    """
    found = []
    for row in range(rows):
        first = rng.randrange(0, users, 5)
        if row < users or rng.random() < 0.1:
            user, other = rng.sample(range(first, first + 5), 2)
            found.append((rng.choice((BEFRIEND, UNFRIEND, BEFRIEND)), 0, user, other, 0))
            continue
        buyer = first if rng.random() < 0.9 else first + rng.randrange(5)
        time = 10**15 + row // 2 - rng.choice((0, 0, 0, rng.randrange(row)))
        found.append((PURCHASE, time, buyer, 0, rng.randrange(10**8)))
    return [np.array(column) for column in zip(*found, strict=True)]


def test_owners_are_asked_again():
    seen = Counter()
    for seed in range(LOGS // 10):
        rng = Random(seed)
        settings = rng.choice((1, 2)), rng.choice((20, 30, 300)), 0
        options = {"shards": rng.choice(SHARDS[1:]), "batch_events": rng.choice(BATCHES)}
        compare(seed, groups(rng, 200, 3000), settings, options, seen)
    assert seen["asked", 1] > 20
