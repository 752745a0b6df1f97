"""Flags as the lines of the output, and rejected lines as tab-separated columns."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from fastanomaly._core import rows_of_rejects
from fastanomaly.names import STANDARD, check_count
from fastanomaly.rules.rejects import describe
from fastanomaly.sinks.files import LineFile
from fastanomaly.sinks.paths import open_descriptor

if TYPE_CHECKING:
    from fastanomaly.results import Flag
    from fastanomaly.rules.rejects import Rejected
    from fastanomaly.sinks.base import SinkOptions


class FileSink:
    """What sinks of text have in common that are files or standard output.

    Its position is the number of bytes written.

    Parameters
    ----------
    path : str
        ``-`` for standard output.
    options : SinkOptions
        Its waiter waits until a FIFO has a reader.

    Raises
    ------
    OutputError
        If it cannot be opened.
    """

    def __init__(self, path: str, options: SinkOptions) -> None:
        self.path = path
        self._file = LineFile(path, options.waiter)

    def close(self) -> None:
        """Close it."""
        self._file.close()

    def check_resume(self, position: int | None) -> None:
        """Check that the file is not shorter than the position; raises UsageError."""
        self._file.check_length(position or 0)

    def resume(self, position: int | None) -> None:
        """Cut the file to the position."""
        self._file.cut(position or 0)

    def snapshot(self) -> int:
        """Return the number of bytes written."""
        return self._file.length

    def sync(self) -> None:
        """Have a regular file written to the disk."""
        self._file.sync()

    def descriptors(self) -> list[int]:
        """Return that of a regular file, which `sync` needs."""
        return [self._file.fileno()] if self._file.regular else []

    def finish(self) -> None:
        """Do nothing: everything has been written."""

    @staticmethod
    def identity(path: str) -> str:
        """Return the path without links."""
        descriptor = open_descriptor(path)
        if descriptor is None:
            return os.path.realpath(path)
        return STANDARD if descriptor == 1 else f"/dev/fd/{descriptor}"

    @staticmethod
    def check_position(position: object) -> None:
        """Raise ValueError unless it is what `snapshot` returns."""
        check_count("position", position)


class LineSink(FileSink):
    """A file or standard output with flags or rejected lines; see `fastanomaly.sinks.base`."""

    def write_flags(self, flags: Sequence[Flag]) -> None:
        """Write each flag as its line with mean and sd, in one write."""
        self._file.write([b"".join(flag.to_line() + b"\n" for flag in flags)])

    def write_rejects(
        self, rejected: Sequence[Rejected], pieces: Iterable[bytes] | None = None
    ) -> None:
        """Write each line after its log, line number, reason and detail."""
        from fastanomaly.rules.wrong_values import value_detail  # noqa: PLC0415 - see there

        rows = rows_of_rejects(list(rejected), describe, value_detail)
        if pieces is None:
            self._file.write([rows])
        else:
            self._file.write(chain([rows.removesuffix(b"\n")], pieces, [b"\n"]))
