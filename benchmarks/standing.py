"""Measure what checkpoints and metrics cost: stalls, bytes, seconds, events per second.

First a detector of each size is saved, loaded, and forked as `detect` does, while purchases
are judged one by one: the longest stall is the longest time without a judgement. Then the
command runs on the same logs alternately with and without checkpoints and metrics.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # when run as a script

from benchmarks.crowd import FIRST_US
from benchmarks.report import conditions, table
from fastanomaly import BEFRIEND, PURCHASE, Detector
from fastanomaly.runs.checkpoints.base import check_every
from fastanomaly.runs.checkpoints.forked import ForkedCheckpoints
from fastanomaly.runs.run_state import RunState

COMMAND = (sys.executable, "-P", "-m", "fastanomaly")


# The state of a run that has no logs: only the detector is measured.
STATE = RunState({}, False, [], 0, None, {}, None, 0.0)


def state_of(users):
    """Return a detector with ten friendships and ten purchases per user."""
    choose = np.random.default_rng(0)
    detector = Detector(3, 50)
    for kind in (BEFRIEND, PURCHASE):
        for start in range(0, 10 * users, 1_000_000):
            rows = min(1_000_000, 10 * users - start)
            one = choose.integers(0, users, rows)
            other = (one + choose.integers(1, users, rows)) % users
            detector.feed_columns(
                np.full(rows, kind, np.uint8),
                FIRST_US + np.arange(start, start + rows) * 10**6,
                one,
                other,
                choose.integers(10**6, 10**8, rows),
                judge=False,
            )
    return detector


def stalls(users, folder):
    """Return one row: the cost of saving, loading and forking at that size."""
    detector = state_of(users)
    begun = time.perf_counter()
    detector.save(folder / "state")
    saved = time.perf_counter() - begun
    size = os.path.getsize(folder / "state")
    begun = time.perf_counter()
    loaded = Detector.load(folder / "state")
    load = time.perf_counter() - begun
    assert loaded.counts == detector.counts
    del loaded
    os.unlink(folder / "state")
    choose = np.random.default_rng(1)
    buyers = choose.integers(0, users, 2_000_000).tolist()
    longest = {"before": 0.0, "meanwhile": 0.0}
    checkpoints = ForkedCheckpoints(str(folder / "kept"), check_every("1000s"), print)
    with checkpoints:
        at = FIRST_US + 10 * users * 10**6
        last = time.perf_counter()
        until = last + 3
        phase = "before"
        for buyer in buyers:
            if phase == "before" and last > until:
                phase = "meanwhile"
                checkpoints.begin(detector, STATE, [])
                until = last + 6
            at += 10**6
            detector.purchase(buyer, 1, at)
            now = time.perf_counter()
            longest[phase] = max(longest[phase], now - last)
            last = now
            if phase == "meanwhile" and now > until:
                break
        checkpoints.wait()
    for path in (folder / "kept").iterdir():
        path.unlink()
    return [
        f"{users:,}",
        f"{size / 1e6:,.1f}",
        f"{saved:.2f}",
        f"{load:.2f}",
        f"{checkpoints.stall_seconds * 1e3:.1f}",
        f"{longest['meanwhile'] * 1e3:.1f}",
        f"{longest['before'] * 1e3:.1f}",
    ]


def costs(events, folder, rounds, every):
    """Return rows: events per second with and without, best of interleaved rounds."""
    simulated = ("--batch-events", "1000", "--stream-events", str(events), "--degree", "3")
    subprocess.run(
        [*COMMAND, "simulate", "batch.json", "stream.json", *simulated], cwd=folder, check=True
    )
    kept = ("--checkpoint", "kept", "--fresh", "--every", every)
    told = ("--metrics", "told.prom")
    ways = {
        "neither": (),
        f"checkpoints, every {every}": kept,
        "metrics": told,
        "both": (*kept, *told),
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for way, options in ways.items():
            begun = time.perf_counter()
            subprocess.run(
                [*COMMAND, "detect", "batch.json", "stream.json", "out", "--quiet", *options],
                cwd=folder,
                check=True,
            )
            best[way] = min(best[way], time.perf_counter() - begun)
    return [
        [way, f"{events / seconds:,.0f}", f"{seconds:.2f}", f"{seconds / best['neither']:.3f}"]
        for way, seconds in best.items()
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--users", type=int, nargs="*", default=[10_000, 1_000_000], help="sizes")
    add("--events", type=int, default=5_000_000, help="events of the second table")
    add("--rounds", type=int, default=3)
    add("--every", default="30s")
    args = parser.parse_args()
    print(conditions(["fastanomaly"]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [stalls(users, folder) for users in args.users]
        head = ["users", "MB", "save s", "load s", "fork ms"]
        print()
        print(table([[*head, "longest stall ms", "without ms"], *rows], range(7)))
        if args.events:
            rows = costs(args.events, folder, args.rounds, args.every)
            print()
            head = ["with", "events/s", "best s", "times neither"]
            print(table([head, *rows], range(1, 4)))


if __name__ == "__main__":
    main()
