"""Following a log that grows, as tail -F does: through renames and truncations.

At the end of what is there, the file is looked at again a hundred times a second. When its
name stands for another file, what was still written to the old one is read first; a file
that is shorter than what was read of it begins anew; a FIFO waits for the next writer.
"""

from __future__ import annotations

import io
import os
import time

from fastanomaly.sources.files import Source, open_at_once

POLL_SECONDS = 0.01
GRACE_SECONDS = 0.1
"""How long the old file of a name is still read: its writers may not know yet."""


class FollowedSource(Source):
    """A `Source` that does not end where its file does."""

    _replaced_at: float | None = None
    _ended = False

    def _open(self) -> io.FileIO:
        while True:
            try:
                return super()._open()
            except FileNotFoundError:
                if not os.path.isdir(os.path.dirname(self.path) or "."):
                    raise
                # It is still to come, or about to be put in place.
                self._waiter.wait(None, POLL_SECONDS)

    def read(self, size: int = -1) -> bytes | None:
        """Read what there is; None at a tick, b"" where a file ends for good."""
        if not self.regular:
            return super().read(size)
        due = None if self._tick is None else time.monotonic() + self._tick
        while True:
            self._waiter.wait(None, 0)  # for a signal that came meanwhile
            data = self._file.read(size)
            if data:
                self._busy_at = time.monotonic()
                return data
            if self._over():
                return b""
            if self.idle:
                self._ended = True
                return b""
            if due is not None and time.monotonic() >= due:
                return None
            self._waiter.wait(None, POLL_SECONDS)

    def _over(self) -> bool:
        """Whether this file, read to its end, has been truncated or replaced."""
        own = os.fstat(self._file.fileno())
        if own.st_size < self._file.tell():
            return True
        try:
            named = os.stat(self.path)
        except FileNotFoundError:
            return False  # renamed, and the next is still to come
        if os.path.samestat(own, named):
            return False
        now = time.monotonic()
        if self._replaced_at is None:
            self._replaced_at = now
        return now - self._replaced_at >= GRACE_SECONDS

    def is_file(self, file: tuple[int, int]) -> bool:
        """Whether this is the file of that device and number."""
        stat = os.fstat(self._file.fileno())
        return (stat.st_dev, stat.st_ino) == tuple(file)

    def find(self, file: tuple[int, int]) -> bool:
        """Turn to a file of that device and number whose name begins with this one's.

        So is called what was renamed when the log was rotated.
        """
        folder, name = os.path.split(self.path)
        with os.scandir(folder or ".") as entries:
            for entry in entries:
                if entry.name.startswith(name) and entry.is_file():
                    stat = entry.stat()
                    if (stat.st_dev, stat.st_ino) == tuple(file):
                        found = io.FileIO(entry.path, opener=open_at_once)
                        self._file.close()
                        self._file = found
                        return True
        return False

    def go_on(self) -> bool:
        """Turn to what is to be read next, unless all is over."""
        if self._ended or (not self.regular and self.idle):
            return False
        self._replaced_at = None
        # A FIFO is opened before it is closed: what is in it stays in it.
        following = self._open()
        self._file.close()
        self._file = following
        return True
