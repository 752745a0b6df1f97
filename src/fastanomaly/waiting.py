"""Waiting for input, for the other end of a FIFO, or for time to pass."""

from __future__ import annotations

import select
import time


class Waiter:
    """Waits until something can be read, without a limit unless one is given."""

    def wait(self, fd: int | None, seconds: float | None = None) -> bool:
        """Wait until a read will not block; return whether that is so.

        Parameters
        ----------
        fd : int or None
            The file descriptor to read from; None to wait for the time only.
        seconds : float, optional
            The longest wait; by default there is no limit.
        """
        if fd is None:
            time.sleep(seconds or 0)
            return False
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(None if seconds is None else seconds * 1000))
