"""A row of a table as the line of a log that says the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fastanomaly.rules.rejects import Rejected


class Number(str):
    """The text of a JSON number."""

    __slots__ = ()


_MEMBERS = {
    "purchase": {"timestamp": "timestamp", "user": "id", "id": "id", "amount": "amount"},
    "befriend": {"user": "id1", "id1": "id1", "friend": "id2", "id2": "id2"},
}
_MEMBERS["unfriend"] = _MEMBERS["befriend"] = {"timestamp": "timestamp"} | _MEMBERS["befriend"]


def event_line(values: Mapping[str, Any]) -> bytes:
    """Return the fields of a row as a line of a log; fields that are None are left out."""
    kind = values.get("kind")
    if "kind" not in values:
        kind = "purchase" if "amount" in values else "befriend"
    members = [] if kind is None else [f'"event_type":{_json(kind)}']
    names = _MEMBERS.get(kind if isinstance(kind, str) else "", {})
    members += [
        f'"{name}":{_json(values[field])}'
        for field, name in names.items()
        if values.get(field) is not None
    ]
    return ("{" + ", ".join(members) + "}").encode("utf-8", "surrogatepass")


def _json(value: Any) -> str:
    """Return a value as JSON: numbers of other kinds, times and dates as texts."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str | bool | int | list | dict):
        return str(json.dumps(value, ensure_ascii=False))
    return str(json.dumps(_text(value)))


def _text(value: Any) -> str:
    import datetime  # noqa: PLC0415 - needed for a few rows

    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.UTC).replace(tzinfo=None)
        return str(value.isoformat(sep=" "))
    if isinstance(value, datetime.date):
        return f"{value.isoformat()} 00:00:00"
    return str(value)


class RejectedRow(Rejected):
    """A rejected row of a table: its messages have the row and the column.

    Attributes
    ----------
    columns : mapping of str to str
        Which column each field is.
    why : str
        What is wrong, where the line does not say it.
    """

    columns: Mapping[str, str] = MappingProxyType({})
    why: str = ""

    @property
    def detail(self) -> str:
        """A description of what is wrong: the field and its value."""
        return self.why or super().detail

    @property
    def text(self) -> str:
        """Its place, the reason and the description."""
        return f"{self.log}, row {self.line}: {self.reason}: {self._where}{self._described}"

    @property
    def _where(self) -> str:
        """Return the column of the field that is wrong, if its name is another one."""
        name = self.detail.partition(":")[0]
        field = {"event_type": "kind", "id": "user", "id1": "user", "id2": "friend"}
        column = self.columns.get(field.get(name, name), name)
        return f"column {column}, " if column != name else ""

    @property
    def _described(self) -> str:
        detail = self.detail
        if self.reason != "bad_amount":
            return detail
        for words, option in _OPTIONS.items():
            if f"({words}" in detail:
                return f"{detail.removesuffix(')')}: {option} accepts that)"
        return detail


_OPTIONS = {
    "has a currency sign": "--currency",
    "has the name of a currency": "--currency",
    "has thousands separators and a decimal comma": "--currency with --decimal-comma",
    "has thousands separators": "--currency",
    "has a decimal comma": "--decimal-comma",
    "has a comma": "--currency or --decimal-comma, whichever it is,",
}
"""By what is said of an amount, the option that accepts it."""
