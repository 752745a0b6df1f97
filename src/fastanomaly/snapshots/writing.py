"""Writing a snapshot: the files of the shards, then the manifest, which makes it one."""

from __future__ import annotations

import os
from contextlib import suppress
from errno import ENOENT
from typing import TYPE_CHECKING, Any

from fastanomaly.snapshots.folders import open_folder
from fastanomaly.snapshots.manifest import MANIFEST, manifest_text
from fastanomaly.snapshots.reading import is_written, snapshot_name, snapshot_numbers
from fastanomaly.state_file import write_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastanomaly.snapshots.folders import Folder

_TOKEN_BYTES = 16


def write_snapshot(
    path: str,
    save: Callable[[str, str], list[dict[str, Any]]],
    members: dict[str, Any],
    good: str = "",
) -> str:
    """Write the next snapshot into a folder, and remove all but that and the one before.

    Parameters
    ----------
    path : str
        The folder of snapshots, a path or URL; created if needed. One process at a time
        writes into it.
    save : callable
        Called with the snapshot's folder and its token; has each shard write its file, and
        returns what `save_part` returns, by number of the shard.
    members : dict
        Members of the manifest: ``detector``, ``counts``, and any others.
    good : str, default ""
        The folder of the snapshot that is known to be whole; by default, it is the newest.

    Returns
    -------
    str
        The snapshot's folder.

    Raises
    ------
    OSError
        If it cannot be written; earlier snapshots are as they were.
    """
    base = open_folder(path)
    base.create()
    numbers = snapshot_numbers(base)
    older = [base.child(snapshot_name(number)) for number in numbers]
    whole = [snapshot for snapshot in older if is_written(snapshot)]
    for snapshot in older:
        if snapshot not in whole:
            snapshot.remove(MANIFEST)
    number = max(numbers, default=0) + 1
    target = base.child(snapshot_name(number))
    target.create()
    try:
        _write(target, number, save, members)
    except BaseException:
        with suppress(OSError):  # else it is removed before the next one is written
            target.remove(MANIFEST)
        raise
    kept = [snapshot for snapshot in whole if snapshot.path == good] or whole[-1:]
    for snapshot in whole:
        if snapshot not in kept:
            snapshot.remove(MANIFEST)
    return target.path


def remove_snapshots(path: str) -> None:
    """Remove all snapshots in a folder or at a URL; raises OSError."""
    base = open_folder(path)
    for number in snapshot_numbers(base):
        base.child(snapshot_name(number)).remove(MANIFEST)


def _write(
    target: Folder,
    number: int,
    save: Callable[[str, str], list[dict[str, Any]]],
    members: dict[str, Any],
) -> None:
    """Write the files of a snapshot, and then its manifest."""
    token = os.urandom(_TOKEN_BYTES).hex()
    files = save(target.path, token)
    there = target.names()
    for file in files:
        if file["name"] not in there:
            path = target.file(file["name"])
            raise OSError(ENOENT, "not there: do all machines share the folder?", path)
    states = [file.pop("state") for file in files]
    if any(state != states[0] for state in states):
        raise RuntimeError(f"{target.path}: the shards are at different places")
    text = manifest_text(
        {
            **members,
            "number": number,
            "token": token,
            "shards": len(files),
            "state": {**states[0], "flags": members["counts"]["flags"]},
            "files": files,
        }
    )
    target.write(MANIFEST, lambda fd: write_all(fd, text))
