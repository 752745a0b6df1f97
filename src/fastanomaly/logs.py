"""Reading logs: plain, gzip, zstd or standard input, in blocks of whole lines.

Memory does not grow with the length of a log, nor with that of a line: one that is
longer than the limit comes in pieces.
"""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol, TypeAlias

from fastanomaly.parameters import UsageError

if TYPE_CHECKING:
    import gzip

STANDARD = "-"
"""The path that stands for standard input or output."""

GZIP = (".gz",)
ZSTD = (".zst", ".zstd")
"""The suffixes of compressed logs."""

_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 21


class LogOpenError(UsageError):
    """A log that cannot be opened; the message names the path."""


class LogReadError(OSError):
    """A log that fails while it is read: an I/O error, or corrupt compressed data."""


class LongLine:
    """A line longer than the limit, to be read in pieces, without its line end.

    What is not read is skipped when the log goes on.
    """

    __slots__ = ("pieces",)

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces


Lines: TypeAlias = bytes | LongLine


def is_compressed(path: str) -> bool:
    """Whether a log of that name is decompressed when it is read."""
    return path.lower().endswith(GZIP + ZSTD)


class _Closable(Protocol):
    def close(self) -> None: ...


class Log:
    """A log open for reading; a context manager.

    Parameters
    ----------
    path : str
        ``-`` for standard input; a name ending in ``.gz``, ``.zst`` or ``.zstd`` is
        decompressed.
    max_line : int
        The limit of a line's length, in bytes.
    waiting : callable, optional
        Gives the context in which a read that may block is done.

    Raises
    ------
    LogOpenError
        If it cannot be opened; the message names the path.
    """

    def __init__(
        self,
        path: str,
        max_line: int,
        waiting: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.path = path
        self._max_line = max_line
        self._waiting = waiting
        # Until a block as large as this has been freed, glibc gives those that are read
        # into back to the system each time, and takes them anew page by page.
        bytes(4 * _BLOCK)
        try:
            if path != STANDARD:
                with waiting():  # for somebody to open the other end of a FIFO
                    self._raw = io.FileIO(path)
            elif sys.stdin is not None:
                self._raw = io.FileIO(sys.stdin.fileno(), closefd=False)
            else:
                raise OSError("standard input is closed")
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            raise LogOpenError(f"{path}: {_reason(error)}") from error
        self._read, self._decompressor, self._errors = _reader(path, self._raw)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        if self._decompressor is not None:
            self._decompressor.close()
        self._raw.close()

    @property
    def size(self) -> int | None:
        """The bytes in the file, compressed or not; None where that has no meaning."""
        size = os.fstat(self._raw.fileno()).st_size
        return size if self._raw.seekable() else None

    @property
    def position(self) -> int:
        """How many of them have been read."""
        return self._raw.tell() if self._raw.seekable() else 0

    def _piece(self) -> bytes:
        """Some bytes as they come, b"" at the end."""
        try:
            with self._waiting():
                while (piece := self._read(_BLOCK)) is None:
                    # A pipe that somebody set not to wait: no data yet is not the end.
                    select.select([self._raw], [], [])
                return piece
        except self._errors as error:
            raise LogReadError(f"{self.path}: {_reason(error)}") from error

    def __iter__(self) -> Iterator[Lines]:
        """Yield blocks of whole lines (the last may lack its line end), and long lines.

        A block is what one read brought, up to its last line end.
        """
        parts: list[bytes | memoryview] = []
        length = 0
        while len(start := b"".join(parts)) < len(_BOM) and (piece := self._piece()):
            parts.append(piece)
        start = start.removeprefix(_BOM)
        parts = []
        piece = start or self._piece()
        while piece:
            end = piece.rfind(b"\n") + 1
            if end:
                parts.append(memoryview(piece)[:end])
                yield b"".join(parts)
                parts = []
                length = 0
            parts.append(piece[end:])
            length += len(piece) - end
            # A CR may still turn out to belong to the line's end.
            if length > self._max_line + 1:
                rest: list[bytes] = []
                pieces = self._line_pieces(parts, rest)
                yield LongLine(pieces)
                for _ in pieces:
                    pass
                parts = []
                length = 0
                piece = rest[0] if rest else self._piece()
            else:
                piece = self._piece()
        if length:
            yield b"".join(parts)

    def _line_pieces(
        self, parts: list[bytes | memoryview], rest: list[bytes]
    ) -> Iterator[bytes]:
        """Yield a line begun with `parts` to its end; put what comes after it into `rest`."""
        held = b""
        pieces = iter([b"".join(parts)])
        while piece := next(pieces, None) or self._piece():
            line, end, after = piece.partition(b"\n")
            line = held + line
            held = b"\r" if line.endswith(b"\r") else b""
            yield line[: len(line) - len(held)]
            if end:
                if after:
                    rest.append(after)
                return


def _reader(
    path: str, raw: io.FileIO
) -> tuple[Callable[[int], bytes | None], _Closable | None, tuple[type[Exception], ...]]:
    """What reads a log, what is to be closed beside it, and the errors it may raise."""
    if path.lower().endswith(GZIP):
        import gzip  # noqa: PLC0415 - most runs need none of these
        import zlib  # noqa: PLC0415

        unzipped = gzip.GzipFile(fileobj=raw, mode="rb")
        return _whole(unzipped), unzipped, (OSError, EOFError, zlib.error)
    if path.lower().endswith(ZSTD):
        try:
            if sys.version_info >= (3, 14):
                from compression import zstd  # noqa: PLC0415
            else:
                from backports import zstd  # noqa: PLC0415
        except ImportError as error:
            raise LogOpenError(
                f"{path}: zstd needs an extra, pip install 'fastanomaly[zstd]'"
            ) from error
        unpacked = zstd.ZstdFile(raw)
        return unpacked.read1, unpacked, (OSError, EOFError, zstd.ZstdError)
    return raw.read, None, (OSError,)


def _whole(unzipped: gzip.GzipFile) -> Callable[[int], bytes]:
    """A reader that does not take a file of no bytes for a compressed empty one."""

    def read(size: int) -> bytes:
        data = unzipped.read1(size)
        if not data and unzipped.mtime is None:  # no header has been read
            raise EOFError("Compressed file ended before its beginning")
        return data

    return read


def _reason(error: BaseException) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
