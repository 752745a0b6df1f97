"""Replaying two logs to look into them: nothing is written, nothing is kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from fastanomaly.detector import Detector
from fastanomaly.errors import LogReadError, UsageError
from fastanomaly.results import Fed
from fastanomaly.rules.parameters import MAX_LINE
from fastanomaly.rules.rejects import Rejected
from fastanomaly.runs.detection import take_parameters
from fastanomaly.sources.files import STANDARD
from fastanomaly.sources.log import Lines, Log, LongLine


class Retraced(NamedTuple):
    """What came of some lines of a log.

    Attributes
    ----------
    fed : Fed
        Flags and rejected lines.
    judged : bool
        Whether they stand in the stream log.
    before : bytes or None
        At a stop: the line before which it is.
    """

    fed: Fed
    judged: bool
    before: bytes | None = None


@contextmanager
def unchanged_files(paths: Iterable[str], what: str) -> Iterator[None]:
    """Read logs more than once, all of the time the same ones.

    Raises
    ------
    UsageError
        If a log can be read only once.
    LogReadError
        At the end, if a log is not what it was.
    """
    paths = list(paths)
    for path in paths:
        # A log that is not there is told of by whoever opens it.
        if path == STANDARD or (os.path.exists(path) and not os.path.isfile(path)):
            raise UsageError(f"{path}: {what} reads the logs more than once: it needs files")
    before = list(map(_state, paths))
    try:
        yield
    except Exception:
        # A change may be what it came of: then that is what is told.
        _expect_unchanged(paths, before)
        raise
    _expect_unchanged(paths, before)


def _state(path: str) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _expect_unchanged(paths: list[str], before: list[tuple[int, ...] | None]) -> None:
    for path, state in zip(paths, before, strict=True):
        if _state(path) != state:
            raise LogReadError(f"{path}: the log changed while it was read more than once")


def retrace(
    batch: str,
    stream: str,
    begin: Callable[[dict[str, int]], Detector],
    *,
    given: dict[str, int] | None = None,
    max_line: int = MAX_LINE,
    stops: Iterable[int] = (),
    on_read: Callable[[Log], object] | None = None,
) -> Iterator[Retraced]:
    """Replay a batch log and a stream log, block by block.

    Parameters
    ----------
    batch, stream : str
        Paths of the logs, perhaps compressed; ``-`` for standard input.
    begin : callable
        Makes the detector, given D and T.
    given : dict, optional
        D or T, instead of the batch log's.
    max_line : int
        The longest line looked at, in bytes.
    stops : iterable of int
        Ascending numbers of lines of the stream log before which to stop once: then
        everything before has been yielded, and nothing of that line has been done.
    on_read : callable, optional
        Called with the log after each part read of it.

    Raises
    ------
    UsageError
        If a log cannot be opened, or D or T is missing or out of range.
    OSError
        If a log fails while it is read.
    """
    with ExitStack() as stack:
        past, present = (stack.enter_context(Log(path, max_line)) for path in (batch, stream))
        rest, line, found = take_parameters(batch, iter(past), given or {}, max_line)
        detector = begin(found)
        for part in _feed(detector, batch, rest, line, max_line, False, iter(())):
            _tell(on_read, past)
            yield part
        for part in _feed(detector, stream, iter(present), 1, max_line, True, iter(stops)):
            _tell(on_read, present)
            yield part


def _tell(on_read: Callable[[Log], object] | None, log: Log) -> None:
    if on_read is not None:
        on_read(log)


def _feed(
    detector: Detector,
    path: str,
    blocks: Iterator[Lines],
    line: int,
    max_line: int,
    judge: bool,
    stops: Iterator[int],
) -> Iterator[Retraced]:
    """Feed a log."""
    stop = next(stops, None)
    for block in blocks:
        if isinstance(block, LongLine):
            if stop == line:
                yield Retraced(Fed(0, [], []), judge, b"")
                stop = next(stops, None)
            rejected = Rejected(path, line, "line_too_long", b"")
            yield Retraced(Fed(1, [], [rejected]), judge)
            line += 1
            continue
        data = block if stop is None else bytes(block)
        start = 0
        while start < len(data):
            if stop == line:
                before = bytes(data[start : _end(bytes(data), start, 1)])
                yield Retraced(
                    Fed(0, [], []), judge, before.removesuffix(b"\n").removesuffix(b"\r")
                )
                stop = next(stops, None)
            end = len(data) if stop is None else _end(bytes(data), start, stop - line)
            fed = detector.feed(
                memoryview(data)[start:end],
                judge=judge,
                log=path,
                first_line=line,
                max_line=max_line,
            )
            line += fed.lines
            start = end
            yield Retraced(fed, judge)


def _end(data: bytes, start: int, count: int) -> int:
    """Where so many lines end, or the text."""
    for _ in range(count):
        start = data.find(b"\n", start) + 1
        if not start:
            return len(data)
    return start
