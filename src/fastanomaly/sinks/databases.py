"""Flags as rows of a table in a database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from fastanomaly.databases.base import Database, OpenError, database_kind, identity
from fastanomaly.databases.names import parse_name, quoted, quoted_table
from fastanomaly.errors import OutputError, UsageError
from fastanomaly.formats.flag_row import COLUMNS
from fastanomaly.names import check_count
from fastanomaly.sinks.flag_rows import flag_rows, log_text

if TYPE_CHECKING:
    from fastanomaly.results import Flag
    from fastanomaly.sinks.base import SinkOptions

_NEW = "fastanomaly_new_flags"


class DatabaseSink:
    """A table of flags in a database; see `fastanomaly.sinks.base.FlagSink`.

    A row is known by its log and its number. As the run goes on, the rows of its log up to
    where it has come become exactly its flags: new ones are inserted, others are updated if
    they differ, and those that are no flags any more are deleted. So a run that is repeated,
    or resumed anywhere, changes nothing that is right already.

    All of it is one transaction; with checkpoints, one up to each of them; and of a live run
    one for each `write_flags`. The table is created if there is none.

    Its position has the number of the last flag's row and how many flags there are.

    Raises
    ------
    UsageError
        If the name has no table, or a library is not installed.
    OutputError
        If the database cannot be opened.
    """

    def __init__(self, path: str, options: SinkOptions) -> None:
        name = parse_name(path)
        if not name.table:
            raise UsageError(f"{name.shown}: flags need a table: ?table=NAME")
        self.path = name.shown
        self._options = options
        self._log = log_text(options.log)
        self._table = quoted_table(name.table)
        self._row = self._flags = 0
        self._in_transaction = self._failed = False
        try:
            self._database: Database = database_kind(path)(name, True)
        except OpenError as error:
            raise OutputError(f"{self.path}: {error}") from error
        self._new = f"{self._database.scratch}.{_NEW}"
        self._exists = False

    def close(self) -> None:
        """Close the connection; a transaction that has not ended is undone."""
        self._database.close()

    def check_resume(self, position: dict[str, int] | None) -> None:
        """Check that the flags up to the position are there; raises UsageError."""
        if not position or not position["flags"]:
            return
        mark, row, flags = self._database.mark, position["row"], position["flags"]
        with suppress(*self._database.errors):  # there is no such table
            found = self._database.execute(
                f'SELECT count(*) FROM {self._table} WHERE log = {mark} AND "row" <= {row}',
                self._log,
            )[0][0]
            if found >= flags:
                return
        raise UsageError(
            f"{self.path}: has fewer flags of {self._log} up to line {row} than the {flags} "
            "that the checkpoint was made after (--fresh starts over)"
        )

    def resume(self, position: dict[str, int] | None) -> None:
        """Continue after the row of the position; check the table, or create it."""
        if position:
            self._row, self._flags = position["row"], position["flags"]
        with self._changes():
            self._exists = self._has_table()
            self._begin()
            self._merge(self._row)  # of no rows: whether the table can take them
            self._end("COMMIT" if self._options.live else "ROLLBACK")
        self._exists = self._exists or self._options.live

    def write_flags(self, flags: Sequence[Flag]) -> None:
        """Write flags, all of them or none."""
        rows = flag_rows(flags, self._options.sigmas)
        with self._changes():
            self._begin()
            self._database.load(self._new, rows)
            self._merge(rows[-1].row)
            if self._options.live:
                self._end("COMMIT")
        self._row = rows[-1].row
        self._flags += len(rows)

    def snapshot(self) -> dict[str, int]:
        """Commit what has been written; return the last row and how many there are."""
        with self._changes():
            self._end("COMMIT")
        return {"row": self._row, "flags": self._flags}

    def finish(self, done: bool) -> None:
        """Commit what has been written; if done, no later row of the log is a flag."""
        if self._failed:
            return
        with self._changes():
            self._begin()
            if done:
                self._delete(f'"row" > {self._row}')
            self._end("COMMIT")

    def sync(self) -> None:
        """Do nothing: what is committed is durable."""

    def descriptors(self) -> tuple[int, ...]:
        """Return none: `sync` needs none."""
        return ()

    @contextmanager
    def _changes(self) -> Iterator[None]:
        """Undo the transaction if an error occurs, and raise it as OutputError."""
        try:
            yield
        except self._database.errors as error:
            self._failed = True
            with suppress(*self._database.errors):
                self._end("ROLLBACK")
            reason = self._database.reason(error)
            raise OutputError(f"{self.path}: {reason}") from error

    def _begin(self) -> None:
        """Begin a transaction if there is none; create the tables that it needs."""
        if self._in_transaction:
            return
        self._database.execute(self._database.begin)
        self._in_transaction = True
        types = self._database.types
        columns = ", ".join(f"{quoted(name)} {types[name]}".rstrip() for name in COLUMNS)
        if not self._exists:
            self._database.execute(
                f"CREATE TABLE IF NOT EXISTS {self._table} "
                f'({columns}, PRIMARY KEY ("log", "row"))'
            )
        self._database.execute(f"CREATE TEMP TABLE IF NOT EXISTS {_NEW} ({columns})")

    def _end(self, statement: str) -> None:
        """End the transaction if there is one."""
        if self._in_transaction:
            self._in_transaction = False
            self._database.execute(statement)

    def _has_table(self) -> bool:
        """Return whether there is such a table; creating it may need more rights."""
        try:
            self._database.execute(f"SELECT 1 FROM {self._table} LIMIT 0")
        except self._database.errors:
            return False
        return True

    def _merge(self, last: int) -> None:
        """Make the rows of the log up to the last one the new ones."""
        self._delete(
            f'"row" > {self._row} AND "row" <= {last} '
            f'AND "row" NOT IN (SELECT "row" FROM {self._new})'
        )
        columns = [quoted(name) for name in COLUMNS]
        values = [name for name in columns if name not in ('"log"', '"row"')]
        self._database.execute(
            f"INSERT INTO {self._table} AS old ({', '.join(columns)}) "
            f"SELECT {', '.join(columns)} FROM {self._new} WHERE true "
            'ON CONFLICT ("log", "row") DO UPDATE SET '
            + ", ".join(f"{name} = excluded.{name}" for name in values)
            + f" WHERE ({', '.join(f'old.{name}' for name in values)}) "
            f"{self._database.differs} ({', '.join(f'excluded.{name}' for name in values)})"
        )
        self._database.execute(f"DELETE FROM {self._new}")

    def _delete(self, condition: str) -> None:
        self._database.execute(
            f'DELETE FROM {self._table} WHERE "log" = {self._database.mark} AND {condition}',
            self._log,
        )

    identity = staticmethod(identity)

    @staticmethod
    def check_position(position: object) -> None:
        """Raise ValueError unless it is what `snapshot` returns."""
        if not isinstance(position, dict) or set(position) != {"row", "flags"}:
            raise ValueError(f"position: {position!r:.40}")
        for name, value in position.items():
            check_count(name, value)
