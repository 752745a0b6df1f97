"""Stopping a run at the user's word: after the event in hand, with whole lines written."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType


class Stopped(BaseException):
    """SIGINT or SIGTERM came; `exit_status` is the one to leave with."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_status = 128 + signum


class StopSignals:
    """While this context lasts, SIGINT and SIGTERM stop the run between two reads.

    Work in hand is finished and written, even if whoever reads the output keeps it
    waiting; only waiting for input is broken off. A second signal has its usual effect,
    at once.
    """

    def __init__(self) -> None:
        self._signum = 0
        self._waiting = False
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> StopSignals:
        for signum in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(signum) is signal.SIG_IGN:
                continue  # as for a job in the background
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

    def _stop(self, signum: int, frame: FrameType | None) -> None:
        self._signum = signum
        for other in self._handlers:
            signal.signal(other, signal.SIG_DFL)
        if self._waiting:
            raise Stopped(signum)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Give the context for a read: a signal before or in it raises Stopped."""
        self._waiting = True
        try:
            if self._signum:
                raise Stopped(self._signum)
            yield
        finally:
            self._waiting = False
