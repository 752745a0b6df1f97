"""Saving a cluster as a snapshot, and making one of a saved state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastanomaly.convert import Reading, decimal_sigmas
from fastanomaly.detector import without_zeros
from fastanomaly.errors import UsageError
from fastanomaly.snapshots.folders import open_folder
from fastanomaly.snapshots.parts import StateFiles
from fastanomaly.snapshots.writing import write_snapshot

if TYPE_CHECKING:
    from fastanomaly.cluster.exchange import Exchange
    from fastanomaly.results import Counts
    from fastanomaly.snapshots.reading import Saved


def write_cluster(
    exchange: Exchange,
    path: str,
    parameters: tuple[int, int, tuple[int, int]],
    counts: Counts,
    good: str,
    **more: object,
) -> str:
    """Write a snapshot of the shards of an exchange; see `write_snapshot`.

    Parameters
    ----------
    exchange : Exchange
        No verdict is missing.
    path : str
        The folder of snapshots.
    parameters : tuple
        D, T and k.
    counts : Counts
        Of the whole cluster.
    good : str
        The snapshot before, if known to be whole, or "".
    **more
        Further members of the manifest.
    """
    degree, tracked, sigmas = parameters
    members = {
        "detector": {
            "degree": degree,
            "tracked": tracked,
            "sigmas": str(decimal_sigmas(*sigmas)),
            "method": "auto",
        },
        "counts": without_zeros(counts),
    }

    written: list[StateFiles] = []

    def save(folder: str, token: str) -> list[dict[str, Any]]:
        parts = exchange.call_all("save", folder, {**members, "token": token})
        file = open_folder(folder).file
        written.append(StateFiles(tuple(file(part["name"]) for part in parts), token))
        return parts

    target = write_snapshot(path, save, {**more, **members}, good)
    exchange.saved(*written)
    return target


def check_saved(saved: Saved) -> None:
    """Raise UsageError if a saved state is of a detector with options that clusters lack."""
    for name in Reading._fields:
        value = saved.members["detector"].get(name)
        if value:
            raise UsageError(
                f"{saved.path}: saved with {name}={value!r}, which clusters do not have"
            )
