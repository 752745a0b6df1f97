"""Checks of output paths before anything is read or written."""

from __future__ import annotations

import os
import stat

from fastanomaly.errors import OutputError, UsageError
from fastanomaly.names import STANDARD


def output_error(path: str, error: OSError | ValueError) -> OutputError:
    """Return an error that names the path and the reason."""
    return OutputError(f"{path}: {(isinstance(error, OSError) and error.strerror) or error}")


def check_outputs(inputs: list[str], outputs: list[str]) -> None:
    """Check that no output overwrites an input or another output.

    Raises
    ------
    UsageError
        Names both paths.
    """
    for i, output in enumerate(outputs):
        for log in inputs:
            if _same_file(output, log, other_is_output=False):
                raise UsageError(f"{output}: output would overwrite input log {log}")
        for other in outputs[:i]:
            if output == other == STANDARD or _same_file(output, other, other_is_output=True):
                raise UsageError(f"{output}: output would overwrite output {other}")


def check_folders(outputs: list[str]) -> None:
    """Check that the outputs' folders exist, before the work rather than after it.

    Raises
    ------
    OutputError
        As opening the output would.
    """
    for output in outputs:
        if output == STANDARD:
            continue
        try:
            os.stat(os.path.join(os.path.dirname(output) or os.curdir, ""))
        except (OSError, ValueError) as error:
            raise output_error(output, error) from error


def _same_file(output: str, other: str, other_is_output: bool) -> bool:
    """Return whether an output and another path are one regular file, or will be."""
    try:
        here, there = _stat(output, 1), _stat(other, 1 if other_is_output else 0)
    except (OSError, ValueError):
        # One does not exist yet: they are the same if their names lead to one place.
        return STANDARD not in (output, other) and (
            os.path.realpath(output) == os.path.realpath(other)
        )
    return stat.S_ISREG(here.st_mode) and os.path.samestat(here, there)


def _stat(path: str, standard_fd: int) -> os.stat_result:
    return os.fstat(standard_fd) if path == STANDARD else os.stat(path)
