"""Count what shards send each other, and what a shard costs, for each D and K.

Run it as `python benchmarks/cluster.py`: it loads a crowd into a detector and into clusters
of K shards, all in this process, and feeds the same stream of 80 % purchases, 19 % befriends
and 1 % unfriends to all. Flags must be equal before anything counts. `--quick` does little of
it, to see that it works. `--threads 1 2` measures one shard with these numbers of threads
instead, at D = 3: the time of the wall clock for each event, the best of the rounds.

Messages are asks and answers, bytes what they carry for each purchase, µs the processor time
of one shard for each event. The bound of the speedup is the time of one process divided by
that of a shard: what K machines could reach if messages cost nothing.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # when run as a script

from benchmarks.crowd import FIRST_US, STEP_US, UNITS, Columns, Crowd, friendships
from benchmarks.report import conditions, progress, table
from fastanomaly import BEFRIEND, PURCHASE, UNFRIEND, Detector
from fastanomaly.cluster import ClusterDetector
from fastanomaly.results.columns import ColumnFlags

SHARES = (0.8, 0.19, 0.01)  # of purchases, befriends and unfriends
TRACKED = 50
SIGMAS = "1.5"  # so that some purchases are flagged
BATCH_EVENTS = 1000
THREADS_HEAD = ["threads", "µs", "speedup"]
HEAD = ["D", "K", "messages", "of them again", "bytes", "µs", "bound"]


def loading(crowd: Crowd) -> Iterator[Columns]:
    """Yield the crowd's friendships and purchases."""
    users, friends = crowd.pairs(np.random.default_rng([crowd.seed, 0]), crowd.friendships)
    yield friendships(BEFRIEND, users, friends)
    yield from crowd.purchase_blocks()


def stream(crowd: Crowd, events: int) -> Columns:
    """Return the events that are judged."""
    rng = np.random.default_rng([crowd.seed, 9])
    kinds = rng.choice([PURCHASE, BEFRIEND, UNFRIEND], size=events, p=SHARES).astype(np.uint8)
    users, friends = crowd.pairs(rng, events)
    times = FIRST_US + STEP_US * np.arange(crowd.purchases, crowd.purchases + events)
    units = rng.integers(10, 150, size=events) * UNITS
    # Buyers are uniform.
    users[kinds == PURCHASE] = rng.integers(crowd.users, size=int((kinds == PURCHASE).sum()))
    return kinds, times, users, friends, units


class Measured(NamedTuple):
    """What one detector has done with the stream."""

    flags: ColumnFlags
    seconds: float
    messages: dict[str, int]
    bytes: dict[str, int]


def measured(detector: Detector | ClusterDetector, crowd: Crowd, columns: Columns) -> Measured:
    """Load a detector, and measure the stream."""
    for part in loading(crowd):
        detector.feed_columns(*part, judge=False)
    begun = time.process_time()
    flags = detector.feed_columns(*columns)
    seconds = time.process_time() - begun
    if isinstance(detector, Detector):
        return Measured(flags, seconds, {}, {})
    traffic = detector.exchange.traffic
    return Measured(flags, seconds, traffic.messages, traffic.bytes)


def best(
    make: Callable[[], Detector | ClusterDetector], crowd: Crowd, columns: Columns, rounds: int
) -> Measured:
    """Return the fastest of some rounds."""
    found = [measured(make(), crowd, columns) for _ in range(rounds)]
    return min(found, key=lambda one: one.seconds)


def row_of(
    one: Measured, alone: Measured, degree: int, count: int, columns: Columns
) -> list[str]:
    """Return the row of one K."""
    events, purchases = len(columns[0]), int((columns[0] == PURCHASE).sum())
    asked = {n: c for n, c in one.messages.items() if n.startswith(("asks", "answers"))}
    return [
        str(degree),
        str(count),
        f"{sum(asked.values()):,}",
        f"{sum(c for name, c in asked.items() if name.endswith('again')):,}",
        f"{sum(one.bytes[name] for name in asked) / purchases:,.0f}",
        f"{one.seconds / count / events * 1e6:.2f}",
        f"{alone.seconds * count / one.seconds:.1f}",
    ]


def rows_of(
    crowd: Crowd, columns: Columns, degree: int, shards: Sequence[int], rounds: int
) -> list[list[str]]:
    """Return the rows of one D; the first is that of one process."""
    progress(f"D = {degree}")
    settings = degree, TRACKED, SIGMAS
    alone = best(lambda: Detector(*settings, threads=1), crowd, columns, rounds)
    rows = [[*row_of(alone, alone, degree, 1, columns)[:-1], ""]]
    rows[0][1] = "-"
    for count in shards:
        progress(f"D = {degree}, K = {count}")
        make = partial(
            ClusterDetector, *settings, shards=count, threads=1, batch_events=BATCH_EVENTS
        )
        one = best(make, crowd, columns, rounds)
        if any((a != b).any() for a, b in zip(one.flags, alone.flags, strict=True)):
            sys.exit(f"D = {degree}, K = {count}: other flags")
        rows.append(row_of(one, alone, degree, count, columns))
    return rows


def seconds_with(threads: int, crowd: Crowd, columns: Columns) -> tuple[float, ColumnFlags]:
    """Return how long one shard takes with some threads, and the flags."""
    shard = ClusterDetector(
        3, TRACKED, SIGMAS, shards=1, threads=threads, batch_events=BATCH_EVENTS
    )
    for part in loading(crowd):
        shard.feed_columns(*part, judge=False)
    begun = time.perf_counter()
    flags = shard.feed_columns(*columns)
    return time.perf_counter() - begun, flags


def thread_rows(
    crowd: Crowd, columns: Columns, numbers: Sequence[int], rounds: int
) -> list[list[str]]:
    """Return a row for each number of threads; they take turns."""
    best, expected = dict.fromkeys(numbers, float("inf")), None
    for _ in range(rounds):
        for threads in numbers:
            progress(f"{threads} threads")
            seconds, flags = seconds_with(threads, crowd, columns)
            best[threads] = min(best[threads], seconds)
            if expected is None:
                expected = flags
            elif any((a != b).any() for a, b in zip(flags, expected, strict=True)):
                sys.exit(f"{threads} threads: other flags")
    first = best[numbers[0]]
    return [
        [str(threads), f"{seconds / len(columns[0]) * 1e6:.2f}", f"{first / seconds:.2f}"]
        for threads, seconds in best.items()
    ]


def main() -> None:
    """Measure what the command line says, and print a table for each crowd."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="only see that it works")
    parser.add_argument("--users", type=int, default=100_000, help="of the second crowd")
    parser.add_argument("--rounds", type=int, default=3, help="the best of them counts")
    parser.add_argument("--threads", type=int, nargs="+", help="measure one shard with them")
    args = parser.parse_args()
    users, events = (1_000, 3_000) if args.quick else (10_000, 50_000)
    large = 2_000 if args.quick else args.users
    crowds = {
        "The sample's shape": Crowd(users, 5 * users, 50 * users, hub_share=0),
        "Heavy-tailed": Crowd(large, 5 * large, 10 * large),
    }
    print(conditions(["fastanomaly", "numpy"]))
    for title, crowd in crowds.items():
        columns = stream(crowd, events)
        rows = [THREADS_HEAD if args.threads else HEAD]
        if args.threads:
            rows += thread_rows(crowd, columns, args.threads, args.rounds)
        else:
            for degree in (1, 2, 3):
                rows += rows_of(crowd, columns, degree, (2, 4, 16), args.rounds)
        print(f"\n{title}: {crowd.users:,} users, {events:,} events, T = {TRACKED}\n")
        print(table(rows, range(len(rows[0]))))


if __name__ == "__main__":
    main()
