"""Reading logs: plain, gzip, zstd or standard input, in blocks of whole lines.

Memory does not grow with the length of a log, nor with that of a line: one that is
longer than the limit comes in pieces.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol, TypeAlias, cast

from fastanomaly.errors import LogOpenError, LogReadError, UsageError
from fastanomaly.sources.files import STANDARD, ReadAhead, Source
from fastanomaly.sources.following import FollowedSource
from fastanomaly.waiting import Waiter

if TYPE_CHECKING:
    import gzip

GZIP = (".gz",)
ZSTD = (".zst", ".zstd")
"""The suffixes of compressed logs."""

_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 21
_TAIL = 4096


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


class _Closable(Protocol):
    def close(self) -> None: ...


class Place(NamedTuple):
    """Where a log stands, to go on from there.

    Attributes
    ----------
    offset : int
        How many bytes of the text have been given out.
    file : tuple of two int
        The file's device and number on it.
    tail_bytes, tail_crc : int
        The CRC-32 of so many bytes before the offset; 0 bytes where that has no meaning.
    """

    offset: int
    file: tuple[int, int]
    tail_bytes: int
    tail_crc: int


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
    follow : bool, default False
        Go on where the file ends, see `following`.
    until_idle : float, optional
        The end is where nothing has come for so many seconds.
    tick : float, optional
        Give an empty block after so many seconds in which nothing came.
    place : Place, optional
        Where to go on: in a plain file, or a compressed one. A pipe has no place.

    Attributes
    ----------
    follows : bool
        Whether there may be more after the end.
    offset : int
        How many bytes of the text have been given out, of the file at hand.
    generation : int
        How many files there were before the one at hand.
    notice : str
        What whoever runs this should know, or nothing.

    Raises
    ------
    LogOpenError
        If it cannot be opened, or is not the log of that place; the message names the path.
    """

    def __init__(
        self,
        path: str,
        max_line: int,
        waiter: Waiter | None = None,
        *,
        follow: bool = False,
        until_idle: float | None = None,
        tick: float | None = None,
        place: Place | None = None,
    ) -> None:
        self.path = path
        self.follows = follow
        self.offset = 0
        self.generation = 0
        self.notice = ""
        self._max_line = max_line
        if follow and (path == STANDARD or is_compressed(path)):
            raise UsageError(f"{path}: only a plain file or a FIFO can be followed")
        # Until a block as large as this has been freed, glibc gives those that are read
        # into back to the system each time, and takes them anew page by page.
        bytes(4 * _BLOCK)
        kind = FollowedSource if follow else Source
        try:
            self._raw = kind(path, waiter or Waiter(), tick, until_idle)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            raise LogOpenError(f"{path}: {_reason(error)}") from error
        self._read, self._decompressor, self._errors = _reader(path, self._raw)
        if place is not None:
            self._go_to(place)

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

    def place(self, generation: int, offset: int) -> Place:
        """Where a place of the text is; that of an earlier file is the next one's begin."""
        if generation != self.generation:
            offset = 0
        stat = os.fstat(self._raw.fileno())
        tail = self._tail(offset)
        return Place(offset, (stat.st_dev, stat.st_ino), len(tail), _crc(tail))

    def _tail(self, offset: int) -> bytes:
        """Some of the text that stands before an offset, if that can be had."""
        if is_compressed(self.path) or not self._raw.regular:
            return b""
        size = min(offset, _TAIL)
        return os.pread(self._raw.fileno(), size, offset - size)

    def _go_to(self, place: Place) -> None:
        if is_compressed(self.path):
            while self.offset < place.offset and (
                piece := self._read(min(_BLOCK, place.offset - self.offset))
            ):
                self.offset += len(piece)
            if self.offset < place.offset:
                raise LogOpenError(f"{self.path}: {_not_that(self.offset, place.offset)}")
        elif isinstance(self._raw, FollowedSource) and self._raw.regular:
            if not self._fits(place) or not self._raw.is_file(place.file):
                self._raw.find(place.file)
            if self._fits(place):
                self.offset = self._raw.seek(place.offset)
            else:
                self.notice = (
                    f"{self.path}: the file that was read before is gone, or shorter: "
                    "going on at the beginning of the one there is"
                )
        elif self._raw.regular:
            if not self._fits(place):
                size = os.fstat(self._raw.fileno()).st_size
                raise LogOpenError(f"{self.path}: {_not_that(size, place.offset)}")
            self.offset = self._raw.seek(place.offset)

    def _fits(self, place: Place) -> bool:
        """Whether the file at hand has the text before that place."""
        tail = self._tail(place.offset)
        return (len(tail), _crc(tail)) == (place.tail_bytes, place.tail_crc)

    def _piece(self) -> bytes | None:
        """Some bytes as they come, b"" at the end, None at a tick."""
        try:
            return self._read(_BLOCK)
        except self._errors as error:
            raise LogReadError(f"{self.path}: {_reason(error)}") from error

    def __iter__(self) -> Iterator[Lines]:
        """Yield blocks of whole lines (the last may lack its line end), and long lines.

        A block is what one read brought, up to its last line end; if a line begun before
        ends there, that line comes first, alone. So no block is copied. An empty block
        stands for a tick.
        """
        yield from self._file_lines()
        while self._raw.go_on():
            self.offset = 0
            self.generation += 1
            yield from self._file_lines()

    def _file_lines(self) -> Iterator[Lines]:
        """Yield the lines of the file at hand."""
        parts: list[bytes] = []
        length = 0
        piece = self._beginning() if self.offset == 0 else self._piece()
        while piece != b"":
            if piece is None:
                yield b""
                piece = self._piece()
                continue
            begin = 0
            end = piece.rfind(b"\n") + 1
            if end and parts:
                begin = piece.find(b"\n") + 1
                parts.append(piece[:begin])
                line = b"".join(parts)
                self.offset += len(line)
                yield line
            if end:
                if begin < end:
                    self.offset += end - begin
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
            self.offset += length
            yield b"".join(parts)

    def _beginning(self) -> bytes | None:
        """The first piece, long enough to see a byte order mark, and without it."""
        start = b""
        while len(start) < len(_BOM) and (piece := self._piece()) != b"":
            start += piece or b""
        if start.startswith(_BOM):
            self.offset = len(_BOM)
            start = start.removeprefix(_BOM)
            return start or self._piece()
        return start

    def _line_pieces(self, parts: list[bytes], rest: list[bytes]) -> Iterator[bytes]:
        """Yield a line begun with `parts` to its end; put what comes after it into `rest`."""
        held = b""
        piece: bytes | None = b"".join(parts)
        while piece != b"":
            if piece is not None:
                line, end, after = piece.partition(b"\n")
                self.offset += len(line) + len(end)
                line = held + line
                held = b"\r" if line.endswith(b"\r") else b""
                yield line[: len(line) - len(held)]
                if end:
                    if after:
                        rest.append(after)
                    return
            piece = self._piece()


def _crc(data: bytes) -> int:
    import zlib  # noqa: PLC0415 - most runs need none

    return zlib.crc32(data)


def _not_that(size: int, offset: int) -> str:
    if size < offset:
        return f"not the log that was read before: {size} bytes, of which {offset} were read"
    return f"not the log that was read before: other text before byte {offset}"


def _reader(
    path: str, raw: Source
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
        unpacked = zstd.ZstdFile(cast("BinaryIO", raw))
        return unpacked.read1, unpacked, (OSError, EOFError, zstd.ZstdError)
    if raw.regular and not isinstance(raw, FollowedSource):
        ahead = ReadAhead(raw)
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
