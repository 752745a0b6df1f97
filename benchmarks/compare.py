"""Run fastanomaly and the obvious alternatives on the same logs, in the same run.

Run it as `python benchmarks/compare.py`; it prints Markdown tables on standard output.
Every run is a separate process, with its own wall time and peak memory. The rounds are
interleaved: each solution runs once before any runs again. A solution whose output is not
the exact answer gets no ratio.

Options that `--help` does not list go to `fastanomaly simulate`, which writes the logs:
`--friendships heavy-tailed`, `--late-share 0.01`, `--dirty-share 0.01`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # when run as a script

from benchmarks.report import MAXRSS_BYTES, ROOT, conditions, positive, progress, table

US = "fastanomaly"
FLOOR = "orjson.loads alone"
PATIENCE = 300  # seconds for a run
SOLUTIONS = {
    US: ["fastanomaly", "detect", "--quiet"],
    "plain Python": ["benchmarks.solutions.plain_python"],
    "networkx": ["benchmarks.solutions.with_networkx"],
    "igraph": ["benchmarks.solutions.with_igraph"],
    FLOOR: ["benchmarks.solutions.orjson_alone"],
}
# Solutions that report the time of each log; for fastanomaly, the Python API does.
PHASED = {
    **SOLUTIONS,
    US: ["benchmarks.solutions.with_fastanomaly"],
    f"{US}, method='ball'": ["benchmarks.solutions.whole_balls"],
}
del PHASED[FLOOR]
# A million users, one of them with many thousands of friends.
HEAVY_TAILED = ["--friendships", "heavy-tailed", "--befriend-share", "0.75"]
HEAVY_TAILED += ["--purchase-share", "0.24"]
HEAVY_TAILED_USERS, HEAVY_TAILED_EVENTS = 1_000_000, 4_000_000

RIGHT = "right"


class Run(NamedTuple):
    """One run of one solution."""

    wall_seconds: float
    peak_bytes: int
    error: str  # empty if it succeeded
    phases: dict[str, float]  # empty if it reported none
    out: Path


class Logs(NamedTuple):
    """A batch log and a stream log."""

    batch: Path
    stream: Path


def run(module: Sequence[str], logs: Logs, out: Path) -> Run:
    """Run a solution in a separate process, and measure it."""
    command = [sys.executable, "-m", *module, str(logs.batch), str(logs.stream), str(out)]
    measure = [sys.executable, "-I", "-S", str(ROOT / "benchmarks" / "measure.py"), *command]
    try:
        done = subprocess.run(
            measure, cwd=ROOT, capture_output=True, text=True, check=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        return Run(PATIENCE, 0, f"more than {PATIENCE} s", {}, out)
    wall, maxrss, status = done.stdout.split()
    last = (done.stderr.splitlines() or [""])[-1]
    if status != "0":
        return Run(float(wall), 0, f"failed with {status}: {last}", {}, out)
    phases = json.loads(last) if last.startswith("{") else {}
    return Run(float(wall), int(maxrss) * MAXRSS_BYTES, "", phases, out)


def run_rounds(
    modules: dict[str, list[str]], logs: Logs, folder: Path, rounds: int
) -> dict[str, list[Run]]:
    """Run every solution once per round."""
    runs: dict[str, list[Run]] = {name: [] for name in modules}
    for i in range(rounds):
        for name, module in modules.items():
            progress(f"{logs.batch.stem}, round {i + 1} of {rounds}: {name}")
            runs[name].append(run(module, logs, folder / f"{i}-{module[0]}.json"))
    return runs


def answers(runs: Iterable[Run], exact: bytes) -> str:
    """Say whether every run gave the exact answer, or what is wrong with the first other."""
    for one in runs:
        if one.error:
            return one.error
        if (fault := difference(one.out.read_bytes(), exact)) != RIGHT:
            return fault
    return RIGHT


def difference(given: bytes, exact: bytes) -> str:
    """Compare flagged purchases line by line: the lines and the numbers in them."""
    if given == exact:
        return RIGHT
    total = exact.count(b"\n")
    missing = Counter(exact.splitlines())
    extra = Counter(given.splitlines())
    missing, extra = missing - extra, extra - missing
    if not missing and not extra:
        return f"wrong: the {total} lines are in another order"
    # A purchase in both was rightly flagged, but with other numbers.
    purchases = purchases_in(missing)
    other_numbers = (purchases & purchases_in(extra)).total()
    parts = {
        "missing": missing.total() - other_numbers,
        "too many": extra.total() - other_numbers,
        "with other numbers": other_numbers,
    }
    detail = ", ".join(f"{count} {what}" for what, count in parts.items() if count)
    return f"wrong: {sum(parts.values())} of {total} lines differ ({detail})"


def purchases_in(lines: Counter[bytes]) -> Counter[bytes]:
    """Count flagged lines without the inserted numbers."""
    purchases: Counter[bytes] = Counter()
    for line, count in lines.items():
        purchases[line.rpartition(b', "mean": ')[0]] += count
    return purchases


def whole_runs(logs: Logs, folder: Path, rounds: int, events: int) -> str:
    """Return the table of whole runs: start, both logs, flagged purchases written."""
    runs = run_rounds(SOLUTIONS, logs, folder, rounds)
    exact = exact_answer(runs[US])
    ours = best_wall(runs[US])
    head = ["solution", "best s", "median s", "events/s", "peak MB", "ratio", "answers"]
    rows = [head]
    for name, its in runs.items():
        verdict = "none: parses only" if name == FLOOR else answers(its, exact)
        if any(one.error for one in its):
            rows.append([name, *["-"] * 5, verdict])
            continue
        best = best_wall(its)
        has_ratio = name == FLOOR or verdict == RIGHT
        rows.append(
            [
                name,
                f"{best:.3f}",
                f"{median(one.wall_seconds for one in its):.3f}",
                f"{events / best:,.0f}",
                f"{max(one.peak_bytes for one in its) / 1e6:.0f}",
                f"{best / ours:.2f}" if has_ratio else "-",
                verdict,
            ]
        )
    return table(rows, right=range(1, 6))


def judging(logs: Logs, folder: Path, rounds: int, degrees: Sequence[int]) -> str:
    """Return the table of microseconds per judged purchase, by degree."""
    rows = [["solution", *(f"D = {degree}" for degree in degrees), "answers"]]
    cells: dict[str, list[str]] = {name: [] for name in PHASED}
    faults: dict[str, str] = {}
    for degree in degrees:
        runs = run_rounds(PHASED, with_degree(logs, degree, folder), folder, rounds)
        exact = exact_answer(runs[US])
        ours = best_judged(runs[US])
        for name, its in runs.items():
            verdict = answers(its, exact)
            if verdict == RIGHT:
                its_time = best_judged(its)
                cells[name].append(f"{its_time:,.1f} ({its_time / ours:,.1f} x)")
            else:
                cells[name].append("-")
                faults.setdefault(name, f"D = {degree}: {verdict}")
    rows += [[name, *its, faults.get(name, RIGHT)] for name, its in cells.items()]
    return table(rows, right=range(1, len(degrees) + 1))


def exact_answer(runs: Sequence[Run]) -> bytes:
    """Return the output of fastanomaly, which the others are compared with."""
    if error := next((one.error for one in runs if one.error), ""):
        sys.exit(f"{US} {error}")
    exact = runs[0].out.read_bytes()
    if any(one.out.read_bytes() != exact for one in runs):
        sys.exit(f"{US} did not give the same answer twice")
    return exact


def best_wall(runs: Iterable[Run]) -> float:
    """Return the shortest wall time, in seconds."""
    return min(one.wall_seconds for one in runs)


def best_judged(runs: Iterable[Run]) -> float:
    """Return the shortest time per judged purchase, in microseconds."""
    return min(
        one.phases["judge_seconds"] / max(one.phases["judged"], 1) * 1e6 for one in runs
    )


def simulate(folder: Path, options: Sequence[str]) -> Logs:
    """Write the logs that all solutions read."""
    logs = Logs(folder / "batch_log.json", folder / "stream_log.json")
    command = [sys.executable, "-m", "fastanomaly", "simulate", *map(str, logs), *options]
    if status := subprocess.call(command, cwd=ROOT):
        sys.exit(status)
    return logs


def simulate_options(args: argparse.Namespace, more: Sequence[str]) -> list[str]:
    """Return the options of `fastanomaly simulate`."""
    options = {
        "--users": args.users,
        "--batch-events": args.batch_events,
        "--stream-events": args.stream_events,
        "--degree": args.degree,
        "--tracked": args.tracked,
        "--seed": args.seed,
    }
    return [*(str(part) for option in options.items() for part in option), *more]


def sample(logs: Logs, events: int, folder: Path) -> Logs:
    """Return the logs with only the first `events` lines of the stream log."""
    shorter = folder / "stream_sample.json"
    with open(logs.stream, "rb") as log, open(shorter, "wb") as out:
        out.writelines(islice(log, events))
    return Logs(logs.batch, shorter)


def with_degree(logs: Logs, degree: int, folder: Path) -> Logs:
    """Return the logs with another D in the first line of the batch log."""
    batch = folder / f"batch_log at D = {degree}.json"
    with open(logs.batch, "rb") as log, open(batch, "wb") as out:
        parameters = json.loads(log.readline())
        out.write(json.dumps({**parameters, "D": str(degree)}).encode() + b"\n")
        while block := log.read(1 << 20):
            out.write(block)
    return Logs(batch, logs.stream)


def parse(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Return our own options, and those for `fastanomaly simulate`."""
    parser = argparse.ArgumentParser(
        description="Compare fastanomaly with other solutions on the same simulated logs.",
        epilog="Options not listed here go to `fastanomaly simulate`.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--users", type=positive, default=10_000, help="users")
    add("--batch-events", type=positive, default=500_000, help="lines of the batch log")
    add("--stream-events", type=positive, default=1_000, help="lines of the stream log")
    add("-D", "--degree", type=positive, default=2, help="degrees of a network")
    add("-T", "--tracked", type=positive, default=50, help="latest purchases that count")
    add("--repeat", type=positive, default=3, help="rounds: runs of each solution")
    add("--seed", type=int, default=0, help="seed of the simulated logs")
    add(
        "--judge-events",
        type=positive,
        default=300,
        help="lines of the stream log, from its start, that the second table measures",
    )
    add(
        "--degrees",
        type=positive,
        nargs="*",
        default=[1, 2, 3, 4, 5, 6],
        help="the degrees of the second table; none leaves it out",
    )
    add(
        "--heavy-tailed-degrees",
        type=positive,
        nargs="*",
        default=[1, 2, 3],
        help="the degrees of the third table, of a million users; none leaves it out",
    )
    add(
        "--heavy-tailed-events",
        type=positive,
        default=20,
        help="lines of the stream log that the third table measures",
    )
    return parser.parse_known_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both tables."""
    args, more = parse(arguments)
    rounds = f"{args.repeat} interleaved rounds"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        progress("simulating the logs")
        logs = simulate(folder, simulate_options(args, more))
        print(conditions([US, "networkx", "igraph", "orjson"]))
        print(
            f"\nWhole runs: {args.users:,} users, {args.batch_events:,} batch and "
            f"{args.stream_events:,} stream events, D = {args.degree}, T = {args.tracked}, "
            f"seed {args.seed}{', '.join(['', ' '.join(more)] if more else [])}; best and "
            f"median of {rounds}, the ratio of the best.\n"
        )
        events = args.batch_events + args.stream_events
        print(whole_runs(logs, folder, args.repeat, events), flush=True)
        if args.degrees:
            judged = min(args.judge_events, args.stream_events)
            print(
                "\nJudging only: microseconds per judged purchase (and ratio to fastanomaly), "
                f"from the end of the batch log to the end of the first {judged:,} of "
                f"{args.stream_events:,} stream events, by degree; the same logs, best of "
                f"{rounds}.\n"
            )
            logs = sample(logs, judged, folder)
            print(judging(logs, folder, args.repeat, args.degrees), flush=True)
    if args.heavy_tailed_degrees:
        heavy_tailed(args)


def heavy_tailed(args: argparse.Namespace) -> None:
    """Print the table of a network with hubs: one run of each solution."""
    args.users, args.batch_events = HEAVY_TAILED_USERS, HEAVY_TAILED_EVENTS
    args.stream_events = args.heavy_tailed_events
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        progress("simulating the heavy-tailed logs")
        logs = simulate(folder, simulate_options(args, HEAVY_TAILED))
        print(
            f"\nJudging only, heavy-tailed: {args.users:,} users, {args.batch_events:,} "
            f"batch events, three of four of them befriends, {args.stream_events} stream "
            f"events, T = {args.tracked}, seed {args.seed}; microseconds per judged purchase "
            "(and ratio to fastanomaly), one round.\n"
        )
        print(judging(logs, folder, 1, args.heavy_tailed_degrees))


if __name__ == "__main__":
    main()
