"""The detector: friendships and purchases in, flags out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Literal, TypeAlias

from fastanomaly._core import Engine as CompiledEngine
from fastanomaly.convert import (
    Number,
    Reading,
    TimeUnit,
    check_reading,
    decimal_sigmas,
    exact_sigmas,
    exact_units,
)
from fastanomaly.errors import FeedError, ParameterError
from fastanomaly.names import is_url
from fastanomaly.processors import available_processors
from fastanomaly.results import Counts, Fed, Flag
from fastanomaly.rules.parameters import (
    MAX_LINE,
    MAX_THREADS,
    OTHER_DEGREES,
    OTHER_TRACKED,
    check_max_line,
    check_threads,
    check_whole,
)
from fastanomaly.times import Timestamp, exact_time_us

if TYPE_CHECKING:
    from decimal import Decimal

    import numpy.typing as npt

    from fastanomaly.engine_protocol import Engine
    from fastanomaly.explanations.model import Explanation
    from fastanomaly.frames.result import FedFrame
    from fastanomaly.results.columns import ColumnFlags
    from fastanomaly.results.measures import Latency, Memory, Sharing, Work

PURCHASE, BEFRIEND, UNFRIEND = 0, 1, 2
"""The kinds of events in the columns of `Detector.feed_columns`."""

_MANY = 2**62  # more lines than fit into memory

UserId: TypeAlias = str | int
Method: TypeAlias = Literal["auto", "ball"]


class Detector:
    """Judges purchases against the latest purchases in the buyer's network.

    Parameters
    ----------
    degree : int or str
        D: the network reaches so many steps from friend to friend; 1 to 2^31 - 1.
    tracked : int or str
        T: the number of the network's latest purchases that count; 2 to 2^31 - 1.
    sigmas : int, float, str or Decimal, default 3
        k: a purchase above mean + k standard deviations is anomalous; 0 to 10^6 with at
        most three decimals, compared exactly.
    method : {"auto", "ball"}, default "auto"
        How the latest purchases of a network are found: from both sides, or by marking
        the whole network, whose cost grows with the degree. The answers are equal.
    round_amounts : bool, default False
        Accept amounts with more than six decimals, such as 25.049999999999997, and round
        them half to even. `Counts.rounded_amounts` counts them. By default they are errors,
        and lines that have them are rejected.
    time_unit : {"s", "ms", "us", "ns", "iso"}, optional
        Accept timestamps that are numbers of seconds, milliseconds, microseconds or
        nanoseconds since 1970-01-01 UTC, in lines and calls. ISO 8601 is also accepted
        without seconds, and with more than six decimals; with "iso", only that. What is
        below a microsecond is cut, and `Counts.cut_times` counts such times.
    threads : int, str or "auto", default "auto"
        How many threads judge the purchases of `feed` and `feed_columns`, the calling one
        included; 1 to 256. "auto": as many as the processors that the process may use. The
        answers are the same whatever it is, and threads are only used if there is enough to
        judge. Unless it is 1, one more thread reads lines ahead.

    Raises
    ------
    ParameterError
        If a parameter is out of range; the message names the parameter and the value.

    Notes
    -----
    Memory grows with users, friendships and stored purchases (at most T a user), not with
    events. A detector is used by one thread of the caller at a time: a call during another
    call raises RuntimeError. A call that raises has changed nothing, except the bulk calls,
    which have applied the events before the one that failed.

    Examples
    --------
    >>> from fastanomaly import Detector
    >>> detector = Detector(degree=2, tracked=50)
    >>> detector.befriend("ann", "bob")
    >>> detector.befriend("bob", "cho")
    >>> for second, amount in enumerate(["16.83", "59.28", "11.20"]):
    ...     detector.record("ann", amount, f"2017-06-13 11:33:0{second}")
    >>> flag = detector.purchase("cho", "1601.83", "2017-06-13 11:33:05")
    >>> flag.mean, flag.sd, flag.n
    ('29.10', '21.46', 3)
    >>> sorted(detector.network("cho"))
    ['ann', 'bob']
    """

    __slots__ = (
        "_degree",
        "_engine",
        "_method",
        "_reading",
        "_sigmas",
        "_strict_times",
        "_threads",
        "_tracked",
    )
    _flag_type: ClassVar[type[Any]] = Flag

    def __init__(
        self,
        degree: int | str,
        tracked: int | str,
        sigmas: Number = 3,
        *,
        method: Method = "auto",
        round_amounts: bool = False,
        time_unit: TimeUnit | None = None,
        threads: int | str = "auto",
    ) -> None:
        self._degree = check_whole("D", degree)
        self._tracked = check_whole("T", tracked)
        self._sigmas = exact_sigmas(sigmas)
        self._method = _check_method(method)
        self._reading = check_reading(round_amounts, time_unit)
        self._strict_times = time_unit is None
        self._engine: Engine = CompiledEngine(
            self._degree,
            self._tracked,
            *self._sigmas,
            whole_balls=method == "ball",
            round_amounts=self._reading.round_amounts,
            time_unit=self._reading.unit_code,
        )
        self.threads = threads

    @property
    def degree(self) -> int:
        """D; it can be set at any time, at no cost, and counts from the next purchase on."""
        return self._degree

    @degree.setter
    def degree(self, degree: int | str) -> None:
        checked = check_whole("D", degree)
        self._engine.set_degree(checked)
        self._degree = checked

    @property
    def tracked(self) -> int:
        """T."""
        return self._tracked

    @property
    def sigmas(self) -> Decimal:
        """The exact k; it can be set like the degree."""
        return decimal_sigmas(*self._sigmas)

    @sigmas.setter
    def sigmas(self, sigmas: Number) -> None:
        checked = exact_sigmas(sigmas)
        self._engine.set_sigmas(*checked)
        self._sigmas = checked

    @property
    def method(self) -> Method:
        """How the latest purchases of a network are found; it can be set like the degree."""
        return self._method

    @method.setter
    def method(self, method: Method) -> None:
        checked = _check_method(method)
        self._engine.set_whole_balls(checked == "ball")
        self._method = checked

    @property
    def threads(self) -> int:
        """How many threads may judge; it can be set at any time, see `Detector`."""
        return self._threads

    @threads.setter
    def threads(self, threads: int | str) -> None:
        count = thread_count(threads)
        self._engine.set_threads(count)
        self._threads = count

    def close(self) -> None:
        """End the threads that judge, and free their memory; later calls start them again.

        It is not needed: they end with the detector.
        """
        self._engine.set_threads(self._threads)

    @property
    def round_amounts(self) -> bool:
        """Whether amounts with more than six decimals are rounded."""
        return self._reading.round_amounts

    @property
    def time_unit(self) -> str | None:
        """What numbers in timestamps count, see `Detector`; None if they are rejected."""
        return self._reading.time_unit

    def __reduce__(self) -> str | tuple[Any, ...]:
        import tempfile  # noqa: PLC0415

        from fastanomaly.state_file import write_state  # noqa: PLC0415 - imported late: start

        with tempfile.TemporaryFile() as file:
            write_state(file.fileno(), self._engine, self._header())
            file.seek(0)
            return _unpickled, (file.read(),)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the whole state to a file that `load` reads.

        Parameters
        ----------
        path : str or path-like
            An existing file is replaced once the new one is complete and on the disk, and
            its mode is kept. Of a symbolic link, the file that it leads to is replaced.

        Raises
        ------
        OutputError
            If the path leads to a device, a FIFO, a folder or an open file (``/dev/fd/N``).
        OSError
            If it cannot be written; an existing file is then unchanged.

        Notes
        -----
        Costs the whole state. The file has about 4 bytes a friendship, 24 a stored purchase
        and 16 a user besides the id's text; docs/checkpoints.md describes it.
        """
        save_detector(self, os.fspath(path))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Detector:
        """Read a detector from what `save`, a checkpoint or a cluster has written.

        Parameters
        ----------
        path : str or path-like
            The file; or a snapshot of `ClusterDetector`, or the folder of its snapshots, of
            which the newest one that is whole is read. Either may be at a URL.

        Returns
        -------
        Detector
            It continues as the saved one would have, with its counts; `work` starts at 0.

        Raises
        ------
        CheckpointError
            If the file is truncated, altered, of a newer format or something else, or no
            snapshot is whole.
        OSError
            If it cannot be read.

        Warns
        -----
        UserWarning
            If a snapshot is damaged, and the one before it is read.

        Examples
        --------
        >>> import tempfile
        >>> from fastanomaly import Detector
        >>> detector = Detector(degree=2, tracked=50)
        >>> detector.befriend("ann", "bob")
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     detector.save(file.name)
        ...     Detector.load(file.name).network("ann")
        ['bob']
        """
        return _read_any(os.fsdecode(path), cls)

    def _header(self, **more: object) -> dict[str, Any]:
        """Return what the header of a state file says of this detector, and more."""
        return {
            **more,
            "detector": {
                "degree": self.degree,
                "tracked": self.tracked,
                "sigmas": str(self.sigmas),
                "method": self.method,
                **self._reading.options(),
            },
            "counts": without_zeros(self.counts),
        }

    def __repr__(self) -> str:
        parts = [f"degree={self.degree}", f"tracked={self.tracked}", f"sigmas={self.sigmas}"]
        if self._method != "auto":
            parts.append(f"method={self._method!r}")
        parts += [f"{name}={value!r}" for name, value in self._reading.options().items()]
        return f"Detector({', '.join(parts)})"

    def befriend(self, user: UserId, friend: UserId) -> None:
        """Make two users friends; if they are friends already, nothing changes.

        Parameters
        ----------
        user, friend : str or int
            Two ids; an integer stands for its decimal text.

        Raises
        ------
        TypeError, ValueError
            If an id is not valid, or both are the same.

        Notes
        -----
        Expected constant cost, whatever the number of friends.
        """
        self._engine.befriend(user, friend)

    def unfriend(self, user: UserId, friend: UserId) -> None:
        """End the friendship of two users; if they are not friends, nothing changes.

        Parameters, errors and cost are those of `befriend`; the ids may be equal.
        """
        self._engine.unfriend(user, friend)

    def purchase(
        self, user: UserId, amount: Number, timestamp: Timestamp | Number
    ) -> Flag | None:
        """Judge a purchase against the current state, then record it.

        Parameters
        ----------
        user : str or int
            The buyer; an integer stands for its decimal text.
        amount : str, int, float or Decimal
            0 to below 10^12, with at most six decimals, unless `round_amounts` is set. A
            float stands for the shortest decimal that names it, as it prints.
        timestamp : str, int, datetime, date or numpy.datetime64
            ``2017-06-13 11:33:02`` or ISO 8601; or microseconds since 1970-01-01 UTC; or a
            datetime or pandas Timestamp, in UTC if it has no zone; or a date, 00:00 UTC. An
            integer that is likely in seconds or milliseconds, a time that is finer than a
            microsecond, and NaT are errors; see docs/semantics.md. With `time_unit`,
            numbers count in that unit.

        Returns
        -------
        Flag or None
            The flag if the purchase is anomalous.

        Raises
        ------
        TypeError, ValueError
            If a value is not valid; nothing has changed then.

        Notes
        -----
        Visits about T purchases if the network is large, and never much more than the
        friends of the users within D - 1 of the buyer, plus T log T; see docs/search.md.
        """
        time_us, units, adjusted = self._exact_values(timestamp, amount)
        values = self._engine.purchase(user, time_us, units, True, adjusted)
        return None if values is None else Flag(*values)

    def record(self, user: UserId, amount: Number, timestamp: Timestamp | Number) -> None:
        """Record a purchase without judging it.

        Parameters and errors are those of `purchase`. Expected constant cost for a purchase
        in time order; a late one costs a step for each later purchase of its user.
        """
        time_us, units, adjusted = self._exact_values(timestamp, amount)
        self._engine.purchase(user, time_us, units, False, adjusted)

    def _exact_values(
        self, timestamp: Timestamp | Number, amount: Number
    ) -> tuple[int, int, int]:
        """Return the time, the amount and what was adjusted, for the engine's purchase."""
        try:
            units, adjusted = exact_units(amount), 0
        except (TypeError, ValueError):
            units = None  # the error below has the name of the value
        if units is None:
            units, adjusted = self._reading.amount(amount)
        if self._strict_times:
            return exact_time_us(timestamp), units, adjusted
        time_us, cut = self._reading.time(timestamp)
        return time_us, units, adjusted | cut

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
        """Apply the events of newline-delimited JSON, in order.

        Parameters
        ----------
        lines : bytes-like, str, or iterable of bytes or str
            One text of lines, or single lines, with or without line ends. A byte order mark
            is part of its line.
        judge : bool, default True
            Whether purchases are judged (stream log) or only recorded (batch log).
        log : str, default ""
            The log's name in flags and rejected lines.
        first_line : int, default 1
            The number of the first line.
        max_line : int, default 2^20
            Longer lines are rejected, in bytes; 1 to 2^31 - 1.
        strict : bool, default False
            Stop after the first rejected line.
        max_rejected : int, optional
            Stop after so many rejected lines, at least 1: this bounds the memory of the
            result. `Fed.lines` says how many lines were read.

        Returns
        -------
        Fed
            Flags and rejected lines. A rejected line changes nothing.

        Raises
        ------
        TypeError
            If they are something else: an event as a dict is a line only as
            ``json.dumps(event)``.
        ValueError
            If `max_line` or `max_rejected` is out of range.
        FeedError
            If memory ran out: its `fed` has the results of the lines before, and the
            detector is as they left it.

        Notes
        -----
        Calls compiled code once: feed blocks of lines, not single ones. Lines written the
        usual way are read without the GIL. Anything but bytes, and memoryviews of whole
        lines in bytes, is copied first.
        """
        max_line = check_max_line(max_line)
        most = check_max_rejected(max_rejected)
        data = joined_lines(lines)
        count, flags, rejected, error = self._engine.feed(
            data,
            judged=judge,
            max_line=max_line,
            log=log,
            first_line=first_line,
            max_rejected=1 if strict else most,
        )
        fed = Fed(
            count,
            [
                self._flag_type(*values, log, line, bytes(data[start:end]))
                for line, start, end, values in flags
            ],
            rejected,
        )
        if error is not None:
            _raise_interrupt(error)
            where = f"{log}, line" if log else "line"
            raise FeedError(f"{where} {first_line + count}: {error}", fed, count) from error
        return fed

    def feed_columns(
        self,
        kinds: npt.ArrayLike,
        times_us: npt.ArrayLike | Sequence[Timestamp | None] | None,
        users: npt.ArrayLike | Sequence[UserId],
        friends: npt.ArrayLike | Sequence[UserId | None] | None,
        amounts_units: npt.ArrayLike | None,
        *,
        judge: bool = True,
    ) -> ColumnFlags:
        """Apply the events of columns, in order, without the GIL.

        Parameters
        ----------
        kinds : array_like of uint8, shape (rows,)
            `PURCHASE`, `BEFRIEND` or `UNFRIEND`.
        times_us : array_like of int64 or datetime64, or sequence of timestamps, length rows
            Microseconds since 1970-01-01 UTC whatever the `time_unit`, or datetime64, or
            what else `purchase` accepts. Ignored for friendships, where it may be None, NaT
            or masked.
        users : array_like of int64, or sequence of str or int, length rows
            The buyers, or the first of the two users.
        friends : array_like of int64, or sequence of str or int, length rows
            The second users. Ignored for purchases, where it may be None or masked.
        amounts_units : array_like of int64, shape (rows,)
            Amounts in units of 10^-6, 0 to 10^18 - 1. Ignored for friendships, like times.
            A column that no row uses may be None.
        judge : bool, default True
            Whether purchases are judged or only recorded.

        Returns
        -------
        ColumnFlags
            Four arrays; its ``len`` is the number of flags.

        Raises
        ------
        ValueError, TypeError
            If lengths differ or a row is not an event: the message names the row and the
            value, and nothing has been applied.
        FeedError
            If memory ran out, or a column was changed during the call; see `feed`.
        """
        import numpy as np  # noqa: PLC0415 - imported late: it slows the start

        from fastanomaly.columns import event_columns  # noqa: PLC0415
        from fastanomaly.results.columns import ColumnFlags  # noqa: PLC0415

        columns = event_columns(
            kinds,
            times_us,
            users,
            friends,
            amounts_units,
            purchase=PURCHASE,
            doubt=self.time_unit != "us",
        )
        raw, applied, error = self._engine.feed_columns(
            *columns,
            judged=judge,
        )
        table = np.frombuffer(raw, dtype=np.int64).reshape(-1, 4).T.copy()
        flags = ColumnFlags(*table)
        if error is not None:
            _raise_interrupt(error)
            raise FeedError(f"columns, row {applied}: {error}", flags, applied) from error
        return flags

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
        """Apply the events of a table, row by row in order.

        Parameters
        ----------
        frame : object with ``__arrow_c_stream__`` or ``__arrow_c_array__``
            A frame of Polars or pandas, a table or record batch of pyarrow, a relation of
            DuckDB, ...; pyarrow is not needed. Columns that are no fields are ignored.
        columns : mapping of str to str or None, optional
            The names of the columns by field: kind, user, friend, amount and timestamp, such
            as ``{"user": "customer_id", "amount": "total"}``. By default the kind is
            ``event_type`` or ``kind``, the user ``user``, ``id`` or ``id1``, the friend
            ``friend`` or ``id2``, and amount and timestamp are those of that name; None
            says that there is no such column. If there are ``id``, ``id1`` and ``id2``,
            they are those of lines. Rows without a kind are purchases if they have an amount,
            else friendships that begin.
        judge : bool, default True
            Whether purchases are judged or only recorded.
        log : str, default ""
            The table's name in flags and rejected rows.
        first_row : int, default 1
            The number of the first row.
        strict : bool, default False
            Stop after the first rejected row.
        max_rejected : int, optional
            Stop after so many rejected rows, at least 1: this bounds the memory of the
            result. `FedFrame.rows` says how many rows were read.
        keep : iterable of str, optional
            Columns of the table, of any type that is not nested, that the flags as a table
            have as well, such as ``["order_id"]``.

        Returns
        -------
        FedFrame
            Flags and rejected rows, the same as those of `feed` for a line with the values
            of each row. A rejected row changes nothing.

        Raises
        ------
        TypeError
            If it is no table, or a column has a type that its field cannot have: ids may be
            integers or text, times timestamps, dates, numbers or text, amounts decimals,
            numbers or text, and kinds text or the numbers `PURCHASE` to `UNFRIEND`.
        ValueError
            If a column is missing, the table was read already, or `max_rejected` is out of
            range.
        FeedError
            If memory ran out, or the table could not be read to its end: its `fed` has the
            results of the rows before, and the detector is as they left it.

        Notes
        -----
        Rows are read and applied without the GIL and without an object for each, in constant
        memory if the table is a stream. Rejected rows, and floats with more than 15 digits or
        from 10^9 on, cost several us each.

        Examples
        --------
        >>> import pyarrow as pa
        >>> from fastanomaly import Detector
        >>> detector = Detector(degree=1, tracked=50)
        >>> detector.befriend("ann", "bob")
        >>> table = pa.table({
        ...     "customer": ["ann", "ann", "bob"],
        ...     "amount": [16.83, 59.28, 1601.83],
        ...     "timestamp": ["2017-06-13 11:33:01"] * 3,
        ... })
        >>> fed = detector.feed_frame(table, {"user": "customer"})
        >>> [(flag.line, flag.user, flag.mean) for flag in fed.flags]
        [(3, 'bob', '38.05')]
        """
        from fastanomaly.frames.opening import opened  # noqa: PLC0415 - imported late: start

        most = check_max_rejected(max_rejected)
        with opened(frame, columns, keep, self._sigmas) as table:
            count, flags, rejected, error = self._engine.feed_frame(
                table.source,
                *table.layout,
                judged=judge,
                log=log,
                first_row=first_row,
                max_rejected=1 if strict else most,
                keep=table.keep,
            )
        made = [
            (self._flag_type(*values, log, row, line), others)
            for row, line, values, others in flags
        ]
        fed = table.fed(count, made, rejected)
        if error is not None:
            _raise_interrupt(error)
            where = f"{log}, row" if log else "row"
            raise FeedError(f"{where} {first_row + count}: {error}", fed, count) from error
        return fed

    def network(self, user: UserId) -> list[str]:
        """List the ids of the users within D of a user, nearest first.

        Empty for a user without friends, or one never seen.
        """
        return self._engine.network(user)

    def network_sizes(self, user: UserId, degree: int | str) -> list[int]:
        """Count the users at each distance from a user.

        Parameters
        ----------
        user : str or int
            An integer stands for its decimal text.
        degree : int or str
            The largest distance; 1 to 2^31 - 1. It need not be the detector's own.

        Returns
        -------
        list of int
            The number of users at distance 1, 2, ...; distances beyond the last user are
            left out. Empty for a user without friends, or one never seen.

        Raises
        ------
        TypeError, ValueError
            If the id or the degree is not valid.

        Notes
        -----
        Marks the network of that degree: costs the friends of the users in it.

        Examples
        --------
        >>> from fastanomaly import Detector
        >>> detector = Detector(degree=2, tracked=50)
        >>> detector.befriend("ann", "bob")
        >>> detector.befriend("bob", "cho")
        >>> detector.befriend("bob", "dan")
        >>> detector.network_sizes("ann", 5)
        [1, 2]
        """
        return self._engine.latest(user, check_whole("D", degree), 1)[0]

    def sample_users(self, most: int) -> list[str]:
        """List the ids of all users, or of `most`, evenly spread by first appearance."""
        return self._engine.sample_users(most)

    def explain(
        self,
        user: UserId,
        amount: Number,
        *,
        tracked: int | None = None,
        degrees: Iterable[int] | int = OTHER_DEGREES,
        other_tracked: Iterable[int] | int = OTHER_TRACKED,
    ) -> Explanation:
        """Explain the verdict that a purchase would get now; nothing changes.

        Parameters
        ----------
        user : str or int
            The buyer.
        amount : str, int, float or Decimal
            As for `purchase`.
        tracked : int, optional
            T, at most the detector's own; the detector's by default.
        degrees, other_tracked : iterable of int, or int
            Other D and T to judge it at; T above the detector's own are left out, since
            older purchases are not stored.

        Returns
        -------
        Explanation
            The purchases it is compared with and the paths of friends to their buyers, the
            threshold, the smallest set of purchases whose removal clears the flag, and the
            verdicts at other settings.

        Raises
        ------
        TypeError, ValueError
            If a value is not valid.

        Notes
        -----
        Costs marking the whole network at the detector's degree, and a judgement at each
        of the other degrees.
        """
        from fastanomaly.explanations.compute import explain  # noqa: PLC0415 - rarely needed

        return explain(
            self._engine,
            user,
            self._reading.amount(amount)[0],
            degree=self._degree,
            tracked=self._tracked if tracked is None else tracked,
            max_tracked=self._tracked,
            sigmas=self._sigmas,
            degrees=degrees,
            other_tracked=other_tracked,
        )

    @property
    def counts(self) -> Counts:
        """Events applied, and what is stored now."""
        return Counts(*self._engine.counts())

    def memory(self) -> Memory:
        """Return the bytes in use, by purpose; costs a step for each hub and long history."""
        from fastanomaly.results.measures import Memory  # noqa: PLC0415 - imported late: start

        return Memory(*self._engine.memory())

    def time_judging(self) -> None:
        """Time every judgement from now on, see `latency`; costs some 50 ns each."""
        self._engine.time_judging()

    def latency(self) -> Latency:
        """Return how long judgements have taken since `time_judging`."""
        from fastanomaly.results.measures import latency_of  # noqa: PLC0415 - as in `memory`

        return latency_of(*self._engine.latencies())

    def sharing(self) -> Sharing:
        """Return how judgements were shared among threads so far, and how large batches were.

        It costs little: batches are counted, not single judgements. A detector that was
        loaded starts at 0.

        Examples
        --------
        >>> from fastanomaly import Detector
        >>> detector = Detector(degree=1, tracked=50, threads=1)
        >>> line = b'{"event_type":"purchase","timestamp":"2017-06-13","id":"a","amount":"1"}'
        >>> _ = detector.feed([line.replace(b"13", b"13 11:33:01")] * 300)
        >>> sharing = detector.sharing()
        >>> sharing.judgements, sharing.shared, sharing.busy
        (300, 0, 1)
        """
        from fastanomaly.results.measures import sharing_of  # noqa: PLC0415 - as in `memory`

        return sharing_of(*self._engine.sharing())

    @property
    def newest_us(self) -> int | None:
        """The newest timestamp of a purchase in microseconds since 1970-01-01 UTC, or None."""
        return self._engine.newest_us()

    @property
    def work(self) -> Work:
        """What searches have cost so far.

        The same events in the same order cost nearly the same each time: the friends of a
        hub are in the order of a secret hash.
        """
        from fastanomaly.results.measures import Work  # noqa: PLC0415 - as in `memory`

        return Work(*self._engine.work())

    def _check(self) -> None:
        """Raise AssertionError if the state contradicts itself; costs the whole state."""
        self._engine.check()


def save_detector(detector: Detector, path: str, **more: object) -> None:
    """Write a detector's state to a file, with more members in its header; see `save`."""
    from fastanomaly.sinks.replacing import replace_file  # noqa: PLC0415 - imported late
    from fastanomaly.state_file import write_state  # noqa: PLC0415

    header = detector._header(**more)
    replace_file(path, lambda fd: write_state(fd, detector._engine, header))


def read_detector(
    name: str, file: BinaryIO, kind: type[Detector] = Detector
) -> tuple[Detector, dict[str, Any]]:
    """Read a detector from an open file, and the file's header; see `load`."""
    from fastanomaly.snapshots.parts import check_whole_state  # noqa: PLC0415
    from fastanomaly.state_file import read_state  # noqa: PLC0415 - imported late: start

    made: list[Detector] = []

    def make(header: dict[str, Any]) -> Engine:
        check_whole_state(name, header)
        made.append(_empty(kind, header["detector"]))
        return made[0]._engine

    header = read_state(name, file, make)
    return made[0], header


def _empty(kind: type[Detector], values: dict[str, Any]) -> Detector:
    """Return an empty detector with the parameters that a header has."""
    return kind(
        values["degree"],
        values["tracked"],
        values["sigmas"],
        method=values["method"],
        **Reading.saved(values),
    )


def _read_any(name: str, kind: type[Detector]) -> Detector:
    """Read a detector from a file, a snapshot or a folder of snapshots; see `load`."""
    if os.path.isdir(name) or is_url(name):
        from warnings import warn  # noqa: PLC0415 - rarely needed

        return read_snapshot(name, kind, warn)[0]
    with open(name, "rb") as file:
        return read_detector(name, file, kind)[0]


def read_snapshot(
    path: str, kind: type[Detector], notice: Callable[[str], object]
) -> tuple[Detector, dict[str, Any]]:
    """Read a detector from a snapshot, the newest one of a folder, or a file at a URL.

    Returns it, and the members of the manifest or of the file's header. `notice` is called
    with text about snapshots that are damaged.
    """
    from fastanomaly.snapshots.parts import load_whole  # noqa: PLC0415
    from fastanomaly.snapshots.reading import Saved, read_newest  # noqa: PLC0415

    def read(saved: Saved) -> tuple[Detector, dict[str, Any]]:
        detector = _empty(kind, saved.members["detector"])
        load_whole(detector._engine, saved.files, flags=saved.members["state"]["flags"])
        return detector, saved.members

    return read_newest(path, read, notice)


def _unpickled(data: bytes) -> Detector:
    import io  # noqa: PLC0415

    return read_detector("pickle", io.BytesIO(data))[0]


def without_zeros(counts: Counts) -> dict[str, int]:
    """Return counts by name; counts of adjusted values only if there are some."""
    return {
        name: count
        for name, count in counts._asdict().items()
        if count or name not in Counts._field_defaults
    }


def _check_method(method: Method) -> Method:
    if method not in ("auto", "ball"):
        raise ParameterError(f"method: {method!r} is neither 'auto' nor 'ball'")
    return method


def thread_count(value: object) -> int:
    """Return a number of threads; for ``auto``, that of the processors that may be used.

    Raises what `check_threads` raises.
    """
    return check_threads(value) or min(available_processors(), MAX_THREADS)


def check_max_rejected(most: int | None) -> int:
    """Return how many rejected lines or rows end a bulk call; ValueError if out of range."""
    if most is not None and not 1 <= most <= _MANY:
        raise ValueError(f"max_rejected: {most} is not in 1..2^62")
    return _MANY if most is None else most


def _raise_interrupt(error: BaseException) -> None:
    """Raise KeyboardInterrupt and its like unchanged: they are no failure of feeding."""
    if not isinstance(error, Exception):
        raise error


def joined_lines(lines: Any) -> bytes | memoryview:
    """Return the lines as one text that cannot change while the engine reads it."""
    if isinstance(lines, bytes):
        return lines
    if isinstance(lines, memoryview) and type(lines.obj) is bytes and _whole_lines(lines):
        return lines
    if isinstance(lines, str):
        return lines.encode()
    try:
        view = memoryview(lines)
    except TypeError:
        pass
    else:
        if view.itemsize == 1:  # an array of texts is a sequence of lines
            return bytes(view)
    if isinstance(lines, Mapping) or hasattr(lines, "columns"):
        raise _not_lines(lines)  # iteration would yield names
    return b"".join(map(_ended, lines))


def _not_lines(value: Any) -> TypeError:
    """Return the error of a value that is neither bytes nor text."""
    advice = ""
    if isinstance(value, Mapping):
        advice = ": pass the event as a line, json.dumps(event)"
    elif hasattr(value, "columns"):
        advice = ": pass one line of JSON for each row"
    return TypeError(f"lines: expected bytes or str, got {type(value).__name__}{advice}")


def _whole_lines(view: memoryview) -> bool:
    """Return whether it is contiguous bytes that end with a line end."""
    return view.format == "B" and view.c_contiguous and bytes(view[-1:]) == b"\n"


def _ended(line: Any) -> bytes:
    """Return a line with its line end."""
    if isinstance(line, str):
        line = line.encode()
    elif not isinstance(line, (bytes, bytearray, memoryview)):
        raise _not_lines(line)
    return bytes(line).removesuffix(b"\n") + b"\n"
