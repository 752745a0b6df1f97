"""How many processors this process may use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from math import ceil

_PROC_CGROUP = "/proc/self/cgroup"
_CGROUPS = "/sys/fs/cgroup"


def available_processors() -> int:
    """Return the number of processors that this process may use, at least 1.

    It is what the affinity of the process allows (``taskset``, ``cpuset``), but not more
    than the quota of its control groups (``docker --cpus``), rounded up.
    """
    try:
        processors = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        processors = os.cpu_count() or 1
    return max(1, min([processors, *map(ceil, _quotas())]))


def _quotas() -> Iterator[float]:
    """Yield the quotas of this process's control groups, and of those they are in."""
    try:
        with open(_PROC_CGROUP, errors="surrogateescape") as file:  # names are any bytes
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:
        if line.count(":") < 2:
            continue
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            yield from _quotas_up(_CGROUPS, group, _quota)
        elif "cpu" in controllers.split(","):
            yield from _quotas_up(f"{_CGROUPS}/cpu", group, _quota_of_version_1)


def _quotas_up(root: str, group: str, read: Callable[[str], float | None]) -> Iterator[float]:
    """Yield the quotas of a group and of those that it is in, up to the root."""
    parts = [part for part in group.split("/") if part]
    for count in range(len(parts), -1, -1):
        try:
            quota = read("/".join([root, *parts[:count]]))
        except (OSError, ValueError, ArithmeticError):
            continue
        if quota is not None:
            yield quota


def _quota(folder: str) -> float | None:
    with open(f"{folder}/cpu.max") as file:
        quota, period = file.read().split()
    return None if quota == "max" else int(quota) / int(period)


def _quota_of_version_1(folder: str) -> float | None:
    with open(f"{folder}/cpu.cfs_quota_us") as file:
        quota = int(file.read())
    with open(f"{folder}/cpu.cfs_period_us") as file:
        return None if quota <= 0 else quota / int(file.read())
