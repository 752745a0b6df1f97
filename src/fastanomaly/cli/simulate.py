"""fastanomaly simulate: generated logs of any size."""

from __future__ import annotations

import argparse

from fastanomaly.cli.options import add_quiet, report_written
from fastanomaly.errors import UsageError

HELP = "write simulated logs or tables of any size"
EXAMPLES = (
    "fastanomaly simulate batch.json stream.json",
    "fastanomaly simulate -o events.parquet",
    "fastanomaly simulate batch.json stream.json --users 1000 --batch-events 20000 --seed 7",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command.

    The options have the names and the defaults of `fastanomaly.simulation.Simulation`,
    repeated here because importing it would load NumPy for every command.
    """
    add = parser.add_argument
    add(
        "batch",
        metavar="BATCH",
        nargs="?",
        help="the batch log to write; a table if it ends with .csv, .tsv, .parquet, .arrow or "
        ".feather",
    )
    add("stream", metavar="STREAM", nargs="?", help="the stream log to write, or a table")
    add(
        "-o",
        "--out",
        metavar="FILE",
        help="write the events of both logs to this one file instead",
    )

    size = parser.add_argument_group("size")
    _add(size, "--users", int, 10_000, "number of users")
    _add(size, "--batch-events", int, 500_000, "lines of the batch log")
    _add(size, "--stream-events", int, 1_000, "lines of the stream log")

    parameters = parser.add_argument_group("parameters in the first line")
    _add(parameters, "--degree", int, 2, "degree of a network, D", short="-D")
    _add(parameters, "--tracked", int, 50, "latest purchases that count, T", short="-T")

    events = parser.add_argument_group(
        "events",
        "The shares of purchase, befriend and unfriend are weights: only their ratios count.",
    )
    events.add_argument(
        "--friendships",
        choices=("uniform", "heavy-tailed"),
        default="uniform",
        help="whether all users are equally popular, or a few have very many friends "
        "(default: %(default)s)",
    )
    _add(events, "--purchase-share", float, 0.80, "weight of purchases")
    _add(events, "--befriend-share", float, 0.19, "weight of befriends")
    _add(events, "--unfriend-share", float, 0.01, "weight of unfriends")
    _add(events, "--anomaly-share", float, 0.01, "share of purchases with unusual amounts")
    _add(events, "--late-share", float, 0.0, "share of purchases up to 5 minutes late")
    _add(events, "--dirty-share", float, 0.0, "share of lines that are not valid events")

    other = parser.add_argument_group("time and randomness")
    _add(other, "--rate", float, 50_000, "events per second of log time")
    other.add_argument(
        "--start",
        metavar="TIMESTAMP",
        default="2017-06-14 18:46:40",
        help="timestamp of the first event (default: %(default)s)",
    )
    _add(other, "--seed", int, 0, "random seed; equal options and seeds give equal logs")
    add_quiet(parser, "do not say which files were written")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from dataclasses import fields  # noqa: PLC0415

    from fastanomaly.simulation import Simulation, simulate  # noqa: PLC0415

    outputs = _outputs(args)
    try:
        options = Simulation(
            **{field.name: getattr(args, field.name) for field in fields(Simulation)}
        )
        simulate(*outputs, options)
    except ValueError as error:
        raise UsageError(str(error)) from error
    report_written(args, *outputs)
    return 0


def _outputs(args: argparse.Namespace) -> tuple[str, str | None]:
    """Return the files of the batch log and the stream log; raises UsageError."""
    if args.out is None and args.stream is not None:
        return args.batch, args.stream
    if args.out is not None and args.batch is None:
        return args.out, None
    if args.out is not None:
        given = ", ".join(filter(None, [args.batch, args.stream]))
        raise UsageError(f"-o: the output is given twice: {given}, {args.out}")
    raise UsageError(
        "no output; usage: fastanomaly simulate BATCH STREAM, or for all events in one file "
        "fastanomaly simulate -o FILE"
    )


def _add(
    group: argparse._ArgumentGroup,
    name: str,
    kind: type[int] | type[float],
    default: float,
    text: str,
    *,
    short: str | None = None,
) -> None:
    names = (name,) if short is None else (short, name)
    group.add_argument(
        *names,
        type=kind,
        default=default,
        metavar="N" if kind is int else "X",
        help=f"{text} (default: %(default)s)",
    )
