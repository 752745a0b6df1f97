"""The files of shards: each shard writes its own, and reads its own or all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from fastanomaly.errors import CheckpointError
from fastanomaly.snapshots.folders import open_file, open_folder
from fastanomaly.snapshots.manifest import shard_name
from fastanomaly.state_file import read_parts, read_state, write_state

if TYPE_CHECKING:
    from fastanomaly.engine_protocol import Saveable


class StateFiles(NamedTuple):
    """Where a state is: everything that a shard needs to know to read it.

    Attributes
    ----------
    names : tuple of str
        Paths or URLs: of the files of a snapshot, by number of the shard, or of the file of
        a detector.
    token : str or None
        That of the snapshot.
    """

    names: tuple[str, ...]
    token: str | None


def save_part(
    engine: Saveable, folder: str, number: int, shards: int, header: dict[str, Any]
) -> dict[str, Any]:
    """Write the state of a shard into the folder of a snapshot.

    Parameters
    ----------
    engine : Saveable
        The shard's.
    folder : str
        A path or URL.
    number, shards : int
        The shard's number, from 0, and K.
    header : dict
        Members for the file's header, among them ``token``.

    Returns
    -------
    dict
        ``name`` and ``bytes`` of the file for the manifest, and ``state``.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    name = shard_name(number, shards)
    members = {**header, "shard": _place(number, shards)}
    size = open_folder(folder).write(name, lambda fd: write_state(fd, engine, members))
    return {"name": name, "bytes": size, "state": engine.scalars()}


def load_part(engine: Saveable, number: int, shards: int, files: StateFiles) -> None:
    """Read what a shard needs of a state into its empty engine.

    With the same K, a shard reads its own file only; otherwise, all of them.

    Raises
    ------
    CheckpointError
        If a file is missing, damaged, or not of this snapshot; the engine must not be used.
    OSError
        If one cannot be read.
    """
    if files.token is None or len(files.names) != shards:
        load_whole(engine, files)
        return
    name = files.names[number]

    def make(header: dict[str, Any]) -> Saveable:
        _check_place(files, number, header)
        return engine

    with _open(name) as file:
        read_state(name, file, make)


def load_whole(engine: Saveable, files: StateFiles, **scalars: int) -> None:
    """Read all files of a state into an empty engine; see `load_part` and `read_parts`."""

    def check(number: int, header: dict[str, Any]) -> None:
        _check_place(files, number, header)

    read_parts(engine, files.names, _open, check, **scalars)


def _place(number: int, shards: int) -> dict[str, int]:
    return {"number": number, "shards": shards}


def _check_place(files: StateFiles, number: int, header: dict[str, Any]) -> None:
    """Raise CheckpointError unless a file is the one of that number."""
    name = files.names[number]
    if files.token is None:
        check_whole_state(name, header)
    elif header.get("token") != files.token:
        raise CheckpointError(f"{name}: not of this snapshot")
    elif header.get("shard") != _place(number, len(files.names)):
        raise CheckpointError(f"{name}: the file of another shard")


def check_whole_state(name: str, header: dict[str, Any]) -> None:
    """Raise CheckpointError if the file with a header has the state of one shard only."""
    if "shard" in header:
        raise CheckpointError(f"{name}: the file of one shard: load the folder it is in")


def _open(name: str) -> BinaryIO:
    try:
        return open_file(name)
    except FileNotFoundError as error:
        raise CheckpointError(f"{name}: missing") from error
