"""A made-up crowd of any size, in columns: friendships with hubs, purchases, and a storm.

Everything follows from the seed, and nothing is kept: who asks twice, in another process
even, gets the same events again. Blocks of rows keep the memory of the making small
beside that of what is made.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastanomaly import BEFRIEND, PURCHASE, Detector

Integers = npt.NDArray[np.int64]
# Kinds, times, users, friends and amounts: the arguments of `Detector.feed_columns`.
Columns = tuple[npt.NDArray[np.uint8], Integers, Integers, Integers, Integers]

BLOCK_ROWS = 1 << 20
FIRST_US = 1_497_466_000_000_000
STEP_US = 20  # 50,000 purchases a second, like the published sample
DOLLARS = (10, 150)
UNITS = 1_000_000

# What the streams of random numbers are for.
FRIENDSHIPS, PURCHASES, STORM = range(3)


class Storm(NamedTuple):
    """What happens after the load: an edit, a purchase, an edit, a purchase, ..."""

    befriends: list[bool]  # for each edit; else it is an unfriend
    users: list[int]
    friends: list[int]
    buyers: list[int]
    dollars: list[int]
    times_us: list[int]


class Crowd(NamedTuple):
    """Users with ids from 0, and how many friendships and purchases they have when loaded.

    One of two friends is anybody, the other one is somebody popular, as in
    `fastanomaly simulate --friendships heavy-tailed`: the user of rank r is chosen in
    proportion to about r^(1/p - 1), with the p at which the first rank gets a friend in
    `hub_share` of all users. At 10^6 users and 10 friendships each, that is the power
    2.5 of degrees. Without a hub both are anybody.
    """

    users: int
    friendships: int
    purchases: int
    hub_share: float = 0.1
    seed: int = 0

    def load(self, detector: Detector) -> int:
        """Put friendships and purchases in; return how many friends the largest hub has."""
        hub = self.of_rank(np.zeros(1, np.int64))[0]
        is_friend = np.zeros(self.users, bool)
        source = self.source(FRIENDSHIPS)
        # A pair may come again, and changes nothing then: go on until there are enough.
        while (missing := self.friendships - detector.counts.friendships) > 0:
            users, friends = self.pairs(source, min(missing, BLOCK_ROWS))
            detector.feed_columns(*friendships(BEFRIEND, users, friends), judge=False)
            is_friend[users[friends == hub]] = True
            is_friend[friends[users == hub]] = True
        for columns in self.purchase_blocks():
            detector.feed_columns(*columns, judge=False)
        return int(is_friend.sum())

    def purchase_blocks(self) -> Iterator[Columns]:
        """Yield the purchases, by anybody, as the columns of `Detector.feed_columns`."""
        source = self.source(PURCHASES)
        for first in range(0, self.purchases, BLOCK_ROWS):
            count = min(BLOCK_ROWS, self.purchases - first)
            kinds = np.full(count, PURCHASE, np.uint8)
            times = FIRST_US + STEP_US * np.arange(first, first + count)
            buyers = source.integers(self.users, size=count)
            units = source.integers(*DOLLARS, size=count) * UNITS
            yield kinds, times, buyers, np.zeros(count, np.int64), units

    def storm(self, count: int) -> Storm:
        """Return as many edits and purchases.

        Befriends are of new pairs, unfriends of the oldest friendships, by turns.
        """
        source = self.source(STORM)
        users, friends = self.pairs(source, count)
        oldest = self.pairs(self.source(FRIENDSHIPS), min(self.friendships, BLOCK_ROWS))
        befriends = np.arange(count) % 2 == 0
        for ids, of_oldest in zip((users, friends), oldest, strict=True):
            ids[~befriends] = np.resize(of_oldest, count // 2)
        dollars = source.integers(*DOLLARS, size=count)
        times = FIRST_US + STEP_US * np.arange(self.purchases, self.purchases + count)
        buyers = source.integers(self.users, size=count)
        return Storm(
            *(part.tolist() for part in (befriends, users, friends, buyers, dollars, times))
        )

    def source(self, stream: int) -> np.random.Generator:
        """Return a stream of random numbers, from its start."""
        return np.random.default_rng([self.seed, stream])

    def pairs(self, source: np.random.Generator, count: int) -> tuple[Integers, Integers]:
        """Return pairs of two different users: anybody, and somebody popular."""
        if self.hub_share:
            places = source.random(count) ** self.power()
            liked = self.of_rank((places * self.users).astype(np.int64))
        else:
            liked = source.integers(self.users, size=count)
        gap = source.integers(1, self.users, size=count)
        return (liked + gap) % self.users, liked

    def power(self) -> float:
        """Return the p at which the first rank has its share of friends."""
        # So many of the pairs, the same ones left out, make that share of the users.
        first = -math.log1p(-self.hub_share) * self.users / self.friendships
        return max(1.0, -math.log(self.users) / math.log(first))

    def of_rank(self, ranks: Integers) -> Integers:
        """Return users by rank: ranks are spread over the ids."""
        step = self.users * 618_034 // 1_000_000 | 1
        while math.gcd(step, self.users) != 1:
            step += 2
        return ranks * step % self.users


def friendships(kinds: npt.ArrayLike, users: npt.ArrayLike, friends: npt.ArrayLike) -> Columns:
    """Return friendship events as the columns of `Detector.feed_columns`."""
    kinds, users, friends = np.broadcast_arrays(kinds, users, friends)
    none = np.zeros(len(kinds), np.int64)
    return kinds.astype(np.uint8), none, users.astype(np.int64), friends.astype(np.int64), none
