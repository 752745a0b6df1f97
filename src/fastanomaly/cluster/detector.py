"""The detector over several shards."""

from __future__ import annotations

import os
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from warnings import warn

from fastanomaly._core import FrameColumns, LineColumns, check_columns
from fastanomaly.cluster.exchange import LocalExchange
from fastanomaly.cluster.frame_rows import read_frame_rows
from fastanomaly.cluster.line_rows import read_rows
from fastanomaly.cluster.memory import ClusterMemory
from fastanomaly.cluster.saving import write_cluster
from fastanomaly.cluster.searching import ClusterSearch
from fastanomaly.cluster.sequencer import Sequencer
from fastanomaly.cluster.shard import Shard
from fastanomaly.columns import event_columns
from fastanomaly.convert import Reading, check_reading, decimal_sigmas, exact_sigmas
from fastanomaly.detector import PURCHASE, check_max_rejected, joined_lines
from fastanomaly.errors import FeedError, ParameterError
from fastanomaly.results import Counts, Fed
from fastanomaly.results.columns import ColumnFlags
from fastanomaly.rules.parameters import (
    MAX_LINE,
    OTHER_DEGREES,
    OTHER_TRACKED,
    SHARDS,
    check_max_line,
    check_shards,
    check_threads,
    check_whole,
    whole_number,
)
from fastanomaly.snapshots.reading import read_newest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from decimal import Decimal

    import numpy.typing as npt

    from fastanomaly.cluster.exchange import Exchange, MakeShard
    from fastanomaly.cluster.frame_rows import FrameRows
    from fastanomaly.cluster.line_rows import LineRows
    from fastanomaly.cluster.messages import Verdicts
    from fastanomaly.cluster.sequencer import Table
    from fastanomaly.cluster.work import ShardProgress
    from fastanomaly.convert import Number, TimeUnit
    from fastanomaly.detector import Detector, UserId
    from fastanomaly.explanations.model import Explanation
    from fastanomaly.frames.result import FedFrame
    from fastanomaly.rules.rejects import Rejected
    from fastanomaly.snapshots.reading import Saved

    _MakeResult: TypeAlias = Callable[[list[Any]], ColumnFlags | Fed | FedFrame]

AnyDetector: TypeAlias = "Detector | ClusterDetector"
"""A detector in this process, or on a cluster."""

MAX_BATCH_EVENTS = 1024
_UNFINISHED = 64  # batches on their way at most: bounds the memory for their answers


class ClusterDetector:
    """Judges like `Detector`, with purchase histories spread over K shards.

    Parameters
    ----------
    degree, tracked, sigmas
        D, T and k, as for `Detector`.
    round_amounts, time_unit
        What is accepted in lines, as for `Detector`.
    shards : int, default 2
        K, 1 to 1,024.
    batch_events : int, default 256
        How many rows shards get at once, 1 to 1,024.
    threads : int, str or "auto", default "auto"
        How many threads each shard judges with, see `Shard`.
    make_exchange : callable, optional
        Called with a callable that makes the shard of a number, and with K; returns the
        `Exchange` that runs the shards. By default a `LocalExchange`, which runs them in this
        process.

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
        round_amounts: bool = False,
        time_unit: TimeUnit | None = None,
        shards: int | str = SHARDS,
        batch_events: int = 256,
        threads: int | str = "auto",
        make_exchange: Callable[[MakeShard, int], Exchange] = LocalExchange,
    ) -> None:
        values = check_whole("D", degree), check_whole("T", tracked), exact_sigmas(sigmas)
        count = check_shards(shards)
        make_shard = partial(
            Shard,
            shards=count,
            degree=values[0],
            tracked=values[1],
            sigmas=values[2],
            threads=check_threads(threads) or "auto",
        )
        self._parameters = values
        self._reading = check_reading(round_amounts, time_unit)
        self._batch_events = _in_range("batch_events", batch_events, MAX_BATCH_EVENTS)
        self.exchange: Exchange = make_exchange(make_shard, count)
        self._sequencer = Sequencer(count)
        self._result: _MakeResult = _column_flags
        self._flags = 0
        self._good = ""  # the last snapshot that is known to be whole

    def save(self, path: str | os.PathLike[str], **more: object) -> None:
        """Write a snapshot: a folder with a file of each shard.

        Parameters
        ----------
        path : str or path-like
            The folder of snapshots, or its URL, such as ``s3://bucket/shop`` (extra
            `remote`). It is created if needed, and used by one cluster at a time. The
            snapshot before is kept in it, and older ones are removed.
        **more
            Further members of the snapshot's manifest, for JSON.

        Raises
        ------
        RuntimeError
            If the last call has failed: call `finish` first.
        OSError
            If it cannot be written; snapshots before are as they were.
        UsageError
            If what writes to the URL is not installed.

        Notes
        -----
        Costs the whole state; each shard writes its own part. docs/checkpoints.md describes
        the files.
        """
        self._check_finished()
        self._good = write_cluster(
            self.exchange,
            os.fspath(path),
            self._parameters,
            self._reading,
            self.counts,
            self._good,
            **more,
        )

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        shards: int | None = None,
        batch_events: int = 256,
        threads: int | str = "auto",
        make_exchange: Callable[[MakeShard, int], Exchange] = LocalExchange,
        notice: Callable[[str], object] = warn,
    ) -> ClusterDetector:
        """Make a cluster of a snapshot, or of what a `Detector` or a run has saved.

        Parameters
        ----------
        path : str or path-like
            The folder of snapshots, of which the newest one that is whole is read, or a
            single one; or a file that `Detector.save` or a checkpoint wrote. Or its URL.
        shards : int, optional
            K; by default, that of the snapshot, and 2 for a detector's file.
        batch_events, threads, make_exchange
            As for `ClusterDetector`.
        notice : callable, optional
            Called with text if a snapshot is damaged and the one before it is read; by
            default, that is a UserWarning.

        Returns
        -------
        ClusterDetector
            It continues as the saved one would have, with its counts.

        Raises
        ------
        CheckpointError
            If there is no snapshot, or none is whole, or the file is not.
        UsageError
            If what reads the URL is not installed.
        OSError
            If a file cannot be read.

        Examples
        --------
        >>> import tempfile
        >>> from fastanomaly.cluster import ClusterDetector
        >>> detector = ClusterDetector(degree=1, tracked=50, shards=3)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     detector.save(folder)
        ...     ClusterDetector.load(folder, shards=5).exchange.shards
        5
        """
        return read_cluster(
            os.fspath(path),
            cls,
            notice=notice,
            shards=shards,
            batch_events=batch_events,
            threads=threads,
            make_exchange=make_exchange,
        )[0]

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
        columns = event_columns(
            kinds,
            times_us,
            users,
            friends,
            amounts_units,
            purchase=PURCHASE,
            doubt=self.time_unit != "us",
        )
        check_columns(*columns)
        found, rows, error = self._run(self._row_parts(columns), judge, _column_flags)
        flags = _column_flags(found)
        if error is not None:
            raise FeedError(f"columns, {rows} rows sent: {error}", flags, rows) from error
        return flags

    def feed(
        self,
        lines: bytes | bytearray | memoryview | str | Iterable[bytes | str],
        *,
        judge: bool = True,
        log: str = "",
        first_line: int = 1,
        max_line: int = MAX_LINE,
        strict: bool = False,
        max_rejected: int | None = None,
    ) -> Fed:
        """Apply the events of newline-delimited JSON; parameters are those of `Detector`.

        Returns
        -------
        Fed
            Flags, once all verdicts are known, and rejected lines. Shards get columns only:
            lines stay here.

        Raises
        ------
        TypeError, ValueError
            As `Detector.feed`; nothing has been applied.
        FeedError
            If reading a line or a shard failed, such as for want of memory. The events of
            `applied` lines have been sent, and will be applied and judged; `fed` has the
            lines rejected among them, and the flags that are known, of the first lines.
            `finish` returns the other flags, and must be called before more is fed.
        """
        data = joined_lines(lines)
        scanner = LineColumns(
            data,
            max_line=check_max_line(max_line),
            log=log,
            first_line=first_line,
            max_rejected=1 if strict else check_max_rejected(max_rejected),
            round_amounts=self._reading.round_amounts,
            time_unit=self._reading.unit_code,
        )
        parts = self._read_parts(
            lambda: read_rows(scanner, data, log, self._batch_events), lambda: scanner.lines
        )
        found, count, error = self._run(parts, judge, _line_flags)
        rejected = scanner.rejected
        if error is None:
            return Fed(scanner.lines, list(chain(*found)), rejected)
        fed = Fed(count, list(chain(*found)), _before(rejected, first_line + count))
        raise FeedError(_failed(log, count, "lines", error), fed, count) from error

    def feed_frame(
        self,
        frame: Any,
        columns: Mapping[str, str | None] | None = None,
        *,
        judge: bool = True,
        log: str = "",
        first_row: int = 1,
        strict: bool = False,
        max_rejected: int | None = None,
        keep: Iterable[str] = (),
    ) -> FedFrame:
        """Apply the events of a table; parameters and result are those of `Detector`.

        Returns
        -------
        FedFrame
            Flags, once all verdicts are known, and rejected rows.

        Raises
        ------
        TypeError, ValueError
            As `Detector.feed_frame`; nothing has been applied.
        FeedError
            As `feed`, or if the table could not be read to its end. `finish` returns the
            other flags.

        Notes
        -----
        An array of the table's rows is not released before all verdicts on it are known.
        Values of columns that are kept are read of all rows.

        Examples
        --------
        >>> import pyarrow as pa
        >>> from fastanomaly.cluster import ClusterDetector
        >>> table = pa.table({
        ...     "user": ["ann", "ann", "ann", "bob"],
        ...     "friend": ["bob", None, None, None],
        ...     "kind": [1, 0, 0, 0],
        ...     "amount": [None, 16.83, 59.28, 1601.83],
        ...     "timestamp": ["2017-06-13 11:33:01"] * 4,
        ... })
        >>> fed = ClusterDetector(degree=1, tracked=50, shards=3).feed_frame(table)
        >>> [(flag.line, flag.user, flag.mean) for flag in fed.flags]
        [(4, 'bob', '38.05')]
        """
        from fastanomaly.frames.opening import opened  # noqa: PLC0415 - imported late: start

        most = check_max_rejected(max_rejected)
        with opened(frame, columns, keep, self._parameters[2]) as table:
            reader = FrameColumns(
                table.source,
                *table.layout,
                log=log,
                first_row=first_row,
                max_rejected=1 if strict else most,
                keep=table.keep,
                round_amounts=self._reading.round_amounts,
                time_unit=self._reading.unit_code,
            )
            parts = self._read_parts(
                lambda: read_frame_rows(reader, log, self._batch_events), lambda: reader.rows
            )
            found, count, error = self._run(
                parts, judge, lambda found: table.fed(0, list(chain(*found)), [])
            )
        rejected = reader.rejected
        if error is None:
            return table.fed(reader.rows, list(chain(*found)), rejected)
        fed = table.fed(count, list(chain(*found)), _before(rejected, first_row + count))
        raise FeedError(_failed(log, count, "rows", error), fed, count) from error

    def finish(self) -> ColumnFlags | Fed | FedFrame:
        """Return the flags that a call that failed has left out.

        After `feed_columns`, they are `ColumnFlags`; after `feed`, a `Fed` without lines;
        after `feed_frame`, a `FedFrame` without rows.
        """
        found = []
        while self._sequencer.unfinished:
            found += self._take(self.exchange.wait())
        return self._result(found)

    def close(self) -> None:
        """End the shards; the detector cannot be used after that."""
        self.exchange.close()

    @property
    def degree(self) -> int:
        """D."""
        return self._parameters[0]

    @property
    def tracked(self) -> int:
        """T."""
        return self._parameters[1]

    @property
    def sigmas(self) -> Decimal:
        """The exact k."""
        return decimal_sigmas(*self._parameters[2])

    @property
    def round_amounts(self) -> bool:
        """Whether amounts with more than six decimals are rounded."""
        return self._reading.round_amounts

    @property
    def time_unit(self) -> str | None:
        """What numbers in timestamps count, see `Detector`; None if they are rejected."""
        return self._reading.time_unit

    @property
    def counts(self) -> Counts:
        """Events applied, and what is stored now."""
        shards: list[Counts] = self.exchange.call_all("counts")
        return shards[0]._replace(
            flags=self._flags, kept=sum(counts.kept for counts in shards)
        )

    @property
    def newest_us(self) -> int | None:
        """The newest timestamp of a purchase, as for `Detector`."""
        newest_us: int | None = self.exchange.call(0, "newest_us")  # all have the same log
        return newest_us

    def network(self, user: UserId) -> list[str]:
        """List the ids of the users within D of a user, nearest first, as `Detector` does.

        Raises
        ------
        TypeError, ValueError
            If the id is not valid.
        RuntimeError
            If the last call has failed: call `finish` first.
        """
        self._check_finished()
        ids: list[str] = self.exchange.call(0, "network", user)
        return ids

    def network_sizes(self, user: UserId, degree: int | str) -> list[int]:
        """Count the users at each distance from a user; see `Detector.network_sizes`.

        Errors are those of `network`, and ValueError if the degree is not valid.

        Examples
        --------
        >>> from fastanomaly.cluster import ClusterDetector
        >>> detector = ClusterDetector(degree=2, tracked=50)
        >>> fed = detector.feed([
        ...     '{"event_type":"befriend", "id1":"ann", "id2":"bob"}',
        ...     '{"event_type":"befriend", "id1":"bob", "id2":"cho"}',
        ... ])
        >>> detector.network("ann"), detector.network_sizes("ann", 5)
        (['bob', 'cho'], [1, 1])
        """
        self._check_finished()
        found = self.exchange.call(0, "paths", user, check_whole("D", degree), [])
        sizes: list[int] = found[0]
        return sizes

    def sample_users(self, most: int) -> list[str]:
        """List the ids of all users, or of `most`, evenly spread by first appearance."""
        self._check_finished()
        ids: list[str] = self.exchange.call(0, "sample_users", most)
        return ids

    def explain(
        self,
        user: UserId,
        amount: Number,
        *,
        tracked: int | None = None,
        degrees: Iterable[int] | int = OTHER_DEGREES,
        other_tracked: Iterable[int] | int = OTHER_TRACKED,
    ) -> Explanation:
        """Explain the verdict that a purchase would get now; parameters are of `Detector`.

        Returns
        -------
        Explanation
            That of a `Detector` with the same log. Where several paths to a buyer are the
            shortest, it may have another one of them.

        Raises
        ------
        TypeError, ValueError
            If a value is not valid.
        RuntimeError
            If the last call has failed: call `finish` first.

        Notes
        -----
        Every shard marks the whole network, once for each of the other degrees, too.
        """
        from fastanomaly.explanations.compute import explain  # noqa: PLC0415 - rarely needed

        self._check_finished()
        return explain(
            ClusterSearch(self.exchange),
            user,
            self._reading.amount(amount)[0],
            degree=self.degree,
            tracked=self.tracked if tracked is None else tracked,
            max_tracked=self.tracked,
            sigmas=self._parameters[2],
            degrees=degrees,
            other_tracked=other_tracked,
        )

    def memory(self) -> ClusterMemory:
        """Return the bytes in use, by shard and purpose; costs as `Detector.memory`, K times.

        Users, friendships and the recency log are in every shard, purchases in one.

        Examples
        --------
        >>> from fastanomaly.cluster import ClusterDetector
        >>> memory = ClusterDetector(degree=1, tracked=50, shards=3).memory()
        >>> len(memory.shards), memory.total == sum(one.total for one in memory.shards)
        (3, True)
        """
        return ClusterMemory(self.exchange.call_all("memory"))

    def progress(self) -> list[ShardProgress]:
        """Return what each shard has done so far."""
        return self.exchange.call_all("progress")

    def lags(self) -> list[int]:
        """Return by how many batches each shard was behind at most, since the last call."""
        return self._sequencer.lags()

    def _row_parts(self, columns: tuple[Any, Any, Any, Any, Any]) -> Iterator[_Part]:
        """Yield batches of the rows of columns."""
        for start in range(0, len(columns[0]), self._batch_events):
            end = min(len(columns[0]), start + self._batch_events)
            kinds, times_us, users, friends, amounts_units = (
                column[start:end] for column in columns
            )
            part = kinds, times_us, users, friends, amounts_units
            yield _Part(part, partial(_moved, start), end)

    def _read_parts(
        self, read: Callable[[], LineRows | FrameRows | None], count: Callable[[], int]
    ) -> Iterator[_Part]:
        """Yield batches of the events that `read` returns, one after another.

        `count()` is how many lines or rows have been read. Raises _ReadError.
        """
        while True:
            try:
                rows = read()
            except Exception as error:
                raise _ReadError(count()) from error
            if rows is None:
                return
            yield _Part(rows.columns, rows.flags, count(), rows.adjusted)

    def _run(
        self,
        parts: Iterator[_Part],
        judge: bool,
        result: _MakeResult,
    ) -> tuple[list[Any], int, BaseException | None]:
        """Send parts, and take the flags, as far as nothing fails.

        Returns the flags by batch, the rows or lines that were sent, and what failed, or
        None. `result` makes of flags what `finish` returns.
        """
        self._check_finished()
        self._result = result
        sent, found = 0, []
        try:
            for part in parts:
                self._send(part, judge)
                sent = part.end
                found += self._take(self.exchange.poll())
                while self._sequencer.unfinished >= _UNFINISHED:
                    found += self._take(self.exchange.wait())
            while self._sequencer.unfinished:
                found += self._take(self.exchange.wait())
        except _ReadError as error:
            return found, error.lines, error.__cause__
        except Exception as error:
            return found, sent, error
        return found, sent, None

    def _check_finished(self) -> None:
        if self._sequencer.unfinished:
            raise RuntimeError("the last call has failed: call finish first")

    def _send(self, part: _Part, judge: bool) -> None:
        """Send a part as the next batch."""
        purchases = int((part.columns[0] == PURCHASE).sum())
        self.exchange.send(
            self._sequencer.batch(
                part.columns,
                purchases,
                part.make_flags,
                judged=judge,
                adjusted=part.adjusted,
            )
        )

    def _take(self, arrived: Sequence[Verdicts]) -> list[Any]:
        """Take verdicts, and return the flags that can be released."""
        for verdicts in arrived:
            self._sequencer.add(verdicts)
        released = self._sequencer.release()
        self._flags += sum(map(len, released))
        return released


def read_cluster(
    path: str,
    kind: type[ClusterDetector] = ClusterDetector,
    *,
    notice: Callable[[str], object],
    shards: int | None,
    **options: Any,
) -> tuple[ClusterDetector, dict[str, Any]]:
    """Make a cluster of what was saved, see `ClusterDetector.load`.

    Returns it, and the members of the manifest or of the file's header.
    """

    def read(saved: Saved) -> tuple[ClusterDetector, dict[str, Any]]:
        members = saved.members
        detector = members["detector"]
        count = members.get("shards", SHARDS) if shards is None else shards
        made = kind(
            detector["degree"],
            detector["tracked"],
            detector["sigmas"],
            shards=count,
            **Reading.saved(detector),
            **options,
        )
        try:
            made.exchange.load(saved.files)
        except BaseException:
            made.close()
            raise
        made._sequencer = Sequencer(count, members["state"]["seq"])
        made._flags = members["state"]["flags"]
        made._good = saved.path
        return made, members

    return read_newest(path, read, notice)


def _before(rejected: list[Rejected], line: int) -> list[Rejected]:
    """Return the rejected lines or rows before one."""
    return [one for one in rejected if one.line < line]


def _failed(log: str, count: int, what: str, error: BaseException) -> str:
    """Return the message of a failure after so many lines or rows."""
    where = f"{log}, " if log else ""
    return f"{where}{count} {what} sent: {error}"


class _Part(NamedTuple):
    """What is sent as a batch."""

    columns: tuple[Any, Any, Any, Any, Any]
    make_flags: Callable[[Table], Any]  # see `Sequencer.batch`
    end: int  # how many rows or lines there are up to its end
    adjusted: tuple[int, int] = 0, 0  # see `Batch`


class _ReadError(Exception):
    """Reading has failed, for its cause, after so many lines: all events in them were sent."""

    def __init__(self, lines: int) -> None:
        super().__init__(lines)
        self.lines = lines


def _moved(first_row: int, table: Table) -> Table:
    """Return the flags of a batch with the rows of the whole columns."""
    flags = table[:, :4]
    flags[:, 0] += first_row
    return flags


def _column_flags(tables: list[Any]) -> ColumnFlags:
    import numpy as np  # noqa: PLC0415 - imported late: it slows the start

    table = np.concatenate([np.empty((0, 4), np.int64), *tables])
    return ColumnFlags(*table.T.copy())


def _line_flags(found: list[Any]) -> Fed:
    return Fed(0, list(chain(*found)), [])


def _in_range(name: str, value: int, most: int) -> int:
    number = whole_number(name, value)
    if not 1 <= number <= most:
        raise ParameterError(f"{name}: {number} is not in 1..{most}")
    return number
