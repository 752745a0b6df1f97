"""The detector that people import: friendships and purchases in, flags out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Literal, TypeAlias

from fastanomaly._core import Engine
from fastanomaly.convert import (
    Number,
    Timestamp,
    exact_amount,
    exact_sigmas,
    exact_time_us,
)
from fastanomaly.errors import FeedError, ParameterError
from fastanomaly.results import ColumnFlags, Counts, Fed, Flag, Latency, Memory, Work
from fastanomaly.rules.parameters import (
    MAX_LINE,
    OTHER_DEGREES,
    OTHER_TRACKED,
    check_max_line,
    check_whole,
)
from fastanomaly.rules.rejects import REASONS, Rejected

if TYPE_CHECKING:
    from decimal import Decimal

    import numpy.typing as npt

    from fastanomaly._core import FlagValues
    from fastanomaly.explanations.model import Explanation

PURCHASE, BEFRIEND, UNFRIEND = 0, 1, 2
"""The kinds of events in the columns of `Detector.feed_columns`."""

UserId: TypeAlias = str | int
Method: TypeAlias = Literal["auto", "ball"]


class Detector:
    """Judges purchases against the latest ones in the buyer's network.

    Parameters
    ----------
    degree : int or str
        D: how far the network reaches, in steps from friend to friend; 1 to 2^31 - 1.
    tracked : int or str
        T: how many of the network's latest purchases count; 2 to 2^31 - 1.
    sigmas : int, float, str or Decimal, default 3
        k: how many standard deviations above the mean is anomalous; 0 to 10^6 with at
        most three decimals, compared exactly.
    method : {"auto", "ball"}, default "auto"
        How the latest purchases of a network are found: from both sides, or by marking
        the whole network, which costs more the further it reaches. Answers are equal.

    Raises
    ------
    ParameterError
        If a parameter is out of range; it names the parameter and the value.

    Notes
    -----
    Memory grows with users, friendships and kept purchases (T a user at most), not with
    events. A detector is used by one thread at a time: a call while another is under
    way raises RuntimeError. A call that raises has changed nothing, but for the bulk
    calls, which have then applied the events before the one that failed.

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

    __slots__ = ("_degree", "_engine", "_method", "_sigmas", "_tracked")
    _flag_type: ClassVar[type[Any]] = Flag

    def __init__(
        self,
        degree: int | str,
        tracked: int | str,
        sigmas: Number = 3,
        *,
        method: Method = "auto",
    ) -> None:
        self._degree = check_whole("D", degree)
        self._tracked = check_whole("T", tracked)
        self._sigmas = exact_sigmas(sigmas)
        self._method = _check_method(method)
        self._engine = Engine(
            self._degree, self._tracked, *self._sigmas, whole_balls=method == "ball"
        )

    @property
    def degree(self) -> int:
        """D; setting it costs nothing, and counts from the next purchase on."""
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
        """K, exactly; it can be set like the degree."""
        from decimal import Decimal  # noqa: PLC0415

        numerator, denominator = self._sigmas
        return Decimal(f"{numerator * 1000 // denominator}e-3").normalize()

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

    def __reduce__(self) -> str | tuple[Any, ...]:
        import tempfile  # noqa: PLC0415

        from fastanomaly.state_file import write_state  # noqa: PLC0415 - like the others

        with tempfile.TemporaryFile() as file:
            write_state(file.fileno(), self._engine, self.header())
            file.seek(0)
            return _unpickled, (file.read(),)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the whole state to a file, which `load` reads.

        Parameters
        ----------
        path : str or path-like
            An existing file is replaced, but only when the new one is whole and on the
            disk.

        Raises
        ------
        OSError
            If it cannot be written; what was there before is as it was.

        Notes
        -----
        Costs the whole state: about 4 bytes a friendship, 24 a purchase kept and 16 a user
        beside the id's text. docs/checkpoints.md describes the file.
        """
        from fastanomaly.state_file import write_file, write_state  # noqa: PLC0415

        write_file(os.fspath(path), lambda fd: write_state(fd, self._engine, self.header()))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Detector:
        """Read a detector from a file that `save` or a checkpoint wrote.

        Parameters
        ----------
        path : str or path-like
            The file.

        Returns
        -------
        Detector
            One that goes on as the saved one would have, with its counts; `work` begins
            anew.

        Raises
        ------
        CheckpointError
            If the file is truncated, altered, foreign, or of a newer format.
        OSError
            If it cannot be read.

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
        with open(path, "rb") as file:
            return cls.load_with_header(os.fspath(path), file)[0]

    @classmethod
    def load_with_header(cls, name: str, file: BinaryIO) -> tuple[Detector, dict[str, Any]]:
        """Read a detector from an open file, and the header of that file."""
        from fastanomaly.state_file import read_state  # noqa: PLC0415

        made: list[Detector] = []

        def make(header: dict[str, Any]) -> Engine:
            values = header["detector"]
            made.append(
                cls(
                    values["degree"],
                    values["tracked"],
                    values["sigmas"],
                    method=values["method"],
                )
            )
            return made[0]._engine

        header = read_state(name, file, make)
        return made[0], header

    @property
    def engine(self) -> Engine:
        """What does the work."""
        return self._engine

    def header(self, **more: object) -> dict[str, Any]:
        """What the header of a checkpoint says of this detector, and more."""
        return {
            **more,
            "detector": {
                "degree": self.degree,
                "tracked": self.tracked,
                "sigmas": str(self.sigmas),
                "method": self.method,
            },
            "counts": self.counts._asdict(),
        }

    def __repr__(self) -> str:
        return f"Detector(degree={self.degree}, tracked={self.tracked}, sigmas={self.sigmas})"

    def befriend(self, user: UserId, friend: UserId) -> None:
        """Make two users friends, both ways; if they are already, nothing changes.

        Parameters
        ----------
        user, friend : str or int
            Two ids; an integer stands for its decimal text.

        Raises
        ------
        TypeError, ValueError
            If an id is not one, or both are the same.

        Notes
        -----
        Expected constant cost, whatever the number of friends.
        """
        self._engine.befriend(user, friend)

    def unfriend(self, user: UserId, friend: UserId) -> None:
        """Make two users friends no more; if they are not, nothing changes.

        Parameters, errors and cost are those of `befriend`, but the ids may be equal.
        """
        self._engine.unfriend(user, friend)

    def purchase(self, user: UserId, amount: Number, timestamp: Timestamp) -> Flag | None:
        """Judge a purchase against what is there, then record it.

        Parameters
        ----------
        user : str or int
            The buyer; an integer stands for its decimal text.
        amount : str, int, float or Decimal
            From 0 below 10^12, with at most six decimals. A float stands for the
            shortest decimal that names it, as it prints.
        timestamp : str, int or datetime
            ``2017-06-13 11:33:02`` or ISO 8601; or microseconds since 1970-01-01 UTC;
            or a datetime, in UTC if it has no zone.

        Returns
        -------
        Flag or None
            The flag if the purchase is anomalous.

        Raises
        ------
        TypeError, ValueError
            If a value is not what it should be; nothing has changed then.

        Notes
        -----
        Costs about T looks where the network is large, and never much more than the
        friends of the users within D - 1 of the buyer and T log T; see docs/search.md.
        """
        return self._flag(self._apply(user, amount, timestamp, judged=True))

    def record(self, user: UserId, amount: Number, timestamp: Timestamp) -> None:
        """Record a purchase without judging it.

        Parameters and errors are those of `purchase`; expected constant cost for a
        purchase in time, and one step for each later purchase of that user otherwise.
        """
        self._apply(user, amount, timestamp, judged=False)

    def _apply(
        self, user: UserId, amount: Number, timestamp: Timestamp, *, judged: bool
    ) -> FlagValues | None:
        units = exact_amount(amount)
        return self._engine.purchase(user, exact_time_us(timestamp), units, judged)

    def feed(
        self,
        lines: bytes | bytearray | memoryview | str | Iterable[bytes | str],
        *,
        judge: bool = True,
        log: str = "",
        first_line: int = 1,
        max_line: int = MAX_LINE,
        strict: bool = False,
    ) -> Fed:
        """Apply the events of newline-delimited JSON, in order.

        Parameters
        ----------
        lines : bytes-like, str, or iterable of bytes or str
            One text of lines, or lines one by one, with or without their line ends. A
            byte order mark is part of its line.
        judge : bool, default True
            Whether purchases are judged (the stream log) or only recorded (the batch
            log).
        log : str, default ""
            The name that flags and rejected lines bear.
        first_line : int, default 1
            The number of the first line.
        max_line : int, default 2^20
            The longest line looked at, in bytes; 1 to 2^31 - 1.
        strict : bool, default False
            Stop after the first line rejected.

        Returns
        -------
        Fed
            Flags and rejected lines. A line that is not a valid event changes nothing.

        Raises
        ------
        ValueError
            If `max_line` is out of range.
        FeedError
            If an event could not be applied, for want of memory: what came of the lines
            before it is in its `fed`, and the detector is as they left it.

        Notes
        -----
        Crosses into compiled code once a call: feed blocks of lines, not single ones.
        Lines written the usual way are read without the GIL. Buffers other than bytes, and
        views of whole lines of them, are copied first.
        """
        check_max_line(max_line)
        data = _joined(lines)
        count, flags, rejected, error = self._engine.feed(
            data, judged=judge, max_line=max_line, first_line=first_line, strict=strict
        )
        fed = Fed(
            count,
            [
                self._flag_type(*values, log, line, bytes(data[start:end]))
                for line, start, end, values in flags
            ],
            [
                Rejected(log, line, REASONS[reason], bytes(data[start:end]))
                for line, start, end, reason in rejected
            ],
        )
        if error is not None:
            where = f"{log}, line" if log else "line"
            raise FeedError(f"{where} {first_line + count}: {error}", fed, count) from error
        return fed

    def feed_columns(
        self,
        kinds: npt.ArrayLike,
        times_us: npt.ArrayLike,
        users: npt.ArrayLike | Sequence[UserId],
        friends: npt.ArrayLike | Sequence[UserId],
        amounts_units: npt.ArrayLike,
        *,
        judge: bool = True,
    ) -> ColumnFlags:
        """Apply the events of columns, in order, without the GIL.

        Parameters
        ----------
        kinds : array_like of uint8, shape (rows,)
            `PURCHASE`, `BEFRIEND` or `UNFRIEND`.
        times_us : array_like of int64, shape (rows,)
            Microseconds since 1970-01-01 UTC; counts for purchases alone.
        users : array_like of int64, or sequence of str or int, length rows
            The buyers, or the first of the two users.
        friends : array_like of int64, or sequence of str or int, length rows
            The second users; not looked at for purchases.
        amounts_units : array_like of int64, shape (rows,)
            Amounts in units of 10^-6, 0 to 10^18 - 1; count for purchases alone.
        judge : bool, default True
            Whether purchases are judged or only recorded.

        Returns
        -------
        ColumnFlags

        Raises
        ------
        ValueError, TypeError
            If lengths differ or a row is no event: it names the row and the value, and
            nothing has been applied.
        FeedError
            If a row could not be applied, for want of memory, or because the column was
            written to meanwhile.
        """
        import numpy as np  # noqa: PLC0415 - the only place that needs it

        user_ids, friend_ids = np.asarray(users), np.asarray(friends)
        numbers = all(np.can_cast(ids.dtype, np.int64) for ids in (user_ids, friend_ids))
        raw, applied, error = self._engine.feed_columns(
            _column(np, "kinds", kinds, "uint8"),
            _column(np, "times_us", times_us),
            _column(np, "users", user_ids) if numbers else _ids(users),
            _column(np, "friends", friend_ids) if numbers else _ids(friends),
            _column(np, "amounts_units", amounts_units),
            judged=judge,
        )
        table = np.frombuffer(raw, dtype=np.int64).reshape(-1, 4).T.copy()
        flags = ColumnFlags(*table)
        if error is not None:
            raise FeedError(f"columns, row {applied}: {error}", flags, applied) from error
        return flags

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
            If the id or the degree is not one.

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
        """List the ids of some users: all, or `most` at even distances in order of coming."""
        return self._engine.sample_users(most)

    def explain(
        self,
        user: UserId,
        amount: Number,
        *,
        tracked: int | None = None,
        degrees: Iterable[int] = OTHER_DEGREES,
        other_tracked: Iterable[int] = OTHER_TRACKED,
    ) -> Explanation:
        """Explain what the verdict on a purchase would be now; nothing changes.

        Parameters
        ----------
        user : str or int
            The buyer.
        amount : str, int, float or Decimal
            As for `purchase`.
        tracked : int, optional
            T, instead of the detector's own; not above it.
        degrees, other_tracked : iterable of int
            Other D and T to judge it at; T above the detector's own are left out, since
            no more purchases are kept.

        Returns
        -------
        Explanation
            The baseline with paths of friends, threshold, what would have to go for the flag
            to fall, and other settings' verdicts.

        Raises
        ------
        TypeError, ValueError
            If a value is not what it should be.

        Notes
        -----
        Marks the network at the detector's own degree, and judges the purchase at each of
        the others.
        """
        from fastanomaly.explanations.compute import explain  # noqa: PLC0415 - rarely needed

        return explain(
            self._engine,
            user,
            amount,
            degree=self._degree,
            tracked=self._tracked if tracked is None else tracked,
            max_tracked=self._tracked,
            sigmas=self._sigmas,
            degrees=degrees,
            other_tracked=other_tracked,
        )

    @property
    def counts(self) -> Counts:
        """What was seen and what is held, now."""
        return Counts(*self._engine.counts())

    def memory(self) -> Memory:
        """Where the bytes are, now; costs a look at each hub and each long history."""
        return Memory(*self._engine.memory())

    def time_judging(self) -> None:
        """Take the time of each judgement from now on: some 50 ns each, see `latency`."""
        self._engine.time_judging()

    def latency(self) -> Latency:
        """How long the judgements took since `time_judging`."""
        counts, total_ns = self._engine.latencies()
        bounds = [2**i / 1e6 for i in range(len(counts) - 1)]
        return Latency([*bounds, float("inf")], counts, total_ns / 1e9)

    @property
    def newest_us(self) -> int | None:
        """The newest timestamp of a purchase, in microseconds since 1970-01-01 UTC."""
        return self._engine.newest_us()

    @property
    def work(self) -> Work:
        """What searches have cost so far.

        Equal events in equal order cost about the same: not quite, since a hub's friends
        stand in the order of a secret hash.
        """
        return Work(*self._engine.work())

    def check(self) -> None:
        """Raise AssertionError if the state contradicts itself; costs the whole state."""
        self._engine.check()

    @staticmethod
    def _flag(values: FlagValues | None) -> Flag | None:
        return None if values is None else Flag(*values)


def _unpickled(data: bytes) -> Detector:
    import io  # noqa: PLC0415

    return Detector.load_with_header("pickle", io.BytesIO(data))[0]


def _check_method(method: Method) -> Method:
    if method not in ("auto", "ball"):
        raise ParameterError(f"method: {method!r} is neither 'auto' nor 'ball'")
    return method


def _joined(lines: Any) -> bytes | memoryview:
    """The lines as one text, which nobody can change while the engine reads it."""
    if isinstance(lines, bytes):
        return lines
    if isinstance(lines, memoryview) and type(lines.obj) is bytes and _whole_lines(lines):
        return lines
    if isinstance(lines, str):
        return lines.encode()
    try:
        return bytes(memoryview(lines))
    except TypeError:
        pass
    return b"".join(map(_ended, lines))


def _whole_lines(view: memoryview) -> bool:
    """Whether it is bytes side by side, the last of them a line end."""
    return view.format == "B" and view.c_contiguous and bytes(view[-1:]) == b"\n"


def _ended(line: Any) -> bytes:
    """A line with its line end."""
    if isinstance(line, str):
        line = line.encode()
    elif not isinstance(line, (bytes, bytearray, memoryview)):
        raise TypeError(f"lines: expected bytes or str, got {type(line).__name__}")
    return bytes(line).removesuffix(b"\n") + b"\n"


def _column(np: Any, name: str, values: Any, dtype: str = "int64") -> Any:
    """A column as the engine reads it: one-dimensional, contiguous, of exactly that type."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"columns: {name} has {array.ndim} dimensions, not one")
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"columns: {name} holds {array.dtype}, not integers")
    limits = np.iinfo(dtype)
    if array.size and (array.min() < limits.min or array.max() > limits.max):
        row = int(np.argmax((array < limits.min) | (array > limits.max)))
        raise ValueError(f"columns, row {row}: {name} {array[row]} is beyond {dtype}")
    return np.ascontiguousarray(array, dtype=dtype)


def _ids(values: Any) -> list[UserId]:
    return values.tolist() if hasattr(values, "tolist") else list(values)
