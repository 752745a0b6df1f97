"""Measure the time from an event on one pipe to its flag on another, at a steady rate.

One process writes numbered events at the given rate; this one reads the flags, which have
the numbers, and takes the time from the clock that both share. With -k 1 about a tenth of
the purchases are flagged; all of these are timed.
"""

import argparse
import array
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # when run as a script

from benchmarks.report import Spread, conditions, table

PACE_SECONDS = 0.0005
NUMBER = re.compile(rb'"number": ([0-9]+)')


def feed(lines_path, times_path, rate):
    """Write lines to standard output at a rate per second; save the time of each."""
    lines = Path(lines_path).read_bytes().splitlines(keepends=True)
    times = array.array("d")
    out = sys.stdout.fileno()
    begun = time.monotonic() + 1  # time for the reader to load its batch log
    sent = 0
    while sent < len(lines):
        time.sleep(PACE_SECONDS)
        due = min(len(lines), int((time.monotonic() - begun) * rate))
        if due > sent:
            data = memoryview(b"".join(lines[sent:due]))
            times.extend([time.monotonic()] * (due - sent))
            while data:
                data = data[os.write(out, data) :]
            sent = due
    Path(times_path).write_bytes(times.tobytes())


def measure(args, folder):
    """Run the command; return the seconds from event to flag, ascending."""
    command = [sys.executable, "-P", "-m", "fastanomaly"]
    simulated = ["--users", args.users, "--batch-events", args.batch_events, "--degree"]
    simulated += [args.degree, "--tracked", 50, "--stream-events", args.rate * args.seconds]
    subprocess.run(
        [*command, "simulate", "batch.json", "stream.json", *map(str, simulated)],
        cwd=folder,
        check=True,
    )
    lines = (folder / "stream.json").read_bytes().splitlines()
    numbered = (b'%b, "number": %d}\n' % (line[:-1], i) for i, line in enumerate(lines))
    (folder / "stream.json").write_bytes(b"".join(numbered))
    feeder = subprocess.Popen(
        [sys.executable, __file__, "--feed", "stream.json", "times", str(args.rate)],
        cwd=folder,
        stdout=subprocess.PIPE,
    )
    detect = subprocess.Popen(
        [*command, "detect", "batch.json", "-", "-", "-k", "1", "--quiet", *args.options],
        cwd=folder,
        stdin=feeder.stdout,
        stdout=subprocess.PIPE,
    )
    feeder.stdout.close()
    arrivals = []
    rest = b""
    while data := os.read(detect.stdout.fileno(), 1 << 16):
        now = time.monotonic()
        rest += data
        *whole, rest = rest.split(b"\n")
        arrivals.extend((int(NUMBER.search(line)[1]), now) for line in whole)
    assert (detect.wait(), feeder.wait()) == (0, 0)
    times = array.array("d")
    times.frombytes((folder / "times").read_bytes())
    assert len(times) == len(lines)
    return sorted(now - times[number] for number, now in arrivals)


def main():
    if sys.argv[1:2] == ["--feed"]:
        feed(sys.argv[2], sys.argv[3], int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rate", type=int, default=50_000, help="events a second")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--batch-events", type=int, default=500_000)
    parser.add_argument("-D", "--degree", type=int, default=3)
    parser.add_argument("options", nargs="*", help="further arguments for detect, after --")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds = measure(args, Path(folder))
    print(conditions(["fastanomaly"]))
    print()
    spread = Spread.of([value * 1e9 for value in seconds])
    head = ["events/s", "D", "flags timed", "mean µs", "p50", "p99", "p99.9", "max"]
    row = [f"{args.rate:,}", str(args.degree), *spread.cells()]
    print(table([head, row], range(len(head))))


if __name__ == "__main__":
    main()
