"""When checkpoints are due, and what is known of them."""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

from fastanomaly.errors import CheckpointError, ParameterError
from fastanomaly.runs.run_state import check_run_state
from fastanomaly.state_file import name_in_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from fastanomaly.cluster.detector import AnyDetector
    from fastanomaly.runs.run_state import RunState
    from fastanomaly.sinks.base import Sink


class Every(NamedTuple):
    """The interval of checkpoints: in lines or in seconds, the other being None."""

    lines: int | None
    seconds: float | None


def check_every(value: str | int) -> Every:
    """Return the interval that ``500`` (lines) or ``30s`` stands for.

    Raises
    ------
    ParameterError
        If it is neither; names the value.
    """
    text = str(value)
    if re.fullmatch("[0-9]{1,18}", text) and int(text) > 0:
        return Every(int(text), None)
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?s", text) and float(text[:-1]) > 0:
        return Every(None, float(text[:-1]))
    raise ParameterError(f"every: {value!r} is neither a number of lines nor seconds like 30s")


class Checkpoints(ABC):
    """The checkpoints of one run; a context manager.

    Parameters
    ----------
    folder : str
        Where they are.
    every : Every
        The interval.
    notice : callable
        Called with text that the operator should know.

    Attributes
    ----------
    written : int
        Checkpoints written by this run.
    written_at : float or None
        When the newest was begun, as time.time.
    seconds, stall_seconds : float
        How long the last one took, and how long the run was stopped for it.
    """

    def __init__(self, folder: str, every: Every, notice: Callable[[str], object]) -> None:
        self.folder = folder
        self.every = every
        self.written = 0
        self.written_at: float | None = None
        self.seconds = 0.0
        self.stall_seconds = 0.0
        self._notice = notice
        self._begun = 0.0
        self._lines = 0  # since the last one
        self._next_at = time.monotonic() + (every.seconds or 0)

    @abstractmethod
    def __enter__(self) -> Self:
        """Take the folder for this run; raises UsageError if another run uses it."""

    @abstractmethod
    def __exit__(self, *_: object) -> None:
        """Leave it to others."""

    @abstractmethod
    def newest(self) -> tuple[AnyDetector, RunState] | None:
        """Read the newest checkpoint that is whole; None if there is none at all.

        Raises
        ------
        CheckpointError
            If there are checkpoints, but all are damaged.
        """

    @abstractmethod
    def forget(self) -> None:
        """Remove the checkpoints in the folder."""

    @abstractmethod
    def begin(self, detector: AnyDetector, state: RunState, sinks: Sequence[Sink]) -> None:
        """Write a checkpoint, perhaps while the run continues; a failure is a notice."""

    @abstractmethod
    def finish(self, detector: AnyDetector, state: RunState, sinks: Sequence[Sink]) -> None:
        """Write a checkpoint now; raises OSError if it cannot be written."""

    @abstractmethod
    def poll(self) -> None:
        """Take note of what has ended."""

    def lines_left(self) -> int | None:
        """Return how many lines may be read before the next one; None if by seconds."""
        return None if self.every.lines is None else max(1, self.every.lines - self._lines)

    def due(self, lines: int) -> bool:
        """Return whether a checkpoint is due after so many more lines."""
        self._lines += lines
        self.poll()
        if self._busy or not self._lines:
            return False
        if self.every.lines is not None:
            return self._lines >= self.every.lines
        return time.monotonic() >= self._next_at

    @property
    def _busy(self) -> bool:
        """Whether one is still being written."""
        return False

    def _start(self) -> None:
        self._begun = time.monotonic()
        self._begun_at = time.time()
        self._lines = 0

    def _done(self) -> None:
        self.written += 1
        self.written_at = self._begun_at
        self.seconds = time.monotonic() - self._begun
        self._next_at = self._begun + (self.every.seconds or 0)

    def _failed(self, name: str, reason: str | None, good: object) -> None:
        """Tell that one could not be written; `good` is the one before it, if there is one."""
        self._next_at = time.monotonic() + (self.every.seconds or 0)
        before = "the checkpoint before it is kept" if good else "there is none yet"
        self._notice(f"{name}: cannot be written: {reason}; {before}")


def run_of(name: str, members: dict[str, Any]) -> RunState:
    """Return the state of a run in the header or manifest of a checkpoint of that name.

    Raises
    ------
    CheckpointError
        If there is none, or no run has stored it.
    """
    if "run" not in members:
        raise CheckpointError(f"{name}: holds a detector's state, but not a run's")
    try:
        return check_run_state(members["run"])
    except ValueError as error:
        member, colon, fault = str(error).partition(":")
        what = f"{name_in_file(member)}{colon}{fault}"
        raise CheckpointError(f"{name}: altered: {what}") from error
