"""Files, FIFOs and standard input as bytes: reads wait for data, with a limit if asked."""

from __future__ import annotations

import io
import os
import stat
import sys
import time
from typing import TYPE_CHECKING, Any

from fastanomaly.names import STANDARD

if TYPE_CHECKING:
    from fastanomaly.waiting import Waiter


class InputFile(io.RawIOBase):
    """A file, FIFO or standard input whose reads wait until there is something to read.

    A FIFO is opened without waiting for a writer: the first read waits.

    Parameters
    ----------
    path : str
        ``-`` for standard input.
    waiter : Waiter
        Does the waiting.
    tick : float, optional
        A read returns None after so many seconds without data.
    until_idle : float, optional
        The input ends after so many seconds without data.
    """

    def __init__(
        self,
        path: str,
        waiter: Waiter,
        tick: float | None = None,
        until_idle: float | None = None,
    ) -> None:
        self.path = path
        self._waiter = waiter
        self._tick = tick
        self._until_idle = until_idle
        self._read_at = time.monotonic()  # when data came last
        self._file = self._open()

    def _open(self) -> io.FileIO:
        if self.path != STANDARD:
            return io.FileIO(self.path, opener=open_without_waiting)
        if sys.stdin is None:
            raise OSError("standard input is closed")
        return io.FileIO(sys.stdin.fileno(), closefd=False)

    def read(self, size: int = -1) -> bytes | None:
        """Read at most `size` bytes; b"" at the end, None at a tick."""
        while True:
            if self._waiter.wait(self._file.fileno(), self._patience()):
                data = self._file.read(size)
                if data is not None:  # else another process has read it
                    self._read_at = time.monotonic()
                    return data
            elif self.idle:
                return b""
            else:
                return None

    @property
    def idle(self) -> bool:
        """Whether no data has come for `until_idle` seconds."""
        return self._until_idle is not None and (
            time.monotonic() - self._read_at >= self._until_idle
        )

    @property
    def may_grow(self) -> bool:
        """Whether what was read last, up to the end, may be continued later."""
        return False

    def _patience(self) -> float | None:
        """Return how many seconds the next wait may take."""
        if self._until_idle is None:
            return self._tick
        rest = max(0.0, self._read_at + self._until_idle - time.monotonic())
        return rest if self._tick is None else min(rest, self._tick)

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer, through ticks."""
        while (data := self.read(len(buffer))) is None:
            pass
        buffer[: len(data)] = data
        return len(data)

    def open_next(self) -> bool:
        """At the end: open the file that continues this one; return whether there is one."""
        return False

    def readable(self) -> bool:
        """Return True."""
        return True

    @property
    def regular(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)

    def seekable(self) -> bool:
        """Return whether it has a position."""
        return self._file.seekable()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return how many bytes of a file have been read."""
        return self._file.tell()

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._file.fileno()

    def close(self) -> None:
        """Close it, except standard input."""
        self._file.close()
        super().close()


def open_without_waiting(path: str, flags: int) -> int:
    """Open a file; a FIFO without waiting for its other end."""
    return os.open(path, flags | os.O_NONBLOCK)
