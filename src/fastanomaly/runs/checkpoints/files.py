"""The files in a folder of checkpoints, and its lock."""

from __future__ import annotations

import fcntl
import os
import re
from typing import TYPE_CHECKING, TypeVar

from fastanomaly.errors import CheckpointError, UsageError
from fastanomaly.sinks.replacing import flush_folder

if TYPE_CHECKING:
    from collections.abc import Callable

_Value = TypeVar("_Value")

CHECKPOINT = re.compile(r"checkpoint-([0-9]{12})")
"""The name of a checkpoint's file."""


def checkpoint_path(folder: str, number: int) -> str:
    """Return the path of a checkpoint's file."""
    return os.path.join(folder, f"checkpoint-{number:012}")


def checkpoint_numbers(folder: str) -> list[int]:
    """Return the numbers of the checkpoints in a folder, newest first."""
    found = (CHECKPOINT.fullmatch(name) for name in os.listdir(folder))
    return sorted((int(match[1]) for match in found if match), reverse=True)


def read_newest_checkpoint(
    folder: str, read: Callable[[str], _Value], notice: Callable[[str], object]
) -> tuple[int, _Value] | None:
    """Read the newest checkpoint in a folder that is whole; its number and what is read.

    Parameters
    ----------
    folder : str
        The folder.
    read : callable
        Reads the file at a path; raises CheckpointError if it is damaged.
    notice : callable
        Called with text about each one that is damaged, if there is one before it.

    Returns
    -------
    tuple or None
        None if there is no checkpoint at all.

    Raises
    ------
    CheckpointError
        If all are damaged.
    """
    fault: CheckpointError | None = None
    for number in checkpoint_numbers(folder):
        if fault is not None:
            notice(f"{fault}; trying the checkpoint before it")
        try:
            return number, read(checkpoint_path(folder, number))
        except CheckpointError as error:
            fault = error
    if fault is not None:
        raise CheckpointError(
            f"{folder}: all checkpoints are damaged (--fresh starts over); "
            f"the last one tried: {fault}"
        )
    return None


def remove_checkpoints(folder: str) -> None:
    """Remove all checkpoints in a folder."""
    numbers = checkpoint_numbers(folder)
    for number in numbers:
        os.unlink(checkpoint_path(folder, number))
    if numbers:
        flush_folder(folder)


def lock_folder(folder: str) -> int:
    """Create a folder if needed, and lock it for this process; returns a descriptor.

    A forked child does not inherit the lock, which lasts until the descriptor is closed.

    Raises
    ------
    UsageError
        If another run has locked it.
    OSError
        If the folder cannot be used.
    """
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "lock")
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise UsageError(f"{folder}: another run uses this folder") from error
    return lock
