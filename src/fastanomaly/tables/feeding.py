"""Feeding blocks of rows to a detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastanomaly.errors import FeedError, UsageError
from fastanomaly.results import Fed
from fastanomaly.tables.events import RejectedRow, event_line

if TYPE_CHECKING:
    from fastanomaly.rules.rejects import Rejected
    from fastanomaly.sources.base import Rows


def feed_rows(
    detector: Any,
    rows: Rows,
    start: int,
    stop: int,
    judge: bool,
    strict: bool,
    max_rejected: int,
) -> tuple[Fed, int, FeedError | None]:
    """Feed some rows of a block to a detector.

    Parameters
    ----------
    detector : Detector
    rows : Rows
    start, stop : int
        Which rows; those that could not be read and come before one of them, too.
    judge : bool
        Whether purchases are judged.
    strict : bool
        Stop after the first rejected row.
    max_rejected : int
        Stop after so many rejected rows of those that could be read.

    Returns
    -------
    tuple of Fed, int and FeedError or None
        The result, with the places of flags and rejected rows; the index after the last row
        fed; and the failure if memory ran out.

    Raises
    ------
    UsageError
        If a column has a type that its field cannot have.
    """
    if strict:
        refused = [place for place in rows.rejected if start <= place[0] <= stop]
        if refused and refused[0][0] == start:
            return Fed(1, [], [refused[0][1]]), start, None
        if refused:
            stop = min(stop, refused[0][0])
    failure = None
    if start == stop:
        unreadable = rows.slice(start, stop).rejected
        found = _merged(rows, start, [], unreadable)
        return Fed(len(found), [], found), stop, None
    try:
        fed = detector.feed_frame(
            rows.batch.slice(start, stop - start),
            judge=judge,
            first_row=start,
            max_rejected=max_rejected,
        )
    except FeedError as error:
        fed, failure = error.fed, error
    except (TypeError, ValueError) as error:
        raise UsageError(f"{rows.origins[0].log}: {_in_columns(error, rows)}") from error
    end = start + fed.rows
    part = rows.slice(start, end)
    flags = [_placed(flag, rows) for flag in fed.flags]
    rejected = _merged(rows, start, fed.rejected, part.rejected)
    return Fed(end - start + len(part.rejected), flags, rejected), end, failure


def _placed(flag: Any, rows: Rows) -> Any:
    """Return a flag with the place of its row, whose index is its line."""
    log, row = rows.place(flag.line)
    return flag._replace(log=log, line=row)


def _merged(
    rows: Rows,
    start: int,
    found: list[Rejected],
    refused: Sequence[tuple[int, Rejected]],
) -> list[Rejected]:
    """Return the rejected rows in order: those found when fed, and those not readable."""
    places: list[tuple[int, int, Rejected]] = []
    for row in found:
        log, number = rows.place(row.line)
        moved = RejectedRow(log, number, row.reason, row.raw)
        moved.columns = rows.origin(row.line).columns
        places.append((row.line, 1, moved))
    places += [(start + index, 0, row) for index, row in refused]
    if refused:
        places.sort(key=lambda place: place[:2])
    return [row for _, _, row in places]


def _in_columns(error: Exception, rows: Rows) -> str:
    """Return an error of a field's type with the name of its column."""
    text = str(error)
    for field, column in rows.origins[0].columns.items():
        text = text.replace(f"column {field!r}", f"column {column!r}")
    return text


def row_line(rows: Rows, index: int) -> bytes:
    """Return a row as the line of a log."""
    values: dict[str, Any] = rows.batch.slice(index, 1).to_pylist()[0]
    return event_line(values)
