"""Time ./run.sh of several versions of this project on the same logs, in the same run.

    python benchmarks/versions.py CHECKOUT [CHECKOUT ...]

Each CHECKOUT is a folder with the project. Its script sets up what is missing before the
clock starts. The rounds are interleaved: each version runs once before any runs again, in an
order that changes. Ratios are to the first checkout and to `orjson.loads` alone over the same
lines, which are in memory. Flags must be equal, or nothing is printed.

Options that `--help` does not list go to `fastanomaly simulate`, which writes the logs.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # when run as a script

from benchmarks.compare import FLOOR, Logs, simulate
from benchmarks.report import conditions, positive, progress, table

OUTPUT = Path("log_output", "flagged_purchases.json")


def copy_of(checkout: Path, logs: Logs, folder: Path) -> Path:
    """Return a copy of run.sh that judges the logs with a checkout's environment.

    The folder has to be below the checkout: there the script looks for the project.
    """
    (folder / "log_input").mkdir()
    for name, log in logs._asdict().items():
        (folder / "log_input" / f"{name}_log.json").symlink_to(log)
    return Path(shutil.copy(checkout / "run.sh", folder))


def run(script: Path) -> float:
    """Return the seconds that a script takes."""
    begun = time.perf_counter()
    done = subprocess.run([script], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode:
        sys.exit(f"{script}: {done.stderr}")
    return seconds


def parse(logs: Logs) -> float:
    """Return the seconds that orjson takes for the lines of the logs."""
    lines = [line for log in logs for line in log.read_bytes().splitlines()]
    begun = time.perf_counter()
    for line in lines:
        orjson.loads(line)
    return time.perf_counter() - begun


def measure(scripts: dict[str, Path], logs: Logs, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each round, by version."""
    found: dict[str, list[float]] = {FLOOR: [], **{name: [] for name in scripts}}
    for script in scripts.values():  # sets up what is missing, then warms caches
        for _ in range(2):
            run(script)
    flags = {(script.parent / OUTPUT).read_bytes() for script in scripts.values()}
    if len(flags) > 1:
        sys.exit("the versions gave different flags")
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        found[FLOOR].append(parse(logs))
        for name in random.sample(list(scripts), len(scripts)):
            found[name].append(run(scripts[name]))
    return found


def rows_of(found: dict[str, list[float]], first: str) -> list[list[str]]:
    """Return the rows of the table."""
    rows = [["version", "best s", "median s", "of the first", "by rounds", f"of {FLOOR}"]]
    for name, seconds in found.items():
        pairs = zip(seconds, found[first], strict=True)
        rows.append(
            [
                name,
                f"{min(seconds):.4f}",
                f"{median(seconds):.4f}",
                f"{min(seconds) / min(found[first]):.2f}",
                f"{median(one / other for one, other in pairs):.2f}",
                f"{min(seconds) / min(found[FLOOR]):.2f}",
            ]
        )
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkouts", nargs="+", type=Path, metavar="CHECKOUT")
    parser.add_argument("--repeat", type=positive, default=20, metavar="ROUNDS")
    args, options = parser.parse_known_args(arguments)
    names = [str(checkout) for checkout in args.checkouts]
    with ExitStack() as stack:

        def folder(where: Path | None = None) -> Path:
            return Path(stack.enter_context(tempfile.TemporaryDirectory(dir=where)))

        logs = simulate(folder(), options)
        scripts = {
            name: copy_of(checkout, logs, folder(checkout.resolve()))
            for name, checkout in zip(names, args.checkouts, strict=True)
        }
        found = measure(scripts, logs, args.repeat)
    print(conditions(["fastanomaly", "orjson"]))
    print(f"{args.repeat} rounds. Ratios are of the best; by rounds, their medians.\n")
    print(table(rows_of(found, names[0]), right=range(1, 6)))


if __name__ == "__main__":
    os.environ.pop("GLIBC_TUNABLES", None)  # the scripts set it
    main()
