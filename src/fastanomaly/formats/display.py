"""Amounts, times and user ids as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from fastanomaly.rules.exact import UNITS, UNITS_PER_CENT, cents_text
from fastanomaly.times import datetime_of

_ALIKE = 0.75
"""How alike a word must be to be suggested, from 0 to 1, see `difflib`."""


def amount_text(units: int) -> str:
    """Return an amount in units of 10^-6 as text, with two decimals or as many as it needs."""
    sign, units = ("-", -units) if units < 0 else ("", units)
    if units % UNITS_PER_CENT == 0:
        return sign + cents_text(units // UNITS_PER_CENT)
    return f"{sign}{units // UNITS}.{units % UNITS:06d}".rstrip("0")


def counted(count: int, noun: str) -> str:
    """Return a count and its noun, such as ``1 line`` and ``2,000 lines``."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def time_text(time_us: int) -> str:
    """Return a time in UTC as in logs, or microseconds outside the years 1 to 9999."""
    try:
        moment = datetime_of(time_us)
    except OverflowError:
        return f"{time_us} us"
    if moment.utcoffset():
        return f"{time_us} us"
    return moment.replace(tzinfo=None).isoformat(sep=" ")


def escaped(text: str) -> str:
    """Escape the characters that are invisible, or move or colour others on a terminal."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode()
        for c in text
    )


def isolated(text: str) -> str:
    """Escape text as for a terminal, and keep right-to-left text from reordering the rest."""
    from unicodedata import bidirectional  # noqa: PLC0415 - imported late: it slows the start

    text = escaped(text)
    if any(bidirectional(c) in {"R", "AL", "AN"} for c in text):
        return f"\u2068{text}\u2069"
    return text


def suggestion(word: str, known: Sequence[str]) -> str:
    """Return ", did you mean ...?" if a known word is close to a mistyped one, or ""."""
    from difflib import get_close_matches  # noqa: PLC0415 - imported late: it slows the start

    by_name = {name.lstrip("-"): name for name in known}
    close = get_close_matches(word.lstrip("-"), by_name, n=1, cutoff=_ALIKE)
    return f", did you mean {by_name[close[0]]}?" if close else ""
