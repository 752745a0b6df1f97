"""Following a growing log like tail -F: through renames and truncations.

At the end of the file, its size and name are checked a hundred times a second. When the
name belongs to another file, what is still written to the old one is read first; a file
that is shorter than what was read of it is read from its beginning; a FIFO waits for the
next writer. A file that cannot be opened is reported and tried again.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from fastanomaly.sources.compressed import is_compressed
from fastanomaly.sources.files import InputFile, open_without_waiting

if TYPE_CHECKING:
    from fastanomaly.waiting import Waiter

POLL_SECONDS = 0.01
GRACE_SECONDS = 0.1
"""How long a renamed file is still read: its writers may not have noticed yet."""


class FollowedFile(InputFile):
    """An `InputFile` that does not end where the file ends.

    Parameters
    ----------
    path, waiter, tick, until_idle
        See `InputFile`.
    on_notice : callable
        Called with text that the operator should know.
    """

    def __init__(
        self,
        path: str,
        waiter: Waiter,
        tick: float | None,
        until_idle: float | None,
        on_notice: Callable[[str], object],
    ) -> None:
        self._on_notice = on_notice
        self._fault = False  # the file cannot be opened, which has been reported
        self._replaced_at: float | None = None
        self._hung_up = False  # the last writer of a FIFO has closed it
        self._following: io.FileIO | None = None
        self._ended = False
        super().__init__(path, waiter, tick, until_idle)

    def _open(self) -> io.FileIO:
        """Open the file; wait while it does not exist or may not be read, until idle."""
        while True:
            try:
                file = super()._open()
            except (FileNotFoundError, PermissionError) as error:
                if self.idle or not os.path.isdir(os.path.dirname(self.path) or "."):
                    raise
                # It will be created, or is about to be renamed into place.
                self._report(error)
                self._waiter.wait(None, POLL_SECONDS)
            else:
                self._report(None)
                self._read_at = time.monotonic()
                return file

    def _open_following(self) -> bool:
        """Open the file that has the name now; return whether that succeeded."""
        try:
            self._following = super()._open()
        except OSError as error:
            self._report(error)
            return False
        self._report(None)
        return True

    def _report(self, error: OSError | None) -> None:
        """Report that the file cannot be opened, once, or that it can be again."""
        if error is None and self._fault:
            self._fault = False
            self._on_notice(f"{self.path}: could be opened now: continuing")
        # A missing file is the usual moment between two files.
        elif (
            error is not None and not self._fault and not isinstance(error, FileNotFoundError)
        ):
            self._fault = True
            self._on_notice(f"{self.path}: cannot be opened: {error.strerror}; trying again")

    def read(self, size: int = -1) -> bytes | None:
        """Read what there is; None at a tick, b"" where this file ends."""
        if not self.regular and not self._hung_up:
            data = super().read(size)
            if data != b"" or self.idle:
                return data
            self._hung_up = True
        due = None if self._tick is None else time.monotonic() + self._tick
        while True:
            self._waiter.wait(None, 0)  # for a signal that came in the meantime
            if self.regular:
                data = self._file.read(size)
                if data:
                    self._read_at = time.monotonic()
                    return data
            if self._next_is_open():
                return b""
            if self.idle:
                self._ended = True
                return b""
            if due is not None and time.monotonic() >= due:
                return None
            self._waiter.wait(None, POLL_SECONDS)

    @property
    def may_grow(self) -> bool:
        """Whether what was read last, up to the end, may be continued later."""
        return self._ended and self.regular

    def _next_is_open(self) -> bool:
        """Return whether this file, read to its end, has ended; open what follows it."""
        if not self.regular:
            # Opened before this one is closed, so that what is in a FIFO is kept.
            return self._open_following()
        own = os.fstat(self._file.fileno())
        truncated = own.st_size < self._file.tell()
        try:
            named = os.stat(self.path)
        except OSError as error:
            self._report(error)  # if it is missing: renamed, and there is no next one yet
            named = own
        if os.path.samestat(own, named):
            if truncated:
                self._following = self._file
            return truncated
        now = time.monotonic()
        if self._replaced_at is None:
            self._replaced_at = now
        if not truncated and now - self._replaced_at < GRACE_SECONDS:
            return False
        return self._open_following()

    def is_file(self, file: tuple[int, int]) -> bool:
        """Return whether this is the file with that device and inode number."""
        return _is_file(os.fstat(self._file.fileno()), file)

    def switch_to(self, file: tuple[int, int], accept: Callable[[int], bool]) -> None:
        """Read the log's earlier file, if it is found.

        It has that device and inode number, which another file may have got in the
        meantime: so `accept` must also return True for its descriptor.

        Raises
        ------
        OSError
            If a file with these numbers cannot be opened; names it.
        """
        for path in self._other_names():
            try:
                if not _is_file(os.stat(path), file):
                    continue
            except FileNotFoundError:  # removed or renamed meanwhile
                continue
            found = io.FileIO(path, opener=open_without_waiting)
            if accept(found.fileno()):
                self._file.close()
                self._file = found
                return
            found.close()

    def _other_names(self) -> Iterator[str]:
        """Yield the files that may be the log after rotation.

        Their names start with the log's; if that is a link, also those where it leads.
        """
        folder, name = os.path.split(self.path)
        folders = [(folder, name)]
        if os.path.islink(self.path):
            folders.append((os.path.dirname(os.path.realpath(self.path)), ""))
        for folder, start in folders:
            with os.scandir(folder or ".") as entries:
                for entry in entries:
                    if (
                        entry.name.startswith(start)
                        and entry.is_file()
                        and not is_compressed(entry.name)
                    ):
                        yield entry.path

    def open_next(self) -> bool:
        """Turn to the file that has the name now; return False if the log has ended."""
        following, self._following = self._following, None
        if following is None:
            return False
        self._replaced_at = None
        self._hung_up = False
        if following is self._file:
            following.seek(0)
        else:
            self._file.close()
            self._file = following
        return True


def _is_file(found: os.stat_result, file: tuple[int, int]) -> bool:
    return (found.st_dev, found.st_ino) == tuple(file)
