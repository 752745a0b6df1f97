"""Log files and standard input, in blocks of whole lines.

Memory grows neither with the length of a log nor with that of a line: a line that is
longer than the limit comes in pieces.
"""

import os
from collections.abc import Generator, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from fastanomaly.errors import LogOpenError, LogReadError, UsageError
from fastanomaly.names import STANDARD, check_count
from fastanomaly.sources.base import Lines, LongLine, Progress, SourceOptions, UnfinishedLine
from fastanomaly.sources.compressed import (
    GZIP,
    Reader,
    compression,
    decompressing,
    is_compressed,
)
from fastanomaly.sources.files import InputFile
from fastanomaly.waiting import Waiter

if TYPE_CHECKING:
    from fastanomaly.sources.following import FollowedFile

_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 21
_TAIL = 4096


class Position(NamedTuple):
    """Where a log was left.

    Attributes
    ----------
    offset : int
        How many bytes of the text were used.
    file : tuple of two int
        The file's device and inode number.
    tail_bytes, tail_crc : int
        The CRC-32 of the last bytes before the offset, and how many they are; 0 where
        there is no way back.
    """

    offset: int
    file: tuple[int, int]
    tail_bytes: int
    tail_crc: int


class LogSource:
    """A log open for reading; see `fastanomaly.sources.base.Source`.

    Parameters
    ----------
    path : str
        ``-`` for standard input; names ending in ``.gz``, ``.zst`` or ``.zstd`` are
        decompressed, and so are files whose beginning can be decompressed.
    options : SourceOptions

    Raises
    ------
    LogOpenError
        If it cannot be opened, or is not the log in which `options.position` is.
    UsageError
        If it cannot be followed, but should be.
    """

    def __init__(self, path: str, options: SourceOptions) -> None:
        self.path = path
        self.follows = options.follow
        self.notice = ""
        self._offset = 0  # the end of what was given, in the current file
        self._max_line = options.max_line
        self._ticks = options.tick is not None
        self._resumable = options.resumable
        if options.follow and (path == STANDARD or is_compressed(path)):
            raise UsageError(f"{path}: only a plain file or a FIFO can be followed")
        _keep_memory()
        waiter = options.waiter or Waiter()
        waiting = (waiter, options.tick, options.until_idle)
        self._on_notice = options.on_notice or (lambda text: None)
        self._file: InputFile
        try:
            if options.follow:
                from fastanomaly.sources.following import FollowedFile  # noqa: PLC0415

                self._file = FollowedFile(path, *waiting, self._on_notice)
            else:
                self._file = InputFile(path, *waiting)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            raise LogOpenError(f"{path}: {_reason(error)}") from error
        self._compression = compression(path, self._file) if not options.follow else None
        self._reader = _reader(path, self._file, self._compression)
        self._why_compressed = ""  # for errors: nobody said that it is
        if self._compression is not None and not is_compressed(path):
            name = "gzip" if self._compression == GZIP else "zstd"
            self._why_compressed = f" (taken as {name} data because of its first bytes)"
        if options.position is not None:
            self._go_to(Position(*options.position))

    def close(self) -> None:
        """Close the log, except standard input."""
        self._reader.close()
        self._file.close()

    def progress(self) -> Progress:
        """Return how many bytes of the file, compressed or not, have been read."""
        if not self._file.seekable():
            return Progress(0, None)
        return Progress(self._file.tell(), os.fstat(self._file.fileno()).st_size)

    @staticmethod
    def identity(path: str) -> str:
        """Return the log's own name in a folder without links.

        If the name is a link, it may lead to another file later: the log is still the same.
        """
        if path == STANDARD:
            return path
        folder, name = os.path.split(path)
        return os.path.join(os.path.realpath(folder), name)

    # -- positions -----------------------------------------------------------------------

    def snapshot(self, unread: int = 0) -> list[Any]:
        """Return the position before the last `unread` bytes given, for JSON."""
        offset = self._offset - unread
        stat = os.fstat(self._file.fileno())
        tail = self._tail(self._file.fileno(), offset)
        return list(Position(offset, (stat.st_dev, stat.st_ino), len(tail), _crc(tail)))

    @staticmethod
    def check_position(position: object) -> None:
        """Raise ValueError unless it is what `snapshot` returns."""
        if not isinstance(position, list) or len(position) != len(Position._fields):
            raise ValueError(f"position: {position!r:.40}")
        offset, file, tail_bytes, tail_crc = position
        if not isinstance(file, list) or len(file) != 2:
            raise ValueError(f"position: file {file!r:.40}")
        for number in (offset, *file, tail_bytes, tail_crc):
            check_count("position", number)

    def _go_to(self, position: Position) -> None:
        """Continue at a position; a pipe has none and continues where it is."""
        if self._compression is not None:
            self._skip(position.offset)
        elif self.follows and self._file.regular:
            self._find(cast("FollowedFile", self._file), position)
        elif self._file.regular:
            if not self._matches(self._file.fileno(), position):
                size = os.fstat(self._file.fileno()).st_size
                raise self._other_log(size, position.offset)
            self._offset = self._file.seek(position.offset)

    def _skip(self, offset: int) -> None:
        """Read a compressed log up to an offset of its text."""
        while self._offset < offset and (
            piece := self._piece(min(_BLOCK, offset - self._offset))
        ):
            self._offset += len(piece)
        if self._offset < offset:
            raise self._other_log(self._offset, offset)

    def _find(self, file: "FollowedFile", position: Position) -> None:
        """Continue a followed log in the file that was read, or begin with the present one."""

        def accept(fd: int) -> bool:
            return self._matches(fd, position)

        if not file.is_file(position.file) or not accept(file.fileno()):
            try:
                file.switch_to(position.file, accept)
            except OSError as error:
                raise LogOpenError(
                    f"{error.filename or self.path}: {_reason(error)}"
                ) from error
        if accept(file.fileno()):
            self._offset = file.seek(position.offset)
        else:
            self.notice = (
                f"{self.path}: the file that was read before is gone, or is shorter or "
                "different now: reading the present file from its beginning"
            )

    def _matches(self, fd: int, position: Position) -> bool:
        """Return whether an open file has the text that precedes the position."""
        tail = self._tail(fd, position.offset)
        return (len(tail), _crc(tail)) == (position.tail_bytes, position.tail_crc)

    def _tail(self, fd: int, offset: int) -> bytes:
        """Return the last bytes before an offset, where they can be read again."""
        if self._compression is not None or not self._file.regular:
            return b""
        size = min(offset, _TAIL)
        return os.pread(fd, size, offset - size)

    def _other_log(self, size: int, offset: int) -> LogOpenError:
        if size < offset:
            why = f"it has {size} bytes, but {offset} had been read"
        else:
            why = f"its text before byte {offset} differs"
        return LogOpenError(f"{self.path}: not the log that was read before: {why}")

    # -- lines ---------------------------------------------------------------------------

    def blocks(self) -> Iterator[Lines]:
        """Yield blocks of whole lines, and long lines.

        A block is what one read returned, up to its last line end. A line that began in
        the block before is given first, as a block of its own: no block is copied.
        """
        yield from self._file_blocks()
        while self._file.open_next():
            self._offset = 0
            yield from self._file_blocks()

    def _file_blocks(self) -> Iterator[Lines]:
        """Yield the lines of the current file."""
        parts: list[bytes] = []  # of a line whose end has not been read yet
        length = 0
        piece = (yield from self._beginning()) if self._offset == 0 else self._piece()
        while piece != b"":
            if piece is None:
                yield b""
                piece = self._piece()
                continue
            end = piece.rfind(b"\n") + 1
            if end:
                yield from self._whole_lines(parts, piece, end)
                parts = []
                length = 0
            if end < len(piece):
                parts.append(piece[end:])
                length += len(piece) - end
            # One byte more than the limit: a CR may still be part of the line end.
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
                if not end and self._ticks:
                    yield b""  # as at a tick: a line may take long to arrive
                piece = self._piece()
        if length and self._file.may_grow:
            self._report_unfinished(length)
        elif length:
            self._offset += length
            yield b"".join(parts)

    def _report_unfinished(self, length: int) -> None:
        end = "left for the next run" if self._resumable else "neither judged nor rejected"
        self._on_notice(
            f"{self.path}: the last line has no line end yet: its {length} bytes are {end}"
        )

    def _whole_lines(self, parts: list[bytes], piece: bytes, end: int) -> Iterator[Lines]:
        """Yield the line begun with `parts`, then the other lines of `piece[:end]`."""
        begin = 0
        if parts:
            begin = piece.find(b"\n") + 1
            line = b"".join([*parts, piece[:begin]])
            self._offset += len(line)
            yield line
        if begin < end:
            self._offset += end - begin
            yield memoryview(piece)[begin:end]

    def _piece(self, size: int = _BLOCK) -> bytes | None:
        """Read at most so many bytes; b"" at the end, None at a tick."""
        try:
            return self._reader.read(size)
        except self._reader.errors as error:
            raise LogReadError(
                f"{self.path}: {_reason(error)}{self._why_compressed}"
            ) from error

    def _beginning(self) -> Generator[Lines, None, bytes | None]:
        """Read the first piece, and remove a byte order mark from it.

        At a tick it yields an empty block.
        """
        start = b""
        while _BOM.startswith(start) and start != _BOM:
            piece = self._piece()
            if piece == b"":
                break
            if piece is None:
                yield b""
            else:
                start += piece
        if start.startswith(_BOM):
            self._offset = len(_BOM)
            start = start.removeprefix(_BOM)
            return start or self._piece()
        return start

    def _line_pieces(self, parts: list[bytes], rest: list[bytes]) -> Iterator[bytes]:
        """Yield a line begun with `parts` up to its end; put what follows it into `rest`.

        At a tick it yields an empty piece. Raises UnfinishedLine if the file may grow and the
        end has not been written yet.
        """
        length = 0
        end = b""
        held = b""  # a CR that may be part of the line end
        piece: bytes | None = b"".join(parts)
        while piece != b"":
            if piece is None:
                yield b""
            else:
                line, end, after = piece.partition(b"\n")
                length += len(line) + len(end)
                line = held + line
                held = b"\r" if line.endswith(b"\r") else b""
                yield line[: len(line) - len(held)]
                if end:
                    if after:
                        rest.append(after)
                    break
            piece = self._piece()
        if not end and self._file.may_grow:
            self._report_unfinished(length)
            raise UnfinishedLine
        self._offset += length


@cache
def _keep_memory() -> None:
    """Make glibc keep the memory of blocks.

    Until a block of this size has been freed, it returns the memory of each block to the
    system and gets it again page by page. A second time would write zeros to all of it.
    """
    bytes(4 * _BLOCK)


def _reader(path: str, file: InputFile, kind: tuple[str, ...] | None) -> Reader:
    if kind is not None:
        return decompressing(path, file, kind)
    return Reader(file.read, lambda: None, (OSError,))


def _crc(data: bytes) -> int:
    import zlib  # noqa: PLC0415 - imported late: it slows the start

    return zlib.crc32(data)


def _reason(error: BaseException) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
