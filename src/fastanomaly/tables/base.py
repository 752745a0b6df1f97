"""What a table that is read provides, and which class reads which name.

A new kind of table is one file here and one line in `SCHEMES` or `SUFFIXES`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from fastanomaly.rules.rejects import Rejected
    from fastanomaly.sources.base import Progress

SCHEMES: dict[str, str] = {}
"""By scheme, what reads a name such as ``scheme:rest``: module and class."""

SUFFIXES: dict[str, str] = {}
"""By the suffix of a file, what reads it: module and class."""

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
    """Some consecutive rows of a table.

    Attributes
    ----------
    rows : object
        Has the columns that were asked for, in that order, as an Arrow struct array or
        record batch: it has ``__arrow_c_array__``.
    first : int
        The number of the first row in the table; the first of all is 1.
    length : int
        The number of rows.
    rejected : sequence of Rejected
        Rows that are not in `rows` because they could not be read, such as rows of a CSV
        file with a wrong number of values; their numbers count, so that a batch ends
        before such a row and the next one begins after it.
    """

    rows: Any
    first: int
    length: int
    rejected: Sequence[Rejected] = ()


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
    """

    path: str
    names: Sequence[str]

    def __init__(self, path: str, options: TableOptions) -> None: ...

    def batches(self, columns: Sequence[str], skip: int = 0) -> Iterator[Batch]:
        """Yield the rows after the first `skip` ones, in order; it is called once.

        Memory is bounded, whatever the size of the table. Texts are given as they are, and
        decimal numbers exactly.

        Parameters
        ----------
        columns : sequence of str
            Those that are wanted, each once.
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

    @staticmethod
    def identity(path: str) -> str:
        """Return a name that is its own, whatever the working folder; without a password."""
        ...


def kind_of(path: str) -> str | None:
    """Return module and class of what reads a table of that name; None if it is no table."""
    scheme = _SCHEME.match(path)
    if scheme and scheme[1] in SCHEMES:
        return SCHEMES[scheme[1]]
    return _of_suffix(path.lower(), SUFFIXES)


def _of_suffix(path: str, kinds: Mapping[str, str]) -> str | None:
    return next((kinds[suffix] for suffix in kinds if path.endswith(suffix)), None)


def load(kind: str) -> type[Table]:
    """Return the class of that name, such as `kind_of` returns."""
    module, name = kind.split(":")
    found: type[Table] = getattr(import_module(module), name)
    return found
