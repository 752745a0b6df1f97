"""The table of flags: its columns, and a row as numbers and as text."""

from __future__ import annotations

from typing import NamedTuple

from fastanomaly.formats.display import amount_text
from fastanomaly.rules.exact import cents_text
from fastanomaly.times import datetime_of

COLUMNS = ("user", "timestamp", "amount", "n", "mean", "sd", "excess", "log", "row")
"""The names of the columns, in order. A row is known by its log and row."""


class FlagRow(NamedTuple):
    """A row of the table.

    Attributes
    ----------
    user : str
    time_us : int
        Microseconds since 1970-01-01 UTC.
    amount_units : int
        In units of 10^-6.
    n : int
        How many purchases the amount was compared with.
    mean_cents, sd_cents : int
        Their mean and standard deviation in cents, truncated.
    excess : float
        The amount minus the threshold, mean + k sd, exact before it is rounded to a double.
    log : str
        The name of the log; bytes of a path that are not UTF-8 are escaped.
    row : int
        The number of the line in the log, from 1.
    """

    user: str
    time_us: int
    amount_units: int
    n: int
    mean_cents: int
    sd_cents: int
    excess: float
    log: str
    row: int

    def texts(self) -> tuple[str, ...]:
        """Return the values as text: decimals exact, the time as in ISO 8601."""
        return (
            self.user,
            time_text(self.time_us),
            amount_text(self.amount_units),
            str(self.n),
            cents_text(self.mean_cents),
            cents_text(self.sd_cents),
            repr(self.excess),
            self.log,
            str(self.row),
        )


def time_text(time_us: int) -> str:
    """Return a time as ``2017-06-13T11:33:01.000000Z``.

    Just outside the years 1 to 9999 in UTC, where a log can have times with an offset, the
    text has an offset of 23:59.
    """
    return datetime_of(time_us).isoformat(timespec="microseconds").replace("+00:00", "Z")
