"""Stopping a run by a signal: between two events, with whole lines written."""

from __future__ import annotations

import os
import select
import signal
from types import FrameType, TracebackType

from fastanomaly.errors import Stopped
from fastanomaly.waiting import Waiter


class StopSignals(Waiter):
    """While this context lasts, SIGINT and SIGTERM end the run where it would wait.

    What has been read is judged and written, even if the reader of the output is slow; only
    waiting for input is interrupted. A second signal has its usual effect, at once.
    """

    def __init__(self) -> None:
        self._signum = 0
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> StopSignals:
        # Through this pipe, a signal that comes just before a wait ends the wait.
        self._woken, self._wakeup = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wakeup, False)
        self._wakeup_before = signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        for signum in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(signum) is signal.SIG_IGN:
                continue  # as shells do for background jobs
            self._handlers[signum] = signal.signal(signum, self._stop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for signum, handler in self._handlers.items():
            signal.signal(signum, handler)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._woken)
        os.close(self._wakeup)

    def _stop(self, signum: int, frame: FrameType | None) -> None:
        self._signum = signum
        for other in self._handlers:
            signal.signal(other, signal.SIG_DFL)

    def wait(self, fd: int | None, seconds: float | None = None) -> bool:
        """Wait like a Waiter; raise Stopped if a signal came before or comes meanwhile."""
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        if fd is not None:
            poll.register(fd, select.POLLIN)
        ready = [found for found, _ in poll.poll(None if seconds is None else seconds * 1000)]
        if self._woken in ready:
            os.read(self._woken, 1024)
        if self._signum:
            raise Stopped(self._signum)
        return fd in ready
