"""Measure the worst case of single operations.

Run it as `python benchmarks/worst.py`; it prints one Markdown table on standard output.
A *storm* is a state and at least 100,000 operations on it that are chosen to be expensive:
a hub that grows friend by friend, all purchases at one timestamp, every purchase late. Each
operation is one call, timed on its own (including about 0.1 µs for the clock).

A single time also includes what the system did meanwhile: losing the core costs
milliseconds. So the same storm, from the same seed, runs three times, and the least of the
three times of each operation counts. What an operation costs the engine itself, such as
doubling a table, recurs at the same operation in each run; an interruption hardly hits the
same one of 100,000 operations three times.

*Ordinary* is the median of the same call in an ordinary state: 10,000 users with ten
friendships and ten purchases each, heavy-tailed. A storm that takes longer than `--seconds`
per run is cut short: its row has the number of operations done. After the first run the
engine checks its whole state.
"""

import argparse
import gc
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # when run as a script

from benchmarks.crowd import FIRST_US, UNITS, Crowd, friendships
from benchmarks.report import Spread, conditions, positive, progress, table, us
from fastanomaly import BEFRIEND, PURCHASE, Detector

TRACKED = 50
HUB, OTHER_HUB = 0, 1  # users
ORDINARY = Crowd(users=10_000, friendships=100_000, purchases=100_000)

Operation = tuple[Callable[..., Any], tuple[Any, ...]]


class Sizes(NamedTuple):
    """How large the storms are."""

    operations: int
    hub: int  # friends
    chain: int  # users
    clique: int  # users
    ring: int  # purchases of one user
    growth: int  # users


class State(NamedTuple):
    """A detector and the operations to time."""

    detector: Detector
    operations: Iterable[Operation]


class Storm(NamedTuple):
    """A storm: its name, the kind of its operations, its D, and the function that makes it."""

    name: str
    kind: str
    degree: int
    make: Callable[[Sizes, int], State]


def source() -> np.random.Generator:
    """Return the random numbers of a storm from their start."""
    return np.random.default_rng(0)


def record_columns(detector: Detector, users: npt.ArrayLike, times_us: npt.ArrayLike) -> None:
    """Record a purchase of each user at each time."""
    users, times_us = np.broadcast_arrays(users, times_us)
    kinds = np.full(len(users), PURCHASE, np.uint8)
    units = np.full(len(users), UNITS)
    detector.feed_columns(kinds, times_us, users, users, units, judge=False)


def known(users: int, degree: int = 1) -> Detector:
    """Return a detector with that many users, one purchase each and no friends."""
    detector = Detector(degree, TRACKED)
    record_columns(detector, source().permutation(users), FIRST_US + np.arange(users))
    return detector


def befriend_all(detector: Detector, user: npt.ArrayLike, friends: npt.ArrayLike) -> None:
    """Make a user the friend of many."""
    detector.feed_columns(*friendships(BEFRIEND, user, friends), judge=False)


def star(friends: int, degree: int = 1) -> Detector:
    """Return a detector with a hub whose friends have no other friends."""
    detector = known(friends + 2, degree)
    befriend_all(detector, HUB, np.arange(2, friends + 2))
    return detector


def loaded(degree: int) -> Detector:
    """Return a detector in the ordinary state."""
    detector = Detector(degree, TRACKED)
    ORDINARY.load(detector)
    return detector


def toggles(detector: Detector, user: int, friends: Iterable[int]) -> Iterator[Operation]:
    """End each friendship and make it again."""
    for friend in friends:
        yield detector.unfriend, (user, friend)
        yield detector.befriend, (user, friend)


def purchases(
    call: Callable[..., Any], buyers: npt.ArrayLike, times_us: npt.ArrayLike
) -> Iterator[Operation]:
    """Make one purchase of each buyer at each time."""
    buyers, times_us = np.broadcast_arrays(buyers, times_us)
    for buyer, time_us in zip(buyers.tolist(), times_us.tolist(), strict=True):
        yield call, (buyer, 1, time_us)


def anybody(users: int, count: int) -> npt.NDArray[np.int64]:
    """Return users at random."""
    return source().integers(users, size=count)


def hub_grows(sizes: Sizes, _: int) -> State:
    """A hub gets its friends one by one."""
    detector = known(sizes.hub + 1)
    friends = range(1, sizes.hub + 1)
    return State(detector, ((detector.befriend, (HUB, friend)) for friend in friends))


def hub_shrinks(sizes: Sizes, _: int) -> State:
    """A hub loses its friends one by one, in random order."""
    detector = star(sizes.hub)
    friends = source().permutation(sizes.hub) + 2
    return State(detector, ((detector.unfriend, (HUB, f)) for f in friends.tolist()))


def hub_toggles(sizes: Sizes, _: int) -> State:
    """Friends of a hub are removed and added again."""
    detector = star(sizes.hub)
    friends = anybody(sizes.hub, sizes.operations // 2) + 2
    return State(detector, toggles(detector, HUB, friends.tolist()))


def hubs_toggle(sizes: Sizes, _: int) -> State:
    """The friendship of two hubs with the same friends ends and begins again."""
    detector = star(sizes.hub)
    befriend_all(detector, OTHER_HUB, np.arange(2, sizes.hub + 2))
    detector.befriend(HUB, OTHER_HUB)
    return State(detector, toggles(detector, HUB, [OTHER_HUB] * (sizes.operations // 2)))


def hub_borders(sizes: Sizes, _: int) -> State:
    """A hub grows and shrinks across the sizes at which its arrays are likely to change."""
    detector = known(sizes.hub + 1)
    powers = 2 ** np.arange(3, sizes.hub.bit_length())
    borders = np.unique([powers, powers * 3 // 4, powers * 2 // 3])
    borders = borders[(borders >= 6) & (borders + 16 < sizes.hub)].tolist()
    # From 8 below to 8 above (or from 3, where it is small), and back.
    rounds = sizes.operations // (32 * len(borders)) + 1

    def operations() -> Iterator[Operation]:
        has = 0
        for border in borders:
            low, high = max(border - 8, 3), border + 8
            if has < low:
                befriend_all(detector, HUB, np.arange(has + 1, low + 1))
                has = low
            for _ in range(rounds):
                while has < high:
                    has += 1
                    yield detector.befriend, (HUB, has)
                while has > low:
                    yield detector.unfriend, (HUB, has)
                    has -= 1

    return State(detector, operations())


def star_judged(sizes: Sizes, degree: int) -> State:
    """A hub and its friends buy alternately."""
    detector = star(sizes.hub, degree)
    buyers = anybody(sizes.hub, sizes.operations) + 2
    buyers[::2] = HUB
    times = FIRST_US + sizes.hub + np.arange(sizes.operations) + 2
    return State(detector, purchases(detector.purchase, buyers, times))


def one_time(sizes: Sizes, degree: int) -> State:
    """All users buy at one timestamp, and are judged."""
    detector = loaded(degree)
    buyers = anybody(ORDINARY.users, sizes.operations)
    return State(detector, purchases(detector.purchase, buyers, FIRST_US + 10**9 + 0 * buyers))


def all_late(sizes: Sizes, degree: int) -> State:
    """Every purchase is older than all before it, and is judged."""
    detector = loaded(degree)
    buyers = anybody(ORDINARY.users, sizes.operations)
    return State(detector, purchases(detector.purchase, buyers, FIRST_US - np.cumsum(buyers)))


def any_order(sizes: Sizes, degree: int) -> State:
    """Timestamps come in random order, and are judged."""
    detector = loaded(degree)
    buyers = anybody(ORDINARY.users, sizes.operations)
    times = FIRST_US + source().permutation(sizes.operations)
    return State(detector, purchases(detector.purchase, buyers, times))


def ring_reversed(sizes: Sizes, _: int) -> State:
    """One user with a large T buys, the latest purchase first."""
    detector = Detector(1, sizes.ring)
    times = FIRST_US - np.arange(sizes.ring)
    return State(detector, purchases(detector.record, 0, times))


def ring_late(sizes: Sizes, _: int) -> State:
    """One user, with a nearly full large T, makes ever older purchases."""
    detector = Detector(1, sizes.ring)
    in_time = max(sizes.ring - sizes.operations, sizes.ring // 2)
    record_columns(detector, 0, FIRST_US + np.arange(in_time))
    times = FIRST_US - 1 - np.arange(sizes.ring - in_time)
    return State(detector, purchases(detector.record, 0, times))


def ring_any_order(sizes: Sizes, _: int) -> State:
    """One user, with a full large T, buys in random order of time."""
    detector = Detector(1, sizes.ring)
    record_columns(detector, 0, FIRST_US + 2 * np.arange(sizes.ring))
    times = FIRST_US + 2 * anybody(sizes.ring, sizes.operations) + 1
    return State(detector, purchases(detector.record, 0, times))


def ring_grows(sizes: Sizes, _: int) -> State:
    """One user with a large T buys in order of time."""
    detector = Detector(1, sizes.ring)
    return State(
        detector, purchases(detector.record, 0, FIRST_US + np.arange(sizes.ring + 1000))
    )


def chain(sizes: Sizes, degree: int) -> State:
    """Friends form one long chain; a random user buys."""
    detector = known(sizes.chain, degree)
    row = np.arange(sizes.chain - 1)
    befriend_all(detector, row, row + 1)
    buyers = anybody(sizes.chain, sizes.operations)
    times = FIRST_US + sizes.chain + np.arange(sizes.operations)
    return State(detector, purchases(detector.purchase, buyers, times))


def everybody(sizes: Sizes, degree: int) -> Detector:
    """Return a detector in which all users are friends of each other."""
    detector = known(sizes.clique, degree)
    for user in range(1, sizes.clique):
        befriend_all(detector, user, np.arange(user))
    return detector


def clique_judged(sizes: Sizes, degree: int) -> State:
    """A random user of a clique buys."""
    detector = everybody(sizes, degree)
    buyers = anybody(sizes.clique, sizes.operations)
    times = FIRST_US + sizes.clique + np.arange(sizes.operations)
    return State(detector, purchases(detector.purchase, buyers, times))


def clique_toggles(sizes: Sizes, degree: int) -> State:
    """A random friendship in a clique ends and begins again."""
    detector = everybody(sizes, degree)
    users = anybody(sizes.clique, sizes.operations // 2)
    friends = (users + source().integers(1, sizes.clique, size=len(users))) % sizes.clique
    both = zip(users.tolist(), friends.tolist(), strict=True)
    return State(detector, (edit for a, b in both for edit in toggles(detector, a, [b])))


def users_buy(sizes: Sizes, _: int) -> State:
    """New users buy for the first time."""
    detector = Detector(1, TRACKED)
    users = np.arange(sizes.growth)
    return State(detector, purchases(detector.record, users, FIRST_US + users))


def users_befriend(sizes: Sizes, _: int) -> State:
    """Two new users each become friends."""
    detector = Detector(1, TRACKED)
    pairs = range(0, sizes.growth, 2)
    return State(detector, ((detector.befriend, (user, user + 1)) for user in pairs))


def texts_befriend(sizes: Sizes, _: int) -> State:
    """Two new users each become friends; ids are texts."""
    detector = Detector(1, TRACKED)
    pairs = range(0, sizes.growth, 2)
    return State(
        detector,
        ((detector.befriend, (f"{a}@mail.example", f"{a + 1}@mail.example")) for a in pairs),
    )


def storms(sizes: Sizes) -> list[Storm]:
    """Return all storms."""
    hub, row, ring = (
        f"hub of {sizes.hub:,}",
        f"chain of {sizes.chain:,}",
        f"T = {sizes.ring:,}",
    )
    group, growth = f"clique of {sizes.clique:,}", f"1 to {sizes.growth:,} users"
    return [
        Storm(f"{hub}: grows friend by friend", "edit", 1, hub_grows),
        Storm(f"{hub}: shrinks friend by friend", "edit", 1, hub_shrinks),
        Storm(f"{hub}: friends removed and added", "edit", 1, hub_toggles),
        Storm(f"{hub} and another: unfriend, befriend", "edit", 1, hubs_toggle),
        Storm(f"{hub}: up and down at size borders", "edit", 1, hub_borders),
        *(
            Storm(f"{hub}: it and its friends buy", "judge", degree, star_judged)
            for degree in (1, 2)
        ),
        *(
            Storm(name, "judge", degree, make)
            for name, make in (
                ("everybody at one timestamp", one_time),
                ("each purchase older than all before", all_late),
                ("timestamps in random order", any_order),
            )
            for degree in (1, 3)
        ),
        Storm(f"{ring}, one user: in time", "record", 1, ring_grows),
        Storm(f"{ring}, one user: latest first", "record", 1, ring_reversed),
        Storm(f"{ring}, one user: late, nearly full", "record", 1, ring_late),
        Storm(f"{ring}, one user: random order, full", "record", 1, ring_any_order),
        *(
            Storm(row, "judge", degree, chain)
            for degree in dict.fromkeys((1, 5, 1_000, sizes.chain))
        ),
        *(Storm(group, "judge", degree, clique_judged) for degree in (1, 2)),
        Storm(f"{group}: unfriend, befriend a pair", "edit", 1, clique_toggles),
        Storm(f"{growth}: first purchases", "record", 1, users_buy),
        Storm(f"{growth}: first friendships", "edit", 1, users_befriend),
        Storm(f"{growth}: first friendships, ids are texts", "edit", 1, texts_befriend),
    ]


def time_each(state: State, seconds: float) -> npt.NDArray[np.int64]:
    """Return the time of each operation in nanoseconds; start none after the limit."""
    clock = time.perf_counter_ns
    end = clock() + seconds * 1e9
    ns = []
    gc.disable()
    try:
        for call, arguments in state.operations:
            before = clock()
            call(*arguments)
            after = clock()
            ns.append(after - before)
            if after > end:
                break
    finally:
        gc.enable()
    return np.array(ns)


def least_of(storm: Storm, sizes: Sizes, rounds: int, seconds: float) -> npt.NDArray[np.int64]:
    """Run a storm several times; return the least time of each operation."""
    runs = []
    for i in range(rounds):
        state = storm.make(sizes, storm.degree)
        runs.append(time_each(state, seconds))
        if i == 0:
            state.detector._check()
        del state
    came_to = min(map(len, runs))
    return np.min([run[:came_to] for run in runs], axis=0)


@cache
def ordinary(kind: str, degree: int) -> float:
    """Return the median of a kind of operation in the ordinary state, in nanoseconds."""
    detector = loaded(degree)
    storm = ORDINARY.storm(20_000)
    if kind == "edit":
        edits = zip(storm.befriends, storm.users, storm.friends, strict=True)
        operations: Iterable[Operation] = (
            (detector.befriend if befriend else detector.unfriend, (a, b))
            for befriend, a, b in edits
        )
    else:
        call = detector.purchase if kind == "judge" else detector.record
        operations = purchases(call, storm.buyers, storm.times_us)
    return float(np.median(time_each(State(detector, operations), 60)))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description="Measure the worst that a single operation can cost.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--operations", type=positive, default=100_000, help="operations of a storm, at least")
    add("--hub", type=positive, default=1_000_000, help="friends of a hub")
    add("--chain", type=positive, default=1_000_000, help="users in a chain")
    add("--clique", type=positive, default=5_000, help="users in a clique")
    add("--ring", type=positive, default=1_000_000, help="the large T of one user")
    add("--growth", type=positive, default=3_000_000, help="users added one by one")
    add("--rounds", type=positive, default=3, help="runs of each storm; the least counts")
    add("--seconds", type=float, default=60, help="time limit per run of a storm")
    add("--only", default="", help="only the storms with this in their names")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    args = parse(arguments)
    sizes = Sizes(*(getattr(args, name) for name in Sizes._fields))
    print(conditions(["fastanomaly", "numpy"]))
    print(
        f"\nSingle operations in µs: of each the least of {args.rounds} runs; *ordinary* is "
        "the median of the same call in an ordinary state.\n"
    )
    head = ["storm", "call", "D", "timed", "ordinary", "p50", "p99", "p99.9", "max"]
    rows = [[*head, "max / ordinary"]]
    for storm in storms(sizes):
        if args.only not in storm.name:
            continue
        progress(f"{storm.name}, D = {storm.degree}")
        spread = Spread.of(least_of(storm, sizes, args.rounds, args.seconds))
        usual = ordinary(storm.kind, storm.degree)
        count, _, *rest = spread.cells()
        ratio = f"{spread.max / usual:,.0f}"
        rows.append(
            [storm.name, storm.kind, f"{storm.degree:,}", count, us(usual), *rest, ratio]
        )
    print(table(rows, right=range(2, 10)))


if __name__ == "__main__":
    main()
