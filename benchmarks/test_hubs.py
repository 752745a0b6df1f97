"""Measure edits at a user with very many friends: their number should not matter."""

import numpy as np
import pytest

from benchmarks.crowd import friendships
from fastanomaly import BEFRIEND, UNFRIEND, Detector

HUB, OTHER_HUB = 0, 1
FIRST_FRIEND = 2
EDITS = 1_000

pytestmark = pytest.mark.parametrize("friends", [100, 10_000, 1_000_000])


@pytest.fixture
def detector(friends):
    """Return a detector with two hubs that are friends and have the same other friends."""
    detector = Detector(degree=1, tracked=2)
    those = np.arange(FIRST_FRIEND, FIRST_FRIEND + friends)
    for hub in (HUB, OTHER_HUB):
        detector.feed_columns(*friendships(BEFRIEND, hub, those))
    detector.befriend(HUB, OTHER_HUB)
    return detector


def check(benchmark, detector, friends, friend):
    """Record the time per edit, if the hubs end up with the right friends."""
    everybody = {str(user) for user in range(FIRST_FRIEND, FIRST_FRIEND + friends)}
    for hub, other in ((HUB, OTHER_HUB), (OTHER_HUB, HUB)):
        assert set(detector.network(hub)) == everybody | {str(other)}
    detector.unfriend(HUB, friend)
    assert str(friend) not in detector.network(HUB)
    assert str(HUB) not in detector.network(friend)
    assert len(detector.network(HUB)) == friends
    benchmark.extra_info["answers"] = "right"
    if benchmark.stats:
        benchmark.extra_info["ns_per_edit"] = round(benchmark.stats["min"] / EDITS * 1e9)


@pytest.mark.benchmark(group="1,000 edits at a hub: its friends leave and come back")
def test_friends(benchmark, detector, friends):
    chosen = np.random.default_rng(0).integers(
        FIRST_FRIEND, FIRST_FRIEND + friends, EDITS // 2
    )
    kinds = np.tile([UNFRIEND, BEFRIEND], EDITS // 2)
    edits = friendships(kinds, HUB, np.repeat(chosen, 2))
    benchmark(detector.feed_columns, *edits)
    check(benchmark, detector, friends, int(chosen[0]))


@pytest.mark.benchmark(group="1,000 edits between two hubs")
def test_two_hubs(benchmark, detector, friends):
    kinds = np.tile([UNFRIEND, BEFRIEND], EDITS // 2)
    benchmark(detector.feed_columns, *friendships(kinds, HUB, OTHER_HUB))
    check(benchmark, detector, friends, OTHER_HUB)
