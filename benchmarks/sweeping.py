"""Compare the cost of judging in a sweep with single runs at its settings.

python benchmarks/sweeping.py [--users N] [--batch-events N] [--stream-events N] [--rounds N]

In each round, the stream log is judged by the sweep and by a single run at each of its 30
settings. Only judging is timed, and the best round counts. The flags of all settings are
compared.
"""

import argparse
import tempfile
from pathlib import Path

from fastanomaly import Detector, Simulation, simulate
from fastanomaly.rules.parameters import OTHER_DEGREES, OTHER_TRACKED
from fastanomaly.sweeps.grid import check_grid
from fastanomaly.sweeps.judging import GridDetector


def judged(detector, batch, stream):
    """Return the seconds of judging, and the flags."""
    detector.feed(batch, judge=False)
    detector.time_judging()
    flags = detector.feed(stream).flags
    return detector.latency().seconds, flags


def main():
    """Measure, check the flags and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--batch-events", type=int, default=500_000)
    parser.add_argument("--stream-events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = vars(parser.parse_args())
    rounds = options.pop("rounds")
    with tempfile.TemporaryDirectory() as folder:
        logs = [Path(folder, name) for name in ("batch", "stream")]
        simulate(logs[0], logs[1], Simulation(**options))
        batch, stream = (log.read_bytes() for log in logs)
    batch = batch.split(b"\n", 1)[1]
    grid = check_grid(OTHER_DEGREES, OTHER_TRACKED, [3])
    sweeps, singles = [], {cell: [] for cell in grid.cells}
    for _ in range(rounds):
        seconds, flags = judged(GridDetector(grid), batch, stream)
        sweeps.append(seconds)
        by_cell = {cell: [] for cell in grid.cells}
        for flag in flags:
            values = memoryview(flag.cells).cast("q", (len(flag.cells) // 32, 4))
            rows: list[list[int]] = values.tolist()  # type: ignore[assignment]
            for index, _, mean, sd in rows:
                by_cell[grid.cells[index]].append((flag.line, mean, sd))
        for cell in grid.cells:
            seconds, flags = judged(Detector(cell.degree, cell.tracked), batch, stream)
            singles[cell].append(seconds)
            single = [(flag.line, flag.mean_cents, flag.sd_cents) for flag in flags]
            assert single == by_cell[cell], cell.name
    print_table(min(sweeps), {cell: min(seconds) for cell, seconds in singles.items()})


def print_table(sweep, singles):
    """Print the seconds of the sweep, and of single runs by setting, as a table."""
    last = list(singles)[-1]
    slowest = max(singles, key=singles.get)
    rows = [
        (f"sweep, {len(singles)} settings", sweep),
        (f"one run, D = {last.degree}, T = {last.tracked}", singles[last]),
        (f"slowest run, D = {slowest.degree}, T = {slowest.tracked}", singles[slowest]),
        (f"all {len(singles)} runs", sum(singles.values())),
    ]
    print("| judging | ms | relative to the sweep |")
    print("| --- | ---: | ---: |")
    for name, seconds in rows:
        print(f"| {name} | {seconds * 1e3:.0f} | {seconds / sweep:.2f} |")
    print(
        f"\nThe sweep takes {sweep / singles[last]:.2f} times as long as one run at "
        f"D = {last.degree}, T = {last.tracked}; all flags are equal."
    )


if __name__ == "__main__":
    main()
