"""Finding the newest whole snapshot, or the file of a detector."""

from __future__ import annotations

import os
import re
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from fastanomaly.errors import CheckpointError
from fastanomaly.snapshots.folders import open_file, open_folder
from fastanomaly.snapshots.manifest import MANIFEST, parse_manifest
from fastanomaly.snapshots.parts import StateFiles, check_whole_state
from fastanomaly.state_file import read_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastanomaly.snapshots.folders import Folder

_Value = TypeVar("_Value")
_NAME = re.compile(r"snapshot-([0-9]{12})")


class Saved(NamedTuple):
    """A state that was saved.

    Attributes
    ----------
    path : str
        The folder of the snapshot, or the file.
    files : StateFiles
        Where the arrays are.
    members : dict
        Those of the manifest, or of the file's header: ``detector``, ``counts``, ``state``,
        where ``flags`` are those of the cluster, and what the writer has added.
    """

    path: str
    files: StateFiles
    members: dict[str, Any]


def read_newest(
    path: str, read: Callable[[Saved], _Value], notice: Callable[[str], object]
) -> _Value:
    """Read the newest snapshot that is whole, or a file.

    Parameters
    ----------
    path : str
        A path or URL: the folder of snapshots, a single one, or the file of a detector.
    read : callable
        Reads what is found; raises CheckpointError if it is damaged.
    notice : callable
        Called with text about each snapshot that is damaged.

    Raises
    ------
    CheckpointError
        If there is no snapshot, or all are damaged.
    OSError
        If a file cannot be read; that is not damage, so no older snapshot is tried.
    """
    fault: CheckpointError | None = None
    for find in _candidates(path):
        if fault is not None:
            notice(f"{fault}; trying the snapshot before it")
        try:
            return read(find())
        except CheckpointError as error:
            fault = error
    if fault is None:
        raise CheckpointError(f"{path}: there is no snapshot in this folder")
    raise fault


def snapshot_numbers(folder: Folder) -> list[int]:
    """Return the numbers of the snapshots in a folder, with those that are not whole."""
    found = (_NAME.fullmatch(name) for name in folder.names())
    return sorted(int(match[1]) for match in found if match)


def has_snapshots(path: str) -> bool:
    """Return whether there is a snapshot, whole or damaged, in a folder or at a URL."""
    base = open_folder(path)
    names = map(snapshot_name, snapshot_numbers(base))
    return any(is_written(base.child(name)) for name in names)


def snapshot_name(number: int) -> str:
    """Return the name of the folder of a snapshot."""
    return f"snapshot-{number:012}"


def is_written(snapshot: Folder) -> bool:
    """Return whether a snapshot has a manifest, which is written last."""
    return MANIFEST in snapshot.names()


def _candidates(path: str) -> Iterator[Callable[[], Saved]]:
    """Yield what reads manifests or headers, newest first."""
    folder = open_folder(path)
    if not folder.exists():
        yield partial(_of_file, path)
    elif is_written(folder):
        yield partial(_of_snapshot, folder)
    else:
        for number in reversed(snapshot_numbers(folder)):
            snapshot = folder.child(snapshot_name(number))
            if is_written(snapshot):
                yield partial(_of_snapshot, snapshot)


def _of_snapshot(folder: Folder) -> Saved:
    name = folder.file(MANIFEST)
    with open_file(name) as file:
        members = parse_manifest(name, file.read())
    names = tuple(folder.file(file["name"]) for file in members["files"])
    return Saved(folder.path, StateFiles(names, members["token"]), members)


def _of_file(path: str) -> Saved:
    with open_file(path) as file:
        header = read_header(path, file)
    check_whole_state(path, header)
    name = path if "://" in path else os.path.abspath(path)  # for other processes, too
    return Saved(path, StateFiles((name,), None), header)
