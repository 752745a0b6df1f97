"""Tables and queries of databases; see `fastanomaly.databases`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from fastanomaly.databases.base import Floats, OpenError, database_kind, identity
from fastanomaly.databases.names import parse_name
from fastanomaly.errors import LogOpenError, LogReadError
from fastanomaly.rules.rejects import Rejected
from fastanomaly.sources.base import Progress
from fastanomaly.tables.base import Batch, TableOptions
from fastanomaly.tables.events import Number
from fastanomaly.tables.kinds.objects import decided
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
            for rows, floats in self._database.batches(columns, _BATCH_ROWS):
                first = end
                end += rows.num_rows
                if end <= skip + 1:
                    continue
                batch = Batch(rows, self.path, first, end)
                if floats:
                    batch = _refusing(batch, columns, floats)
                yield batch.after(skip)
        except self._database.errors as error:
            reason = self._database.reason(error)
            raise LogReadError(f"{self.path}, after row {end - 1}: {reason}") from error

    identity = staticmethod(identity)


def _refusing(batch: Batch, columns: Mapping[str, str], floats: Floats) -> Batch:
    """Return a batch whose rows are rejected that need an id which is a float."""
    kept = np.ones(len(batch.rows), np.bool_)
    rejected = []
    for index, wrong in sorted(floats.items()):
        row = batch.rows.slice(index, 1).to_pylist()[0]
        values = {field: row[column] for field, column in columns.items()}
        found = decided(values | {field: Number(repr(v)) for field, v in wrong.items()})
        if not isinstance(found, dict):
            kept[index] = False
            before = int(kept[:index].sum())
            rejected.append((before, Rejected(batch.log, batch.first + index, *found)))
    places = np.flatnonzero(kept)
    return batch._replace(
        rows=batch.rows.take(arrow(batch.log).array(places)),
        numbers=places + batch.first,
        rejected=rejected,
    )
