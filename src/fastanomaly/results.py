"""What a detector gives: flags, counts, and what came of bulk calls.

Tuples with names: they cost a program that starts often less than dataclasses do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fastanomaly.rules.exact import UNITS, UNITS_PER_CENT, cents_text
from fastanomaly.rules.json_members import members
from fastanomaly.rules.rejects import Rejected

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal
    from fractions import Fraction

    import numpy as np
    import numpy.typing as npt


class Flag(NamedTuple):
    """A purchase that was anomalous, and against what.

    Attributes
    ----------
    user : str
        The buyer.
    time_us : int
        When, in microseconds since 1970-01-01 UTC.
    amount_units : int
        The amount in units of 10^-6.
    n : int
        How many purchases it was compared with: T at most.
    total, squares : int
        Their sum, in units of 10^-6, and the sum of their squares, in units of 10^-12.
    mean_cents, sd_cents : int
        Mean and standard deviation in cents, truncated.
    log : str or None
        The log the purchase stands in, as named by whoever fed it.
    line : int or None
        Its line number there, from 1.
    raw : bytes or None
        The line itself, without its line end.
    """

    user: str
    time_us: int
    amount_units: int
    n: int
    total: int
    squares: int
    mean_cents: int
    sd_cents: int
    log: str | None = None
    line: int | None = None
    raw: bytes | None = None

    @property
    def mean(self) -> str:
        """The mean truncated to two decimals, as it is written: ``29.10``."""
        return cents_text(self.mean_cents)

    @property
    def sd(self) -> str:
        """The standard deviation truncated to two decimals, as it is written."""
        return cents_text(self.sd_cents)

    @property
    def exact_mean(self) -> Fraction:
        """The mean itself."""
        from fractions import Fraction  # noqa: PLC0415 - most runs need none

        return Fraction(self.total, self.n * UNITS)

    @property
    def exact_variance(self) -> Fraction:
        """The square of the standard deviation, which itself need not be rational."""
        from fractions import Fraction  # noqa: PLC0415

        return Fraction(self.n * self.squares - self.total**2, (self.n * UNITS) ** 2)

    @property
    def amount(self) -> Decimal:
        """The amount itself, with two decimals, or as many as it needs."""
        from decimal import Decimal  # noqa: PLC0415

        cents, rest = divmod(self.amount_units, UNITS_PER_CENT)
        text = f"{self.amount_units}e-6" if rest else f"{cents}e-2"
        return Decimal(text)  # from text, so that no context rounds it

    @property
    def timestamp(self) -> datetime:
        """When, in UTC.

        Raises
        ------
        OverflowError
            If an offset carried it out of the years 1 to 9999.
        """
        from datetime import UTC, datetime, timedelta  # noqa: PLC0415

        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.time_us)

    def to_line(self) -> bytes:
        """The line of the output: the purchase's own, with mean and sd, without line end.

        Raises
        ------
        ValueError
            If the purchase did not come as a line.
        """
        if self.raw is None:
            raise ValueError("this purchase did not come as a line")
        return flag_line(self.raw, self.mean_cents, self.sd_cents)

    def _repr_html_(self) -> str:
        from html import escape  # noqa: PLC0415 - for notebooks

        values = {
            "user": self.user,
            "amount": self.amount,
            "mean": self.mean,
            "sd": self.sd,
            "purchases compared with": self.n,
            "line": "" if self.line is None else f"{self.log}, {self.line}",
        }
        rows = "".join(
            f'<tr><th scope="row">{name}</th><td>{escape(str(value))}</td></tr>'
            for name, value in values.items()
        )
        return f"<table><caption>A flagged purchase</caption><tbody>{rows}</tbody></table>"


def flag_line(line: bytes, mean_cents: int, sd_cents: int) -> bytes:
    """A purchase's line with mean and sd put in, without line end."""
    if b"mean" in line or b"sd" in line or b"\\" in line:
        line = _without_verdict(line)
    brace = line.rindex(b"}")
    return b'%b, "mean": "%b", "sd": "%b"%b' % (
        line[:brace],
        cents_text(mean_cents).encode(),
        cents_text(sd_cents).encode(),
        line[brace:],
    )


def _without_verdict(line: bytes) -> bytes:
    """The line without the members that the output adds."""
    parts = members(line)
    kept = [line[m.start : m.end] for m in parts if m.name not in ("mean", "sd")]
    if len(kept) == len(parts):
        return line
    return line[: parts[0].start] + b",".join(kept) + line[parts[-1].end :]


class Fed(NamedTuple):
    """What came of feeding lines.

    Attributes
    ----------
    lines : int
        How many lines were looked at, blank ones included.
    flags : list of Flag
        The purchases flagged, in order.
    rejected : list of Rejected
        The lines that are not valid events, in order.
    """

    lines: int
    flags: list[Flag]
    rejected: list[Rejected]


class ColumnFlags(NamedTuple):
    """The flagged rows of columns: one-dimensional int64 arrays of one length.

    Attributes
    ----------
    rows : numpy.ndarray
        The indices of the rows flagged, ascending.
    n : numpy.ndarray
        How many purchases each was compared with.
    mean_cents, sd_cents : numpy.ndarray
        Their mean and standard deviation in cents, truncated.
    """

    rows: npt.NDArray[np.int64]
    n: npt.NDArray[np.int64]
    mean_cents: npt.NDArray[np.int64]
    sd_cents: npt.NDArray[np.int64]


class Counts(NamedTuple):
    """How much a detector has seen and holds.

    Attributes
    ----------
    purchases, befriends, unfriends : int
        Valid events applied.
    flags : int
        Purchases flagged.
    users : int
        Users known: with a purchase, or befriended.
    friendships : int
        Friendships that stand now.
    kept : int
        Purchases kept for verdicts to come: T a user at most.
    """

    purchases: int
    befriends: int
    unfriends: int
    flags: int
    users: int
    friendships: int
    kept: int

    @property
    def events(self) -> int:
        """Valid events applied, of all kinds."""
        return self.purchases + self.befriends + self.unfriends


class Work(NamedTuple):
    """What a detector's searches have cost so far, in looks.

    Attributes
    ----------
    steps_walked : int
        Purchases walked past, newest first, and friends looked at to tell whether their
        buyers belong to the network.
    friends_marked : int
        Friends looked at to mark networks.
    members_merged : int
        Members whose purchases were merged.
    """

    steps_walked: int
    friends_marked: int
    members_merged: int


class Latency(NamedTuple):
    """How long the judgements took that were timed: a histogram.

    Attributes
    ----------
    bounds : list of float
        The upper bounds of its buckets in seconds, ascending; the last is infinite.
    counts : list of int
        How many judgements fell into each.
    seconds : float
        What all of them took.
    """

    bounds: list[float]
    counts: list[int]
    seconds: float


class Memory(NamedTuple):
    """Where a detector's bytes are: what it has asked for, in use yet or not.

    Attributes
    ----------
    users : int
        Tables and arrays with a place for each user, whatever else is known of them.
    ids : int
        The texts of ids that are no plain decimal numbers of up to 18 digits.
    friendships : int
        Lists of friends: each friendship has two ends.
    purchases : int
        Purchases kept for verdicts to come.
    recency : int
        The newest purchases of all users, bounded.
    scratch : int
        What searches reuse.
    """

    users: int
    ids: int
    friendships: int
    purchases: int
    recency: int
    scratch: int

    @property
    def total(self) -> int:
        """All of them."""
        return (
            self.users
            + self.ids
            + self.friendships
            + self.purchases
            + self.recency
            + self.scratch
        )
