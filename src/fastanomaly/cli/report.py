"""fastanomaly report: the result of a run as one HTML file, with every flag explained."""

from __future__ import annotations

import argparse

from fastanomaly.cli.findings import write_findings, write_rejected
from fastanomaly.cli.options import (
    add_inputs,
    add_max_line,
    add_other_settings,
    add_parameters,
    add_quiet,
    add_reading,
    add_threads,
    explain_options,
    input_files,
    report_written,
    tables_of,
    threads,
    write_notice,
)
from fastanomaly.cli.progress import ProgressBar
from fastanomaly.errors import UsageError
from fastanomaly.runs.diagnosis import Diagnosis
from fastanomaly.sinks.files import write_whole
from fastanomaly.sinks.paths import check_outputs, irregular

HELP = "write a report on two logs as one HTML file that opens offline"
EXAMPLES = (
    "fastanomaly report batch.json stream.json -o report.html",
    "fastanomaly report batch.json stream.json -o june.html --title June -D 3 -T 50",
)
_SUFFIXES = (".html", ".htm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add_inputs(parser)
    parser.add_argument(
        "-o", "--out", metavar="FILE", required=True, help="the report to write: .html"
    )
    parser.add_argument("--title", default="Unusual purchases", help="title of the page")
    add_parameters(parser)
    add_other_settings(parser)
    add_max_line(parser)
    add_reading(parser)
    add_threads(parser)
    add_quiet(parser, "no progress bar, and do not say which file was written")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from fastanomaly.reports.build import report  # noqa: PLC0415 - NumPy slows the start

    check_outputs(input_files(args), [args.out])
    if irregular(args.out) is None and not args.out.lower().endswith(_SUFFIXES):
        raise UsageError(f"{args.out}: the suffix must be .html, or a browser shows no page")
    options = {**explain_options(args), "threads": threads(args)}
    diagnosis = Diagnosis()
    with ProgressBar(args.quiet) as progress:
        page = report(
            args.batch,
            args.stream,
            tables=tables_of(args),
            on_notice=None if args.quiet else write_notice,
            title=args.title,
            on_read=progress,
            diagnosis=diagnosis,
            **options,
        )
    # The paths of the logs are in it, and need not be UTF-8.
    write_whole(args.out, page.encode("utf-8", "backslashreplace"))
    report_written(args, args.out)
    write_rejected(diagnosis)
    return write_findings(diagnosis)
