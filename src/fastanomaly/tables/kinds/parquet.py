"""Tables in Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fastanomaly.errors import LogOpenError, LogReadError
from fastanomaly.sources.base import Progress
from fastanomaly.tables.base import Batch, TableOptions
from fastanomaly.tables.storage.files import TableFile, reason
from fastanomaly.tables.storage.library import arrow

_ROWS = 1 << 16


class ParquetTable:
    """A Parquet file; see `fastanomaly.tables.base.Table`.

    It is read in batches; memory holds a part of a row group.

    Parameters
    ----------
    path : str
    options : TableOptions
    """

    def __init__(self, path: str, options: TableOptions) -> None:
        self.path = path
        parquet = arrow(path, "pyarrow.parquet")
        self._opened = TableFile(path)
        try:
            self._file = parquet.ParquetFile(self._opened.seekable(), pre_buffer=False)
        except (OSError, ValueError) as error:
            self._opened.close()
            if isinstance(error, LogOpenError):
                raise
            raise LogOpenError(f"{path}: not a Parquet file: {reason(error)}") from error
        self.names = self._file.schema_arrow.names
        self.rows = self._file.metadata.num_rows
        self._read = 0

    def close(self) -> None:
        """Close it."""
        self._file.close()
        self._opened.close()

    def progress(self) -> Progress:
        """Return how many bytes of the file the rows read so far are, about."""
        size = self._opened.progress().total
        if size is None:
            return Progress(0, None)
        return Progress(size * self._read // max(self.rows, 1), size)

    def batches(self, columns: Mapping[str, str], skip: int = 0) -> Iterator[Batch]:
        """Yield the rows after the first `skip` ones; groups before them are not read."""
        wanted = list(columns.values())
        self._read = 0
        groups: list[int] = []
        for group in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(group).num_rows
            if groups or self._read + rows > skip:
                groups.append(group)
            else:
                self._read += rows
        try:
            for rows in self._file.iter_batches(
                _ROWS, row_groups=groups, columns=wanted, use_threads=False
            ):
                first = self._read + 1
                self._read += rows.num_rows
                rest = rows.slice(max(0, skip + 1 - first)).select(wanted)
                if rest.num_rows:
                    end = self._read + 1
                    yield Batch(rest, self.path, end - rest.num_rows, end)
        except (OSError, ValueError) as error:
            place = f"{self.path}, after row {self._read}"
            raise LogReadError(f"{place}: {reason(error)}") from error
