"""What a table that is read provides."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from fastanomaly.rules.rejects import Rejected
from fastanomaly.sources.base import Progress
from fastanomaly.tables.names import SCHEMES


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
