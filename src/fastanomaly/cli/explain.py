"""fastanomaly explain: why a purchase of the stream log is flagged or not."""

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
    explain_options,
    input_files,
    report_written,
    tables_of,
    write_notice,
)
from fastanomaly.runs.diagnosis import Diagnosis
from fastanomaly.sinks.files import print_text
from fastanomaly.sinks.paths import check_outputs

HELP = "explain why a purchase of a stream log is flagged or not"
EXAMPLES = (
    "fastanomaly explain batch.json stream.json --flag 1",
    "fastanomaly explain batch.json stream.json --line 7 --picture why.svg",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add_inputs(parser)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--line", metavar="N", type=int, help="explain the purchase in line or row N, from 1"
    )
    which.add_argument(
        "--flag",
        metavar="N",
        type=int,
        help="explain the N-th purchase that detect flags at the same D, T and k",
    )
    parser.add_argument("--json", action="store_true", help="write JSON instead of text")
    parser.add_argument(
        "--picture", metavar="FILE", help="also draw a picture: .svg, .png or .pdf"
    )
    add_parameters(parser)
    add_other_settings(parser)
    add_max_line(parser)
    add_reading(parser)
    add_quiet(parser, "do not say which file was written")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from fastanomaly.runs.explaining import explain  # noqa: PLC0415 - slows the start

    check_outputs(input_files(args), [args.picture])
    diagnosis = Diagnosis()
    found = explain(
        args.batch,
        args.stream,
        tables=tables_of(args),
        on_notice=None if args.quiet else write_notice,
        line=args.line,
        flag=args.flag,
        diagnosis=diagnosis,
        **explain_options(args),
    )
    if args.json:
        import json  # noqa: PLC0415 - imported late: it slows the start

        print_text(json.dumps(found.to_dict(), indent=1))
    else:
        print_text(found.to_text())
    if args.picture is not None:
        found.draw(args.picture)
        report_written(args, args.picture)
    write_rejected(diagnosis)
    return write_findings(diagnosis)
