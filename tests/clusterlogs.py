"""Columns of events for tests of clusters."""

from random import Random

import numpy as np

from fastanomaly import BEFRIEND, PURCHASE, UNFRIEND

START = 10**15


def rows(*events):
    """Return columns of (kind, time, user, friend, amount)."""
    kinds, times, users, friends, amounts = zip(*events, strict=True)
    return (
        np.array(kinds, np.uint8),
        *(np.array(column, np.int64) for column in (times, users, friends, amounts)),
    )


def buy(user, time, amount):
    return PURCHASE, START + time, user, 0, amount * 10**6


def befriend(user, friend):
    return BEFRIEND, 0, user, friend, 0


def growing_log():
    """Return columns in which everything grows: users, lists, hubs, rings and long rings."""
    rng = Random(1)
    found = [befriend(0, user) for user in range(1, 90)]
    found += [buy(user % 7, number, 1 + number % 40) for number, user in enumerate(range(400))]
    for number in range(300):
        user = rng.randrange(7) if number % 2 else 200 + number
        found.append(buy(user, number if number % 3 else 2000, rng.randrange(1, 50)))
        if number % 3 == 0:
            found.append(befriend(rng.randrange(90), 100 + number))
    return rows(*found)


def crowd(rng, users, rows):
    """Return columns of many purchases: hubs, ties, late ones, and new users anywhere."""
    hubs, keenness = rng.choice((1, 3)), rng.choice((1, 2, 3))
    lateness, ties = rng.choice((0, 0.2, 0.9)), rng.choice((1, 3))
    edits = rng.choice((0.05, 0.1, 0.3))
    found = []
    for row in range(rows):
        user, other = int(users * rng.random() ** hubs), rng.randrange(users)
        if rng.random() < edits and user != other:
            kind = UNFRIEND if rng.random() < 0.15 else BEFRIEND
            found.append((kind, 0, user, other, 0))
            continue
        time = row // ties
        if rng.random() < lateness:
            time -= rng.randrange(rows)
        buyer = int(users * rng.random() ** keenness)
        found.append((PURCHASE, 10**15 + time, buyer, 0, rng.randrange(10**8)))
    return [np.array(column) for column in zip(*found, strict=True)]
