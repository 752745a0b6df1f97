"""What a cluster says of networks is what one process says."""

from random import Random

import profiles
import pytest
from clusterlogs import crowd
from deliveries import seeded_cluster
from lines import befriend
from randomlogs import random_logs

from fastanomaly import Detector
from fastanomaly._core import ShardEngine
from fastanomaly.cluster import ClusterDetector
from fastanomaly.errors import ParameterError

LOGS = profiles.current().cluster_logs
CHUNK = 50
SHARDS = (1, 2, 3, 5)


def pairs():
    """Yield a random generator, a cluster, a detector with the same events, and its users."""
    for seed in range(LOGS // 2):
        rng = Random(seed)
        logs = random_logs(seed)
        settings = logs.degree, logs.tracked, logs.sigmas
        both = two_of(rng, settings)
        for detector in both:
            detector.feed(logs.batch + logs.stream, max_line=logs.max_line)
        yield rng, *both
        settings = rng.randint(1, 4), rng.choice((2, 5, 50)), 1
        columns = crowd(rng, rng.choice((4, 30, 300)), rng.choice((40, 1000)))
        both = two_of(rng, settings)
        for detector in both:
            detector.feed_columns(*columns)
        yield rng, *both


def two_of(rng, settings):
    """Return an empty cluster and a detector."""
    cluster = seeded_cluster(
        rng.random(), *settings, shards=rng.choice(SHARDS), batch_events=rng.choice((7, 100))
    )
    return cluster, Detector(*settings, threads=1)


def some_users(rng, single):
    """Return some users of a detector, and one that it does not know."""
    users = single.sample_users(10**6)
    return [*rng.sample(users, min(len(users), 5)), "nobody"]


def levels(users, sizes):
    """Return the users at each distance, in any order."""
    found = []
    for size in sizes:
        found.append(set(users[:size]))
        users = users[size:]
    return found


def test_networks():
    distances = set()
    for rng, cluster, single in pairs():
        for user in some_users(rng, single):
            degree = rng.choice((single.degree, 1, 2, 9))
            sizes = single.network_sizes(user, degree)
            assert cluster.network_sizes(user, str(degree)) == sizes
            distances.add(len(sizes))
            found, expected = cluster.network(user), single.network(user)
            sizes = single.network_sizes(user, single.degree)
            assert levels(found, sizes) == levels(expected, sizes)
            assert len(found) == len(expected)
        for most in (0, 1, rng.randrange(400), 10**6):
            assert cluster.sample_users(most) == single.sample_users(most)
    assert {0, 1, 2, 3, 4} <= distances


def test_wrong_values():
    cluster = ClusterDetector(2, 5, shards=2)
    cluster.feed([befriend("1", "2")])
    for user, error in (("", ValueError), (1.5, TypeError), (None, TypeError)):
        with pytest.raises(error, match="user id: "):
            cluster.network(user)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"D: 0 is not in 1\.\."):
        cluster.network_sizes("1", 0)
    engine = ShardEngine(0, 1, 2, 5, 3, 1)
    for uid in (-1, 0, 5):
        assert engine.paths("1", 1, [uid]) == ([], [])
    assert cluster.exchange.call(0, "network", 1) == ["2"]
    assert cluster.exchange.call(1, "paths", "1", 1, [1, 1]) == ([1], [("1", "2")] * 2)
    for uid in (-1, 2):
        with pytest.raises(ValueError, match=f"user {uid} is not in the network"):
            cluster.exchange.call(1, "paths", "1", 1, [uid])
