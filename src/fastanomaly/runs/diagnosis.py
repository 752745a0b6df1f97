"""What a log without valid events, or with most lines rejected, looks like; what to do."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from fastanomaly.formats.display import counted, time_text
from fastanomaly.names import STANDARD
from fastanomaly.sources.base import Block, LongLine, Rows

if TYPE_CHECKING:
    from fastanomaly.cluster.detector import AnyDetector
    from fastanomaly.rules.rejects import Rejected

HEAD = 4096
SAMPLES = 4
EXAMPLES = 3
_SEVERAL = 2
_UNLIKELY_US = 631_152_000 * 10**6  # 1990: logs in a unit are rarely older


class LogEvidence:
    """What a run keeps of a log for a diagnosis; its size is bounded.

    Attributes
    ----------
    path : str
        The log's name.
    events : int or None
        Valid events; None if they are not known, in a run resumed from an old checkpoint.
    rejected : collections.Counter
        Rejected lines by reason.
    head : bytes
        The first bytes of the log; b"" if they were read in an earlier run.
    samples : dict of str to list of Rejected
        The first rejected lines of each reason.
    noun : str
        What it consists of: "line", or "row" of a table.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.events: int | None = 0
        self.rejected: Counter[str] = Counter()
        self.head = b""
        self.samples: dict[str, list[Rejected]] = {}
        self.noun = "line"
        self._tables: set[str] = set()

    def watch(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """Yield the blocks of a log that is read from its beginning; keep its first bytes."""
        for block in blocks:
            if isinstance(block, LongLine):
                start = next(block.pieces, b"")
                self.head = start[:HEAD]
                yield LongLine(chain([start], block.pieces))
            elif isinstance(block, Rows):
                self.noun = "row"
                yield block
                break
            else:
                self.head = bytes(block[:HEAD])
                yield block
            if self.head:
                break
        yield from blocks

    def add(self, rejected: Sequence[Rejected]) -> Counter[str]:
        """Count rejected lines, and keep the first ones of each reason; return the counts."""
        counts = Counter(map(attrgetter("reason"), rejected))
        self.rejected.update(counts)
        if self.noun == "row" and len(self._tables) < _SEVERAL:
            self._tables.update(map(attrgetter("log"), rejected))
        if all(len(self.samples.get(reason, ())) == SAMPLES for reason in counts):
            return counts
        for line in rejected:
            kept = self.samples.setdefault(line.reason, [])
            if len(kept) < SAMPLES and len(line.raw) <= 4 * HEAD:
                kept.append(line)
        return counts

    def resume(self, saved: Mapping[str, Any]) -> None:
        """Continue with what `saved` returned in an earlier run."""
        self.events = saved.get("events")
        self.rejected.update(saved.get("rejected", {}))
        self._tables.add(self.path)  # nobody knows any more where those rows were

    def saved(self) -> dict[str, Any]:
        """Return what a checkpoint stores, for JSON; nothing if it is not known."""
        if self.events is None:
            return {}
        return {"events": self.events, "rejected": dict(self.rejected)}

    @property
    def empty(self) -> bool:
        """Whether the log has lines that are not blank, but no valid event."""
        return self.events == 0 and self.rejected.total() > 0

    def fault(self) -> str | None:
        """Return what a log without a valid event looks like; None if it has one."""
        if not self.empty:
            return None
        lines = counted(self.rejected.total(), self.noun)
        return f"{self._place()}: no valid event in {lines}: {self._look()}"

    def _place(self) -> str:
        """Return the table in which all rejected rows are, which may be that of friends."""
        if len(self._tables) == 1 and not self.path.startswith(tuple(self._tables)):
            return next(iter(self._tables))
        return self.path

    def hint(self) -> str | None:
        """Return what a log looks like of which most lines were rejected for one reason."""
        if self.events is None or self.empty or not self.rejected:
            return None
        reason, count = self.rejected.most_common(1)[0]
        lines = self.events + self.rejected.total()
        if 2 * count <= lines:
            return None
        return (
            f"{self.path}: {count:,} of {lines:,} {self.noun}s rejected as {reason}: "
            f"{self._look()}"
        )

    def _look(self) -> str:
        from fastanomaly.rules.recognition import (  # noqa: PLC0415 - needed in few runs
            event_look,
            file_look,
            text_look,
        )

        reason = self.rejected.most_common(1)[0][0]
        samples = self.samples.get(reason, [])
        if self.noun == "row":
            place = samples[0].text if samples else reason
            return f"such as {place}"
        look = file_look(self.head)
        if look is None and reason in ("bad_event_type", "missing_field") and samples:
            look = event_look(samples[0].raw, reason)
        elif look is None and reason in ("not_json", "not_an_object", "line_too_long"):
            head = self.head if self.empty else b""
            look = text_look(head, [sample.raw for sample in samples])
        if look is None and reason == "invalid_utf8":
            return "it is not UTF-8 text; convert it, such as with iconv -f LATIN1 -t UTF-8"
        if look is not None:
            return f"it looks like {look.what}; {look.remedy}"
        if reason == "line_too_long":
            return "the lines are longer than the limit; --max-line raises it"
        if not samples:
            return f"most were rejected as {reason}; --rejects FILE keeps the lines"
        return f"such as {samples[0].text}"

    def parameter_line(self) -> str | None:
        """Return where a rejected parameter line is, if one of those kept is one."""
        from fastanomaly.rules.parameters import parameter_line  # noqa: PLC0415

        for sample in self.samples.get("bad_event_type", ()):
            if parameter_line(sample.raw) is not None:
                return f"{self.path}, line {sample.line}"
        return None


class Diagnosis:
    """What a run finds out about its two logs.

    Attributes
    ----------
    batch, stream : LogEvidence
    newest_us : int or None
        The latest timestamp, in microseconds since 1970, if timestamps are in a unit that can
        be too fine.
    time_unit : str or None
        That unit.
    split : str or None
        Where one table was split into both, if the user said so.
    """

    def __init__(self, batch: str = "batch log", stream: str = "stream log") -> None:
        self.name_logs(batch, stream)

    def __repr__(self) -> str:
        return f"Diagnosis(faults={self.faults()!r}, hints={self.hints()!r})"

    def name_logs(self, batch: str, stream: str, split: str | None = None) -> None:
        """Begin with two logs of these names, perhaps parts of a table that is split."""
        self.split = split
        self.batch = LogEvidence(batch)
        self.stream = LogEvidence(stream)
        self.newest_us: int | None = None
        self.time_unit: str | None = None

    def see_times(self, detector: AnyDetector) -> None:
        """Note the latest timestamp that a detector has."""
        if detector.time_unit in ("ms", "us", "ns"):
            self.time_unit = detector.time_unit
            self.newest_us = detector.newest_us

    @property
    def logs(self) -> tuple[LogEvidence, LogEvidence]:
        """Both logs."""
        return self.batch, self.stream

    @property
    def rejected(self) -> Counter[str]:
        """Rejected lines of both logs, by reason."""
        return self.batch.rejected + self.stream.rejected

    def examples(self) -> list[str]:
        """Return the text of the first line rejected for each of the most common reasons."""
        kept = [log.samples.get(reason, []) for reason in self._common() for log in self.logs]
        firsts = {samples[0].reason: samples[0].text for samples in reversed(kept) if samples}
        return [firsts[reason] for reason in self._common() if reason in firsts]

    def _common(self) -> list[str]:
        return [reason for reason, _ in self.rejected.most_common(EXAMPLES)]

    def faults(self) -> list[str]:
        """Return a text for each log that has lines, but no valid event."""
        return [text for log in self.logs if (text := log.fault()) is not None]

    def hints(self) -> list[str]:
        """Return what else the user should know about the logs."""
        found = [text for log in self.logs if (text := log.hint()) is not None]
        if self.stream.events and same_file(self.batch.path, self.stream.path):
            found.append(
                f"{self.stream.path}: is also the batch log {self.batch.path}: each event "
                "was applied twice, and purchases were judged with later ones known"
            )
        if self.split is not None and self._nothing_judged():
            count = "; a number is a count of rows" if self.split.isdecimal() else ""
            found.append(
                f"{self.stream.path}: nothing was judged: --split {self.split} lies behind "
                f"the last row{count}"
            )
        if (place := self.stream.parameter_line()) is not None:
            found.append(
                f"{place}: a parameter line belongs in the batch log: the stream log's was "
                "rejected; check that the two logs are not swapped"
            )
        if (place := self.batch.parameter_line()) is not None:
            found.append(
                f"{place}: a parameter line counts only in the first line: this one was "
                "rejected"
            )
        if self.newest_us is not None and self.newest_us < _UNLIKELY_US:
            found.append(
                f"{self.stream.path}: the latest purchase is of {time_text(self.newest_us)}: "
                f"check --time-unit {self.time_unit}"
            )
        return found

    def _nothing_judged(self) -> bool:
        """Return whether history has rows, but the rest has none, not even rejected ones."""
        history = self.batch.events or self.batch.rejected
        return bool(history) and self.stream.events == 0 and not self.stream.rejected


def same_file(batch: str, stream: str) -> bool:
    """Return whether both logs are one regular file."""
    if STANDARD in (batch, stream):
        return False
    try:
        return os.path.isfile(batch) and os.path.samefile(batch, stream)
    except (OSError, ValueError):
        return False
