"""Measure what rejected and skipped lines cost, compared with good ones.

Run it as `python benchmarks/rejecting.py`; it prints a Markdown table on standard output: the
time per line of `fastanomaly detect` for a stream log of one kind of lines, with and without
a file of rejects, and the peak memory. The start of the command is subtracted. Ratios are to
a good line of the same rounds: a purchase of a user without friends, the cheapest there is. A
line should cost at most five times as much. For the last two kinds, Python code says what is
wrong with the value, so they cost more if rejects are written.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # when run as a script

from benchmarks.report import conditions, positive, progress, table

MEASURE = Path(__file__).with_name("measure.py")
COMMAND = Path(sys.executable).with_name("fastanomaly")

GOOD = (
    '{{"event_type":"purchase", "timestamp":"2017-06-13 11:33:02", "id": "{}", '
    '"amount": "16.83"}}'
)
KINDS = {
    "good purchases": GOOD,
    "blank lines": "",
    "two bytes of garbage": "xx",
    "two bytes of JSON": "{{}}",
    "nested JSON": '{{"a":[{{}}]}}',
    "a line that is too long": "x" * 200,
    "text": "the quick brown fox, line {}",
    "a row of CSV": "2017-06-13 11:33:02,{},16.83",
    "invalid UTF-8": "\udcff{}",
    "truncated JSON": GOOD[:80],
    "JSON with a comma after it": GOOD + ",",
    "single quotes": "{{'event_type':'purchase', 'id': '{}'}}",
    "an unknown event_type": '{{"event_type":"refund", "id": "{}"}}',
    "a bad amount": GOOD.replace("16.83", "$16.83"),
    "a bad timestamp": GOOD.replace(" 11:33:02", ""),
}


ROUNDS = 5


def run(program: Path, folder: Path, stream: str, options: list[str]) -> tuple[float, float]:
    """Return the wall time in seconds and the peak memory in MB of a run."""
    command = [str(program), "detect", "batch", stream, "out", "--quiet", *options]
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(MEASURE), *command, "--max-line", "150"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    wall, size, status = done.stdout.split()
    if int(status) not in (0, 4):  # 4: no valid event
        raise SystemExit(f"the run ended with status {int(status)}")
    return float(wall), int(size) / 1000


def compare(program: Path, folder: Path, lines: int, options: list[str]) -> list[str]:
    """Return the cells for the logs "kind" and "good": µs a line, ratio, MB of the first."""
    best = {"empty": float("inf"), "good": float("inf"), "kind": float("inf")}
    peak = 0.0
    for _ in range(ROUNDS):
        for stream, shortest in best.items():
            wall, peak = run(program, folder, stream, options)
            best[stream] = min(shortest, wall)
    kind, good = (max(best[name] - best["empty"], 0) / lines for name in ("kind", "good"))
    return [f"{kind * 1e6:.2f}", f"{kind / good:.1f}", f"{peak:.0f}"]


def write_log(path: Path, line: str, lines: int) -> None:
    """Write a log of one kind of lines."""
    text = "".join(line.format(number % 10_000) + "\n" for number in range(lines))
    path.write_bytes(text.encode("utf-8", "surrogateescape"))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=positive, default=500_000)
    parser.add_argument("--command", type=Path, default=COMMAND, help="another installation")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "batch").write_text('{"D":"2", "T":"50"}\n')
        (folder / "empty").write_bytes(b"")
        write_log(folder / "good", GOOD, args.lines)
        for kind, line in KINDS.items():
            write_log(folder / "kind", line, args.lines)
            row = [kind]
            for options in ([], ["--rejects", "rejects.tsv"]):
                row += compare(args.command, folder, args.lines, options)
            rows.append(row)
            progress(" ".join(row))
    headers = ["line", "µs", "ratio", "MB", "µs with rejects", "ratio", "MB"]
    print(conditions(["orjson"]), "", table([headers, *rows], range(1, 7)), sep="\n")


if __name__ == "__main__":
    main()
