"""Following a growing log like tail -F: through renames and truncations.

At the end of the file, its size and name are checked a hundred times a second. When the
name belongs to another file, what is still written to the old one is read first; a file
that is shorter than what was read of it is read from its beginning; a FIFO waits for the
next writer.
"""

from __future__ import annotations

import io
import os
import time

from fastanomaly.sources.files import InputFile, open_without_waiting

POLL_SECONDS = 0.01
GRACE_SECONDS = 0.1
"""How long a renamed file is still read: its writers may not have noticed yet."""


class FollowedFile(InputFile):
    """An `InputFile` that does not end where the file ends."""

    _replaced_at: float | None = None
    _ended = False

    def _open(self) -> io.FileIO:
        while True:
            try:
                return super()._open()
            except FileNotFoundError:
                if not os.path.isdir(os.path.dirname(self.path) or "."):
                    raise
                # It will be created, or is about to be renamed into place.
                self._waiter.wait(None, POLL_SECONDS)

    def read(self, size: int = -1) -> bytes | None:
        """Read what there is; None at a tick, b"" where this file ends."""
        if not self.regular:
            return super().read(size)
        due = None if self._tick is None else time.monotonic() + self._tick
        while True:
            self._waiter.wait(None, 0)  # for a signal that came in the meantime
            data = self._file.read(size)
            if data:
                self._read_at = time.monotonic()
                return data
            if self._replaced():
                return b""
            if self.idle:
                self._ended = True
                return b""
            if due is not None and time.monotonic() >= due:
                return None
            self._waiter.wait(None, POLL_SECONDS)

    def _replaced(self) -> bool:
        """Return whether this file, read to its end, has been truncated or replaced."""
        own = os.fstat(self._file.fileno())
        if own.st_size < self._file.tell():
            return True
        try:
            named = os.stat(self.path)
        except FileNotFoundError:
            return False  # renamed, and the next one does not exist yet
        if os.path.samestat(own, named):
            return False
        now = time.monotonic()
        if self._replaced_at is None:
            self._replaced_at = now
        return now - self._replaced_at >= GRACE_SECONDS

    def is_file(self, file: tuple[int, int]) -> bool:
        """Return whether this is the file with that device and inode number."""
        stat = os.fstat(self._file.fileno())
        return (stat.st_dev, stat.st_ino) == tuple(file)

    def switch_to(self, file: tuple[int, int]) -> bool:
        """Read the file with that device and inode number, if its name starts with ours.

        That is what a log is called after rotation.
        """
        folder, name = os.path.split(self.path)
        with os.scandir(folder or ".") as entries:
            for entry in entries:
                if entry.name.startswith(name) and entry.is_file():
                    stat = entry.stat()
                    if (stat.st_dev, stat.st_ino) == tuple(file):
                        found = io.FileIO(entry.path, opener=open_without_waiting)
                        self._file.close()
                        self._file = found
                        return True
        return False

    def open_next(self) -> bool:
        """Open the file that has the name now; return False if the log has ended."""
        if self._ended or (not self.regular and self.idle):
            return False
        self._replaced_at = None
        # A FIFO is opened again before it is closed, so that what is in it is kept.
        following = self._open()
        self._file.close()
        self._file = following
        return True
