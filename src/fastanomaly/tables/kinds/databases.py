"""Tables and queries of databases; see `fastanomaly.databases`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fastanomaly.databases.base import OpenError, database_kind, identity
from fastanomaly.databases.names import parse_name
from fastanomaly.errors import LogOpenError, LogReadError
from fastanomaly.sources.base import Progress
from fastanomaly.tables.base import Batch, TableOptions
from fastanomaly.tables.storage.library import arrow

_BATCH_ROWS = 1 << 15


class DatabaseTable:
    """A table or the result of a query; see `fastanomaly.tables.base.Database`.

    Parameters
    ----------
    path : str
        Such as ``sqlite:shop.db?table=purchases``.
    options : TableOptions
        Not used.
    """

    rows = None

    def __init__(self, path: str, options: TableOptions) -> None:
        name = parse_name(path)
        self.path = name.shown
        arrow(self.path)
        try:
            self._database = database_kind(path)(name, False)
        except OpenError as error:
            raise LogOpenError(f"{self.path}: {error}") from error
        try:
            self.names = self._database.columns()
        except self._database.errors as error:
            reason = self._database.reason(error)
            self._database.close()
            raise LogOpenError(f"{self.path}: {reason}") from error

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    def progress(self) -> Progress:
        """Return that it is not known how much has been read."""
        return Progress(0, None)

    def batches(self, columns: Mapping[str, str], skip: int = 0) -> Iterator[Batch]:
        """Yield the rows after the first `skip` ones, as the database gives them."""
        end = 1
        try:
            for rows in self._database.batches(list(columns.values()), _BATCH_ROWS):
                first = end
                end += rows.num_rows
                rest = rows.slice(max(0, skip + 1 - first))
                if rest.num_rows:
                    yield Batch(rest, self.path, end - rest.num_rows, end)
        except self._database.errors as error:
            reason = self._database.reason(error)
            raise LogReadError(f"{self.path}, after row {end - 1}: {reason}") from error

    identity = staticmethod(identity)
