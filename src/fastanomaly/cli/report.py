"""fastanomaly report: a run as one HTML file, with every flag explained."""

from __future__ import annotations

import argparse

from fastanomaly.cli.explain import add_setting, setting
from fastanomaly.cli.progress import ProgressBar
from fastanomaly.sinks.files import write_whole
from fastanomaly.sinks.paths import check_folders, check_outputs

NAME = "report"
HELP = "tell what came of two logs, as one HTML file that opens offline"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add = parser.add_argument
    add("batch", metavar="BATCH", help="the past: a log")
    add("stream", metavar="STREAM", help="the present: a log")
    add("-o", "--out", metavar="FILE", required=True, help="write the report there: .html")
    add("--title", default="Unusual purchases", help="what stands above it")
    add_setting(parser)
    add("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from fastanomaly.reports.build import report  # noqa: PLC0415 - NumPy takes its time

    check_outputs([args.batch, args.stream], [args.out])
    check_folders([args.out])
    with ProgressBar(args.quiet) as progress:
        page = report(
            args.batch, args.stream, title=args.title, on_read=progress, **setting(args)
        )
    # A path in it need not be UTF-8.
    write_whole(args.out, page.encode("utf-8", "backslashreplace"))
    return 0
