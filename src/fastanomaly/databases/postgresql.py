"""PostgreSQL, by psycopg 3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from fastanomaly.databases.base import Floats, OpenError
from fastanomaly.databases.csv_batches import csv_batches
from fastanomaly.databases.names import SECRETS, DatabaseName, quoted, quoted_table
from fastanomaly.errors import UsageError, installation
from fastanomaly.formats.flag_row import COLUMNS, FlagRow

if TYPE_CHECKING:
    import psycopg

# Texts that mean the same everywhere, and do not depend on the server's settings.
_SETTINGS = (
    "SET TimeZone = 'UTC'",
    "SET DateStyle = 'ISO'",
    "SET extra_float_digits = 1",
    "SET bytea_output = 'hex'",
)
_NUL = str.maketrans("\0", "\N{SYMBOL FOR NULL}")


class PostgreSQL:
    """A connection to PostgreSQL; see `fastanomaly.databases.base.Database`.

    Rows are read and flags are written by COPY, a row at a time and so in bounded memory.
    """

    begin = "BEGIN"
    mark = "$1"
    differs = "IS DISTINCT FROM"
    scratch = "pg_temp"
    types = {  # noqa: RUF012 - nobody changes it
        "user": "text",
        "timestamp": "timestamp with time zone",
        "amount": "numeric(18, 6)",
        "n": "bigint",
        "mean": "numeric(20, 2)",
        "sd": "numeric(20, 2)",
        "excess": "double precision",
        "log": "text",
        "row": "bigint",
    }

    def __init__(self, name: DatabaseName, writing: bool) -> None:
        try:
            import psycopg  # noqa: PLC0415 - an extra
        except ModuleNotFoundError:
            raise UsageError(
                f"{name.shown}: PostgreSQL needs psycopg: {installation('postgres')}"
            ) from None
        self.errors = (psycopg.Error,)
        self._name = name
        self._types = psycopg.adapters.types
        others = {"fallback_application_name": "fastanomaly"} | name.others
        secrets: dict[str, Any] = {key: others.pop(key) for key in SECRETS if key in others}
        url = f"{name.address}?{urlencode(others, quote_via=quote)}"
        try:
            self._connection: psycopg.Connection[Any] = psycopg.connect(
                url, autocommit=True, cursor_factory=psycopg.RawCursor, **secrets
            )
            for setting in _SETTINGS:
                self.execute(setting)
            if not writing:
                self.execute("SET default_transaction_read_only = on")
        except psycopg.Error as error:
            raise OpenError(self.reason(error)) from error

    def execute(self, statement: str, *values: str) -> list[Any]:
        """Execute a statement, and return the rows of its result."""
        texts = [value.translate(_NUL) for value in values]
        cursor = self._connection.execute(statement.encode(), texts or None)
        return cursor.fetchall() if cursor.description else []

    def load(self, table: str, rows: Sequence[FlagRow]) -> None:
        """Add rows to a table of flags. PostgreSQL has no NUL in texts: U+2400 is for it."""
        statement = f"COPY {table} ({', '.join(map(quoted, COLUMNS))}) FROM STDIN"
        with self._connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            for row in rows:
                texts = [text.translate(_NUL) for text in row.texts()]
                texts[1] = _time_text(texts[1])
                copy.write_row(texts)

    def columns(self) -> list[str]:
        """Return the names of the columns of the table or the query."""
        return [column.name for column in self._description()]

    def _description(self) -> Sequence[psycopg.Column]:
        cursor = self._connection.execute(f"SELECT * FROM {self._rows()} LIMIT 0".encode())
        return cursor.description or []

    def _rows(self) -> str:
        """Return SQL for the rows."""
        if self._name.table:
            return quoted_table(self._name.table)
        query = self._name.query.rstrip().removesuffix(";")
        return f"({query}\n) AS rows_of_query"  # a line end, for it may end with a comment

    def batches(self, columns: Mapping[str, str], size: int) -> Iterator[tuple[Any, Floats]]:
        """Yield the rows as batches of texts."""
        names = list(columns.values())
        types = {column.name: column.type_code for column in self._description()}
        texts = ", ".join(self._text(column, types[column]) for column in names)
        statement = f"COPY (SELECT {texts} FROM {self._rows()}) TO STDOUT (FORMAT csv)"
        with self._connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            for rows in csv_batches(copy, names, size):
                yield rows, {}

    def _text(self, column: str, oid: int) -> str:
        """Return SQL for the text of a column as a log would have it."""
        name = quoted(column)
        if oid == self._types["timestamptz"].oid:
            name += " AT TIME ZONE 'UTC'"
        elif oid == self._types["date"].oid:
            name += "::timestamp"
        return f"({name})::text"

    def reason(self, error: Exception) -> str:
        """Return what an error says, in one line and without the password."""
        primary = error.diag.message_primary if isinstance(error, self.errors) else None
        text = " ".join((primary or str(error)).split())
        for secret in SECRETS:
            if value := self._name.others.get(secret):
                text = text.replace(value, "***")
        return text

    def close(self) -> None:
        """Close it."""
        self._connection.close()


def _time_text(text: str) -> str:
    """Return a time with an offset that PostgreSQL takes, and with its era before year 1."""
    if text.endswith("Z"):
        return text
    # Outside the years 1 to 9999 in UTC, and so at an offset: on a day at the end of a year.
    local = datetime.fromisoformat(text)
    moment = local.replace(year=2000, tzinfo=None) - (local.utcoffset() or timedelta())
    year, era = ("0001", " BC") if local.year == 1 else ("10000", "")
    return f"{year}{moment:-%m-%dT%H:%M:%S.%f}Z{era}"
