"""The verdicts of a shard on a batch that wait for answers of other shards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastanomaly.cluster.messages import Answers, Asks, Verdicts

if TYPE_CHECKING:
    from fastanomaly._core import ShardEngine


class PendingVerdicts:
    """Collects answers until all that were asked have answered, then finishes the verdicts.

    Parameters
    ----------
    shard, batch : int
        The shard that judges, and the batch.
    flags : bytes
        Flags on purchases for which nothing had to be asked.
    open_verdicts : bytes
        The packet of the others.
    asks : list of bytes or None
        By owner, what to ask.
    """

    def __init__(
        self,
        shard: int,
        batch: int,
        flags: bytes,
        open_verdicts: bytes,
        asks: list[bytes | None],
    ) -> None:
        self._shard = shard
        self._batch = batch
        self._flags = flags
        self._attempt = 0
        self._await(open_verdicts, asks)

    def _await(self, open_verdicts: bytes, asks: list[bytes | None]) -> None:
        self._open = open_verdicts
        self._asks = asks
        self._answers: list[bytes | None] = [None] * len(asks)

    def asks(self) -> list[Asks]:
        """Return what is asked and has not been answered."""
        return [
            Asks(self._shard, owner, self._batch, self._attempt, packet)
            for owner, packet in enumerate(self._asks)
            if packet is not None and self._answers[owner] is None
        ]

    def add(self, answers: Answers) -> bool:
        """Keep answers; False if they are not awaited, since they came before."""
        if answers.attempt != self._attempt or self._answers[answers.owner] is not None:
            return False
        self._answers[answers.owner] = answers.packet
        return True

    @property
    def complete(self) -> bool:
        """Whether all that were asked have answered."""
        return all(
            asked is None or answered is not None
            for asked, answered in zip(self._asks, self._answers, strict=True)
        )

    def finish(self, engine: ShardEngine) -> list[Asks] | Verdicts:
        """Finish the verdicts, once complete: returns them, or what has to be asked again.

        A MemoryError changes nothing.
        """
        flags, open_verdicts, asks = engine.finish(self._open, self._asks, self._answers)
        self._flags += flags
        if open_verdicts is None:
            return Verdicts(self._shard, self._batch, self._flags)
        self._attempt += 1
        self._await(open_verdicts, asks)
        return self.asks()
