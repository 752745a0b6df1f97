"""Compare shards on a local Ray with one process: purchases a second, for each D.

Run it as `python benchmarks/cluster_ray.py`: it loads a crowd into a detector with one
thread, with as many threads as there are shards, and into shards on Ray, and feeds the same
stream of 80 % purchases, 19 % befriends and 1 % unfriends to all, in turn. Flags must be
equal before anything counts. `--quick` does little of it, to see that it works.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # when run as a script

from benchmarks.cluster import SIGMAS, TRACKED, loading, stream
from benchmarks.crowd import Columns, Crowd
from benchmarks.report import conditions, progress, table
from fastanomaly import PURCHASE, Detector
from fastanomaly.cluster import ClusterDetector
from fastanomaly.cluster.on_ray import RayExchange, connected
from fastanomaly.results.columns import ColumnFlags

HEAD = ["D", "1 thread", "threads", "shards", "shards / threads"]
BATCH_EVENTS = 1000
Either = Detector | ClusterDetector


def blocks(columns: Columns, rounds: int) -> Iterator[Columns]:
    """Yield the columns in so many parts."""
    size = -(-len(columns[0]) // rounds)
    for start in range(0, len(columns[0]), size):
        part = slice(start, start + size)
        kinds, times, users, friends, units = columns
        yield kinds[part], times[part], users[part], friends[part], units[part]


def measured(
    detectors: list[Either], columns: Columns, rounds: int
) -> tuple[list[float], list[list[ColumnFlags]]]:
    """Feed parts of the stream to the detectors in turn; the best seconds for a purchase."""
    best = [float("inf")] * len(detectors)
    flags: list[list[ColumnFlags]] = [[] for _ in detectors]
    for part in blocks(columns, rounds):
        purchases = int((part[0] == PURCHASE).sum())
        for number, detector in enumerate(detectors):
            begun = time.perf_counter()
            flags[number].append(detector.feed_columns(*part))
            best[number] = min(best[number], (time.perf_counter() - begun) / purchases)
    return best, flags


def row_of(
    make: list[Callable[[], Either]], crowd: Crowd, columns: Columns, degree: int, rounds: int
) -> list[str]:
    """Return the row of one D."""
    progress(f"D = {degree}")
    detectors = [one() for one in make]
    with closing(detectors[-1]):
        for part in loading(crowd):
            for detector in detectors:
                detector.feed_columns(*part, judge=False)
        seconds, flags = measured(detectors, columns, rounds)
    for found in flags[1:]:
        for one, other in zip(found, flags[0], strict=True):
            if any((a != b).any() for a, b in zip(one, other, strict=True)):
                sys.exit(f"D = {degree}: other flags")
    rates = [f"{1 / one:,.0f}" for one in seconds]
    return [str(degree), *rates, f"{seconds[1] / seconds[2]:.2f}"]


def makers(degree: int, shards: int) -> list[Callable[[], Either]]:
    """Return what makes the three detectors."""
    settings = degree, TRACKED, SIGMAS
    return [
        partial(Detector, *settings, threads=1),
        partial(Detector, *settings, threads=shards),
        partial(
            ClusterDetector,
            *settings,
            shards=shards,
            threads=1,
            batch_events=BATCH_EVENTS,
            make_exchange=RayExchange,
        ),
    ]


def main() -> None:
    """Measure what the command line says, and print a table for each crowd."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="only see that it works")
    parser.add_argument("--users", type=int, default=1_000_000, help="of the second crowd")
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=10, help="the best of them counts")
    args = parser.parse_args()
    users, events = (1_000, 3_000) if args.quick else (10_000, 200_000)
    large = 2_000 if args.quick else args.users
    crowds = {
        "The sample's shape": (Crowd(users, 5 * users, 50 * users, hub_share=0), events),
        "Heavy-tailed": (Crowd(large, 5 * large, 10 * large), events // 4),
    }
    print(conditions(["fastanomaly", "numpy", "ray"]))
    with connected("local", args.shards):
        for title, (crowd, count) in crowds.items():
            columns = stream(crowd, count)
            rows = [HEAD]
            for degree in (1, 2, 3):
                make = makers(degree, args.shards)
                rows.append(row_of(make, crowd, columns, degree, args.rounds))
            print(f"\n{title}: {crowd.users:,} users, {count:,} events, T = {TRACKED}\n")
            print(table(rows, range(len(HEAD))))


if __name__ == "__main__":
    main()
