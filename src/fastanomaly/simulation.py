"""Made-up logs of any size, in the shape of the challenge's published sample.

The same options give the same bytes with any version of NumPy and on any machine. NumPy
promises that only of a bit generator's raw words, so every draw is taken from those, and
almost always by integer arithmetic; where a float appears it is one correctly rounded
operation at a time. Every line uses up the same number of words, so the size of the
pieces in which a log is made does not show in it.
"""

import math
import os
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

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

# What a buyer spends, in cents: a habitual mean and spread (a standard deviation) for
# every user, and how far above the mean an unusual purchase lies.
MEAN_CENTS = (10_00, 120_00)
SPREAD_CENTS = (60, 30_00)
EXCESS_CENTS = (200_00, 1_000_00)
LEAST_CENTS = 1_00

DELAY_SECONDS = (1, 300)

_PURCHASE_START = b'{"event_type":"purchase", "timestamp":"%(when)b", '
_BEFRIEND_START = b'{"event_type":"befriend", "timestamp":"%(when)b", '

#: Lines that are not events, as (reason, template); the reason is the one the line is
#: rejected for, or "blank". Every template is equally likely.
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
    """What the made-up logs are to look like.

    The defaults give the shape of the published sample. The three shares of the event
    types are weights: only their ratios count. An unfriend always ends a friendship made
    earlier and not ended since; while there is none, a befriend is written instead.

    Parameters
    ----------
    users : int
        Number of users, whose ids are 0 to users - 1; 2 to 2^31 - 1.
    batch_events, stream_events : int
        Lines of the two logs, dirty ones included, the parameter line not; >= 0.
    degree, tracked : int
        The parameters D (1 to 2^31 - 1) and T (2 to 2^31 - 1) of the first line.
    friendships : {"uniform", "heavy-tailed"}
        Whether everybody is as likely to be befriended, or a few are very popular: then
        the degrees fall off with the power 2.5, as in many social networks.
    purchase_share, befriend_share, unfriend_share : float
        Weights of the event types; each finite and >= 0, not all 0.
    anomaly_share : float
        Share of the purchases that are 200 to 1,000 units above the buyer's habit; 0 to 1.
    late_share : float
        Share of the purchases whose timestamp is 1 to 300 seconds too old; 0 to 1.
    dirty_share : float
        Share of the lines that are no events: broken in every way there is a reason for,
        but for excessive length, or blank; 0 to 1.
    rate : float
        Events a second of log time; finite and > 0. Timestamps are whole seconds.
    start : str
        Timestamp of the first event, ``YYYY-MM-DD HH:MM:SS``.
    seed : int
        Any integer >= 0. Equal options and seeds give equal bytes.

    Raises
    ------
    ValueError
        If an option is outside its range; the message names it and its value.

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

    def _check_integer(self, name: str, least: int, most: int | None = None) -> None:
        value = getattr(self, name)
        good = isinstance(value, int) and not isinstance(value, bool) and value >= least
        if not good or (most is not None and value > most):
            span = f"from {least} to {most}" if most is not None else f"of at least {least}"
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
                f"start must leave all timestamps in the years 1 to 9999, not {self.start!r} "
                f"at a rate of {self.rate!r} events a second"
            ) from None


def simulate(batch: Path, stream: Path, options: Simulation | None = None) -> None:
    """Write a made-up batch log and the stream log that goes on where it ends.

    Parameters
    ----------
    batch, stream : str or path-like
        The files to write; what they held is lost. They must not be the same file.
    options : Simulation, optional
        What the logs look like; by default, like the published sample.

    Raises
    ------
    ValueError
        If both paths lead to one file; nothing is written then.
    OSError
        If a file cannot be created or written.

    Notes
    -----
    Time is linear in the lines, about a microsecond each. Memory is a few tens of
    megabytes and 8 bytes for each friendship, however many users and lines there are.

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
    if _are_one_file(batch, stream):
        raise ValueError(f"the batch and the stream log are the same file: {batch}")
    story = _Story(options)
    with open(batch, "wb") as log:
        log.write(b'{"D":"%d", "T":"%d"}\n' % (options.degree, options.tracked))
        story.write(log, options.batch_events)
    with open(stream, "wb") as log:
        story.write(log, options.stream_events)


class _Story:
    """The events, one chunk after the other, and what later ones need of earlier ones."""

    def __init__(self, options: Simulation) -> None:
        self.options = options
        self.source = np.random.PCG64(options.seed)
        # A word of its own, so that habits and hubs do not follow from the ids alone.
        self.key: Words = self._words(1)
        self.lines_told = 0
        start = datetime.fromisoformat(options.start)
        self.first_second = (start - EPOCH) // timedelta(seconds=1)
        # The friendships there are, each as id1 * 2^32 + id2. A pair befriended again
        # while it lasts is in there again.
        self.friendships: array[int] = array("q")

    def write(self, log: BinaryIO, lines: int) -> None:
        while lines > 0:
            count = min(lines, CHUNK_LINES)
            log.write(b"".join(self._tell(count)))
            lines -= count

    def _tell(self, count: int) -> list[bytes]:
        """The next lines, each with its line end."""
        options = self.options
        words = self._words(count * WORDS_PER_LINE).reshape(count, WORDS_PER_LINE)
        word, first, second, unusual, excess, late, delay, dirty, damage = words.T

        kind = self._kinds(word)
        is_dirty = _happens(dirty, options.dirty_share)
        kind[is_dirty] = DIRTY

        # A purchase has a buyer and an amount, a friendship two users.
        user, other = self._pairs(first, second)
        buyer = _below(first, options.users).astype(np.int64)
        cents = self._amounts(buyer, second, _happens(unusual, options.anomaly_share), excess)
        self._end_friendships(kind, user, other, second)
        is_purchase = kind == PURCHASE
        one = np.where(is_purchase, buyer, user)
        two = np.where(is_purchase, cents, other)

        lines_before = np.arange(self.lines_told, self.lines_told + count)
        elapsed = np.floor(lines_before / float(options.rate)).astype(np.int64)
        seconds = self.first_second + elapsed
        is_late = is_purchase & _happens(late, options.late_share)
        seconds[is_late] -= _between(delay[is_late], DELAY_SECONDS)
        whens = _timestamps(seconds)
        self.lines_told += count

        dirty_lines = _dirty_lines(
            damage[is_dirty],
            when=[whens[line] for line in np.flatnonzero(is_dirty).tolist()],
            user=user[is_dirty],
            other=other[is_dirty],
            cents=cents[is_dirty],
            noise=excess[is_dirty],
        )
        lines = []
        for kind_, when, a, b in zip(
            kind.tolist(), whens, one.tolist(), two.tolist(), strict=True
        ):
            if kind_ == PURCHASE:
                lines.append(PURCHASE_LINE % (when, a, b // 100, b % 100))
            elif kind_ == DIRTY:
                lines.append(next(dirty_lines))
            else:
                lines.append(FRIENDSHIP_LINES[kind_] % (when, a, b))
        return lines

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
        """Two different users each: anybody, and somebody who may have to be popular."""
        users = self.options.users
        if self.options.friendships == "uniform":
            liked = _below(first, users)
        else:
            # The third power of a uniform number: the user of rank r is chosen in
            # proportion to r^(-2/3), hence the power 2.5 of the degrees.
            high = first >> np.uint64(32)
            cube = ((high * high >> np.uint64(32)) * high) >> np.uint64(32)
            rank = (cube * np.uint64(users)) >> np.uint64(32)
            # Ranks are spread over the ids by a step that has no divisor in common.
            step = users * 618_034 // 1_000_000 | 1
            while math.gcd(step, users) != 1:
                step += 2
            liked = (rank * np.uint64(step) + self.key % np.uint64(users)) % np.uint64(users)
        gap = _below(second, users - 1) + np.uint64(1)
        fan = (liked + gap) % np.uint64(users)
        return fan.astype(np.int64), liked.astype(np.int64)

    def _amounts(
        self, buyer: Integers, words: Words, is_unusual: npt.NDArray[np.bool_], excess: Words
    ) -> Integers:
        """Amounts in cents. A buyer's habit is a hash of the id, so it takes no memory."""
        habit = _hash(buyer.astype(np.uint64) + self.key)
        mean = _between(habit, MEAN_CENTS)
        spread = _between(habit << np.uint64(32), SPREAD_CENTS)
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
        """Make every unfriend (in place) end one of the friendships there are by then."""
        friendships = self.friendships
        made = np.flatnonzero(kind == BEFRIEND)
        ended = np.flatnonzero(kind == UNFRIEND)
        new = array("q", ((user[made] << 32) | other[made]).tobytes())
        # How many of the new ones come before each unfriend.
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
    """Whether each word falls into a share from 0 (never) to 1 (always)."""
    return (words >> np.uint64(11)) < np.uint64(int(share * 2**53))


def _below(words: Words, limit: int) -> Words:
    """Integers from 0 to limit - 1, limit at most 2^32, by the upper half of each word."""
    return ((words >> np.uint64(32)) * np.uint64(limit)) >> np.uint64(32)


def _between(words: Words, span: tuple[int, int]) -> Integers:
    """Integers from the first to the last of a span, by the upper half of each word."""
    return span[0] + _below(words, span[1] - span[0] + 1).astype(np.int64)


def _hash(words: Words) -> Words:
    """The output function of SplitMix64."""
    words = words * np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _dirty_lines(
    words: Words,
    *,
    when: list[bytes],
    user: Integers,
    other: Integers,
    cents: Integers,
    noise: Words,
) -> Iterator[bytes]:
    """A line that is not an event for each word, with its line end."""
    templates = _below(words, len(DIRTY_LINES)).tolist()
    columns = (user.tolist(), other.tolist(), cents.tolist(), noise.tolist())
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
    """The text of each second since 1970."""
    column = seconds.tolist()
    texts = {
        second: (EPOCH + timedelta(seconds=second)).isoformat(" ").encode()
        for second in set(column)
    }
    return [texts[second] for second in column]


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) <= sys.float_info.max


def _are_one_file(one: Path, other: Path) -> bool:
    """Whether writing both would lose one of them; a device may be written to twice."""
    if os.path.exists(one) and os.path.exists(other):
        return os.path.isfile(one) and os.path.samefile(one, other)
    return os.path.realpath(one) == os.path.realpath(other)
