"""Waiting for what may take its time: input, the other end of a FIFO, the clock."""

from __future__ import annotations

import select
import time


class Waiter:
    """Waits until something can be read, without end if need be."""

    def wait(self, fd: int | None, seconds: float | None = None) -> bool:
        """Wait until a read will not block, or for so long; whether it will not.

        Parameters
        ----------
        fd : int or None
            What is to be read; None to wait for the time alone.
        seconds : float, optional
            How long at most; by default without end.
        """
        if fd is None:
            time.sleep(seconds or 0)
            return False
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(None if seconds is None else seconds * 1000))
