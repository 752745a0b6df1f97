"""The main job: a batch log and a stream log in, flagged purchases out."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from typing import cast

from fastanomaly.detector import LARGEST_LINE, MAX_LINE, Detector, Method
from fastanomaly.events import Rejected
from fastanomaly.logs import STANDARD, Lines, Log, LongLine
from fastanomaly.output import LineWriter, check_outputs
from fastanomaly.parameters import (
    Number,
    ParameterError,
    UsageError,
    check_whole,
    parameter_line,
)
from fastanomaly.results import Fed, FeedError
from fastanomaly.waiting import Waiter

_BLANK = b" \t\r\n"


class StrictError(Exception):
    """A line was rejected in a strict run; the message names it."""


class Summary:
    """What a run did, up to where it ended.

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


def detect(
    batch: str | os.PathLike[str],
    stream: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    degree: int | str | None = None,
    tracked: int | str | None = None,
    sigmas: Number = 3,
    method: Method = "auto",
    rejects: str | os.PathLike[str] | None = None,
    strict: bool = False,
    max_line: int = MAX_LINE,
    summary: Summary | None = None,
    on_read: Callable[[Log], object] | None = None,
    waiter: Waiter | None = None,
) -> Summary:
    """Build the state from the batch log, judge the stream log, write its flags.

    Parameters
    ----------
    batch, stream : str or path-like
        Paths of the logs; ``-`` for standard input (one of them), ``.gz`` and ``.zst``
        are decompressed.
    out : str or path-like
        Path of the flagged purchases; ``-`` for standard output.
    degree, tracked : int or str, optional
        D and T; what is not given is read from the batch log's first line.
    sigmas : int, float, str or Decimal, default 3
        k, see `Detector`.
    method : {"auto", "ball"}, default "auto"
        See `Detector`.
    rejects : str or path-like, optional
        Path of the rejected lines: tab-separated log, line number, reason, detail, line.
    strict : bool, default False
        Stop at the first rejected line.
    max_line : int, default 2^20
        The longest line looked at, in bytes; 1 to 2^31 - 1.
    summary : Summary, optional
        To be filled as the run goes on, and so readable after an exception too.
    on_read : callable, optional
        Called with the log after each block read of it.
    waiter : Waiter, optional
        Does the waiting where a read or the opening of a FIFO may block.

    Returns
    -------
    Summary

    Raises
    ------
    UsageError
        A parameter or a log that is not right: nothing has been written.
    LogReadError, OutputError
        An I/O error: what was judged before it is in the output.
    FeedError
        Memory ran out: what was judged before it is in the output.
    StrictError
        A line was rejected, and `strict` is set.

    Notes
    -----
    Memory is that of the detector; it does not grow with the logs.
    """
    summary = Summary() if summary is None else summary
    batch, stream, out = os.fspath(batch), os.fspath(stream), os.fspath(out)
    rejects = None if rejects is None else os.fspath(rejects)
    with ExitStack() as stack:
        if not 1 <= max_line <= LARGEST_LINE:
            raise UsageError(f"max-line: {max_line!r} is not in 1..{LARGEST_LINE}")
        if batch == stream == STANDARD:
            raise UsageError("-: standard input cannot be both logs")
        check_outputs([batch, stream], [out, *([rejects] if rejects is not None else [])])
        logs = [stack.enter_context(Log(path, max_line, waiter)) for path in (batch, stream)]
        begun = time.perf_counter()
        batch_lines, batch_line, parameters = _take_parameters(
            logs[0], {"D": degree, "T": tracked}, max_line
        )
        detector = Detector(parameters["D"], parameters["T"], sigmas, method=method)
        flag_writer = stack.enter_context(LineWriter(out, waiter))
        reject_writer = (
            None if rejects is None else stack.enter_context(LineWriter(rejects, waiter))
        )
        flag_writer.start()
        if reject_writer is not None:
            reject_writer.start()
        run = _Run(detector, flag_writer, reject_writer, strict, max_line, summary, begun)
        for log, lines, line in (
            (logs[0], batch_lines, batch_line),
            (logs[1], iter(logs[1]), 1),
        ):
            run.feed_log(log, lines, line, on_read)
    return summary


def _take_parameters(
    log: Log, given: dict[str, int | str | None], max_line: int
) -> tuple[Iterator[Lines], int, dict[str, int]]:
    """Read D and T, the given ones winning, from the log's first line if it has them.

    Returns the log's lines from the first event on, that line's number, and the
    parameters.
    """
    # Options are looked at first: they are wrong whatever the log says.
    known = {
        name: check_whole(name, value) for name, value in given.items() if value is not None
    }
    blocks = iter(log)
    rest, number = _skip_blank(blocks, max_line)
    line = b"" if isinstance(rest, LongLine) else _first_line(memoryview(rest))
    found = parameter_line(line) if len(line.removesuffix(b"\r")) <= max_line else None
    if found is None and len(known) < len(given):
        missing = " and ".join(name for name in given if name not in known)
        shown = line.strip(_BLANK)[:80].decode(errors="backslashreplace")
        raise ParameterError(
            f"{log.path}, line {number}: no parameter line, {missing} not given: {shown!r}"
        )
    for name in given.keys() - known.keys():
        assert found is not None
        try:
            if name not in found:
                raise ParameterError(f"{name}: missing")
            known[name] = check_whole(name, found[name])
        except ParameterError as error:
            raise ParameterError(f"{log.path}, line {number}: {error}") from None
    if found is not None:
        assert not isinstance(rest, LongLine)
        rest = rest[len(line) + 1 :]
        number += 1
    return chain([rest] if rest else [], blocks), number, known


def _skip_blank(blocks: Iterator[Lines], max_line: int) -> tuple[Lines, int]:
    """Read on to the first line that is not blank.

    Returns what was read from that line on, and the line's number.
    """
    number = 1
    for block in blocks:
        if isinstance(block, LongLine):
            return block, number
        view = memoryview(block)
        while view:
            line = _first_line(view)
            if line.strip(_BLANK) or len(line.removesuffix(b"\r")) > max_line:
                return view, number
            view = view[len(line) + 1 :]
            number += 1
    return b"", number


def _first_line(block: memoryview) -> bytes:
    """The first line without its LF."""
    size = 256
    while (line := bytes(block[:size])).find(b"\n") < 0 and size < len(block):
        size *= 2
    return line.split(b"\n", 1)[0]


class _Run:
    """The state of a run that the two logs share."""

    def __init__(
        self,
        detector: Detector,
        flags: LineWriter,
        rejects: LineWriter | None,
        strict: bool,
        max_line: int,
        summary: Summary,
        begun: float,
    ) -> None:
        self.detector = detector
        self.flags = flags
        self.rejects = rejects
        self.strict = strict
        self.max_line = max_line
        self.summary = summary
        self.begun = begun
        self.judge = False

    def feed_log(
        self,
        log: Log,
        lines: Iterable[Lines],
        line: int,
        on_read: Callable[[Log], object] | None,
    ) -> None:
        """Feed a log from the line of that number on; purchases of the second are judged."""
        try:
            for block in lines:
                if isinstance(block, LongLine):
                    rejected = Rejected(log.path, line, "line_too_long", b"")
                    self._reject([rejected], block.pieces)
                    line += 1
                else:
                    line += self._feed_block(log, block, line)
                self._count()
                if on_read is not None:
                    on_read(log)
        finally:
            self._count()
        self.judge = True

    def _feed_block(self, log: Log, block: bytes | memoryview, line: int) -> int:
        failure: FeedError | None = None
        try:
            fed = self.detector.feed(
                block,
                judge=self.judge,
                log=log.path,
                first_line=line,
                max_line=self.max_line,
                strict=self.strict,
            )
        except FeedError as error:
            failure = error
            fed = cast(Fed, error.fed)
        if fed.flags:
            self.flags.write([b"".join(flag.to_line() + b"\n" for flag in fed.flags)])
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
        if self.rejects is not None:
            if pieces is None:
                self.rejects.write([b"".join(_columns(r) + r.raw + b"\n" for r in rejected)])
            else:
                self.rejects.write(chain([_columns(first)], pieces, [b"\n"]))
        if self.strict:
            raise StrictError(self.summary.first_rejected)

    def _count(self) -> None:
        counts = self.detector.counts
        for name in ("purchases", "befriends", "unfriends", "flags", "users", "friendships"):
            setattr(self.summary, name, getattr(counts, name))
        self.summary.seconds = time.perf_counter() - self.begun


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


def summary_json(summary: Summary, **more: object) -> bytes:
    """The summary as one JSON object, with a line end."""
    import orjson  # noqa: PLC0415 - most runs write none

    values = {
        "events": summary.events,
        "purchases": summary.purchases,
        "befriends": summary.befriends,
        "unfriends": summary.unfriends,
        "flags": summary.flags,
        "users": summary.users,
        "friendships": summary.friendships,
        "rejected": dict(summary.rejected),
        "seconds": round(summary.seconds, 6),
        "events_per_second": round(summary.events_per_second),
        **more,
    }
    return orjson.dumps(values, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
