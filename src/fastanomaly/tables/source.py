"""Tables as the sources of a run: opened, mapped, sorted, merged with friendships, split."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from fastanomaly.errors import UsageError
from fastanomaly.names import STANDARD, check_count, is_url
from fastanomaly.sinks.paths import irregular
from fastanomaly.sources.base import Progress, Rows
from fastanomaly.tables.base import database_kind
from fastanomaly.tables.friends import Merging, read_edits
from fastanomaly.tables.inputs import OpenTable, open_friends, open_table, row_count
from fastanomaly.tables.moments import times_us
from fastanomaly.tables.names import COMPRESSED, is_database
from fastanomaly.tables.reading import Split, Tables, parse_split

if TYPE_CHECKING:
    from fastanomaly.convert import Reading
    from fastanomaly.waiting import Waiter

COUNTS = ("rows", "friends", "edits")
"""What a position consists of: how many rows of the table, rows of the friends without
times, and edits have been used."""


class Step(NamedTuple):
    """A block, and what it has: rows of the table or of friends, perhaps with edits."""

    rows: Rows
    kind: str
    edits: int = -1  # the index of their origin, if there are any
    alone: bool = True  # whether it is history even if no row of the table is

    def counts(self, stop: int) -> dict[str, int]:
        """Count what is before the row of an index."""
        edits = 0
        if self.edits >= 0:
            edits = int((self.rows.which[:stop] == self.edits).sum())
        refused = len(self.rows.slice(0, stop).rejected)
        return {self.kind: stop - edits + refused, "edits": edits}


class TableStream:
    """The tables of a run, read one after the other, with the friendships among their rows.

    Parameters
    ----------
    tables : sequence of OpenTable
        The table of history and the one that is judged; or the only one.
    friends : OpenTable or None
    reading : Reading
        What is accepted as a time.
    waiter : Waiter or None
        May end the run between two blocks.
    position : mapping of str to int or None
        Where an earlier run has stopped in the first of the tables.
    """

    def __init__(
        self,
        tables: list[OpenTable],
        friends: OpenTable | None,
        reading: Reading,
        waiter: Waiter | None,
        position: Mapping[str, int] | None,
    ) -> None:
        self._tables = tables
        self._friends = friends
        self._reading = reading
        self._waiter = waiter
        # Before the current step:
        self._done = dict(position or dict.fromkeys(COUNTS, 0))
        self._step: Step | None = None
        self._current = tables[0]
        self._merging: Merging | None = None

    def steps(self, table: OpenTable) -> Iterator[Step]:
        """Yield the rows of a table, and what comes before and among them."""
        self._current = table
        if table is self._tables[0]:
            yield from self._first_friends()
        skip = self._done["rows"]
        for rows in table.blocks(self._reading, skip):
            if self._merging is None:
                yield Step(rows, "rows")
                continue
            merged = self._merging.merged(rows)
            has_edits = merged is not rows
            yield Step(merged, "rows", len(merged.origins) - 1 if has_edits else -1)
        if self._merging is not None and table is self._tables[-1]:
            rest = self._merging.rest()
            if rest is not None:
                yield Step(rest, "edits")

    def _first_friends(self) -> Iterator[Step]:
        """Yield the friendships that were there before, and read those with times."""
        friends = self._friends
        if friends is None:
            return
        if not {"since", "until"} & set(friends.columns):
            if not self._done["rows"]:
                for rows in friends.plain_blocks(self._done["friends"]):
                    yield Step(rows, "friends")
            return
        edits = read_edits(friends.table, friends.columns, self._reading)
        self._merging = Merging(edits, self._reading, self._done["edits"])
        if edits.rejected and not self._done["friends"] and not self._done["rows"]:
            yield Step(edits.refused(), "friends", alone=not len(edits.times))

    def blocks(self, steps: Iterator[Step]) -> Iterator[Rows]:
        """Yield the blocks of steps, and note which one is being used."""
        while True:
            self._finish()
            if self._waiter is not None:
                self._waiter.wait(None, 0)
            step = next(steps, None)
            if step is None:
                return
            self._step = step
            yield step.rows

    def of_table(self, table: OpenTable) -> Iterator[Rows]:
        """Yield the blocks of one of several tables."""
        self._finish()
        if table is not self._tables[0]:
            self._done["rows"] = 0
        yield from self.blocks(self.steps(table))

    def _finish(self) -> None:
        """Count the current step as used."""
        if self._step is not None:
            self._done = self.position(0)
            self._step = None

    def position(self, unread: int) -> dict[str, int]:
        """Return how much has been used, but for the last rows of the current block."""
        counts = {}
        if self._step is not None:
            counts = self._step.counts(len(self._step.rows) - unread)
        return {name: self._done[name] + counts.get(name, 0) for name in COUNTS}

    def progress(self) -> Progress:
        """Return how much of the current table has been read."""
        return self._current.table.progress()

    def close(self) -> None:
        """Close all tables."""
        for table in filter(None, (*self._tables, self._friends)):
            table.table.close()


class TableSource:
    """A table, or a part of one, as a source; see `fastanomaly.sources.base.Source`.

    Its position has how many rows and edits have been used.
    """

    follows = False

    def __init__(
        self, path: str, stream: TableStream, notice: str, blocks: Iterator[Rows]
    ) -> None:
        self.path = path
        self.notice = notice
        self._stream = stream
        self._blocks = blocks

    def add_notice(self, text: str) -> None:
        """Add what the operator should know."""
        self.notice = "\n".join(filter(None, [self.notice, text]))

    def blocks(self) -> Iterator[Rows]:
        """Yield the rows in order, as blocks."""
        return self._blocks

    def snapshot(self, unread: int = 0) -> dict[str, int]:
        """Return the position before the last `unread` rows given, for JSON."""
        return self._stream.position(unread)

    def progress(self) -> Progress:
        """Return how much of the table has been read."""
        return self._stream.progress()

    def close(self) -> None:
        """Close the table."""
        self._stream.close()

    @staticmethod
    def identity(path: str) -> str:
        """Return the table's own name."""
        if is_database(path):
            return database_kind(path).identity(path)
        if path == STANDARD or is_url(path):
            return path
        folder, name = os.path.split(path)
        return os.path.join(os.path.realpath(folder), name)

    @staticmethod
    def check_position(position: object) -> None:
        """Raise ValueError unless it is what `snapshot` returns."""
        if not isinstance(position, dict) or set(position) != set(COUNTS):
            raise ValueError(f"position: {position!r:.40}")
        for name in COUNTS:
            check_count(name, position[name])


class Splitting:
    """Steps divided into those of history and those that are judged.

    Parameters
    ----------
    steps : iterator of Step
    split : Split
        Where; by rows or by time.
    reading : Reading
    done : int
        How many rows an earlier run has read.
    """

    def __init__(
        self, steps: Iterator[Step], split: Split, reading: Reading, done: int
    ) -> None:
        self._steps = steps
        self._split = split
        self._reading = reading
        self._rows = done
        self._rest: list[Step] = []

    def history(self) -> Iterator[Step]:
        """Yield what comes before the split."""
        for step in self._steps:
            if not step.alone:
                self._rest.append(step)
                continue
            stop = self._end(step)
            if stop != 0:
                yield from self._take_rest()
            if stop is None:
                self._rows += step.counts(len(step.rows)).get("rows", 0)
                yield step
                continue
            whole = step.rows
            if stop:
                yield step._replace(rows=whole.slice(0, stop))
            self._rest.append(step._replace(rows=whole.slice(stop, len(whole))))
            return

    def judged(self) -> Iterator[Step]:
        """Yield what comes after it."""
        yield from self._take_rest()
        yield from self._steps

    def _take_rest(self) -> Iterator[Step]:
        rest, self._rest = self._rest, []
        yield from rest

    def _end(self, step: Step) -> int | None:
        """Return the index of the first row that is judged; None if it comes later."""
        if step.kind != "rows":
            return None
        rows = step.rows
        if self._split.rows is not None:
            left = self._split.rows - self._rows
            if step.counts(len(rows))["rows"] <= left:
                return None
            return _index_after(step, left)
        assert self._split.time_us is not None
        late = times_us(rows.batch["timestamp"], self._reading) >= self._split.time_us
        if step.edits >= 0:
            late &= rows.which != step.edits
        return int(late.argmax()) if late.any() else None


def _index_after(step: Step, count: int) -> int:
    """Return the index of the row before which there are so many rows of the table."""
    low, high = 0, len(step.rows)
    while low < high:
        middle = (low + high) // 2
        if step.counts(middle)["rows"] < count:
            low = middle + 1
        else:
            high = middle
    return low


Sources = tuple["TableSource | None", "TableSource | None"]


class Resumed(NamedTuple):
    """Where an earlier run stopped: both positions, and whether history was read."""

    batch: Mapping[str, int] | None = None
    stream: Mapping[str, int] | None = None
    done: bool = False


_FROM_START = Resumed()


def open_sources(
    batch: str | None,
    stream: str | None,
    tables: Tables,
    reading: Reading,
    resumed: Resumed = _FROM_START,
    waiter: Waiter | None = None,
) -> Sources:
    """Open the inputs of a run that are tables.

    Parameters
    ----------
    batch, stream : str or None
        The names of tables; None for an input that is a log.
    tables : Tables
    reading : Reading
    resumed : Resumed, optional
    waiter : Waiter, optional
        May end the run between two blocks.

    Returns
    -------
    tuple of TableSource or None
        None for logs, and for a history that has been read. The notices of the sources say
        which columns were guessed.

    Raises
    ------
    UsageError
        If a table cannot be opened, its columns are not known, or the options do not fit.
    """
    with ExitStack() as stack:
        pair = [
            None if name is None else _opened(stack, open_table(name, tables))
            for name in (None if resumed.done else batch, stream)
        ]
        opened = [table for table in pair if table is not None]
        friends = None
        if tables.friends is not None:
            friends = _opened(stack, open_friends(tables))
            _check_friends(friends, friends.table.path, batch, stream, opened)
        position = resumed.stream if resumed.done or batch is None else resumed.batch
        shared = TableStream(opened, friends, reading, waiter, position)
        past, present = (
            None
            if table is None
            else TableSource(table.table.path, shared, table.notice, shared.of_table(table))
            for table in pair
        )
        stack.pop_all()
    first = past or present
    if first is not None and friends is not None:
        first.add_notice(friends.notice)
    if past is not None and present is not None:
        past.add_notice(_two_of_a_kind(past.path, present.path))
        if friends is None:
            past.add_notice(_no_friends(opened))
    return past, present


def open_split(
    path: str,
    tables: Tables,
    reading: Reading,
    resumed: Resumed = _FROM_START,
    waiter: Waiter | None = None,
) -> Sources:
    """Open a table of which a part is history and the rest is judged; see `open_sources`."""
    with ExitStack() as stack:
        table = _opened(stack, open_table(path, tables))
        friends = None
        if tables.friends is not None:
            friends = _opened(stack, open_friends(tables))
            _check_friends(friends, friends.table.path, path, path, [table])
        name = table.table.path
        split = _split(path, tables)
        if split.time_us is not None and "timestamp" not in table.columns:
            raise UsageError(f"{name}: --split by time needs a column of times")
        position = resumed.stream if resumed.done else resumed.batch
        shared = TableStream([table], friends, reading, waiter, position)
        stack.pop_all()
    steps = shared.steps(table)
    notices = [table.notice, friends.notice if friends is not None else ""]
    if resumed.done:
        present = TableSource(name, shared, "", shared.blocks(steps))
        past = None
    else:
        parts = Splitting(steps, split, reading, shared.position(0)["rows"])
        past = TableSource(name, shared, "", shared.blocks(parts.history()))
        present = TableSource(name, shared, "", shared.blocks(parts.judged()))
        if friends is None:
            notices.append(_no_friends([table]))
    for notice in notices:
        (past or present).add_notice(notice)
    return past, present


def _two_of_a_kind(batch: str, stream: str) -> str:
    """Return a notice if two names may come from a pattern without quotes, or ""."""
    if not os.path.isfile(batch) or not os.path.isfile(stream):
        return ""
    folder, name = os.path.split(batch)
    pattern = f"*{_suffixes(name)}"
    if (folder, _suffixes(name)) != (os.path.dirname(stream), _suffixes(stream)):
        return ""
    return (
        f"{batch} is history and {stream} is judged; as one table they are a pattern in "
        f"quotes, such as '{os.path.join(folder, pattern)}'"
    )


def _suffixes(path: str) -> str:
    """Return the suffix of a file, with the one before that of compression."""
    root, suffix = os.path.splitext(path)
    return os.path.splitext(root)[1] + suffix if suffix.lower() in COMPRESSED else suffix


def _no_friends(tables: list[OpenTable]) -> str:
    """Return a notice if no table can have friendships, or ""."""
    if any("kind" in table.columns for table in tables):
        return ""
    names = " and ".join(table.table.path for table in tables)
    return f"{names}: nobody has friends, so nothing is flagged: give them with --friends"


def _opened(stack: ExitStack, table: OpenTable) -> OpenTable:
    stack.callback(table.table.close)
    return table


def _split(path: str, tables: Tables) -> Split:
    """Return where a table is split, as a time or a number of rows."""
    split = Split(rows=0) if tables.split is None else parse_split(tables.split)
    if split.share is None:
        return split
    is_file = is_database(path) or irregular(path) in (None, "a folder")
    if path == STANDARD or not is_file:
        raise UsageError(
            f"{path}: --split by a share needs a file: it is read twice, first to count rows"
        )
    return Split(rows=int(split.share * row_count(path, tables)))


def _check_friends(
    friends: OpenTable,
    name: str,
    batch: str | None,
    stream: str | None,
    tables: list[OpenTable],
) -> None:
    """Check that friendships can come before, or be merged into, what is read."""
    if batch is None:
        raise UsageError(
            f"{name}: --friends needs a table of history; put friendships into a log as "
            "befriend and unfriend"
        )
    if not {"since", "until"} & set(friends.columns):
        return
    if stream is None:
        raise UsageError(
            f"{name}: has times, which cannot be merged into a log: the second input must "
            "be a table, too"
        )
    for table in tables:
        if "timestamp" not in table.columns:
            raise UsageError(
                f"{table.table.path}: has no column of times, by which the friendships of "
                f"{name} could be merged"
            )
