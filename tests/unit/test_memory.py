"""Failed allocations: a MemoryError leaves the state unchanged."""

from collections import Counter

import numpy as np
import pytest
from allocations import failing_after

from fastanomaly import BEFRIEND, Detector, FeedError


def populated():
    """A detector whose next events allocate: a list and a ring are at their full length."""
    detector = Detector(2, 300)
    for friend in range(64):
        detector.befriend("almost a hub", friend)
    for purchase in range(256):
        detector.record("almost long", purchase, purchase)
    detector.record("0", 1, 1)
    return detector


OPERATIONS = {
    "befriend strangers": lambda detector: detector.befriend("new " * 50, "other new " * 50),
    "become a hub": lambda detector: detector.befriend("almost a hub", "new"),
    "become long": lambda detector: detector.record("almost long", 1, 1),
    "judge": lambda detector: detector.purchase("2", 100, 9),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_an_event_is_applied_completely_or_not_at_all(operation):
    done = populated()
    operation(done)
    failures = 0
    while True:
        detector = populated()
        before = detector.counts, sorted(detector.network("0"))
        try:
            with failing_after(failures):
                operation(detector)
        except MemoryError:
            assert (detector.counts, sorted(detector.network("0"))) == before
            detector._check()
            operation(detector)
            assert detector.counts == done.counts
            failures += 1
        else:
            break
    assert detector.counts == done.counts
    assert failures > 0


def test_failures_while_structures_grow_and_shrink():
    """Every event that makes or undoes a hub or a long ring is first tried without memory."""
    steps = (
        [("befriend", "hub", friend) for friend in range(700)]
        + [("unfriend", "hub", friend) for friend in range(700)]
        + [("record", "late", 1, -purchase) for purchase in range(700)]
        + [("record", "in time", 1, purchase) for purchase in range(700)]
        + [("record", "mixed", 1, purchase * 7919 % 1000) for purchase in range(1000)]
        + [("befriend", "buyer", friend) for friend in ("late", "in time", "mixed")]
    )
    detector, calm = Detector(2, 500, 0), Detector(2, 500, 0)
    failures = Counter()
    for number, (operation, *arguments) in enumerate(steps):
        before = detector.counts
        try:
            with failing_after(number % 2):
                getattr(detector, operation)(*arguments)
        except MemoryError:
            failures[operation] += 1
            assert detector.counts == before
            if number % 50 == 0:
                detector._check()
            getattr(detector, operation)(*arguments)
        getattr(calm, operation)(*arguments)
        if operation == "befriend" and number % 100 == 0:
            assert set(detector.network("hub")) == set(calm.network("hub"))
    detector._check()
    # Shrinking allocates, too, but how often depends on the hub's secret hash.
    assert min(failures["befriend"], failures["record"]) > 10
    assert detector.counts == calm.counts
    flag = detector.purchase("buyer", 2, 2000)
    assert flag == calm.purchase("buyer", 2, 2000)
    assert flag.n == 500


def test_growth_from_nothing():
    """Allocations fail from the first event on; each event is then repeated."""
    detector, user = Detector(2, 4), 0
    while user < 300:
        try:
            with failing_after(user % 5):
                detector.befriend(user, f"friend of {user}")
                user += 1
        except MemoryError:
            detector._check()
            detector.befriend(user, f"friend of {user}")
            user += 1
    assert detector.counts.users == 600
    assert detector.counts.befriends == 300
    detector._check()


@pytest.mark.parametrize("users", [41, 169, 681])
def test_users_are_forgotten_while_the_table_is_rehashed(users):
    """A friendship of two new users, of whom the second one makes the table too full."""
    failures = 0
    while True:
        detector = Detector(2, 4)
        for user in range(users):
            detector.record(user, 1, 1)
        try:
            with failing_after(failures):
                detector.befriend("new", "other new")
        except MemoryError:
            assert detector.counts.users == users
            detector._check()
            detector.befriend("new", "other new")
            failures += 1
        else:
            break
        assert detector.counts.users == users + 2
        assert detector.network("new") == ["other new"]
        detector._check()
    assert failures > 1


def test_bulk_calls_keep_the_rows_before_a_failure():
    rows = 1000
    users = np.arange(rows)
    detector = Detector(1, 2)
    columns = (np.full(rows, BEFRIEND, np.uint8), users, users, users + rows, users)
    with failing_after(50), pytest.raises(FeedError, match=r"columns, row .*: .*no memory"):
        detector.feed_columns(*columns)
    detector._check()
    assert 0 < detector.counts.befriends < rows
    detector.feed_columns(*columns)
    assert detector.counts.friendships == rows


def test_feed_keeps_the_lines_before_a_failure():
    line = '{"event_type":"befriend","id1":%d,"id2":%d}\n'
    text = "rubbish\n" + "".join(line % (user, -user) for user in range(1, 1000))
    detector = Detector(1, 2)
    with failing_after(50), pytest.raises(FeedError, match="no memory for") as caught:
        detector.feed(text)
    fed = caught.value.fed
    assert isinstance(caught.value.__cause__, MemoryError)
    assert 1 < fed.lines < 1000
    assert detector.counts.befriends == fed.lines - 1
    assert [rejected.line for rejected in fed.rejected] == [1]
    assert caught.value.applied == fed.lines
    detector._check()
    # The remaining lines can be fed when there is memory again.
    rest = text.splitlines()[fed.lines :]
    assert detector.feed(rest, first_line=fed.lines + 1).lines == 1000 - fed.lines
    assert detector.counts.friendships == 999
