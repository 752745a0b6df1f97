"""Batches that several threads judge, when memory fails or Ctrl-C is pressed."""

import json
import signal

import pytest
from allocations import failing_after
from batches import (
    Dirt,
    Event,
    all_shared,
    apply_columns,
    apply_each,
    befriend,
    buy,
    clean,
    columns_of,
    rising,
    same_state,
    text_of,
    unfriend,
    values_of,
    without_sums,
)

from fastanomaly import Detector, FeedError
from fastanomaly.sweeps.grid import check_grid
from fastanomaly.sweeps.judging import GridDetector

DEGREE, TRACKED = 2, 300
THREADS = [2, 3]


def growing_events():
    """Return events before a batch, and a batch in which everything grows.

    A list becomes a hub, parts of a hub split, a ring becomes a long one, and so many users
    are first seen that their table is rehashed; some of them are only unfriended, or are
    known from lines that are read again.
    """
    before = [befriend("hub", f"friend {number}") for number in range(90)]
    before += [befriend("list", f"friend {number}") for number in range(63)]
    before += [buy("long", number) for number in range(254)]
    before += [buy(f"friend {number % 5}", number) for number in range(20)]
    before += [befriend("long", "list")]
    batch = [buy("list", 1), unfriend("nobody", "list"), Dirt(b"garbage")]
    for number in range(12):
        batch += [
            befriend("hub", f"friend {90 + 3 * number}"),
            buy(f"new {number}", number, odd=number % 4 == 0),
            befriend("list", f"new {number}"),
            buy("long", 300 - number),
            unfriend("hub", f"friend {number}"),
            buy("hub", 5),
            befriend(f"x{number}" * 9, "new", odd=number % 5 == 0),
            buy("list", 2),
        ]
    batch += [Dirt(b"{}"), unfriend("new 3", "list"), buy("list", 9), unfriend("late", "list")]
    events = rising([*before, *batch, buy("late", 0), buy("new 5", 1)])
    return events[: len(before)], events[len(before) :]


def started(before, threads):
    """Return a detector of the events before, which has judged one by one."""
    detector = Detector(DEGREE, TRACKED, 0, threads=threads)
    apply_each(detector, before, judge=False)
    detector.purchase("list", 1, 1)
    return detector


def feed_lines(detector, events):
    """Feed lines; the number applied, flags, places of rejected lines, and the error."""
    try:
        fed, error = detector.feed(text_of(events)), None
    except FeedError as failure:
        fed, error = failure.fed, failure
    if error is not None:
        assert error.applied == fed.lines
        assert isinstance(error.__cause__, MemoryError)
    return fed.lines, values_of(fed), [line.line - 1 for line in fed.rejected], error


def feed_columns(detector, events):
    """Feed columns likewise; flags are without sums."""
    try:
        flags, error, applied = detector.feed_columns(*columns_of(events)), None, len(events)
    except FeedError as failure:
        flags, error, applied = failure.fed, failure, failure.applied
    except MemoryError as failure:  # for the rows themselves: none was applied
        return 0, [], [], failure
    rows = zip(flags.rows, flags.n, flags.mean_cents, flags.sd_cents, strict=True)
    return applied, [tuple(map(int, row)) for row in rows], [], error


class Prefixes:
    """What a detector gives that was fed the first events only."""

    def __init__(self, before, events):
        self.before, self.events, self.known = before, events, {}

    def after(self, count):
        """Return a detector that was fed so many events, and the flags of them."""
        if count not in self.known:
            detector = started(self.before, 1)
            self.known[count] = detector, apply_each(detector, self.events[:count])
        return self.known[count]


def fail_everywhere(before, events, threads, feed):
    """Let each allocation of a bulk call fail in turn; the numbers of events applied."""
    prefixes, ends, failures = Prefixes(before, events), [], 0
    everything, _ = prefixes.after(len(events))
    while True:
        detector = started(before, threads)
        feed(detector, [])  # allocates what only the first call allocates
        with all_shared(), failing_after(failures):
            applied, flags, rejected, error = feed(detector, events)
        expected, expected_flags = prefixes.after(applied)
        if feed is feed_columns:
            expected_flags = without_sums(expected_flags)
        assert flags == expected_flags
        dirt = [place for place in range(applied) if isinstance(events[place], Dirt)]
        assert rejected == dirt
        same_state(detector, expected)
        ends.append(applied)
        if error is None:
            assert applied == len(events)
            return ends
        with all_shared():
            rest = feed(detector, events[applied:])
        assert rest[0] == len(events) - applied
        same_state(detector, everything)
        failures += 1


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("feed", [feed_lines, feed_columns])
def test_each_allocation_of_a_batch_fails(feed, threads):
    before, events = growing_events()
    if feed is feed_columns:
        events = clean(events)
    ends = fail_everywhere(before, events, threads, feed)
    # Failures while the batch is prepared, and ever later ones while it is applied:
    assert len(ends) > 20
    assert len(set(ends)) > 3
    assert max(ends[:-1]) > 20
    assert ends.count(ends[0]) > 1


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("feed", [feed_lines, feed_columns])
def test_a_batch_that_cannot_be_prepared_is_judged_in_turn(feed, threads):
    """Applying it needs no memory, since nothing grows; preparing it does."""
    before = rising([befriend("a", "b"), befriend("a", "c"), *[buy("b"), buy("c")] * 9])
    before += rising([*[buy("a")] * 9, unfriend("a", "b"), befriend("a", "b")])
    events = rising([buy("a"), unfriend("a", "b"), buy("a"), befriend("a", "b"), buy("a")])
    events = [event._replace(units=event.units * 10**6) for event in events]
    results = []
    for failures in range(12):
        shared, single = Detector(2, 4, 0, threads=threads), Detector(2, 4, 0, threads=1)
        for detector in (shared, single):
            apply_each(detector, before)
            feed(detector, [])
        expected = apply_each(single, events)
        assert len(expected) == 3
        with all_shared(), failing_after(failures):
            applied, flags, _, error = feed(shared, events)
        results.append(error is None)
        if error is None:
            assert applied == len(events)
            assert flags == (expected if feed is feed_lines else without_sums(expected))
            same_state(shared, single)
    # Lines need no memory at all then; columns need it for the rows and the flags.
    assert all(results if feed is feed_lines else results[5:])


def test_users_known_to_the_scanner_when_a_batch_cannot_be_prepared():
    """Their keys have no hashes: judging in turn must not look them up again."""
    before = [befriend("1", "2"), befriend("1", "3"), *[buy("1"), buy("2"), buy("3")] * 9]
    edits = [unfriend("1", "2"), befriend("1", "2")] * 20
    events = rising([*before, buy("3"), buy("1"), *edits, buy("1"), buy("2")])
    before, events = events[: len(before)], events[len(before) :]
    again = before[:2] * 2  # the first time, the scanner learns who they are
    single = Detector(2, 4, 0, threads=1)
    apply_each(single, [*before, *again])
    expected = apply_each(single, events)
    assert len(expected) == 4
    in_turn = []
    for failures in range(40):
        shared = Detector(2, 4, 0, threads=3)
        for events_fed in (before, *([event] for event in again)):
            shared.feed(text_of(events_fed))
        shared_before = shared.sharing().shared
        with all_shared(), failing_after(failures):
            assert feed_lines(shared, events) == (len(events), expected, [], None)
        same_state(shared, single)
        in_turn.append(shared.sharing().shared == shared_before)
    assert in_turn.count(True) > 15
    assert not in_turn[-1]


@pytest.mark.parametrize("cells", [4, 600])
def test_flags_of_a_grid_without_memory(cells):
    """There is room for the flags of one purchase, then for those of a batch."""
    grid = check_grid([1, 2], [2, 5], [str(k / 1000) for k in range(cells // 4)])
    before = rising([befriend("a", "b"), befriend("b", "c"), *[buy("b"), buy("c")] * 3])
    events = rising([buy("a", 1), buy("b", 2)] * 20)
    single = GridDetector(grid)
    single.threads = 1
    apply_each(single, before, judge=False)
    expected = single.feed(text_of(events)).flags
    assert len(expected) > 30
    failures = 0
    while True:
        detector = GridDetector(grid)
        detector.threads = 3
        apply_each(detector, before, judge=False)
        detector.feed(b"")
        error = None
        with all_shared():
            with failing_after(failures):
                try:
                    fed = detector.feed(text_of(events))
                except FeedError as failure:
                    error, fed = failure, failure.fed
            assert fed.flags == expected[: len(fed.flags)]
            rest = detector.feed(text_of(events[fed.lines :]), first_line=fed.lines + 1)
        assert [*fed.flags, *rest.flags] == expected
        assert detector.compared() == single.compared()
        same_state(detector, single)
        if error is None:
            break
        failures += 1
    assert failures > 3


def test_threads_are_not_needed_to_continue_after_failures():
    """Memory fails in every other call: batches are shared, judged in turn, or end early."""
    before, events = growing_events()
    single, shared = started(before, 1), started(before, 3)
    rows = clean(events) * 6
    expected, found, start, calls = apply_each(single, rows), [], 0, 0
    with all_shared():
        while start < len(rows):
            with failing_after(-1 if calls % 2 else calls % 23):
                applied, flags, _, _ = feed_columns(shared, rows[start : start + 90])
            found += [(start + row, *rest) for row, *rest in flags]
            start += applied
            calls += 1
            shared._check()
    assert found == without_sums(expected)
    assert calls > 8
    same_state(shared, single)


# -- Ctrl-C


def odd_line(number):
    """Return a line that is read again in Python, where signals are served; rejected."""
    return Dirt(b'{"number": %d, "\\u0061": 1e999}' % number)


def interruptible_events():
    """Return events with lines between them that can be interrupted."""
    events = [befriend("a", "b"), befriend("b", "c")]
    for number in range(400):
        events += [buy("abc"[number % 3], number), odd_line(len(events) + 1)]
        if number % 10 == 0:
            events += [befriend("a", f"friend {number}"), unfriend("b", "c")]
            events += [odd_line(len(events)), befriend("c", "b")]
    return rising(events)


@pytest.mark.parametrize("threads", [1, *THREADS])
def test_an_interrupt_leaves_the_events_before_its_line(threads):
    events = interruptible_events()
    lines, interrupted, rounds = text_of(events), [], []
    detector, expected = Detector(2, 50, 0, threads=threads), Detector(2, 50, 0, threads=1)

    def interrupt(_, frame):
        # Elsewhere it would not be in feed, or orjson would replace it by its own error.
        if frame.f_code.co_name == "reread":
            signal.setitimer(signal.ITIMER_REAL, 0)
            interrupted.append(json.loads(frame.f_locals["line"].replace(b"1e999", b"1")))
            raise KeyboardInterrupt

    def feed_for_ever():
        while True:
            detector.feed(lines)
            rounds.append(1)

    for attempt in range(5):
        interrupted.clear()
        rounds.clear()
        before = signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.003 + 0.002 * attempt, 0.001)
        try:
            with all_shared(), pytest.raises(KeyboardInterrupt):
                feed_for_ever()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        place = interrupted[0]["number"]
        assert isinstance(events[place], Dirt)
        for _ in rounds:
            apply_each(expected, events)
        apply_each(expected, events[:place])
        same_state(detector, expected)
    with all_shared():
        flags = detector.feed(lines)
    assert values_of(flags) == apply_each(expected, events)
    same_state(detector, expected)


def test_an_interrupt_is_not_lost_when_memory_fails():
    """What was gathered before the interrupt cannot be applied; the interrupt counts."""
    events = interruptible_events()
    detector = Detector(2, 50, 0, threads=2)
    detector.feed(b"")

    def interrupt(_, frame):
        if frame.f_code.co_name == "reread":
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    def fail_for_ever():
        while True:
            with pytest.raises(FeedError):
                detector.feed(text_of(events))

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        with all_shared(), failing_after(0), pytest.raises(KeyboardInterrupt):
            fail_for_ever()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert sum(detector.counts[:3]) == 0
    detector._check()


def test_events_and_columns_have_equal_flags():
    """The helpers here agree with those that the other tests of batches use."""
    before, events = growing_events()
    rows = [event for event in events if isinstance(event, Event)]
    one, other = started(before, 1), started(before, 2)
    assert feed_columns(one, rows)[1] == apply_columns(other, rows)
