"""Single shards and exchanges: traps, order and number of messages, failures, wrong use."""

from random import Random

import numpy as np
import pytest
from allocations import failing_after
from clusterlogs import START, befriend, buy, growing_log, rows
from deliveries import check_same, flags_bytes, shards_of

from fastanomaly import PURCHASE, Detector, FeedError, ParameterError
from fastanomaly._core import ShardEngine
from fastanomaly.cluster import Answers, Batch, ClusterDetector, Shard, Verdicts
from fastanomaly.errors import FastanomalyError

THREE = (3, 1)


def two_shards(tracked=2, sigmas=(0, 1)):
    """Return two shards at D = 1, and for each the ids of six of its users, see `users`."""
    shards = [Shard(number, 2, 1, tracked, sigmas) for number in range(2)]
    engine = ShardEngine(0, 2, 1, 2, 3, 1)
    owned = [[uid for uid in range(100) if engine.owner(uid) == n][:6] for n in range(2)]
    return shards, owned


def users(count):
    """Return events after which the user with uid n is the one with id n."""
    return [befriend(user, user + 1) for user in range(0, count, 2)]


def flags_of(message):
    """Return the flags of verdicts, without the sums."""
    return np.frombuffer(message.flags, np.int64).reshape(-1, 9)[:, :4].tolist()


@pytest.mark.parametrize("shards", [1, 2, 3])
def test_of_friends_who_bought_at_one_time_the_last_count(shards):
    """Only these have one of the latest T purchases, though all times are the same."""
    friends = range(1, 8)
    columns = rows(
        *(befriend(0, friend) for friend in friends),
        *(buy(friend, 5, friend) for friend in friends),
        # So many purchases of strangers are newer that walking back would cost more.
        *(buy(100 + number % 300, 10, 1) for number in range(3000)),
        buy(0, 20, 1000),
    )
    flags = ClusterDetector(1, 2, 0, shards=shards).feed_columns(*columns)
    assert flags.mean_cents.tolist() == [650]
    assert flags_bytes(flags) == flags_bytes(Detector(1, 2, 0).feed_columns(*columns))


def test_a_ring_evicts_what_the_answer_needs():
    shards, ((buyer, *_), (friend, *strangers)) = two_shards()
    known = users(max(buyer, friend, *strangers) + 2)
    # So many purchases of strangers are newer that walking back would cost more.
    strange = [buy(strangers[number % 2], 100 + number, 1) for number in range(900)]
    batches = [
        rows(
            *known, befriend(buyer, friend), buy(friend, 1, 10), buy(friend, 2, 20), *strange
        ),
        rows(buy(buyer, 3, 100)),
        rows(*(buy(friend, 2000 + number, 1000) for number in range(4))),
        rows(buy(friend, 3000, 1)),
    ]
    seqs = [0, 902, 903, 907]
    sent = [
        Batch(number, seqs[number], 2 if number == 3 else 0, columns, True)
        for number, columns in enumerate(batches)
    ]
    shards[0].receive(sent[0])
    (asks,) = shards[0].receive(sent[1])
    assert (asks.asker, asks.owner, asks.batch, asks.attempt) == (0, 1, 1, 0)
    # The owner has not come that far yet: the asks wait.
    assert shards[1].receive(asks) == []
    assert [type(message) for message in shards[1].receive(sent[0])] == [Verdicts, Answers]
    # Now it is ahead, and its ring has lost both purchases.
    for batch in sent[1:3]:
        shards[1].receive(batch)
    assert shards[1].evicted() == 900
    (answers,) = shards[1].receive(asks)
    (verdicts,) = shards[0].receive(answers)
    assert flags_of(verdicts) == [[0, 2, 1500, 500]]
    # Once nobody can ask any more, they are dropped, and late asks are ignored.
    shards[1].receive(sent[3])
    assert shards[1].evicted() == 5
    assert shards[1].receive(asks) == []
    assert shards[1].ignored == 1
    for shard in shards:
        shard.check()


def test_more_members_than_purchases_are_asked_for():
    """Four friends bought last at the same time; two of them buy again before the answer."""
    shards, ((buyer, *_), (*friends, stranger, other)) = two_shards()
    strange = [buy((stranger, other)[n % 2], 100 + n, 1) for n in range(900)]
    bought = [buy(friend, 1, 10 * number) for number, friend in enumerate(friends, 1)]
    known = [*users(max(buyer, other) + 2), *(befriend(buyer, friend) for friend in friends)]
    sent = [
        Batch(0, 0, 0, rows(*known, *bought, *strange), True),
        Batch(1, 904, 0, rows(buy(buyer, 2, 100)), True),
        Batch(2, 905, 0, rows(*(buy(friend, 2000, 5) for friend in friends[:2])), True),
    ]
    shards[0].receive(sent[0])
    (asks,) = shards[0].receive(sent[1])
    for batch in sent:
        shards[1].receive(batch)
    (answers,) = shards[1].receive(asks)
    (verdicts,) = shards[0].receive(answers)
    assert flags_of(verdicts) == [[0, 2, 3500, 500]]


def test_batches_are_recognised_by_their_numbers():
    shard, other = Shard(0, 1, 1, 2, THREE), Shard(0, 1, 1, 2, THREE)
    batches = [
        Batch(number, 2 * number, 0, rows(buy(1, number, 5), buy(2, number, 5)), True)
        for number in range(4)
    ]
    assert [shard.receive(batches[number]) for number in (3, 1, 1, 2)] == [[]] * 4
    done = shard.receive(batches[0])
    assert [message[:2] for message in done] == [(0, number) for number in range(4)]
    assert shard.receive(batches[0]) == shard.receive(batches[3]) == []
    assert shard.ignored == 3
    for batch in batches:
        other.receive(batch)
    assert shard.counts() == other.counts()
    assert shard.counts().purchases == 8


def test_answers_count_once():
    shards, ((buyer, *_), (friend, *strangers)) = two_shards()
    strange = [buy(strangers[number % 2], 100 + number, 1) for number in range(900)]
    known = [*users(max(buyer, friend, *strangers) + 2), befriend(buyer, friend)]
    bought = [buy(friend, 1, 10), buy(friend, 2, 20)]
    first = Batch(0, 0, 0, rows(*known, *bought, *strange), True)
    for shard in shards:
        shard.receive(first)
    (asks,) = shards[0].receive(Batch(1, 902, 0, rows(buy(buyer, 3, 100)), True))
    (answers,) = shards[1].receive(asks)
    assert shards[1].receive(asks) == [answers]  # it need not know that it was asked before
    assert len(shards[0].receive(answers)) == 1
    assert shards[0].receive(answers) == []
    assert shards[0].ignored == 1


def late_log(rng):
    """Return columns in which the recency log drops purchases, then many late ones arrive.

    Of some friends nearly all purchases are so late that the log must not take them.
    """
    friends = [befriend(user, user + 1) for user in range(0, 60, 2)]
    friends += [befriend(rng.randrange(60), 60 + rng.randrange(2000)) for _ in range(300)]
    early = [buy(rng.randrange(60), 10**6 + number // 3, 5) for number in range(600)]
    many = [buy(60 + rng.randrange(2000), 2 * 10**6 + n // 2, n % 97) for n in range(68_000)]
    late = []
    for number in range(3000):
        time = 10**6 + rng.randrange(-300, 300) if number % 3 else 3 * 10**6
        late.append(buy(rng.randrange(60), time, rng.randrange(1, 50)))
    return rows(*friends, *early, *many, *late)


@pytest.mark.parametrize("degree", [1, 2])
def test_late_purchases_stay_out_of_a_truncated_recency_log(degree):
    columns = late_log(Random(degree))
    start = len(columns[0]) - 3000
    parts = [[c[:start] for c in columns], [c[start:] for c in columns]]
    single = Detector(degree, 10, 0, method="ball")  # it does not use the recency log
    cluster = ClusterDetector(degree, 10, 0, shards=3, batch_events=1000)
    for detector in (single, cluster):
        detector.feed_columns(*parts[0], judge=False)
    expected = single.feed_columns(*parts[1])
    assert len(expected) > 1000
    assert flags_bytes(cluster.feed_columns(*parts[1])) == flags_bytes(expected)
    check_same(cluster, single)


@pytest.mark.parametrize("tracked", [3, 300])
def test_each_allocation_fails_in_turn(tracked):
    columns = growing_log()
    before, during, after = (
        [column[part] for column in columns]
        for part in (slice(0, 500), slice(500, 750), slice(750, None))
    )
    single = Detector(1, tracked, 0)
    single.feed_columns(*before)
    expected = [*rows_of(single.feed_columns(*during)), *rows_of(single.feed_columns(*after))]
    for allocations in range(10_000):
        cluster = ClusterDetector(1, tracked, 0, shards=3, batch_events=150)
        cluster.feed_columns(*before)
        sent, found, failed = 0, [], False
        try:
            with failing_after(allocations):
                found += rows_of(cluster.feed_columns(*during))
                sent = len(during[0])
        except MemoryError:  # before anything was sent
            failed = True
        except FeedError as error:
            failed, sent = True, error.applied
            with pytest.raises(RuntimeError, match="call finish first"):
                cluster.feed_columns(*during)
            found += rows_of(error.fed) + rows_of(finish(cluster))
        rest = [column[sent:] for column in during]
        found += rows_of(cluster.feed_columns(*rest), sent)
        found += rows_of(cluster.feed_columns(*after))
        assert found == expected, allocations
        check_same(cluster, single)
        if not failed:
            break
    assert allocations > 50


def rows_of(flags, first_row=0):
    """Return flags as tuples, with a number added to their rows."""
    return [(first_row + row, *values) for row, *values in zip(*flags, strict=True)]


def finish(cluster):
    """Finish, with ever more memory; the flags."""
    for allocations in range(1000):
        try:
            with failing_after(allocations):
                return cluster.finish()
        except MemoryError:
            pass
    raise AssertionError("it never finishes")


def test_what_is_asked_for():
    """Shards ask only where a search ends in merging rings, and the messages are few."""
    rng = Random(1)
    friends = [befriend(user, (user + step) % 400) for user in range(400) for step in (1, 7)]
    buys = [buy(rng.randrange(400), number, rng.randrange(50)) for number in range(4000)]
    columns = rows(*friends, *buys)
    asked = {}
    for shards, degree in ((1, 1), (4, 1), (4, 6)):
        cluster = ClusterDetector(degree, 50, shards=shards, batch_events=200)
        cluster.feed_columns(*columns)
        traffic = cluster.exchange.traffic
        batches = -(-len(columns[0]) // 200)
        assert traffic.messages["batch"] == traffic.messages["verdicts"] == shards * batches
        assert traffic.bytes["batch"] == shards * sum(column.nbytes for column in columns)
        asked[shards, degree] = traffic.messages.get("asks", 0)
        assert traffic.messages.get("answers", 0) == asked[shards, degree]
        assert asked[shards, degree] <= batches * shards * (shards - 1)
    assert asked[1, 1] == asked[4, 6] == 0
    assert asked[4, 1] > 0
    # Each purchase was kept by one shard.
    kept = [shard.counts().kept for shard in shards_of(cluster)]
    assert sum(kept) == cluster.counts.kept == 4000
    assert min(kept) > 500


def test_rows_that_are_no_events_change_nothing():
    cluster = ClusterDetector(2, 5, shards=2)
    for event, message in (
        (befriend(3, 3), "columns, row 1: user '3' cannot befriend themself"),
        ((PURCHASE, START, 1, 0, -1), "columns, row 1: amount_units -1 is not in"),
        ((3, START, 1, 0, 1), "columns, row 1: kind 3 is none of 0, 1, 2"),
    ):
        with pytest.raises(ValueError, match=message):
            cluster.feed_columns(*rows(buy(1, 1, 1), event))
    with pytest.raises(ValueError, match="kinds has 2 rows, users has 1"):
        cluster.feed_columns([0, 0], [START] * 2, [1], None, [1, 1])
    assert cluster.counts.events == cluster.counts.users == 0
    assert len(cluster.feed_columns([], [], [], [], [])) == 0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"degree": 0}, "D: "),
        ({"tracked": 1}, "T: "),
        ({"shards": 0}, "shards: 0 is not in 1..1024"),
        ({"shards": "two"}, "shards: expected a whole number"),
        ({"batch_events": 1025}, "batch_events: 1025 is not in 1..1024"),
    ],
)
def test_parameters_out_of_range(parameters, message):
    with pytest.raises(ParameterError, match=message):
        ClusterDetector(**{"degree": 1, "tracked": 2, **parameters})
    assert issubclass(ParameterError, FastanomalyError)
