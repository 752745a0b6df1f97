"""What a sink of flags or of rejected lines provides, and which class writes to which name.

A new sink is one file here and one line in `SINKS`, `SUFFIXES` or `REJECTS`;
docs/extending.md shows one.
"""

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from fastanomaly.convert import Number
from fastanomaly.errors import UsageError
from fastanomaly.names import DATABASE_SUFFIXES, Endpoint, registered, scheme_of
from fastanomaly.waiting import Waiter

if TYPE_CHECKING:
    from fastanomaly.results import Flag
    from fastanomaly.rules.rejects import Rejected

SINKS = {
    "": "fastanomaly.sinks.lines:LineSink",
    "postgresql": "fastanomaly.sinks.databases:DatabaseSink",
    "postgres": "fastanomaly.sinks.databases:DatabaseSink",
    "duckdb": "fastanomaly.sinks.databases:DatabaseSink",
    "sqlite": "fastanomaly.sinks.databases:DatabaseSink",
}
"""By scheme, what writes flags to a name such as ``scheme:rest``: module and class. "" is
files."""

SUFFIXES = {
    ".csv": "fastanomaly.sinks.csv_files:CsvSink",
    ".parquet": "fastanomaly.sinks.arrow_files:ParquetSink",
    ".arrow": "fastanomaly.sinks.arrow_files:ArrowSink",
    ".feather": "fastanomaly.sinks.arrow_files:ArrowSink",
    ".pq": "fastanomaly.sinks.arrow_files:ParquetSink",
    ".ipc": "fastanomaly.sinks.arrow_files:ArrowSink",
}
"""By suffix, what writes flags to a file."""

_NOT_LINES = (".tsv", ".tab", ".arrows", ".xlsx")
"""Suffixes of files in which nobody expects lines of JSON."""

REJECTS = {
    "": "fastanomaly.sinks.lines:LineSink",
}
"""As `SINKS`, for rejected lines."""


class SinkOptions(NamedTuple):
    """How a sink is written.

    Attributes
    ----------
    waiter : Waiter or None
        Waits wherever opening or writing may block.
    logs : tuple of str
        The names that flags can have: that of the log that is judged, or of its files.
    sigmas : int, float, str or Decimal
        k, for the excess of an amount over its threshold.
    live : bool
        Whether others should see each flag at once, before the run ends.
    """

    waiter: Waiter | None = None
    logs: tuple[str, ...] = ()
    sigmas: Number = 3
    live: bool = False


class Sink(Endpoint, Protocol):
    """What sinks of flags and of rejected lines have in common.

    `__init__(path, options)` opens it, leaves what it holds as it is, and raises
    `OutputError` if it cannot be opened. Then a run calls `check_resume` and `resume` once,
    after them the writing method, and `finish` once at the end, unless it is killed.
    """

    def __init__(self, path: str, options: SinkOptions) -> None: ...

    def check_resume(self, position: Any) -> None:
        """Check that what `resume` keeps is there; nothing changes.

        Raises
        ------
        UsageError
            If it is not.
        """
        ...

    def resume(self, position: Any) -> None:
        """Remove what was written after a position; everything if it is None."""
        ...

    def snapshot(self) -> Any:
        """Return the position after what has been written, for JSON.

        A checkpoint is about to be made: others may see what has been written.
        """
        ...

    def sync(self) -> None:
        """Make what has been written survive a crash of the machine.

        Called in a forked child, which must not change the sink otherwise.
        """
        ...

    def descriptors(self) -> Iterable[int]:
        """Return the file descriptors that `sync` needs: the forked child closes others."""
        ...

    def finish(self) -> None:
        """Complete what others read: nothing more is written.

        Called before the last checkpoint. A later run may resume at any checkpoint that was
        made before.

        Raises
        ------
        OutputError
            If it fails.
        """
        ...


class FlagSink(Sink, Protocol):
    """Takes flags and encodes them."""

    def write_flags(self, flags: "Sequence[Flag]") -> None:
        """Write flags in order; if it fails, the sink holds whole flags only.

        Raises
        ------
        OutputError
            If it fails.
        """
        ...


class RejectSink(Sink, Protocol):
    """Takes rejected lines and encodes them."""

    def write_rejects(
        self, rejected: "Sequence[Rejected]", pieces: Iterable[bytes] | None = None
    ) -> None:
        """Write rejected lines; `pieces` are the text of a single one that is long.

        If `pieces` raise an exception, nothing of that line is kept.

        Raises
        ------
        OutputError
            If it fails.
        """
        ...


def flag_sink(path: str) -> type[FlagSink]:
    """Return the class that writes flags to a name.

    Raises
    ------
    UsageError
        If its suffix is that of tables that are not written, or of databases.
    """
    database = DATABASE_SUFFIXES.get(os.path.splitext(path)[1].lower())
    if database and not scheme_of(path):
        raise UsageError(
            f"{path}: flags are not written as a file of this kind: use "
            f"{database}:{path}?table=flags for a table in a database"
        )
    if not scheme_of(path) and path.lower().endswith(_NOT_LINES):
        suffix = path[path.rindex(".") :]
        raise UsageError(
            f"{path}: flags are not written as {suffix}: use .csv, .parquet or .arrow for a "
            "table, or another suffix such as .json for lines"
        )
    kind: type[FlagSink] = registered(SINKS, path, SUFFIXES)
    return kind


def reject_sink(path: str) -> type[RejectSink]:
    """Return the class that writes rejected lines to a name.

    Raises
    ------
    UsageError
        If the name's scheme is that of a sink of flags only.
    """
    scheme = scheme_of(path)
    if scheme in SINKS and scheme not in REJECTS:
        raise UsageError(f"{scheme}: takes flags only; rejected lines go to a file")
    kind: type[RejectSink] = registered(REJECTS, path)
    return kind
