"""Feeding logs to a detector: the one loop that runs, sweeps and explanations share."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from fastanomaly._core import end_of_lines
from fastanomaly.convert import Reading
from fastanomaly.errors import FeedError, LogReadError, UsageError
from fastanomaly.names import STANDARD
from fastanomaly.results import Fed
from fastanomaly.rules.parameters import MAX_LINE
from fastanomaly.rules.rejects import Rejected
from fastanomaly.runs.diagnosis import Diagnosis
from fastanomaly.runs.first_line import take_parameters
from fastanomaly.runs.inputs import Inputs, open_inputs, table_parameters
from fastanomaly.sources.base import Block, LongLine, Place, Rows, Source, SourceOptions

if TYPE_CHECKING:
    from fastanomaly.cluster.detector import AnyDetector
    from fastanomaly.detector import Detector

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
        How many bytes or rows of the current block have not been fed.
    before : bytes or None
        At a stop: the line that comes next, or the row as a line.
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


class Stops:
    """Lines or rows before which to stop, in the order in which they come.

    Attributes
    ----------
    next : int, Place or None
        The next one; None if there is none.
    """

    def __init__(self, wanted: Iterable[int | Place]) -> None:
        self._wanted = iter(wanted)
        self.advance()

    def advance(self) -> None:
        """Go on to the next one."""
        self.next = next(self._wanted, None)

    def line(self) -> int | None:
        """Return the number of the next line of a log."""
        return self.next.row if isinstance(self.next, Place) else self.next

    def index(self, rows: Rows, start: int) -> int | None:
        """Return which of some rows is the next one, at `start` or after it."""
        place = self.next
        if isinstance(place, int):
            place = Place(rows.origins[0].log, place)
        return None if place is None else rows.find(place, start)


def feed_blocks(
    detector: "AnyDetector",
    blocks: Iterable[Block],
    line: int,
    options: FeedOptions,
    *,
    part_lines: Callable[[], int | None] = lambda: None,
    stops: Iterable[int | Place] = (),
) -> Iterator[Part]:
    """Feed the blocks of a log or table, and yield a `Part` for each piece of one.

    Parameters
    ----------
    detector : Detector or ClusterDetector
    blocks : iterable of blocks
        See `fastanomaly.sources.base`. An empty block yields an empty part.
    line : int
        The number of the first line of a log.
    options : FeedOptions
    part_lines : callable, optional
        Returns the most lines that the next part may have, or None for no limit.
    stops : iterable of int or Place, optional
        Numbers of lines, or places of rows, before which to stop, in their order: the part
        yielded there has the line in `before`, and the line is fed after that.

    Raises
    ------
    FeedError
        If memory runs out; what was fed before has been yielded.
    """
    waiting = Stops(stops)
    for block in blocks:
        if isinstance(block, Rows):
            yield from _feed_rows(detector, block, options, part_lines, waiting)
            continue
        if isinstance(block, LongLine):
            if waiting.line() == line:
                yield Part(Fed(0, [], []), options.judge, before=b"")
                waiting.advance()
            rejected = Rejected(options.path, line, "line_too_long", b"")
            yield Part(Fed(1, [], [rejected]), options.judge, pieces=block.pieces)
            line += 1
            continue
        if not block:
            yield Part(Fed(0, [], []), options.judge)
        view = memoryview(block)
        start = 0
        while start < len(view):
            if waiting.line() == line:
                before = bytes(view[start : end_of_lines(view, start, 1)])
                before = before.removesuffix(b"\n").removesuffix(b"\r")
                yield Part(Fed(0, [], []), options.judge, len(view) - start, before)
                waiting.advance()
            stop = waiting.line()
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


def _feed_rows(
    detector: "AnyDetector",
    rows: Rows,
    options: FeedOptions,
    part_lines: Callable[[], int | None],
    stops: Stops,
) -> Iterator[Part]:
    """Feed a block of rows; see `feed_blocks`."""
    from fastanomaly.tables.feeding import row_line  # noqa: PLC0415 - for tables only

    start = 0
    if not len(rows) and not rows.rejected:
        yield Part(Fed(0, [], []), options.judge)
    while start < len(rows) or (start == 0 and rows.rejected):
        stop = stops.index(rows, start)
        if stop == start:
            before = row_line(rows, start)
            yield Part(Fed(0, [], []), options.judge, len(rows) - start, before)
            stops.advance()
            stop = stops.index(rows, start)
        limits = (len(rows), stop, _plus(start, part_lines()))
        end = min(limit for limit in limits if limit is not None)
        part, end, failure = _feed_some(detector, rows, start, end, options)
        yield part
        if failure is not None:
            raise failure
        start = end
        del part  # it can be large: free it before the next part is fed
        if end == len(rows):
            break


def _plus(start: int, count: int | None) -> int | None:
    return None if count is None else start + count


def _feed_some(
    detector: "AnyDetector", rows: Rows, start: int, stop: int, options: FeedOptions
) -> tuple[Part, int, FeedError | None]:
    """Feed some rows; return the part, where it ends, and the failure if there is one."""
    from fastanomaly.tables.feeding import feed_rows  # noqa: PLC0415 - for tables only

    fed, end, failure = feed_rows(
        detector, rows, start, stop, options.judge, options.strict, _max_rejected(options)
    )
    unread = len(rows) - end
    return Part(fed, options.judge, unread, failed=failure is not None), end, failure


def _max_rejected(options: FeedOptions) -> int:
    return 1 if options.strict else MAX_REJECTED


def _feed(
    detector: "AnyDetector", text: memoryview, line: int, options: FeedOptions
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
    inputs: Inputs,
    begin: "Callable[[dict[str, int]], Detector]",
    *,
    reading: Reading,
    given: Mapping[str, int] | None = None,
    max_line: int = MAX_LINE,
    stops: Iterable[int | Place] = (),
    on_read: Callable[[Source], object] | None = None,
    on_notice: Callable[[str], object] | None = None,
    diagnosis: Diagnosis | None = None,
) -> Iterator[Part]:
    """Replay history and what is judged without writing anything.

    Parameters
    ----------
    inputs : Inputs
        See `check_inputs`.
    begin : callable
        Makes the detector, given D and T.
    reading : Reading
        What is accepted as a time and an amount, as in the detector.
    given : mapping, optional
        D or T, instead of the batch log's.
    max_line : int
        Longer lines are rejected, in bytes.
    stops : iterable of int or Place
        Lines or rows of the second input before which to stop, see `feed_blocks`.
    on_read : callable, optional
        Called with the source after each part of it.
    on_notice : callable, optional
        Called with text that the operator should know, such as which columns were guessed.
    diagnosis : Diagnosis, optional
        Filled during the replay; begun anew.

    Raises
    ------
    UsageError
        If an input cannot be opened, or D or T is missing or out of range.
    OSError
        If an input fails while it is read.
    """
    diagnosis = diagnosis or Diagnosis()
    diagnosis.name_logs(*inputs.titles, inputs.split_at)
    with ExitStack() as stack:
        how = SourceOptions(max_line)
        past, present = open_inputs(inputs, (how, how), reading)
        assert past is not None
        assert present is not None
        for source in (past, present):
            stack.callback(source.close)
            if on_notice is not None and source.notice:
                on_notice(source.notice)
        blocks = diagnosis.batch.watch(past.blocks())
        if inputs.batch_table:
            line, found = 1, table_parameters(inputs.batch, given or {})
        else:
            taken = take_parameters(inputs.batch, blocks, given or {}, max_line)
            blocks, line, found = taken
        detector = begin(found)
        options = FeedOptions(inputs.batch, judge=False, max_line=max_line)
        for part in feed_blocks(detector, blocks, line, options):
            if on_read is not None:
                on_read(past)
            diagnosis.batch.add(part.fed.rejected)
            yield part
        before = detector.counts.events
        diagnosis.batch.events = before
        diagnosis.stream.events = None  # until it has been read to its end
        options = FeedOptions(inputs.stream, judge=True, max_line=max_line)
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
