"""Plans agree with clusters: their memory and their messages."""

import math

import numpy as np
import pytest
from deliveries import shards_of

from fastanomaly import BEFRIEND, PURCHASE, Detector, ParameterError, UsageError
from fastanomaly.cluster import ClusterDetector
from fastanomaly.cluster.planning import Machine, Needs, plan_cluster, plan_text
from fastanomaly.cluster.planning.costs import (
    APPLY_US,
    asked_bytes,
    counted_at,
    judge_us,
    most_asked_bytes,
    state_memory,
)
from fastanomaly.cluster.planning.counted import (
    BATCH_BYTES_PER_EVENT,
    COUNTED,
    COUNTED_SHARDS,
    JUDGE_US,
)
from fastanomaly.rules.parameters import MAX_SHARDS

FRIENDS, PURCHASES = 20, 10
JUDGED = 600


def log_of(users):
    """Return columns of a heavy-tailed network and its purchases, then of those to judge."""
    rng = np.random.default_rng(users)
    pairs, bought = users * FRIENDS // 2, users * PURCHASES
    kinds = np.repeat([BEFRIEND, PURCHASE], [pairs, bought + JUDGED]).astype(np.uint8)
    buyers = rng.integers(users, size=pairs + bought + JUDGED)
    liked = (rng.random(len(kinds)) ** 3 * users).astype(np.int64)
    liked += (liked == buyers) * np.where(liked > 0, -1, 1)
    amounts = rng.integers(10, 150, size=len(kinds)) * 1_000_000
    columns = kinds, np.arange(len(kinds)), buyers, liked, amounts
    return [
        [column[part] for column in columns] for part in (slice(-JUDGED), slice(-JUDGED, None))
    ]


@pytest.fixture(scope="module", params=[2_000, 20_000])
def log(request):
    """The number of users and the columns of their log."""
    return request.param, *log_of(request.param)


def judged_by(detector, past, present):
    """Let a detector or a cluster judge a log."""
    detector.feed_columns(*past, judge=False)
    detector.feed_columns(*present)
    return detector


def close(found, planned):
    """Return whether a size is as planned."""
    return abs(found - planned) <= 0.25 * planned


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_memory_is_as_planned(log, shards, degree):
    users, past, present = log
    cluster = judged_by(ClusterDetector(degree, 50, shards=shards, threads=1), past, present)
    counts = cluster.counts
    needs = Needs(
        counts.users, 2 * counts.friendships / counts.users, PURCHASES, 50, degree, 1000
    )
    planned = state_memory(needs, shards)
    for memory in cluster.memory().shards:
        assert memory.total == pytest.approx(planned.total, rel=0.25)
        assert close(memory.friendships, planned.friendships)
        assert close(memory.purchases, planned.purchases)
        assert close(memory.recency, planned.recency)
        # The marks of a judge are counted with the users.
        assert close(memory.users + memory.scratch, planned.users + planned.scratch)
    # The parts that are planned are not hidden by what is not.
    assert planned.users > 40 * users
    assert planned.friendships > 4 * 2 * counts.friendships
    assert planned.purchases * shards > 24 * counts.kept


@pytest.mark.parametrize("threads", [1, 3])
def test_memory_of_one_process_is_as_planned(log, threads):
    users, past, present = log
    single = judged_by(Detector(3, 50, threads=threads), past, present)
    friends = 2 * single.counts.friendships / users
    planned = state_memory(Needs(users, friends, PURCHASES, 50, 3, 1000), 1, threads)
    assert single.memory().total == pytest.approx(planned.total, rel=0.25)


def test_full_rings_are_as_planned():
    rng = np.random.default_rng(1)
    buyers = rng.integers(2000, size=100_000)
    cluster = ClusterDetector(1, 20, shards=2)
    amounts = np.full(len(buyers), 1_000_000)
    cluster.feed_columns(
        np.full(len(buyers), PURCHASE), np.arange(len(buyers)), buyers, None, amounts
    )
    planned = state_memory(Needs(2000, 0, 50, 20, 1, 1000), 2)
    assert planned.evictions > 0
    for memory in cluster.memory().shards:
        # Evictions are planned for as many batches on their way as there may be.
        assert memory.purchases > 0.75 * planned.purchases
        assert memory.purchases < 1.25 * (planned.purchases + planned.evictions)


def per_purchase(cluster, name):
    """Return what was sent for each judged purchase."""
    traffic = getattr(cluster.exchange.traffic, name)
    return (
        sum(traffic[kind] for kind in traffic if kind.startswith(("asks", "answers"))) / JUDGED
    )


def test_messages_are_as_counted(log):
    users, past, present = log
    for degree in (1, 2, 3):
        cluster = judged_by(ClusterDetector(degree, 50, shards=3), past, present)
        needs = Needs(users, FRIENDS, PURCHASES, 50, degree, 1000)
        sent = per_purchase(cluster, "bytes")
        works = [shard.work() for shard in shards_of(cluster)]
        asked = sum(work.asked_once + work.asked_twice for work in works)
        assert sent <= 1.25 * most_asked_bytes(needs, 3)
        if degree == 1:
            assert asked / JUDGED == pytest.approx(counted_at(1, 3).asked, abs=0.05)
            assert sent == pytest.approx(asked_bytes(needs, 3), rel=0.25)
        elif asked > 100:
            assert sent * JUDGED / asked < 1.5 * counted_at(degree, 3).bytes_if_asked
    traffic = cluster.exchange.traffic
    events = len(past[0]) + len(present[0])
    assert traffic.bytes["batch"] == 3 * BATCH_BYTES_PER_EVENT * events


def test_counts_are_interpolated_and_continued():
    for degree, rows in COUNTED.items():
        for shards, row in zip(COUNTED_SHARDS, rows, strict=True):
            assert counted_at(degree, shards) == row
    low, high = counted_at(1, 4), counted_at(1, 8)
    assert low.bytes < counted_at(1, 6).bytes < high.bytes
    step = counted_at(1, 64).bytes - counted_at(1, 32).bytes
    assert counted_at(1, 256).bytes == pytest.approx(counted_at(1, 64).bytes + 2 * step)
    assert counted_at(9, 16) == counted_at(4, 16)


def test_times_are_interpolated_but_not_continued():
    def us(users, degree, tracked=50, given=None):
        return judge_us(Needs(users, 20, 10, tracked, degree, 1000, given))

    for users, times in JUDGE_US.items():
        assert [us(users, degree) for degree in range(1, 6)] == pytest.approx(times)
    assert us(10, 3) == pytest.approx(JUDGE_US[10**4][2])
    assert us(10**9, 3) == pytest.approx(JUDGE_US[10**7][2])
    assert JUDGE_US[10**6][2] < us(3 * 10**6, 3) < JUDGE_US[10**7][2]
    assert us(10**6, 9) == pytest.approx(JUDGE_US[10**6][4])
    assert us(10**6, 3, tracked=100) == pytest.approx(2 * JUDGE_US[10**6][2])
    assert us(10**6, 3, given=7.5) == 7.5


def fits(plan, shards):
    """Return whether the plan's log fits so many shards, by its own sums."""
    needs = plan.needs
    left = 0.7 - needs.rate * APPLY_US * 1e-6
    work = counted_at(needs.degree, shards).work
    judging = needs.rate * 0.8e-6 * judge_us(needs) / shards * work
    threads = max(1, math.ceil(judging / left))
    memory = state_memory(needs, shards, threads).total
    return threads <= plan.machine.cores and memory <= 0.8e9 * plan.machine.memory_gb


@pytest.mark.parametrize("users", [10**5, 10**7, 10**8, 10**9])
@pytest.mark.parametrize("degree", [1, 3])
@pytest.mark.parametrize("rate", [1e3, 1e5])
@pytest.mark.parametrize("memory_gb", [16, 256, 4096])
def test_the_plan_is_the_smallest_that_fits(users, degree, rate, memory_gb):
    machine = Machine(memory_gb, network_gbit=1000)
    needs = Needs(users, 20, 10, 50, degree, rate)
    if state_memory(needs, MAX_SHARDS).total > 0.8e9 * memory_gb:
        with pytest.raises(UsageError, match="which every shard has"):
            plan_cluster(needs, machine)
        return
    plan = plan_cluster(needs, machine)
    if plan.shards == 1:
        assert plan.reasons == []
        assert plan.memory.total <= plan.memory_limit
        assert plan.load <= 0.7
        assert plan.threads <= 16
        return
    assert plan.reasons
    assert fits(plan, plan.shards)
    assert plan.shards == 2 or not fits(plan, plan.shards - 1)
    assert plan.shards_a_machine * plan.memory.total <= plan.memory_limit
    assert plan.shards_a_machine * plan.threads <= 16
    assert plan.load <= 0.7
    assert (plan.machines - 1) * plan.shards_a_machine < plan.shards
    assert plan.bounds[max(plan.bounds, key=plan.bounds.get)] <= plan.shards


def test_reasons():
    small = Needs(10**6, 20, 10, 50, 3, 1000)
    assert plan_cluster(small).reasons == []
    assert plan_cluster(small, Machine(memory_gb=0.4)).reasons == ["memory"]
    assert plan_cluster(small._replace(rate=200_000)).reasons == ["judging"]
    both = plan_cluster(small._replace(rate=200_000), Machine(memory_gb=0.4))
    assert both.reasons == ["memory", "judging"]
    safe = plan_cluster(small._replace(may_fail=1))
    assert (safe.reasons, safe.shards, safe.machines, safe.spares) == (["failures"], 2, 2, 1)
    assert "spare" in plan_text(safe)
    # Shards have as many threads as they need, up to one for each core.
    fast = plan_cluster(small._replace(rate=300_000))
    assert (fast.machines, fast.shards) == (fast.bounds["judging"],) * 2
    assert 1 < fast.threads <= 16
    packed = plan_cluster(small._replace(may_fail=1), Machine(memory_gb=1))
    assert (packed.machines, packed.shards, packed.threads) == (2, 2, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": 1e7}, "every shard applies every event"),
        ({"rate": 2e6, "judge_us": 5000}, "up to 1,024"),
        ({"users": 10**9}, "users and friendships alone"),
    ],
)
def test_what_no_cluster_can_do(change, message):
    needs = Needs(10**6, 20, 10, 50, 3, 1000)._replace(**change)
    with pytest.raises(UsageError, match=message):
        plan_cluster(needs, Machine(memory_gb=16))


def test_a_network_that_is_too_slow():
    needs = Needs(10**6, 20, 10, 50, 3, 200_000)
    with pytest.raises(UsageError, match=r": [0-9]+ shards get batches of .* Gbit/s"):
        plan_cluster(needs, Machine(network_gbit=0.1))
    with pytest.raises(UsageError, match=r": each shard gets batches of .* Gbit/s"):
        plan_cluster(needs, Machine(network_gbit=0.01))


def test_answers_bound_the_number_of_shards():
    needs = Needs(10**6, 20, 10, 50, 1, 10**6, judge_us=0.1, may_fail=1)
    assert plan_cluster(needs).shards == 2
    plan = plan_cluster(needs, Machine(network_gbit=4))
    assert plan.shards == plan.bounds["network"] > plan.bounds["judging"]
    # A machine has room for more, but its network has not.
    assert plan.machines == plan.shards
    assert 0.9 * 0.35e9 < plan.machine_bytes < 0.35e9
    own = 0.8e6 * asked_bytes(needs, plan.shards) / plan.shards
    assert plan.machine_bytes == pytest.approx(33e6 + own)


@pytest.mark.parametrize(
    "change",
    [
        {"users": 0},
        {"users": 2**31},
        {"users": 2.5},
        {"friends": -1},
        {"friends": 10**6},
        {"friends": math.nan},
        {"purchases": -1},
        {"rate": 0},
        {"rate": math.inf},
        {"tracked": 1},
        {"degree": 0},
        {"judge_us": 0},
        {"may_fail": -1},
    ],
)
def test_values_out_of_range(change):
    names = {"tracked": "T", "degree": "D"}
    (name,) = change
    with pytest.raises(ParameterError, match=f"^{names.get(name, name)}: "):
        plan_cluster(Needs(10**6, 20, 10, 50, 3, 1000)._replace(**change))
