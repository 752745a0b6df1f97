"""Several files as one table."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from fastanomaly.errors import LogReadError
from fastanomaly.names import is_url
from fastanomaly.sources.base import Progress
from fastanomaly.tables.base import Batch, Table


class SeveralTables:
    """Several files as one table, one after the other; see `fastanomaly.tables.base.Table`.

    Rows have the numbers that they have in their files.

    Parameters
    ----------
    path : str
        What stands for all of them.
    paths : sequence of str
    open_one : callable
        Opens a file.
    """

    def __init__(
        self, path: str, paths: Sequence[str], open_one: Callable[[str], Table]
    ) -> None:
        self.path = path
        self._paths = paths
        self._open_one = open_one
        self._current = open_one(paths[0])
        self._before = 0  # bytes of the files that have been read
        self._first = paths[0]
        self.names = self._current.names
        for other in paths[1:]:
            if self.names:
                break
            table = open_one(other)  # those before it are empty
            self._first, self.names = other, table.names
            table.close()

    @property
    def rows(self) -> int | None:
        """How many rows all files have, if they know it."""
        total = 0
        for path in self._paths:
            table = self._open_one(path)
            table.close()
            if table.rows is None:
                return None
            total += table.rows
        return total

    def batches(self, columns: Mapping[str, str], skip: int = 0) -> Iterator[Batch]:
        """Yield the rows of one file after the other, after the first `skip` ones."""
        for index, path in enumerate(self._paths):
            if index:
                self._before += self._current.progress().total or 0
                self._current.close()
                self._current = self._open_one(path)
            table = self._current
            for column in columns.values():
                if column not in table.names and table.names:
                    where = f"as the first file has: {self._first}"
                    raise LogReadError(f"{path}: has no column {column!r}, {where}")
            if skip and table.rows is not None and table.rows <= skip:
                skip -= table.rows
                continue
            end = 1
            for batch in table.batches(columns):
                end = batch.end
                if end > skip + 1:
                    yield batch.after(skip)
            skip = max(0, skip - (end - 1))

    def progress(self) -> Progress:
        """Return how many bytes of all files have been read."""
        done = self._before + self._current.progress().done
        if any(map(is_url, self._paths)):
            return Progress(done, None)
        total = 0
        for path in self._paths:
            with suppress(OSError):
                total += os.path.getsize(path)
        return Progress(done, total)

    def close(self) -> None:
        """Close the file that is open."""
        self._current.close()
