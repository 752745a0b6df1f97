"""What it costs to send lines to shards as columns, for each form of ids.

Run it as `python benchmarks/cluster_lines.py`: lines with ids that are numbers, and that are
e-mail addresses, are read as batches of columns, which a shard applies without judging. The
same ids as lists of `str` are what the columns of ids as bytes replace. Times are processor
times for each event, the best of some rounds. `--quick` does little of it.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # when run as a script

import numpy as np

from benchmarks.report import conditions, positive, progress, table
from fastanomaly._core import LineColumns, ShardEngine
from fastanomaly.cluster.line_rows import LineRows, read_rows
from fastanomaly.cluster.messages import Batch, payload_bytes

USERS = 10_000
BATCH_EVENTS = 1000
FORMS = {"numbers": "{}", "e-mail addresses": "user{}@example.org"}

Columns: TypeAlias = tuple[Any, Any, Any, Any, Any]


def text_of(form: str, events: int) -> bytes:
    """Return lines: 80 % purchases, and befriends."""
    rng, found = Random(1), []
    for number in range(events):
        one, other = (form.format(user) for user in rng.sample(range(USERS), 2))
        time_text = f"2017-06-13 11:{number // 60 % 60:02}:{number % 60:02}"
        start = f'"timestamp":"{time_text}", '
        if rng.random() < 0.8:
            fields = f'"purchase", {start}"id": "{one}", "amount": "{rng.random() * 100:.2f}"'
        else:
            fields = f'"befriend", {start}"id1": "{one}", "id2": "{other}"'
        found.append(f'{{"event_type":{fields}}}\n')
    return "".join(found).encode()


def read(text: bytes) -> list[LineRows]:
    """Return the lines as batches."""
    scanner = LineColumns(
        text, max_line=1 << 20, log="", first_line=1, max_rejected=sys.maxsize
    )
    found = []
    while rows := read_rows(scanner, text, "", BATCH_EVENTS):
        found.append(rows)
    return found


def as_list(column: bytes, rows: int) -> list[str]:
    """Return a column of ids as texts; "-" where there is none."""
    offsets = np.frombuffer(column, np.int64, rows + 1).tolist()
    texts = column[8 * (rows + 1) :]
    return [texts[a:b].decode() or "-" for a, b in pairwise(offsets)]


def with_lists(batches: Sequence[Columns]) -> list[Columns]:
    """Return columns with their ids as lists."""
    return [
        (kinds, times, as_list(users, len(kinds)), as_list(friends, len(kinds)), amounts)
        for kinds, times, users, friends, amounts in batches
    ]


def apply(batches: Sequence[Columns]) -> None:
    """Let a shard apply batches."""
    engine = ShardEngine(0, 2, 2, 50, 3, 1)
    for columns in batches:
        engine.feed(engine.seq, *columns, judged=False)


def column_of(form: str, events: int, rounds: int) -> list[str]:
    """Return the values of one form of ids, as text."""

    def ns(work: Callable[[], object]) -> str:
        best = None
        for _ in range(rounds):
            begun = time.process_time()
            work()
            spent = time.process_time() - begun
            best = spent if best is None else min(best, spent)
        return f"{(best or 0) / events * 1e9:.0f}"

    text = text_of(form, events)
    batches = [rows.columns for rows in read(text)]
    sent = sum(payload_bytes(Batch(0, 0, 0, columns, True)) for columns in batches)
    found = [f"{len(text) / events:.0f}", f"{sent / events:.0f}"]
    found += [ns(lambda: read(text)), ns(lambda: apply(batches))]
    if not isinstance(batches[0][2], bytes):
        return [*found, "-", "-"]
    lists = with_lists(batches)
    return [*found, ns(lambda: apply(lists)), ns(lambda: with_lists(batches))]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="only see that it works")
    parser.add_argument("--rounds", type=positive, default=5, help="the best of them counts")
    args = parser.parse_args()
    events = 5_000 if args.quick else 200_000
    columns = []
    for name, form in FORMS.items():
        progress(name)
        columns.append([name, *column_of(form, events, args.rounds)])
    names = [
        "",
        "text of the line, bytes",
        "columns, bytes",
        "reading lines as batches, ns",
        "a shard applies it, ns",
        "a shard applies it if ids are lists of `str`, ns",
        "making these lists, ns",
    ]
    print(conditions(["fastanomaly", "numpy"]))
    print(f"\n{events:,} events, {USERS:,} users, batches of {BATCH_EVENTS:,}:\n")
    print(table([list(row) for row in zip(names, *columns, strict=True)], range(1, 3)))


if __name__ == "__main__":
    main()
