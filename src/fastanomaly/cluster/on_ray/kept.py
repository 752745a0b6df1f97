"""The batches that a shard may need again."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from fastanomaly.cluster.messages import payload_bytes
from fastanomaly.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastanomaly.cluster.messages import Batch


class KeptBatches:
    """Batches that are not complete, and, if there is a snapshot, all since it.

    Attributes
    ----------
    bytes : int
        What their columns have, together.
    end : int
        The number of the next batch.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self.end = 0
        self._batches: deque[Batch] = deque()
        self._saved: int | None = None

    def add(self, batch: Batch) -> None:
        """Keep the next batch, and forget those that nobody needs any more."""
        self._batches.append(batch)
        self.end = batch.number + 1
        self.bytes += payload_bytes(batch)
        self._forget(batch.released if self._saved is None else self._saved)

    def saved(self, first: int) -> None:
        """Note that there is a snapshot of all batches before a number."""
        self._saved = first
        self._forget(first)

    def _forget(self, first: int) -> None:
        while self._batches and self._batches[0].number < first:
            self.bytes -= payload_bytes(self._batches.popleft())

    def since(self, first: int, most_bytes: int, name: str) -> Iterator[list[Batch]]:
        """Yield the batches from a number on, some together up to a number of bytes.

        Those that are complete are not judged again. Raises ClusterError if the first ones
        have been forgotten: the shard of that name cannot be rebuilt.
        """
        if not self._batches:
            return
        if first < self._batches[0].number:
            raise ClusterError(
                f"{name}: is lost; a folder for snapshots (--checkpoint) would allow to "
                "rebuild it"
            )
        complete = self._batches[-1].released
        found: list[Batch] = []
        size = 0
        for batch in list(self._batches):
            if batch.number < first:
                continue
            done = batch.number < complete
            found.append(batch._replace(judged=False) if done else batch)
            size += payload_bytes(batch)
            if size >= most_bytes:
                yield found
                found, size = [], 0
        if found:
            yield found
