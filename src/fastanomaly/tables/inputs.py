"""Opening a table by its name: its file or files, its columns, its rows as blocks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from fastanomaly.errors import UsageError
from fastanomaly.rules.rejects import Rejected
from fastanomaly.sources.base import Origin, Rows
from fastanomaly.tables.amounts import Writing
from fastanomaly.tables.base import Table, TableOptions, load
from fastanomaly.tables.columns import Guess, check_once, event_columns, friend_columns
from fastanomaly.tables.events import RejectedRow, event_line
from fastanomaly.tables.friends import plain_rows
from fastanomaly.tables.names import JSON_SUFFIXES, SUFFIXES, is_database, suffix_kind
from fastanomaly.tables.reading import Tables, table_kind
from fastanomaly.tables.sorting import sorted_blocks
from fastanomaly.tables.storage.files import expand
from fastanomaly.tables.storage.several import SeveralTables

if TYPE_CHECKING:
    from fastanomaly.convert import Reading

_MOST_ROWS = 1 << 16


class OpenTable:
    """A table that is open, and what its columns are.

    Attributes
    ----------
    table : Table
    columns : dict of str to str
        By field.
    notice : str
        What the operator should know of columns that were guessed, or "".
    """

    def __init__(self, table: Table, guess: Guess, tables: Tables) -> None:
        if tables.sort and "timestamp" not in guess.columns:
            raise UsageError(f"{table.path}: --sort needs a column of times")
        self.table = table
        self.columns = guess.columns
        self.notice = guess.notice
        self._sort = tables.sort
        self._writing = None
        if tables.decimal_comma or tables.currency:
            self._writing = Writing(tables.decimal_comma, tables.currency)

    def blocks(self, reading: Reading, skip: int) -> Iterator[Rows]:
        """Yield the events after the first `skip` rows, sorted by time if that is wanted."""
        if not self._sort:
            yield from self._blocks(skip)
            return
        for rows in sorted_blocks(self._blocks(0), reading):
            count = len(rows) + len(rows.rejected)
            if skip >= count:
                skip -= count
                continue
            yield _without(rows, skip)
            skip = 0

    def plain_blocks(self, skip: int = 0) -> Iterator[Rows]:
        """Yield the rows after the first `skip` ones as they are."""
        for batch in self.table.batches(self.columns, skip):
            origin = Origin(batch.log, self.columns)
            rows = plain_rows(batch, list(self.columns), origin)
            rows.rejected = [(at, _row(row, self.columns)) for at, row in rows.rejected]
            yield rows

    def _blocks(self, skip: int) -> Iterator[Rows]:
        for whole in self.plain_blocks(skip):
            rows = self._with_amounts(whole)
            for start in range(0, max(len(rows), 1), _MOST_ROWS):
                yield rows.slice(start, min(len(rows), start + _MOST_ROWS))

    def _with_amounts(self, rows: Rows) -> Rows:
        """Return rows with amounts as decimal texts; without those that would be misread."""
        if self._writing is None or "amount" not in self.columns or not len(rows):
            return rows
        batch = rows.batch
        amounts, refused = self._writing.read(batch["amount"])
        arrays = [amounts if name == "amount" else batch[name] for name in batch.schema.names]
        rows.batch = pa.RecordBatch.from_arrays(arrays, batch.schema.names)
        if refused is None:
            return rows
        mask = refused.to_numpy(zero_copy_only=False)
        if "kind" in self.columns:
            kinds = batch["kind"].cast(pa.string()).to_pylist()
            mask = mask & np.array([kind == "purchase" for kind in kinds])
        return _refusing(rows, mask, "bad_amount") if mask.any() else rows


def _refusing(rows: Rows, mask: Any, reason: str) -> Rows:
    """Return rows without some, which are rejected."""
    numbers = rows.numbers
    if numbers is None:
        numbers = np.arange(rows.first, rows.first + len(rows))
    kept = np.flatnonzero(~mask)
    origin = rows.origins[0]
    places = [(at, _row(row, origin.columns)) for at, row in rows.rejected]
    for index in np.flatnonzero(mask).tolist():
        line = event_line(rows.batch.slice(index, 1).to_pylist()[0])
        refused = RejectedRow(origin.log, int(numbers[index]), reason, line)
        places.append((index, _row(refused, origin.columns)))
    moved = [(int(kept.searchsorted(at)), row) for at, row in places]
    moved.sort(key=lambda place: place[1].line)
    return Rows(
        rows.batch.take(pa.array(kept)),
        rows.origins,
        rows.first,
        numbers[kept],
        rejected=moved,
    )


def _row(refused: Rejected, columns: Mapping[str, str]) -> RejectedRow:
    row = RejectedRow(*refused)
    row.columns = columns
    return row


def _without(rows: Rows, count: int) -> Rows:
    """Return rows without the first ones, those that could not be read counted."""
    refused = min(count, len(rows.rejected))  # they come first in sorted rows
    rest = rows.slice(count - refused, len(rows))
    rest.rejected = rows.rejected[refused:]
    return rest


def open_table(path: str, tables: Tables) -> OpenTable:
    """Open a table of events.

    Raises
    ------
    UsageError
        If it cannot be opened, or its columns are not known.
    """
    table = _open(path, tables)
    return _mapped(
        table, tables, lambda: event_columns(table.path, table.names, tables.columns)
    )


def open_friends(tables: Tables) -> OpenTable:
    """Open a table of friendships; see `open_table`."""
    assert tables.friends is not None
    path, mapped = tables.friends, tables.friend_columns
    if not is_database(path) and not os.path.isdir(path) and not suffix_kind(path, json=True):
        known = ", ".join((*SUFFIXES, *JSON_SUFFIXES))
        raise UsageError(
            f"{path}: friendships must be in a database or in files whose names end in one "
            f"of {known}"
        )
    plain = Tables(encoding=tables.encoding, header=tables.friends_header)
    table = _open(path, plain)
    return _mapped(table, plain, lambda: friend_columns(table.path, table.names, mapped))


def _mapped(table: Table, tables: Tables, find: Any) -> OpenTable:
    try:
        if not table.names:
            raise UsageError(f"{table.path}: is empty: it has no columns")
        guess = find()
        check_once(table.path, table.names, guess.columns)
        return OpenTable(table, guess, tables)
    except UsageError:
        table.close()
        raise


def _open(path: str, tables: Tables) -> Table:
    options = TableOptions(tables.delimiter, tables.encoding, tables.header)

    def open_one(name: str) -> Table:
        kind = table_kind(name, tables, alone=True)
        assert kind is not None
        return load(kind)(name, options)

    if is_database(path):
        return open_one(path)
    paths = expand(path)
    return open_one(path) if paths == [path] else SeveralTables(path, paths, open_one)


def row_count(path: str, tables: Tables) -> int:
    """Return how many rows a table has, by reading it unless it says so.

    Raises
    ------
    UsageError
        If it cannot be read twice.
    """
    opened = open_table(path, tables)
    try:
        if opened.table.rows is not None:
            return opened.table.rows
        field, column = next(iter(opened.columns.items()))
        count = 0
        for batch in opened.table.batches({field: column}):
            count += batch.end - batch.first
        return count
    finally:
        opened.table.close()
