"""What a detector returns: flags, counts, and the results of bulk calls.

Named tuples, not dataclasses: importing those would slow the start. What runs of the command
need is here, the rest in modules that are imported late.
"""

from typing import TYPE_CHECKING, NamedTuple

from fastanomaly.rules.exact import UNITS, UNITS_PER_CENT, cents_text
from fastanomaly.rules.rejects import Rejected

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal
    from fractions import Fraction


class Flag(NamedTuple):
    """A flagged purchase, and what it was compared with.

    Attributes
    ----------
    user : str
        The buyer.
    time_us : int
        Its time, in microseconds since 1970-01-01 UTC.
    amount_units : int
        The amount in units of 10^-6.
    n : int
        How many purchases it was compared with, at most T.
    total, squares : int
        Their sum, in units of 10^-6, and the sum of their squares, in units of 10^-12.
    mean_cents, sd_cents : int
        Mean and standard deviation in cents, truncated.
    log : str or None
        The name of its log, as given to `Detector.feed`.
    line : int or None
        Its line number in the log, from 1.
    raw : bytes or None
        The whole line, without its line end.
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
    def exact_mean(self) -> "Fraction":
        """The exact mean."""
        from fractions import Fraction  # noqa: PLC0415 - imported late: start

        return Fraction(self.total, self.n * UNITS)

    @property
    def exact_variance(self) -> "Fraction":
        """The exact variance: the standard deviation itself may be irrational."""
        from fractions import Fraction  # noqa: PLC0415

        return Fraction(self.n * self.squares - self.total**2, (self.n * UNITS) ** 2)

    @property
    def amount(self) -> "Decimal":
        """The exact amount, with two decimals or as many as it needs."""
        from decimal import Decimal  # noqa: PLC0415

        cents, rest = divmod(self.amount_units, UNITS_PER_CENT)
        text = f"{self.amount_units}e-6" if rest else f"{cents}e-2"
        return Decimal(text)  # from text: no context rounds it

    @property
    def timestamp(self) -> "datetime":
        """Its time as a datetime in UTC.

        Where that is outside the years 1 to 9999 because the time had an offset in its log,
        the datetime has an offset of 23:59.
        """
        from fastanomaly.times import datetime_of  # noqa: PLC0415 - imported late: start

        return datetime_of(self.time_us)

    def __str__(self) -> str:
        """Return the flag in one line: ``cho: 1601.83 at ... (mean 29.10, sd 21.46, ...)``."""
        from fastanomaly.formats.display import escaped, time_text  # noqa: PLC0415

        place = "" if self.line is None else f", {escaped(self.log or 'line')}:{self.line}"
        return (
            f"{escaped(self.user)}: {self.amount} at {time_text(self.time_us)} is flagged "
            f"(mean {self.mean}, sd {self.sd}, {self.n} purchases{place})"
        )

    def to_line(self) -> bytes:
        """Return the line of the output: the purchase's line with mean and sd added.

        Raises
        ------
        ValueError
            If the purchase was not read from a line.
        """
        if self.raw is None:
            raise ValueError("this purchase was not read from a line")
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
    """Return a purchase's line with mean and sd added, without line end."""
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
    """Return the line without the members that the output adds."""
    from fastanomaly.rules.json_members import members  # noqa: PLC0415 - few lines have them

    parts = members(line)
    kept = [line[m.start : m.end] for m in parts if m.name not in ("mean", "sd")]
    if len(kept) == len(parts):
        return line
    return line[: parts[0].start] + b",".join(kept) + line[parts[-1].end :]


class Fed(NamedTuple):
    """The result of feeding lines.

    Attributes
    ----------
    lines : int
        How many lines were read, blank ones included.
    flags : list of Flag
        The purchases flagged, in order.
    rejected : list of Rejected
        The lines that are not valid events, in order.
    """

    lines: int
    flags: list[Flag]
    rejected: list[Rejected]


class Counts(NamedTuple):
    """What a detector has applied and stores.

    Attributes
    ----------
    purchases, befriends, unfriends : int
        Valid events applied.
    flags : int
        Purchases flagged.
    users : int
        Known users: those with a purchase or a friendship, past ones included.
    friendships : int
        Current friendships.
    kept : int
        Purchases stored for later verdicts, at most T a user.
    rounded_amounts : int
        Purchases whose amounts were rounded to six decimals, see `Detector`.
    cut_times : int
        Purchases whose times were cut to microseconds, see `Detector`.
    """

    purchases: int
    befriends: int
    unfriends: int
    flags: int
    users: int
    friendships: int
    kept: int
    rounded_amounts: int = 0
    cut_times: int = 0

    @property
    def events(self) -> int:
        """Valid events of all kinds."""
        return self.purchases + self.befriends + self.unfriends
