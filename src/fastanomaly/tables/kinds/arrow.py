"""Tables in Arrow files: the IPC format as a file (Feather) or as a stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fastanomaly.errors import LogOpenError, LogReadError
from fastanomaly.sources.base import Progress
from fastanomaly.tables.base import Batch, TableOptions
from fastanomaly.tables.storage.files import TableFile, reason
from fastanomaly.tables.storage.library import arrow

_MAGIC = b"ARROW1"
_FEATHER_1 = b"FEA1"


class ArrowTable:
    """An Arrow IPC file or stream; see `fastanomaly.tables.base.Table`.

    Memory holds one of its record batches.

    Parameters
    ----------
    path : str
    options : TableOptions
    """

    def __init__(self, path: str, options: TableOptions) -> None:
        self.path = path
        self.rows = None
        ipc = arrow(path, "pyarrow.ipc")
        self._file = TableFile(path)
        try:
            stream = self._file.stream()
            head = stream.peek(len(_MAGIC))
            if head.startswith(_FEATHER_1):
                raise ValueError("is of Feather's first version: write it again")
            if head == _MAGIC:
                file = self._file.seekable()
                file.seek(0)
                opened = ipc.open_file(file)
                self._parts = map(opened.get_batch, range(opened.num_record_batches))
            else:
                opened = ipc.open_stream(arrow(path).PythonFile(stream, mode="r"))
                self._parts = iter(opened)
        except (OSError, ValueError) as error:
            self._file.close()
            if isinstance(error, LogOpenError):
                raise
            raise LogOpenError(f"{path}: not an Arrow file: {reason(error)}") from error
        self.names = opened.schema.names

    def close(self) -> None:
        """Close it."""
        self._file.close()

    def progress(self) -> Progress:
        """Return how many bytes have been read."""
        return self._file.progress()

    def batches(self, columns: Mapping[str, str], skip: int = 0) -> Iterator[Batch]:
        """Yield the rows after the first `skip` ones."""
        wanted = list(columns.values())
        end = 1
        try:
            for rows in self._parts:
                first = end
                end += rows.num_rows
                rest = rows.select(wanted).slice(max(0, skip + 1 - first))
                if rest.num_rows:
                    yield Batch(rest, self.path, end - rest.num_rows, end)
        except (OSError, ValueError) as error:
            place = f"{self.path}, after row {end - 1}"
            raise LogReadError(f"{place}: {reason(error)}") from error
