"""A simulated crowd of any size, in columns: friendships with hubs, purchases, and a storm.

Everything follows from the seed and nothing is stored: a second call, even in another
process, returns the same events. Rows come in blocks, so that generating them needs little
memory compared with the detector.
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

# The streams of random numbers.
FRIENDSHIPS, PURCHASES, STORM = range(3)


class Storm(NamedTuple):
    """The events after the load: an edit, a purchase, an edit, a purchase, ..."""

    befriends: list[bool]  # for each edit; False is an unfriend
    users: list[int]
    friends: list[int]
    buyers: list[int]
    dollars: list[int]
    times_us: list[int]


class Crowd(NamedTuple):
    """Users with ids from 0, and the number of friendships and purchases to load.

    One user of a friendship is uniform, the other one popular, as in
    `fastanomaly simulate --friendships heavy-tailed`: the user of rank r is chosen in
    proportion to about r^(1/p - 1), with p such that the first rank is a friend of a
    share `hub_share` of all users. At 10^6 users and 10 friendships each, degrees then
    have a power law of exponent 2.5. Without a hub both users are uniform.
    """

    users: int
    friendships: int
    purchases: int
    hub_share: float = 0.1
    seed: int = 0

    def load(self, detector: Detector) -> int:
        """Load friendships and purchases; return how many friends the largest hub has."""
        hub = self.of_rank(np.zeros(1, np.int64))[0]
        is_friend = np.zeros(self.users, bool)
        source = self.source(FRIENDSHIPS)
        # Repeated pairs change nothing: continue until there are enough.
        while (missing := self.friendships - detector.counts.friendships) > 0:
            users, friends = self.pairs(source, min(missing, BLOCK_ROWS))
            detector.feed_columns(*friendships(BEFRIEND, users, friends), judge=False)
            is_friend[users[friends == hub]] = True
            is_friend[friends[users == hub]] = True
        for columns in self.purchase_blocks():
            detector.feed_columns(*columns, judge=False)
        return int(is_friend.sum())

    def purchase_blocks(self) -> Iterator[Columns]:
        """Yield purchases of uniform users as the columns of `Detector.feed_columns`."""
        source = self.source(PURCHASES)
        for first in range(0, self.purchases, BLOCK_ROWS):
            count = min(BLOCK_ROWS, self.purchases - first)
            kinds = np.full(count, PURCHASE, np.uint8)
            times = FIRST_US + STEP_US * np.arange(first, first + count)
            buyers = source.integers(self.users, size=count)
            units = source.integers(*DOLLARS, size=count) * UNITS
            yield kinds, times, buyers, np.zeros(count, np.int64), units

    def storm(self, count: int) -> Storm:
        """Return `count` edits and as many purchases.

        Edits are alternately befriends of new pairs and unfriends of the oldest ones.
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
        """Return a stream of random numbers from its start."""
        return np.random.default_rng([self.seed, stream])

    def pairs(self, source: np.random.Generator, count: int) -> tuple[Integers, Integers]:
        """Return pairs of two different users: a uniform and a popular one."""
        if self.hub_share:
            places = source.random(count) ** self.power()
            liked = self.of_rank((places * self.users).astype(np.int64))
        else:
            liked = source.integers(self.users, size=count)
        gap = source.integers(1, self.users, size=count)
        return (liked + gap) % self.users, liked

    def power(self) -> float:
        """Return the p that gives the first rank its share of friends."""
        # The share of pairs that reaches this share of users, repeated pairs excluded.
        first = -math.log1p(-self.hub_share) * self.users / self.friendships
        return max(1.0, -math.log(self.users) / math.log(first))

    def of_rank(self, ranks: Integers) -> Integers:
        """Return users by rank; ranks are spread over the ids."""
        step = self.users * 618_034 // 1_000_000 | 1
        while math.gcd(step, self.users) != 1:
            step += 2
        return ranks * step % self.users


def friendships(kinds: npt.ArrayLike, users: npt.ArrayLike, friends: npt.ArrayLike) -> Columns:
    """Return friendship events as the columns of `Detector.feed_columns`."""
    kinds, users, friends = np.broadcast_arrays(kinds, users, friends)
    none = np.zeros(len(kinds), np.int64)
    return kinds.astype(np.uint8), none, users.astype(np.int64), friends.astype(np.int64), none
