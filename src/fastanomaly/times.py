"""Timestamps as Python programs pass them, to microseconds since 1970-01-01 UTC, and back.

NumPy and pandas are never imported here: their values are recognised if they are loaded.
"""

from __future__ import annotations

import sys
from operator import index
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias, cast

from fastanomaly._core import time_us
from fastanomaly.rules.parameters import value_text

if TYPE_CHECKING:
    from datetime import date, datetime

    import numpy as np

    Timestamp: TypeAlias = str | int | date | np.datetime64 | np.integer[Any]
else:
    Timestamp = object  # naming the types would import them
"""A `datetime` is a `date`, and so is a `pandas.Timestamp`."""

MICROSECONDS = 10**6
_DAY_US = 86_400 * MICROSECONDS
_OFFSET_US = (23 * 60 + 59) * 60 * MICROSECONDS

FIRST_US = -719_162 * _DAY_US - _OFFSET_US
LAST_US = 2_932_897 * _DAY_US - 1 + _OFFSET_US
"""The times that a log can have: the years 1 to 9999 at any offset up to 23:59."""

# Seconds of the years 1990 to 2099. Read as microseconds they are within some hours of 1970,
# and milliseconds within some weeks.
_SECONDS = range(631_152_000, 4_102_444_800)
_MILLISECONDS = range(_SECONDS.start * 1000, _SECONDS.stop * 1000)

_HINT = "pass a datetime, or use Detector(..., time_unit='"
COLUMN_HINT = "columns of times are always in microseconds"
"""What is said of times in columns, for which the detector's unit does not count."""

_OUTSIDE = "is outside the years 1 to 9999"

# How many microseconds the units of datetime64 have, as a fraction.
_UNITS_US = {
    "W": (7 * _DAY_US, 1),
    "D": (_DAY_US, 1),
    "h": (3600 * MICROSECONDS, 1),
    "m": (60 * MICROSECONDS, 1),
    "s": (MICROSECONDS, 1),
    "ms": (1000, 1),
    "us": (1, 1),
    "ns": (1, 10**3),
    "ps": (1, 10**6),
    "fs": (1, 10**9),
    "as": (1, 10**12),
}


def exact_time_us(
    timestamp: Timestamp | Any, *, in_column: bool = False, doubt: bool = True
) -> int:
    """Return a timestamp in microseconds since 1970-01-01 UTC.

    Parameters
    ----------
    timestamp : str, int, datetime, date or numpy.datetime64
    in_column : bool, default False
        Whether it is in a column: the message then gives advice for columns.
    doubt : bool, default True
        Whether integers that are likely in seconds or milliseconds are errors.

    Raises
    ------
    TypeError, ValueError
        If it is not a timestamp, or its unit is doubtful; the message names the value.
    """
    if isinstance(timestamp, str):
        time = time_us(str.__str__(timestamp))
        if time is None:
            raise ValueError(
                f"timestamp: {timestamp!r} is not a date and time"
                f"{_fault_of_text(timestamp, in_column)}"
            )
        return time
    if type(timestamp) is int and _MILLISECONDS.stop <= timestamp <= LAST_US:
        return timestamp
    try:
        return _time_of_object(timestamp, in_column, doubt)
    except ValueError as error:
        raise ValueError(f"timestamp: {error}") from None


def _fault_of_text(timestamp: str, in_column: bool) -> str:
    """Return what is wrong with a text, in parentheses."""
    from fastanomaly.rules.wrong_values import argument_fault  # noqa: PLC0415 - for errors

    words = argument_fault("timestamp", timestamp)
    if in_column:  # the detector's unit does not count there
        words = words.partition(": time_unit=")[0]
    return f" ({words})"


def _time_of_object(value: Any, in_column: bool, doubt: bool) -> int:
    from datetime import date, datetime  # noqa: PLC0415 - imported late: it slows the start

    value = numpy_scalar(value)
    if isinstance(value, datetime):
        return _time_of_datetime(value)
    if isinstance(value, date):
        return (value.toordinal() - 719_163) * _DAY_US
    np = sys.modules.get("numpy")
    if np is not None and isinstance(value, np.datetime64):
        return int(times_of_datetimes(np, value.reshape(1), lambda _: value)[0])
    if np is not None and isinstance(value, np.timedelta64):
        raise TypeError("timestamp: expected a time, got a timedelta64")
    if hasattr(value, "__index__") and not isinstance(value, bool):
        whole = index(cast("SupportsIndex", value))
        if fault := fault_of_integer(whole, in_column, doubt):
            raise ValueError(f"{value_text(value)} {fault}")
        return whole
    raise TypeError(
        "timestamp: expected str, int, datetime, date or datetime64, got "
        f"{type(value).__name__}{_advice_for_fractions(value, in_column)}"
    )


def _advice_for_fractions(value: Any, in_column: bool) -> str:
    """Return what to do with a number that is no integer; nothing for other values."""
    if isinstance(value, bool) or not hasattr(value, "as_integer_ratio"):
        return ""
    if in_column:
        return f": {COLUMN_HINT}, as integers or datetime64"
    from fastanomaly.rules.wrong_values import EPOCH_ARGUMENT  # noqa: PLC0415 - for errors

    return f": {EPOCH_ARGUMENT}"


def numpy_scalar(value: Any) -> Any:
    """Return the scalar in an array of NumPy without dimensions; other values unchanged.

    Raises
    ------
    ValueError
        If it is masked.
    """
    np = sys.modules.get("numpy")
    if np is None or not isinstance(value, np.ndarray) or value.ndim:
        return value
    if isinstance(value, np.ma.MaskedArray) and value.mask:
        raise ValueError("masked")
    return value[()]


def fault_of_integer(whole: int, in_column: bool = False, doubt: bool = True) -> str:
    """Return why an integer cannot be microseconds since 1970, or an empty text.

    The parameters are those of `exact_time_us`.
    """
    if not FIRST_US <= whole <= LAST_US:
        remedy = (
            f"{COLUMN_HINT}: divide nanoseconds by 1000, or pass datetime64"
            if in_column
            else f"for nanoseconds: {_HINT}ns')"
        )
        return f"is outside the years 1 to 9999 as microseconds since 1970; {remedy}"
    for values, name, unit, factor in (
        (_SECONDS, "seconds", "s", "10**6"),
        (_MILLISECONDS, "milliseconds", "ms", "1000"),
    ):
        if doubt and whole in values:
            remedy = (
                f"{COLUMN_HINT}: multiply by {factor}, or pass datetime64"
                if in_column
                else f"{_HINT}{unit}')"
            )
            return f"is in 1970 as microseconds, but is likely in {name}: {remedy}"
    return ""


def doubtful(times: Any, doubt: bool) -> Any:
    """Return which integers of an array `fault_of_integer` finds fault with.

    Without `doubt`, only those outside the years 1 to 9999.
    """
    outside = (times < FIRST_US) | (times > LAST_US)
    for unit in (_SECONDS, _MILLISECONDS) if doubt else ():
        outside |= (times >= unit.start) & (times < unit.stop)
    return outside


def _time_of_datetime(value: datetime) -> int:
    """Return the time of a datetime, UTC if it has no zone; also of a pandas Timestamp."""
    if value != value:  # noqa: PLR0124 - pandas.NaT is a datetime, and not equal to itself
        raise ValueError("NaT is not a time")
    if getattr(value, "nanosecond", 0):
        raise ValueError(f"{value} is finer than a microsecond")
    if not 1 <= value.year <= 9999:
        raise ValueError(f"{value} {_OUTSIDE}")
    seconds = (value.hour * 60 + value.minute) * 60 + value.second
    time = (value.toordinal() - 719_163) * _DAY_US + seconds * MICROSECONDS + value.microsecond
    offset = value.utcoffset()
    if offset is not None:
        time -= (offset.days * 86_400 + offset.seconds) * MICROSECONDS + offset.microseconds
    if not FIRST_US <= time <= LAST_US:
        raise ValueError(f"{value} {_OUTSIDE}")
    return time


def times_of_datetimes(np: Any, values: Any, named: Any) -> Any:
    """Return an array of datetime64 as int64 microseconds.

    Parameters
    ----------
    np : module
    values : numpy.ndarray of datetime64
        Of any unit.
    named : callable
        Returns how a message names the value at an index.

    Raises
    ------
    ValueError
        If one is NaT, finer than a microsecond or outside the years 1 to 9999.
    """

    def check(bad: Any, fault: str) -> None:
        if bad.any():
            raise ValueError(f"{named(int(np.argmax(bad)))} {fault}")

    check(np.isnat(values), "is not a time")
    unit, count = np.datetime_data(values.dtype)
    if unit == "generic":  # of NaT alone
        return np.zeros(len(values), np.int64)
    ticks = values.astype(np.int64)
    if unit in ("Y", "M"):
        months = count * (12 if unit == "Y" else 1)
        check(_beyond(ticks, -1969 * 12, 8030 * 12 - 1, months), _OUTSIDE)
        days = (ticks * months).astype("M8[M]").astype("M8[D]")
        return days.astype(np.int64) * _DAY_US
    whole, parts = _UNITS_US[unit]
    whole *= count  # may be beyond 64 bits, and so may products with it
    check(_beyond(ticks, FIRST_US * parts, LAST_US * parts, whole), _OUTSIDE)
    if whole >= 2**63 or (parts > 1 and whole > 1):
        ticks = ticks.astype(object)
    ticks = ticks * whole
    check(ticks % parts != 0, "is finer than a microsecond")
    return (ticks // parts).astype(np.int64)


def _beyond(ticks: Any, first: int, last: int, size: int) -> Any:
    """Return which ticks of some size are not in first..last."""
    first, last = max(-(-first // size), -(2**63)), min(last // size, 2**63 - 1)
    return (ticks < first) | (ticks > last)


def datetime_of(time_us: int) -> datetime:
    """Return a time as a datetime in UTC.

    At an offset of up to 23:59 a log can have times just outside the years 1 to 9999 of UTC:
    their datetimes have an offset of 23:59, too.

    Raises
    ------
    OverflowError
        If no log can have it.
    """
    from datetime import UTC, datetime, timedelta, timezone  # noqa: PLC0415 - slows the start

    offset_us = 0
    if time_us < -719_162 * _DAY_US:
        offset_us = _OFFSET_US
    elif time_us >= 2_932_897 * _DAY_US:
        offset_us = -_OFFSET_US
    zone = timezone(timedelta(microseconds=offset_us)) if offset_us else UTC
    local = datetime(1970, 1, 1) + timedelta(microseconds=time_us + offset_us)
    return local.replace(tzinfo=zone)
