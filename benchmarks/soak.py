"""Months in minutes: very many events through a FIFO, with all that a live run has on.

The simulator writes into a FIFO; `detect --follow --checkpoint --metrics` reads it. Once a
second the process's resident memory and open descriptors are noted. What is asked of them:
flat after the warm-up, in which the state itself grows to its size.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # when run as a script

from benchmarks.report import conditions, table

COMMAND = (sys.executable, "-P", "-m", "fastanomaly")


def soak(args, folder):
    """Run it; return rows of (seconds, resident bytes, descriptors), and the summary."""
    os.mkfifo(folder / "fifo")
    simulated = ["--users", args.users, "--batch-events", 1000, "--degree", args.degree]
    simulated += ["--stream-events", args.events, "--tracked", args.tracked]
    # So few that the graph does not grow denser and denser.
    simulated += [
        "--purchase-share",
        0.994,
        "--befriend-share",
        0.005,
        "--unfriend-share",
        0.001,
    ]
    writer = subprocess.Popen(
        [*COMMAND, "simulate", "batch.json", "fifo", *map(str, simulated)], cwd=folder
    )
    while not (folder / "batch.json").exists() or not (folder / "batch.json").stat().st_size:
        time.sleep(0.1)
    time.sleep(1)
    options = ["--follow", "--until-idle", "5", "--checkpoint", "kept", "--every", "30s"]
    options += ["--metrics", "told.prom", "--rejects", "rejects", "--summary-json", "summary"]
    process = subprocess.Popen(
        [*COMMAND, "detect", "batch.json", "fifo", "out", *options], cwd=folder
    )
    rows = []
    begun = time.monotonic()
    while process.poll() is None:
        time.sleep(1)
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            descriptors = len(os.listdir(f"/proc/{process.pid}/fd"))
            resident = int(status.split("VmRSS:")[1].split()[0]) * 1024
        except (OSError, IndexError):
            continue
        rows.append((time.monotonic() - begun, resident, descriptors))
    assert process.returncode == 0
    assert writer.wait() == 0
    return rows, orjson.loads((folder / "summary").read_bytes())


def draw(rows, path):
    """Draw memory and descriptors against time."""
    import matplotlib as mpl  # noqa: PLC0415 - only pictures need it

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(8, 3.5), layout="constrained")
    seconds = [row[0] for row in rows]
    axes.plot(seconds, [row[1] / 1e6 for row in rows], color="#0072b2", label="resident MB")
    axes.plot(seconds, [row[2] for row in rows], color="#d55e00", label="open descriptors")
    axes.set_ylim(0)
    axes.set_xlabel("seconds")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=100_000_000)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("-D", "--degree", type=int, default=2)
    parser.add_argument("-T", "--tracked", type=int, default=50)
    parser.add_argument("--picture", metavar="FILE", help="draw it there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows, summary = soak(args, Path(folder))
    if args.picture:
        draw(rows, args.picture)
    print(conditions(["fastanomaly"]))
    print()
    print(
        f"{summary['events']:,} events, {summary['flags']:,} flags, in "
        f"{summary['seconds']:.0f} s; {args.users:,} users, D = {args.degree}, "
        f"T = {args.tracked}"
    )
    print()
    picked = [rows[int(share * (len(rows) - 1))] for share in (0.02, 0.1, 0.25, 0.5, 0.75, 1)]
    print(
        table(
            [
                ["after s", "resident MB", "descriptors"],
                *([f"{row[0]:.0f}", f"{row[1] / 1e6:.1f}", str(row[2])] for row in picked),
            ],
            range(3),
        )
    )


if __name__ == "__main__":
    main()
