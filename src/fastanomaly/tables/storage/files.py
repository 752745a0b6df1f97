"""The bytes of files with tables: local, compressed, on standard input, or at a URL."""

from __future__ import annotations

import glob
import io
import os
import sys
from typing import Any

from fastanomaly.errors import LogOpenError, LogReadError, UsageError
from fastanomaly.names import STANDARD, is_url
from fastanomaly.sources.base import Progress
from fastanomaly.tables.names import COMPRESSED, files_within, suffix_kind
from fastanomaly.tables.storage.library import arrow

_PIECE = 1 << 20


def expand(path: str) -> list[str]:
    """Return the files that a name stands for, sorted: itself, those in a folder or matching.

    Raises
    ------
    LogOpenError
        If there is none.
    """
    if is_url(path):
        from fastanomaly.tables.storage.remote import expand_url  # noqa: PLC0415 - needs an extra

        return expand_url(path)
    if os.path.isdir(path):
        found = [name for name in files_within(path) if suffix_kind(name, json=True)]
        if not found:
            raise LogOpenError(f"{path}: no table is in this folder")
        return found
    if path != STANDARD and glob.has_magic(path) and not os.path.exists(path):
        found = sorted(
            name for name in glob.glob(path, recursive=True) if os.path.isfile(name)
        )
        if not found:
            raise LogOpenError(f"{path}: no file matches")
        return found
    return [path]


class TableFile:
    """A file with a table, open for reading.

    Parameters
    ----------
    path : str
        ``-`` for standard input.

    Attributes
    ----------
    path : str

    Raises
    ------
    LogOpenError
        If it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        pa = arrow(path)
        try:
            self._raw = _open(path, pa)
        except UsageError:
            raise
        except (OSError, ValueError) as error:
            raise LogOpenError(f"{path}: {reason(error)}") from error
        compression = COMPRESSED.get(
            os.path.splitext(path.split("?", maxsplit=1)[0].lower())[1]
        )
        self.compressed = compression is not None
        self._file = self._raw
        if compression is not None:
            self._file = pa.CompressedInputStream(self._raw, compression)

    def seekable(self) -> Any:
        """Return it as a file in which pyarrow can read anywhere.

        Raises
        ------
        LogOpenError
            If that is not possible.
        """
        if self.compressed:
            raise LogOpenError(f"{self.path}: is compressed as a whole: decompress it first")
        if not self._raw.seekable():
            raise LogOpenError(f"{self.path}: must be a file, not a pipe")
        return self._raw

    def stream(self) -> Stream:
        """Return it as a file that is read from its beginning to its end."""
        return Stream(self.path, self._file)

    def progress(self) -> Progress:
        """Return how many bytes have been read, compressed or not."""
        if self._raw.closed:
            return Progress(0, None)
        try:
            return Progress(self._raw.tell(), self._raw.size())
        except (OSError, TypeError, ValueError):  # no position, or no size
            return Progress(0, None)

    def close(self) -> None:
        """Close it."""
        self._file.close()
        self._raw.close()


class Stream(io.RawIOBase):
    """Bytes that are read once, whose beginning can be looked at before.

    Parameters
    ----------
    path : str
        The name in errors.
    file : pyarrow.NativeFile
    """

    def __init__(self, path: str, file: Any) -> None:
        self._path = path
        self._file = file
        self._head = b""

    def peek(self, size: int) -> bytes:
        """Return the first bytes, at most `size`; fewer at the end of the file only."""
        while len(self._head) < size and (piece := self._read(size - len(self._head))):
            self._head += piece
        return self._head[:size]

    def read(self, size: int = -1) -> bytes:
        """Read so many bytes, fewer at the end only; some if `size` is negative."""
        if size < 0:
            size = _PIECE
        head, self._head = self._head[:size], self._head[size:]
        return head + self._read(size - len(head)) if len(head) < size else head

    def _read(self, size: int) -> bytes:
        try:
            return bytes(self._file.read(size))
        except (OSError, ValueError) as error:
            raise LogReadError(f"{self._path}: {reason(error)}") from error

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def readable(self) -> bool:
        """Return True."""
        return True


def _open(path: str, pa: Any) -> Any:
    if is_url(path):
        from fastanomaly.tables.storage.remote import open_url  # noqa: PLC0415 - needs an extra

        return pa.PythonFile(open_url(path), mode="r")
    if path == STANDARD:
        if sys.stdin is None:
            raise OSError("standard input is closed")
        return pa.PythonFile(io.FileIO(sys.stdin.fileno(), closefd=False), mode="r")
    if os.path.isfile(path):
        return pa.OSFile(path)
    return pa.PythonFile(io.FileIO(path), mode="r")  # a FIFO, or an error


def reason(error: BaseException) -> str:
    """Return what is wrong, from an error of the system or of pyarrow, on one line."""
    text = (isinstance(error, OSError) and error.strerror) or str(error)
    return " ".join(text.split())
