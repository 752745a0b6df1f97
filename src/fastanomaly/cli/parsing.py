"""argparse with suggestions for typos, examples in the help, and errors of output."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastanomaly.formats.display import suggestion
from fastanomaly.sinks.files import print_text

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

# There are no translations: looking for one of each text imports two modules.
argparse._ = str  # type: ignore[attr-defined]


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal; argparse's own way of asking imports six modules."""

    def __init__(self, prog: str, **options: Any) -> None:
        try:
            columns = int(os.environ.get("COLUMNS") or os.get_terminal_size().columns)
        except (OSError, ValueError):
            columns = 80
        super().__init__(prog, width=columns - 2, **options)


def _is_mixed(words: Sequence[str]) -> bool:
    """Return whether optional positionals may come after options, as in A -D 2 B.

    Parsing such words formats the usage, which takes long.
    """
    is_option = [word.startswith("-") and word != "-" for word in words]
    return True in is_option and False in is_option[is_option.index(True) :]


class Parser(argparse.ArgumentParser):
    """The parser of the command line, or of one command.

    Parameters
    ----------
    examples : sequence of str, optional
        Command lines for the end of the help.
    **options
        See `argparse.ArgumentParser`.
    """

    def __init__(self, *, examples: Sequence[str] = (), **options: Any) -> None:
        if examples:
            options["epilog"] = "examples:\n" + "\n".join(f"  {line}" for line in examples)
        super().__init__(formatter_class=HelpFormatter, **options)
        self._is_mixing = False  # in parse_known_intermixed_args, which calls back

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse arguments; an unknown one is an error of this parser, with its usage."""
        words = sys.argv[1:] if args is None else list(args)
        commands = [a for a in self._actions if isinstance(a, argparse._SubParsersAction)]
        if not commands:
            self._check_options(words)
        if self._is_mixing:
            return super().parse_known_args(words, namespace)
        # After two dashes there are no options.
        if commands or "--" in words or not _is_mixed(words):
            parsed, unknown = super().parse_known_args(words, namespace)
        else:
            self._is_mixing = True
            parsed, unknown = self.parse_known_intermixed_args(words, namespace)
            self._is_mixing = False
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return parsed, unknown

    def _check_options(self, words: list[str]) -> None:
        """Report the first unknown long option, before anything that follows from it."""
        known = [name for name in self._option_string_actions if name.startswith("--")]
        for word in words:
            if word == "--":
                break
            name = word.split("=")[0]
            if not word.startswith("--") or " " in word:
                continue
            if not any(option.startswith(name) for option in known):
                self.error(f"unrecognized option: {name}{suggestion(name, known)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Check a choice, such as the command."""
        if action.choices is not None and value not in action.choices:
            choices = [str(choice) for choice in action.choices]
            raise argparse.ArgumentError(
                action,
                f"invalid choice: {value!r}{suggestion(str(value), choices)} "
                f"(choose from {', '.join(choices)})",
            )

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        """Write help and version so that a failure is reported; argparse ignores it."""
        if message and file is sys.stdout:
            print_text(message.removesuffix("\n"))
        else:
            super()._print_message(message, file)
