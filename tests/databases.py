"""Databases of tests: their names for the command, and what their tables hold."""

import itertools
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta

import duckdb
import psycopg

KINDS = ("sqlite", "duckdb", "postgresql")
_numbers = itertools.count()
_EPOCH = datetime(1970, 1, 1)


class Place:
    """A new, empty database of a kind."""

    def __init__(self, kind, folder, request):
        self.kind = kind
        self._file = folder / f"test.{kind}"
        if kind == "postgresql":
            self.server = request.getfixturevalue("server")
            self.database = f"test_{next(_numbers)}"
            with psycopg.connect(self.server.url(), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {self.database}")

    def name(self, parameters="table=flags"):
        """Return the name for the command."""
        if self.kind == "postgresql":
            return self.server.url(parameters, database=self.database)
        return f"{self.kind}:{self._file}?{parameters}"

    def write(self, rows, types=None):
        """Make a table of rows, which are dicts, with a column for their order."""
        types = types or dict.fromkeys(rows[0], "TEXT")
        columns = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
        mark = "%s" if self.kind == "postgresql" else "?"
        marks = ", ".join([mark] * (len(types) + 1))
        with self.connect() as connection:
            cursor = connection.cursor()
            cursor.execute("BEGIN")  # much faster than many small transactions
            cursor.execute("DROP TABLE IF EXISTS events")
            cursor.execute(f"CREATE TABLE events (nr INTEGER, {columns})")
            values = [(nr, *(row[name] for name in types)) for nr, row in enumerate(rows)]
            cursor.executemany(f"INSERT INTO events VALUES ({marks})", values)
            cursor.execute("COMMIT")

    def connect(self):
        """Return a connection that closes at the end of a with statement."""
        if self.kind == "postgresql":
            url = self.server.url(database=self.database)
            return closing(psycopg.connect(url, autocommit=True))
        if self.kind == "duckdb":
            return closing(duckdb.connect(self._file))
        return closing(sqlite3.connect(self._file, isolation_level=None))

    def execute(self, *statements):
        """Execute statements; return the rows of the last."""
        with self.connect() as connection:
            for statement in statements:
                found = connection.execute(statement)
            if self.kind == "postgresql" and found.description is None:
                return []
            return found.fetchall()

    def flags(self, table="flags"):
        """Return the flags by row, as tuples, with times in microseconds."""
        time = {
            "postgresql": "(extract(epoch FROM timestamp) * 1000000)::bigint",
            "duckdb": "epoch_us(timestamp)",
            "sqlite": "timestamp",
        }[self.kind]
        rows = self.execute(
            f'SELECT "user", {time}, amount, n, mean, sd, excess, log, "row" FROM {table} '
            'ORDER BY log, "row"'
        )
        return [
            (user, _time_us(moment), *map(str, numbers), log, row)
            for user, moment, *numbers, log, row in map(_plain, rows)
        ]


def _plain(row):
    """Return a row with amounts as in an output of lines."""
    user, moment, amount, n, mean, sd, *rest = row
    if not isinstance(amount, str):
        amount = f"{amount:.6f}"
        amount = amount[:-4] + amount[-4:].rstrip("0")
    return user, moment, amount, n, f"{mean:.2f}", f"{sd:.2f}", *rest


def _time_us(value):
    if isinstance(value, int):
        return value
    moment = datetime.fromisoformat(value).replace(tzinfo=None)
    return (moment - _EPOCH) // timedelta(microseconds=1)
