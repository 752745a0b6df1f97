"""The times of a column in microseconds since 1970: tables are sorted and merged by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastanomaly._core import time_us_in_unit

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastanomaly.convert import Reading

NEVER = np.iinfo(np.int64).min
"""What stands for a value that is no time: before all times."""

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_END_S = 253_402_300_800  # the year 10000
_SHORTEST = 19
_PLAIN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?$"


def times_us(column: Any, reading: Reading) -> npt.NDArray[np.int64]:
    """Return the times of a column as the detector reads them; `NEVER` where it reads none.

    Parameters
    ----------
    column : pyarrow.Array
        Timestamps or dates; texts; or numbers in the unit of `reading`.
    reading : Reading
        What is accepted as a time.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _filled(_of_timestamps(column))
    if pa.types.is_integer(kind):
        return _of_numbers(column, reading)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _of_texts(column, reading)
    return _one_by_one(column, reading)


def _filled(column: Any) -> npt.NDArray[np.int64]:
    """Return an int64 column with `NEVER` for null."""
    if column.null_count:
        column = pc.fill_null(column, int(NEVER))
    values: npt.NDArray[np.int64] = column.to_numpy(zero_copy_only=False)
    return values


def _of_timestamps(column: Any) -> Any:
    """Return timestamps or dates as int64; null where microseconds do not reach."""
    kind = pa.timestamp("us", getattr(column.type, "tz", None))
    try:
        return column.cast(kind, safe=False).cast(pa.int64())
    except pa.ArrowInvalid:  # a day millions of years away
        values = [_cast(value, kind) for value in column]
        return pa.array(values, pa.int64())


def _cast(value: Any, kind: Any) -> int | None:
    try:
        found: int | None = value.cast(kind).value
    except pa.ArrowInvalid:
        return None
    return found


def _of_numbers(column: Any, reading: Reading) -> npt.NDArray[np.int64]:
    """Return whole numbers in the unit of `reading` as times."""
    per_second = _PER_SECOND.get(reading.time_unit or "")
    if per_second is None or column.type == pa.uint64():
        return _one_by_one(column, reading)
    values = _filled(column.cast(pa.int64()))
    far = np.abs(values) >= _END_S * per_second  # of NEVER, too: its absolute is itself
    far |= values == NEVER
    if per_second > 10**6:
        times = values // (per_second // 10**6)
    else:
        times = np.where(far, 0, values) * (10**6 // per_second)
    return np.where(far, NEVER, times)


def _of_texts(column: Any, reading: Reading) -> npt.NDArray[np.int64]:
    """Return texts as times; all at once where they have the usual forms."""
    shortest = pc.min(pc.binary_length(column)).as_py()
    if shortest is not None and shortest >= _SHORTEST:  # shorter ones are no times in logs
        for zone in (None, "UTC"):
            try:
                return _filled(column.cast(pa.timestamp("us", zone)).cast(pa.int64()))
            except pa.ArrowInvalid:
                pass
    plain = pc.fill_null(pc.match_substring_regex(column, _PLAIN), False)
    try:
        times = _filled(
            pc.if_else(plain, column, None).cast(pa.timestamp("us")).cast(pa.int64())
        )
    except pa.ArrowInvalid:  # such as month 13
        return _one_by_one(column, reading)
    times = times.copy()
    others = np.flatnonzero(~plain.to_numpy(zero_copy_only=False))
    times[others] = _one_by_one(column.take(pa.array(others)), reading)
    return times


def _one_by_one(column: Any, reading: Reading) -> npt.NDArray[np.int64]:
    """Return each value as the detector reads it."""
    found = np.full(len(column), NEVER, np.int64)
    for index, value in enumerate(_values(column)):
        if value is None:
            continue
        text = value if isinstance(value, str) else repr(value)
        time = time_us_in_unit(text, not isinstance(value, str), reading.unit_code)
        if time is not None:
            found[index] = time[0]
    return found


def _values(column: Any) -> list[Any]:
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:  # a text that is not UTF-8 is no time
        raw = column.cast(pa.binary()).to_pylist()
        values = [None if text is None else text.decode(errors="replace") for text in raw]
    return values
