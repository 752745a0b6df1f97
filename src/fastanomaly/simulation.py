"""Generated logs of any size that look like the challenge's published sample.

Equal options give equal bytes with any version of NumPy and on any machine. NumPy guarantees
that only for the raw words of a bit generator, so all random values are computed from those,
nearly always in integers; floats are used only in single, correctly rounded operations. Every
line takes the same number of words, so the size of the chunks does not change the log.
"""

import math
import os
import sys
from array import array
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from fastanomaly.errors import ParameterError, UsageError
from fastanomaly.rules.parameters import whole_number
from fastanomaly.sinks.files import LineFile
from fastanomaly.sinks.paths import check_outputs, is_file_name
from fastanomaly.tables.storage.library import arrow
from fastanomaly.tables.storage.writing import Events, table_format, write_events

__all__ = ["DIRTY_LINES", "Simulation", "simulate"]

Path = str | os.PathLike[str]
Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]

CHUNK_LINES = 1 << 16
WORDS_PER_LINE = 9

INT32_MAX = 2**31 - 1
EPOCH = datetime(1970, 1, 1)

PURCHASE, BEFRIEND, UNFRIEND, DIRTY = range(4)

PURCHASE_LINE = (
    b'{"event_type":"purchase", "timestamp":"%b", "id": "%d", "amount": "%d.%02d"}\n'
)
FRIENDSHIP_LINES = {
    BEFRIEND: b'{"event_type":"befriend", "timestamp":"%b", "id1": "%d", "id2": "%d"}\n',
    UNFRIEND: b'{"event_type":"unfriend", "timestamp":"%b", "id1": "%d", "id2": "%d"}\n',
}

# What buyers spend, in cents: the ranges of each user's mean and spread (a standard
# deviation), and how far above the mean an unusual purchase is.
MEAN_CENTS = (10_00, 120_00)
SPREAD_CENTS = (60, 30_00)
EXCESS_CENTS = (200_00, 1_000_00)
LEAST_CENTS = 1_00

DELAY_SECONDS = (1, 300)

_PURCHASE_START = b'{"event_type":"purchase", "timestamp":"%(when)b", '
_BEFRIEND_START = b'{"event_type":"befriend", "timestamp":"%(when)b", '

#: Lines that are not events, as (reason, template): the reason for which the line is
#: rejected, or "blank". All templates are equally likely.
DIRTY_LINES: tuple[tuple[str, bytes], ...] = (
    ("blank", b""),
    ("blank", b" \t "),
    ("invalid_utf8", _PURCHASE_START + b'"id": "%(id)d\xff", "amount": "%(amount)b"}'),
    ("invalid_utf8", b"\xfe%(noise)b"),
    ("not_json", _PURCHASE_START + b'"id": "%(id)d", "amou'),
    ("not_json", _PURCHASE_START + b'"id": "%(id)d" "amount": "%(amount)b"}'),
    ("not_json", _BEFRIEND_START + b'"id1": "%(id)d", "id2": "%(other)d"}}'),
    ("not_json", b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    ("not_an_object", b'["purchase", "%(when)b", "%(id)d", "%(amount)b"]'),
    ("not_an_object", b'"purchase of %(amount)b by %(id)d"'),
    ("not_an_object", b"%(amount)b"),
    ("not_an_object", b"null"),
    (
        "bad_event_type",
        b'{"event_type":"refund", "timestamp":"%(when)b", "id": "%(id)d", '
        b'"amount": "%(amount)b"}',
    ),
    ("bad_event_type", b'{"timestamp":"%(when)b", "id": "%(id)d", "amount": "%(amount)b"}'),
    (
        "missing_field",
        b'{"event_type":"purchase", "id": "%(id)d", "amount": "%(amount)b"}',
    ),
    ("missing_field", _PURCHASE_START + b'"amount": "%(amount)b"}'),
    ("missing_field", _PURCHASE_START + b'"id": "%(id)d"}'),
    ("missing_field", _BEFRIEND_START + b'"id1": "%(id)d"}'),
    ("wrong_type", _PURCHASE_START + b'"id": %(id)d.5, "amount": "%(amount)b"}'),
    ("wrong_type", _PURCHASE_START + b'"id": "%(id)d", "amount": null}'),
    ("wrong_type", _BEFRIEND_START + b'"id1": ["%(id)d"], "id2": "%(other)d"}'),
    ("bad_id", _PURCHASE_START + b'"id": "", "amount": "%(amount)b"}'),
    ("bad_id", _BEFRIEND_START + b'"id1": "%(id)d", "id2": ""}'),
    (
        "bad_timestamp",
        b'{"event_type":"purchase", "timestamp":"2017-02-30 12:00:00", "id": "%(id)d", '
        b'"amount": "%(amount)b"}',
    ),
    (
        "bad_timestamp",
        b'{"event_type":"purchase", "timestamp":"", "id": "%(id)d", "amount": "%(amount)b"}',
    ),
    ("bad_amount", _PURCHASE_START + b'"id": "%(id)d", "amount": "-%(amount)b"}'),
    ("bad_amount", _PURCHASE_START + b'"id": "%(id)d", "amount": "$%(amount)b"}'),
    ("bad_amount", _PURCHASE_START + b'"id": "%(id)d", "amount": "NaN"}'),
    ("bad_amount", _PURCHASE_START + b'"id": "%(id)d", "amount": 1e12}'),
    ("self_friendship", _BEFRIEND_START + b'"id1": "%(id)d", "id2": "%(id)d"}'),
)


@dataclass(frozen=True, slots=True)
class Simulation:
    """The options of generated logs.

    The defaults are those of the sample logs of the coding challenge that fastanomaly comes
    from (Insight Data Engineering, 2017). The three shares of the event types are weights:
    only their ratios count. An unfriend always ends an existing friendship; while there is
    none, a befriend is written instead.

    Parameters
    ----------
    users : int
        Number of users, whose ids are 0 to users - 1; 2 to 2^31 - 1.
    batch_events, stream_events : int
        Number of lines of the two logs, with dirty lines and without the parameter line;
        >= 0.
    degree, tracked : int
        The parameters D (1 to 2^31 - 1) and T (2 to 2^31 - 1) of the first line.
    friendships : {"uniform", "heavy-tailed"}
        Whether all users are equally likely to be befriended, or a few have very many
        friends: the number of users with d friends falls as d^-2.5, as in many social
        networks.
    purchase_share, befriend_share, unfriend_share : float
        Weights of the event types; each finite and >= 0, not all 0.
    anomaly_share : float
        Share of the purchases that are 200 to 1,000 above the buyer's mean; 0 to 1.
    late_share : float
        Share of the purchases with a timestamp that is 1 to 300 seconds too old; 0 to 1.
    dirty_share : float
        Share of the lines that are not events: blank, or invalid for any of the reasons
        except excessive length; 0 to 1.
    rate : float
        Events per second of log time; finite and > 0. Timestamps are whole seconds.
    start : str
        Timestamp of the first event, ``YYYY-MM-DD HH:MM:SS``.
    seed : int
        The random seed; >= 0. Equal options and seeds give equal bytes.

    Raises
    ------
    ValueError
        If an option is out of range; the message names the option and the value.

    Examples
    --------
    >>> Simulation(users=100, friendships="heavy-tailed").stream_events
    1000
    >>> Simulation(users=1)
    Traceback (most recent call last):
    ...
    ValueError: users must be an integer from 2 to 2147483647, not 1
    """

    users: int = 10_000
    batch_events: int = 500_000
    stream_events: int = 1_000
    degree: int = 2
    tracked: int = 50
    friendships: Literal["uniform", "heavy-tailed"] = "uniform"
    purchase_share: float = 0.80
    befriend_share: float = 0.19
    unfriend_share: float = 0.01
    anomaly_share: float = 0.01
    late_share: float = 0.0
    dirty_share: float = 0.0
    rate: float = 50_000
    start: str = "2017-06-14 18:46:40"
    seed: int = 0

    def __post_init__(self) -> None:
        self._check_integer("users", 2, INT32_MAX)
        self._check_integer("batch_events", 0)
        self._check_integer("stream_events", 0)
        self._check_integer("degree", 1, INT32_MAX)
        self._check_integer("tracked", 2, INT32_MAX)
        self._check_integer("seed", 0)
        if self.friendships not in ("uniform", "heavy-tailed"):
            raise ValueError(
                f"friendships must be uniform or heavy-tailed, not {self.friendships!r}"
            )
        self._check_shares()
        self._check_times()

    def _check_integer(self, name: str, low: int, high: int | None = None) -> None:
        value = getattr(self, name)
        try:
            value = whole_number(name, value)
        except ParameterError:
            good = False
        else:
            good = low <= value and (high is None or value <= high)
            object.__setattr__(self, name, value)  # an integer of NumPy as an int
        if not good:
            span = f"from {low} to {high}" if high is not None else f"of at least {low}"
            raise ValueError(f"{name} must be an integer {span}, not {value!r}")

    def _check_shares(self) -> None:
        for name in ("anomaly_share", "late_share", "dirty_share"):
            value = getattr(self, name)
            if not (_is_finite(value) and 0 <= value <= 1):
                raise ValueError(f"{name} must be a number from 0 to 1, not {value!r}")
        for name in ("purchase_share", "befriend_share", "unfriend_share"):
            value = getattr(self, name)
            if not (_is_finite(value) and value >= 0):
                raise ValueError(f"{name} must be a number of at least 0, not {value!r}")
        total = self.purchase_share + self.befriend_share + self.unfriend_share
        if not (_is_finite(total) and total > 0):
            raise ValueError(
                "purchase_share, befriend_share and unfriend_share must have a finite "
                f"sum above 0, not {total!r}"
            )

    def _check_times(self) -> None:
        if not (_is_finite(self.rate) and self.rate > 0):
            raise ValueError(f"rate must be a finite number above 0, not {self.rate!r}")
        try:
            start = datetime.fromisoformat(self.start)
            good = len(self.start) == 19 and start.isoformat(" ") == self.start
        except (TypeError, ValueError):
            good = False
        if not good:
            raise ValueError(f"start must be YYYY-MM-DD HH:MM:SS, not {self.start!r}")
        try:
            if self.late_share > 0:
                start - timedelta(seconds=DELAY_SECONDS[1])
            last = max(self.batch_events + self.stream_events - 1, 0)
            start + timedelta(seconds=math.floor(last / self.rate))
        except OverflowError:
            raise ValueError(
                f"start must keep all timestamps in the years 1 to 9999, not {self.start!r} "
                f"at a rate of {self.rate!r} events per second"
            ) from None


def simulate(
    batch: Path, stream: Path | None = None, options: Simulation | None = None
) -> None:
    """Generate a batch log, and a stream log that continues it.

    Parameters
    ----------
    batch, stream : str or path-like
        The files to write, ``-`` for standard output; existing ones are overwritten. They
        must not be the same file. A name with a suffix of tables, such as ``.csv``,
        ``.parquet``, ``.arrow`` or ``.feather``, is written as a table of all events, with
        the columns `event_type`, `timestamp`, `user`, `friend` and `amount`.

        Without a stream, all events go to one file, first those of the batch log. Like
        tables, it has no line of parameters.
    options : Simulation, optional
        By default those of the coding challenge's sample logs, see `Simulation`.

    Raises
    ------
    UsageError
        If both paths lead to one file, or one is a folder or ends in ``.gz`` or ``.zst``; if
        a table cannot have dirty lines, or needs pyarrow, which is not installed. Nothing has
        been written.
    OutputError
        If a file cannot be created or written; the message names it.

    Notes
    -----
    Takes about a microsecond for each line. Memory is some tens of megabytes and 8 bytes for
    each friendship, whatever the number of users and lines.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     batch, stream = pathlib.Path(folder, "batch"), pathlib.Path(folder, "stream")
    ...     simulate(batch, stream, Simulation(batch_events=2, stream_events=0))
    ...     print(batch.read_text().splitlines()[0])
    {"D":"2", "T":"50"}
    """
    options = Simulation() if options is None else options
    batch = os.fspath(batch)
    outputs = [batch] if stream is None else [batch, os.fspath(stream)]
    check_outputs([], outputs)
    for path in outputs:
        _check_table(path, options)
    generator = _Generator(options)
    if stream is None:
        generator.write(batch, options.batch_events + options.stream_events)
        return
    head = b'{"D":"%d", "T":"%d"}\n' % (options.degree, options.tracked)
    generator.write(outputs[0], options.batch_events, head)
    generator.write(outputs[1], options.stream_events)


def _check_table(path: str, options: Simulation) -> None:
    """Check that a name is one of a file that can be written; raises UsageError."""
    if not is_file_name(path):
        raise UsageError(f"{path}: events are written to files, not to databases")
    if table_format(path) is None:
        return
    if options.dirty_share > 0:
        raise UsageError(
            f"{path}: a table cannot have lines that are not events, but dirty_share is "
            f"{options.dirty_share!r}"
        )
    arrow(path)


class _Dirty(NamedTuple):
    """What lines that are not events are made of, for each of them."""

    damage: Words
    user: Integers
    other: Integers
    cents: Integers
    noise: Words


class _Generator:
    """Generates the lines of both logs in chunks, and keeps what later lines need."""

    def __init__(self, options: Simulation) -> None:
        self.options = options
        self.source = np.random.PCG64(options.seed)
        # Makes the users' means and numbers of friends depend on the seed.
        self.key: Words = self._words(1)
        self.lines_written = 0
        start = datetime.fromisoformat(options.start)
        self.first_second = (start - EPOCH) // timedelta(seconds=1)
        # The existing friendships, each as id1 * 2^32 + id2; a pair that was befriended
        # again is in it again.
        self.friendships: array[int] = array("q")

    def write(self, path: str, lines: int, head: bytes = b"") -> None:
        """Write the next lines to a file: a table, or a log that begins with `head`."""
        if table_format(path) is not None:
            write_events(path, (events for events, _ in self._parts(lines)))
            return
        with closing(LineFile(path)) as log:
            log.cut()
            log.write([head])
            for events, dirty in self._parts(lines):
                log.write([b"".join(_lines(events, dirty))])

    def _parts(self, lines: int) -> Iterator[tuple[Events, _Dirty]]:
        """Yield the next lines in chunks."""
        while lines > 0:
            count = min(lines, CHUNK_LINES)
            yield self._next_events(count)
            lines -= count

    def _next_events(self, count: int) -> tuple[Events, _Dirty]:
        """Return the next lines; those of the kind `DIRTY` are made of the second part."""
        options = self.options
        words = self._words(count * WORDS_PER_LINE).reshape(count, WORDS_PER_LINE)
        word, first, second, unusual, excess, late, delay, dirty, damage = words.T

        kind = self._kinds(word)
        is_dirty = _happens(dirty, options.dirty_share)
        kind[is_dirty] = DIRTY

        # Purchases have a buyer and an amount, friendship events have two users.
        user, other = self._pairs(first, second)
        buyer = _below(first, options.users).astype(np.int64)
        cents = self._amounts(buyer, second, _happens(unusual, options.anomaly_share), excess)
        self._end_friendships(kind, user, other, second)
        is_purchase = kind == PURCHASE

        lines_before = np.arange(self.lines_written, self.lines_written + count)
        elapsed = np.floor(lines_before / float(options.rate)).astype(np.int64)
        seconds = self.first_second + elapsed
        is_late = is_purchase & _happens(late, options.late_share)
        seconds[is_late] -= _between(delay[is_late], DELAY_SECONDS)
        self.lines_written += count

        events = Events(
            kind,
            seconds,
            np.where(is_purchase, buyer, user),
            np.where(is_purchase, cents, other),
        )
        spoilt = _Dirty(
            damage[is_dirty],
            user[is_dirty],
            other[is_dirty],
            cents[is_dirty],
            excess[is_dirty],
        )
        return events, spoilt

    def _words(self, count: int) -> Words:
        return self.source.random_raw(count)

    def _kinds(self, words: Words) -> npt.NDArray[np.int8]:
        purchase = self.options.purchase_share
        friendly = purchase + self.options.befriend_share
        total = friendly + self.options.unfriend_share
        kind = np.full(len(words), UNFRIEND, np.int8)
        kind[_happens(words, friendly / total)] = BEFRIEND
        kind[_happens(words, purchase / total)] = PURCHASE
        return kind

    def _pairs(self, first: Words, second: Words) -> tuple[Integers, Integers]:
        """Return two different users for each line; the second may have very many friends."""
        users = self.options.users
        if self.options.friendships == "uniform":
            popular = _below(first, users)
        else:
            # The third power of a uniform number chooses the user of rank r in proportion
            # to r^(-2/3); numbers of friends then have a power law of exponent 2.5.
            high = first >> np.uint64(32)
            cube = ((high * high >> np.uint64(32)) * high) >> np.uint64(32)
            rank = (cube * np.uint64(users)) >> np.uint64(32)
            # A step without a common divisor spreads the ranks over all ids.
            step = users * 618_034 // 1_000_000 | 1
            while math.gcd(step, users) != 1:
                step += 2
            popular = (rank * np.uint64(step) + self.key % np.uint64(users)) % np.uint64(users)
        gap = _below(second, users - 1) + np.uint64(1)
        other = (popular + gap) % np.uint64(users)
        return other.astype(np.int64), popular.astype(np.int64)

    def _amounts(
        self, buyer: Integers, words: Words, is_unusual: npt.NDArray[np.bool_], excess: Words
    ) -> Integers:
        """Return amounts in cents; a buyer's mean and spread are a hash of the id."""
        hashes = _hash(buyer.astype(np.uint64) + self.key)
        mean = _between(hashes, MEAN_CENTS)
        spread = _between(hashes << np.uint64(32), SPREAD_CENTS)
        # The sum of four uniform 16-bit numbers is bell-shaped; 131,070 is its mean and
        # 37,837 its standard deviation.
        quarters = np.ascontiguousarray(words, "<u8").view("<u2").reshape(-1, 4)
        bell = quarters.sum(axis=1, dtype=np.int64) - 131_070
        cents = mean + spread * bell // 37_837
        cents = LEAST_CENTS + np.abs(cents - LEAST_CENTS)
        return np.where(is_unusual, mean + _between(excess, EXCESS_CENTS), cents)

    def _end_friendships(
        self, kind: npt.NDArray[np.int8], user: Integers, other: Integers, words: Words
    ) -> None:
        """Replace the users of each unfriend, in place, by those of an existing friendship."""
        friendships = self.friendships
        made = np.flatnonzero(kind == BEFRIEND)
        ended = np.flatnonzero(kind == UNFRIEND)
        new = array("q", ((user[made] << 32) | other[made]).tobytes())
        # The number of new friendships before each unfriend.
        new_before = np.searchsorted(made, ended).tolist()
        taken = 0
        for line, before, word in zip(
            ended.tolist(), new_before, words[ended].tolist(), strict=True
        ):
            friendships.extend(new[taken:before])
            taken = before
            if not friendships:
                kind[line] = BEFRIEND
                friendships.append(int(user[line]) << 32 | int(other[line]))
                continue
            place = (word >> 32) * len(friendships) >> 32
            pair = friendships[place]
            friendships[place] = friendships[-1]
            friendships.pop()
            user[line] = pair >> 32
            other[line] = pair & 0xFFFF_FFFF
        friendships.extend(new[taken:])


def _happens(words: Words, share: float) -> npt.NDArray[np.bool_]:
    """Return, for each word, whether something with this probability happens."""
    return (words >> np.uint64(11)) < np.uint64(int(share * 2**53))


def _below(words: Words, limit: int) -> Words:
    """Return integers from 0 to limit - 1 from the upper halves; limit is at most 2^32."""
    return ((words >> np.uint64(32)) * np.uint64(limit)) >> np.uint64(32)


def _between(words: Words, span: tuple[int, int]) -> Integers:
    """Return integers from the first to the last of a span, from the upper halves."""
    return span[0] + _below(words, span[1] - span[0] + 1).astype(np.int64)


def _hash(words: Words) -> Words:
    """Apply the output function of SplitMix64."""
    words = words * np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _lines(events: Events, dirty: _Dirty) -> list[bytes]:
    """Return lines of a log, with line ends."""
    timestamps = _timestamps(events.seconds)
    spoilt = np.flatnonzero(events.kind == DIRTY).tolist()
    dirty_lines = _dirty_lines(dirty, [timestamps[line] for line in spoilt])
    columns = (events.kind.tolist(), timestamps, events.user.tolist(), events.other.tolist())
    lines = []
    for kind, when, a, b in zip(*columns, strict=True):
        if kind == PURCHASE:
            lines.append(PURCHASE_LINE % (when, a, b // 100, b % 100))
        elif kind == DIRTY:
            lines.append(next(dirty_lines))
        else:
            lines.append(FRIENDSHIP_LINES[kind] % (when, a, b))
    return lines


def _dirty_lines(dirty: _Dirty, when: list[bytes]) -> Iterator[bytes]:
    """Generate the lines that are not events, with their line ends."""
    templates = _below(dirty.damage, len(DIRTY_LINES)).tolist()
    columns = (column.tolist() for column in dirty[1:])
    for template, when_, id1, id2, amount, word in zip(templates, when, *columns, strict=True):
        fields = {
            b"when": when_,
            b"id": id1,
            b"other": id2,
            b"amount": b"%d.%02d" % (amount // 100, amount % 100),
            b"noise": word.to_bytes(8, "little").replace(b"\n", b"\0"),
        }
        yield DIRTY_LINES[template][1] % fields + b"\n"


def _timestamps(seconds: Integers) -> list[bytes]:
    """Return times in seconds since 1970 as text."""
    column = seconds.tolist()
    texts = {
        second: (EPOCH + timedelta(seconds=second)).isoformat(" ").encode()
        for second in set(column)
    }
    return [texts[second] for second in column]


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) <= sys.float_info.max
