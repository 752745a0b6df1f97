"""What a plan is made for: a log, and the machines there are."""

from __future__ import annotations

import math
from typing import NamedTuple

from fastanomaly.errors import ParameterError
from fastanomaly.rules.parameters import MAX_THREADS, check_whole, whole_number

GB = 1e9
MOST_USERS = 2**31 - 2
_MOST = 1e12


class Needs(NamedTuple):
    """A log, and how it is judged.

    Attributes
    ----------
    users : int
        Known users, 1 to 2^31 - 2.
    friends : float
        Friends of a user on average, at most as many as there are other users.
    purchases : float
        Purchases of a user on average; of those beyond T the oldest are dropped.
    tracked, degree : int
        T and D.
    rate : float
        Events a second.
    judge_us : float, optional
        Microseconds to judge a purchase with one thread, if it has been measured; otherwise
        that of benchmarks.
    may_fail : int, default 0
        How many machines may fail at a time.
    """

    users: int
    friends: float
    purchases: float
    tracked: int
    degree: int
    rate: float
    judge_us: float | None = None
    may_fail: int = 0


class Machine(NamedTuple):
    """One of equal machines.

    Attributes
    ----------
    memory_gb : float, default 256
        In 10^9 bytes.
    cores : int, default 16
        Processors that threads run on.
    network_gbit : float, default 10
        Gigabits a second, in each direction.
    """

    memory_gb: float = 256
    cores: int = 16
    network_gbit: float = 10


def check_needs(needs: Needs) -> None:
    """Check all values.

    Raises
    ------
    ParameterError
        If one is not a number, or out of range; the message has the name and the value.
    """
    _in_range("users", whole_number("users", needs.users), 1, MOST_USERS)
    _in_range("friends", needs.friends, 0, needs.users - 1)
    _in_range("purchases", needs.purchases, 0, _MOST)
    check_whole("T", needs.tracked)
    check_whole("D", needs.degree)
    _in_range("rate", needs.rate, 0.001, _MOST)
    if needs.judge_us is not None:
        _in_range("judge_us", needs.judge_us, 0.001, _MOST)
    _in_range("may_fail", whole_number("may_fail", needs.may_fail), 0, 1000)


def check_machine(machine: Machine) -> None:
    """Do the same for a machine."""
    _in_range("machine_memory", machine.memory_gb, 0.001, _MOST)
    _in_range("cores", whole_number("cores", machine.cores), 1, MAX_THREADS)
    _in_range("network", machine.network_gbit, 0.001, _MOST)


def _in_range(name: str, value: float, least: float, most: float) -> None:
    if not math.isfinite(value) or not least <= value <= most:
        bounds = f"{_text(least)}..{_text(most)}"
        raise ParameterError(f"{name}: {_text(value)} is not in {bounds}")


def _text(value: float) -> str:
    """Return a number without exponent, if it is a whole one."""
    return str(int(value)) if math.isfinite(value) and value == int(value) else f"{value:g}"
