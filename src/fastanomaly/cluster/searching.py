"""The latest purchases of networks whose histories are in several shards."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastanomaly.cluster.exchange import Exchange


class ClusterSearch:
    """Finds what explanations need, see `explanations.compute.PurchaseSearch`.

    Parameters
    ----------
    exchange : Exchange
        No verdict is missing.

    Notes
    -----
    Each shard marks the network itself, at the same time as the others: to send its members,
    which may be millions, would take longer. A shard answers with T purchases at most.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def _purchases(
        self, user: str | int, degree: int, tracked: int
    ) -> list[tuple[int, int, int, int]]:
        """Return what `Shard.latest` does, of all users."""
        parts = self._exchange.call_all("latest", user, degree, tracked)
        # The times, then the places in the log, are the order of purchases.
        return sorted(chain.from_iterable(parts), reverse=True)[:tracked]

    def latest(
        self, user: str | int, degree: int, tracked: int
    ) -> tuple[list[int], list[tuple[tuple[str, ...], int, int]]]:
        """Find the latest purchases of a network, with paths to the buyers, newest first."""
        found = self._purchases(user, degree, tracked)
        # All paths are of one shard: at hubs, another one may find others as short.
        sizes, paths = self._exchange.call(
            0, "paths", user, degree, [uid for _, _, uid, _ in found]
        )
        return sizes, [
            (path, time_us, units)
            for path, (time_us, _, _, units) in zip(paths, found, strict=True)
        ]

    def latest_amounts(self, user: str | int, degree: int, tracked: int) -> list[int]:
        """Find the amounts of the latest purchases of a network, newest first."""
        return [units for *_, units in self._purchases(user, degree, tracked)]
