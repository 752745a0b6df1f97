"""Where logs come from: plain files, FIFOs and standard input, as bytes that come in time."""

from __future__ import annotations

import io
import os
import stat
import sys
import time
from typing import TYPE_CHECKING, Any

from fastanomaly.waiting import Waiter

if TYPE_CHECKING:
    import threading

STANDARD = "-"
"""The path that stands for standard input or output."""


class Source(io.RawIOBase):
    """A file, FIFO, or standard input, whose reads wait for something to read.

    A FIFO is opened without waiting for who will write to it: the first read does.

    Parameters
    ----------
    path : str
        ``-`` for standard input.
    waiter : Waiter
        Does the waiting.
    tick : float, optional
        How many seconds a read waits before it gives None instead.
    until_idle : float, optional
        After how many seconds without a byte the end is taken to be there.
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
        self._busy_at = time.monotonic()
        self._file = self._open()

    def _open(self) -> io.FileIO:
        if self.path != STANDARD:
            return io.FileIO(self.path, opener=open_at_once)
        if sys.stdin is None:
            raise OSError("standard input is closed")
        return io.FileIO(sys.stdin.fileno(), closefd=False)

    def read(self, size: int = -1) -> bytes | None:
        """Read what there is, `size` bytes at most; b"" at the end, None at a tick."""
        while True:
            if self._waiter.wait(self._file.fileno(), self._patience()):
                data = self._file.read(size)
                if data is not None:  # else another reader was faster
                    self._busy_at = time.monotonic()
                    return data
            elif self.idle:
                return b""
            else:
                return None

    @property
    def idle(self) -> bool:
        """Whether nothing has come for so long that this is the end."""
        return self._until_idle is not None and (
            time.monotonic() - self._busy_at >= self._until_idle
        )

    def _patience(self) -> float | None:
        """How long to wait."""
        if self._until_idle is None:
            return self._tick
        rest = max(0.0, self._busy_at + self._until_idle - time.monotonic())
        return rest if self._tick is None else min(rest, self._tick)

    def read_now(self, size: int) -> bytes:
        """Read without waiting, for a plain file."""
        return self._file.read(size)

    def readinto(self, buffer: Any) -> int:
        """Read like `read`, into a buffer, whatever the time."""
        while (data := self.read(len(buffer))) is None:
            pass
        buffer[: len(data)] = data
        return len(data)

    def go_on(self) -> bool:
        """After the end: whether another file takes the place of this one."""
        return False

    def readable(self) -> bool:
        """Tell that it is."""
        return True

    @property
    def regular(self) -> bool:
        """Whether it is a plain file."""
        return stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)

    def seekable(self) -> bool:
        """Whether it has a position."""
        return self._file.seekable()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position."""
        return self._file.seek(offset, whence)

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


def open_at_once(path: str, flags: int) -> int:
    """Open a file as usual, a FIFO without waiting for the other end."""
    return os.open(path, flags | os.O_NONBLOCK)


class ReadAhead:
    """Reads a plain file's next block in a thread while the one before is used."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._thread: threading.Thread | None = None
        self._result: bytes | BaseException | None = None  # what the thread left

    def read(self, size: int) -> bytes | None:
        """Read a block, and begin with the next if there is likely to be one."""
        piece = self._source.read(size) if self._thread is None else self._finish()
        if piece is not None and len(piece) == size:
            self._start(size)
        return piece

    def _start(self, size: int) -> None:
        """Start the thread; where none can be had, the next block is read when it is due."""
        import threading  # noqa: PLC0415 - small logs need none

        thread = threading.Thread(target=self._read_next, args=(size,))
        try:
            thread.start()
        except RuntimeError:  # the system's limit of threads or of memory
            return
        self._thread = thread

    def _read_next(self, size: int) -> None:
        try:
            self._result = self._source.read_now(size)
        except BaseException as error:  # whatever it is, the reader must see it
            self._result = error

    def _finish(self) -> bytes:
        """Take the block that the thread has read.

        Raises
        ------
        BaseException
            Whatever error the thread ended with.
        """
        assert self._thread is not None
        self._source.read(0)  # for a signal that came meanwhile
        self._thread.join()
        self._thread = None
        result, self._result = self._result, None
        if isinstance(result, bytes):
            return result
        # A thread that left nothing ran out of memory before it called `_read_next`.
        raise MemoryError if result is None else result

    def close(self) -> None:
        """Wait for the thread."""
        if self._thread is not None:
            self._thread.join()
