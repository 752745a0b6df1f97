"""Files and standard output, written unbuffered and always up to a whole line."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from collections.abc import Iterable
from contextlib import closing

from fastanomaly.errors import OutputError, UsageError
from fastanomaly.names import STANDARD
from fastanomaly.sinks.paths import irregular, open_descriptor, output_error
from fastanomaly.waiting import Waiter

_FIFO_SECONDS = 0.02


class LineFile:
    """An output of lines, unbuffered.

    Opening it leaves an existing file as it is, until `cut`.

    Parameters
    ----------
    path : str
        ``-`` for standard output. ``/dev/stdout``, ``/dev/stderr`` and ``/dev/fd/N`` stand
        for the open descriptor in the same way: what is behind it is never cut.
    waiter : Waiter, optional
        Waits until a FIFO has a reader.

    Attributes
    ----------
    length : int
        Bytes in the file, or written to it.
    regular : bool
        Whether it is a regular file that can be cut; False for open descriptors.

    Raises
    ------
    OutputError
        If it cannot be opened.
    """

    def __init__(self, path: str, waiter: Waiter | None = None) -> None:
        self.path = path
        self.length = 0
        try:
            descriptor = open_descriptor(path)
            if descriptor is None:
                self._fd = _open(path, waiter or Waiter())
            else:
                self._fd = _duplicate(descriptor)
            # Others may write to the file behind a descriptor: its length is theirs.
            self.regular = descriptor is None and stat.S_ISREG(os.fstat(self._fd).st_mode)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            raise output_error(path, error) from error

    def close(self) -> None:
        """Close it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def check_length(self, length: int) -> None:
        """Check that a regular file has at least that many bytes.

        Raises
        ------
        UsageError
            Names the file and both lengths.
        """
        if self.regular and (size := os.fstat(self._fd).st_size) < length:
            raise UsageError(
                f"{self.path}: has {size} bytes, but the checkpoint was made after "
                f"{length} (--fresh starts over)"
            )

    def first_bytes(self, count: int) -> bytes | None:
        """Return the first bytes of a regular file; None if it is not one."""
        if not self.regular:
            return None
        try:
            with open(self.path, "rb", buffering=0) as file:
                return file.read(count)
        except OSError as error:
            raise output_error(self.path, error) from error

    def cut(self, length: int = 0) -> None:
        """Cut a regular file to a length, and write after it."""
        if self.regular:
            os.ftruncate(self._fd, length)
            os.lseek(self._fd, length, os.SEEK_SET)
            self.length = length

    def write(self, pieces: Iterable[bytes], *, lines: bool = True) -> None:
        """Write pieces that are one or more whole lines when put together.

        Whatever interrupts it, an exception from `pieces` included, a regular file then
        ends with the last whole line.

        Parameters
        ----------
        pieces : iterable of bytes
        lines : bool, default True
            False if it is something else than lines: nothing of an interrupted call is kept.

        Raises
        ------
        OutputError
            If it fails.
        """
        written = whole = 0
        try:
            for piece in pieces:
                view = memoryview(piece)
                while view:
                    count = self._write_some(view)
                    line_end = bytes(view[:count]).rfind(b"\n") + 1 if lines else 0
                    whole = written + line_end if line_end else whole
                    written += count
                    view = view[count:]
        except BaseException:
            if self.regular:
                os.ftruncate(self._fd, self.length + whole)
            raise
        self.length += written

    def _write_some(self, data: memoryview) -> int:
        try:
            return os.write(self._fd, data)
        except OSError as error:
            raise output_error(self.path, error) from error

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._fd

    def sync(self) -> None:
        """Have a regular file written to the disk."""
        if self.regular:
            os.fsync(self._fd)


def _duplicate(descriptor: int) -> int:
    """Return a copy of an open descriptor."""
    # If standard output is closed, descriptor 1 can be something else by now.
    if descriptor == 1 and sys.stdout is None:
        raise OSError("standard output is closed")
    return os.dup(sys.stdout.fileno() if descriptor == 1 else descriptor)


def _open(path: str, waiter: Waiter) -> int:
    """Open an output; for a FIFO, wait until it has a reader."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    while True:
        try:
            fd = os.open(path, flags, 0o666)
        except OSError as error:
            if error.errno != errno.ENXIO or not stat.S_ISFIFO(os.stat(path).st_mode):
                raise
            waiter.wait(None, _FIFO_SECONDS)
        else:
            os.set_blocking(fd, True)
            return fd


class ReaderGoneError(OutputError):
    """Nobody reads standard output any more, such as after ``| head``."""


def print_text(text: str) -> None:
    """Print text to standard output, and flush it.

    Raises
    ------
    ReaderGoneError
        If it is a pipe that nobody reads.
    OutputError
        If it is closed, or fails.
    """
    if sys.stdout is None:
        raise OutputError(f"{STANDARD}: standard output is closed")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # its encoding may lack characters
    try:
        print(text, flush=True)
    except OSError as error:
        # What is still buffered must not be tried again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise ReaderGoneError(STANDARD) from error
        raise output_error(STANDARD, error) from error


def write_whole(path: str, data: bytes) -> None:
    """Write a file in one go; raises OutputError."""
    with closing(LineFile(path)) as file:
        file.cut()
        file.write([data])


def write_replaced(path: str, data: bytes) -> None:
    """Write a file such that its name never stands for a part of it; raises OutputError.

    What is not a regular file, such as a FIFO, is written as usual.
    """

    from fastanomaly.sinks.replacing import replace_file  # noqa: PLC0415 - few runs need it

    def write(fd: int) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]

    try:
        if irregular(path) is None:
            replace_file(path, write, durable=False)
        else:
            write_whole(path, data)
    except OutputError:
        raise
    except (OSError, ValueError) as error:
        raise output_error(path, error) from error
