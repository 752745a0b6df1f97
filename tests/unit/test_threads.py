"""Threads that judge: how many, their end, and processes that fork or are pickled.

tests/property/test_batches.py compares the answers; here each call has one known answer.
"""

import pickle
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
from processes import TASKS, forking, in_child, os_threads

from fastanomaly import (
    BEFRIEND,
    PURCHASE,
    Detector,
    FeedError,
    ParameterError,
    detect,
    report,
    sweep,
)
from fastanomaly._core import fail_allocations_after, share_all_batches
from fastanomaly.processors import available_processors

USERS, ROWS = 200, 6000
MOST = 256


@pytest.fixture(autouse=True)
def _every_batch():
    """Judge every batch with all threads, however small it is."""
    share_all_batches(True)
    yield
    share_all_batches(False)


def columns(seed, rows=ROWS, friendships=0.1):
    """Return columns of events: some friendships, and purchases, a few of them large."""
    rng = np.random.default_rng(seed)
    kinds = np.where(rng.random(rows) < friendships, BEFRIEND, PURCHASE).astype(np.uint8)
    users = rng.integers(0, USERS, rows)
    friends = (users + rng.integers(1, USERS, rows)) % USERS
    units = rng.integers(10**6, 10**8, rows)
    units[rng.random(rows) < 0.02] *= 10
    return {
        "kinds": kinds,
        "times_us": np.arange(rows),
        "users": users,
        "friends": friends,
        "amounts_units": units,
    }


def lines(seed, rows=ROWS):
    """Return the same events as text."""
    values = {name: column.tolist() for name, column in columns(seed, rows).items()}
    return b"".join(
        b'{"event_type":"befriend","id1":"%d","id2":"%d"}\n' % (user, friend)
        if kind == BEFRIEND
        else b'{"event_type":"purchase","timestamp":"2017-06-13 11:33:01","id":"%d",'
        b'"amount":"%d.%06d"}\n' % (user, *divmod(units, 10**6))
        for kind, _, user, friend, units in zip(*values.values(), strict=True)
    )


def rows_of(flags):
    """Return flags of columns as tuples."""
    return list(zip(*(column.tolist() for column in flags), strict=True))


def expected(*seeds):
    """Return the flags of a detector with one thread, for each call."""
    detector = Detector(2, 20, threads=1)
    flags = [rows_of(detector.feed_columns(**columns(seed))) for seed in seeds]
    assert all(flags)
    assert detector.sharing().shared == 0
    return flags


# Values


@pytest.mark.parametrize("value", [1, 2, MOST, "1", "17", "0256", np.int64(3), np.uint8(4)])
def test_accepted_numbers(value):
    detector = Detector(1, 2, threads=value)
    assert detector.threads == int(value)
    assert type(detector.threads) is int


def test_auto_is_the_default_and_the_number_of_processors():
    assert Detector(1, 2).threads == Detector(1, 2, threads="auto").threads
    assert Detector(1, 2).threads == min(available_processors(), MOST)


REFUSED: list[tuple[Any, str]] = [
    (0, "threads: 0 is not in 1..256"),
    (-1, "threads: -1 is not in 1..256"),
    (257, "threads: 257 is not in 1..256"),
    (2**70, f"threads: {2**70} is not in 1..256"),
    ("0", "threads: '0' is not in 1..256"),
    ("9999999999", "threads: '9999999999' is not in 1..256"),
    ("99999999999", "threads: '99999999999' is neither a number nor 'auto'"),
    ("", "threads: '' is neither a number nor 'auto'"),
    ("Auto", "threads: 'Auto' is neither a number nor 'auto'"),
    ("2.0", "threads: '2.0' is neither a number nor 'auto'"),
    ("-1", "threads: '-1' is neither a number nor 'auto'"),
    (" 2", "threads: ' 2' is neither a number nor 'auto'"),
    ("\N{ARABIC-INDIC DIGIT TWO}", "is neither a number nor 'auto'"),
    (2.0, "threads: 2.0 is neither a number nor 'auto'"),
    (True, "threads: True is neither a number nor 'auto'"),
    (None, "threads: None is neither a number nor 'auto'"),
    (b"2", "threads: b'2' is neither a number nor 'auto'"),
    ([2], "threads: [2] is neither a number nor 'auto'"),
    (np.array([1, 2]), "threads: array([1, 2]) is neither a number nor 'auto'"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED, ids=lambda value: repr(value)[:30])
def test_refused_values(value, message):
    with pytest.raises(ParameterError) as error:
        Detector(1, 2, threads=value)
    assert message in str(error.value)
    detector = Detector(1, 2, threads=3)
    with pytest.raises(ParameterError):
        detector.threads = value
    assert detector.threads == 3


def test_functions_check_it_before_they_open_a_log(tmp_path):
    logs = tmp_path / "missing", tmp_path / "missing too"
    for call in (
        lambda: detect(logs[0], logs[1], tmp_path / "out", threads=0),
        lambda: sweep(*logs, degrees=[1], tracked=[2], threads=0),
        lambda: report(*logs, threads=0),
    ):
        with pytest.raises(ParameterError, match="threads: 0 is not in"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_it_is_not_in_the_repr_or_in_a_file(tmp_path):
    detectors = [Detector(1, 2, threads=threads) for threads in (1, 3)]
    assert len(set(map(repr, detectors))) == 1
    for detector in detectors:
        detector.save(tmp_path / "state")
        assert b"threads" not in (tmp_path / "state").read_bytes()
        assert Detector.load(tmp_path / "state").threads == Detector(1, 2).threads


# Answers


@pytest.mark.parametrize("threads", [2, 3, available_processors() + 5, MOST])
def test_more_threads_than_processors_give_the_same_flags(threads):
    detector = Detector(2, 20, threads=threads)
    for seed, flags in enumerate(expected(0, 1)):
        assert rows_of(detector.feed_columns(**columns(seed))) == flags
    detector._check()
    sharing = detector.sharing()
    assert sharing.shared == sharing.judgements == detector.counts.purchases
    assert 1 <= sharing.busy <= threads


def test_the_number_can_be_set_between_calls():
    detector = Detector(2, 20, threads=1)
    settings: list[int | str] = [1, 4, 2, "auto", 1, "3"]
    for seed, flags in enumerate(expected(*range(len(settings)))):
        detector.threads = settings[seed]
        assert rows_of(detector.feed_columns(**columns(seed))) == flags
    assert detector.threads == 3


def test_counts_of_work_and_time_outlive_the_threads():
    detector = Detector(2, 20, threads=3)
    detector.time_judging()
    detector.feed_columns(**columns(0))
    before = detector.work, detector.latency(), detector.sharing()
    detector.threads = 1
    assert (detector.work, detector.latency(), detector.sharing()) == before
    assert sum(detector.latency().counts) == detector.counts.purchases
    assert detector.memory().judges == 0


def test_close_ends_the_threads_and_frees_their_memory():
    detector = Detector(2, 20, threads=3)
    first, second = expected(0, 1)
    before = os_threads()
    detector.close()  # before there are any
    assert rows_of(detector.feed_columns(**columns(0))) == first
    assert os_threads() == before + 2
    assert detector.memory().judges > 0
    for _ in range(2):
        detector.close()
        assert os_threads() == before
        assert detector.memory().judges == 0
    assert rows_of(detector.feed_columns(**columns(1))) == second
    assert os_threads() == before + 2
    assert detector.threads == 3
    del detector
    assert os_threads() == before


def test_one_thread_starts_none():
    before = os_threads()
    detector = Detector(2, 20, threads=1)
    detector.feed_columns(**columns(0))
    assert os_threads() == before
    assert detector.sharing().busy == 1


def test_little_to_judge_starts_none():
    share_all_batches(False)
    before = os_threads()
    detector = Detector(2, 20, threads=8)
    detector.feed_columns(**columns(0, rows=5))
    detector.befriend(1, 2)
    detector.purchase(1, 2, 3)
    assert os_threads() == before
    assert detector.sharing().shared == 0


def test_a_single_purchase_is_judged_in_turn():
    """However much there is to judge, there is nothing to share."""
    share_all_batches(False)
    detector = Detector(1, 50_000, threads=2)
    detector.befriend(1, 2)
    many = np.arange(50_000)
    detector.feed_columns(0 * many, many, 0 * many + 2, 0 * many, many % 99 + 1, judge=False)
    for amount in range(20):
        assert len(detector.feed_columns([PURCHASE], [10**6], [1], [0], [amount])) == 0
    assert detector.sharing()[:3] == (1, 20, 0)
    for _ in range(2):  # several at once are worth it
        detector.feed_columns([PURCHASE] * 400, [10**6] * 400, [1] * 400, None, [1] * 400)
    assert detector.sharing().shared >= 400


def test_an_end_without_close():
    """The interpreter ends while the threads wait."""
    code = (
        "from fastanomaly._core import fail_allocations_after, share_all_batches\n"
        "from fastanomaly import Detector\n"
        "share_all_batches(True)\n"
        "kept = Detector(1, 2, threads=4)\n"
        "kept.feed_columns([0] * 100, range(100), [1] * 100, [1] * 100, [1] * 100)\n"
        "print(kept.sharing().shared)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True
    )
    assert (done.stdout, done.stderr) == ("100\n", "")


def test_calls_from_several_threads_of_python_in_turn():
    """The judging threads serve whichever thread calls."""
    detector = Detector(2, 20, threads=3)
    found = []

    def feed(seed):
        found.append(rows_of(detector.feed_columns(**columns(seed))))

    for seed in range(3):
        thread = threading.Thread(target=feed, args=(seed,))
        thread.start()
        thread.join()
    assert found == expected(0, 1, 2)


# Other processes


@forking
def test_a_forked_child_and_its_parent_go_on():
    first, second, third = expected(0, 1, 2)
    in_child(lambda: None)  # libraries of NumPy's may end their threads at a fork
    detector = Detector(2, 20, threads=3)
    assert rows_of(detector.feed_columns(**columns(0))) == first
    before = os_threads()

    def work():
        alone = os_threads()
        flags = rows_of(detector.feed_columns(**columns(1)))
        return alone, os_threads(), flags

    assert in_child(work) == repr((1, 3, second))
    assert os_threads() == before
    assert rows_of(detector.feed_columns(**columns(1))) == second
    assert in_child(lambda: rows_of(detector.feed_columns(**columns(2)))) == repr(third)
    assert rows_of(detector.feed_columns(**columns(2))) == third


@forking
def test_a_forked_child_may_set_close_or_drop_it():
    (first,) = expected(0)
    detector = Detector(2, 20, threads=3)
    assert rows_of(detector.feed_columns(**columns(0))) == first
    kept = {"detector": detector}
    del detector

    def work():
        kept["detector"].close()
        kept["detector"].threads = 2
        kept.clear()  # ends it
        other = Detector(2, 20, threads=2)
        return rows_of(other.feed_columns(**columns(0)))

    assert in_child(work) == repr(first)
    assert kept["detector"].threads == 3
    kept.clear()


def test_pickles_leave_the_threads_behind():
    first, second = expected(0, 1)
    detector = Detector(2, 20, threads=3)
    assert rows_of(detector.feed_columns(**columns(0))) == first
    before = os_threads()
    copied = pickle.loads(pickle.dumps(detector))
    assert copied.threads == Detector(1, 2).threads
    assert os_threads() == before
    copied.threads = 2
    assert rows_of(copied.feed_columns(**columns(1))) == second
    assert rows_of(detector.feed_columns(**columns(1))) == second


def test_signals_go_to_python():
    """A judging thread that took a signal would delay its handler."""
    if not TASKS.is_dir():
        pytest.skip("no /proc here")
    before = set(TASKS.iterdir())
    detector = Detector(2, 20, threads=3)
    detector.feed_columns(**columns(0))
    started = set(TASKS.iterdir()) - before
    assert len(started) == 2
    for task in started:
        status = (task / "status").read_text()
        blocked = next(line for line in status.splitlines() if line.startswith("SigBlk"))
        mask = int(blocked.split()[1], 16)
        assert all(mask >> (number - 1) & 1 for number in (1, 2, 10, 15))  # HUP INT USR1 TERM


# Counts


def test_sharing_counts_batches_and_judgements():
    detector = Detector(2, 20, threads=3)
    detector.feed_columns(**columns(0), judge=False)
    assert detector.sharing()[:4] == (0, 0, 0, 0.0)
    assert sum(detector.sharing().batches) == detector.sharing().events == 0
    recorded = detector.counts.purchases
    detector.feed_columns(**columns(1))
    detector.purchase(1, 2, 3)
    detector.record(1, 2, 3)
    judged = detector.counts.purchases - recorded - 2
    found = detector.sharing()
    assert (found.judgements, found.shared, found.events) == (judged + 1, judged, ROWS)
    assert found.bounds == [1 << i for i in range(11)]
    whole, rest = divmod(ROWS, 1024)
    assert (found.batches[-1], sum(found.batches)) == (whole + (rest > 512), whole + 1)
    assert 0 < found.seconds < 600
    detector.threads = 1
    detector.feed(lines(2))
    again = detector.sharing()
    assert (again.shared, again.seconds, again.busy) == (found.shared, found.seconds, 1)
    assert again.judgements == detector.counts.purchases - recorded - 1
    assert again.events == found.events + ROWS


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_durations_of_all_judgements_are_counted(threads):
    detector = Detector(2, 20, threads=threads)
    detector.feed(lines(0), judge=False)
    recorded = detector.counts.purchases
    detector.time_judging()
    detector.feed(lines(1))
    judged = detector.counts.purchases - recorded
    assert sum(detector.latency().counts) == detector.sharing().judgements == judged


@pytest.mark.parametrize("threads", [1, 3])
def test_judgements_are_counted_up_to_a_failure(threads):
    failed = 0
    text = lines(0, rows=500)
    for allocations in range(0, 60, 3):
        detector = Detector(2, 20, threads=threads)
        detector.feed(lines(1, rows=50))
        fail_allocations_after(allocations)
        try:
            detector.feed(text)
        except (FeedError, MemoryError):
            failed += 1
        finally:
            fail_allocations_after(-1)
        assert detector.sharing().judgements == detector.counts.purchases
    assert failed > 5
