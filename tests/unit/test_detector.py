"""The Detector: arguments, results and errors."""

import copy
import pickle
import subprocess
import sys
import threading
from array import array
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from lines import befriend

from fastanomaly import (
    BEFRIEND,
    PURCHASE,
    REASONS,
    UNFRIEND,
    Counts,
    Detector,
    FeedError,
    ParameterError,
    Rejected,
    UsageError,
    __version__,
)
from fastanomaly.rules.exact import cents_text

TIME = "2017-06-13 11:33:01"


def with_friend(*amounts, degree=2, tracked=50, sigmas=3):
    """Return a detector in which "buyer" has one friend, "friend", with these purchases."""
    detector = Detector(degree, tracked, sigmas)
    detector.befriend("buyer", "friend")
    for second, amount in enumerate(amounts):
        detector.record("friend", amount, second)
    return detector


def test_a_flag_has_the_purchase_and_its_statistics():
    flag = with_friend("16.83", "59.28", "11.20").purchase(
        "buyer", "1601.83", "2017-06-13 11:33:02"
    )
    assert (flag.user, flag.n, flag.mean, flag.sd) == ("buyer", 3, "29.10", "21.46")
    assert str(flag.amount) == "1601.83"
    assert flag.timestamp == datetime(2017, 6, 13, 11, 33, 2, tzinfo=UTC)
    assert flag.exact_mean == Fraction(8731, 300)
    squares = [(Fraction(x) - flag.exact_mean) ** 2 for x in ("16.83", "59.28", "11.20")]
    assert flag.exact_variance == sum(squares) / 3
    assert (flag.log, flag.line, flag.raw) == (None, None, None)
    with pytest.raises(ValueError, match="was not read from a line"):
        flag.to_line()


def test_equality_is_not_anomalous():
    # mean 15, sd 5: the threshold is 30.
    assert with_friend("10", "20").purchase("buyer", "30", TIME) is None
    assert with_friend("10", "20").purchase("buyer", "30.000001", TIME).sd == "5.00"
    assert with_friend("7", "7").purchase("buyer", "7", TIME) is None
    assert with_friend("7", "7").purchase("buyer", "7.000001", TIME).sd == "0.00"


def test_sums_beyond_128_bits_are_exact():
    largest = "999999999999.999999"
    detector = with_friend(*[largest, "0"] * 400, tracked=800, sigmas=1)
    # mean = sd = half the largest: the threshold is the largest itself.
    assert detector.purchase("buyer", largest, TIME) is None
    detector = with_friend(*[largest, "0"] * 400, tracked=800, sigmas="0.999")
    flag = detector.purchase("buyer", largest, TIME)
    assert (flag.mean, flag.sd) == ("499999999999.99", "499999999999.99")
    assert flag.exact_mean == Fraction(10**18 - 1, 2 * 10**6)
    assert flag.exact_variance == Fraction(10**18 - 1, 2 * 10**6) ** 2


def test_a_verdict_needs_two_purchases():
    assert with_friend().purchase("buyer", "1e11", TIME) is None
    assert with_friend("1").purchase("buyer", "1e11", TIME) is None
    assert Detector(1, 2).purchase("stranger", "1e11", TIME) is None


@pytest.mark.parametrize(
    "amount",
    ["16.83", 16.83, Decimal("16.83"), "16.830000", "+1683e-2", Decimal("1.683E+1")],
    ids=repr,
)
def test_amounts_of_any_type(amount):
    detector = with_friend("0", "0")
    assert detector.purchase("buyer", amount, TIME).amount_units == 16_830_000


def test_whole_amounts():
    assert str(with_friend(0, 0).purchase("buyer", 16, TIME).amount) == "16.00"
    assert str(with_friend(0, 0).purchase("buyer", "0.0625", TIME).amount) == "0.062500"


@pytest.mark.parametrize(
    ("amount", "error"),
    [
        (-1, ValueError),
        ("-0.01", ValueError),
        (10**12, ValueError),
        pytest.param(10**5000, ValueError, id="huge"),
        ("1e12", ValueError),
        ("0.0000001", ValueError),
        ("NaN", ValueError),
        (Decimal("Infinity"), ValueError),
        (float("nan"), ValueError),
        ("", ValueError),
        ("1,5", ValueError),
        (" 1", ValueError),
        ("0x10", ValueError),
        ("1\ud800", ValueError),
        (True, TypeError),
        (None, TypeError),
        (b"1", TypeError),
    ],
)
def test_bad_amounts_are_refused(amount, error):
    detector = with_friend()
    with pytest.raises(error, match="amount: "):
        detector.record("buyer", amount, TIME)
    assert detector.counts.purchases == 0


class Loud(str):
    """A str whose str() differs, as with members of enums."""

    __slots__ = ()

    def __str__(self):
        return self.upper()


def test_subclasses_of_str_and_integers_of_numpy():
    detector = Detector(1, 2)
    detector.befriend(Loud("red"), np.int64(7))  # type: ignore[arg-type]
    assert detector.network(7) == ["red"]
    values: Any = (np.int32(7), np.uint8(9), np.int64(5))
    assert detector.purchase(*values) is None
    with pytest.raises(ValueError, match="user id: an integer of more digits"):
        detector.network(10**5000)


def test_amounts_are_exact_in_any_context():
    flag = with_friend("0", "0").purchase("buyer", "123456789.123456", TIME)
    with localcontext(prec=6):
        assert str(flag.amount) == "123456789.123456"


@pytest.mark.parametrize(
    "timestamp",
    [
        "2017-06-13 11:33:01",
        "2017-06-13T13:33:01.000000+02:00",
        1_497_353_581_000_000,
        datetime(2017, 6, 13, 11, 33, 1),
        datetime(2017, 6, 13, 13, 33, 1, tzinfo=timezone(timedelta(hours=2))),
    ],
    ids=str,
)
def test_timestamps_of_any_type(timestamp):
    flag = with_friend("0", "0").purchase("buyer", "1", timestamp)
    assert flag.time_us == 1_497_353_581_000_000


@pytest.mark.parametrize(
    ("timestamp", "error"),
    [
        ("yesterday", ValueError),
        ("2017-06-31 00:00:00", ValueError),
        (2**63, ValueError),
        (1.5, TypeError),
        (True, TypeError),
        (None, TypeError),
    ],
)
def test_bad_timestamps_are_refused(timestamp, error):
    with pytest.raises(error, match="timestamp: "):
        with_friend().record("buyer", "1", timestamp)


@pytest.mark.parametrize(
    ("user", "error"),
    [
        ("", ValueError),
        ("a\ud800", ValueError),
        (True, TypeError),
        (1.0, TypeError),
        (None, TypeError),
        (b"a", TypeError),
    ],
)
def test_bad_user_ids_are_refused(user, error):
    detector = Detector(1, 2)
    for call in (
        lambda: detector.befriend(user, "a"),
        lambda: detector.befriend("a", user),
        lambda: detector.unfriend("a", user),
        lambda: detector.record(user, "1", TIME),
        lambda: detector.network(user),
    ):
        with pytest.raises(error, match="user id: "):
            call()
    assert detector.counts == Counts(0, 0, 0, 0, 0, 0, 0)


def test_a_self_friendship_is_refused():
    detector = Detector(1, 2)
    with pytest.raises(ValueError, match="'2' cannot befriend themself"):
        detector.befriend("2", 2)
    detector.unfriend("2", 2)
    assert detector.counts == Counts(0, 0, 1, 0, 0, 0, 0)


def test_integer_ids_equal_their_decimal_text():
    detector = Detector(1, 2)
    detector.befriend(2, -(10**30))
    detector.befriend("02", 2)
    assert sorted(detector.network("2")) == ["-1" + "0" * 30, "02"]
    assert detector.counts.users == 3


def test_a_network_has_the_users_within_the_degree():
    detector = Detector(3, 2)
    for user in range(9):
        detector.befriend(user, user + 1)
    assert detector.network(0) == ["1", "2", "3"]
    assert sorted(detector.network(5)) == ["2", "3", "4", "6", "7", "8"]
    detector.unfriend(1, 0)
    assert detector.network(0) == []
    assert detector.network("stranger") == []


@pytest.mark.parametrize("degree", [2**31 - 1, "2147483647"])
def test_a_large_degree_includes_all_connected_users(degree):
    detector = Detector(degree, 2)
    for user in range(100):
        detector.befriend(user, user + 1)
    assert len(detector.network(50)) == 100


def test_late_purchases_are_ordered_by_timestamp():
    detector = Detector(1, 2)
    detector.befriend("buyer", "friend")
    for amount, time in (("5", 50), ("1", 10), ("3", 30), ("4", 40), ("2", 20)):
        detector.record("friend", amount, time)
    flag = detector.purchase("buyer", "100", 0)
    assert (flag.n, flag.mean, flag.sd) == (2, "4.50", "0.50")
    # Of two equal timestamps, the purchase read first is the earlier and is dropped first.
    detector.record("friend", "6", 50)
    assert detector.purchase("buyer", "100", 0).mean == "5.50"
    detector.record("friend", "9", 49)
    assert detector.purchase("buyer", "100", 0).mean == "5.50"
    detector._check()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 2), "D: 0 is not in 1"),
        (("-1", 2), "D: expected a whole number, got '-1'"),
        ((1.0, 2), "D: expected a whole number, got 1.0"),
        ((True, 2), "D: expected"),
        ((2**31, 2), "D: 2147483648 is not in"),
        ((1, 1), "T: 1 is not in 2"),
        ((1, "9" * 5000), "T: "),
        ((1, 2, "-1"), "sigmas: '-1'"),
        ((1, 2, "0.0001"), "sigmas: "),
        ((1, 2, 1_000_001), "sigmas: "),
        ((1, 2, "three"), "sigmas: 'three'"),
        ((1, 2, None), "sigmas: expected int, str, Decimal or float, got NoneType"),
    ],
    ids=lambda value: f"{value!r:.20}" if isinstance(value, tuple) else value.split(":")[0],
)
def test_bad_parameters_are_refused(arguments, message):
    with pytest.raises(ParameterError, match=message):
        Detector(*arguments)
    assert issubclass(ParameterError, UsageError)


def test_parameters_are_attributes():
    detector = Detector("2", "50", "2.5")
    assert (detector.degree, detector.tracked) == (2, 50)
    assert detector.sigmas == Decimal("2.5")
    assert repr(detector) == "Detector(degree=2, tracked=50, sigmas=2.5)"
    assert repr(Detector(detector.degree, detector.tracked, detector.sigmas)) == repr(detector)
    options: dict[str, Any]
    for options, shown in (
        ({"time_unit": "s"}, ", time_unit='s'"),
        ({"round_amounts": True, "time_unit": "s"}, ", round_amounts=True, time_unit='s'"),
        ({"method": "ball", "time_unit": "iso"}, ", method='ball', time_unit='iso'"),
        ({"method": "auto", "round_amounts": False, "time_unit": None}, ""),
    ):
        text = f"Detector(degree=1, tracked=5, sigmas=3{shown})"
        assert repr(Detector(1, 5, **options)) == text
    with pytest.raises(AttributeError):
        detector.tracked = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    "clone",
    [copy.copy, copy.deepcopy, lambda detector: pickle.loads(pickle.dumps(detector))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_copies_are_independent(clone):
    detector = Detector(2, 50, "2.5", method="ball")
    detector.befriend("ann", 2)
    cloned = clone(detector)
    cloned.befriend("ann", "cho")
    assert (detector.network(2), sorted(cloned.network(2))) == (["ann"], ["ann", "cho"])
    assert repr(cloned) == repr(detector)
    assert cloned.method == "ball"


def test_lines_from_buffers():
    line = befriend("a", "b")
    for lines in (
        array("B", line * 2),
        np.frombuffer(line * 2, np.uint8),
        [line, memoryview(line)],
    ):
        detector = Detector(1, 2)
        assert detector.feed(lines).lines == 2
        assert detector.counts.befriends == 2
    for wrong in ([1, 2], [None]):
        with pytest.raises(TypeError, match="lines: expected bytes or str"):
            Detector(1, 2).feed(wrong)  # type: ignore[arg-type]
    for blank, count in ([b"", b""], 2), (["\n", "\n"], 2), ("\n\n", 2), ([], 0):
        assert Detector(1, 2).feed(blank).lines == count


LINES = [
    b'{"event_type":"befriend","id1":"buyer","id2":"friend"}',
    b'{"event_type":"purchase","timestamp":"2017-06-13 11:33:01","id":"friend","amount":"1"}',
    b'{"event_type":"purchase","timestamp":"2017-06-13 11:33:01","id":"friend","amount":2}',
    b"",
    b"rubbish",
    b'{"event_type":"purchase","timestamp":"2017-06-13 11:33:02","id":"buyer","amount":9.5}',
]


@pytest.mark.parametrize(
    "lines",
    [
        b"\n".join(LINES),
        b"\r\n".join(LINES) + b"\r\n",
        bytearray(b"\n".join(LINES)),
        memoryview(b"\n".join(LINES)),
        b"\n".join(LINES).decode(),
        LINES,
        [line + b"\n" for line in LINES],
        (line.decode() for line in LINES),
    ],
    ids=["bytes", "crlf", "bytearray", "memoryview", "str", "list", "with ends", "iterator"],
)
def test_lines_in_any_form(lines):
    detector = Detector(1, 50)
    fed = detector.feed(lines, log="today", first_line=11)
    assert fed.lines == 6
    assert fed.rejected == [Rejected("today", 15, "not_json", b"rubbish")]
    (flag,) = fed.flags
    assert (flag.log, flag.line, flag.raw) == ("today", 16, LINES[5])
    assert flag.to_line() == LINES[5][:-1] + b', "mean": "1.50", "sd": "0.50"}'
    assert detector.counts == Counts(3, 1, 0, 1, 2, 1, 3)
    assert detector.counts.events == 4


def test_lines_can_be_recorded_without_judging():
    detector = Detector(1, 50)
    assert detector.feed(LINES, judge=False).flags == []
    assert len(detector.feed(LINES[-1]).flags) == 1


def test_strict_stops_after_a_rejected_line():
    detector = Detector(1, 50)
    fed = detector.feed(LINES, strict=True)
    assert (fed.lines, len(fed.rejected), len(fed.flags)) == (5, 1, 0)
    assert detector.counts.purchases == 2


def test_lines_beyond_max_line_are_rejected():
    fed = Detector(1, 50).feed(LINES, max_line=len(LINES[0]))
    assert [(r.line, r.reason) for r in fed.rejected] == [
        (2, "line_too_long"),
        (3, "line_too_long"),
        (5, "not_json"),
        (6, "line_too_long"),
    ]
    for limit in (0, 2**31):
        with pytest.raises(ValueError, match="max_line"):
            Detector(1, 50).feed(LINES, max_line=limit)


COLUMNS: dict[str, Any] = {
    "kinds": [BEFRIEND, PURCHASE, PURCHASE, PURCHASE, UNFRIEND, PURCHASE],
    "times_us": [0, 1, 2, 3, 0, 4],
    "users": [1, 2, 2, 1, 2, 1],
    "friends": [2, 0, 0, 0, 1, 0],
    "amounts_units": [0, 10**6, 2 * 10**6, 95 * 10**5, 0, 10**9],
}


@pytest.mark.parametrize(
    "ids",
    [np.array, list, lambda ids: [f"user {i}" if i else "" for i in ids]],
    ids=["array", "list", "texts"],
)
def test_columns_of_events(ids):
    detector = Detector(1, 50)
    columns = {**COLUMNS, "users": ids(COLUMNS["users"]), "friends": ids(COLUMNS["friends"])}
    flags = detector.feed_columns(**columns)
    assert [flags.rows.tolist(), flags.n.tolist()] == [[3], [2]]
    assert [flags.mean_cents.tolist(), flags.sd_cents.tolist()] == [[150], [50]]
    assert flags.rows.dtype == np.int64
    assert detector.counts == Counts(4, 1, 1, 1, 2, 0, 4)


@pytest.mark.parametrize("user", [2**63, 2**64, -(2**63), 10**18])
def test_columns_of_large_ids(user):
    detector = Detector(1, 50)
    detector.feed_columns([BEFRIEND], [0], [user], [1], [0])
    assert detector.network(1) == [str(user)]


def test_another_thread_that_changes_a_column_leaves_the_state_valid():
    rows = 60_000
    detector = Detector(1, 2)
    columns: dict[str, Any] = {name: np.zeros(rows, np.int64) for name in COLUMNS}
    columns["kinds"] = np.full(rows, BEFRIEND, np.uint8)
    columns["users"] = np.arange(rows)
    columns["friends"] = np.arange(rows) + 1
    stopped = threading.Event()

    def scribble():
        while not stopped.wait(0.001):
            columns["kinds"][-1] ^= 255
            columns["friends"][-2] ^= 1

    thread = threading.Thread(target=scribble)
    thread.start()
    try:
        for _ in range(10):
            with suppress(ValueError, FeedError):
                detector.feed_columns(**columns)
            detector._check()
            detector = Detector(1, 2)
    finally:
        stopped.set()
        thread.join()


def test_columns_can_be_recorded_only_or_empty():
    detector = Detector(1, 50)
    assert detector.feed_columns(**COLUMNS, judge=False).rows.size == 0
    empty: dict[str, Any] = {name: [] for name in COLUMNS}
    assert detector.feed_columns(**empty).rows.size == 0
    assert detector.counts.flags == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kinds": [0, 0, 0, 0, 0, 3]}, "row 5: kind 3 is none of"),
        ({"kinds": [0, 0, 0, 0, 0, 256]}, "row 5: kinds 256 is beyond uint8"),
        ({"amounts_units": [0, -1, 0, 0, 0, 0]}, "row 1: amount_units -1 is not in"),
        ({"amounts_units": [0, 10**18, 0, 0, 0, 0]}, "row 1: amount_units 1000000"),
        ({"friends": [1, 0, 0, 0, 1, 0]}, "row 0: user '1' cannot befriend themself"),
        ({"times_us": [2**63] * 6}, "row 0: times_us 9223372036854775808 is beyond int64"),
        ({"times_us": [0]}, "kinds has 6 rows, times_us has 1"),
        ({"times_us": [[0] * 6]}, "times_us has 2 dimensions"),
        ({"users": ["1", "2", "", "1", "1", "1"]}, "row 2: users: user id: empty"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value[:32],
)
def test_invalid_columns_are_refused(change, message):
    detector = Detector(1, 50)
    with pytest.raises(ValueError, match=message):
        detector.feed_columns(**{**COLUMNS, **change})
    assert detector.counts == Counts(0, 0, 0, 0, 0, 0, 0)


def test_columns_of_wrong_types_are_refused():
    with pytest.raises(TypeError, match="amounts_units holds float64, not integers"):
        Detector(1, 50).feed_columns(**{**COLUMNS, "amounts_units": np.full(6, 0.5)})
    with pytest.raises(
        TypeError, match="row 0: users: user id: expected str or int, got float"
    ):
        Detector(1, 50).feed_columns(**{**COLUMNS, "users": [1.5] * 6})


def test_a_second_thread_is_refused():
    detector = Detector(1, 2)
    rows = 300_000
    columns = (np.zeros(rows, np.uint8), *[np.arange(rows)] * 3, np.zeros(rows, np.int64))
    refused = ""
    for _ in range(100):
        thread = threading.Thread(
            target=detector.feed_columns, args=columns, kwargs={"judge": False}
        )
        thread.start()
        while thread.is_alive() and not refused:
            try:
                detector.befriend("a", "b")
            except RuntimeError as error:
                refused = str(error)
        thread.join()
        if refused:
            break
    assert "one thread at a time" in refused
    detector._check()


def test_a_hub_is_correct_while_it_grows_and_shrinks():
    detector = Detector(1, 2)
    friends = set()
    for step in range(3000):
        user = step * 7919 % 1009
        if step % 3 == 2:
            detector.unfriend(user, "hub")
            friends.discard(str(user))
        else:
            detector.befriend("hub", user)
            friends.add(str(user))
        if step % 500 == 0:
            detector._check()
    detector._check()
    assert set(detector.network("hub")) == friends


def test_the_import_loads_no_large_module():
    code = (
        "import sys, fastanomaly; print(sorted({'numpy', 'tqdm', 'gzip'} & set(sys.modules)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert out.stdout == "[]\n"


def test_the_version_reasons_and_cents():
    assert __version__.count(".") == 2
    assert len(set(REASONS)) == 11
    assert [cents_text(cents) for cents in (0, 9, 2910)] == ["0.00", "0.09", "29.10"]


def test_degree_sigmas_and_method_can_be_set_between_purchases():
    detector = Detector(1, 10, 3)
    chain = ["a", "b", "c", "d"]
    for user, friend in pairwise(chain):
        detector.befriend(user, friend)
    for second, user in enumerate(["b", "c", "c", "d"]):
        detector.record(user, 10 + second, second)
    assert detector.purchase("a", 1000, 9) is None  # one purchase in the network: no verdict
    detector.degree = "2"
    for method in ("auto", "ball"):
        detector.method = method
        assert detector.purchase("a", 1000, 9).n == 3
    detector.degree = 3
    assert detector.purchase("a", 1000, 9).n == 4
    detector.sigmas = "1000.5"
    assert detector.purchase("a", 1000, 9) is None
    assert (detector.degree, str(detector.sigmas), detector.method) == (3, "1000.5", "ball")
    for name, value in (("degree", 0), ("sigmas", -1), ("method", "magic")):
        before = getattr(detector, name)
        with pytest.raises(ParameterError):
            setattr(detector, name, value)
        assert getattr(detector, name) == before


def test_memory_is_within_the_bounds_of_the_design():
    """The bounds are in docs/design.md; the graph is large enough to reach them."""
    users, rng = 20_000, np.random.default_rng(0)
    detector = Detector(3, 50)
    a = (rng.random(10 * users) ** 3 * users).astype(np.int64)
    b = rng.integers(0, users, 10 * users)
    a, b = a[a != b], b[a != b]
    nothing = np.zeros(len(a), np.int64)
    detector.feed_columns(nothing + BEFRIEND, nothing, a, b, nothing)
    buyers = rng.integers(0, users, 10 * users)
    times = np.arange(len(buyers))
    detector.feed_columns(times * 0 + PURCHASE, times, buyers, buyers, times, judge=False)
    memory, counts = detector.memory(), detector.counts
    assert memory.users <= 64 * counts.users
    assert memory.friendships <= 12 * 2 * counts.friendships
    assert memory.purchases <= 1.25 * 24 * counts.kept
    assert memory.ids == 0
    assert memory.total == sum(
        (memory.users, memory.friendships, memory.purchases, memory.recency, memory.scratch)
    )
    detector.befriend("a" * 1000, "b")
    assert 1001 <= detector.memory().ids <= 1200


def test_sample_users_are_evenly_spaced():
    detector = Detector(1, 2)
    assert detector.sample_users(5) == []
    for user in range(10):
        detector.record(user, 1, user)
    everybody = [str(user) for user in range(10)]
    assert detector.sample_users(10) == detector.sample_users(99) == everybody
    assert detector.sample_users(5) == ["0", "2", "4", "6", "8"]
    assert detector.sample_users(0) == []
