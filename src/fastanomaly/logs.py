"""Reading logs: plain, gzip, zstd or standard input, in blocks of whole lines.

Memory does not grow with the length of a log, nor with that of a line: one that is
longer than the limit comes in pieces.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from fastanomaly.parameters import UsageError
from fastanomaly.waiting import Waiter

if TYPE_CHECKING:
    import gzip
    import threading

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


Lines: TypeAlias = bytes | memoryview | LongLine


def is_compressed(path: str) -> bool:
    """Whether a log of that name is decompressed when it is read."""
    return path.lower().endswith(GZIP + ZSTD)


class PatientFile(io.RawIOBase):
    """A file, FIFO, or standard input, whose reads wait for something to read.

    A FIFO is opened without waiting for who will write to it: the first read does.

    Parameters
    ----------
    path : str
        ``-`` for standard input.
    waiter : Waiter
        Does the waiting.
    """

    def __init__(self, path: str, waiter: Waiter) -> None:
        self._waiter = waiter
        if path != STANDARD:
            self._file = io.FileIO(path, opener=_open_at_once)
        elif sys.stdin is not None:
            self._file = io.FileIO(sys.stdin.fileno(), closefd=False)
        else:
            raise OSError("standard input is closed")

    def read(self, size: int = -1) -> bytes:
        """Read what there is, `size` bytes at most; b"" at the end."""
        self.pause()
        while (data := self._file.read(size)) is None:
            self.pause()  # another reader was faster
        return data

    def pause(self) -> None:
        """Wait until there is something to read, or the end."""
        self._waiter.wait(self._file.fileno())

    def read_now(self, size: int) -> bytes:
        """Read without waiting, for a plain file."""
        return self._file.read(size)

    def readinto(self, buffer: Any) -> int:
        """Read like `read`, into a buffer."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readable(self) -> bool:
        """Tell that it is."""
        return True

    @property
    def regular(self) -> bool:
        """Whether it is a plain file, whose end is known."""
        return stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)

    def seekable(self) -> bool:
        """Whether it has a position."""
        return self._file.seekable()

    def tell(self) -> int:
        """How many bytes have been read of a file."""
        return self._file.tell()

    def fileno(self) -> int:
        """Give the file descriptor."""
        return self._file.fileno()

    def close(self) -> None:
        """Close it, but not standard input."""
        self._file.close()
        super().close()


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


class _ReadAhead:
    """Reads a plain file's next block in a thread while the one before is used."""

    def __init__(self, raw: PatientFile) -> None:
        self._raw = raw
        self._thread: threading.Thread | None = None
        self._piece = b""
        self._error: OSError | None = None

    def read(self, size: int) -> bytes:
        """Read a block, and begin with the next if there is likely to be one."""
        piece = self._finish() if self._thread is not None else self._raw.read(size)
        if len(piece) == size:
            import threading  # noqa: PLC0415 - small logs need none

            self._thread = threading.Thread(target=self._begin, args=(size,))
            self._thread.start()
        return piece

    def _begin(self, size: int) -> None:
        try:
            self._piece = self._raw.read_now(size)
        except OSError as error:
            self._error = error

    def _finish(self) -> bytes:
        assert self._thread is not None
        self._raw.pause()
        self._thread.join()
        self._thread = None
        if self._error is not None:
            raise self._error
        return self._piece

    def close(self) -> None:
        """Wait for the thread."""
        if self._thread is not None:
            self._thread.join()


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
    waiter : Waiter, optional
        Waits until there is something to read.

    Raises
    ------
    LogOpenError
        If it cannot be opened; the message names the path.
    """

    def __init__(
        self,
        path: str,
        max_line: int,
        waiter: Waiter | None = None,
    ) -> None:
        self.path = path
        self._max_line = max_line
        # Until a block as large as this has been freed, glibc gives those that are read
        # into back to the system each time, and takes them anew page by page.
        bytes(4 * _BLOCK)
        try:
            self._raw = PatientFile(path, waiter or Waiter())
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
            return self._read(_BLOCK)
        except self._errors as error:
            raise LogReadError(f"{self.path}: {_reason(error)}") from error

    def __iter__(self) -> Iterator[Lines]:
        """Yield blocks of whole lines (the last may lack its line end), and long lines.

        A block is what one read brought, up to its last line end; if a line begun before
        ends there, that line comes first, alone. So no block is copied.
        """
        parts: list[bytes] = []
        length = 0
        while len(start := b"".join(parts)) < len(_BOM) and (piece := self._piece()):
            parts.append(piece)
        start = start.removeprefix(_BOM)
        parts = []
        piece = start or self._piece()
        while piece:
            begin = 0
            end = piece.rfind(b"\n") + 1
            if end and parts:
                begin = piece.find(b"\n") + 1
                parts.append(piece[:begin])
                yield b"".join(parts)
            if end:
                if begin < end:
                    yield memoryview(piece)[begin:end]
                parts = []
                length = 0
            if end < len(piece):
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

    def _line_pieces(self, parts: list[bytes], rest: list[bytes]) -> Iterator[bytes]:
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
    path: str, raw: PatientFile
) -> tuple[Callable[[int], bytes], _Closable | None, tuple[type[Exception], ...]]:
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
    if raw.regular:
        ahead = _ReadAhead(raw)
        return ahead.read, ahead, (OSError,)
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
