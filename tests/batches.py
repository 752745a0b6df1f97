"""Events as lines, as columns and as single calls, and what they give, to compare batches.

A batch that several threads judge must give what one event at a time gives. `check` is that
comparison: flags with their exact sums, rejected lines, counts and the whole state.
"""

import itertools
import tempfile
from contextlib import contextmanager
from datetime import datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
import reference
from reference import ReferenceDetector

from fastanomaly import BEFRIEND, PURCHASE, UNFRIEND, Detector
from fastanomaly._core import share_all_batches

THREADS = (1, 2, 3, 8)
METHODS = ("auto", "ball")
UNIT = 10**6
EPOCH = datetime(1970, 1, 1)
KINDS = {"purchase": PURCHASE, "befriend": BEFRIEND, "unfriend": UNFRIEND}
NAMES = {PURCHASE: "purchase", BEFRIEND: "befriend", UNFRIEND: "unfriend"}
ITEM_BYTES = {"int64": 8, "int32": 4, "bytes": 1, "purchase": 24}  # in saved states


class Event(NamedTuple):
    """An event; `odd` ones are spelled so that the scanner declines their lines."""

    kind: int
    user: str
    friend: str = ""
    time_us: int = 0
    units: int = 0
    odd: bool = False


class Dirt(NamedTuple):
    """A line that is rejected."""

    raw: bytes


def buy(user, time_us=0, units=None, odd=False):
    """Return a purchase; without an amount it is above all before it, see `rising`."""
    return Event(PURCHASE, user, "", time_us, -1 if units is None else units, odd)


def befriend(a, b, odd=False):
    return Event(BEFRIEND, a, b, odd=odd)


def unfriend(a, b, odd=False):
    return Event(UNFRIEND, a, b, odd=odd)


def rising(events):
    """Return events whose amounts are all set: each above all before it.

    With k = 0, every purchase is flagged then that has two others to be compared with, and
    its sums tell which ones.
    """
    return [
        event._replace(units=(number + 1) * UNIT + number * number)
        if isinstance(event, Event) and event.kind == PURCHASE and event.units < 0
        else event
        for number, event in enumerate(events)
    ]


@contextmanager
def all_shared():
    """Let threads share every batch, however small."""
    share_all_batches(True)
    try:
        yield
    finally:
        share_all_batches(False)


@contextmanager
def judged_by(threads):
    """Let so many threads share every batch of detectors that do not say how many judge."""
    with pytest.MonkeyPatch.context() as patch, all_shared():
        patch.setattr("fastanomaly.detector.available_processors", lambda: threads)
        yield


# -- the same events in three ways


def escaped(user):
    return "".join(f"\\u{ord(character):04x}" for character in user)


def line_of(event):
    """Return the line of an event, without its line end."""
    if isinstance(event, Dirt):
        return event.raw
    user = escaped(event.user) if event.odd else event.user
    if event.kind != PURCHASE:
        return (
            f'{{"event_type":"{NAMES[event.kind]}", "id1":"{user}", "id2":"{event.friend}"}}'
        ).encode()
    time = (EPOCH + timedelta(microseconds=event.time_us)).isoformat(" ", "microseconds")
    amount = f"{event.units // UNIT}.{event.units % UNIT:06d}"
    return (
        f'{{"event_type":"purchase", "timestamp":"{time}", "id":"{user}", '
        f'"amount":"{amount}"}}'
    ).encode()


def text_of(events):
    """Return events as a text of lines."""
    return b"".join(line_of(event) + b"\n" for event in events)


def events_of(log, max_line):
    """Return the events of a log that the reference accepts, as those of batches."""
    events = []
    for _, line in reference.numbered_lines(log, max_line):
        try:
            kind, user, *rest = reference.parse_event(line, max_line)
        except reference.Reject:
            continue
        if kind == "purchase":
            amount, time_us = rest
            events.append(buy(user, time_us, int(amount * UNIT)))
        else:
            events.append(Event(KINDS[kind], user, rest[0]))
    return events


def clean(events):
    """Return the events without the lines that are rejected."""
    return [event for event in events if isinstance(event, Event)]


def columns_of(events):
    """Return the columns of events; ids are texts."""
    return (
        np.array([event.kind for event in events], np.uint8),
        np.array([event.time_us for event in events], np.int64),
        [event.user for event in events],
        [event.friend or "unused" for event in events],
        np.array([event.units for event in events], np.int64),
    )


def apply_each(detector, events, judge=True):
    """Apply events one at a time; the (place, Flag) of those flagged."""
    flags = []
    for place, event in enumerate(events):
        if isinstance(event, Dirt):
            continue
        if event.kind == BEFRIEND:
            detector.befriend(event.user, event.friend)
        elif event.kind == UNFRIEND:
            detector.unfriend(event.user, event.friend)
        else:
            values = detector._engine.purchase(event.user, event.time_us, event.units, judge)
            if values is not None:
                flags.append((place, values))
    return flags


def values_of(fed, first_line=1):
    """Return the (place, values) of the flags of lines, as apply_each does."""
    return [(flag.line - first_line, tuple(flag)[:8]) for flag in fed.flags]


def pieces(events, cuts):
    """Return (start, events) of the pieces between cuts."""
    bounds = [0, *sorted(cuts), len(events)]
    return [(start, events[start:end]) for start, end in itertools.pairwise(bounds)]


def apply_lines(detector, events, cuts=()):
    """Apply events as lines, in one call a piece; the flags, and the lines rejected."""
    flags, rejected = [], []
    for start, part in pieces(events, cuts):
        fed = detector.feed(text_of(part), first_line=start + 1)
        assert fed.lines == len(part)
        for flag in fed.flags:
            assert flag.raw == line_of(events[flag.line - 1])
        flags += values_of(fed)
        rejected += [(line.line - 1, line.raw) for line in fed.rejected]
    return flags, rejected


def apply_columns(detector, events, cuts=()):
    """Apply events as columns; the (place, n, mean in cents, sd in cents) of the flags."""
    flags = []
    for start, part in pieces(events, cuts):
        found = detector.feed_columns(*columns_of(part))
        rows = zip(found.rows, found.n, found.mean_cents, found.sd_cents, strict=True)
        flags += [(start + int(row), int(n), int(mean), int(sd)) for row, n, mean, sd in rows]
    return flags


def apply_reference(reference, events, judge=True):
    """Apply events to the reference; the (place, n, exact mean, exact variance) of flags."""
    flags = []
    for place, event in enumerate(events):
        if isinstance(event, Dirt):
            continue
        if event.kind == BEFRIEND:
            reference.befriend(event.user, event.friend)
        elif event.kind == UNFRIEND:
            reference.unfriend(event.user, event.friend)
        else:
            values = event.user, Fraction(event.units, UNIT), event.time_us
            flag = reference.purchase(*values) if judge else reference.record(*values)
            if flag is not None:
                flags.append((place, flag.n, flag.mean, flag.variance))
    return flags


# -- the state


def state_of(detector):
    """Return the arrays and numbers that a saved state has, friends in ascending order."""
    engine = detector._engine
    with tempfile.TemporaryFile() as file:
        engine.save(file.fileno())
        file.seek(0)
        saved = file.read()
    state, start = dict(engine.scalars()), 0
    for name, kind, items in engine.arrays():
        size = items * ITEM_BYTES[kind]
        state[name] = np.frombuffer(saved[start : start + size], np.uint8)
        start += size + (-size & 7) + 8
    assert start == len(saved)
    counts = state["friend_counts"].view(np.int32)
    owners = np.repeat(np.arange(len(counts)), counts)
    friends = state["friends"].view(np.int32)
    state["friends"] = friends[np.lexsort((friends, owners))]
    return {
        name: value.tobytes() if isinstance(value, np.ndarray) else value
        for name, value in state.items()
    }


# -- the comparison


def exact(flags):
    """Return flags of apply_each as (place, n, exact mean, exact variance)."""
    return [
        (
            place,
            n,
            Fraction(total, n * UNIT),
            Fraction(n * squares - total**2, (n * UNIT) ** 2),
        )
        for place, (_, _, _, n, total, squares, _, _) in flags
    ]


def without_sums(flags):
    """Return flags of apply_each as those of columns."""
    return [(place, n, mean, sd) for place, (_user, _time, _units, n, _, _, mean, sd) in flags]


def same_state(detector, expected):
    """Check a detector, and that it is in the state, and has the counts, of another one."""
    detector._check()
    assert detector.counts == expected.counts
    assert state_of(detector) == state_of(expected)


def check(
    before,
    batch,
    *,
    cuts=(),
    degree=2,
    tracked=5,
    sigmas="0",
    methods=METHODS,
    threads=THREADS,
    reference=True,
):
    """Check that a batch gives the same however it is judged; {place: n} of its flags.

    `before` is applied without being judged. Amounts that are not given rise.
    """
    events = rising([*before, *batch])
    before, batch = events[: len(before)], events[len(before) :]
    single = Detector(degree, tracked, sigmas, threads=1)
    apply_each(single, before, judge=False)
    expected = apply_each(single, batch)
    if reference:
        simple = ReferenceDetector(degree, tracked, sigmas)
        apply_reference(simple, before, judge=False)
        assert exact(expected) == apply_reference(simple, batch)
    dirt = [(n, event.raw) for n, event in enumerate(batch) if isinstance(event, Dirt)]
    rows = clean(batch)
    in_rows = [(len(clean(batch[:place])), *rest) for place, *rest in without_sums(expected)]
    with all_shared():
        for method in methods:
            for count in threads:
                lines = Detector(degree, tracked, sigmas, method=method, threads=count)
                apply_each(lines, before, judge=False)
                assert apply_lines(lines, batch, cuts) == (expected, dirt), (method, count)
                same_state(lines, single)
                columns = Detector(degree, tracked, sigmas, method=method, threads=count)
                apply_each(columns, before, judge=False)
                some = [cut for cut in cuts if cut <= len(rows)]
                assert apply_columns(columns, rows, some) == in_rows, (method, count)
                same_state(columns, single)
    return {place: values[3] for place, values in expected}
