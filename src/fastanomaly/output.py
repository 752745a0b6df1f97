"""Writing lines: whole ones, at once, and cut back to whole ones when a write fails."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable

from fastanomaly.logs import STANDARD


class OutputError(OSError):
    """An output that cannot be created or written; the message names the path."""


class LineWriter:
    """An output of lines, unbuffered; a context manager.

    Opening it leaves an existing file as it is, until `start` empties it.

    Parameters
    ----------
    path : str
        ``-`` for standard output.

    Raises
    ------
    OutputError
        If it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._end = 0
        try:
            if path != STANDARD:
                self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
            elif sys.stdout is not None:
                self._fd = os.dup(sys.stdout.fileno())
            else:
                raise OutputError(f"{path}: standard output is closed")
            # Standard output may be a file that others write to as well: leave its length.
            self._regular = path != STANDARD and stat.S_ISREG(os.fstat(self._fd).st_mode)
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror or error}") from error

    def __enter__(self) -> LineWriter:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def start(self) -> None:
        """Empty the file."""
        if self._regular:
            os.ftruncate(self._fd, 0)

    def write(self, pieces: Iterable[bytes]) -> None:
        """Write what is one or more whole lines when put together.

        Raises
        ------
        OutputError
            If it fails; a regular file then ends with the last line that was whole.
        """
        written = whole = 0
        try:
            for piece in pieces:
                view = memoryview(piece)
                while view:
                    count = os.write(self._fd, view)
                    whole = max(whole, written + bytes(view[:count]).rfind(b"\n") + 1)
                    written += count
                    view = view[count:]
        except OSError as error:
            if self._regular:
                os.ftruncate(self._fd, self._end + whole)
            raise OutputError(f"{self.path}: {error.strerror}") from error
        self._end += written


def same_file(output: str, other: str, other_is_output: bool) -> bool:
    """Whether an output and another path are one regular file, under whatever names."""
    try:
        here, there = _stat(output, 1), _stat(other, 1 if other_is_output else 0)
    except OSError:
        return False
    return stat.S_ISREG(here.st_mode) and os.path.samestat(here, there)


def _stat(path: str, standard_fd: int) -> os.stat_result:
    return os.fstat(standard_fd) if path == STANDARD else os.stat(path)
