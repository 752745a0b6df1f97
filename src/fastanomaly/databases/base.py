"""What a database provides to those who read rows from it and write flags to it.

A new kind of database is one file here, one line in `DATABASES`, and its scheme where sinks
and tables are registered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from fastanomaly.databases.names import DatabaseName, parse_name

if TYPE_CHECKING:
    from fastanomaly.formats.flag_row import FlagRow

DATABASES = {
    "postgresql": "fastanomaly.databases.postgresql:PostgreSQL",
    "postgres": "fastanomaly.databases.postgresql:PostgreSQL",
    "duckdb": "fastanomaly.databases.duckdb:DuckDB",
    "sqlite": "fastanomaly.databases.sqlite:SQLite",
}
"""By scheme, the class: module and name."""


Floats: TypeAlias = Mapping[int, Mapping[str, float]]
"""By index of a row and by field, values of ids that are floats."""


class OpenError(Exception):
    """A database that cannot be opened: its reason, in one line and without secrets."""


class Database(Protocol):
    """A connection to a database.

    `__init__(name, writing)` connects; it raises `OpenError`, or `UsageError` if a library is
    not installed. All methods raise `errors`.

    Attributes
    ----------
    errors : tuple of exception types
    begin : str
        The statement that begins a transaction.
    mark : str
        What stands for the only value of a statement.
    differs : str
        The operator that is true if two rows of values differ, null or not.
    types : mapping of str to str
        The type of each column of a table of flags.
    scratch : str
        The schema of temporary tables.
    """

    errors: tuple[type[Exception], ...]
    begin: str
    mark: str
    differs: str
    types: Mapping[str, str]
    scratch: str

    def __init__(self, name: DatabaseName, writing: bool) -> None: ...

    def execute(self, statement: str, *values: str) -> list[Any]:
        """Execute a statement, and return the rows of its result."""
        ...

    def load(self, table: str, rows: Sequence[FlagRow]) -> None:
        """Add rows to a table of flags, whose name is SQL."""
        ...

    def columns(self) -> list[str]:
        """Return the names of the columns of the table or the query."""
        ...

    def batches(self, columns: Mapping[str, str], size: int) -> Iterator[tuple[Any, Floats]]:
        """Yield the rows of the table or the query as Arrow record batches, in order.

        Where a database has no types of columns, ids may be floats, which are no ids: they
        are null in the batch, and come beside it.

        Memory is bounded. Nothing is rounded: what Arrow has no exact type for is text.

        Parameters
        ----------
        columns : mapping of str to str
            Those that are wanted, each once, by field.
        size : int
            About as many rows, or at most, are in a batch.
        """
        ...

    def reason(self, error: Exception) -> str:
        """Return what an error says, in one line and without secrets."""
        ...

    def close(self) -> None:
        """Close it; calling it again does nothing."""
        ...


def database_kind(path: str) -> type[Database]:
    """Return the class for a name such as ``sqlite:shop.db?table=flags``."""
    module, name = DATABASES[path.partition(":")[0]].split(":")
    kind: type[Database] = getattr(import_module(module), name)
    return kind


def identity(path: str) -> str:
    """Return a name that is its own, whatever the working folder; without secrets."""
    return parse_name(path).identity
