"""Batches judged by several threads give what one event at a time gives."""

import os
import random
import time
from pathlib import Path

import batches
import hypothesis.strategies as st
import numpy as np
import pytest
from batches import (
    METHODS,
    THREADS,
    Dirt,
    all_shared,
    apply_columns,
    apply_each,
    apply_lines,
    befriend,
    buy,
    check,
    rising,
    same_state,
    text_of,
    unfriend,
    values_of,
)
from hypothesis import given, settings
from profiles import examples

from fastanomaly import BEFRIEND, PURCHASE, Detector
from fastanomaly.sweeps.grid import check_grid
from fastanomaly.sweeps.judging import GridDetector

BATCH_MAX = 1024  # events in a batch
HUB = 65  # friends from which on a user is a hub
LOG = 1 << 16  # entries of the recency log
SEVERAL = [count for count in THREADS if count > 1]


# -- random batches

USERS = ["1", "2", "3", "4", "5", "6", "02", "ann", "é", "x" * 40]
users = st.sampled_from(USERS)
amounts = st.sampled_from([0, 1, 5 * 10**6, 10**7, 2 * 10**7, 10**18 - 1])
times = st.integers(0, 8)
odd = st.booleans()
purchases = st.builds(buy, users, times, amounts | st.just(None), odd)
pairs = st.lists(users, min_size=2, max_size=2, unique=True)
befriends = st.builds(lambda pair, odd: befriend(pair[0], pair[1], odd), pairs, odd)
unfriends = st.builds(unfriend, users, users, odd)
dirt = st.builds(Dirt, st.sampled_from([b"garbage", b"[]", b'{"event_type":"\\u0070"}']))
events = purchases | befriends | unfriends
lists = st.lists(events, max_size=30)


@settings(max_examples=examples(150))
@given(
    before=lists,
    batch=st.lists(events | purchases | befriends | dirt, min_size=1, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=3),
    degree=st.integers(1, 5) | st.just(2**31 - 1),
    tracked=st.integers(2, 6) | st.just(2**31 - 1),
    sigmas=st.sampled_from(["0", "0.5", "1", "3"]),
    method=st.sampled_from(METHODS),
)
def test_random_batches(before, batch, cuts, degree, tracked, sigmas, method):
    check(
        before,
        batch,
        cuts=[min(cut, len(batch)) for cut in cuts],
        degree=degree,
        tracked=tracked,
        sigmas=sigmas,
        methods=[method],
    )


def random_events(rng, count, users, edits, late, start):
    """Return events among some users, of whom the first ones are chosen more often."""
    made = []
    for number in range(count):
        user, friend = (str(int(users * rng.random() ** 2)) for _ in range(2))
        if rng.random() >= edits:
            delay = rng.randrange(500) if rng.random() < late else 0
            units = rng.randrange(10**8) * (20 if rng.random() < 0.02 else 1)
            made.append(buy(user, start + number // 3 - delay, units, rng.random() < 0.02))
        elif rng.random() < 0.6 and user != friend:
            made.append(befriend(user, friend, rng.random() < 0.02))
        else:
            made.append(unfriend(user, friend))
        if rng.random() < 0.01:
            made.append(Dirt(b"garbage"))
    return made


@pytest.mark.parametrize("seed", range(8 * examples(1)))
def test_large_random_batches(seed):
    """Hubs, long rings, and batches that are cut after BATCH_MAX events."""
    rng = random.Random(f"batches {seed}")
    users = rng.choice([3, 60, 200, 400])
    before = random_events(rng, rng.choice([0, 300, 3000]), users, 0.5, 0.1, 10**6)
    count = rng.choice([20, 300, 2500])
    batch = random_events(
        rng, count, users, rng.choice([0, 0.1, 0.6]), rng.choice([0, 0.1, 0.9]), 10**6 + 900
    )
    check(
        before,
        batch,
        cuts=sorted(rng.sample(range(count), 2)),
        degree=rng.choice([1, 2, 3, 5]),
        tracked=rng.choice([2, 5, 50, 300]),
        sigmas=rng.choice(["0", "1", "3"]),
        reference=users * count < 60_000,
    )


def test_threads_take_part():
    """Otherwise the tests here would prove nothing."""
    with all_shared():
        for count in SEVERAL:
            detector = Detector(2, 5, threads=count)
            tasks = len(os.listdir("/proc/self/task"))
            detector.feed(text_of(rising([buy("a"), buy("b")])))
            assert len(os.listdir("/proc/self/task")) == tasks + count - 1
            del detector
            deadline = time.monotonic() + 10
            while len(os.listdir("/proc/self/task")) > tasks:  # the kernel takes its time
                assert time.monotonic() < deadline


@pytest.mark.skipif(
    "libtsan" in Path("/proc/self/maps").read_text(),
    reason="ThreadSanitizer takes the parent's threads for those of the child",
)
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # from Python 3.12 on
@pytest.mark.parametrize("threads", SEVERAL)
def test_a_forked_child_starts_its_own_threads(threads):
    """The threads of its parent do not exist in it; the parent's go on."""
    events = batches.clean(random_events(random.Random("fork"), 600, 40, 0.3, 0.2, 0))
    single, shared = Detector(2, 9, 0, threads=1), Detector(2, 9, 0, threads=threads)
    apply_each(single, events[:300])
    expected = apply_each(single, events[300:])
    with all_shared():
        apply_columns(shared, events[:300])
        child = os.fork()
        if child == 0:
            status = 1
            try:
                flags = values_of(shared.feed(text_of(events[300:])))
                shared.threads = 2  # ends the threads that it has started
                status = int(flags != expected or shared.counts != single.counts)
            finally:
                os._exit(status)
        flags = values_of(shared.feed(text_of(events[300:])))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert flags == expected
    same_state(shared, single)


# -- friendships that the batch edits


def bought(*users):
    """Return two purchases of each user."""
    return [buy(user) for user in users for _ in range(2)]


def test_a_buyer_edited_earlier_in_the_batch():
    batch = [buy("a"), befriend("a", "c"), buy("a"), unfriend("a", "b"), buy("a")]
    found = check([befriend("a", "b"), *bought("b", "c")], batch, degree=1)
    assert found == {0: 2, 2: 4, 4: 2}


def test_a_friend_edited_earlier_in_the_batch():
    batch = [buy("a"), befriend("b", "c"), buy("a"), unfriend("c", "b"), buy("a")]
    found = check([befriend("a", "b"), *bought("b", "c")], batch, degree=2)
    assert found == {0: 2, 2: 4, 4: 2}


@pytest.mark.parametrize("degree", [3, 4, 7])
def test_a_bridge_edited_earlier_in_the_batch(degree):
    before = [befriend("a", "b"), befriend("c", "d"), *bought("b", "c", "d")]
    batch = [buy("a"), befriend("c", "b"), buy("a"), unfriend("b", "c"), buy("a"), buy("d")]
    found = check(before, batch, degree=degree, tracked=9)
    # d sees the two purchases of c only: the bridge is gone.
    assert found == {0: 2, 2: 6, 4: 2, 5: 2}


def test_an_edit_undone_in_the_batch():
    before = [befriend("a", "b"), *bought("b", "c")]
    batch = [buy("a"), befriend("a", "c"), unfriend("c", "a"), buy("a")]
    batch += [unfriend("a", "b"), buy("a"), befriend("b", "a"), buy("a")]
    assert check(before, batch) == {0: 2, 3: 2, 7: 2}


def test_an_edit_undone_again_and_again():
    edits = [unfriend("a", "b"), buy("a"), befriend("a", "b"), buy("a")] * 200
    found = check([befriend("a", "b"), *bought("b")], edits, degree=3, reference=False)
    assert found == dict.fromkeys(range(3, 800, 4), 2)


def test_edits_that_change_nothing():
    before = [befriend("a", "b"), *bought("b", "c")]
    batch = [befriend("a", "b"), befriend("b", "a"), buy("a"), unfriend("a", "c"), buy("a")]
    batch += [unfriend("a", "nobody"), unfriend("nobody", "a"), unfriend("a", "a"), buy("a")]
    batch += [unfriend("nobody", "no one"), unfriend("nobody", "nobody"), buy("a")]
    # An unfriended user who is not known is not added; one first seen later is a user then.
    batch += [unfriend("new", "a"), befriend("new", "a"), buy("a"), unfriend("new", "a")]
    batch += [buy("a"), buy("late"), unfriend("late", "a"), unfriend("other", "late")]
    assert check(before, batch) == {2: 2, 4: 2, 8: 2, 11: 2, 14: 2, 16: 2}


def test_befriended_twice_and_unfriended_once_in_the_batch():
    batch = [befriend("a", "b"), befriend("b", "a"), buy("b"), buy("b"), buy("a")]
    batch += [unfriend("a", "b"), buy("a"), unfriend("a", "b"), befriend("a", "b"), buy("a")]
    assert check([], batch) == {4: 2, 9: 2}


# -- users first seen in the batch


def test_a_buyer_first_seen_in_the_batch():
    batch = [buy("new"), befriend("new", "a"), buy("a"), buy("new"), buy("a"), buy("new")]
    found = check([*bought("a")], batch)
    assert found == {3: 3, 4: 2, 5: 4}


def test_a_friend_first_seen_in_the_batch():
    batch = [befriend("a", "new"), buy("a"), buy("new"), buy("new"), buy("a")]
    assert check([*bought("a")], batch) == {2: 3, 3: 3, 4: 2}


def test_all_users_first_seen_in_the_batch():
    batch = []
    for number in range(300):  # the tables of users grow twice
        batch += [befriend(f"user {number}", f"user {number + 1}"), buy(f"user {number}")]
    batch += [unfriend("user 299", "user 1000"), buy("user 300")]
    found = check([], batch, degree=3)
    assert found[601] == 3


# -- order of purchases


def test_late_purchases_in_the_batch():
    before = [befriend("a", "b"), *(buy("b", time) for time in (10, 20, 30, 40))]
    batch = [buy("a", 50), buy("b", 25), buy("a", 5), buy("b", 1), buy("a", 0), buy("b", 60)]
    batch += [buy("a", 70), buy("b", 15), buy("a", 70), buy("b", 59), buy("a", 1)]
    for tracked in (2, 3, 4, 5, 6, 7, 8, 9, 50):
        found = check(before, batch, tracked=tracked)
        assert found[10] == min(tracked, 9)


def test_equal_timestamps_in_the_batch():
    before = [befriend("a", "b"), befriend("a", "c"), buy("b", 5), buy("c", 5), buy("b", 6)]
    batch = [buy("c", 5), buy("a", 5), buy("b", 5), buy("c", 6), buy("a", 6), buy("b", 6)] * 3
    for tracked in (2, 3, 4, 7):
        check(before, batch, tracked=tracked)


def test_all_purchases_of_the_batch_before_all_others():
    before = [befriend("a", "b"), *(buy("b", 1000 + time) for time in range(300))]
    batch = [buy("ab"[number % 2], number % 40) for number in range(200)]
    for tracked in (4, 350):
        check(before, batch, tracked=tracked)


# -- rings


@pytest.mark.parametrize("tracked", [2, 3, 8])
def test_a_ring_at_its_bound(tracked):
    before = [befriend("a", "b"), *(buy("b", time) for time in range(tracked))]
    batch = [buy("a", 9), buy("b", 9), buy("a", 9), buy("b", 0), buy("a", 9), buy("b", 9)]
    found = check(before, [*batch, buy("a", 9)], tracked=tracked)
    assert found[6] == tracked


def test_a_ring_that_drops_what_an_earlier_place_needs():
    """All of b's purchases before the batch are gone when it has been applied."""
    before = [befriend("a", "b"), *(buy("b", time) for time in range(4))]
    batch = [buy("a", 50)]
    for number in range(8):
        batch += [buy("b", 10 + number), buy("a", 50)]
    batch += [buy("b", 0), buy("a", 50)]  # older than all that b has
    found = check(before, batch, tracked=4)
    assert [found[place] for place in range(0, 19, 2)] == [4] * 10


@pytest.mark.parametrize("tracked", [300, 600, 5000])
def test_long_rings(tracked):
    """Users with more than 256 purchases; one passes that bound within the batch."""
    rng = random.Random("long")
    before = [befriend("a", "b"), befriend("c", "a")]
    before += [buy("b", 10 * number) for number in range(700)]
    before += [buy("c", rng.randrange(7000)) for _ in range(250)]
    batch = [buy("abc"[number % 3], rng.randrange(9000)) for number in range(300)]
    found = check(before, batch, tracked=tracked, reference=False)
    assert max(found.values()) == min(tracked, 1148)


# -- hubs


def star(center, count, first=0):
    return [befriend(center, f"friend {number}") for number in range(first, first + count)]


def test_a_list_that_becomes_a_hub_within_the_batch():
    batch = []
    for number in range(HUB - 4, HUB + 60):
        batch += [befriend("hub", f"friend {number}"), buy(f"friend {number}", number)]
        batch += [buy("hub"), buy("friend 0", 0)]
    for degree in (1, 2):
        found = check(star("hub", HUB - 4), batch, degree=degree, tracked=300)
        assert len(found) > 100


def test_a_hub_that_becomes_a_list_within_the_batch():
    before = star("hub", HUB + 20)
    before += [buy(f"friend {number}", number) for number in range(HUB + 20)]
    batch = []
    for number in range(HUB + 20):
        batch += [unfriend(f"friend {number}", "hub"), buy("hub", 1), buy(f"friend {number}")]
    for degree in (1, 2):
        found = check(before, batch, degree=degree, tracked=300)
        assert list(found.values())[-1] == 2


@pytest.mark.parametrize("seed", range(3))
def test_parts_of_a_hub_that_split_and_join(seed):
    """A hub of 300 friends loses and gains hundreds of them, in one batch and the next."""
    rng = random.Random(f"parts {seed}")
    before = [*star("hub", 300), befriend("hub", "b"), *star("b", 80, 250)]
    before += [buy(f"friend {number}", number) for number in range(0, 400, 3)]
    batch = []
    for number in range(1500):
        grows = rng.random() < (0.9 if number // 250 % 2 else 0.1)
        edit = befriend if grows else unfriend
        batch.append(edit(rng.choice(["hub", "hub", "b"]), f"friend {rng.randrange(500)}"))
        if number % 4 == 0:
            buyer = rng.choice(["hub", "b", f"friend {rng.randrange(500)}"])
            batch.append(buy(buyer, rng.randrange(300)))
    for degree in (1, 2, 3):
        check(
            before,
            batch,
            degree=degree,
            tracked=20,
            threads=(1, rng.choice(SEVERAL)),
            reference=False,
        )


def test_hundreds_of_edits_of_one_user():
    """In one batch: of a hub, and of a list that is as long as one at the end."""
    for before in (star("hub", 200), [befriend("hub", "friend 0")]):
        batch = [buy("friend 199", 1), buy("friend 150", 1)]
        for number in range(1, 480):
            batch += [befriend("hub", f"friend {number}"), buy("hub")]
        assert len(batch) < BATCH_MAX
        check(before, batch, tracked=50, reference=False)
        check(before, [*batch[:400], *star("hub", 300), buy("hub")], degree=1, reference=False)


# -- lines


def test_rejected_and_declined_lines_in_the_batch():
    before = [befriend("a", "é", odd=True), *bought("é")]
    garbage = [Dirt(b"garbage"), Dirt(b"{}"), Dirt(b'"\\u00e9"'), Dirt(b"\xff")]
    batch = [garbage[0], buy("a"), garbage[1], buy("é", odd=True), buy("a", odd=True)]
    batch += [befriend("ü", "a"), garbage[2], buy("ü"), buy("a"), unfriend("é", "a", odd=True)]
    batch += [garbage[3], buy("a"), *garbage * 30, buy("ü", odd=True), buy("a"), garbage[0]]
    found = check(before, batch)
    assert list(found.values()) == [2, 3, 5, 4, 4, 2]


def test_many_declined_lines_in_the_batch():
    """More than the scanner takes into one of its own batches."""
    batch = [buy("ab"[number % 2], number, odd=number % 3 > 0) for number in range(700)]
    for place in range(0, 700, 7):
        batch.insert(place, Dirt(b"{"))
    check([befriend("a", "b")], batch, reference=False)


@pytest.mark.parametrize("threads", SEVERAL)
@pytest.mark.parametrize("length", [40, 3000])  # in all, the latter scanned by a thread
@pytest.mark.parametrize("most", [1, 2, 5])
def test_max_rejected_in_the_middle_of_a_batch(threads, length, most):
    events = rising([befriend("a", "b"), *(buy("ab"[n % 2], n) for n in range(length))])
    for place in (7, 20, 21, 33):
        events.insert(place, Dirt(b"garbage"))
    expected = Detector(1, 5, 0, threads=1)
    detector = Detector(1, 5, 0, threads=threads)
    start, ends = 0, []
    with all_shared():
        while start < len(events):
            rest = text_of(events[start:])
            fed = detector.feed(rest, max_rejected=most, first_line=start + 1)
            end = start + fed.lines
            part = [place for place in range(start, end) if isinstance(events[place], Dirt)]
            assert [line.line - 1 for line in fed.rejected] == part
            flags = apply_each(expected, events[start:end])
            assert values_of(fed, start + 1) == flags
            same_state(detector, expected)
            ends.append(end)
            start = end
    assert ends == {1: [8, 21, 22, 34], 2: [21, 34], 5: []}[most] + [len(events)]


@pytest.mark.parametrize("threads", SEVERAL)
def test_strict_in_the_middle_of_a_batch(threads):
    events = rising([befriend("a", "b"), *(buy("ab"[n % 2], n) for n in range(40))])
    events[25:25] = [Dirt(b"garbage"), buy("new", 0, 1)]
    expected, detector = Detector(1, 5, 0, threads=1), Detector(1, 5, 0, threads=threads)
    with all_shared():
        fed = detector.feed(text_of(events), strict=True)
    assert fed.lines == 26
    assert values_of(fed) == apply_each(expected, events[:26])
    same_state(detector, expected)


def test_a_batch_larger_than_fits():
    rng = random.Random("large")
    batch = random_events(rng, 5 * BATCH_MAX // 2, 50, 0.3, 0.2, 1000)
    check(random_events(rng, 300, 50, 0.8, 0.2, 0), batch, degree=3, reference=False)
    batch = [event for event in batch if isinstance(event, batches.Event) and not event.odd]
    for size in (BATCH_MAX - 1, BATCH_MAX, BATCH_MAX + 1):
        check([], batch[:size], degree=2, reference=False, threads=(1, 3))


# -- settings


@pytest.mark.parametrize("threads", SEVERAL)
@pytest.mark.parametrize("feed", [apply_lines, apply_columns])
def test_settings_that_change_between_batches(threads, feed):
    events = rising(random_events(random.Random("settings"), 2000, 40, 0.3, 0.2, 0))
    events = batches.clean(events)
    single, shared = Detector(1, 9, 0, threads=1), Detector(1, 9, 0, threads=threads)
    steps = [("degree", 3), ("sigmas", "1"), ("method", "ball"), ("degree", 1), ("sigmas", 0)]
    steps += [("method", "auto"), ("degree", 5)]
    flags = 0
    with all_shared():
        for number, (name, value) in enumerate(steps):
            for detector in (single, shared):
                setattr(detector, name, value)
            part = events[number * 250 : number * 250 + 250]
            expected = feed(single, part)
            assert feed(shared, part) == expected
            flags += len(expected[0] if feed is apply_lines else expected)
            same_state(shared, single)
            shared.threads = 2 + number % 3
    assert flags > 200


def grid_results(grid, events, threads, method, cuts):
    """Return the flags of a grid as (line, bytes), and the purchases compared."""
    detector = GridDetector(grid, method=method)
    detector.threads = threads
    flags = []
    for start, part in batches.pieces(events, cuts):
        fed = detector.feed(text_of(part), first_line=start + 1)
        flags += [tuple(flag) for flag in fed.flags]
    return detector, flags


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("degrees", "tracked", "sigmas", "purchases"),
    [
        ([1, 2, 3], [2, 5, 30], ["0", "1"], 1500),
        ([2, 2**31 - 1], [4], ["0"], 600),
        # So many settings that the flags of a batch may exceed the room for them:
        (range(1, 9), range(2, 12), ["0", "1", "2"], 600),
    ],
    ids=["some", "few", "many"],
)
def test_grids(degrees, tracked, sigmas, purchases, method):
    rng = random.Random(f"grid {purchases}")
    grid = check_grid(degrees, tracked, sigmas)
    events = random_events(rng, purchases, 60, 0.4, 0.2, 0)
    cuts = [200, 201, 300, 330, 340]  # the last ones fit in any case
    single, expected = grid_results(grid, events, 1, "auto", cuts)
    assert len(expected) > 50
    assert max(single.compared()) > min(single.compared())
    with all_shared():
        for threads in SEVERAL:
            shared, found = grid_results(grid, events, threads, method, cuts)
            assert found == expected
            assert shared.compared() == single.compared()
            same_state(shared, single)


# -- the recency log


@pytest.fixture(scope="module")
def wide_network():
    """Columns that make a hub with 70,000 friends, too many to mark before walking."""
    users = np.arange(70_000)
    nothing = np.zeros(len(users), np.int64)
    return np.full(len(users), BEFRIEND), nothing, users, nothing + len(users), nothing


def with_log(columns, entries, threads, tracked=LOG + 2000):
    """Return a detector with that many purchases of strangers, at times 1000, 1001, ..."""
    detector = Detector(2, tracked, 0, threads=threads)
    detector.feed_columns(*columns)
    detector.befriend("buyer", len(columns[0]))
    detector.feed_columns(
        np.full(entries, PURCHASE),
        1000 + np.arange(entries),
        10**6 + np.arange(entries) % 9,
        np.zeros(entries, np.int64),
        np.full(entries, 5),
        judge=False,
    )
    return detector


# Purchases of friends (0 to 69,999) and of strangers, older and newer than others in the log.
AROUND_THE_BOUND = rising(
    [
        *(buy("1", time) for time in (0, 1100, 10**6, 900, 10**6)),
        buy("buyer", 10**6),
        *(
            buy(user, time)
            for time in (1, 999, 1000, 1001, 1002)
            for user in ("2", "stranger")
        ),
        buy("buyer", 0),
        buy("3", 5),
        buy("4", 10**6 + 1),
        buy("buyer", 10**6),
        unfriend("3", "70000"),
        buy("buyer", 10**6),
        *(buy(str(user), 2000 + user) for user in range(10, 60)),
        buy("buyer", 10**6),
        *(buy(str(user), 3) for user in range(10, 20)),
        buy("buyer", 1),
        buy("buyer", 10**7),
    ]
)


@pytest.mark.parametrize("entries", [LOG - 70, LOG - 5, LOG - 1, LOG, LOG + 1, LOG + 50])
def test_the_recency_log_at_its_bound(wide_network, entries):
    """The batch fills the log, drops entries of it, or has purchases older than all of it."""
    events = AROUND_THE_BOUND
    single = with_log(wide_network, entries, 1)
    expected = apply_each(single, events)
    assert [values[3] for _, values in expected if values[0] == "buyer"][-2:] == [71, 71]
    # The walk went to the end of the log: it found them there, not in the rings.
    assert single.work.steps_walked > LOG - 100
    with all_shared():
        for threads in (2, 3):
            shared = with_log(wide_network, entries, threads)
            assert apply_lines(shared, events)[0] == expected
            assert shared.work.steps_walked > LOG - 100
            same_state(shared, single)


@pytest.mark.parametrize("feed", [apply_lines, apply_columns])
def test_a_late_purchase_stays_out_of_a_log_that_dropped_some(wide_network, feed):
    """It is older than the oldest entry, but newer than purchases that are only in rings."""
    past = [buy("1", 10), buy("1", 20), buy("2", 30), buy("3", 40), buy("3", 50)]
    batch = [buy("4", 15), buy("4", 35), buy("5", 25), buy("buyer", 60), buy("buyer")]
    events = rising([*past, *batch])
    past, batch = events[:5], events[5:]
    single = with_log(wide_network, LOG + 10, 1, tracked=2)
    apply_each(single, past, judge=False)
    expected = apply_each(single, batch)
    bought = sum(event.units for event in past[3:])
    assert [values[4] for _, values in expected][-2:] == [bought] * 2
    with all_shared():
        for threads in SEVERAL:
            shared = with_log(wide_network, LOG + 10, threads, tracked=2)
            apply_each(shared, past, judge=False)
            flags = feed(shared, batch)
            same_state(shared, single)
            if feed is apply_lines:
                assert flags == (expected, [])
            else:
                assert flags == batches.without_sums(expected)


@pytest.mark.parametrize("seed", range(4))
def test_random_batches_with_a_full_log(wide_network, seed):
    """Walks through the log and the batch, whose purchases fall anywhere in it."""
    rng = random.Random(f"full {seed}")
    tracked = rng.choice([3, 50, LOG + 2000])
    entries = LOG + rng.choice([-300, 0, 300])
    events = []
    for _ in range(400):
        user = rng.choice(["buyer", "stranger", str(rng.randrange(70_000))])
        events.append(buy(user, 1000 + int(rng.triangular(-9000, LOG + 2000, LOG))))
        if rng.random() < 0.1:
            edit = rng.choice([befriend, unfriend])
            events.append(edit(str(rng.randrange(70_000)), "70000"))
    events = rising(events)
    single = with_log(wide_network, entries, 1, tracked)
    expected = apply_lines(single, events)
    assert len(expected[0]) > 50
    with all_shared():
        shared = with_log(wide_network, entries, 3, tracked)
        assert apply_lines(shared, events) == expected
        same_state(shared, single)
