"""Measure feeding tables, compared with feeding the same events as lines: history only.

Run it as `python benchmarks/frames.py`; it prints a Markdown table on standard output: the
processor time per event with one thread, the events a second on one core, and how many times
as fast as newline-delimited JSON that is. The events are made in blocks, and each block is fed
in every form before the next one is made, so that other work on the machine affects all forms
alike. In the end all detectors must have the same counts. Nine of ten events are purchases.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # when run as a script

from benchmarks.report import conditions, positive, progress, table
from fastanomaly import Detector

BLOCK = 500_000
START = 1_497_353_581  # seconds since 1970
KINDS = pa.array(["purchase", "befriend"])


def block_of_events(rng: np.random.Generator, rows: int, users: int, first: int) -> pa.Table:
    """Return events as a database or a Parquet file has them."""
    user = rng.integers(0, users, rows)
    friend = (user + rng.integers(1, users, rows)) % users
    kinds = pa.array((rng.random(rows) < 0.1).astype(np.int8))
    cents = np.stack([rng.integers(100, 100_000, rows), np.zeros(rows, np.int64)], axis=1)
    amounts = pa.Array.from_buffers(
        pa.decimal128(18, 2), rows, [None, pa.py_buffer(cents.tobytes())]
    )
    times = (START + (first + np.arange(rows)) // 100) * 10**6
    return pa.table(
        {
            "kind": pa.DictionaryArray.from_arrays(kinds, KINDS),
            "user": user,
            "friend": friend,
            "amount": amounts,
            "timestamp": pa.array(times).cast(pa.timestamp("us")),
        }
    )


def with_floats(events: pa.Table) -> pa.Table:
    """Return the same events with amounts as a data frame has them."""
    # By way of text: not every cast of decimals gives the nearest float.
    floats = events["amount"].cast(pa.string()).cast(pa.float64())
    return events.set_column(3, "amount", floats)


def as_texts(events: pa.Table) -> pa.Table:
    """Return the same events with all values as texts, as a reader of CSV has them."""
    seconds = events["timestamp"].cast(pa.timestamp("s"))
    texts = events.set_column(4, "timestamp", seconds)
    return pa.table({name: texts[name].cast(pa.string()) for name in texts.column_names})


def as_lines(events: pa.Table) -> bytes:
    """Return the same events as newline-delimited JSON."""
    lines = []
    for kind, user, friend, amount, timestamp in zip(
        *(column.to_pylist() for column in as_texts(events).columns), strict=True
    ):
        if kind == "purchase":
            lines.append(
                f'{{"event_type":"purchase", "timestamp":"{timestamp}", "id": "{user}", '
                f'"amount": "{amount}"}}\n'
            )
        else:
            lines.append(
                f'{{"event_type":"befriend", "timestamp":"{timestamp}", "id1": "{user}", '
                f'"id2": "{friend}"}}\n'
            )
    return "".join(lines).encode()


LINES = "lines"
FORMS: dict[str, Callable[[pa.Table], pa.Table | bytes]] = {
    LINES: as_lines,
    "integers, decimals, timestamps": lambda events: events,
    "the same with floats as amounts": with_floats,
    "texts": as_texts,
}


def feed(detector: Detector, block: pa.Table | bytes) -> float:
    """Feed a block; return the processor time in seconds."""
    start = time.process_time()
    if isinstance(block, bytes):
        detector.feed(block, judge=False)
    else:
        detector.feed_frame(block, judge=False)
    return time.process_time() - start


def measure(events: int, users: int) -> dict[str, float]:
    """Return the seconds that feeding so many events takes in each form."""
    rng = np.random.default_rng(1)
    detectors = {form: Detector(2, 50, threads=1) for form in FORMS}
    seconds = dict.fromkeys(FORMS, 0.0)
    for first in range(0, events, BLOCK):
        made = block_of_events(rng, min(BLOCK, events - first), users, first)
        for form, convert in FORMS.items():
            seconds[form] += feed(detectors[form], convert(made))
        progress(f"{users:,} users: {first + made.num_rows:,} events")
    counts = {detector.counts for detector in detectors.values()}
    if len(counts) != 1 or counts.pop().events != events:
        raise SystemExit(f"the forms differ: {counts}")
    return seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=positive, default=10**7)
    parser.add_argument("--users", type=positive, nargs="+", default=[1000, 100_000])
    args = parser.parse_args()
    rows = []
    for users in args.users:
        seconds = measure(args.events, users)
        rows += [
            [
                f"{users:,}",
                form,
                f"{spent / args.events * 1e9:.0f}",
                f"{args.events / spent / 1e6:.1f}",
                f"{seconds[LINES] / spent:.2f}",
            ]
            for form, spent in seconds.items()
        ]
    heads = ["users", "form", "ns an event", "million events/s", "times as fast as lines"]
    print(f"{args.events:,} events. {conditions(['fastanomaly', 'pyarrow'])}\n")
    print(table([heads, *rows], range(2, 5)))


if __name__ == "__main__":
    main()
