"""The options that several commands have, declared and read in one place.

To add a command, write a module of this package that has the command's name and in it four
names, and add it to `COMMANDS` in `fastanomaly.cli.main`:

- ``HELP``: what it does in one line.
- ``EXAMPLES``: two or three command lines for its help.
- ``add_arguments(parser)``: declares its arguments, the shared ones by the functions below.
- ``run(args)``: does the work and returns the exit status; `main` turns exceptions into
  messages and exit statuses.

The help imports the module of every command: import what is slow or an extra (NumPy,
`fastanomaly.sweeps`, ...) inside ``run``.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from typing import Any

from fastanomaly.errors import UsageError
from fastanomaly.rules.parameters import (
    LARGEST,
    MAX_LINE,
    MAX_SHARDS,
    MAX_THREADS,
    OTHER_DEGREES,
    OTHER_TRACKED,
    SHARDS,
    TIME_UNITS,
    check_max_line,
    check_shards,
    check_threads,
)
from fastanomaly.runs.inputs import check_inputs
from fastanomaly.sinks.paths import open_descriptor
from fastanomaly.tables.names import FORMATS
from fastanomaly.tables.reading import Tables, check_tables, parse_map
from fastanomaly.telemetry.messages import write_message

MAX_RANGE = 10**4
"""The longest range in a list of whole numbers."""


def add_inputs(parser: argparse.ArgumentParser, *, standard_input: bool = False) -> None:
    """Declare BATCH, STREAM and how tables are read.

    They are read as `args.batch` and `args.stream`, which is None if BATCH is a table of which
    a part is judged; and by `tables_of`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    standard_input : bool, default False
        Whether the help says that ``-`` is standard input.
    """
    more = ", or - for stdin" if standard_input else ""
    parser.add_argument(
        "batch",
        metavar="BATCH",
        help=f"batch log or table: builds the state{more}; without STREAM, one table whose "
        "purchases are judged",
    )
    parser.add_argument(
        "stream",
        metavar="STREAM",
        nargs="?",
        help=f"stream log or table: its purchases are judged{more}",
    )
    _add_tables(parser)


def _add_tables(parser: argparse.ArgumentParser) -> None:
    """Declare the options of tables, read by `tables_of`."""
    group = parser.add_argument_group(
        "tables", "CSV, TSV, Parquet, Arrow and JSON files, folders, patterns and URLs"
    )
    add = group.add_argument
    add(
        "--map", metavar="FIELD=COLUMN,...", help="the columns of user, amount, timestamp, ..."
    )
    add(
        "--friends", metavar="TABLE", help="friendships: two columns, and perhaps since, until"
    )
    add("--map-friends", metavar="FIELD=COLUMN,...", help="its user, friend, since, until")
    add(
        "--split",
        metavar="TIME|ROWS|SHARE",
        help="where judging begins in one table: 2017-06-01, 1000, 0.9 or 90%% "
        "(default: at its first row)",
    )
    add("--sort", action="store_true", help="sort tables by time, in memory")
    add("--format", choices=FORMATS, help="of inputs whose names do not tell it")
    add("--delimiter", metavar="C", help="between values (default: as in the first row)")
    add("--encoding", metavar="NAME", default="utf-8", help="of texts (default: %(default)s)")
    add("--no-header", action="store_true", help="columns have no names but 1, 2, 3, ...")
    add("--no-friends-header", action="store_true", help="the same for --friends")
    add("--decimal-comma", action="store_true", help="read amounts such as 16,83")
    add("--currency", action="store_true", help="read amounts such as $1,234.50 or 5 EUR")


def tables_of(args: argparse.Namespace) -> Tables:
    """Return how tables are read.

    Raises
    ------
    UsageError
        If an option is wrong; the message names it.
    """
    mapped = ("--map", args.map), ("--map-friends", args.map_friends)
    columns, friends = (parse_map(name, text) if text else {} for name, text in mapped)
    return check_tables(
        Tables(
            columns,
            args.friends,
            friends,
            args.split,
            args.sort,
            args.format,
            "\t" if args.delimiter in ("\\t", "tab") else args.delimiter,
            args.encoding,
            not args.no_header,
            not args.no_friends_header,
            args.decimal_comma,
            args.currency,
        )
    )


def write_notice(text: str) -> None:
    """Write what the operator should know on standard error."""
    write_message(text, "warning")


def input_files(args: argparse.Namespace) -> list[str]:
    """Return the files that are read, to check that no output overwrites one.

    Raises
    ------
    UsageError
        If a table has no file, or an option of tables is wrong.
    """
    return check_inputs(args.batch, args.stream, tables_of(args)).files()


def add_parameters(parser: argparse.ArgumentParser) -> None:
    """Declare -D, -T and -k, read as `args.degree`, `args.tracked` and `args.sigmas`.

    The values are texts, or None for D and T that are not given; what they are passed to
    checks them.
    """
    add = parser.add_argument
    add(
        "-D",
        "--degree",
        metavar="N",
        help="degree of a network (default: from the batch log)",
    )
    add(
        "-T",
        "--tracked",
        metavar="N",
        help="latest purchases that count (default: from the batch log)",
    )
    add(
        "-k",
        "--sigmas",
        metavar="K",
        default="3",
        help="standard deviations above the mean (default: %(default)s)",
    )


def add_other_settings(parser: argparse.ArgumentParser) -> None:
    """Declare --degrees and --other-tracked, read by `explain_options`."""
    add = parser.add_argument
    add(
        "--degrees",
        metavar="LIST",
        default=list_text(OTHER_DEGREES),
        help="other D to judge at (default: %(default)s)",
    )
    add(
        "--other-tracked",
        metavar="LIST",
        default=list_text(OTHER_TRACKED),
        help="other T to judge at (default: %(default)s)",
    )


def add_max_line(parser: argparse.ArgumentParser) -> None:
    """Declare --max-line, read by `max_line`."""
    parser.add_argument(
        "--max-line",
        metavar="BYTES",
        type=int,
        default=MAX_LINE,
        help="reject longer lines (default: %(default)s)",
    )


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Declare the options of what lines may hold, read by `reading_options`."""
    parser.add_argument(
        "--round-amounts",
        action="store_true",
        help="accept amounts with more than six decimals, and round them half to even",
    )
    parser.add_argument(
        "--time-unit",
        choices=TIME_UNITS,
        help="accept timestamps that are numbers in this unit since 1970, and ISO 8601 "
        "without seconds or with nanoseconds; iso: only the latter",
    )


def reading_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the keyword arguments that say what lines may hold."""
    return {"round_amounts": args.round_amounts, "time_unit": args.time_unit}


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Declare --threads, read by `threads`."""
    parser.add_argument(
        "--threads",
        metavar="N|auto",
        default="auto",
        help=f"threads that judge, up to {MAX_THREADS}; auto: as many as the processors that "
        "this process may use (default: %(default)s)",
    )


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Declare --cluster and --shards, read by `cluster_options`."""
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS|local",
        help="judge on a Ray cluster: HOST:PORT of its head, or auto; local: start Ray here",
    )
    parser.add_argument(
        "--shards",
        metavar="K",
        help=f"processes of the cluster, up to {MAX_SHARDS:,} (default: {SHARDS})",
    )


def cluster_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the keyword arguments that say where to judge.

    Raises
    ------
    UsageError
        If the number of shards is wrong, or is given without a cluster.
    """
    if args.shards is not None and args.cluster is None:
        raise UsageError("--shards: has no effect without --cluster")
    shards = SHARDS if args.shards is None else check_shards(args.shards, "--shards")
    return {"cluster": args.cluster, "shards": shards}


def threads(args: argparse.Namespace) -> int | str:
    """Return the number of threads, or ``auto``.

    Raises
    ------
    ParameterError
        If it is neither, or out of range.
    """
    return check_threads(args.threads, "--threads") or "auto"


def add_quiet(parser: argparse.ArgumentParser, text: str) -> None:
    """Declare -q and --quiet, read as `args.quiet`, with its help text."""
    parser.add_argument("-q", "--quiet", action="store_true", help=text)


def report_written(args: argparse.Namespace, *paths: str | None) -> None:
    """Say on standard error which files were written, unless --quiet or nothing was."""
    for path in paths:
        if path is not None and not args.quiet and open_descriptor(path) is None:
            write_message(f"wrote {path}")


def max_line(args: argparse.Namespace) -> int:
    """Return the limit of the line length.

    Raises
    ------
    ParameterError
        If it is out of range.
    """
    return check_max_line(args.max_line, "--max-line")


def explain_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the keyword arguments that `explain` and `report` have in common.

    Raises
    ------
    UsageError
        If an option is wrong; the message names it.
    """
    return {
        "max_line": max_line(args),
        **reading_options(args),
        "degree": args.degree,
        "tracked": args.tracked,
        "sigmas": args.sigmas,
        "degrees": whole_numbers("--degrees", args.degrees),
        "other_tracked": whole_numbers("--other-tracked", args.other_tracked),
    }


def whole_numbers(name: str, text: str) -> list[int]:
    """Return the numbers of a list such as ``1-3,6``.

    Raises
    ------
    UsageError
        If a part is neither a number up to 2^31 - 1 nor a range of at most 10,000; the
        message names the option and the part.
    """
    numbers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,10})\s*(?:-\s*([0-9]{1,10})\s*)?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, LARGEST + 1)
        if first > last:
            raise UsageError(f"{name}: the range {part!r} is backwards")
        if last > LARGEST:
            raise UsageError(
                f"{name}: expected numbers up to {LARGEST} or ranges such as 1-6, got {part!r}"
            )
        if last - first >= MAX_RANGE:
            raise UsageError(f"{name}: a range has at most {MAX_RANGE} numbers, got {part!r}")
        numbers += range(first, last + 1)
    return numbers


def list_text(numbers: Iterable[int]) -> str:
    """Return ascending numbers as `whole_numbers` reads them: ``1-3,6``."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][-1] + 1:
            ranges[-1].append(number)
        else:
            ranges.append([number])
    return ",".join(
        f"{part[0]}-{part[-1]}" if len(part) > 2 else ",".join(map(str, part))
        for part in ranges
    )
