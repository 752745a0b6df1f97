"""The command line ``fastanomaly COMMAND ...``: its commands and exit statuses."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from fastanomaly._version import __version__
from fastanomaly.cli.parsing import Parser
from fastanomaly.errors import ClusterError, FeedError, UsageError
from fastanomaly.sinks.files import ReaderGoneError
from fastanomaly.telemetry.messages import write_message

COMMANDS = ("detect", "sweep", "explain", "report", "simulate", "plan")
"""The commands, each a module of this package."""

EXAMPLES = (
    "fastanomaly simulate batch.json stream.json",
    "fastanomaly detect batch.json stream.json flagged.json",
    "fastanomaly detect --help",
)
_INTERRUPTED = "stopped by SIGINT"
_NO_MEMORY = "out of memory"
_MEMORY_FAULTS = ("failed to map segment", "annot allocate memory")
_LEAST_MEMORY = {"detect": 8 << 20, "report": 150 << 20}
_LEAST_MEMORY_OF_NUMPY = 80 << 20
"""Bytes of addresses that a command needs; libraries may crash if they start with less.

Asking for them as zeros costs nothing, as long as nothing is written to them.
"""

_SPARE_MEMORY = 32 << 20


def parser(words: Sequence[str] = ()) -> Parser:
    """Build the parser of a command line, or of all if its first word is not a command.

    Building the parsers of all commands takes longer than parsing.
    """
    top = Parser(
        prog="fastanomaly",
        description="Is this purchase unusual for this buyer's friends, right now?",
        examples=EXAMPLES,
    )
    top.add_argument("--version", action="version", version=f"fastanomaly {__version__}")
    # Without `prog` it would format the usage.
    commands = top.add_subparsers(metavar="COMMAND", required=True, prog=top.prog)
    for name in [name for name in COMMANDS if name in words[:1]] or COMMANDS:
        command: Any = import_module(f"fastanomaly.cli.{name}")
        sub = commands.add_parser(
            name,
            help=command.HELP,
            description=command.HELP,
            examples=command.EXAMPLES,
        )
        command.add_arguments(sub)
        sub.set_defaults(command=name, run=command.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status: 0 done, 1 a fault, 2 wrong use; see the docs.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the process.
    """
    try:
        words = sys.argv[1:] if argv is None else list(argv)
        if not words:
            parser().print_help(sys.stderr)
            return 2
        if words[0] == "help":
            words = [*words[1:2], "--help"]
        args = parser(words).parse_args(words)
        bytes(_LEAST_MEMORY.get(args.command, _LEAST_MEMORY_OF_NUMPY))
        if _is_memory_limited():
            # If memory runs out while it is imported later, it crashes. Otherwise it is
            # imported when it is needed, since that takes a third of the command's own start.
            import orjson  # noqa: F401, PLC0415

        return int(args.run(args))
    except UsageError as error:
        status, message = 2, str(error)
    except FeedError as error:
        stopped = isinstance(error.__cause__, KeyboardInterrupt)
        status, message = (130, _INTERRUPTED) if stopped else (1, str(error))
    except ClusterError as error:
        status, message = 1, str(error)
    except ReaderGoneError:  # the reader has what it wanted
        return 1
    except OSError as error:
        named = error.filename is not None
        status, message = 1, f"{error.filename}: {error.strerror}" if named else str(error)
    except MemoryError:
        status, message = 1, _NO_MEMORY
    except KeyboardInterrupt:
        status, message = 130, _INTERRUPTED
    except Exception as error:
        # Libraries, and Python itself, often report a lack of memory as something else.
        if not _is_memory_short(error):
            if not isinstance(error, ImportError):
                raise
            message = str(error)
        else:
            message = _NO_MEMORY
        status = 1
    write_message(message, "error", status=status)
    return status


def _is_memory_limited() -> bool:
    """Return whether this process may have only some of the addresses."""
    import resource  # noqa: PLC0415 - not needed for help

    limits = map(resource.getrlimit, (resource.RLIMIT_AS, resource.RLIMIT_DATA))
    return any(soft != resource.RLIM_INFINITY for soft, _hard in limits)


def _is_memory_short(error: BaseException | None) -> bool:
    """Return whether an error comes from a lack of memory, or an allocation fails now."""
    while error is not None:
        text = str(error)
        if isinstance(error, MemoryError) or any(fault in text for fault in _MEMORY_FAULTS):
            return True
        error = error.__cause__ or error.__context__
    try:
        bytes(_SPARE_MEMORY)
    except MemoryError:
        return True
    return False
