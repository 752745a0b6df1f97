"""Tables of other libraries: which column is which field."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from fastanomaly._core import FrameSource
from fastanomaly.errors import UsageError

FIELDS = ("kind", "user", "friend", "amount", "timestamp")
"""What a column may be, see `Detector.feed_frame`."""

_USUAL = {
    "kind": ("event_type", "kind"),
    "user": ("user", "id", "id1"),
    "friend": ("friend", "id2"),
    "amount": ("amount",),
    "timestamp": ("timestamp",),
}
_OF_LINES = ("id", "id1", "id2")
_PURCHASE, _BEFRIEND = 0, 1


class Layout(NamedTuple):
    """Where the fields are in a table.

    Attributes
    ----------
    columns : tuple of int
        Which column is the kind, the timestamp, the user of purchases, the user of
        friendships, the friend and the amount; -1 where there is none.
    kind : int
        The kind of all rows, if no column has it.
    """

    columns: tuple[int, ...]
    kind: int


def open_frame(frame: Any) -> FrameSource:
    """Return a table as the engine reads it.

    Raises
    ------
    TypeError, ValueError
        If it has no Arrow interface, was read before, or is not a table.
    OSError
        If it is a stream that has an error instead of a schema.
    """
    if hasattr(frame, "__arrow_c_stream__"):
        return FrameSource(frame.__arrow_c_stream__())
    if hasattr(frame, "__arrow_c_array__"):
        return FrameSource(*frame.__arrow_c_array__())
    remedy = ""
    if isinstance(frame, (str, os.PathLike)):
        remedy = ": detect reads files and databases"
    elif hasattr(frame, "collect"):
        remedy = ": call its collect() first"
    raise TypeError(
        f"frame: expected an object with __arrow_c_stream__ or __arrow_c_array__, such as a "
        f"frame of Polars or pandas or a table of pyarrow, got {type(frame).__name__}{remedy}"
    )


def frame_layout(names: list[str], columns: Mapping[str, str | None] | None) -> Layout:
    """Return where the fields are in a table with columns of these names.

    Parameters
    ----------
    names : list of str
        The names of its columns.
    columns : mapping of str to str or None, optional
        The names of columns by field; see `Detector.feed_frame`.

    Raises
    ------
    UsageError
        If a field is unknown, or a column that is needed is missing or there twice.
    """
    chosen = dict(columns or {})
    for field, name in chosen.items():
        if field not in FIELDS:
            raise UsageError(f"columns: {field!r} is no field; they are {', '.join(FIELDS)}")
        _index(names, field, name)
    as_lines = "user" not in chosen and all(name in names for name in _OF_LINES)
    for field, usual in _USUAL.items():
        if field not in chosen:
            chosen[field] = next((name for name in usual if name in names), None)
    users = ("id", "id1") if as_lines else (chosen["user"], chosen["user"])
    kind = _kind_of_all(names, chosen)
    in_order = (
        ("kind", chosen["kind"]),
        ("timestamp", chosen["timestamp"]),
        ("user", users[0]),
        ("user", users[1]),
        ("friend", chosen["friend"]),
        ("amount", chosen["amount"]),
    )
    return Layout(tuple(_index(names, field, name) for field, name in in_order), kind)


def kept_columns(names: list[str], keep: Iterable[str]) -> tuple[int, ...]:
    """Return the numbers of the columns that flags keep.

    Raises
    ------
    TypeError
        If they are a text.
    UsageError
        If one is not there, or is there twice.
    """
    if isinstance(keep, str):
        raise TypeError(f"keep: expected names of columns, such as [{keep!r}]")
    return tuple(_index(names, "keep", name) for name in keep)


def _kind_of_all(names: list[str], chosen: Mapping[str, str | None]) -> int:
    """Return the kind of all rows of a table, or any if a column has it."""
    has_amount = chosen["amount"] is not None
    if chosen["kind"] is not None:
        needed: tuple[str, ...] = ("user",)
    elif has_amount or chosen["friend"] is None:
        needed = ("user", "amount", "timestamp")
    else:
        needed = ("user", "friend")
    missing = [field for field in needed if chosen[field] is None]
    if missing:
        them = "it" if len(missing) == 1 else "them"
        mapping = ", ".join(f"{field!r}: '...'" for field in missing)
        raise UsageError(
            f"columns: no column is the {' or the '.join(missing)}: name {them}, such as "
            f"{{{mapping}}}; {_listed(names)}"
        )
    return _PURCHASE if has_amount else _BEFRIEND


def _index(names: list[str], field: str, name: str | None) -> int:
    """Return the number of the column of a name, or -1 for None."""
    if name is None:
        return -1
    where = field if field == "keep" else f"columns: {field}"
    if name not in names:
        raise UsageError(f"{where}: there is no column {name!r}; {_listed(names)}")
    if names.count(name) > 1:
        raise UsageError(f"{where}: there are {names.count(name)} columns {name!r}")
    return names.index(name)


def _listed(names: list[str]) -> str:
    return f"the frame has {', '.join(map(repr, names)) or 'no columns'}"
