"""A run over two logs: feeding, writing and counting, and what a checkpoint notes of it."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from fastanomaly.detector import Detector
from fastanomaly.errors import FeedError, StrictError
from fastanomaly.results import Fed
from fastanomaly.rules.rejects import Rejected
from fastanomaly.sinks.lines import LineWriter
from fastanomaly.sources.log import Lines, Log, LongLine, Place

if TYPE_CHECKING:
    from fastanomaly.runs.checkpoints import Checkpoints


class Summary:
    """What a run did, up to where it ended, and before it was stopped, if it went on.

    Attributes
    ----------
    purchases, befriends, unfriends : int
        Valid events of both logs, by kind.
    flags : int
        Purchases flagged.
    users, friendships : int
        Known and standing at the end.
    rejected : dict of str to int
        Lines rejected, by reason.
    first_rejected : str or None
        The first of them, named.
    seconds : float
        Wall time of reading, judging and writing.
    done_before : bool
        Whether the checkpoint was that of a finished run, so that nothing was to be done.
    """

    def __init__(self) -> None:
        self.purchases = 0
        self.befriends = 0
        self.unfriends = 0
        self.flags = 0
        self.users = 0
        self.friendships = 0
        self.rejected: Counter[str] = Counter()
        self.first_rejected: str | None = None
        self.seconds = 0.0
        self.done_before = False

    def __repr__(self) -> str:
        return f"Summary({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"

    @property
    def events(self) -> int:
        """Valid events of all kinds."""
        return self.purchases + self.befriends + self.unfriends

    @property
    def events_per_second(self) -> float:
        """Valid events a second of wall time."""
        return self.events / self.seconds if self.seconds else 0.0

    def count(self, detector: Detector) -> None:
        """Take over what a detector counts."""
        counts = detector.counts
        for name in ("purchases", "befriends", "unfriends", "flags", "users", "friendships"):
            setattr(self, name, getattr(counts, name))


class Reading:
    """How far a log has been read.

    Attributes
    ----------
    log : Log or None
        None when it was read to its end in an earlier run.
    line : int
        The number of the next line.
    offset, generation : int
        Where it begins, and in which of the files that bore the log's name.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.log: Log | None = None
        self.line = 1
        self.offset = 0
        self.generation = 0
        self.done = False
        self._place: Place | None = None

    def restore(self, noted: dict[str, Any]) -> Place | None:
        """Take over what `note` gave; where to open the log."""
        self.line = noted["line"]
        self.done = noted["done"]
        self._place = Place(*noted["place"]) if noted["place"] is not None else None
        return self._place

    def note(self) -> dict[str, Any]:
        """What a checkpoint is to say, for JSON."""
        if self.log is not None:
            self._place = self.log.place(self.generation, self.offset)
        place = None if self._place is None else list(self._place)
        return {"line": self.line, "done": self.done, "place": place}


class Run:
    """A run under way: the state that its two logs share.

    Attributes
    ----------
    detector : Detector
    summary : Summary
    reading : Reading
        The log at hand.
    checkpoints : Checkpoints or None
    """

    def __init__(
        self,
        detector: Detector,
        readings: list[Reading],
        flags: LineWriter,
        rejects: LineWriter | None,
        strict: bool,
        max_line: int,
        summary: Summary,
        job: dict[str, Any],
        checkpoints: Checkpoints | None,
        on_read: Callable[[Run], object] | None,
    ) -> None:
        self.detector = detector
        self.summary = summary
        self.reading = readings[0]
        self.checkpoints = checkpoints
        self._readings = readings
        self._flags = flags
        self._rejects = rejects
        self._strict = strict
        self._max_line = max_line
        self._job = job
        self._on_read = on_read
        self._begun = time.perf_counter() - summary.seconds

    def feed(self, reading: Reading, lines: Iterable[Lines]) -> None:
        """Read a log to its end; purchases of the second one are judged."""
        self.reading = reading
        assert reading.log is not None
        if self._on_read is not None:
            self._on_read(self)
        try:
            for block in lines:
                if isinstance(block, LongLine):
                    rejected = Rejected(reading.path, reading.line, "line_too_long", b"")
                    self._reject([rejected], block.pieces)
                    self._advance(1, 0)
                else:
                    self._feed_block(block)
                self._count()
                if self._on_read is not None:
                    self._on_read(self)
        finally:
            self._count()
        reading.done = not reading.log.follows

    def _feed_block(self, block: bytes | memoryview) -> None:
        """Feed some lines, with checkpoints between where they are due."""
        rest = len(block)
        for part in self._parts(block):
            rest -= len(part)
            self._advance(self._feed_part(part), rest)
        if not block:
            self._advance(0, 0)  # a tick

    def _parts(self, block: bytes | memoryview) -> Iterator[bytes | memoryview]:
        """Cut a block where checkpoints are due after so many lines."""
        if self.checkpoints is None or self.checkpoints.every.lines is None:
            if block:
                yield block
            return
        text = bytes(block)
        start = end = 0
        while start < len(text):
            for _ in range(self.checkpoints.lines_left() or 1):
                end = text.find(b"\n", end) + 1 or len(text)
                if end == len(text):
                    break
            yield text[start:end]
            start = end

    def _advance(self, lines: int, rest: int) -> None:
        """Note that lines have been dealt with, up to `rest` bytes before the log's offset."""
        reading = self.reading
        assert reading.log is not None
        reading.line += lines
        reading.offset = reading.log.offset - rest
        reading.generation = reading.log.generation
        if self.checkpoints is not None and self.checkpoints.due(lines):
            self._begin_checkpoint()

    def _feed_part(self, part: bytes | memoryview) -> int:
        failure: FeedError | None = None
        try:
            fed = self.detector.feed(
                part,
                judge=self.reading is self._readings[-1],
                log=self.reading.path,
                first_line=self.reading.line,
                max_line=self._max_line,
                strict=self._strict,
            )
        except FeedError as error:
            failure = error
            fed = cast(Fed, error.fed)
        if fed.flags:
            self._flags.write([b"".join(flag.to_line() + b"\n" for flag in fed.flags)])
        if fed.rejected:
            self._reject(fed.rejected)
        if failure is not None:
            raise failure
        return fed.lines

    def _reject(self, rejected: list[Rejected], pieces: Iterable[bytes] | None = None) -> None:
        """Count lines and write them; `pieces` are the text of one that is long."""
        first = rejected[0]
        self.summary.rejected.update(r.reason for r in rejected)
        if self.summary.first_rejected is None:
            self.summary.first_rejected = (
                f"{first.log}, line {first.line}: {first.reason}: {first.detail}"
            )
        if self._rejects is None:
            for _ in pieces or ():
                pass
        elif pieces is None:
            self._rejects.write([b"".join(_columns(r) + r.raw + b"\n" for r in rejected)])
        else:
            self._rejects.write(chain([_columns(first)], pieces, [b"\n"]))
        if self._strict:
            raise StrictError(self.summary.first_rejected)

    def _count(self) -> None:
        self.summary.count(self.detector)
        self.summary.seconds = time.perf_counter() - self._begun

    # -- checkpoints -------------------------------------------------------------------

    def note(self, done: bool = False) -> dict[str, Any]:
        """What a checkpoint is to say of this run, for JSON."""
        self._count()
        return {
            "job": self._job,
            "done": done,
            "logs": [reading.note() for reading in self._readings],
            "out_bytes": self._flags.length,
            "rejects_bytes": None if self._rejects is None else self._rejects.length,
            "rejected": dict(self.summary.rejected),
            "first_rejected": plain(self.summary.first_rejected),
            "seconds": self.summary.seconds,
        }

    def _outputs(self) -> list[int]:
        writers = [self._flags, *([self._rejects] if self._rejects is not None else [])]
        return [writer.fileno() for writer in writers if writer.regular]

    def _begin_checkpoint(self) -> None:
        assert self.checkpoints is not None
        self.checkpoints.begin(self.detector, self.note(), self._outputs())

    def finish(self, done: bool) -> None:
        """Write the last checkpoint, if there are to be any and something was read."""
        first = self._readings[0]
        if self.checkpoints is not None and (first.done or first.offset):
            self.checkpoints.finish(self.detector, self.note(done), self._outputs())


def plain(text: str | None) -> str | None:
    """A text, perhaps with a path that is not UTF-8, as JSON can hold it."""
    return None if text is None else os.fsencode(text).decode("utf-8", "backslashreplace")


def _columns(rejected: Rejected) -> bytes:
    """What stands before a line in the file of rejects."""
    log, detail = _escaped(rejected.log), _escaped(rejected.detail)
    text = f"{log}\t{rejected.line}\t{rejected.reason}\t{detail}\t"
    return text.encode("utf-8", "surrogateescape")


def _escaped(text: str) -> str:
    """A column's text on one line and without tabs, as in a JSON string."""
    if not any(c in text for c in "\\\t\n\r"):
        return text
    for plain, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(plain, escaped)
    return text
