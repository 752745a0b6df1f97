"""Soak test: very many events through a FIFO, with checkpoints and metrics on.

The simulator writes into a FIFO; `detect --follow --checkpoint --metrics` reads it. Resident
memory and open descriptors of the process are sampled once a second. They have to stay flat
after the warm-up, in which the state grows to its size.
"""

import argparse
import os
import re
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
    """Run the soak test.

    Returns rows (seconds, resident bytes, descriptors, state bytes) and the summary.
    """
    os.mkfifo(folder / "fifo")
    simulated = ["--users", args.users, "--batch-events", 1000, "--degree", args.degree]
    simulated += ["--stream-events", args.events, "--tracked", args.tracked]
    # As many friendships end as begin, so that the size of the state is constant.
    shares = {"purchase": 0.994, "befriend": 0.003, "unfriend": 0.003}
    for kind, share in shares.items():
        simulated += [f"--{kind}-share", share]
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
        rows.append((time.monotonic() - begun, resident, descriptors, state_bytes(folder)))
    assert process.returncode == 0
    assert writer.wait() == 0
    return rows, orjson.loads((folder / "summary").read_bytes())


def state_bytes(folder):
    """Return what the run last reported about its state."""
    told = (folder / "told.prom").read_text()
    return sum(float(size) for size in re.findall(r"state_bytes{.*} (.*)", told))


def draw(rows, path):
    """Draw memory and descriptors against time."""
    import matplotlib as mpl  # noqa: PLC0415 - only pictures need it

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(8, 3.5), layout="constrained")
    seconds = [row[0] for row in rows]
    axes.plot(seconds, [row[1] / 1e6 for row in rows], color="#0072b2", label="resident MB")
    axes.plot(seconds, [row[3] / 1e6 for row in rows], color="#009e73", label="state MB")
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
                ["after s", "resident MB", "of it state MB", "descriptors"],
                *(
                    [
                        f"{at:.0f}",
                        f"{resident / 1e6:.1f}",
                        f"{state / 1e6:.1f}",
                        str(descriptors),
                    ]
                    for at, resident, descriptors, state in picked
                ),
            ],
            range(4),
        )
    )


if __name__ == "__main__":
    main()
