"""Measure judging by several threads: speed, efficiency and memory, for each D.

Run it as `python benchmarks/parallel.py`: it simulates logs in the shape of the published
sample and logs of a million users with heavy-tailed friendships, builds the state of each
batch log once, and judges the stream log with 1, 2, 4 and 8 threads, each time in a process
of its own. The flags must be equal before a time counts. `--quick` does little of it, to see
that it works.

Where a machine has fewer processors than threads, it also prints the speed that Amdahl's law
gives: preparing and applying, as measured, plus judging by one thread, divided by N.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # when run as a script

from benchmarks.report import conditions, positive, progress, table
from fastanomaly import Detector, Simulation, simulate
from fastanomaly.processors import available_processors

BLOCK_BYTES = 1 << 21  # what `detect` reads at a time, at most


class Logs(NamedTuple):
    """A shape of logs, prepared: the state after the batch log, and the stream log."""

    title: str
    state: Path
    stream: Path


class Measured(NamedTuple):
    """What one process measured."""

    seconds: float
    judgements: int
    judging_seconds: float  # of all threads together, if they were timed
    shared_seconds: float  # wall time of judging batches that threads share
    peak_bytes: int
    digest: str  # of the flags


class Best(NamedTuple):
    """The best of some rounds with one number of threads at one D."""

    ns: float  # a purchase: reading, judging and applying, edits included
    serial_ns: float  # of that: everything but judging that threads share
    peak_bytes: int


# -- in a process of its own -----------------------------------------------------------


def blocks_of(path: Path) -> Iterator[bytes]:
    """Yield a log in blocks of whole lines."""
    with path.open("rb") as log:
        while block := log.read(BLOCK_BYTES):
            yield block + log.readline()


def peak_bytes(*, reset: bool = False) -> int:
    """Return the peak memory since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return next(int(row.split()[1]) for row in status.splitlines() if "VmHWM" in row) * 1024


def measure(state: str, stream: str, degree: int, threads: int, timed: bool) -> Measured:
    """Judge a stream log after the state before it."""
    detector = Detector.load(state)
    detector.degree = degree
    detector.threads = threads
    if timed:
        detector.time_judging()
    blocks = list(blocks_of(Path(stream)))
    peak_bytes(reset=True)
    line, flags = 1, []
    begun = time.perf_counter()
    for block in blocks:
        fed = detector.feed(block, first_line=line)
        line += fed.lines
        flags += fed.flags
    seconds = time.perf_counter() - begun
    sharing = detector.sharing()
    shown = [(flag.line, flag.n, flag.total, flag.mean_cents, flag.sd_cents) for flag in flags]
    return Measured(
        seconds,
        sharing.judgements,
        detector.latency().seconds,
        sharing.seconds,
        peak_bytes(),
        hashlib.sha256(repr(shown).encode()).hexdigest(),
    )


def measured_apart(logs: Logs, degree: int, threads: int, timed: bool = False) -> Measured:
    """Return what `measure` returns in a new process."""
    arguments = json.dumps([str(logs.state), str(logs.stream), degree, threads, timed])
    command = [sys.executable, __file__, "--measure", arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"D = {degree}, {threads} threads: {done.stderr}")
    return Measured(*json.loads(done.stdout))


# -- logs ------------------------------------------------------------------------------


def prepare(folder: Path, title: str, simulation: Simulation) -> Logs:
    """Write logs, and the state after the batch log."""
    batch, stream, state = (folder / name for name in ("batch", "stream", "state"))
    progress(f"{title}: {simulation.batch_events:,} events")
    simulate(batch, stream, simulation)
    detector = Detector(simulation.degree, simulation.tracked)
    for index, block in enumerate(blocks_of(batch)):
        # The first line has D and T.
        detector.feed(block if index else block.split(b"\n", 1)[1], judge=False)
    batch.unlink()
    detector.save(state)
    counts = detector.counts
    shape = (
        f"{title}: {counts.users:,} users, {counts.friendships:,} friendships, "
        f"{counts.purchases:,} purchases; {simulation.stream_events:,} events judged, "
        f"T = {simulation.tracked}, seed {simulation.seed}"
    )
    return Logs(shape, state, stream)


def simulations(args: argparse.Namespace) -> dict[str, Simulation]:
    """Return the shapes by their titles."""
    sample = Simulation(
        users=args.sample_users,
        batch_events=50 * args.sample_users,
        stream_events=args.stream_events,
        tracked=args.tracked,
        seed=args.seed,
    )
    heavy = Simulation(
        users=args.users,
        batch_events=20 * args.users,
        stream_events=args.stream_events,
        tracked=args.tracked,
        friendships="heavy-tailed",
        purchase_share=0.5,
        befriend_share=0.48,
        unfriend_share=0.02,
        seed=args.seed,
    )
    return {"The sample's shape": sample, "Heavy-tailed": heavy}


# -- results ---------------------------------------------------------------------------


def best_of(rounds: Sequence[Measured]) -> Best:
    """Return the best of the rounds with one number of threads."""
    purchases = rounds[0].judgements
    return Best(
        min(one.seconds for one in rounds) / purchases * 1e9,
        min(one.seconds - one.shared_seconds for one in rounds) / purchases * 1e9,
        max(one.peak_bytes for one in rounds),
    )


def judge_degree(
    logs: Logs, degree: int, threads: Sequence[int], rounds: int
) -> tuple[dict[int, Best], float]:
    """Return the best by number of threads, and the share of judging with one thread."""
    found: dict[int, list[Measured]] = {count: [] for count in threads}
    shares = []
    digests = set()
    for number in range(rounds):
        progress(f"D = {degree}, round {number + 1} of {rounds}")
        for count in threads:
            found[count].append(measured_apart(logs, degree, count))
            digests.add(found[count][-1].digest)
        timed = measured_apart(logs, degree, 1, timed=True)
        digests.add(timed.digest)
        shares.append(timed.judging_seconds / timed.seconds)
    if len(digests) > 1:
        sys.exit(f"D = {degree}: threads gave different flags")
    return {count: best_of(results) for count, results in found.items()}, median(shares)


def rows_of(
    degree: int, found: dict[int, Best], share: float, processors: int
) -> list[list[str]]:
    """Return the rows of one D."""
    one = found[1].ns
    # Overlapping threads would disturb each other on too few processors.
    several = [count for count in found if count > 1]
    fitting = [count for count in several if count <= processors] or several[:1]
    rows = []
    for count, best in found.items():
        row = [f"{degree}", f"{count}", f"{best.ns / 1000:,.2f}", f"{1e9 / best.ns:,.0f}"]
        row += [f"{one / best.ns:.2f}", f"{one / best.ns / count:.0%}"]
        row.append(f"{best.peak_bytes / 1e6:,.0f}")
        if max(found) > processors:
            row += amdahl(found, fitting, share, count)
        rows.append(row)
    return rows


def amdahl(
    found: dict[int, Best], fitting: Sequence[int], share: float, count: int
) -> list[str]:
    """Return the cells of Amdahl's law: µs and speedup with that many processors."""
    one_ns = found[1].ns
    if count == 1 or not fitting:
        return ["", ""]
    serial_ns = min(found[number].serial_ns for number in fitting)
    ns = serial_ns + share * one_ns / count
    return [f"{ns / 1000:,.2f}", f"{one_ns / ns:.2f}"]


def print_shape(logs: Logs, args: argparse.Namespace, processors: int) -> None:
    """Measure a shape and print its table."""
    head = ["D", "threads", "µs", "purchases/s", "speedup", "efficiency", "peak MB"]
    if max(args.threads) > processors:
        head += ["µs, Amdahl", "speedup, Amdahl"]
    rows = [head]
    shares = []
    for degree in args.degrees:
        found, share = judge_degree(logs, degree, args.threads, args.rounds)
        rows += rows_of(degree, found, share, processors)
        shares.append(f"D = {degree}: {share:.0%}")
    print(f"\n{logs.title}; best of {args.rounds} interleaved rounds, all flags equal.\n")
    print(table(rows, range(len(head))))
    print(f"\nShare of judging in the time of one thread: {', '.join(shares)}.", flush=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description="Measure judging by several threads.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--sample-users", type=positive, default=10_000, help="users in the sample's shape")
    add("--users", type=positive, default=1_000_000, help="users, heavy-tailed")
    add("--stream-events", type=positive, default=100_000, help="events of a stream log")
    add("--threads", type=positive, nargs="+", default=[1, 2, 4, 8], help="with 1")
    add("--degrees", type=positive, nargs="+", default=[1, 2, 3, 4, 5], help="values of D")
    add("-T", "--tracked", type=positive, default=50, help="latest purchases that count")
    add("--rounds", type=positive, default=3, help="interleaved; the best counts")
    add("--seed", type=int, default=0, help="seed of the logs")
    add("--quick", action="store_true", help="few users, events and degrees, one round")
    add("--measure", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.quick:
        args.sample_users, args.users = 2_000, 20_000
        args.stream_events, args.degrees, args.rounds = 20_000, [2, 3], 1
    args.threads = sorted({1, *args.threads})
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the tables."""
    args = parse(arguments)
    if args.measure is not None:
        print(json.dumps(measure(*args.measure)))
        return
    processors = available_processors()
    print(conditions(["fastanomaly"]))
    print(f"Processors that the process may use: {processors}.")
    for title, simulation in simulations(args).items():
        with tempfile.TemporaryDirectory() as folder:
            print_shape(prepare(Path(folder), title, simulation), args, processors)


if __name__ == "__main__":
    main()
