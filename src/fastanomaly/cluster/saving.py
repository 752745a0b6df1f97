"""Saving a cluster as a snapshot, and making one of a saved state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastanomaly.convert import decimal_sigmas
from fastanomaly.detector import without_zeros
from fastanomaly.snapshots.folders import open_folder
from fastanomaly.snapshots.parts import StateFiles
from fastanomaly.snapshots.writing import write_snapshot

if TYPE_CHECKING:
    from fastanomaly.cluster.exchange import Exchange
    from fastanomaly.convert import Reading
    from fastanomaly.results import Counts


def write_cluster(
    exchange: Exchange,
    path: str,
    parameters: tuple[int, int, tuple[int, int]],
    reading: Reading,
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
    reading : Reading
        What is accepted in lines.
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
            **reading.options(),
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
