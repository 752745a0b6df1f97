"""fastanomaly detect: the main job on the command line."""

from __future__ import annotations

import argparse
import os
import sys

from fastanomaly.cli.findings import write_findings
from fastanomaly.cli.options import (
    add_cluster,
    add_inputs,
    add_max_line,
    add_parameters,
    add_quiet,
    add_reading,
    add_threads,
    cluster_options,
    input_files,
    max_line,
    reading_options,
    tables_of,
    threads,
    write_notice,
)
from fastanomaly.cli.watch import Watch
from fastanomaly.errors import FeedError, OutputError, Stopped, StrictError, UsageError
from fastanomaly.formats.display import counted
from fastanomaly.runs.detection import detect
from fastanomaly.runs.stopping import StopSignals
from fastanomaly.runs.summary import (
    Summary,
    adjusted_text,
    rejected_text,
    summary_json,
    summary_values,
)
from fastanomaly.sinks.files import write_whole
from fastanomaly.sinks.paths import check_not_within, check_outputs
from fastanomaly.telemetry import messages
from fastanomaly.telemetry.messages import write_message

HELP = "judge a stream log's purchases and write the flagged ones"
EXAMPLES = (
    "fastanomaly detect batch.json stream.json flagged.json",
    "fastanomaly detect batch.json stream.json.gz - -D 2 -T 50 --rejects rejects.tsv",
    "fastanomaly detect batch.json live.json out.json --follow --checkpoint kept",
    "fastanomaly detect sales.csv -o flags.json --friends friends.csv -D 2 -T 50",
)
_EVERY = "30s"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add_inputs(parser, standard_input=True)
    parser.add_argument(
        "out",
        metavar="OUT",
        nargs="?",
        help="the flagged purchases, or -; a table if it ends with .csv, .parquet or .arrow, "
        "or is sqlite:FILE?table=NAME, duckdb:FILE?table=NAME or postgresql://...?table=NAME",
    )
    parser.add_argument(
        "-o", "--out", dest="out_option", metavar="OUT", help="OUT, for one table"
    )
    add_parameters(parser)
    parser.add_argument("--rejects", metavar="FILE", help="write rejected lines to this file")
    parser.add_argument("--strict", action="store_true", help="stop at a rejected line")
    add_max_line(parser)
    add_reading(parser)
    add_threads(parser)
    add_cluster(parser)
    _add_live_arguments(parser)
    add_quiet(parser, "no progress bar and no summary")
    parser.add_argument(
        "--metrics",
        metavar="PORT|FILE",
        help="metrics for Prometheus: at a local port, HOST:PORT or [IPv6]:PORT, or in a file",
    )
    parser.add_argument(
        "--log-format",
        choices=messages.FORMATS,
        default=messages.TEXT,
        help="format of messages on standard error (default: %(default)s)",
    )
    parser.add_argument(
        "--summary-json", metavar="FILE", help="write the summary to this file"
    )


def _add_live_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments for live streams and checkpoints."""
    parser.add_argument(
        "--follow", action="store_true", help="continue at the stream log's end, like tail -F"
    )
    parser.add_argument(
        "--until-idle",
        metavar="SECONDS",
        type=_seconds,
        help="end after so many seconds without new data in the stream log",
    )
    parser.add_argument(
        "--checkpoint", metavar="DIR", help="keep checkpoints there, and resume from them"
    )
    parser.add_argument(
        "--every",
        metavar="N|Ns",
        help=f"lines or seconds between two checkpoints (default: {_EVERY})",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="start over, whatever the checkpoints hold"
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


def _check_options(args: argparse.Namespace) -> None:
    """Check options that go together, and that none does nothing; raises UsageError."""
    if args.checkpoint is None:
        for name, value in (("--every", args.every), ("--fresh", args.fresh)):
            if value:
                raise UsageError(f"{name}: has no effect without --checkpoint")
    if args.out_option is not None:
        if args.out is not None:
            raise UsageError(
                f"-o: the output is given twice: {args.out}, {args.out_option}; several "
                "files are one table as a pattern in quotes, such as '*.csv'"
            )
        args.out = args.out_option
    if args.out is None:
        raise UsageError(
            "no output; usage: fastanomaly detect BATCH STREAM OUT, or for one table "
            "fastanomaly detect TABLE -o OUT"
        )
    stream = args.stream or args.batch
    if args.until_idle is not None and not args.follow and os.path.isfile(stream):
        raise UsageError(f"--until-idle: has no effect on the file {stream} without --follow")


def _metrics_file(target: str | None) -> str | None:
    """Return the file of the metrics; None if they go to an address or nowhere."""
    if target is None:
        return None
    from fastanomaly.telemetry.address import parse_target  # noqa: PLC0415 - few runs need it

    return target if parse_target(target) is None else None


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    limit, judging_threads = max_line(args), threads(args)
    cluster = cluster_options(args)
    _check_options(args)
    metrics_file = _metrics_file(args.metrics)
    outputs = [args.out, args.rejects, args.summary_json, metrics_file]
    if args.checkpoint is not None:
        check_not_within(args.checkpoint, outputs, "the folder of checkpoints")
    check_outputs(input_files(args), outputs, replaced=[metrics_file])
    json = args.log_format == messages.JSON
    if json:
        messages.use_json()
    summary = Summary()
    try:
        with StopSignals() as signals, Watch(args.quiet or json, args.metrics) as watch:
            detect(
                args.batch,
                args.stream,
                args.out,
                tables=tables_of(args),
                degree=args.degree,
                tracked=args.tracked,
                sigmas=args.sigmas,
                rejects=args.rejects,
                strict=args.strict,
                max_line=limit,
                **reading_options(args),
                threads=judging_threads,
                **cluster,
                follow=args.follow,
                until_idle=args.until_idle,
                checkpoint=args.checkpoint,
                every=args.every or _EVERY,
                fresh=args.fresh,
                summary=summary,
                on_read=watch,
                on_notice=write_notice,
                waiter=signals,
            )
    except StrictError as error:
        write_message(str(error), "error")
        ended, status = "stopped at a rejected line", 3
    except Stopped as stop:
        ended, status = f"stopped by {stop}", stop.exit_status
    except (OSError, FeedError):
        if summary.seconds:
            _report(summary, args, "failed")
        raise
    else:
        ended = "already done" if summary.done_before else "done"
        failed = _report(summary, args, ended)
        status = write_findings(summary.diagnosis)
        return failed or status
    return max(_report(summary, args, ended), status)


def _report(summary: Summary, args: argparse.Namespace, ended: str) -> int:
    """Write the summary; return 1 if the file for it cannot be written."""
    values = summary_values(summary, ended=ended, peak_memory_bytes=_peak_memory())
    if summary.rejected or not args.quiet:
        write_message(_text(summary, ended, values["peak_memory_bytes"], args.quiet), **values)
    if args.summary_json is None:
        return 0
    try:
        write_whole(args.summary_json, summary_json(values))
    except OutputError as error:
        write_message(str(error), "error")
        return 1
    return 0


def _peak_memory() -> int:
    """Return the largest resident size that the process has had, in bytes."""
    try:
        # On Linux, getrusage starts with what the parent had when it started the process.
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if "VmHWM" in line) * 1024
    except (OSError, StopIteration):
        import resource  # noqa: PLC0415 - not needed on Linux

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _text(summary: Summary, ended: str, peak_memory_bytes: int, quiet: bool) -> str:
    """Return the summary as text; of a quiet run, only about rejected lines."""
    lines = []
    if not quiet:
        lines += [
            f"{ended}: {counted(summary.events, 'event')} in {summary.seconds:.2f} s, "
            f"{summary.events_per_second:,.0f} a second, "
            f"peak memory {peak_memory_bytes / 1e6:.0f} MB",
            f"{counted(summary.purchases, 'purchase')}, "
            f"{counted(summary.befriends, 'befriend')}, "
            f"{counted(summary.unfriends, 'unfriend')}; {counted(summary.users, 'user')}, "
            f"{counted(summary.friendships, 'friendship')}",
            f"{summary.flags:,} flagged",
        ]
        lines += filter(None, [adjusted_text(summary)])
    if summary.rejected:
        first = summary.first_rejected
        others = [text for text in summary.diagnosis.examples() if text != first]
        lines += [rejected_text(summary.rejected), f"the first: {first}"]
        lines += [f"also: {text}" for text in others]
    return "\n".join(lines)
