"""Count the instructions that ingesting, judging and single calls take, with valgrind.

    python benchmarks/instructions.py PYTHON [PYTHON ...]

Each PYTHON is an interpreter with fastanomaly installed. The table has one row a workload:
instructions for each event with the first interpreter, and ratios to that for the others.
Unlike times, counts hardly depend on the machine's load, so a change of 1 % can be seen.

What a workload costs is the count of a run with it minus the count of a run that stops
just before it: start-up, imports and preparation cancel out. Counts repeat from run to run
because hashing has a fixed seed, and ``os.urandom``, from which the engine draws its secret,
is replaced. Lines are fed in blocks too small for the engine to scan them in a thread, and
one thread judges.
"""

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

EVENTS = 60_000
USERS = 6_000
STREAM_PURCHASES = 4_000
CALLS = 10_000
TRACKED = 50
BLOCK_LINES = 256
START = datetime(2017, 6, 13, tzinfo=UTC)

# What the measured interpreter runs: SCRIPT FOLDER DEGREE STEP, STEP being the last step.
MEASURED = f"""
import os, sys
os.urandom = lambda size: bytes(range(1, size + 1))
from fastanomaly import Detector

folder, degree, last_step = sys.argv[1], int(sys.argv[2]), sys.argv[3]

def blocks(name):
    found, block = [], []
    with open(os.path.join(folder, name), "rb") as file:
        for line in file:
            block.append(line)
            if len(block) == {BLOCK_LINES}:
                found.append(b"".join(block))
                block = []
    return [*found, b"".join(block)]

batch, stream = blocks("batch"), blocks("stream")
try:
    detector = Detector(degree, {TRACKED}, threads=1)
except TypeError:  # a version that has no threads
    detector = Detector(degree, {TRACKED})
time_us = 1_600_000_000_000_000
# Imports on first use are not what is counted.
detector.purchase("1", 100, time_us)
detector.befriend("1", "2")
calls = [(str(number * 7919 % {USERS}), str(number * 104729 % {USERS} + {USERS}))
         for number in range({CALLS})]
if last_step == "prepare":
    sys.exit()
if last_step == "purchase":
    for user, _ in calls:
        detector.purchase(user, 100, time_us)
    sys.exit()
if last_step == "befriend":
    for user, friend in calls:
        detector.befriend(user, friend)
    sys.exit()
for block in batch:
    detector.feed(block, judge=False)
if last_step == "ingest":
    sys.exit()
for block in stream:
    detector.feed(block)
"""

# Name, degree, the run with the workload, the run without, and the number of events.
WORKLOADS = (
    ("ingest, feed(judge=False)", 2, "ingest", "prepare", EVENTS),
    ("judge, feed, D = 2", 2, "judge", "ingest", STREAM_PURCHASES),
    ("judge, feed, D = 3", 3, "judge", "ingest", STREAM_PURCHASES),
    ("purchase, one call each", 2, "purchase", "prepare", CALLS),
    ("befriend, one call each", 2, "befriend", "prepare", CALLS),
)


def make_logs(folder: Path) -> None:
    """Write a batch log of friendships and purchases, and a stream log of purchases."""
    rng = random.Random(1)
    with (folder / "batch").open("w") as batch:
        for number in range(EVENTS):
            if number % 2:
                first, second = rng.sample(range(USERS), 2)
                kind = "unfriend" if rng.random() < 0.02 else "befriend"
                batch.write(
                    f'{{"event_type":"{kind}", "timestamp":"{_timestamp(number)}", '
                    f'"id1": "{first}", "id2": "{second}"}}\n'
                )
            else:
                batch.write(_purchase(rng, number))
    with (folder / "stream").open("w") as stream:
        for number in range(STREAM_PURCHASES):
            stream.write(_purchase(rng, EVENTS + number))


def count_instructions(python: str, script: Path, degree: int, step: str) -> int:
    """Run the measured script up to a step under valgrind; return its instructions."""
    settings = {n: v for n, v in os.environ.items() if not n.startswith("PYTHON")}
    completed = subprocess.run(
        [
            *("valgrind", "--tool=cachegrind", "--cache-sim=no"),
            *("--cachegrind-out-file=/dev/null", python, "-P", "-s", script),
            *(script.parent, str(degree), step),
        ],
        env={**settings, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"I\s+refs:\s+([\d,]+)", completed.stderr)
    if completed.returncode or not found:
        sys.exit(f"{python}: {step} failed\n{completed.stderr}")
    return int(found[1].replace(",", ""))


def measure(python: str, script: Path) -> list[float]:
    """Return the instructions an event for each workload, in the order of WORKLOADS."""
    counted: dict[tuple[int, str], int] = {}
    for _, degree, *steps, _ in WORKLOADS:
        for step in steps:
            if (degree, step) not in counted:
                counted[degree, step] = count_instructions(python, script, degree, step)
    return [
        (counted[degree, step] - counted[degree, before]) / events
        for _, degree, step, before, events in WORKLOADS
    ]


def print_table(pythons: list[str], counts: list[list[float]]) -> None:
    """Print instructions an event with the first interpreter, and ratios of the others."""
    print("instructions for each event; ratios to the first:")
    for number, python in enumerate(pythons, 1):
        print(f"  {number}: {python}")
    heads = "".join(
        f"{f'({number})':>10}{'ratio':>8}" for number in range(2, len(pythons) + 1)
    )
    print(f"{'workload':28}{'(1)':>10}{heads}")
    for row, (name, *_) in enumerate(WORKLOADS):
        first = counts[0][row]
        others = "".join(f"{c[row]:10.1f}{c[row] / first:8.3f}" for c in counts[1:])
        print(f"{name:28}{first:10.1f}{others}")


def main() -> None:
    """Measure each interpreter of the command line, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pythons", nargs="+", metavar="PYTHON")
    pythons = parser.parse_args().pythons
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is missing (Debian, Ubuntu: apt-get install valgrind)")
    with tempfile.TemporaryDirectory() as folder:
        make_logs(Path(folder))
        script = Path(folder, "measured.py")
        script.write_text(MEASURED)
        print_table(pythons, [measure(python, script) for python in pythons])


def _timestamp(number: int) -> str:
    return str(START + timedelta(seconds=number))[:19]


def _purchase(rng: random.Random, number: int) -> str:
    return (
        f'{{"event_type":"purchase", "timestamp":"{_timestamp(number)}", '
        f'"id": "{rng.randrange(USERS)}", "amount": "{rng.lognormvariate(3, 1):.2f}"}}\n'
    )


if __name__ == "__main__":
    main()
