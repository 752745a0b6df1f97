"""Writing lines: whole ones, at once, and cut back to whole ones when a write fails."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from collections.abc import Iterable

from fastanomaly.errors import OutputError, UsageError
from fastanomaly.sources.files import STANDARD
from fastanomaly.waiting import Waiter

_FIFO_SECONDS = 0.02


class LineWriter:
    """An output of lines, unbuffered; a context manager.

    Opening it leaves an existing file as it is, until `start` empties it.

    Parameters
    ----------
    path : str
        ``-`` for standard output.
    waiter : Waiter, optional
        Waits for somebody to read a FIFO.

    Attributes
    ----------
    length : int
        How many bytes have been written.
    regular : bool
        Whether it is a plain file, which can be cut, and not standard output.

    Raises
    ------
    OutputError
        If it cannot be opened.
    """

    def __init__(
        self,
        path: str,
        waiter: Waiter | None = None,
    ) -> None:
        self.path = path
        self.length = 0
        try:
            if path != STANDARD:
                self._fd = _open(path, waiter or Waiter())
            elif sys.stdout is not None:
                self._fd = os.dup(sys.stdout.fileno())
            else:
                raise OSError("standard output is closed")
            # Standard output may be a file that others write to as well: leave its length.
            self.regular = path != STANDARD and stat.S_ISREG(os.fstat(self._fd).st_mode)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            raise _output_error(path, error) from error

    def __enter__(self) -> LineWriter:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def expect(self, length: int) -> None:
        """Refuse a file that is shorter than what is to be kept of it.

        Raises
        ------
        UsageError
            Names the file and both lengths.
        """
        if self.regular and (size := os.fstat(self._fd).st_size) < length:
            raise UsageError(
                f"{self.path}: {size} bytes, but {length} were written before the checkpoint "
                "(--fresh starts over)"
            )

    def start(self, length: int = 0) -> None:
        """Cut the file to what is to be kept of it."""
        if self.regular:
            os.ftruncate(self._fd, length)
            os.lseek(self._fd, length, os.SEEK_SET)
            self.length = length

    def fileno(self) -> int:
        """Give the file descriptor."""
        return self._fd

    def write(self, pieces: Iterable[bytes]) -> None:
        """Write what is one or more whole lines when put together.

        Whatever breaks it off, an exception from `pieces` included, a regular file then
        ends with the last line that was whole.

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
                    line_end = bytes(view[:count]).rfind(b"\n") + 1
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
            raise OutputError(f"{self.path}: {error.strerror}") from error


def _output_error(path: str, error: OSError | ValueError) -> OutputError:
    return OutputError(f"{path}: {(isinstance(error, OSError) and error.strerror) or error}")


def _open(path: str, waiter: Waiter) -> int:
    """Open an output; a FIFO is waited for until somebody reads it."""
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


def print_text(text: str) -> None:
    """Write text for people to standard output, at once.

    Raises
    ------
    OutputError
        If it is closed, or fails.
    """
    if sys.stdout is None:
        raise OutputError(f"{STANDARD}: standard output is closed")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # it need not be able to say all
    try:
        print(text, flush=True)
    except OSError as error:
        # What could not be written is not to be tried again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputError(f"{STANDARD}: {error.strerror}") from error


def write_whole(path: str, data: bytes) -> None:
    """Write a file that is all there at once; raises OutputError."""
    with LineWriter(path) as writer:
        writer.start()
        writer.write([data])


def check_outputs(inputs: list[str], outputs: list[str]) -> None:
    """Refuse to overwrite an input, or to write two outputs to one file.

    Raises
    ------
    UsageError
        Names both paths.
    """
    for i, output in enumerate(outputs):
        for log in inputs:
            if _same_file(output, log, other_is_output=False):
                raise UsageError(f"{output}: is to be written, but is also the log {log}")
        for other in outputs[:i]:
            if output == other == STANDARD or _same_file(output, other, other_is_output=True):
                raise UsageError(f"{output}: is to be written twice, as {other} too")


def check_folders(outputs: list[str]) -> None:
    """Refuse outputs in folders that are not there, before the work and not after it.

    Raises
    ------
    OutputError
        As when it is opened.
    """
    for output in outputs:
        if output == STANDARD:
            continue
        try:
            os.stat(os.path.join(os.path.dirname(output) or os.curdir, ""))
        except (OSError, ValueError) as error:
            raise _output_error(output, error) from error


def _same_file(output: str, other: str, other_is_output: bool) -> bool:
    """Whether an output and another path are one regular file, or will be."""
    try:
        here, there = _stat(output, 1), _stat(other, 1 if other_is_output else 0)
    except (OSError, ValueError):
        # One is not there yet: then they are the same if their names lead to one place.
        return STANDARD not in (output, other) and (
            os.path.realpath(output) == os.path.realpath(other)
        )
    return stat.S_ISREG(here.st_mode) and os.path.samestat(here, there)


def _stat(path: str, standard_fd: int) -> os.stat_result:
    return os.fstat(standard_fd) if path == STANDARD else os.stat(path)
