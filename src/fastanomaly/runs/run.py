"""A run over two logs: feeding them, writing flags and rejected lines, counting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fastanomaly.errors import ClusterError, StrictError
from fastanomaly.runs.inputs import json_text
from fastanomaly.runs.replay import FeedOptions, Part, feed_blocks
from fastanomaly.sources.base import UnfinishedLine

if TYPE_CHECKING:
    from fastanomaly.cluster.detector import AnyDetector
    from fastanomaly.runs.checkpoints.base import Checkpoints
    from fastanomaly.runs.diagnosis import LogEvidence
    from fastanomaly.runs.job import Job
    from fastanomaly.runs.run_state import RunState
    from fastanomaly.runs.summary import Summary
    from fastanomaly.sinks.base import FlagSink, RejectSink, Sink
    from fastanomaly.sources.base import Block, Source


class SourceState:
    """How far a log has been read.

    Attributes
    ----------
    path : str
        The log's name.
    source : Source or None
        None if it was read to its end in an earlier run.
    line : int
        The number of the next line.
    unread : int
        How many bytes of the last block have not been fed.
    done : bool
        Whether it has been read to its end.
    position : JSON value or None
        Where an earlier run left it.
    """

    def __init__(self, path: str, saved: dict[str, Any] | None = None) -> None:
        self.path = path
        self.source: Source | None = None
        self.line: int = saved["line"] if saved else 1
        self.done: bool = saved["done"] if saved else False
        self.position: Any = saved["position"] if saved else None
        self.unread = 0

    def saved(self) -> dict[str, Any]:
        """Return what a checkpoint stores, for JSON."""
        if self.source is not None:
            self.position = self.source.snapshot(self.unread)
        return {"line": self.line, "done": self.done, "position": self.position}


class Outputs:
    """The sinks of a run; `rejects` is None if rejected lines are only counted."""

    def __init__(self, flags: FlagSink, rejects: RejectSink | None) -> None:
        self.flags = flags
        self.rejects = rejects

    def sinks(self) -> Sequence[Sink]:
        """Return those that there are."""
        return [self.flags] if self.rejects is None else [self.flags, self.rejects]


class Run:
    """A run in progress.

    Attributes
    ----------
    detector : Detector or ClusterDetector
    summary : Summary
    current : SourceState
        The log that is being read.
    checkpoints : Checkpoints or None
    ended : bool
        Whether the last progress is being reported.
    """

    def __init__(
        self,
        job: Job,
        detector: AnyDetector,
        sources: list[SourceState],
        outputs: Outputs,
        summary: Summary,
        checkpoints: Checkpoints | None,
        on_read: Callable[[Run], object] | None,
    ) -> None:
        self.detector = detector
        self.summary = summary
        self.current = sources[0]
        self.checkpoints = checkpoints
        self.ended = False
        self._job = job
        self._has_fed = False
        self._sources = sources
        self._events_before = summary.events - (self._evidence.events or 0)
        self._outputs = outputs
        self._on_read = on_read
        self._begun = time.perf_counter() - summary.seconds

    def feed(self, state: SourceState, blocks: Iterable[Block]) -> None:
        """Read a log to its end; the purchases of the second one are judged.

        Raises
        ------
        StrictError
            If a line was rejected in a strict run.
        OutputError, LogReadError, FeedError
            What was judged before has been written.
        """
        self.current = state
        self._events_before = self.summary.events - (self._evidence.events or 0)
        assert state.source is not None
        self._report_progress()
        options = FeedOptions(
            state.path,
            judge=state is self._sources[-1],
            max_line=self._job.max_line,
            strict=self._job.strict,
        )
        parts = feed_blocks(
            self.detector, blocks, state.line, options, part_lines=self._part_lines
        )
        try:
            for part in parts:
                self._write(part)
                self._advance(part)
                if part.unread == 0:
                    self._count()
                    self._report_progress()
                del part  # it can be large: free it before the next part is fed
        except UnfinishedLine:
            pass  # the source has ended, and its position is before this line
        except BaseException:
            with suppress(ClusterError):  # what is lost cannot be counted
                self._count()
            raise
        self._count()
        state.done = not state.source.follows

    def end(self) -> None:
        """Report progress for the last time, as long as there is a detector."""
        self.ended = True
        with suppress(ClusterError):
            self._report_progress()

    def _part_lines(self) -> int | None:
        """Return after how many lines a checkpoint is due."""
        return None if self.checkpoints is None else self.checkpoints.lines_left()

    def _report_progress(self) -> None:
        if self._on_read is not None:
            self._on_read(self)

    def _write(self, part: Part) -> None:
        """Write the flags and the rejected lines of a part."""
        if part.fed.flags:
            self._outputs.flags.write_flags(part.fed.flags)
        rejected = part.fed.rejected
        if not rejected:
            return
        pieces = None if part.pieces is None else self._watched(part.pieces)
        if self._outputs.rejects is not None:
            self._outputs.rejects.write_rejects(rejected, pieces)
        else:
            for _ in pieces or ():
                pass
        # Not before: a stop in the middle of a long line leaves the line to the next run.
        self.summary.rejected.update(self._evidence.add(rejected))
        if self.summary.first_rejected is None:
            self.summary.first_rejected = rejected[0].text
        if self._job.strict:
            raise StrictError(self.summary.first_rejected)

    def _watched(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the pieces of a long line; report progress at each and at ticks."""
        for piece in pieces:
            self._count()
            self._report_progress()
            if piece:
                yield piece

    def _advance(self, part: Part) -> None:
        """Note that a part has been dealt with; begin a checkpoint if one is due."""
        self._has_fed = True
        self.current.line += part.fed.lines
        self.current.unread = part.unread
        if part.failed or self.checkpoints is None:
            return
        if self.checkpoints.due(part.fed.lines):
            self.checkpoints.begin(self.detector, self.state(), self._outputs.sinks())

    def _count(self) -> None:
        self.summary.count(self.detector)
        self.summary.diagnosis.see_times(self.detector)
        if self._evidence.events is not None:
            self._evidence.events = self.summary.events - self._events_before
        self.summary.seconds = time.perf_counter() - self._begun

    @property
    def _evidence(self) -> LogEvidence:
        """What is kept of the current log for a diagnosis."""
        return self.summary.diagnosis.logs[self._sources.index(self.current)]

    def state(self, done: bool = False) -> RunState:
        """Return what a checkpoint stores besides the detector."""
        from fastanomaly.runs.run_state import RunState  # noqa: PLC0415 - for checkpoints only

        self._count()
        rejects = self._outputs.rejects
        return RunState(
            job=self._job.identity,
            done=done,
            sources=[
                source.saved() | log.saved()
                for source, log in zip(self._sources, self.summary.diagnosis.logs, strict=True)
            ],
            flags_position=self._outputs.flags.snapshot(),
            rejects_position=None if rejects is None else rejects.snapshot(),
            rejected=dict(self.summary.rejected),
            first_rejected=json_text(self.summary.first_rejected),
            seconds=self.summary.seconds,
        )

    def finish_outputs(self) -> None:
        """Complete the outputs; nothing is written to them after that."""
        for sink in self._outputs.sinks():
            sink.finish()

    def finish(self, done: bool) -> None:
        """Complete the outputs, and write the last checkpoint.

        The latter if checkpoints are wanted and something was read.
        """
        self.finish_outputs()
        first = self._sources[0]
        has_read = self._has_fed or first.done or first.position is not None
        if self.checkpoints is not None and has_read:
            self.checkpoints.finish(self.detector, self.state(done), self._outputs.sinks())
