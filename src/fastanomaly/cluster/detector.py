"""The detector over several shards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastanomaly._core import check_columns
from fastanomaly.cluster.exchange import LocalExchange
from fastanomaly.cluster.sequencer import Sequencer
from fastanomaly.cluster.shard import Shard
from fastanomaly.columns import event_columns
from fastanomaly.convert import exact_sigmas
from fastanomaly.detector import PURCHASE
from fastanomaly.errors import FeedError, ParameterError
from fastanomaly.results import ColumnFlags, Counts
from fastanomaly.rules.parameters import check_whole, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from fastanomaly.cluster.exchange import Exchange
    from fastanomaly.cluster.messages import Verdicts
    from fastanomaly.convert import Number

MAX_SHARDS = 1024
MAX_BATCH_EVENTS = 1024
_UNFINISHED = 64  # batches on their way at most: bounds the memory for their answers


class ClusterDetector:
    """Judges like `Detector`, with purchase histories spread over K shards.

    Parameters
    ----------
    degree, tracked, sigmas
        D, T and k, as for `Detector`.
    shards : int, default 2
        K, 1 to 1,024.
    batch_events : int, default 256
        How many rows shards get at once, 1 to 1,024.
    make_exchange : callable, optional
        Called with a list of K shards, returns the `Exchange` that runs them; by default a
        `LocalExchange`, which runs them in this process.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Flags are those of `Detector`, whatever K is and whenever messages arrive. Every shard
    holds all users and friendships and the recency log; histories are held once.

    Examples
    --------
    >>> from fastanomaly import BEFRIEND, PURCHASE
    >>> from fastanomaly.cluster import ClusterDetector
    >>> detector = ClusterDetector(degree=1, tracked=50, shards=3)
    >>> flags = detector.feed_columns(
    ...     kinds=[BEFRIEND, PURCHASE, PURCHASE, PURCHASE],
    ...     times_us=[0, 1, 2, 3],
    ...     users=[1, 2, 2, 1],
    ...     friends=[2, 0, 0, 0],
    ...     amounts_units=[0, 1_000_000, 2_000_000, 9_500_000],
    ... )
    >>> flags.rows.tolist(), flags.mean_cents.tolist()
    ([3], [150])
    >>> detector.counts.kept
    3
    """

    def __init__(
        self,
        degree: int | str,
        tracked: int | str,
        sigmas: Number = 3,
        *,
        shards: int = 2,
        batch_events: int = 256,
        make_exchange: Callable[[list[Shard]], Exchange] = LocalExchange,
    ) -> None:
        values = check_whole("D", degree), check_whole("T", tracked), exact_sigmas(sigmas)
        count = _in_range("shards", shards, MAX_SHARDS)
        self._batch_events = _in_range("batch_events", batch_events, MAX_BATCH_EVENTS)
        self.exchange: Exchange = make_exchange(
            [Shard(number, count, *values) for number in range(count)]
        )
        self._sequencer = Sequencer(count)
        self._flags = 0

    def feed_columns(
        self,
        kinds: npt.ArrayLike,
        times_us: npt.ArrayLike | None,
        users: npt.ArrayLike | Sequence[str | int],
        friends: npt.ArrayLike | Sequence[str | int] | None,
        amounts_units: npt.ArrayLike | None,
        *,
        judge: bool = True,
    ) -> ColumnFlags:
        """Apply the events of columns; parameters and result are those of `Detector`.

        Returns
        -------
        ColumnFlags
            The rows flagged, once all verdicts are known.

        Raises
        ------
        TypeError, ValueError
            If a row is not a valid event; nothing has been applied.
        FeedError
            If a shard failed, such as for want of memory. `applied` rows have been sent, and
            will be applied and judged; `fed` has the flags that are known, of the first rows.
            `finish` returns the others, and must be called before more is fed.
        """
        if self._sequencer.unfinished:
            raise RuntimeError("the last call has failed: call finish first")
        columns = event_columns(
            kinds, times_us, users, friends, amounts_units, purchase=PURCHASE, doubt=True
        )
        check_columns(*columns)
        rows, sent, found = len(columns[0]), 0, []
        try:
            while sent < rows:
                end = min(rows, sent + self._batch_events)
                self._send(columns, sent, end, judge)
                sent = end
                found += self._take(self.exchange.poll())
                while self._sequencer.unfinished >= _UNFINISHED:
                    found += self._take(self.exchange.wait())
            while self._sequencer.unfinished:
                found += self._take(self.exchange.wait())
        except Exception as error:
            message = f"columns, {sent} rows sent: {error}"
            raise FeedError(message, _column_flags(found), sent) from error
        return _column_flags(found)

    def finish(self) -> ColumnFlags:
        """Return the flags that a call of `feed_columns` that failed has left out."""
        found = []
        while self._sequencer.unfinished:
            found += self._take(self.exchange.wait())
        return _column_flags(found)

    @property
    def counts(self) -> Counts:
        """Events applied, and what is stored now."""
        shards = self.exchange.counts()
        return shards[0]._replace(
            flags=self._flags, kept=sum(counts.kept for counts in shards)
        )

    def _send(self, columns: tuple[Any, ...], start: int, end: int, judge: bool) -> None:
        """Send some rows as the next batch."""
        kinds, times_us, users, friends, amounts_units = (
            column[start:end] for column in columns
        )
        self.exchange.send(
            self._sequencer.batch(
                (kinds, times_us, users, friends, amounts_units),
                int((kinds == PURCHASE).sum()),
                start,
                judged=judge,
            )
        )

    def _take(self, arrived: Sequence[Verdicts]) -> list[Any]:
        """Take verdicts, and return the flags that can be released."""
        for verdicts in arrived:
            self._sequencer.add(verdicts)
        released = self._sequencer.release()
        self._flags += sum(map(len, released))
        return released


def _column_flags(tables: list[Any]) -> ColumnFlags:
    import numpy as np  # noqa: PLC0415 - imported late: it slows the start

    table = np.concatenate([np.empty((0, 4), np.int64), *tables])
    return ColumnFlags(*table.T.copy())


def _in_range(name: str, value: int, most: int) -> int:
    number = whole_number(name, value)
    if not 1 <= number <= most:
        raise ParameterError(f"{name}: {number} is not in 1..{most}")
    return number
