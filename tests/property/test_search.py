"""The search from both sides: the flags of the whole-ball method, with bounded work."""

import random

import numpy as np
import pytest

from fastanomaly import BEFRIEND, PURCHASE, UNFRIEND, Detector

UNIT = 10**6


def friendships(shape, users, rng):
    """Return pairs of friends in a graph of a shape."""
    if shape == "chain":
        return [(user, user + 1) for user in range(users - 1)]
    if shape == "star":
        return [(0, user) for user in range(1, users)]
    if shape == "two stars":
        return [(user % 2, user) for user in range(2, users)] + [(0, 1)]
    if shape == "clique":
        return [(a, b) for a in range(users // 4) for b in range(a)]
    if shape == "pieces":
        return [(a, b) for a in range(users) for b in range(a - a % 7, a)]
    if shape == "ladder":
        return [(user, user + ahead) for user in range(users - 3) for ahead in (1, 2, 3)]
    if shape == "heavy-tailed":
        return [
            (int(users * rng.random() ** 3), rng.randrange(users)) for _ in range(4 * users)
        ]
    return [(rng.randrange(users), rng.randrange(users)) for _ in range(users * 5)]


def events(shape, users, purchases, rng, late=0.2, ties=True):
    """Return columns: the friendships, then purchases with some befriends and unfriends."""
    pairs = [(a, b) for a, b in friendships(shape, users, rng) if a != b]
    rows = [(BEFRIEND, 0, a, b, 0) for a, b in pairs]
    for moment in range(purchases):
        time = moment // 10 if ties else moment
        if rng.random() < late:
            time -= rng.randrange(purchases)
        rows.append((PURCHASE, time, rng.randrange(users), 0, rng.randrange(100 * UNIT)))
        if rng.random() < 0.1:
            a, b = rng.choice(pairs)
            rows.append((rng.choice([BEFRIEND, UNFRIEND]), 0, a, b, 0))
    return [np.array(column) for column in zip(*rows, strict=True)]


def answers(columns, degree, tracked, method, sigmas=0):
    """Return the flags, of nearly all purchases if sigmas is 0, and the work."""
    detector = Detector(degree, tracked, sigmas, method=method)
    flags = detector.feed_columns(*columns)
    detector._check()
    work = detector.work
    return (
        [
            column.tolist()
            for column in (flags.rows, flags.n, flags.mean_cents, flags.sd_cents)
        ],
        work.steps_walked + work.friends_marked + work.members_merged,
    )


SHAPES = ["random", "chain", "star", "two stars", "clique", "pieces", "heavy-tailed"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("degree", [1, 2, 3, 4, 7, 2**31 - 1])
def test_both_methods_give_the_same_flags(shape, degree):
    for seed in range(3):
        rng = random.Random(f"{shape} {degree} {seed}")
        columns = events(shape, rng.choice([30, 200]), 400, rng)
        for tracked in (2, 5, 50, 2**31 - 1):
            both, _ = answers(columns, degree, tracked, "auto")
            ball, _ = answers(columns, degree, tracked, "ball")
            assert both == ball
            assert both[0]


@pytest.mark.parametrize("degree", [29, 30, 31, 32, 40])
def test_distances_beyond_those_that_have_marks_of_their_own(degree):
    """Users three steps ahead are friends, so levels are small and there are many."""
    rng = random.Random(f"far {degree}")
    columns = events("ladder", 400, 300, rng)
    for tracked in (2, 5, 50):
        both, _ = answers(columns, degree, tracked, "auto")
        ball, _ = answers(columns, degree, tracked, "ball")
        assert both == ball
        assert both[0]


@pytest.mark.parametrize("late", [0.0, 0.1, 1.0])
def test_purchases_beyond_the_recency_log_are_found_in_the_rings(late):
    """The recency log has the newest 65,536 purchases."""
    rng = random.Random(f"late {late}")
    columns = events("pieces", 2000, 100_000, rng, late=late)
    past = [column[:-300] for column in columns]
    present = [column[-300:] for column in columns]
    found = []
    for method in ("auto", "ball"):
        detector = Detector(3, 500, 0, method=method)
        detector.feed_columns(*past, judge=False)
        detector._check()
        flags = detector.feed_columns(*present)
        found.append([flags.rows.tolist(), flags.n.tolist(), flags.mean_cents.tolist()])
        if method == "auto":
            assert detector.work.members_merged > 0
    assert found[0] == found[1]
    assert max(found[0][1]) > 200


@pytest.mark.parametrize("method", ["auto", "ball"])
def test_a_walk_to_the_end_of_the_recency_log(method):
    """The network is too large to mark first, and the log has dropped its purchases."""
    users, strangers = 70_000, 66_000
    hub, buyer = users, users + 1
    detector = Detector(2, 50, 0, method=method)
    everybody = np.arange(users)
    nothing = np.zeros(users, np.int64)
    detector.feed_columns(
        np.full(users, BEFRIEND), nothing, everybody, np.full(users, hub), nothing
    )
    detector.befriend(buyer, hub)
    for amount in (1, 2, 3):
        detector.record(amount, amount, amount)
    detector.feed_columns(
        np.full(strangers, PURCHASE),
        np.full(strangers, 10),
        np.arange(strangers) % 9 + 10 * users,
        np.zeros(strangers, np.int64),
        np.zeros(strangers, np.int64),
        judge=False,
    )
    flag = detector.purchase(buyer, 1000, 11)
    assert (flag.n, flag.mean) == (3, "2.00")
    if method == "auto":
        assert detector.work.steps_walked >= 65_536


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_work_is_bounded_by_that_of_the_ball_method(shape, degree):
    rng = random.Random(f"work {shape} {degree}")
    columns = events(shape, 1000, 2000, rng)
    _, both = answers(columns, degree, 20, "auto")
    _, ball = answers(columns, degree, 20, "ball")
    purchases = int((columns[0] == PURCHASE).sum())
    # The walk may cost as much as merging if it is expected to cost less, plus T steps.
    assert both <= 26 * ball + 2 * 20 * purchases


def test_work_does_not_grow_with_the_degree():
    rng = random.Random("degree")
    columns = events("random", 3000, 6000, rng, late=0, ties=False)
    work = {degree: answers(columns, degree, 50, "auto")[1] for degree in (2, 3, 4, 5, 6)}
    assert max(work.values()) <= 2 * work[2]
    _, ball = answers(columns, 4, 50, "ball")
    assert ball >= 5 * work[4]


def test_equal_events_need_about_equal_work():
    """Not exactly: a random hash decides where the scan of a hub's friends stops."""
    columns = events("heavy-tailed", 300, 1000, random.Random("equal"))
    (found, work), (again, other) = (answers(columns, 3, 20, "auto") for _ in range(2))
    assert found == again
    assert work == pytest.approx(other, rel=0.05)
