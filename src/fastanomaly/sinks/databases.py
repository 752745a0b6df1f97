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

    A row is known by its log and its number. New flags are collected in a temporary table.
    When they are committed, those that are not there are inserted, and those that differ are
    updated; at the first time, rows of the logs that are no flags are deleted. So what is
    right already is not touched.

    A run commits once, when it ends; with checkpoints, before each of them; a live run at
    each `write_flags`. The table is created if there is none.

    The position is the number of flags committed.

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
        self._logs = list(map(log_text, options.logs))
        self._table = quoted_table(name.table)
        self._flags = 0
        self._is_first = True  # at the next commit, rows of earlier runs are deleted
        self._exists = self._failed = False
        try:
            self._database: Database = database_kind(path)(name, True)
        except OpenError as error:
            raise OutputError(f"{self.path}: {error}") from error
        self._new = f"{self._database.scratch}.{_NEW}"

    def close(self) -> None:
        """Close the connection; what has not been committed is lost."""
        self._database.close()

    def check_resume(self, position: int | None) -> None:
        """Check that there are as many flags as the position says; raises UsageError."""
        if not position:
            return
        found = 0
        with suppress(*self._database.errors):  # there is no such table
            found = sum(map(self._count, self._logs))
        if found < position:
            raise UsageError(
                f"{self.path}: has {found} flags of this job, but the checkpoint was made "
                f"after {position} (--fresh starts over)"
            )

    def resume(self, position: int | None) -> None:
        """Continue after a commit, or begin; check that the table can take flags."""
        self._flags = position or 0
        self._is_first = position is None
        types = self._database.types
        self._columns = ", ".join(f"{quoted(name)} {types[name]}".rstrip() for name in COLUMNS)
        with self._errors():
            self._database.execute(
                f'CREATE TEMP TABLE {_NEW} ({self._columns}, PRIMARY KEY ("log", "row"))'
            )
            self._exists = self._has_table()
            self._database.execute(self._database.begin)
            self._create()
            self._merge()  # of no rows
            self._database.execute("ROLLBACK")

    def write_flags(self, flags: Sequence[Flag]) -> None:
        """Write flags, all of them or none."""
        rows = flag_rows(flags, self._options.sigmas)
        with self._errors():
            self._database.load(self._new, rows)
        self._flags += len(rows)
        if self._options.live:
            self._commit()

    def snapshot(self) -> int:
        """Commit what has been written; return how many flags there are."""
        self._commit()
        return self._flags

    def finish(self) -> None:
        """Commit what has been written."""
        self._commit()

    def sync(self) -> None:
        """Do nothing: what is committed is durable."""

    def descriptors(self) -> tuple[int, ...]:
        """Return none: `sync` needs none."""
        return ()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise the database's errors as OutputError; nothing is written after one."""
        try:
            yield
        except self._database.errors as error:
            self._failed = True
            reason = self._database.reason(error)
            raise OutputError(f"{self.path}: {reason}") from error

    def _commit(self) -> None:
        """Put new flags into the table, in one transaction."""
        if self._failed:
            return
        with self._errors():
            self._database.execute(self._database.begin)
            self._create()
            if self._is_first:
                for log in self._logs:
                    self._delete_others(log)
            self._merge()
            self._database.execute(f"DELETE FROM {self._new}")
            self._database.execute("COMMIT")
        self._is_first, self._exists = False, True

    def _has_table(self) -> bool:
        try:
            self._database.execute(f"SELECT 1 FROM {self._table} LIMIT 0")
        except self._database.errors:
            return False
        return True

    def _create(self) -> None:
        """Create the table if there is none; trying it may need more rights."""
        if not self._exists:
            self._database.execute(
                f"CREATE TABLE IF NOT EXISTS {self._table} "
                f'({self._columns}, PRIMARY KEY ("log", "row"))'
            )

    def _delete_others(self, log: str) -> None:
        """Delete the rows of a log that are not new flags."""
        mark = self._database.mark
        self._database.execute(
            f"DELETE FROM {self._table} "
            f'WHERE "log" = {mark} AND "row" NOT IN '
            f'(SELECT "row" FROM {self._new} WHERE "log" = {mark})',
            log,
        )

    def _merge(self) -> None:
        """Insert new flags, and update those that differ."""
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

    def _count(self, log: str) -> int:
        found = self._database.execute(
            f'SELECT count(*) FROM {self._table} WHERE "log" = {self._database.mark}', log
        )
        return int(found[0][0])

    identity = staticmethod(identity)

    @staticmethod
    def check_position(position: object) -> None:
        """Raise ValueError unless it is what `snapshot` returns."""
        check_count("position", position)
