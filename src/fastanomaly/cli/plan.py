"""fastanomaly plan: how many machines a log needs, and why."""

from __future__ import annotations

import argparse

from fastanomaly.sinks.files import print_text

HELP = "tell how many machines a log needs, and why"
EXAMPLES = (
    "fastanomaly plan --users 1e6 -D 2 --rate 10000",
    "fastanomaly plan --users 1e9 --friends 20 --purchases 10 -D 3 -T 50 --rate 50000",
    "fastanomaly plan --users 1e8 -D 1 --rate 100000 --machine-memory 64 --json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    log = parser.add_argument_group("the log")
    add = log.add_argument
    add("--users", metavar="N", type=_number, required=True, help="known users, such as 1e9")
    add("--friends", metavar="X", type=_number, default=20, help=_of("friends of a user"))
    add("--purchases", metavar="X", type=_number, default=10, help=_of("purchases of a user"))
    add("-D", "--degree", metavar="N", default="2", help=_of("degree of a network"))
    add("-T", "--tracked", metavar="N", default="50", help=_of("latest purchases that count"))
    add("--rate", metavar="X", type=_number, default=1000, help=_of("events a second"))
    add(
        "--judge-us",
        metavar="X",
        type=_number,
        help="microseconds to judge a purchase with one thread (default: by benchmarks)",
    )
    add("--may-fail", metavar="N", type=int, default=0, help=_of("machines that may fail"))
    machine = parser.add_argument_group("a machine")
    add = machine.add_argument
    add("--machine-memory", metavar="GB", type=_number, default=256, help=_of("memory"))
    add("--cores", metavar="N", type=int, default=16, help=_of("processors"))
    add("--network", metavar="GBIT", type=_number, default=10, help=_of("gigabits a second"))
    parser.add_argument("--json", action="store_true", help="write JSON instead of text")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from fastanomaly.cluster.planning import (  # noqa: PLC0415 - NumPy slows the start
        Machine,
        Needs,
        plan_cluster,
        plan_text,
    )
    from fastanomaly.rules.parameters import check_whole  # noqa: PLC0415

    found = plan_cluster(
        Needs(
            args.users,
            args.friends,
            args.purchases,
            check_whole("T", args.tracked),
            check_whole("D", args.degree),
            args.rate,
            args.judge_us,
            args.may_fail,
        ),
        Machine(args.machine_memory, args.cores, args.network),
    )
    if args.json:
        import json  # noqa: PLC0415 - imported late: it slows the start

        print_text(json.dumps(found.to_dict(), indent=1))
    else:
        print_text(plan_text(found))
    return 0


def _of(text: str) -> str:
    return f"{text} (default: %(default)s)"


def _number(text: str) -> int | float:
    """Read a number such as 20, 0.5 or 1e9; a whole one as an int."""
    try:
        number = float(text)
    except ValueError:
        message = f"expected a number such as 20 or 1e9, got {text!r}"
        raise argparse.ArgumentTypeError(message) from None
    return int(number) if number.is_integer() else number
