"""Columns of events as Python programs pass them, to the arrays that the engine reads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from operator import index
from typing import TYPE_CHECKING, Any, TypeAlias

from fastanomaly.times import (
    COLUMN_HINT,
    doubtful,
    exact_time_us,
    fault_of_integer,
    times_of_datetimes,
)

if TYPE_CHECKING:
    import numpy.typing as npt

Column: TypeAlias = "npt.ArrayLike | Sequence[Any] | None"


def event_columns(
    kinds: Column,
    times_us: Column,
    users: Column,
    friends: Column,
    amounts_units: Column,
    *,
    purchase: int,
    doubt: bool,
) -> tuple[Any, Any, Any, Any, Any]:
    """Return the columns as the engine reads them; see `Detector.feed_columns`.

    Parameters
    ----------
    kinds, times_us, users, friends, amounts_units : array_like, sequence or None
        The columns.
    purchase : int
        The kind whose rows need times and amounts; the others need friends.
    doubt : bool
        Whether integers that are likely in seconds or milliseconds are errors.

    Raises
    ------
    TypeError, ValueError
        If a column cannot be read; the message names the column and the row.
    """
    import numpy as np  # noqa: PLC0415 - imported late: it slows the start

    codes = _integers(np, "kinds", kinds, None, "uint8")
    buys = codes == purchase
    if friends is None:
        # The engine does not use the friends of purchases: any ids will do.
        _expect_none_needed(np, "friends", ~buys)
        friends = users
    user_ids, friend_ids = np.asarray(users), np.asarray(friends)
    numbers = all(np.can_cast(ids.dtype, np.int64) for ids in (user_ids, friend_ids))
    as_column = _integers if numbers else _ids
    return (
        codes,
        _times(np, times_us, buys, doubt),
        as_column(np, "users", users, None),
        as_column(np, "friends", friends, ~buys),
        _integers(np, "amounts_units", amounts_units, buys),
    )


def _expect_none_needed(np: Any, name: str, needed: Any) -> None:
    if needed is None or needed.any():
        row = 0 if needed is None else int(np.argmax(needed))
        raise ValueError(f"columns, row {row}: {name}: missing")


def _array(np: Any, name: str, values: Any, needed: Any) -> Any:
    """Return a column as a one-dimensional array without masked entries.

    `needed` says which rows use the column; None stands for all. Masked entries of other
    rows become 0.
    """
    if values is None:
        _expect_none_needed(np, name, needed)
        return np.zeros(len(needed), np.int64)
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"columns: {name} has {array.ndim} dimensions, expected one")
    own_kind = getattr(getattr(values, "dtype", None), "kind", None)
    if own_kind is None and array.dtype.kind in "fMU":
        # NumPy has converted a sequence to one type, not exactly if the types were several.
        array = np.fromiter(values, object, len(array))
    if array.dtype.kind == "f" and own_kind in ("i", "u"):
        # Integers of pandas with missing values: these would be NaN.
        array = values.to_numpy(dtype=object)
    if isinstance(values, np.ma.MaskedArray):
        masked = np.ma.getmaskarray(values)
        if (bad := _of_needed(masked, needed)).any():
            raise ValueError(f"columns, row {int(np.argmax(bad))}: {name}: masked")
        if masked.any():
            array = np.where(masked, np.zeros(1, array.dtype), array)
    return array


def _of_needed(rows: Any, needed: Any) -> Any:
    """Return which of some rows are needed. If lengths differ, the engine says so."""
    return rows if needed is None or len(needed) != len(rows) else rows & needed


def _elements(name: str, array: Any, needed: Any, read: Any) -> list[int]:
    """Read the needed elements of a column one by one; 0 for the others."""
    found = []
    for row, value in enumerate(array.tolist()):
        if needed is not None and row < len(needed) and not needed[row]:
            found.append(0)
            continue
        try:
            found.append(read(value))
        except (TypeError, ValueError) as error:
            raise type(error)(f"columns, row {row}: {name}: {error}") from None
    return found


def _integers(
    np: Any, name: str, values: Any, needed: Any = None, dtype: str = "int64"
) -> Any:
    """Return a column of integers."""
    array = _array(np, name, values, needed)
    if array.dtype.kind == "O":
        array = np.asarray(_elements(name, array, needed, _whole), object)
    elif array.size and array.dtype.kind not in "iu":
        raise TypeError(f"columns: {name} holds {array.dtype}, not integers")
    limits = np.iinfo(dtype)
    if array.size and (array.min() < limits.min or array.max() > limits.max):
        row = int(np.argmax((array < limits.min) | (array > limits.max)))
        raise ValueError(f"columns, row {row}: {name} {array[row]} is beyond {dtype}")
    return np.ascontiguousarray(array, dtype=dtype)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"expected an integer, got {type(value).__name__}")
    return index(value)


def _times(np: Any, values: Any, needed: Any, doubt: bool) -> Any:
    """Return a column of times in microseconds; those that are not needed may be anything."""
    array = _array(np, "times_us", values, needed)
    if array.dtype.kind == "M":
        used = needed if len(needed) == len(array) else np.ones(len(array), bool)
        rows = np.flatnonzero(used)
        times = np.zeros(len(array), np.int64)
        times[rows] = times_of_datetimes(
            np,
            array[rows],
            lambda i: f"columns, row {rows[i]}: times_us: {array[rows[i]]}",
        )
        return times
    if array.dtype.kind in "OU":
        read = partial(exact_time_us, in_column=True, doubt=doubt)
        times = _elements("times_us", array, needed, read)
        return np.asarray(times, np.int64)
    if array.size and array.dtype.kind == "f":
        raise TypeError(
            f"columns: times_us holds {array.dtype}, not integers: {COLUMN_HINT}, as integers "
            "or datetime64"
        )
    times = _integers(np, "times_us", array)
    bad = _of_needed(doubtful(times, doubt), needed)
    if bad.any():
        row = int(np.argmax(bad))
        fault = fault_of_integer(int(times[row]), in_column=True)
        raise ValueError(f"columns, row {row}: times_us: {times[row]} {fault}")
    return times


def _ids(np: Any, name: str, values: Any, needed: Any = None) -> list[Any]:
    """Return a column of ids as a list; the engine checks them."""
    _array(np, name, values, needed)
    return values.tolist() if hasattr(values, "tolist") else list(values)
