"""What a source of log lines provides, and which class reads which name.

A new source is one file here and one line in `SOURCES`; docs/extending.md shows one.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, TypeAlias

from fastanomaly.names import Endpoint, registered
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


Lines: TypeAlias = bytes | memoryview | LongLine
"""A block of whole lines (the last line of a source may lack its line end), or a long line."""


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
    """A source of log lines.

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

    def blocks(self) -> Iterator[Lines]:
        """Yield the lines in order, as blocks; an empty block when nothing came for a tick.

        Raises
        ------
        LogReadError
            If reading fails.
        """
        ...

    def snapshot(self, unread: int = 0) -> Any:
        """Return the position before the last `unread` bytes of the last block, for JSON.

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
