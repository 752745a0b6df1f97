"""fastanomaly sweep: every setting of a grid of D, T and k, in one replay."""

from __future__ import annotations

import argparse
import os
import re
from typing import TYPE_CHECKING

from fastanomaly.cli.progress import ProgressBar
from fastanomaly.errors import UsageError
from fastanomaly.rules.parameters import LARGEST, MAX_LINE, check_max_line
from fastanomaly.sinks.files import print_text, write_whole
from fastanomaly.sinks.paths import check_folders, check_outputs
from fastanomaly.telemetry.messages import write_message

if TYPE_CHECKING:
    from fastanomaly.sweeps.grid import Cell, SweepResult

NAME = "sweep"
HELP = "judge a stream log under many settings of D, T and k at once"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add = parser.add_argument
    add("batch", metavar="BATCH", help="the past: a log, or - for stdin")
    add("stream", metavar="STREAM", help="the present: a log, or - for stdin")
    add("-D", "--degrees", metavar="LIST", required=True, help="such as 1-6 or 1,2,4")
    add("-T", "--tracked", metavar="LIST", required=True, help="such as 10,20,50,100,200")
    add("-k", "--sigmas", metavar="LIST", default="3", help="such as 2,2.5,3 (default: 3)")
    add("-o", "--out", metavar="FILE", help="write the table there: .csv, .json, .parquet")
    add("--agreement", metavar="FILE", help="how much each two settings agree: likewise")
    add("--flags-dir", metavar="DIR", help="write what detect would, a file a setting")
    add(
        "--against",
        metavar="D,T,k",
        help="show how much the others agree with this setting",
    )
    add(
        "--max-line",
        metavar="BYTES",
        type=int,
        default=MAX_LINE,
        help="reject longer lines (default: %(default)s)",
    )
    add("--quiet", action="store_true", help="no progress bar and no table")


def whole_numbers(name: str, text: str) -> list[int]:
    """The numbers of a list such as ``1-3,6``.

    Raises
    ------
    UsageError
        If it is no such list; it names the option and the part.
    """
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,10})\s*(?:-\s*([0-9]{1,10})\s*)?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last <= LARGEST or last - first >= 10**4:
            raise UsageError(f"{name}: {part!r} is no number and no range such as 1-6")
        found += range(first, last + 1)
    return found


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from fastanomaly.export import (  # noqa: PLC0415
        agreement_text,
        check_suffix,
        file_of,
        sweep_text,
    )
    from fastanomaly.sweeps.grid import grid, sweep  # noqa: PLC0415 - NumPy takes its time

    check_max_line(args.max_line, "--max-line")
    files = [path for path in (args.out, args.agreement) if path is not None]
    for path in files:
        check_suffix(path)
    check_outputs([args.batch, args.stream], files)
    chosen = (
        whole_numbers("--degrees", args.degrees),
        whole_numbers("--tracked", args.tracked),
        [k.strip() for k in args.sigmas.split(",")],
    )
    made = args.flags_dir and os.path.abspath(args.flags_dir)
    check_folders([path for path in files if os.path.dirname(os.path.abspath(path)) != made])
    if args.flags_dir is not None:
        for cell in grid(*chosen)[-1]:
            check_outputs([args.batch, args.stream], [*files, _flags_path(args, cell)])
        os.makedirs(args.flags_dir, exist_ok=True)
    with ProgressBar(args.quiet) as progress:
        result = sweep(
            args.batch,
            args.stream,
            degrees=chosen[0],
            tracked=chosen[1],
            sigmas=chosen[2],
            max_line=args.max_line,
            on_read=progress,
        )
    against = None
    if args.against is not None:
        against = _cell(result, args.against)
    if args.out is not None:
        write_whole(args.out, file_of(args.out, result.columns()))
    if args.agreement is not None:
        write_whole(args.agreement, file_of(args.agreement, result.agreement_columns()))
    if args.flags_dir is not None:
        for index, cell in enumerate(result.cells):
            write_whole(_flags_path(args, cell), b"".join(result.lines(index)))
    if not args.quiet:
        print_text(sweep_text(result))
        if against is not None:
            print_text("\n" + agreement_text(result, against))
    if total := result.rejected.total():
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in result.rejected.most_common())
        write_message(
            f"{total:,} line{'s' if total > 1 else ''} rejected: {reasons}", "warning"
        )
    return 0


def _flags_path(args: argparse.Namespace, cell: Cell) -> str:
    return os.path.join(args.flags_dir, f"{cell.name}.json")


def _cell(result: SweepResult, text: str) -> int:
    """The index of the setting that ``2,50,3`` names."""
    parts = [part.strip() for part in text.split(",")]
    for index, cell in enumerate(result.cells):
        if [str(cell.degree), str(cell.tracked), cell.sigmas] == parts:
            return index
    raise UsageError(f"--against: {text!r} is no setting of the grid, such as 2,50,3")
