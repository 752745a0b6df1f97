"""The main job: a batch log and a stream log in, flagged purchases out."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from fastanomaly.convert import Number, TimeUnit, check_reading
from fastanomaly.detector import Method
from fastanomaly.errors import Stopped, UsageError
from fastanomaly.names import STANDARD
from fastanomaly.rules.parameters import MAX_LINE
from fastanomaly.runs.detectors import InProcess, OnCluster, detectors_of
from fastanomaly.runs.first_line import take_parameters
from fastanomaly.runs.inputs import Path, check_inputs, open_inputs, table_parameters
from fastanomaly.runs.job import Job, check_job
from fastanomaly.runs.run import Outputs, Run, SourceState
from fastanomaly.runs.summary import Summary
from fastanomaly.sinks.base import SinkOptions, flag_sink, reject_sink
from fastanomaly.sinks.paths import check_not_within
from fastanomaly.sources.base import Block, SourceOptions
from fastanomaly.tables.reading import Tables
from fastanomaly.waiting import Waiter

if TYPE_CHECKING:
    from fastanomaly.cluster.detector import AnyDetector
    from fastanomaly.runs.checkpoints.base import Checkpoints
    from fastanomaly.runs.diagnosis import LogEvidence
    from fastanomaly.runs.run_state import RunState

_TICK_SECONDS = 0.5


class Hooks(NamedTuple):
    """What a caller of `detect` is told during a run; see its parameters."""

    on_read: Callable[[Run], object] | None
    on_notice: Callable[[str], object]
    waiter: Waiter | None


def detect(
    batch: Path,
    stream: Path | None,
    out: Path,
    *,
    tables: Tables | None = None,
    degree: int | str | None = None,
    tracked: int | str | None = None,
    sigmas: Number = 3,
    method: Method = "auto",
    round_amounts: bool = False,
    time_unit: TimeUnit | None = None,
    threads: int | str = "auto",
    cluster: str | None = None,
    shards: int | str = 2,
    rejects: Path | None = None,
    strict: bool = False,
    max_line: int = MAX_LINE,
    follow: bool = False,
    until_idle: float | None = None,
    checkpoint: Path | None = None,
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
        The logs; ``-`` for standard input (one of them); ``.gz`` and ``.zst`` files are
        decompressed. Either may be a table: files of CSV, TSV, Parquet or Arrow, a folder
        or a pattern of such files, or a URL. If `stream` is None, `batch` is a table of
        which a part is judged, see `Tables.split`.
    out : str or path-like
        Where the flagged purchases go; ``-`` for standard output.
    tables : Tables, optional
        How tables are read.
    degree, tracked : int or str, optional
        D and T; by default those in the batch log's first line. A table has no such line.
    sigmas : int, float, str or Decimal, default 3
        k, see `Detector`.
    method : {"auto", "ball"}, default "auto"
        See `Detector`.
    round_amounts : bool, default False
        Accept amounts with more than six decimals, and round them; see `Detector`.
    time_unit : {"s", "ms", "us", "ns", "iso"}, optional
        Accept timestamps that are numbers in this unit since 1970, and more forms of ISO 8601;
        see `Detector`.
    threads : int, str or "auto", default "auto"
        How many threads judge, the calling one included; see `Detector`. A checkpoint may
        be continued with another number. On a cluster, it is the number of each shard, and
        ``auto`` is 1.
    cluster : str, optional
        Judge on a Ray cluster (extra `cluster`): the address of its head as HOST:PORT,
        ``auto`` for the one that this machine belongs to, or ``local`` to start one here. A
        checkpoint may be continued on a cluster or without.
    shards : int or str, default 2
        K, over how many processes of the cluster purchases are spread; 1 to 1,024. A
        checkpoint may be continued with another number.
    rejects : str or path-like, optional
        Where rejected lines go: tab-separated log, line number, reason, detail, line.
    strict : bool, default False
        Stop at the first rejected line.
    max_line : int, default 2^20
        Longer lines are rejected, in bytes; 1 to 2^31 - 1.
    follow : bool, default False
        Continue after the end of the stream log: it grows, is rotated, or is a FIFO with
        several writers in turn.
    until_idle : float, optional
        End after so many seconds without new data in the stream log; with `follow`, also
        fail if it cannot be opened for so long at the start.
    checkpoint : str or path-like, optional
        Folder for checkpoints. If it holds one of the same job, the run resumes there.
    every : int or str, default "30s"
        Interval of checkpoints: a number of lines, or seconds such as ``30s``.
    fresh : bool, default False
        Start over, whatever the folder holds.
    summary : Summary, optional
        Filled during the run, so that it can be read after an exception too.
    on_read : callable, optional
        Called with the `Run` after each block of a log, and twice a second when no data
        comes.
    on_notice : callable, optional
        Called with text that the operator should know, such as a damaged checkpoint.
    waiter : Waiter, optional
        Waits wherever a read or the opening of a FIFO may block.

    Returns
    -------
    Summary
        Its ``diagnosis.faults()`` is a list of texts, not empty where the command ends with
        status 4: a log has lines, but no valid event. ``diagnosis.hints()`` lists what else
        looks wrong, such as swapped logs.

    Raises
    ------
    UsageError
        A wrong parameter, an unreadable log, or a checkpoint of another job; nothing has
        been written.
    CheckpointError
        There are checkpoints, but all are damaged; nothing has been written.
    LogReadError, OutputError
        An I/O error; what was judged before has been written.
    OSError
        The last checkpoint could not be written; everything else was.
    FeedError
        Memory ran out; what was judged before has been written.
    StrictError
        A line was rejected, and `strict` is set.

    Notes
    -----
    Needs the memory of the detector; it does not grow with the logs.
    """
    inputs = check_inputs(batch, stream, tables)
    job = check_job(
        inputs,
        out,
        rejects,
        degree=degree,
        tracked=tracked,
        max_line=max_line,
        sigmas=sigmas,
        reading=check_reading(round_amounts, time_unit),
        method=method,
        threads=threads,
        cluster=cluster,
        shards=shards,
        strict=strict,
        follow=follow,
        until_idle=until_idle,
    )
    hooks = Hooks(on_read, on_notice or (lambda text: None), waiter)
    summary = Summary() if summary is None else summary
    summary.diagnosis.name_logs(*inputs.titles, inputs.split_at)
    summary.adjusted = job.reading.adjusted()
    with ExitStack() as stack:
        detectors = detectors_of(job, hooks.on_notice, stack)
        checkpoints = None
        if checkpoint is not None:
            folder = os.fspath(checkpoint)
            check_not_within(folder, job.outputs, "the folder of checkpoints")
            checkpoints = stack.enter_context(detectors.checkpoints(folder, every))
        _detect(stack, job, hooks, summary, detectors, checkpoints, fresh)
    return summary


def _detect(
    stack: ExitStack,
    job: Job,
    hooks: Hooks,
    summary: Summary,
    detectors: InProcess | OnCluster,
    checkpoints: "Checkpoints | None",
    fresh: bool,
) -> None:
    """Begin or resume a run and read its logs."""
    resumed = None
    if checkpoints is not None and not fresh:
        resumed = _resumable(checkpoints, job)
    if resumed is not None:
        detectors.resume(resumed[0])
        _restore(summary, *resumed)
        if summary.done_before:
            return
    saved = None if resumed is None else resumed[1]
    sources = _open_sources(stack, job, hooks, saved, checkpoints is not None)
    blocks = [
        _blocks(state, log) for state, log in zip(sources, summary.diagnosis.logs, strict=True)
    ]
    if resumed is not None:
        detector = resumed[0]
    else:
        detector, blocks[0] = _begin(job, detectors, sources[0], blocks[0])
    run = Run(
        job,
        detector,
        sources,
        _open_outputs(stack, job, hooks, saved, checkpoints),
        summary,
        checkpoints,
        hooks.on_read,
    )
    try:
        for state, lines in zip(sources, blocks, strict=True):
            if not state.done:
                run.feed(state, lines)
    except Stopped:
        run.finish(done=False)
        raise
    except Exception:
        run.finish_outputs()
        raise
    else:
        run.finish(done=not job.follow)
    finally:
        run.end()


def _resumable(checkpoints: "Checkpoints", job: Job) -> "tuple[AnyDetector, RunState] | None":
    """Return the newest checkpoint, if there is one.

    Raises
    ------
    UsageError
        If it is of another job.
    """
    found = checkpoints.newest()
    if found is None:
        return None
    detector, saved = found
    of_checkpoint = saved.job | {"D": detector.degree, "T": detector.tracked}
    for name, before, now in job.differences(of_checkpoint):
        raise UsageError(
            f"{checkpoints.folder}: holds a checkpoint of another job: {name} was "
            f"{before} and is now {now} (--fresh starts over)"
        )
    return found


def _restore(summary: Summary, detector: "AnyDetector", saved: "RunState") -> None:
    """Copy what had been counted up to a checkpoint."""
    summary.count(detector)
    summary.rejected.update(saved.rejected)
    summary.first_rejected = saved.first_rejected
    summary.seconds = saved.seconds
    for log, source in zip(summary.diagnosis.logs, saved.sources, strict=True):
        log.resume(source)
    summary.done_before = saved.done


def _begin(
    job: Job, detectors: InProcess | OnCluster, first: SourceState, blocks: Iterator[Block]
) -> "tuple[AnyDetector, Iterator[Block]]":
    """Make the detector, with D and T from the batch log's first line if it has them."""
    batch = job.inputs.batch
    if job.inputs.batch_table:
        found = table_parameters(batch, job.given)
    else:
        blocks, first.line, found = take_parameters(batch, blocks, job.given, job.max_line)
    return detectors.make(found["D"], found["T"]), blocks


def _blocks(state: SourceState, log: "LogEvidence") -> Iterator[Block]:
    """Return what is to be read of a log."""
    if state.source is None:
        return iter(())
    blocks = state.source.blocks()
    return blocks if state.position is not None else log.watch(blocks)


def _open_sources(
    stack: ExitStack, job: Job, hooks: Hooks, saved: "RunState | None", resumable: bool
) -> list[SourceState]:
    """Open the inputs that have not been read to their ends, where they were left."""
    states = [
        SourceState(path, None if saved is None else saved.sources[index])
        for index, path in enumerate(job.inputs.names)
    ]
    past, present = (
        SourceOptions(
            job.max_line,
            hooks.waiter,
            follow=job.follow and live,
            until_idle=job.until_idle if live else None,
            tick=_TICK_SECONDS,
            position=state.position,
            on_notice=hooks.on_notice,
            resumable=resumable,
        )
        for live, state in zip((False, True), states, strict=True)
    )
    done = (states[0].done, states[1].done)
    opened = open_inputs(job.inputs, (past, present), job.reading, done)
    for state, source in zip(states, opened, strict=True):
        state.source = source
        if source is not None:
            stack.callback(source.close)
    for source in opened:
        if source is not None and source.notice:
            hooks.on_notice(source.notice)
    return states


def _open_outputs(
    stack: ExitStack,
    job: Job,
    hooks: Hooks,
    saved: "RunState | None",
    checkpoints: "Checkpoints | None",
) -> Outputs:
    """Open the sinks; all are checked before what they hold is cut."""
    options = SinkOptions(hooks.waiter, job.inputs.logs(), job.sigmas, _is_live(job))
    flags = flag_sink(job.out)(job.out, options)
    stack.callback(flags.close)
    rejects = None
    if job.rejects is not None:
        rejects = reject_sink(job.rejects)(job.rejects, options)
        stack.callback(rejects.close)
    if checkpoints is not None and saved is None:
        checkpoints.forget()
    outputs = Outputs(flags, rejects)
    positions = [None, None]
    if saved is not None:
        positions = [saved.flags_position, saved.rejects_position]
    for sink, position in zip(outputs.sinks(), positions, strict=False):
        sink.check_resume(position)
    for sink, position in zip(outputs.sinks(), positions, strict=False):
        sink.resume(position)
    return outputs


def _is_live(job: Job) -> bool:
    """Return whether lines of the stream log come while the run waits for them."""
    path = job.inputs.stream
    is_pipe = os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)
    return job.follow or path == STANDARD or is_pipe
