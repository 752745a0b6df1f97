"""Count what a cluster costs at 10^6 users: memory, messages, rounds and work, by K and D.

Run it as `python benchmarks/cluster_counts.py`: for each K it loads a heavy-tailed crowd into
a cluster of K shards, all in this process, which takes 11 GB for K = 64 and 10^6 users. Then
it judges a part of the stream of benchmarks/cluster.py at each D. One process gets the same,
and its flags must be equal before anything counts. `--json FILE` writes the numbers; with
`--plot FILE` it draws those of that file as SVG instead of counting. `--quick` does little,
to see that it works.

Nothing here is timed, so the numbers do not depend on the machine; work does a little on the
order of friends in hash tables, which differs from run to run. Memory is that of the largest
shard. Messages and bytes are those of asks and answers, without batches, which each shard
gets. Work is what judging has looked at: purchases of the recency log, friends, members of
networks, and purchases of rings and answers, at askers and owners together.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # when run as a script

from benchmarks.cluster import BATCH_EVENTS, SIGMAS, TRACKED, loading, stream
from benchmarks.crowd import Columns, Crowd
from benchmarks.report import conditions, positive, progress, table
from fastanomaly import PURCHASE, Detector
from fastanomaly.cluster import ClusterDetector, LocalExchange, Shard, ShardWork
from fastanomaly.results.columns import ColumnFlags
from fastanomaly.results.measures import Memory

SHARDS = (1, 2, 4, 8, 16, 32, 64)
DEGREES = (1, 2, 3, 4)
MEMORY_HEAD = ["K", "users", "friendships", "purchases", "recency", "scratch", "total", "part"]
HEAD = [
    "D", "K", "asked", "rounds", "rounds, all", "messages", "bytes", "work", "of one process"
]  # fmt: skip
MB = 1e6


class Counted(NamedTuple):
    """What judging a part of the stream has cost all shards together, or one process."""

    degree: int
    shards: int  # 0: one process
    purchases: int
    messages: int
    bytes: int
    asked_once: int
    asked_twice: int
    work: int


class Loaded(NamedTuple):
    """A detector or a cluster to be judged with, and its shards if it has some."""

    detector: Detector | ClusterDetector
    shards: list[Shard]

    def set_degree(self, degree: int) -> None:
        """Set D."""
        if isinstance(self.detector, Detector):
            self.detector.degree = degree
        for shard in self.shards:
            shard.set_degree(degree)

    def sums(self) -> tuple[int, ...]:
        """Return messages, bytes, verdicts asked for once and twice, and work so far."""
        if isinstance(self.detector, Detector):
            return 0, 0, 0, 0, sum(self.detector.work)
        traffic = self.detector.exchange.traffic
        names = [name for name in traffic.messages if name.startswith(("asks", "answers"))]
        works: list[ShardWork] = [shard.work() for shard in self.shards]
        return (
            sum(traffic.messages[name] for name in names),
            sum(traffic.bytes[name] for name in names),
            sum(work.asked_once for work in works),
            sum(work.asked_twice for work in works),
            sum(work.total for work in works),
        )

    def memory(self) -> Memory:
        """Return the memory of the largest shard, or of the process."""
        if isinstance(self.detector, Detector):
            return self.detector.memory()
        return max(self.detector.memory().shards, key=lambda memory: memory.total)


def load(crowd: Crowd, count: int) -> Loaded:
    """Return a cluster of so many shards with the crowd, or a detector for 0."""
    settings = DEGREES[0], TRACKED, SIGMAS
    shards: list[Shard] = []

    def exchange(make_shard: Callable[[int], Shard], count: int) -> LocalExchange:
        shards.extend(map(make_shard, range(count)))
        return LocalExchange(shards.__getitem__, count)

    detector: Detector | ClusterDetector
    if count == 0:
        detector = Detector(*settings, threads=1)
    else:
        detector = ClusterDetector(
            *settings,
            shards=count,
            threads=1,
            batch_events=BATCH_EVENTS,
            make_exchange=exchange,
        )
    for part in loading(crowd):
        detector.feed_columns(*part, judge=False)
    return Loaded(detector, shards)


def parts_of(columns: Columns, count: int) -> Iterator[Columns]:
    """Yield so many equal parts of columns."""
    kinds, times, users, friends, units = columns
    rows = len(kinds) // count
    for start in range(0, count * rows, rows):
        part = slice(start, start + rows)
        yield kinds[part], times[part], users[part], friends[part], units[part]


def judge(
    loaded: Loaded, count: int, columns: Columns
) -> Iterator[tuple[Counted, ColumnFlags]]:
    """Judge a part of the stream at each D."""
    for degree, part in zip(DEGREES, parts_of(columns, len(DEGREES)), strict=True):
        loaded.set_degree(degree)
        before = loaded.sums()
        flags = loaded.detector.feed_columns(*part)
        spent = [b - a for a, b in zip(before, loaded.sums(), strict=True)]
        yield Counted(degree, count, int((part[0] == PURCHASE).sum()), *spent), flags


def check(count: int, found: Sequence[ColumnFlags], alone: Sequence[ColumnFlags]) -> None:
    """Exit unless the flags are equal."""
    for degree, flags, expected in zip(DEGREES, found, alone, strict=True):
        if any((a != b).any() for a, b in zip(flags, expected, strict=True)):
            sys.exit(f"D = {degree}, K = {count}: other flags")


def count_all(
    crowd: Crowd, events: int, counts: Sequence[int]
) -> tuple[dict[int, Memory], list[Counted]]:
    """Count all K and D; the memory is by K, and that of one process comes first."""
    columns = stream(crowd, len(DEGREES) * events)
    memories, found = {}, []
    alone: list[ColumnFlags] = []
    for count in (0, *counts):
        progress(f"K = {count}" if count else "one process")
        loaded = load(crowd, count)
        judged, flags = zip(*judge(loaded, count, columns), strict=True)
        alone = alone or list(flags)
        check(count, flags, alone)
        memories[count] = loaded.memory()
        found += judged
        del loaded
    return memories, found


def memory_table(memories: dict[int, Memory]) -> str:
    """Return the memory of a shard in MB by purpose, and as a part of one process's."""
    rows = [MEMORY_HEAD]
    for count, memory in memories.items():
        sizes = (*memory[:1], *memory[2:6], memory.total)
        part = f"{memory.total / memories[0].total:.0%}" if count else ""
        rows.append([str(count or "-"), *(f"{size / MB:,.1f}" for size in sizes), part])
    return table(rows, range(len(MEMORY_HEAD)))


def row_of(one: Counted, alone: Counted) -> list[str]:
    """Return the row of one D and K."""
    asked = one.asked_once + one.asked_twice
    rounds = asked + one.asked_twice
    return [
        str(one.degree),
        str(one.shards or "-"),
        f"{asked / one.purchases:.1%}",
        f"{rounds / asked:.2f}" if asked else "",
        f"{rounds / one.purchases:.3f}",
        f"{one.messages / one.purchases:.2f}",
        f"{one.bytes / one.purchases:,.0f}",
        f"{one.work / one.purchases:,.0f}",
        f"{one.work / alone.work:.2f}" if one.shards else "",
    ]


def counts_table(found: Sequence[Counted]) -> str:
    """Return what is counted for each judged purchase, by D and K."""
    alone = {one.degree: one for one in found if one.shards == 0}
    ordered = sorted(found, key=lambda one: (one.degree, one.shards))
    return table(
        [HEAD, *(row_of(one, alone[one.degree]) for one in ordered)], range(len(HEAD))
    )


def numbers(
    crowd: Crowd, events: int, memories: dict[int, Memory], found: Sequence[Counted]
) -> dict[str, Any]:
    """Return all that was counted, for JSON."""
    return {
        "crowd": crowd._asdict(),
        "tracked": TRACKED,
        "batch_events": BATCH_EVENTS,
        "events": events,
        "memory": {count: memory._asdict() for count, memory in memories.items()},
        "counted": [one._asdict() for one in found],
    }


def main() -> None:
    """Count what the command line says, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="only see that it works")
    parser.add_argument("--users", type=positive, default=1_000_000)
    parser.add_argument("--friendships", type=positive, default=10, help="for each user")
    parser.add_argument("--purchases", type=positive, default=10, help="for each user")
    parser.add_argument("--events", type=positive, default=20_000, help="judged at each D")
    parser.add_argument("--shards", type=positive, nargs="+", default=SHARDS, metavar="K")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw those of --json FILE")
    args = parser.parse_args()
    if args.plot and not args.json:
        parser.error("--plot needs --json FILE, the numbers to draw")
    if args.plot:
        from benchmarks.cluster_plot import draw  # noqa: PLC0415 - matplotlib, for this alone

        draw(json.loads(args.json.read_text()), args.plot)
        return
    users, events, counts = args.users, args.events, args.shards
    if args.quick:
        users, events, counts = 2_000, 2_000, (1, 3)
    crowd = Crowd(users, args.friendships * users, args.purchases * users)
    memories, found = count_all(crowd, events, counts)
    if args.json:
        args.json.write_text(json.dumps(numbers(crowd, events, memories, found), indent=1))
    print(conditions(["fastanomaly", "numpy"]))
    print(
        f"\n{users:,} users, {crowd.friendships:,} friendships, {crowd.purchases:,} "
        f"purchases; {events:,} events at each D, T = {TRACKED}\n\nMB of a shard:\n\n"
        f"{memory_table(memories)}\n\nFor each judged purchase:\n\n{counts_table(found)}"
    )


if __name__ == "__main__":
    main()
