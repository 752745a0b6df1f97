"""What one process and each shard of a cluster cost, by the size of a log.

Every formula is one line of arithmetic with numbers that were counted or measured; each says
which. `tests/cluster/test_planning.py` compares them with clusters.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

from fastanomaly.cluster.planning.counted import (
    BATCH_BYTES_PER_EVENT,
    COUNTED,
    COUNTED_TRACKED,
    JUDGE_US,
    Counted,
)
from fastanomaly.cluster.planning.needs import Needs

PURCHASE_SHARE = 0.8
"""Purchases among all events, as in the benchmarks."""

APPLY_US = 0.34
"""Microseconds to apply an event, measured at 10^6 users: docs/cluster.md."""

# Bytes of the engine's arrays. Those with an entry for each user grow by an eighth, so that a
# sixteenth of them is unused on average.
_SPARE = 17 / 16
_USER = 40  # id, friends, ring, and the time of the last purchase
_JUDGE = 12  # two marks and a queue, for each thread that judges
_SLOT = 4  # of the table of ids, which is at most two thirds full
_BLOCK = 8  # a list of friends and a ring have so much more
_FRIEND = 4.4  # counted: 4, and the unused part of a block
_PURCHASE = 25  # counted: 24, and the same
_LIST_PAGES = 330_000  # blocks come in pages: of each size of blocks, one is not full
_RING_PAGES = 220_000
_RECENT = 28.3
_RECENCY_BOUND = 1 << 16
_EVICTION = 48 * 2  # and the table of them
_SCRATCH = 400_000

UNFINISHED_BATCHES = 64
"""How many batches a cluster has on their way at most."""

BATCH_EVENTS = 256
"""The default of `ClusterDetector`."""


class StateMemory(NamedTuple):
    """The bytes of a shard, or of one process, by purpose."""

    users: float
    friendships: float
    purchases: float
    recency: float
    evictions: float
    scratch: float
    judges: float

    @property
    def total(self) -> float:
        """Their sum."""
        return sum(self)


def state_memory(needs: Needs, shards: int, threads: int = 1) -> StateMemory:
    """Return the memory of one of K shards, or of one process (K = 1) with some threads."""
    users = needs.users
    slots = 2 ** max(6, math.ceil(math.log2(1.5 * users)))
    kept = min(needs.purchases, needs.tracked)
    in_flight = UNFINISHED_BATCHES * BATCH_EVENTS * PURCHASE_SHARE
    full = needs.purchases >= needs.tracked
    judge = _JUDGE * _SPARE * users
    return StateMemory(
        _USER * _SPARE * users + _SLOT * slots,
        users * (_BLOCK + _FRIEND * needs.friends) + _LIST_PAGES if needs.friends else 0,
        users * (_BLOCK + _PURCHASE * kept) / shards + _RING_PAGES if kept else 0,
        min(users * needs.purchases, _RECENCY_BOUND) * _RECENT,
        in_flight / shards * _EVICTION if full and shards > 1 else 0,
        _SCRATCH + judge,
        (threads - 1) * judge,
    )


def judge_us(needs: Needs) -> float:
    """Return the microseconds to judge a purchase with one thread.

    Measured ones are interpolated by the number of users, and not extrapolated beyond the
    largest: the time follows from hubs and from how much of the network is near, not from how
    many users there are. Beyond D = 5 they do not change; beyond T = 50 they grow with T.
    """
    if needs.judge_us is not None:
        return needs.judge_us
    points = [
        (math.log(users), math.log(times[min(needs.degree, len(times)) - 1]))
        for users, times in JUDGE_US.items()
    ]
    at = math.exp(_interpolated(points, math.log(needs.users)))
    return at * max(1.0, needs.tracked / COUNTED_TRACKED)


def _interpolated(points: list[tuple[float, float]], x: float) -> float:
    """Return the height of a line through points at x, or of the nearest one."""
    x = min(max(x, points[0][0]), points[-1][0])
    for (left, low), (right, high) in pairwise(points):
        if x <= right:
            return low + (high - low) * (x - left) / (right - left)
    return points[-1][1]


def counted_at(degree: int, shards: int) -> Counted:
    """Return what was counted at D and K, interpolated by the logarithm of K.

    Beyond the largest K, each doubling adds as much as the last one did. Beyond D = 4, it is
    what was counted at D = 4.
    """
    rows = COUNTED[min(degree, max(COUNTED))]
    place = math.log2(shards)
    index = min(int(place), len(rows) - 2)
    low, high = rows[index], rows[index + 1]
    part = place - index
    return Counted(*(max(0.0, a + (b - a) * part) for a, b in zip(low, high, strict=True)))


def asked_bytes(needs: Needs, shards: int) -> float:
    """Return the bytes of asks and answers for each purchase; in proportion to T."""
    return counted_at(needs.degree, shards).bytes * needs.tracked / COUNTED_TRACKED


def most_asked_bytes(needs: Needs, shards: int) -> float:
    """Return the same if every purchase had to ask, as many as at D = 1 do."""
    everywhere = counted_at(1, shards).bytes, counted_at(2, shards).bytes_if_asked
    return max(everywhere) * needs.tracked / COUNTED_TRACKED


def batch_bytes(needs: Needs) -> float:
    """Return the bytes a second of the columns that each shard gets."""
    return BATCH_BYTES_PER_EVENT * needs.rate


def apply_load(needs: Needs) -> float:
    """Return how many processors applying all events keeps busy: on each shard."""
    return needs.rate * APPLY_US * 1e-6


def judge_load(needs: Needs, shards: int) -> float:
    """Return how many processors judging keeps busy, of all shards; K = 1: one process."""
    work = counted_at(needs.degree, shards).work if shards > 1 else 1.0
    return needs.rate * PURCHASE_SHARE * judge_us(needs) * 1e-6 * work
