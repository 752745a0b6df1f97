"""The common part of the Python solutions: read logs, keep purchases, judge, write.

A solution adds only a graph. Users are dense integers here, numbered in order of
appearance, so that they can index a graph and a list of histories.
"""

import json
import sys
import time
from bisect import insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from heapq import merge, nlargest
from itertools import islice
from math import isqrt
from typing import NamedTuple, Protocol

UNITS_PER_ONE = 1_000_000
UNITS_PER_CENT = 10_000
AMOUNT_LIMIT = 10**12

BAD_LINE = (ValueError, KeyError, TypeError, ArithmeticError)

decode = json.JSONDecoder(parse_float=Decimal).decode


class Purchase(NamedTuple):
    """A purchase; purchases compare by time, then by the order of reading."""

    time: datetime
    sequence: int
    user: int
    amount_units: int


class Graph(Protocol):
    """The friend graph, the only part in which the solutions differ."""

    def add_user(self, user: int) -> None:
        """Add a new user; users are added as 0, 1, 2, ..."""

    def befriend(self, a: int, b: int) -> None:
        """Make two users friends, unless they are."""

    def unfriend(self, a: int, b: int) -> None:
        """End a friendship, if there is one."""

    def batch_log_done(self) -> None:
        """Prepare for `network`, which is not called before."""

    def network(self, user: int, degree: int) -> Iterable[int]:
        """Return the users at distance 1 to `degree` from `user`, without `user`."""


class Phases(NamedTuple):
    """The result of a run: seconds for each log, and the number of judged purchases."""

    load_seconds: float
    judge_seconds: float
    judged: int


def user_text(value: object) -> str:
    """Return an id as text, an integer as its decimal text."""
    if type(value) is int:
        return str(value)
    if type(value) is not str or not value:
        raise ValueError(value)
    return value


@lru_cache(maxsize=4096)
def utc(text: str) -> datetime:
    """Return a timestamp in UTC; without an offset it is in UTC already."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return moment
    return moment.astimezone(UTC).replace(tzinfo=None)


def amount_units(value: object) -> int:
    """Return an amount in units of 10^-6, exactly."""
    if type(value) is not str and type(value) is not int and type(value) is not Decimal:
        raise TypeError(value)
    amount = Decimal(value)
    units = int(amount * UNITS_PER_ONE)
    if not 0 <= amount < AMOUNT_LIMIT or units != amount * UNITS_PER_ONE:
        raise ValueError(value)
    return units


def two_decimals(cents: int) -> str:
    """Return cents as a decimal number with two decimals."""
    return f"{cents // 100}.{cents % 100:02d}"


def verdict(amount: int, window: list[int]) -> tuple[str, str] | None:
    """Return mean and sd as texts if `amount` is anomalous given `window`, else None.

    All amounts are in units of 10^-6. Integers only: with n amounts of sum s and sum of
    squares q, the mean is s/n and the variance (n q - s^2) / n^2.
    """
    n = len(window)
    if n < 2:
        return None
    s = sum(window)
    excess = n * amount - s
    if excess <= 0:
        return None
    spread = n * sum(x * x for x in window) - s * s
    if excess * excess <= 9 * spread:
        return None
    one_cent = n * UNITS_PER_CENT
    return two_decimals(s // one_cent), two_decimals(isqrt(spread // (one_cent * one_cent)))


class Solution:
    """A solution of the task over a given graph."""

    def __init__(self, graph: Graph, degree: int, tracked: int) -> None:
        self.graph = graph
        self.degree = degree
        self.tracked = tracked
        self.users: dict[str, int] = {}
        self.histories: list[deque[Purchase]] = []
        self.newest: list[Purchase | None] = []
        self.sequence = 0
        self.judged = 0

    def user(self, value: object) -> int:
        """Return the number of the user with this id; add the user if it is new."""
        name = user_text(value)
        user = self.users.get(name)
        if user is None:
            user = self.users[name] = len(self.users)
            self.histories.append(deque(maxlen=self.tracked))
            self.newest.append(None)
            self.graph.add_user(user)
        return user

    def apply(self, event: dict[str, object], *, judge: bool) -> tuple[str, str] | None:
        """Apply one event; return mean and sd if it is a flagged purchase."""
        match event["event_type"]:
            case "purchase":
                time, amount = utc(event["timestamp"]), amount_units(event["amount"])
                user = self.user(event["id"])
                flagged = verdict(amount, self.latest(user)) if judge else None
                self.judged += judge
                self.record(Purchase(time, self.sequence, user, amount))
                self.sequence += 1
                return flagged
            case "befriend":
                a, b = self.user(event["id1"]), self.user(event["id2"])
                if a == b:
                    raise ValueError(event)
                self.graph.befriend(a, b)
            case "unfriend":
                self.graph.unfriend(self.user(event["id1"]), self.user(event["id2"]))
            case _:
                raise ValueError(event)
        return None

    def record(self, purchase: Purchase) -> None:
        """Insert a purchase into its user's latest ones, oldest first."""
        history = self.histories[purchase.user]
        if not history or purchase > history[-1]:
            history.append(purchase)
        elif len(history) < self.tracked:
            insort(history, purchase)
        elif purchase > history[0]:
            history.popleft()
            insort(history, purchase)
        self.newest[purchase.user] = history[-1]

    def latest(self, user: int) -> list[int]:
        """Return the amounts of the latest purchases in the user's network, newest first."""
        network = self.graph.network(user, self.degree)
        newest = filter(None, map(self.newest.__getitem__, network))
        # Only the histories of the T members who bought last matter.
        members = [self.histories[last.user] for last in nlargest(self.tracked, newest)]
        purchases = merge(*map(reversed, members), reverse=True)
        return [purchase.amount_units for purchase in islice(purchases, self.tracked)]


def events(lines: Iterable[bytes]) -> Iterator[tuple[bytes, dict[str, object]]]:
    """Yield the lines that are JSON objects, each with its object."""
    for line in lines:
        try:
            event = decode(line.decode())
        except ValueError:
            continue
        if isinstance(event, dict):
            yield line, event


def replay(new_graph: Callable[[], Graph], batch: str, stream: str, out: str) -> Phases:
    """Read the batch log, judge the stream log, write the flagged purchases to `out`."""
    started = time.perf_counter()
    with open(batch, "rb") as log:
        parameters = json.loads(log.readline())
        solution = Solution(new_graph(), int(parameters["D"]), int(parameters["T"]))
        for _, event in events(log):
            try:
                solution.apply(event, judge=False)
            except BAD_LINE:
                continue
    solution.graph.batch_log_done()
    loaded = time.perf_counter()
    with open(stream, "rb") as log, open(out, "wb") as flagged:
        for line, event in events(log):
            try:
                found = solution.apply(event, judge=True)
            except BAD_LINE:
                continue
            if found:
                mean, sd = found
                brace = line.rindex(b"}")
                numbers = f', "mean": "{mean}", "sd": "{sd}"'.encode()
                end = line[brace:].rstrip(b"\r\n")
                flagged.write(line[:brace] + numbers + end + b"\n")
    return Phases(loaded - started, time.perf_counter() - loaded, solution.judged)


def main(detect: Callable[[str, str, str], Phases]) -> None:
    """Run a solution on the files given by the arguments: BATCH STREAM OUT.

    Print its phases to standard error, as one line of JSON.
    """
    if len(sys.argv) != 4:
        sys.exit(f"usage: {sys.argv[0]} BATCH STREAM OUT")
    print(json.dumps(detect(*sys.argv[1:])._asdict()), file=sys.stderr)
