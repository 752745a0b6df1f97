"""What all benchmarks print: tables, and the machine and versions."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parent.parent

# Bytes in a unit of ru_maxrss.
MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


class Spread(NamedTuple):
    """Times of single operations in nanoseconds."""

    timed: int
    mean: float
    p50: float
    p99: float
    p999: float
    max: float

    @classmethod
    def of(cls, ns: npt.ArrayLike) -> "Spread":
        """Summarise times; with few of them, the high percentiles are the maximum."""
        ns = np.asarray(ns)
        at = np.percentile(ns, [50, 99, 99.9], method="inverted_cdf")
        p50, p99, p999 = map(float, at)
        return cls(len(ns), float(ns.mean()), p50, p99, p999, float(ns.max()))

    def cells(self) -> list[str]:
        """Return how many, then mean, p50, p99, p99.9 and max in microseconds."""
        return [f"{self.timed:,}", *map(us, self[1:])]


SPREAD_HEAD = ["timed", "mean µs", "p50", "p99", "p99.9", "max"]


def us(ns: float) -> str:
    """Return nanoseconds as microseconds, with about three digits."""
    return f"{ns / 1000:,.{2 if ns < 10_000 else 1 if ns < 100_000 else 0}f}"


def table(rows: Sequence[Sequence[str]], right: Iterable[int]) -> str:
    """Return a Markdown table with a head row; `right` has the right-aligned columns."""
    right = set(right)
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]

    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |"

    def padded(row: Sequence[str]) -> str:
        return line(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )

    rule = line(
        "-" * (width - 1) + (":" if i in right else "-") for i, width in enumerate(widths)
    )
    return "\n".join([padded(rows[0]), rule, *map(padded, rows[1:])])


def progress(text: str) -> None:
    """Report on standard error what is being measured."""
    print(text, file=sys.stderr, flush=True)


def conditions(packages: Iterable[str]) -> str:
    """Return a line with the machine, the versions and the commit."""
    machine = (
        f"{cpu_model()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
    )
    python = f"{platform.python_implementation()} {platform.python_version()}"
    versions = ", ".join(f"{p} {version(p)}" for p in packages)
    return f"{machine}, {python}; {versions}; commit {commit()}."


def cpu_model() -> str:
    """Return the name of the processor, if the system gives one."""
    if sys.platform == "darwin":
        return ask("sysctl", "-n", "machdep.cpu.brand_string")
    try:
        with open("/proc/cpuinfo") as info:
            names = [line.partition(":")[2] for line in info if line.startswith("model name")]
    except OSError:
        names = []
    return names[0].strip() if names else platform.machine()


def version(package: str) -> str:
    """Return the version of an installed package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"


def commit() -> str:
    """Return the git commit, and whether the sources differ from it."""
    name = ask("git", "rev-parse", "--short", "HEAD")
    changed = ask(
        "git", "--no-optional-locks", "status", "--porcelain", "--", "src", "setup.py"
    )
    return name + (" and changes" if changed else "") if name else "unknown"


def ask(*command: str) -> str:
    """Return what a command prints, or nothing if it fails."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def positive(text: str) -> int:
    """Read an integer of at least 1."""
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number
