"""``fastanomaly simulate``: write made-up logs of any size."""

import argparse

from fastanomaly.errors import UsageError
from fastanomaly.sources.compressed import is_compressed

NAME = "simulate"
HELP = "write made-up logs of any size, in the shape of the published sample"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the paths and the options.

    The options have the names and the defaults of `fastanomaly.simulation.Simulation`,
    repeated here so that showing the help does not load NumPy.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        The command's own parser.
    """
    add = parser.add_argument
    add("batch", metavar="BATCH", help="the batch log to write")
    add("stream", metavar="STREAM", help="the stream log to write")

    size = parser.add_argument_group("size")
    _add(size, "--users", int, 10_000, "number of users")
    _add(size, "--batch-events", int, 500_000, "lines of the batch log")
    _add(size, "--stream-events", int, 1_000, "lines of the stream log")

    parameters = parser.add_argument_group("parameters in the first line")
    _add(parameters, "--degree", int, 2, "degrees of a network, D", short="-D")
    _add(parameters, "--tracked", int, 50, "latest purchases that count, T", short="-T")

    events = parser.add_argument_group(
        "events", "The shares of purchase, befriend and unfriend are weights."
    )
    events.add_argument(
        "--friendships",
        choices=("uniform", "heavy-tailed"),
        default="uniform",
        help="how popular users are: all alike, or a few very much (default: %(default)s)",
    )
    _add(events, "--purchase-share", float, 0.80, "weight of purchases")
    _add(events, "--befriend-share", float, 0.19, "weight of befriends")
    _add(events, "--unfriend-share", float, 0.01, "weight of unfriends")
    _add(events, "--anomaly-share", float, 0.01, "share of purchases far above the habit")
    _add(events, "--late-share", float, 0.0, "share of purchases up to 5 minutes late")
    _add(events, "--dirty-share", float, 0.0, "share of lines that are no valid events")

    other = parser.add_argument_group("time and chance")
    _add(other, "--rate", float, 50_000, "events a second of log time")
    other.add_argument(
        "--start",
        metavar="TIMESTAMP",
        default="2017-06-14 18:46:40",
        help="the first timestamp (default: %(default)s)",
    )
    _add(other, "--seed", int, 0, "equal options and seeds give equal logs")


def run(args: argparse.Namespace) -> int:
    """Write the logs.

    Parameters
    ----------
    args : argparse.Namespace
        What the parser made of `add_arguments`.

    Returns
    -------
    int
        The exit status: 0 when the logs are written, 2 when an option is wrong.

    Raises
    ------
    OSError
        If a log cannot be created or written.
    """
    from dataclasses import fields  # noqa: PLC0415

    from fastanomaly.simulation import Simulation, simulate  # noqa: PLC0415

    for path in (args.batch, args.stream):
        if is_compressed(path):
            raise UsageError(f"{path}: logs are written as plain text, not compressed")
    try:
        options = Simulation(
            **{field.name: getattr(args, field.name) for field in fields(Simulation)}
        )
        simulate(args.batch, args.stream, options)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return 0


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
