"""Numbers batches of the log, and releases their flags in the same order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastanomaly.cluster.messages import Batch, Verdicts

FLAG_WORDS = 9  # of ShardFlag, see engine/packet.pxd

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    Table = npt.NDArray[np.int64]


class Sequencer:
    """The order of one log for all shards.

    Parameters
    ----------
    shards : int
        K: a batch is complete when so many shards have given their verdicts.
    seq : int, default 0
        The place where the first batch begins: the number of purchases before it.
    """

    def __init__(self, shards: int, seq: int = 0) -> None:
        self._shards = shards
        self._number = 0
        self._seq = seq
        self._complete = 0  # batches whose flags have been released
        self._lags = [0] * shards
        self._verdicts: dict[int, dict[int, bytes]] = {}
        self._makers: dict[int, Callable[[Table], Any]] = {}

    @property
    def unfinished(self) -> int:
        """How many batches have been numbered, but not released."""
        return self._number - self._complete

    def batch(
        self,
        columns: tuple[Any, Any, Any, Any, Any],
        purchases: int,
        make_flags: Callable[[Table], Any],
        *,
        judged: bool,
        adjusted: tuple[int, int] = (0, 0),
    ) -> Batch:
        """Number the next batch.

        Parameters
        ----------
        columns : tuple
            Its columns.
        purchases : int
            How many of its rows are purchases.
        make_flags : callable
            Makes its flags from the table that `release` describes.
        judged, adjusted
            As for `Batch`.
        """
        batch = Batch(self._number, self._seq, self._complete, columns, judged, adjusted)
        self._verdicts[self._number] = {}
        self._makers[self._number] = make_flags
        self._number += 1
        self._seq += purchases
        return batch

    def add(self, verdicts: Verdicts) -> None:
        """Keep the verdicts of a shard; those that came before are ignored."""
        lag = self._number - verdicts.batch
        self._lags[verdicts.shard] = max(self._lags[verdicts.shard], lag)
        if verdicts.batch in self._verdicts:
            self._verdicts[verdicts.batch].setdefault(verdicts.shard, verdicts.flags)

    def lags(self) -> list[int]:
        """Return how far verdicts of each shard were behind at most, since the last call.

        In batches: how many had been sent since, with the one that they are on.
        """
        lags, self._lags = self._lags, [0] * self._shards
        return lags

    def release(self) -> list[Any]:
        """Return the flags of each batch that is complete, and all before it.

        They are made from a table of int64: row of the batch, n, mean in cents, sd in cents,
        and the words of both sums, in the order of the rows.
        """
        import numpy as np  # noqa: PLC0415 - imported late: it slows the start

        released = []
        while len(self._verdicts.get(self._complete, ())) == self._shards:
            flags = b"".join(self._verdicts[self._complete].values())
            table = np.frombuffer(flags, np.int64).reshape(-1, FLAG_WORDS)
            released.append(self._makers[self._complete](table[np.argsort(table[:, 0])]))
            del self._verdicts[self._complete], self._makers[self._complete]
            self._complete += 1
        return released
