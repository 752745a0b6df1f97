"""What the judges of further threads cost: bytes by user, and nothing else that grows."""

import numpy as np
import pytest
from batches import all_shared

from fastanomaly import BEFRIEND, PURCHASE, Detector

THREADS = 8
USER_BYTES = 16  # at most, the queue's four included
FIXED_BYTES = 20_000  # window and candidates of T purchases


def judges_bytes(users, friendships=0, purchases=0, tracked=50):
    """Return what 7 judges cost after judging one batch in a state of that size."""
    rng = np.random.default_rng(1)
    detector = Detector(2, tracked, threads=THREADS)
    kinds = np.array([PURCHASE] * users + [BEFRIEND] * friendships + [PURCHASE] * purchases)
    rows = len(kinds)
    first = np.concatenate([np.arange(users), rng.integers(users, size=rows - users)])
    friends = (first + 1 + rng.integers(users - 1, size=rows)) % users
    times, amounts = np.arange(rows) + 10**15, np.full(rows, 10**6)
    detector.feed_columns(kinds, times, first, friends, amounts, judge=False)
    with all_shared():
        few = slice(500)
        detector.feed_columns(kinds[few], times[few], first[few], friends[few], amounts[few])
    assert detector.sharing().shared == 500
    return detector.memory().judges


@pytest.mark.parametrize("users", [20_000, 200_000])
def test_a_judge_costs_at_most_16_bytes_a_user(users):
    for_one = judges_bytes(users) / (THREADS - 1)
    assert 8 * users < for_one <= USER_BYTES * users + FIXED_BYTES


def test_a_judge_costs_nothing_a_friendship_or_a_purchase():
    assert judges_bytes(2_000) == judges_bytes(2_000, friendships=50_000)
    assert judges_bytes(2_000) == judges_bytes(2_000, purchases=50_000)
