"""The files in a folder of checkpoints, and its lock."""

from __future__ import annotations

import fcntl
import os
import re

from fastanomaly.errors import UsageError
from fastanomaly.sinks.replacing import flush_folder

CHECKPOINT = re.compile(r"checkpoint-([0-9]{12})")
"""The name of a checkpoint's file."""


def checkpoint_path(folder: str, number: int) -> str:
    """Return the path of a checkpoint's file."""
    return os.path.join(folder, f"checkpoint-{number:012}")


def checkpoint_numbers(folder: str) -> list[int]:
    """Return the numbers of the checkpoints in a folder, newest first."""
    found = (CHECKPOINT.fullmatch(name) for name in os.listdir(folder))
    return sorted((int(match[1]) for match in found if match), reverse=True)


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
