"""The main job: a batch log and a stream log in, flagged purchases out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import chain
from typing import Any

from fastanomaly.convert import Number, exact_sigmas
from fastanomaly.detector import Detector, Method
from fastanomaly.errors import ParameterError, Stopped, UsageError
from fastanomaly.rules.parameters import MAX_LINE, check_max_line, check_whole, parameter_line
from fastanomaly.runs.run import Reading, Run, Summary, plain
from fastanomaly.sinks.lines import LineWriter, check_outputs
from fastanomaly.sources.files import STANDARD
from fastanomaly.sources.log import Lines, Log, LongLine
from fastanomaly.waiting import Waiter

_BLANK = b" \t\r\n"
_TICK_SECONDS = 0.5


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
    follow: bool = False,
    until_idle: float | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int | str = "30s",
    fresh: bool = False,
    summary: Summary | None = None,
    on_read: Callable[[Run], object] | None = None,
    on_notice: Callable[[str], object] | None = None,
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
    follow : bool, default False
        Go on where the stream log ends: it grows, is rotated, or is a FIFO that others
        write to one after the other.
    until_idle : float, optional
        End when nothing has come of the stream log for so many seconds.
    checkpoint : str or path-like, optional
        Folder in which checkpoints are kept. If it holds one of the same job, the run goes
        on from there.
    every : int or str, default "30s"
        How often there is a checkpoint: a number of lines, or seconds like ``30s``.
    fresh : bool, default False
        Start over, whatever the folder holds.
    summary : Summary, optional
        To be filled as the run goes on, and so readable after an exception too.
    on_read : callable, optional
        Called with the `Run` after each block read of a log, and twice a second where
        nothing comes.
    on_notice : callable, optional
        Called with what an operator should know, such as a checkpoint that is damaged.
    waiter : Waiter, optional
        Does the waiting where a read or the opening of a FIFO may block.

    Returns
    -------
    Summary

    Raises
    ------
    UsageError
        A parameter or a log that is not right, or a checkpoint of another job: nothing has
        been written.
    CheckpointError
        There are checkpoints, but none of them is good: nothing has been written.
    LogReadError, OutputError
        An I/O error: what was judged before it is in the output.
    OSError
        The last checkpoint could not be written; all else was.
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
    outputs = [out] if rejects is None else [out, os.fspath(rejects)]
    check_max_line(max_line)
    if batch == stream == STANDARD:
        raise UsageError("-: standard input cannot be both logs")
    check_outputs([batch, stream], outputs)
    # Options are looked at first: they are wrong whatever the log says.
    given = {
        name: check_whole(name, value)
        for name, value in (("D", degree), ("T", tracked))
        if value is not None
    }
    job = {
        "batch": _full(batch),
        "stream": _full(stream),
        "out": _full(out),
        "rejects": None if rejects is None else _full(outputs[1]),
        "k": "/".join(map(str, exact_sigmas(sigmas))),
        "max-line": max_line,
    }
    notice = on_notice or _unheard
    with ExitStack() as stack:
        checkpoints = detector = None
        noted: dict[str, Any] = {}
        if checkpoint is not None:
            from fastanomaly.runs.checkpoints import Checkpoints, check_every  # noqa: PLC0415

            checkpoints = stack.enter_context(
                Checkpoints(os.fspath(checkpoint), check_every(every), notice)
            )
            if not fresh and (found := checkpoints.newest()) is not None:
                detector, noted = found
                own = {"D": detector.degree, "T": detector.tracked}
                _expect_job(checkpoints.folder, job | given, noted["job"] | own)
                _restore(summary, detector, noted)
                if summary.done_before:
                    return summary
        readings = [
            _open(stack, batch, noted, 0, max_line, waiter),
            _open(stack, stream, noted, 1, max_line, waiter, follow, until_idle),
        ]
        for reading in readings:
            if reading.log is not None and reading.log.notice:
                notice(reading.log.notice)
        lines = [iter(reading.log or ()) for reading in readings]
        if detector is None:
            lines[0], readings[0].line, found_parameters = take_parameters(
                batch, lines[0], given, max_line
            )
            detector = Detector(
                found_parameters["D"], found_parameters["T"], sigmas, method=method
            )
        detector.method = method
        writers = [stack.enter_context(LineWriter(path, waiter)) for path in outputs]
        if checkpoints is not None and not noted:
            checkpoints.forget()
        kept = [noted.get("out_bytes", 0), noted.get("rejects_bytes", 0)]
        for writer, length in zip(writers, kept, strict=False):
            writer.expect(length)
        for writer, length in zip(writers, kept, strict=False):
            writer.start(length)
        run = Run(
            detector,
            readings,
            writers[0],
            writers[1] if rejects is not None else None,
            strict,
            max_line,
            summary,
            job,
            checkpoints,
            on_read,
        )
        try:
            for reading, blocks in zip(readings, lines, strict=True):
                if not reading.done:
                    run.feed(reading, blocks)
        except Stopped:
            run.finish(done=False)
            raise
        run.finish(done=not follow)
    return summary


def _open(
    stack: ExitStack,
    path: str,
    noted: dict[str, Any],
    index: int,
    max_line: int,
    waiter: Waiter | None,
    follow: bool = False,
    until_idle: float | None = None,
) -> Reading:
    """Open a log, where a checkpoint left it if there is one; not one that is done."""
    reading = Reading(path)
    place = reading.restore(noted["logs"][index]) if noted else None
    if not reading.done:
        reading.log = stack.enter_context(
            Log(
                path,
                max_line,
                waiter,
                follow=follow,
                until_idle=until_idle,
                tick=_TICK_SECONDS,
                place=place,
            )
        )
        reading.offset = reading.log.offset  # not the place's, if that file is gone
    return reading


def _unheard(text: str) -> None:
    pass


def _full(path: str) -> str | None:
    """A path as it is noted in a checkpoint."""
    return path if path == STANDARD else plain(os.path.realpath(path))


def _expect_job(folder: str, asked: dict[str, Any], noted: dict[str, Any]) -> None:
    """Refuse to go on with another job than the checkpoint's."""
    for name, value in asked.items():
        if noted.get(name) != value:
            raise UsageError(
                f"{folder}: holds a checkpoint of another job: {name} was "
                f"{noted.get(name)}, and is now {value} (--fresh starts over)"
            )


def _restore(summary: Summary, detector: Detector, noted: dict[str, Any]) -> None:
    """Take over what was counted up to a checkpoint."""
    summary.count(detector)
    summary.rejected.update(noted["rejected"])
    summary.first_rejected = noted["first_rejected"]
    summary.seconds = noted["seconds"]
    summary.done_before = noted["done"]


def read_parameters(path: str, given: dict[str, int], max_line: int) -> dict[str, int]:
    """D and T of a batch log, the given ones winning; see `take_parameters`."""
    with Log(path, max_line) as log:
        return take_parameters(path, iter(log), given, max_line)[2]


def take_parameters(
    path: str, blocks: Iterator[Lines], given: dict[str, int], max_line: int
) -> tuple[Iterator[Lines], int, dict[str, int]]:
    """Read D and T, the given ones winning, from the log's first line if it has them.

    Returns the log's lines from the first event on, that line's number, and the
    parameters.
    """
    known = dict(given)
    rest, number = _skip_blank(blocks, max_line)
    line = b"" if isinstance(rest, LongLine) else _first_line(memoryview(rest))
    found = parameter_line(line) if len(line.removesuffix(b"\r")) <= max_line else None
    missing = [name for name in ("D", "T") if name not in known]
    if found is None and missing:
        shown = line.strip(_BLANK)[:80].decode(errors="backslashreplace")
        raise ParameterError(
            f"{path}, line {number}: no parameter line, {' and '.join(missing)} not given: "
            f"{shown!r}"
        )
    for name in missing:
        assert found is not None
        try:
            if name not in found:
                raise ParameterError(f"{name}: missing")
            known[name] = check_whole(name, found[name])
        except ParameterError as error:
            raise ParameterError(f"{path}, line {number}: {error}") from None
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


def summary_values(summary: Summary, **more: object) -> dict[str, Any]:
    """What a summary says, for JSON."""
    return {
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


def summary_json(values: dict[str, Any]) -> bytes:
    """The values of a summary as one JSON object, with a line end."""
    import orjson  # noqa: PLC0415 - most runs write none

    return orjson.dumps(values, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
