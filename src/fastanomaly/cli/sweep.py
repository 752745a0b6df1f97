"""fastanomaly sweep: all settings of a grid of D, T and k, in one replay."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from fastanomaly.cli.findings import write_findings, write_rejected
from fastanomaly.cli.options import (
    add_inputs,
    add_max_line,
    add_quiet,
    add_reading,
    add_threads,
    input_files,
    max_line,
    reading_options,
    report_written,
    tables_of,
    threads,
    whole_numbers,
    write_notice,
)
from fastanomaly.cli.progress import ProgressBar
from fastanomaly.errors import UsageError
from fastanomaly.runs.diagnosis import Diagnosis
from fastanomaly.runs.summary import adjusted_text
from fastanomaly.sinks.files import print_text, write_whole
from fastanomaly.sinks.paths import check_clashes, check_outputs
from fastanomaly.telemetry.messages import write_message

if TYPE_CHECKING:
    from fastanomaly.sweeps.grid import Cell
    from fastanomaly.sweeps.result import SweepResult

HELP = "judge a stream log at many settings of D, T and k at once"
EXAMPLES = (
    "fastanomaly sweep batch.json stream.json -D 1-6 -T 10,20,50",
    "fastanomaly sweep batch.json stream.json -D 2 -T 50 -k 2,2.5,3 -o table.csv",
    "fastanomaly sweep batch.json stream.json -D 1-3 -T 50 --against 2,50,3",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add = parser.add_argument
    add_inputs(parser, standard_input=True)
    add("-D", "--degrees", metavar="LIST", required=True, help="such as 1-6 or 1,2,4")
    add("-T", "--tracked", metavar="LIST", required=True, help="such as 10,20,50,100,200")
    add("-k", "--sigmas", metavar="LIST", default="3", help="such as 2,2.5,3 (default: 3)")
    add("-o", "--out", metavar="FILE", help="write the table there: .csv, .json, .parquet")
    add(
        "--agreement",
        metavar="FILE",
        help="write how much each pair of settings agrees: .csv, .json, .parquet",
    )
    add(
        "--flags-dir",
        metavar="DIR",
        help="write the flags of each setting there as detect would, one file each",
    )
    add(
        "--against",
        metavar="D,T,k",
        help="print how much the other settings agree with this one",
    )
    add_max_line(parser)
    add_reading(parser)
    add_threads(parser)
    add_quiet(parser, "no progress bar and no table")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from fastanomaly.sweeps.grid import check_grid  # noqa: PLC0415 - NumPy slows the start
    from fastanomaly.sweeps.judging import sweep  # noqa: PLC0415

    longest, judging_threads = max_line(args), threads(args)
    if args.quiet and args.against is not None:
        raise UsageError("--against: has no effect with --quiet")
    degrees = whole_numbers("--degrees", args.degrees)
    tracked = whole_numbers("--tracked", args.tracked)
    sigmas = [k.strip() for k in args.sigmas.split(",")]
    _check_files(args, check_grid(degrees, tracked, sigmas).cells)
    diagnosis = Diagnosis()
    with ProgressBar(args.quiet) as progress:
        result = sweep(
            args.batch,
            args.stream,
            tables=tables_of(args),
            on_notice=None if args.quiet else write_notice,
            degrees=degrees,
            tracked=tracked,
            sigmas=sigmas,
            max_line=longest,
            **reading_options(args),
            threads=judging_threads,
            on_read=progress,
            diagnosis=diagnosis,
        )
    against = None if args.against is None else _cell(result, args.against)
    _write_files(args, result)
    report_written(args, args.out, args.agreement, args.flags_dir)
    if not args.quiet:
        _print_tables(result, against)
    if not args.quiet and (adjusted := adjusted_text(result.detector.counts)):
        write_message(adjusted)
    write_rejected(diagnosis)
    return write_findings(diagnosis)


def _check_files(args: argparse.Namespace, cells: list[Cell]) -> None:
    """Check all files that will be written, and create the folder of the flags."""
    from fastanomaly.formats.export import check_suffix  # noqa: PLC0415

    files = [path for path in (args.out, args.agreement) if path is not None]
    for path in files:
        check_suffix(path)
    logs = input_files(args)
    if args.flags_dir is None:
        check_outputs(logs, files)
        return
    folder = os.path.abspath(args.flags_dir)
    inside = [path for path in files if os.path.dirname(os.path.abspath(path)) == folder]
    if not os.path.isdir(folder):
        # Created below: what will be in it needs no further check.
        check_clashes(logs, [*files, *(_flags_path(args, cell) for cell in cells)])
        check_outputs(logs, [path for path in files if path not in inside])
    else:
        check_outputs(logs, [*files, *(_flags_path(args, cell) for cell in cells)])
    os.makedirs(args.flags_dir, exist_ok=True)


def _write_files(args: argparse.Namespace, result: SweepResult) -> None:
    from fastanomaly.formats.export import file_contents  # noqa: PLC0415

    if args.out is not None:
        write_whole(args.out, file_contents(args.out, result.columns()))
    if args.agreement is not None:
        columns = result.agreement_columns()
        write_whole(args.agreement, file_contents(args.agreement, columns))
    if args.flags_dir is not None:
        for index, cell in enumerate(result.cells):
            write_whole(_flags_path(args, cell), b"".join(result.lines(index)))


def _print_tables(result: SweepResult, against: int | None) -> None:
    from fastanomaly.sweeps.text import agreement_text, sweep_text  # noqa: PLC0415

    print_text(sweep_text(result))
    if against is not None:
        print_text("\n" + agreement_text(result, against))


def _flags_path(args: argparse.Namespace, cell: Cell) -> str:
    return os.path.join(args.flags_dir, f"{cell.name}.json")


def _cell(result: SweepResult, text: str) -> int:
    """Return the index of the setting that ``2,50,3`` names."""
    parts = [part.strip() for part in text.split(",")]
    for index, cell in enumerate(result.cells):
        if [str(cell.degree), str(cell.tracked), cell.sigmas] == parts:
            return index
    raise UsageError(
        f"--against: {text!r} is not a setting of the grid; write D,T,k, such as 2,50,3"
    )
