"""fastanomaly detect: the main job on the command line."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from typing import TYPE_CHECKING

from fastanomaly.cli.progress import Progress
from fastanomaly.errors import FeedError, OutputError, Stopped, StrictError
from fastanomaly.rules.parameters import MAX_LINE, check_max_line
from fastanomaly.runs.detection import detect, summary_json, summary_values
from fastanomaly.runs.run import Summary
from fastanomaly.runs.stopping import StopSignals
from fastanomaly.sinks.lines import check_outputs, write_whole
from fastanomaly.telemetry import messages as journal
from fastanomaly.telemetry.messages import say

if TYPE_CHECKING:
    from types import FrameType

    from fastanomaly.runs.run import Run
    from fastanomaly.telemetry.metrics import Metrics

NAME = "detect"
HELP = "judge a stream log's purchases and write the flagged ones"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("batch", metavar="BATCH", help="the past: a log, or - for stdin")
    parser.add_argument("stream", metavar="STREAM", help="the present: a log, or - for stdin")
    parser.add_argument("out", metavar="OUT", help="the flagged purchases, or - for stdout")
    parser.add_argument(
        "-D", "--degree", metavar="N", help="degree of a network (default: the batch log's)"
    )
    parser.add_argument(
        "-T",
        "--tracked",
        metavar="N",
        help="latest purchases that count (default: the batch log's)",
    )
    parser.add_argument(
        "-k", "--sigmas", metavar="K", default="3", help="standard deviations (default: 3)"
    )
    parser.add_argument("--rejects", metavar="FILE", help="write rejected lines there")
    parser.add_argument("--strict", action="store_true", help="stop at a rejected line")
    parser.add_argument(
        "--max-line",
        metavar="BYTES",
        type=int,
        default=MAX_LINE,
        help="reject longer lines (default: %(default)s)",
    )
    parser.add_argument(
        "--follow", action="store_true", help="go on where the stream log ends, as tail -F"
    )
    parser.add_argument(
        "--until-idle",
        metavar="SECONDS",
        type=_seconds,
        help="end when nothing has come of the stream log for so long",
    )
    parser.add_argument(
        "--checkpoint", metavar="DIR", help="keep the state there, and go on from there"
    )
    parser.add_argument(
        "--every",
        metavar="N|Ns",
        default="30s",
        help="lines or seconds between two checkpoints (default: %(default)s)",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="start over, whatever the checkpoint says"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress and no summary")
    parser.add_argument(
        "--metrics",
        metavar="PORT|FILE",
        help="tell Prometheus: at a port of this machine (or HOST:PORT), or in a file",
    )
    parser.add_argument(
        "--log-format",
        choices=journal.FORMATS,
        default=journal.TEXT,
        help="how standard error is written (default: %(default)s)",
    )
    parser.add_argument("--summary-json", metavar="FILE", help="write the summary there")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds


def _notice(text: str) -> None:
    say(text, "warning")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    check_max_line(args.max_line, "--max-line")
    if args.summary_json is not None:
        outputs = [args.out, args.rejects, args.summary_json]
        check_outputs(
            [args.batch, args.stream], [path for path in outputs if path is not None]
        )
    if args.log_format == journal.JSON:
        journal.use_json()
    summary = Summary()
    try:
        with StopSignals() as signals, _Watch(args) as watch:
            detect(
                args.batch,
                args.stream,
                args.out,
                degree=args.degree,
                tracked=args.tracked,
                sigmas=args.sigmas,
                rejects=args.rejects,
                strict=args.strict,
                max_line=args.max_line,
                follow=args.follow,
                until_idle=args.until_idle,
                checkpoint=args.checkpoint,
                every=args.every,
                fresh=args.fresh,
                summary=summary,
                on_read=watch,
                on_notice=_notice,
                waiter=signals,
            )
    except StrictError as error:
        say(str(error), "error")
        ended, status = "stopped at a rejected line", 3
    except Stopped as stop:
        ended, status = f"stopped by {stop}", stop.exit_status
    except (OSError, FeedError):
        if summary.seconds:
            _report(summary, args, "failed")
        raise
    else:
        ended, status = "done before" if summary.done_before else "done", 0
    return max(_report(summary, args, ended), status)


def _report(summary: Summary, args: argparse.Namespace, ended: str) -> int:
    """Tell what was done; return 1 if the file for it cannot be written."""
    values = summary_values(summary, ended=ended, peak_memory_bytes=_peak_memory())
    if summary.rejected or not args.quiet:
        say(_text(summary, ended, args.quiet), **values)
    if args.summary_json is None:
        return 0
    try:
        write_whole(args.summary_json, summary_json(values))
    except OutputError as error:
        say(str(error), "error")
        return 1
    return 0


def _peak_memory() -> int:
    """The most memory the process has had resident, in bytes."""
    try:
        # On Linux, getrusage begins with what the parent had when it started us.
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if "VmHWM" in line) * 1024
    except (OSError, StopIteration):
        import resource  # noqa: PLC0415 - not on Linux

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _text(summary: Summary, ended: str, quiet: bool) -> str:
    """The summary for people; a quiet run speaks of rejected lines alone."""
    lines = []
    if not quiet:
        lines += [
            f"{ended}: {summary.events:,} events in {summary.seconds:.2f} s, "
            f"{summary.events_per_second:,.0f} a second, "
            f"peak memory {_peak_memory() / 1e6:.0f} MB",
            f"{summary.purchases:,} purchases, {summary.befriends:,} befriends, "
            f"{summary.unfriends:,} unfriends; {summary.users:,} users, "
            f"{summary.friendships:,} friendships",
            f"{summary.flags:,} flagged",
        ]
    if total := summary.rejected.total():
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in summary.rejected.most_common())
        lines += [
            f"{total:,} line{'s' if total > 1 else ''} rejected: {reasons}",
            f"the first: {summary.first_rejected}",
        ]
    return "\n".join(lines)


class _Watch:
    """Shows how a run is doing: on a terminal, to Prometheus, and when SIGUSR1 asks."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._progress = Progress(args.quiet or args.log_format == journal.JSON)
        self._metrics: Metrics | None = None
        self._asked = False
        if args.metrics is not None:
            from fastanomaly.telemetry.metrics import Metrics  # noqa: PLC0415 - an extra

            self._metrics = Metrics(args.metrics)

    def __enter__(self) -> _Watch:
        self._handler = signal.signal(signal.SIGUSR1, self._ask)
        self._run: Run | None = None
        return self

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGUSR1, self._handler)
        self._progress.close()
        if self._metrics is not None:
            if self._run is not None:
                self._metrics(self._run, now=True)
            self._metrics.close()

    def _ask(self, signum: int, frame: FrameType | None) -> None:
        self._asked = True

    def __call__(self, run: Run) -> None:
        """Take note that some of a log has been read, or that time has passed."""
        self._run = run
        self._progress(run.reading.log)
        if self._metrics is not None:
            self._metrics(run)
        if self._asked:
            self._asked = False
            _tell_health(run)


def _tell_health(run: Run) -> None:
    """One line on how a run is doing."""
    values = summary_values(run.summary, log=run.reading.path, line=run.reading.line)
    newest_us = run.detector.newest_us
    if newest_us is not None:
        values["lag_seconds"] = round(time.time() - newest_us / 1e6, 3)
    kept = run.checkpoints
    if kept is not None:
        kept.look()
        if kept.written_at is not None:
            values["checkpoint_age_seconds"] = round(time.time() - kept.written_at, 3)
    values["state_bytes"] = run.detector.memory().total
    told = ", ".join(f"{name} {value}" for name, value in values.items() if value != {})
    say(f"health: {told}", **values)
