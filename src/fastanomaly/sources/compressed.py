"""Compressed logs: gzip by the standard library, zstd by Python 3.14's or an extra."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

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


def compression(path: str, file: InputFile) -> tuple[str, ...] | None:
    """Return how a log is compressed: `GZIP`, `ZSTD` or None.

    The suffix says so, and in its absence the first bytes of a regular file.
    """
    for suffixes in (GZIP, ZSTD):
        if path.lower().endswith(suffixes):
            return suffixes
    if path == STANDARD or not file.regular:
        return None
    try:
        start = os.pread(file.fileno(), 4, 0)
    except OSError:  # the first read reports it
        return None
    if start.startswith(_GZIP_MAGIC):
        return GZIP
    return ZSTD if start == _ZSTD_MAGIC else None


def decompressing(path: str, file: io.RawIOBase, kind: tuple[str, ...]) -> Reader:
    """Return a reader of what a file holds that is compressed in this way.

    Raises
    ------
    LogOpenError
        If what decompresses it is not installed.
    """
    if kind == GZIP:
        return _gzip_reader(file)
    return _zstd_reader(path, file)


def _gzip_reader(file: io.RawIOBase) -> Reader:
    import gzip  # noqa: PLC0415 - imported late: it slows the start
    import zlib  # noqa: PLC0415

    unzipped = gzip.GzipFile(fileobj=cast("BinaryIO", file), mode="rb")
    return Reader(_not_empty(unzipped), unzipped.close, (OSError, EOFError, zlib.error))


def _not_empty(unzipped: gzip.GzipFile) -> Callable[[int], bytes]:
    """Return a reader for which a file of no bytes is truncated, not empty."""

    def read(size: int) -> bytes:
        data = unzipped.read1(size)
        if not data and unzipped.mtime is None:  # no header has been read
            raise EOFError("Compressed file ended before its header")
        return data

    return read


def _zstd_reader(path: str, file: io.RawIOBase) -> Reader:
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd  # noqa: PLC0415 - imported late: it slows the start
        else:
            from backports import zstd  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise LogOpenError(
            f"{path}: zstd needs backports.zstd: {installation('zstd')}"
        ) from error
    unpacked = zstd.ZstdFile(cast("BinaryIO", file))

    def read(size: int) -> bytes:
        try:
            return unpacked.read1(size)
        except zstd.ZstdError as error:
            if "too much memory" not in str(error):
                raise
            raise OSError(f"{error}{_WINDOW_HINT}") from error

    return Reader(read, unpacked.close, (OSError, EOFError, zstd.ZstdError))
