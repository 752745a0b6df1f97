"""The memory of a cluster."""

from __future__ import annotations

from typing import NamedTuple

from fastanomaly.results.measures import Memory


class ClusterMemory(NamedTuple):
    """The bytes that the shards of a cluster have allocated.

    Attributes
    ----------
    shards : list of Memory
        Of each shard, by number.
    """

    shards: list[Memory]

    @property
    def total(self) -> int:
        """Their sum."""
        return sum(shard.total for shard in self.shards)
