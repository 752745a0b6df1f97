"""What a sweep's judging costs, beside its dearest setting and all of them one by one.

python benchmarks/sweeping.py [--users N] [--batch-events N] [--stream-events N] [--rounds N]

In each round the stream log is judged by the sweep and, interleaved, by a run for each of
its 30 settings; the time is that of the judgements alone, the best of the rounds counts.
Every setting's flags are compared.
"""

import argparse
import tempfile
from pathlib import Path

from fastanomaly import Detector
from fastanomaly.simulation import Simulation, simulate
from fastanomaly.sweeps.grid import GridDetector

DEGREES = [1, 2, 3, 4, 5, 6]
TRACKED = [10, 20, 50, 100, 200]


def judged(detector, batch, stream):
    """Seconds of judging, and the flags."""
    detector.feed(batch, judge=False)
    detector.time_judging()
    flags = detector.feed(stream).flags
    return detector.latency().seconds, flags


def main():
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--batch-events", type=int, default=500_000)
    parser.add_argument("--stream-events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = vars(parser.parse_args())
    rounds = options.pop("rounds")
    with tempfile.TemporaryDirectory() as folder:
        logs = [Path(folder, name) for name in ("batch", "stream")]
        simulate(*logs, Simulation(**options))
        batch, stream = (log.read_bytes() for log in logs)
    batch = batch.split(b"\n", 1)[1]
    best = {}

    def take(name, seconds):
        best[name] = min(seconds, best.get(name, seconds))

    for _ in range(rounds):
        seconds, flags = judged(GridDetector(DEGREES, TRACKED, [(3, 1)]), batch, stream)
        take("sweep", seconds)
        cells = [[] for _ in range(len(DEGREES) * len(TRACKED))]
        for flag in flags:
            for cell, _, mean, sd in (
                memoryview(flag.cells).cast("q", (len(flag.cells) // 32, 4)).tolist()
            ):
                cells[cell].append((flag.line, mean, sd))
        for i, degree in enumerate(DEGREES):
            for j, tracked in enumerate(TRACKED):
                seconds, flags = judged(Detector(degree, tracked), batch, stream)
                take((degree, tracked), seconds)
                own = [(flag.line, flag.mean_cents, flag.sd_cents) for flag in flags]
                assert own == cells[i * len(TRACKED) + j], (degree, tracked)
    singles = {name: seconds for name, seconds in best.items() if name != "sweep"}
    dearest = max(singles, key=singles.get)
    sweep, last, all_of_them = best["sweep"], singles[6, 200], sum(singles.values())
    print("| judging | ms | beside the sweep |")
    print("| --- | ---: | ---: |")
    print(f"| sweep, 30 settings | {sweep * 1e3:.0f} | 1.0 |")
    print(f"| one run, D = 6, T = 200 | {last * 1e3:.0f} | {last / sweep:.2f} |")
    name = f"the dearest, D = {dearest[0]}, T = {dearest[1]}"
    print(f"| {name} | {singles[dearest] * 1e3:.0f} | {singles[dearest] / sweep:.2f} |")
    print(f"| thirty runs | {all_of_them * 1e3:.0f} | {all_of_them / sweep:.1f} |")
    print(f"\nThe sweep costs {sweep / last:.2f} x D = 6, T = 200; all flags equal.")


if __name__ == "__main__":
    main()
