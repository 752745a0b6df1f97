"""Compressed logs: gzip by the standard library, zstd by Python 3.14's or an extra."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from fastanomaly.errors import LogOpenError, installation
from fastanomaly.names import STANDARD

if TYPE_CHECKING:
    import gzip
    import io

    from fastanomaly.sources.files import InputFile

GZIP = (".gz",)
ZSTD = (".zst", ".zstd")
"""The suffixes of compressed logs."""

_GZIP_MAGIC = b"\x1f\x8b\x08"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_START = 1 << 17  # a gzip header with a long name or comment is no longer
_TRIED = 4096
"""How many bytes of text are decompressed to check that a file is compressed."""
_TOO_LARGE = "too much memory"

_WINDOW_HINT = (
    "; its window is larger than 2^27 bytes: compress it again with a smaller one, "
    "or give the output of zstd -dc --long=31"
)


class Reader(NamedTuple):
    """How the bytes of a log are read.

    Attributes
    ----------
    read : callable
        Given a size: at most so many bytes, b"" at the end, None at a tick.
    close : callable
    errors : tuple of exception types
        What `read` may raise.
    """

    read: Callable[[int], bytes | None]
    close: Callable[[], object]
    errors: tuple[type[Exception], ...]


def is_compressed(path: str) -> bool:
    """Return whether a log of that name is decompressed when it is read."""
    return path.lower().endswith(GZIP + ZSTD)


def compression(path: str, file: "InputFile") -> tuple[str, ...] | None:
    """Return how a log is compressed: `GZIP`, `ZSTD` or None.

    The suffix says so, and in its absence the beginning of a regular file: it must be
    possible to decompress it, since a line of text may have the same first bytes.
    """
    for suffixes in (GZIP, ZSTD):
        if path.lower().endswith(suffixes):
            return suffixes
    if path == STANDARD or not file.regular:
        return None
    try:
        start = os.pread(file.fileno(), len(_ZSTD_MAGIC), 0)
        if not start.startswith((_GZIP_MAGIC, _ZSTD_MAGIC)):
            return None
        start = os.pread(file.fileno(), _START, 0)
    except OSError:  # the first read reports it
        return None
    if start.startswith(_GZIP_MAGIC):
        return GZIP if _begins_as_gzip(start) else None
    return ZSTD if _begins_as_zstd(start) else None


def _begins_as_gzip(start: bytes) -> bool:
    """Return whether the beginning of a file can be decompressed by gzip."""
    import zlib  # noqa: PLC0415 - imported late: it slows the start

    unzipping = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        return bool(unzipping.decompress(start, _TRIED)) or unzipping.eof
    except zlib.error:
        return False


def _begins_as_zstd(start: bytes) -> bool:
    """Return whether the beginning of a file can be decompressed by zstd."""
    zstd = _zstd_module()
    if zstd is None:  # that it is needed is reported next
        return True
    unpacking = zstd.ZstdDecompressor()
    try:
        return (
            bool(unpacking.decompress(start, _TRIED)) or unpacking.eof or len(start) > _TRIED
        )
    except zstd.ZstdError as error:
        return _TOO_LARGE in str(error)


def decompressing(path: str, file: "io.RawIOBase", kind: tuple[str, ...]) -> Reader:
    """Return a reader of what a file holds that is compressed in this way.

    Raises
    ------
    LogOpenError
        If what decompresses it is not installed.
    """
    if kind == GZIP:
        return _gzip_reader(file)
    return _zstd_reader(path, file)


def _gzip_reader(file: "io.RawIOBase") -> Reader:
    import gzip  # noqa: PLC0415 - imported late: it slows the start
    import zlib  # noqa: PLC0415

    unzipped = gzip.GzipFile(fileobj=cast("BinaryIO", file), mode="rb")
    return Reader(_not_empty(unzipped), unzipped.close, (OSError, EOFError, zlib.error))


def _not_empty(unzipped: "gzip.GzipFile") -> Callable[[int], bytes]:
    """Return a reader for which a file of no bytes is truncated, not empty."""

    def read(size: int) -> bytes:
        data = unzipped.read1(size)
        if not data and unzipped.mtime is None:  # no header has been read
            raise EOFError("Compressed file ended before its header")
        return data

    return read


def _zstd_reader(path: str, file: "io.RawIOBase") -> Reader:
    zstd = _zstd_module()
    if zstd is None:
        raise LogOpenError(f"{path}: zstd needs backports.zstd: {installation('zstd')}")
    unpacked = zstd.ZstdFile(cast("BinaryIO", file))

    def read(size: int) -> bytes:
        try:
            data: bytes = unpacked.read1(size)
        except zstd.ZstdError as error:
            if _TOO_LARGE not in str(error):
                raise
            raise OSError(f"{error}{_WINDOW_HINT}") from error
        return data

    return Reader(read, unpacked.close, (OSError, EOFError, zstd.ZstdError))


def _zstd_module() -> Any:
    """Return the module for zstd, or None if it is not installed."""
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd  # noqa: PLC0415 - imported late: it slows the start
        else:
            from backports import zstd  # noqa: PLC0415
    except ModuleNotFoundError:
        return None
    return zstd
