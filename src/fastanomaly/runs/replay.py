"""Feeding logs to a detector: the one loop that runs, sweeps and explanations share."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from typing import NamedTuple

from fastanomaly._core import end_of_lines
from fastanomaly.detector import Detector
from fastanomaly.errors import FeedError, LogReadError, UsageError
from fastanomaly.names import STANDARD
from fastanomaly.results import Fed
from fastanomaly.rules.parameters import MAX_LINE
from fastanomaly.rules.rejects import Rejected
from fastanomaly.runs.diagnosis import Diagnosis
from fastanomaly.runs.first_line import take_parameters
from fastanomaly.sources.base import Lines, LongLine, Source, SourceOptions, open_source

MAX_REJECTED = 8192
"""The most rejected lines of one part: it bounds the memory that a block of garbage needs."""


class FeedOptions(NamedTuple):
    """How a log is fed.

    Attributes
    ----------
    path : str
        The log's name.
    judge : bool
        Whether purchases are judged (stream log) or only recorded (batch log).
    max_line : int
        Longer lines are rejected, in bytes.
    strict : bool
        End a part after its first rejected line.
    """

    path: str
    judge: bool
    max_line: int
    strict: bool = False


class Part(NamedTuple):
    """The result of feeding some lines of a log.

    Attributes
    ----------
    fed : Fed
        Flags and rejected lines.
    judged : bool
        Whether they are lines of the stream log.
    unread : int
        How many bytes of the current block have not been fed.
    before : bytes or None
        At a stop: the line that comes next.
    pieces : iterator of bytes or None
        The text of a line that is too long; what is not read of it is skipped.
    failed : bool
        Whether feeding failed after these lines; the error is raised next.
    """

    fed: Fed
    judged: bool
    unread: int = 0
    before: bytes | None = None
    pieces: Iterator[bytes] | None = None
    failed: bool = False


def feed_blocks(
    detector: Detector,
    blocks: Iterable[Lines],
    line: int,
    options: FeedOptions,
    *,
    part_lines: Callable[[], int | None] = lambda: None,
    stops: Iterable[int] = (),
) -> Iterator[Part]:
    """Feed the blocks of a log, and yield a `Part` for each piece of a block that was fed.

    Parameters
    ----------
    detector : Detector
    blocks : iterable of blocks
        See `fastanomaly.sources.base`. An empty block yields an empty part.
    line : int
        The number of the first line.
    options : FeedOptions
    part_lines : callable, optional
        Returns the most lines that the next part may have, or None for no limit.
    stops : iterable of int, optional
        Ascending numbers of lines before which to stop: the part yielded there has the
        line in `before`, and the line is fed after that.

    Raises
    ------
    FeedError
        If memory runs out; what was fed before has been yielded.
    """
    wanted = iter(stops)
    stop = next(wanted, None)
    for block in blocks:
        if isinstance(block, LongLine):
            if stop == line:
                yield Part(Fed(0, [], []), options.judge, before=b"")
                stop = next(wanted, None)
            rejected = Rejected(options.path, line, "line_too_long", b"")
            yield Part(Fed(1, [], [rejected]), options.judge, pieces=block.pieces)
            line += 1
            continue
        if not block:
            yield Part(Fed(0, [], []), options.judge)
        view = memoryview(block)
        start = 0
        while start < len(view):
            if stop == line:
                before = bytes(view[start : end_of_lines(view, start, 1)])
                before = before.removesuffix(b"\n").removesuffix(b"\r")
                yield Part(Fed(0, [], []), options.judge, len(view) - start, before)
                stop = next(wanted, None)
            limits = [part_lines(), None if stop is None else stop - line]
            most = min((limit for limit in limits if limit is not None), default=None)
            end = len(view) if most is None else end_of_lines(view, start, most)
            fed, failure = _feed(detector, view[start:end], line, options)
            if failure is not None or len(fed.rejected) >= _max_rejected(options):
                end = end_of_lines(view, start, fed.lines)
            line += fed.lines
            yield Part(fed, options.judge, len(view) - end, failed=failure is not None)
            if failure is not None:
                raise failure
            start = end
            del fed  # it can be large: free it before the next part is fed


def _max_rejected(options: FeedOptions) -> int:
    return 1 if options.strict else MAX_REJECTED


def _feed(
    detector: Detector, text: memoryview, line: int, options: FeedOptions
) -> tuple[Fed, FeedError | None]:
    """Feed lines; return the result, up to the failure if there is one, and the failure."""
    try:
        fed = detector.feed(
            text,
            judge=options.judge,
            log=options.path,
            first_line=line,
            max_line=options.max_line,
            max_rejected=_max_rejected(options),
        )
    except FeedError as error:
        return error.fed, error
    return fed, None


def replay_logs(
    batch: str,
    stream: str,
    begin: Callable[[dict[str, int]], Detector],
    *,
    given: Mapping[str, int] | None = None,
    max_line: int = MAX_LINE,
    stops: Iterable[int] = (),
    on_read: Callable[[Source], object] | None = None,
    diagnosis: Diagnosis | None = None,
) -> Iterator[Part]:
    """Replay a batch log and a stream log without writing anything.

    Parameters
    ----------
    batch, stream : str
        Names of the logs; ``-`` for standard input.
    begin : callable
        Makes the detector, given D and T.
    given : mapping, optional
        D or T, instead of the batch log's.
    max_line : int
        Longer lines are rejected, in bytes.
    stops : iterable of int
        Ascending numbers of lines of the stream log before which to stop, see
        `feed_blocks`.
    on_read : callable, optional
        Called with the source after each part of it.
    diagnosis : Diagnosis, optional
        Filled during the replay; begun anew.

    Raises
    ------
    UsageError
        If a log cannot be opened, or D or T is missing or out of range.
    OSError
        If a log fails while it is read.
    """
    diagnosis = diagnosis or Diagnosis()
    diagnosis.name_logs(batch, stream)
    with ExitStack() as stack:
        past, present = (
            stack.enter_context(closing(open_source(path, SourceOptions(max_line))))
            for path in (batch, stream)
        )
        blocks = diagnosis.batch.watch(past.blocks())
        blocks, line, found = take_parameters(batch, blocks, given or {}, max_line)
        detector = begin(found)
        options = FeedOptions(batch, judge=False, max_line=max_line)
        for part in feed_blocks(detector, blocks, line, options):
            if on_read is not None:
                on_read(past)
            diagnosis.batch.add(part.fed.rejected)
            yield part
        before = detector.counts.events
        diagnosis.batch.events = before
        diagnosis.stream.events = None  # until it has been read to its end
        options = FeedOptions(stream, judge=True, max_line=max_line)
        blocks = diagnosis.stream.watch(present.blocks())
        for part in feed_blocks(detector, blocks, 1, options, stops=stops):
            if on_read is not None:
                on_read(present)
            diagnosis.stream.add(part.fed.rejected)
            diagnosis.see_times(detector)
            yield part
        diagnosis.stream.events = detector.counts.events - before


@contextmanager
def unchanged_files(paths: Iterable[str], what: str) -> Iterator[None]:
    """Check that logs which are read more than once do not change.

    Raises
    ------
    UsageError
        If a log can be read only once.
    LogReadError
        At the end, if a log has changed.
    """
    paths = list(paths)
    for path in paths:
        # A missing log is reported when it is opened.
        if path == STANDARD or (os.path.exists(path) and not os.path.isfile(path)):
            raise UsageError(f"{path}: {what} reads the logs more than once: use files")
    before = list(map(_file_state, paths))
    try:
        yield
    except Exception:
        # The error may come from a change: then the change is reported.
        _expect_unchanged(paths, before)
        raise
    _expect_unchanged(paths, before)


def _file_state(path: str) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _expect_unchanged(paths: list[str], before: list[tuple[int, ...] | None]) -> None:
    for path, state in zip(paths, before, strict=True):
        if _file_state(path) != state:
            raise LogReadError(f"{path}: the log changed while it was read more than once")
