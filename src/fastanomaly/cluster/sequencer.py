"""Numbers batches of the log, and releases their flags in the same order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastanomaly.cluster.messages import Batch, Verdicts

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Table = npt.NDArray[np.int64]


class Sequencer:
    """The order of one log for all shards.

    Parameters
    ----------
    shards : int
        K: a batch is complete when so many shards have given their verdicts.
    """

    def __init__(self, shards: int) -> None:
        self._shards = shards
        self._number = 0
        self._seq = 0
        self._complete = 0  # batches whose flags have been released
        self._verdicts: dict[int, dict[int, bytes]] = {}
        self._first_rows: dict[int, int] = {}

    @property
    def unfinished(self) -> int:
        """How many batches have been numbered, but not released."""
        return self._number - self._complete

    def batch(
        self,
        columns: tuple[Any, Any, Any, Any, Any],
        purchases: int,
        first_row: int,
        *,
        judged: bool,
    ) -> Batch:
        """Number the next batch.

        Parameters
        ----------
        columns : tuple
            Its columns.
        purchases : int
            How many of its rows are purchases.
        first_row : int
            What to add to the rows of its flags.
        judged : bool
            Whether purchases are judged.
        """
        batch = Batch(self._number, self._seq, self._complete, columns, judged)
        self._verdicts[self._number] = {}
        self._first_rows[self._number] = first_row
        self._number += 1
        self._seq += purchases
        return batch

    def add(self, verdicts: Verdicts) -> None:
        """Keep the verdicts of a shard; those that came before are ignored."""
        if verdicts.batch in self._verdicts:
            self._verdicts[verdicts.batch].setdefault(verdicts.shard, verdicts.flags)

    def release(self) -> list[Table]:
        """Return the flags of each batch that is complete, and all before it.

        Each is an array of (row, n, mean in cents, sd in cents), in the order of the rows.
        """
        import numpy as np  # noqa: PLC0415 - imported late: it slows the start

        released = []
        while len(self._verdicts.get(self._complete, ())) == self._shards:
            flags = b"".join(self._verdicts.pop(self._complete).values())
            table = np.frombuffer(flags, np.int64).reshape(-1, 4)
            table = table[np.argsort(table[:, 0])]
            table[:, 0] += self._first_rows.pop(self._complete)
            released.append(table)
            self._complete += 1
        return released
