"""What a source of log lines provides, and which class reads which name.

A new source is one file here and one line in `SOURCES`; docs/extending.md shows one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from fastanomaly.names import Endpoint, registered
from fastanomaly.rules.rejects import Rejected
from fastanomaly.waiting import Waiter

SOURCES = {
    "": "fastanomaly.sources.log:LogSource",
}
"""By scheme, what reads a name such as ``scheme:rest``: module and class. "" is for files."""


class UnfinishedLine(Exception):  # noqa: N818 - not an error
    """The source ends in the middle of a long line, whose rest may come later.

    The pieces of a `LongLine` raise it. The line is then neither counted nor rejected, and a
    run that resumes reads it from its beginning.
    """


class LongLine:
    """A line longer than the limit, read in pieces, without its line end.

    The source skips what is left of it when the next block is asked for. A piece is empty
    when nothing came for a tick. The pieces may end with `UnfinishedLine`.
    """

    __slots__ = ("pieces",)

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces


class Origin(NamedTuple):
    """The table that a row comes from: its name, and which column each field is.

    `columns` is only for messages.
    """

    log: str
    columns: Mapping[str, str]


class Place(NamedTuple):
    """Where a row comes from: the name of its table, and its number there, from 1."""

    log: str
    row: int


class Rows:
    """A block of rows of one or more tables, in the order in which they are events.

    Parameters
    ----------
    batch : Arrow record batch
        Has ``__arrow_c_array__``, ``num_rows`` and ``slice``; its columns are named as the
        fields are, see `Detector.feed_frame`.
    origins : sequence of Origin
        The tables.
    first : int
        The number of the first row, if all are consecutive rows of the first table.
    numbers : NumPy array of int64, optional
        The numbers of the rows, if they are not consecutive.
    which : NumPy array of integers, optional
        The index in `origins` for each row, if not all are of the first table.
    rejected : sequence of (int, Rejected)
        Rows that could not be read: before which row of the batch each one is, ascending.
    """

    __slots__ = ("batch", "first", "numbers", "origins", "rejected", "which")

    def __init__(
        self,
        batch: Any,
        origins: Sequence[Origin],
        first: int = 1,
        numbers: Any = None,
        which: Any = None,
        rejected: Sequence[tuple[int, Rejected]] = (),
    ) -> None:
        self.batch = batch
        self.origins = origins
        self.first = first
        self.numbers = numbers
        self.which = which
        self.rejected = rejected

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    def slice(self, start: int, stop: int) -> "Rows":
        """Return some of the rows; one that could not be read goes with the row after it."""
        last = stop == len(self)
        return Rows(
            self.batch.slice(start, stop - start),
            self.origins,
            self.first + start,
            None if self.numbers is None else self.numbers[start:stop],
            None if self.which is None else self.which[start:stop],
            [
                (index - start, refused)
                for index, refused in self.rejected
                if start <= index < stop or (last and index == stop)
            ],
        )

    def origin(self, index: int) -> Origin:
        """Return the table that a row comes from."""
        return self.origins[0 if self.which is None else self.which[index]]

    def place(self, index: int) -> Place:
        """Return where a row comes from."""
        numbers = self.numbers
        row = self.first + index if numbers is None else int(numbers[index])
        return Place(self.origin(index).log, row)

    def find(self, place: Place, start: int) -> int | None:
        """Return the index of the row of that place, at `start` or after it, or None."""
        if self.numbers is None:
            index = place.row - self.first
            found = place.log == self.origins[0].log and start <= index < len(self)
            return index if found else None
        matches = self.numbers[start:] == place.row
        if self.which is not None:
            logs = [origin.log == place.log for origin in self.origins]
            matches &= [logs[index] for index in self.which[start:]]
        elif place.log != self.origins[0].log:
            return None
        return start + int(matches.argmax()) if matches.any() else None


Lines: TypeAlias = bytes | memoryview | LongLine
"""A block of whole lines (the last line of a source may lack its line end), or a long line."""

Block: TypeAlias = Lines | Rows
"""What a source gives."""


class Progress(NamedTuple):
    """How much of a source has been read, in bytes; `total` is None if unknown."""

    done: int
    total: int | None


class SourceOptions(NamedTuple):
    """How a source is read.

    Attributes
    ----------
    max_line : int
        Longer lines are given as `LongLine`, in bytes.
    waiter : Waiter or None
        Waits until there is something to read.
    follow : bool
        Continue after the end: more may come.
    until_idle : float or None
        The source ends after so many seconds without data.
    tick : float or None
        Give an empty block after so many seconds without data.
    position : JSON value or None
        What `snapshot` returned in an earlier run: continue from there.
    on_notice : callable or None
        Called with text that the operator should know while the source is read.
    resumable : bool
        Whether a later run may continue where this one ends.
    """

    max_line: int
    waiter: Waiter | None = None
    follow: bool = False
    until_idle: float | None = None
    tick: float | None = None
    position: Any = None
    on_notice: Callable[[str], object] | None = None
    resumable: bool = False


class Source(Endpoint, Protocol):
    """A source of log lines, or of rows of tables.

    `__init__(path, options)` opens it and raises `LogOpenError` if it cannot.

    Attributes
    ----------
    follows : bool
        Whether more may come after the end.
    notice : str
        What the operator should know after opening, or "".
    """

    follows: bool
    notice: str

    def __init__(self, path: str, options: SourceOptions) -> None: ...

    def blocks(self) -> Iterator[Block]:
        """Yield the lines or rows in order, as blocks; an empty one at a tick without data.

        Raises
        ------
        LogReadError
            If reading fails.
        """
        ...

    def snapshot(self, unread: int = 0) -> Any:
        """Return the position before the last `unread` bytes of the last block, for JSON.

        Of a block of rows, it is the last `unread` rows.

        Only the source itself interprets it. A long line counts as read when its pieces
        have been.
        """
        ...

    def progress(self) -> Progress:
        """Return how much has been read."""
        ...


def source_kind(path: str) -> type[Source]:
    """Return the class that reads a name."""
    kind: type[Source] = registered(SOURCES, path)
    return kind


def open_source(path: str, options: SourceOptions) -> Source:
    """Open the source of that name.

    Raises
    ------
    LogOpenError
        If it cannot be opened; the message has the name.
    UsageError
        If it cannot be read as the options want.
    """
    return source_kind(path)(path, options)
