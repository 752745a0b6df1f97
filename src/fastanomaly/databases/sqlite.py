"""SQLite, by the standard library."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any
from urllib.parse import quote

from fastanomaly.databases.base import Floats, OpenError
from fastanomaly.databases.names import DatabaseName, quoted_table
from fastanomaly.formats.flag_row import COLUMNS, FlagRow

_WAIT_SECONDS = 60  # while others have locked the file
_IDS = ("user", "friend", "id", "id1", "id2")
_EXACT_DIGITS = 15  # every decimal of so many digits is named by a double


class SQLite:
    """A connection to an SQLite file; see `fastanomaly.databases.base.Database`.

    SQLite has no decimals. The column of amounts has no type: they are doubles where those
    name them exactly, as up to 15 digits are, and otherwise text.
    """

    errors = (sqlite3.Error,)
    begin = "BEGIN IMMEDIATE"
    mark = "?1"
    differs = "IS NOT"
    scratch = "temp"
    types = {  # noqa: RUF012 - nobody changes it
        "user": "TEXT",
        "timestamp": "TEXT",
        "amount": "",
        "n": "INTEGER",
        "mean": "REAL",
        "sd": "REAL",
        "excess": "REAL",
        "log": "TEXT",
        "row": "INTEGER",
    }

    def __init__(self, name: DatabaseName, writing: bool) -> None:
        self._name = name
        if not writing and not os.path.exists(name.address):
            remedy = ""
            if name.address.startswith("//"):
                remedy = f": write sqlite:{name.address.lstrip('/')} for a file in this folder"
            raise OpenError(f"no such file{remedy}")
        path = quote(os.path.abspath(name.address))
        try:
            self._connection = sqlite3.connect(
                f"file:{path}?mode={'rwc' if writing else 'ro'}",
                uri=True,
                timeout=_WAIT_SECONDS,
                isolation_level=None,
            )
            self.execute("SELECT count(*) FROM sqlite_schema")  # fails if it is another file
        except sqlite3.Error as error:
            raise OpenError(self.reason(error)) from error
        # Text that is not UTF-8 is escaped, instead of ending the run.
        decode = partial(str, encoding="utf-8", errors="backslashreplace")
        self._connection.text_factory = decode

    def execute(self, statement: str, *values: str) -> list[Any]:
        """Execute a statement, and return the rows of its result."""
        return self._connection.execute(statement, values).fetchall()

    def load(self, table: str, rows: Sequence[FlagRow]) -> None:
        """Add rows to a table of flags."""
        statement = f"INSERT INTO {table} VALUES ({', '.join('?' * len(COLUMNS))})"
        self._connection.executemany(statement, map(_values, rows))

    def columns(self) -> list[str]:
        """Return the names of the columns of the table or the query."""
        cursor = self._connection.execute(self._query())
        names = [column[0] for column in cursor.description]
        cursor.close()
        return names

    def _query(self) -> str:
        if self._name.table:
            return f"SELECT * FROM {quoted_table(self._name.table)}"
        return self._name.query

    def batches(self, columns: Mapping[str, str], size: int) -> Iterator[tuple[Any, Floats]]:
        """Yield the rows; a column of a batch has one type, text unless all are numbers.

        Nobody waits for the reader: except in WAL mode, where writers do not wait, the result
        is first copied to a temporary file.
        """
        pyarrow: Any = import_module("pyarrow")
        names = self.columns()
        chosen = [names.index(column) for column in columns.values()]
        query = self._query()
        if self.execute("PRAGMA journal_mode") != [("wal",)]:
            self.execute(f"CREATE TEMP TABLE rows_of_query AS {query}")
            query = "SELECT * FROM temp.rows_of_query ORDER BY rowid"
        # Arrow checks and decodes the bytes of a column at once.
        self._connection.text_factory = bytes
        cursor = self._connection.execute(query)
        while rows := cursor.fetchmany(size):
            values = list(zip(*rows, strict=True))
            floats: dict[int, dict[str, float]] = {}
            arrays = []
            for field, index in zip(columns, chosen, strict=True):
                column: Sequence[Any] = values[index]
                if field in _IDS and float in set(map(type, column)):
                    column = _without_floats(column, field, floats)
                arrays.append(_array(pyarrow, column))
            yield pyarrow.record_batch(arrays, names=list(columns.values())), floats

    def reason(self, error: Exception) -> str:
        """Return what an error says, in one line."""
        return " ".join(str(error).split())

    def close(self) -> None:
        """Close it."""
        self._connection.close()


def _values(row: FlagRow) -> tuple[Any, ...]:
    """Return a row as SQLite takes its values."""
    user, time, amount, n, mean, sd, _, log, number = row.texts()
    exact = len(amount.replace(".", "").lstrip("0")) <= _EXACT_DIGITS
    amounts = float(amount) if exact else amount
    return user, time, amounts, int(n), float(mean), float(sd), row.excess, log, int(number)


def _without_floats(
    values: Sequence[Any], field: str, floats: dict[int, dict[str, float]]
) -> list[Any]:
    """Return values with None for floats, which are noted."""
    for row, value in enumerate(values):
        if isinstance(value, float):
            floats.setdefault(row, {})[field] = value
    return [None if isinstance(value, float) else value for value in values]


def _array(pyarrow: Any, values: Sequence[Any]) -> Any:
    """Return values as an Arrow array: of integers, of doubles or of texts."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int}:
        return pyarrow.array(values, pyarrow.int64())
    if kinds <= {int, float} and all(
        value is None or float(value) == value for value in values
    ):
        return pyarrow.array(values, pyarrow.float64())
    if kinds <= {bytes}:
        with suppress(pyarrow.ArrowInvalid):  # text that is not UTF-8
            return pyarrow.array(values, pyarrow.binary()).cast(pyarrow.string())
    return pyarrow.array(list(map(_text, values)), pyarrow.string())


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return repr(value)
