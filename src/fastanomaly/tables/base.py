"""What a table that is read provides, and which class reads which name.

A new kind of table is one file here and one line in `SCHEMES` or `SUFFIXES`.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from fastanomaly.names import FILE_SCHEMES, SERVER_SCHEMES, is_url
from fastanomaly.rules.rejects import Rejected
from fastanomaly.sources.base import SOURCES, Progress

SCHEMES = dict.fromkeys(
    (*SERVER_SCHEMES, *FILE_SCHEMES), "fastanomaly.tables.kinds.databases:DatabaseTable"
)
"""By scheme, what reads a name such as ``scheme:rest``: module and class."""

FORMATS = {
    "csv": "fastanomaly.tables.kinds.text:TextTable",
    "tsv": "fastanomaly.tables.kinds.text:TabTable",
    "parquet": "fastanomaly.tables.kinds.parquet:ParquetTable",
    "arrow": "fastanomaly.tables.kinds.arrow:ArrowTable",
    "json": "fastanomaly.tables.kinds.objects:ObjectTable",
}
"""By format, what reads a file: module and class."""

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
"""By suffix, the format of a file that is a table in any case."""

JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
"""Those of files that are logs, unless something says that they are tables."""

COMPRESSED = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd", ".bz2": "bz2", ".lz4": "lz4"}
"""By suffix, how a file is compressed."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):")


class TableOptions(NamedTuple):
    """How tables are read that do not say it themselves; others ignore it.

    Attributes
    ----------
    delimiter : str or None
        What separates the values of a row of text; None: what the first line has.
    encoding : str
        That of texts; a byte order mark at the beginning is skipped.
    header : bool
        Whether the first row has the names of the columns; otherwise they are 1, 2, 3, ...
    """

    delimiter: str | None = None
    encoding: str = "utf-8"
    header: bool = True


class Batch(NamedTuple):
    """Some rows of a table.

    Attributes
    ----------
    rows : object
        Has the columns that were asked for, in that order, as an Arrow struct array or
        record batch: it has ``__arrow_c_array__``. None if all rows are rejected.
    log : str
        The name of the table; of one of several files, the name of that file.
    first : int
        The number of the first row in it; the first of all is 1.
    end : int
        The number of the row after the last one, be it one of those rejected or not.
    numbers : NumPy array of int64 or None
        The numbers of the rows, if they are not consecutive.
    rejected : sequence of (int, Rejected)
        Rows that are not in `rows` because they could not be read, such as rows of a CSV
        file with a wrong number of values; and before which of the rows, from 0, each one
        comes, ascending. Their numbers count.
    """

    rows: Any
    log: str
    first: int
    end: int
    numbers: Any = None
    rejected: Sequence[tuple[int, Rejected]] = ()

    def after(self, skip: int) -> "Batch":
        """Return what is after the first `skip` rows of the table."""
        if self.first > skip:
            return self
        if self.numbers is None:
            gone = skip + 1 - self.first
            return self._replace(rows=self.rows.slice(gone), first=skip + 1)
        gone = int(self.numbers.searchsorted(skip + 1))
        return self._replace(
            rows=self.rows and self.rows.slice(gone),
            first=skip + 1,
            numbers=self.numbers[gone:],
            rejected=[(at - gone, row) for at, row in self.rejected if row.line > skip],
        )


class Table(Protocol):
    """A table open for reading.

    `__init__(path, options)` opens it, and raises `LogOpenError` if that fails and
    `UsageError` if what reads it is not installed or the name is wrong. The message begins
    with the name, without a password.

    Attributes
    ----------
    path : str
        Its name in messages, flags and rejected rows; without a password.
    names : sequence of str
        The names of its columns, in order.
    rows : int or None
        How many rows it has, if that is known without reading it.
    """

    path: str
    names: Sequence[str]

    @property
    def rows(self) -> int | None: ...

    def __init__(self, path: str, options: TableOptions) -> None: ...

    def batches(self, columns: Mapping[str, str], skip: int = 0) -> Iterator[Batch]:
        """Yield the rows after the first `skip` ones, in order; it is called once.

        Memory is bounded, whatever the size of the table. Texts are given as they are, and
        decimal numbers exactly.

        Parameters
        ----------
        columns : mapping of str to str
            Those that are wanted, each once, by the field that each is: user, amount,
            timestamp, kind, friend, since, until, or id, id1 and id2 instead of users and
            friends. The columns of a batch are in this order; their names do not count.
        skip : int
            How many rows an earlier run has read.

        Raises
        ------
        LogReadError
            If reading fails.
        """
        ...

    def progress(self) -> Progress:
        """Return how much has been read, in bytes or in rows."""
        ...

    def close(self) -> None:
        """Close it; calling it again does nothing."""
        ...


class Database(Table, Protocol):
    """A table whose name has a scheme of `SCHEMES`."""

    @staticmethod
    def identity(path: str) -> str:
        """Return a name that is its own, whatever the working folder; without a password."""
        ...


def kind_of(path: str) -> str | None:
    """Return module and class of what reads a table of that name; None if it may be a log."""
    scheme = _SCHEME.match(path)
    if scheme and scheme[1] in SOURCES:
        return None
    if scheme and scheme[1] in SCHEMES:
        return SCHEMES[scheme[1]]
    return suffix_kind(path)


def is_database(path: str) -> bool:
    """Return whether a name has a scheme of its own, such as ``sqlite:file.db?table=t``."""
    scheme = _SCHEME.match(path)
    return scheme is not None and scheme[1] in SCHEMES


def suffix_kind(path: str, json: bool = False) -> str | None:
    """Return module and class of what reads a file, by its suffix or by those in a folder.

    Parameters
    ----------
    path : str
        The name of a file or a folder, a pattern, or a URL.
    json : bool, default False
        Whether files of JSON are tables.
    """
    if is_url(path):
        path = re.split("[?#]", path)[0]
    root, suffix = os.path.splitext(path.lower())
    if suffix in COMPRESSED:
        suffix = os.path.splitext(root)[1]
    if suffix in SUFFIXES:
        return FORMATS[SUFFIXES[suffix]]
    if suffix in JSON_SUFFIXES:
        return FORMATS["json"] if json else None
    if os.path.isdir(path):
        inner = (suffix_kind(name, json) for name in files_within(path))
        return next(filter(None, inner), None)
    return None


def files_within(folder: str) -> list[str]:
    """Return the files in a folder and in those within it, by name.

    Names that begin with "." or "_" are left out, as usual in folders of Parquet files.
    """
    found = []
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        found += [os.path.join(here, name) for name in files if name[0] not in "._"]
    return sorted(found)


def database_kind(path: str) -> type[Database]:
    """Return the class that reads a name with a scheme of `SCHEMES`."""
    found: Any = load(SCHEMES[path.partition(":")[0]])
    kind: type[Database] = found
    return kind


def load(kind: str) -> type[Table]:
    """Return the class of that name, such as `kind_of` returns."""
    module, name = kind.split(":")
    found: type[Table] = getattr(import_module(module), name)
    return found
