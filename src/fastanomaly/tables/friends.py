"""Tables of friendships: those without times, and edits that are merged by their times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastanomaly.errors import UsageError
from fastanomaly.sources.base import Origin, Rows
from fastanomaly.tables.events import RejectedRow, event_line
from fastanomaly.tables.moments import NEVER, times_us

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastanomaly.convert import Reading
    from fastanomaly.tables.base import Batch, Table

_LAST = np.iinfo(np.int64).max
_KINDS = pa.array(["befriend", "unfriend", "purchase"])
_BEFRIEND, _UNFRIEND, _PURCHASE = 0, 1, 2


class Edits(NamedTuple):
    """Beginnings and ends of friendships in the order of their times.

    Attributes
    ----------
    rows : pyarrow.RecordBatch
        Kind, user and friend of each.
    times : NumPy array of int64
        Microseconds since 1970, ascending; `NEVER` of those before all purchases.
    numbers : NumPy array of int64
        The rows of the table that they come from.
    rejected : list of RejectedRow
        Rows whose times are none.
    origin : Origin
    """

    rows: Any
    times: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]
    rejected: list[RejectedRow]
    origin: Origin

    def refused(self) -> Rows:
        """Return the rejected rows as a block."""
        none = self.rows.slice(0, 0)
        return Rows(none, [self.origin], rejected=[(0, row) for row in self.rejected])


def plain_rows(batch: Batch, fields: list[str], origin: Origin) -> Rows:
    """Return a batch with its columns named as the fields."""
    rows = renamed(batch, fields)
    return Rows(rows, [origin], batch.first, batch.numbers, rejected=batch.rejected)


def renamed(batch: Batch, fields: list[str]) -> Any:
    """Return the rows of a batch with columns named as the fields."""
    if batch.rows is None:
        return pa.RecordBatch.from_pylist([], pa.schema([(f, pa.string()) for f in fields]))
    rows = batch.rows
    if not isinstance(rows, pa.RecordBatch):
        rows = pa.record_batch(rows)
    return pa.RecordBatch.from_arrays(rows.columns, fields)


def read_edits(table: Table, columns: dict[str, str], reading: Reading) -> Edits:
    """Read all friendships of a table with times, and put them in order.

    A friendship lasts from its since to before its until. One without a since has been
    there before all purchases; one without an until lasts.
    """
    fields = list(columns)
    origin = Origin(table.path, columns)
    users, friends, since, until, numbers = [], [], [], [], []
    rejected: list[RejectedRow] = []
    for batch in table.batches(columns):
        rejected += [_as_row(refused, columns) for _, refused in batch.rejected]
        rows = renamed(batch, fields)
        places = batch.numbers
        if places is None:
            places = np.arange(batch.first, batch.first + rows.num_rows)
        begin, bad = _bounds(rows, "since", NEVER, reading)
        end, also_bad = _bounds(rows, "until", _LAST, reading)
        bad |= also_bad | (end < begin)
        for index in np.flatnonzero(bad).tolist():
            refused = _refused(rows, index, origin, int(places[index]), reading)
            rejected.append(refused)
        good = pa.array(~bad & (end != begin))
        users.append(texts(rows["user"]).filter(good))
        friends.append(texts(rows["friend"]).filter(good))
        kept = good.to_numpy(zero_copy_only=False)
        since.append(begin[kept])
        until.append(end[kept])
        numbers.append(places[kept])
    return _ordered(
        pa.chunked_array(users, pa.large_string()),
        pa.chunked_array(friends, pa.large_string()),
        _joined(since),
        _joined(until),
        _joined(numbers),
        rejected,
        origin,
    )


def _ordered(
    users: Any,
    friends: Any,
    since: npt.NDArray[np.int64],
    until: npt.NDArray[np.int64],
    numbers: npt.NDArray[np.int64],
    rejected: list[RejectedRow],
    origin: Origin,
) -> Edits:
    ends = np.flatnonzero(until != _LAST)
    times = np.concatenate([since, until[ends]])
    kinds = np.full(len(times), _BEFRIEND, np.int8)
    kinds[len(since) :] = _UNFRIEND
    rows = np.concatenate([np.arange(len(since)), ends])
    # At one time friendships end before others begin; otherwise in the order of the rows.
    order = np.lexsort((numbers[rows], kinds == _BEFRIEND, times))
    place = pa.array(rows[order])
    edits = pa.RecordBatch.from_arrays(
        [
            _KINDS.take(pa.array(kinds[order])),
            _one_array(users).take(place),
            _one_array(friends).take(place),
        ],
        ["kind", "user", "friend"],
    )
    rejected.sort(key=lambda refused: refused.line)
    return Edits(edits, times[order], numbers[rows[order]], rejected, origin)


def _one_array(column: Any) -> Any:
    return pa.concat_arrays(column.chunks) if column.chunks else pa.array([], column.type)


def _joined(parts: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    return np.concatenate([np.zeros(0, np.int64), *parts])


def texts(column: Any) -> Any:
    """Return a column as large texts, which columns of all tables can be.

    Raises
    ------
    UsageError
        If its values have no text.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        if pa.types.is_floating(column.type):
            raise pa.ArrowInvalid("ids are whole numbers or texts")
        return column.cast(pa.large_string(), safe=False)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise UsageError(f"a column of {column.type} cannot be read as text") from error


def _bounds(
    rows: Any, field: str, absent: int, reading: Reading
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the times of a column that may be missing, and which values are no times."""
    if field not in rows.schema.names:
        return np.full(rows.num_rows, absent), np.zeros(rows.num_rows, np.bool_)
    column = rows[field]
    times = times_us(column, reading)
    missing = pc.is_null(column).to_numpy(zero_copy_only=False)
    bad = (times == NEVER) & ~missing
    return np.where(missing, absent, times), bad


def _refused(
    rows: Any, index: int, origin: Origin, number: int, reading: Reading
) -> RejectedRow:
    """Return a row with a wrong time as a rejected row."""
    row = rows.slice(index, 1)
    values = row.to_pylist()[0]
    since, until = values.pop("since", None), values.pop("until", None)
    wrong = [
        time is not None and times_us(row[field], reading)[0] == NEVER
        for field, time in (("since", since), ("until", until))
    ]
    kind, time = ("befriend", since) if wrong == [True, False] else ("unfriend", until)
    line = event_line({"kind": kind, "timestamp": time, **values})
    refused = RejectedRow(origin.log, number, "bad_timestamp", line)
    if not any(wrong):
        refused.why = f'timestamp: "{until}" (is before the friendship begins, "{since}")'
    refused.columns = {
        **origin.columns,
        "timestamp": origin.columns.get("since" if kind == "befriend" else "until", ""),
    }
    return refused


def _as_row(refused: Any, columns: dict[str, str]) -> RejectedRow:
    row = RejectedRow(*refused)
    row.columns = columns
    return row


class Merging:
    """Edits merged into the rows of one or two tables, which come one after the other.

    An edit comes before the first row whose time is not before its own.

    Parameters
    ----------
    edits : Edits
    reading : Reading
        What is accepted as a time.
    done : int
        How many of the edits an earlier run has applied: all that were due before.
    """

    def __init__(self, edits: Edits, reading: Reading, done: int) -> None:
        self.edits = edits
        self.done = done
        self._newest_us = NEVER
        self._reading = reading

    def merged(self, rows: Rows) -> Rows:
        """Return a block with the edits that are due among its rows."""
        if not len(rows):
            return rows
        own = times_us(rows.batch["timestamp"], self._reading)
        times = np.maximum.accumulate(np.maximum(own, self._newest_us))
        self._newest_us = int(times[-1])
        begin, end = self.done, int(self.edits.times.searchsorted(times[-1], "right"))
        end = max(begin, end)
        if begin == end:
            return rows
        self.done = end
        before = times.searchsorted(self.edits.times[begin:end], "left")
        return _interleaved(rows, self.edits, begin, end, before)

    def rest(self) -> Rows | None:
        """Return the edits after all rows, or None."""
        begin, self.done = self.done, len(self.edits.times)
        if begin == self.done:
            return None
        return Rows(
            self.edits.rows.slice(begin),
            [self.edits.origin],
            numbers=self.edits.numbers[begin:],
        )


def _interleaved(
    rows: Rows, edits: Edits, begin: int, end: int, before: npt.NDArray[np.int64]
) -> Rows:
    """Return rows with edits among them: each before the row of that index."""
    count, more = len(rows), end - begin
    slots = before + np.arange(more)
    is_edit = np.zeros(count + more, np.bool_)
    is_edit[slots] = True
    order = np.empty(count + more, np.int64)
    order[slots] = count + np.arange(more)
    order[~is_edit] = np.arange(count)
    numbers = rows.numbers
    if numbers is None:
        numbers = np.arange(rows.first, rows.first + count)
    which = np.zeros(count, np.int32) if rows.which is None else rows.which
    which = np.concatenate([which, np.full(more, len(rows.origins), np.int32)])
    numbers = np.concatenate([numbers, edits.numbers[begin:end]])
    place = np.flatnonzero(~is_edit)
    return Rows(
        _joined_rows(rows.batch, edits.rows.slice(begin, more)).take(pa.array(order)),
        [*rows.origins, edits.origin],
        numbers=numbers[order],
        which=which[order],
        rejected=[
            (int(place[at]) if at < count else count + more, refused)
            for at, refused in rows.rejected
        ],
    )


def _joined_rows(rows: Any, edits: Any) -> Any:
    """Return purchases or events, then edits, in one batch."""
    names = [name for name in rows.schema.names if name != "friend"]
    columns = {name: rows[name] for name in names}
    if "kind" not in columns:
        columns["kind"] = _KINDS.take(pa.array(np.full(rows.num_rows, _PURCHASE)))
    ids = {name: columns.pop(name) for name in ("id", "id1", "id2") if name in columns}
    if ids:
        bought = pc.equal(texts(columns["kind"]), "purchase")
        columns["user"] = pc.if_else(bought, texts(ids["id"]), texts(ids["id1"]))
        columns["friend"] = texts(ids["id2"])
    elif "friend" in rows.schema.names:
        columns["friend"] = texts(rows["friend"])
    for name in ("kind", "user", "friend"):
        if name in columns:
            columns[name] = texts(columns[name])
    more = {name: texts(edits[name]) for name in ("kind", "user", "friend")}
    arrays = []
    fields = dict.fromkeys([*columns, *more])
    for name in fields:
        first, second = columns.get(name), more.get(name)
        if first is not None and pa.types.is_dictionary(first.type):
            first = first.dictionary_decode()
        if first is None:
            first = pa.nulls(rows.num_rows, pa.large_string())
        if second is None:
            second = pa.nulls(edits.num_rows, first.type)
        arrays.append(pa.concat_arrays([first, second]))
    return pa.RecordBatch.from_arrays(arrays, list(fields))
