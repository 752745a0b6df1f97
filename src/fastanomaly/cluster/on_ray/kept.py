"""The batches that a shard may need again."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from fastanomaly.cluster.messages import payload_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fastanomaly.cluster.messages import Batch, Verdicts


class KeptBatches:
    """Batches that are not complete, and those since the last snapshot, or the beginning.

    The latter as long as they are not too many: without them, a shard whose process has ended
    cannot be rebuilt.

    Parameters
    ----------
    most_bytes : int
        What the columns of those that are complete may have, together with the others.

    Attributes
    ----------
    bytes : int
        What the columns of all that are kept have, together.
    end : int
        The number of the next batch.
    start : int or None
        The number of the batch with which a shard that has lost its state can begin: that
        after the snapshot. None if it was forgotten.
    """

    def __init__(self, most_bytes: int) -> None:
        self.bytes = 0
        self.end = 0
        self.start: int | None = 0
        self._most_bytes = most_bytes
        self._batches: deque[Batch] = deque()
        self._heard: dict[int, set[int]] = {}  # by batch: the shards whose verdicts have come

    def add(self, batch: Batch) -> None:
        """Keep the next batch, and forget those that nobody needs any more."""
        self._batches.append(batch)
        self._heard[batch.number] = set()
        while next(iter(self._heard)) < batch.released:
            del self._heard[next(iter(self._heard))]
        self.end = batch.number + 1
        self.bytes += payload_bytes(batch)
        if self.bytes > self._most_bytes:
            self.start = None
        self._forget(batch.released if self.start is None else self.start)

    def news(self, arrived: Iterable[Verdicts]) -> list[Verdicts]:
        """Return those verdicts that have not come before."""
        found = []
        for verdicts in arrived:
            shards = self._heard.get(verdicts.batch)
            if shards is not None and verdicts.shard not in shards:
                shards.add(verdicts.shard)
                found.append(verdicts)
        return found

    def saved(self) -> None:
        """Note that there is a snapshot of all batches so far."""
        self.start = self.end
        self._forget(self.end)

    def restart(self) -> None:
        """Forget all batches; the next one is number 0."""
        self._heard.clear()
        self.end = 0
        self.saved()

    def _forget(self, first: int) -> None:
        while self._batches and self._batches[0].number < first:
            self.bytes -= payload_bytes(self._batches.popleft())

    def since(self, first: int, most_bytes: int) -> Iterator[list[Batch]]:
        """Yield the batches from a number on, some together up to a number of bytes.

        Those that are complete are not judged again.
        """
        complete = self._batches[-1].released if self._batches else 0
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
