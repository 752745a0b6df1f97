"""What a cluster says of networks is what one process says."""

from collections import Counter
from itertools import pairwise
from random import Random

import lines
import profiles
import pytest
from allocations import failing_after
from clusterlogs import befriend, crowd, growing_log, rows
from deliveries import seeded_cluster
from randomlogs import random_logs

from fastanomaly import Detector
from fastanomaly._core import ShardEngine
from fastanomaly.cluster import ClusterDetector
from fastanomaly.errors import ParameterError, UsageError

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
        hubs = rng.sample(range(4), rng.choice((0, 0, 3)))
        for detector in both:
            detector.feed_columns(*rows(befriend(0, 1), *star(hubs)))
            detector.feed_columns(*columns)
        yield rng, *both


def star(hubs):
    """Return the friendships of users who have a hundred friends each."""
    return [befriend(hub, hub * 60 + friend) for hub in hubs for friend in range(1, 101)]


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


def questions(rng, single):
    """Return arguments of `explain`: a user, an amount, and options."""
    tracked = rng.choice((None, 2, single.tracked))
    degrees = rng.choice((1, [1, 2, 7], ()))
    return (
        rng.choice(some_users(rng, single)),
        rng.choice((1, "99.5", 10**9)),
        {
            "tracked": tracked,
            "degrees": degrees,
            "other_tracked": rng.choice(([2, 3, 50], ())),
        },
    )


def without_paths(explanation):
    """Return an explanation in which a path has only its length and its ends."""
    baseline = [
        purchase._replace(path=(purchase.path[0], purchase.degree, purchase.user))
        for purchase in explanation.baseline
    ]
    return explanation._replace(baseline=baseline)


def test_explanations():
    seen = Counter()
    for rng, cluster, single in pairs():
        friends = friends_of(single)
        hubs = max(map(len, friends.values()), default=0) > 48  # in the order of a secret
        for _ in range(10):
            user, amount, options = questions(rng, single)
            found = cluster.explain(user, amount, **options)
            expected = single.explain(user, amount, **options)
            check_paths(found, friends)
            if hubs:
                found, expected = without_paths(found), without_paths(expected)
            assert found == expected
            seen["flagged"] += found.anomalous
            seen["compared"] += found.verdict.n > 1
            seen["far"] += any(purchase.degree > 1 for purchase in found.baseline)
            seen["hubs"] += hubs and found.verdict.n > 1
        assert cluster.counts == single.counts
    assert min(seen.values()) > 20, seen


def friends_of(single):
    """Return the friends of each user of a detector."""
    degree, single.degree = single.degree, 1
    found = {user: set(single.network(user)) for user in single.sample_users(10**6)}
    single.degree = degree
    return found


def check_paths(explanation, friends):
    """Check that each step of a path leads to a friend, and that the paths make a tree."""
    before = {}
    for purchase in explanation.baseline:
        for one, other in pairwise(purchase.path):
            assert other in friends[one]
            assert before.setdefault(other, one) == one


@pytest.mark.parametrize("method", ["network", "sample_users", "latest", "paths"])
def test_each_allocation_fails_in_turn(method):
    engine = ShardEngine(0, 1, 3, 300, 3, 1)
    engine.feed(0, *(column[:1000] for column in growing_log()), judged=False)
    arguments = {"network": (0,), "sample_users": (50,), "latest": (0, 3, 300)}.get(
        method, (0, 3, [5, 6, 7])
    )
    failures = 0
    while True:
        try:
            with failing_after(failures):
                found = getattr(engine, method)(*arguments)
            break
        except MemoryError:
            failures += 1
        engine.check()
    assert found
    assert failures > 0 or method == "sample_users"
    assert getattr(engine, method)(*arguments) == found


def test_wrong_values():
    cluster = ClusterDetector(2, 5, shards=2)
    cluster.feed([lines.befriend("1", "2")])
    for user, error in (("", ValueError), (1.5, TypeError), (None, TypeError)):
        with pytest.raises(error, match="user id: "):
            cluster.network(user)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"D: 0 is not in 1\.\."):
        cluster.network_sizes("1", 0)
    for amount in (-1, "x"):
        with pytest.raises(ValueError, match="amount: "):
            cluster.explain("1", amount)
    with pytest.raises(UsageError, match="T: 6 is more than the detector's own, 5"):
        cluster.explain("1", 5, tracked=6)
    engine = ShardEngine(0, 1, 2, 5, 3, 1)
    for uid in (-1, 0, 5):
        assert engine.paths("1", 1, [uid]) == ([], [])
    assert cluster.exchange.call(0, "network", 1) == ["2"]
    assert cluster.exchange.call(1, "paths", "1", 1, [1, 1]) == ([1], [("1", "2")] * 2)
    for uid in (-1, 2):
        with pytest.raises(ValueError, match=f"user {uid} is not in the network"):
            cluster.exchange.call(1, "paths", "1", 1, [uid])
