"""The inputs of a run: two logs or tables, or one table that is split."""

import os
from collections.abc import Mapping
from contextlib import closing
from typing import Any, NamedTuple

from fastanomaly.convert import Reading
from fastanomaly.errors import ParameterError, UsageError
from fastanomaly.names import STANDARD, is_url
from fastanomaly.runs.first_line import take_parameters
from fastanomaly.sources.base import Source, SourceOptions, open_source, source_kind
from fastanomaly.tables.names import is_database, shown
from fastanomaly.tables.reading import Tables, check_name, check_tables, table_kind

Path = str | os.PathLike[str]


class Inputs(NamedTuple):
    """What a run reads.

    Attributes
    ----------
    batch, stream : str
        The names; the same one if a table is split.
    tables : Tables
        How tables are read.
    batch_table, stream_table : bool
        Whether they are tables and not logs.
    split : bool
        Whether both are parts of one table.
    """

    batch: str
    stream: str
    tables: Tables = Tables()
    batch_table: bool = False
    stream_table: bool = False
    split: bool = False

    @property
    def names(self) -> tuple[str, str]:
        """Both names."""
        return self.batch, self.stream

    @property
    def titles(self) -> tuple[str, str]:
        """The names in messages."""
        if self.split:
            return f"{shown(self.batch)} (history)", f"{shown(self.stream)} (judged)"
        return shown(self.batch), shown(self.stream)

    @property
    def split_at(self) -> str | None:
        """Where the user wants one table to be split, as text."""
        return None if self.tables.split is None else str(self.tables.split).strip()

    def options(self) -> dict[str, Any] | None:
        """Return what a checkpoint stores; None if both are logs."""
        if not self.batch_table and not self.stream_table:
            return None
        split = {"one_table": True} if self.split else {}
        return self.tables.options() | split

    def files(self) -> list[str]:
        """Return the files that are read, as far as their names are known.

        Raises
        ------
        LogOpenError
            If there is none for the name of a table.
        """
        names = [self.batch] if self.split else [self.batch, self.stream]
        found = []
        for name, is_table in zip(names, (self.batch_table, self.stream_table), strict=False):
            found += _files(name) if is_table else [name]
        if self.tables.friends is not None:
            found += _files(self.tables.friends)
        return found

    def files_of_stream(self) -> list[str]:
        """Return the files of the table that is judged."""
        return _files(self.stream)

    def logs(self) -> tuple[str, ...]:
        """Return the names that flags and rejected lines of what is judged have."""
        names = self.files_of_stream() if self.stream_table else [self.stream]
        return tuple(map(shown, names))

    def source(self, index: int) -> type[Source]:
        """Return the class that reads an input: 0 for history, 1 for what is judged."""
        if (self.batch_table, self.stream_table)[index]:
            from fastanomaly.tables.source import TableSource  # noqa: PLC0415 - an extra

            return TableSource
        return source_kind(self.names[index])


def _files(table: str) -> list[str]:
    if table == STANDARD or is_url(table) or is_database(table):
        return [table]
    from fastanomaly.tables.storage.files import expand  # noqa: PLC0415 - for tables only

    return expand(table)


def check_inputs(batch: Path, stream: Path | None, tables: Tables | None = None) -> Inputs:
    """Return what a run reads.

    Parameters
    ----------
    batch : str or path-like
        The history; if there is no `stream`, one table with history and what is judged.
    stream : str, path-like or None
    tables : Tables, optional

    Raises
    ------
    UsageError
        If an option of tables is wrong, or does not fit.
    TypeError
        If an input is not a name.
    """
    given = check_tables(tables or Tables())
    path = check_name("batch", batch)
    if stream is None:
        table_kind(path, given, alone=True)
        _check_arrow(path)
        return Inputs(path, path, given, True, True, True)
    other = check_name("stream", stream)
    if given.split is not None:
        raise UsageError("--split: divides one table, but there are two inputs")
    found = Inputs(
        path,
        other,
        given,
        table_kind(path, given) is not None,
        table_kind(other, given) is not None,
    )
    if found.options() is not None:
        _check_arrow(path if found.batch_table else other)
    elif given.options():
        option = next(iter(given.options()))
        raise UsageError(f"{_OPTIONS[option]}: has no effect: {path} and {other} are logs")
    return found


def _check_arrow(table: str) -> None:
    """Check that what reads tables is installed, before anything is opened."""
    from fastanomaly.tables.storage.library import arrow  # noqa: PLC0415 - for tables only

    arrow(table)


_OPTIONS = {
    "columns": "--map",
    "friends": "--friends",
    "friend_columns": "--map-friends",
    "sort": "--sort",
    "format": "--format",
    "delimiter": "--delimiter",
    "encoding": "--encoding",
    "header": "--no-header",
    "friends_header": "--no-friends-header",
    "decimal_comma": "--decimal-comma",
    "currency": "--currency",
}
"""The options of the command line, by members of `Tables`."""


def stored_inputs(job: Mapping[str, Any]) -> Inputs:
    """Return the inputs that a checkpoint stores.

    Raises
    ------
    ValueError
        If no run has stored them.
    """
    stored = job.get("tables")
    batch, stream = str(job.get("batch")), str(job.get("stream"))
    if stored is None:
        return Inputs(batch, stream)
    if not isinstance(stored, dict) or not set(stored) <= {*Tables._fields, "one_table"}:
        raise ValueError(f"tables: {stored!r:.40}")
    options = {name: value for name, value in stored.items() if name != "one_table"}
    try:
        one = "one_table" in stored
        return check_inputs(batch, None if one else stream, Tables(**options))
    except (TypeError, AttributeError, UsageError) as error:
        raise ValueError(f"tables: {error}") from error


def json_text(text: str | None) -> str | None:
    """Return a text, perhaps with a path that is not UTF-8, as JSON can hold it."""
    return None if text is None else os.fsencode(text).decode("utf-8", "backslashreplace")


def source_identity(inputs: Inputs, index: int) -> str | None:
    """Return what distinguishes an input from others, as a checkpoint stores it."""
    return json_text(inputs.source(index).identity(inputs.names[index]))


def is_same_source(inputs: Inputs, index: int, stored: object) -> bool:
    """Return whether the identity in a checkpoint is that of an input.

    Several names of one file stand for the same log; formerly its name without links was
    stored.
    """
    if stored == source_identity(inputs, index):
        return True
    path = inputs.names[index]
    if not isinstance(stored, str) or "\0" in stored or STANDARD in (path, stored):
        return False
    real = json_text(os.path.realpath(path))
    return real in (stored, json_text(os.path.realpath(stored)))


def open_inputs(
    inputs: Inputs,
    options: tuple[SourceOptions, SourceOptions],
    reading: Reading,
    done: tuple[bool, bool] = (False, False),
) -> tuple[Source | None, Source | None]:
    """Open what a run reads.

    Parameters
    ----------
    inputs : Inputs
    options : tuple of SourceOptions
        How each of them is read, and from which position on.
    reading : Reading
        What is accepted as a time and as an amount.
    done : tuple of bool
        Whether each has been read to its end by an earlier run.

    Returns
    -------
    tuple of Source or None
        None for what has been read.

    Raises
    ------
    LogOpenError
        If one cannot be opened.
    UsageError
        If it cannot be read as the options want.
    """
    if all(done):
        return None, None
    if not inputs.batch_table and not inputs.stream_table:
        batch, stream = (
            None if over else open_source(path, how)
            for path, how, over in zip(inputs.names, options, done, strict=True)
        )
        return batch, stream
    from fastanomaly.tables.source import Resumed, open_sources, open_split  # noqa: PLC0415

    resumed = Resumed(options[0].position, options[1].position, done[0])
    waiter = options[1].waiter
    if options[1].follow and inputs.stream_table:
        raise UsageError(f"{shown(inputs.stream)}: a table cannot be followed")
    if inputs.split:
        return open_split(inputs.batch, inputs.tables, reading, resumed, waiter)
    names = (
        inputs.batch if inputs.batch_table else None,
        inputs.stream if inputs.stream_table and not done[1] else None,
    )
    past: Source | None
    present: Source | None
    past, present = open_sources(*names, inputs.tables, reading, resumed, waiter)
    try:
        if not inputs.batch_table and not done[0]:
            past = open_source(inputs.batch, options[0])
        if not inputs.stream_table and not done[1]:
            present = open_source(inputs.stream, options[1])
    except BaseException:
        for source in filter(None, (past, present)):
            source.close()
        raise
    return past, present


def read_parameters(inputs: Inputs, given: Mapping[str, int], max_line: int) -> dict[str, int]:
    """Return the D and T of a batch log, or those given; see `take_parameters`."""
    if inputs.batch_table:
        return table_parameters(inputs.batch, given)
    with closing(open_source(inputs.batch, SourceOptions(max_line))) as source:
        return take_parameters(inputs.batch, source.blocks(), given, max_line)[2]


def table_parameters(path: str, given: Mapping[str, int]) -> dict[str, int]:
    """Return D and T, which must be given for a table.

    Raises
    ------
    ParameterError
        If one is missing.
    """
    missing = [name for name in ("D", "T") if name not in given]
    if missing:
        options = " and ".join(f"-{name}" for name in missing)
        usual = " ".join({"D": "-D 2", "T": "-T 50"}[name] for name in missing)
        raise ParameterError(
            f"{shown(path)}: a table has no line of parameters: give {options}, "
            f"such as {usual}"
        )
    return dict(given)
