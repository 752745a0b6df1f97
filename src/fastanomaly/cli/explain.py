"""fastanomaly explain: why a purchase of the stream log is flagged, or is not."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from fastanomaly.cli.sweep import whole_numbers
from fastanomaly.rules.parameters import MAX_LINE, check_max_line, check_whole
from fastanomaly.sinks.files import print_text
from fastanomaly.sinks.paths import check_folders, check_outputs

if TYPE_CHECKING:
    from fastanomaly.explanations.model import Explanation

NAME = "explain"
HELP = "tell why a purchase of a stream log is flagged, or is not"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add = parser.add_argument
    add("batch", metavar="BATCH", help="the past: a log")
    add("stream", metavar="STREAM", help="the present: a log")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--line", metavar="N", type=int, help="the stream log's line, from 1")
    which.add_argument(
        "--flag", metavar="K", type=int, help="a flag of detect at these D, T and k, from 1"
    )
    add("--json", action="store_true", help="write JSON instead of text")
    add("--picture", metavar="FILE", help="draw it there: .svg, .png, .pdf")
    add_setting(parser)


def add_setting(parser: argparse.ArgumentParser) -> None:
    """Declare what purchases are explained at, for this command and others."""
    add = parser.add_argument
    add("-D", "--degree", metavar="N", help="degree of a network (default: the batch log's)")
    add("-T", "--tracked", metavar="N", help="latest purchases (default: the batch log's)")
    add("-k", "--sigmas", metavar="K", default="3", help="standard deviations (default: 3)")
    add(
        "--degrees",
        metavar="LIST",
        default="1-6",
        help="other D to judge it at (default: %(default)s)",
    )
    add(
        "--other-tracked",
        metavar="LIST",
        default="10,20,50,100,200",
        help="other T to judge it at (default: %(default)s)",
    )
    add(
        "--max-line",
        metavar="BYTES",
        type=int,
        default=MAX_LINE,
        help="reject longer lines (default: %(default)s)",
    )


def setting(args: argparse.Namespace) -> dict[str, Any]:
    """The setting that was given, as keyword arguments."""
    check_max_line(args.max_line, "--max-line")
    return {
        "degree": None if args.degree is None else check_whole("D", args.degree),
        "tracked": None if args.tracked is None else check_whole("T", args.tracked),
        "sigmas": args.sigmas,
        "degrees": whole_numbers("--degrees", args.degrees),
        "other_tracked": whole_numbers("--other-tracked", args.other_tracked),
        "max_line": args.max_line,
    }


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from fastanomaly.runs.explaining import explain_flag, explain_line  # noqa: PLC0415

    if args.picture is not None:
        check_outputs([args.batch, args.stream], [args.picture])
        check_folders([args.picture])
    options = setting(args)
    found: Explanation
    if args.line is not None:
        found = explain_line(args.batch, args.stream, args.line, **options)
    else:
        found = explain_flag(args.batch, args.stream, args.flag, **options)
    print_text(json.dumps(found.to_dict(), indent=1) if args.json else found.to_text())
    if args.picture is not None:
        found.draw(args.picture)
    return 0
