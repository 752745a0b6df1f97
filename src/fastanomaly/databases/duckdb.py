"""DuckDB, by its own package."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from fastanomaly.databases.base import Floats, OpenError
from fastanomaly.databases.names import DatabaseName, quoted_table
from fastanomaly.errors import UsageError, installation
from fastanomaly.formats.flag_row import FlagRow

_STORED = (
    "SELECT path FROM duckdb_databases() "
    "WHERE database_name = current_database() AND type = 'duckdb' AND path IS NOT NULL"
)
_LISTS = (
    "unnest($1::VARCHAR[])",
    "make_timestamptz(unnest($2::BIGINT[]))",
    *(f"unnest(${number}::VARCHAR[])" for number in range(3, 10)),
)


class DuckDB:
    """A connection to a DuckDB file; see `fastanomaly.databases.base.Database`."""

    begin = "BEGIN"
    mark = "$1"
    differs = "IS DISTINCT FROM"
    scratch = "temp"
    types = {  # noqa: RUF012 - nobody changes it
        "user": "VARCHAR",
        "timestamp": "TIMESTAMP WITH TIME ZONE",
        "amount": "DECIMAL(18, 6)",
        "n": "BIGINT",
        "mean": "DECIMAL(20, 2)",
        "sd": "DECIMAL(20, 2)",
        "excess": "DOUBLE",
        "log": "VARCHAR",
        "row": "BIGINT",
    }

    def __init__(self, name: DatabaseName, writing: bool) -> None:
        try:
            duckdb: Any = import_module("duckdb")
        except ModuleNotFoundError:
            raise UsageError(
                f"{name.shown}: DuckDB needs its package: {installation('duckdb')}"
            ) from None
        self.errors = (duckdb.Error,)
        self._name = name
        path = os.path.abspath(name.address)
        try:
            self._connection = duckdb.connect(path, read_only=not writing)
            found = self.execute(_STORED)
        except duckdb.Error as error:
            reason = self.reason(error)
            if "different configuration" in reason:
                reason = "is read by this process: flags need another file of DuckDB"
            raise OpenError(reason) from error
        if not found:  # DuckDB opens other files too, but what is written is lost
            self._connection.close()
            raise OpenError("is not a database of DuckDB")

    def execute(self, statement: str, *values: str) -> list[Any]:
        """Execute a statement, and return the rows of its result."""
        return list(self._connection.execute(statement, values).fetchall())

    def load(self, table: str, rows: Sequence[FlagRow]) -> None:
        """Add rows to a table of flags."""
        columns = [list(column) for column in zip(*(row.texts() for row in rows), strict=True)]
        columns[1] = [row.time_us for row in rows]
        self._connection.execute(f"INSERT INTO {table} SELECT {', '.join(_LISTS)}", columns)

    def columns(self) -> list[str]:
        """Return the names of the columns of the table or the query."""
        return list(self._connection.sql(self._query()).columns)

    def _query(self) -> str:
        if self._name.table:
            return f"SELECT * FROM {quoted_table(self._name.table)}"
        return self._name.query

    def batches(self, columns: Mapping[str, str], size: int) -> Iterator[tuple[Any, Floats]]:
        """Yield the rows with the types of Arrow that DuckDB gives them.

        Only whole numbers beyond 64 bits, which come as decimals, are text.
        """
        pyarrow: Any = import_module("pyarrow")
        names = list(columns.values())
        relation = self._connection.sql(self._query())
        for batch in pyarrow.RecordBatchReader.from_stream(relation):
            chosen = batch.select(names)
            arrays = [
                array.cast(pyarrow.string()) if _is_whole(pyarrow, array.type) else array
                for array in chosen.columns
            ]
            rows = pyarrow.record_batch(arrays, names=names)
            for start in range(0, rows.num_rows, size):
                yield rows.slice(start, size), {}

    def reason(self, error: Exception) -> str:
        """Return what an error says, in one line."""
        return " ".join(str(error).split())

    def close(self) -> None:
        """Close it."""
        self._connection.close()


def _is_whole(pyarrow: Any, kind: Any) -> bool:
    return bool(pyarrow.types.is_decimal(kind) and kind.scale == 0)
