"""Values as Python programs have them: times, dates, NumPy and pandas, masked entries."""

import json
from datetime import date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from fastanomaly import (
    BEFRIEND,
    PURCHASE,
    Detector,
    ParameterError,
    Simulation,
    detect,
    explain,
    report,
    simulate,
    sweep,
)
from fastanomaly.times import FIRST_US, LAST_US, exact_time_us

MOMENT_US = 1_497_353_581_000_000  # 2017-06-13 11:33:01
TEXT = "2017-06-13T11:33:01"


def given_back(timestamp):
    """Return the times that a purchase and a row of columns have afterwards."""
    detector = Detector(1, 5)
    detector.befriend("buyer", "friend")
    detector.record("friend", 0, MOMENT_US)
    detector.record("friend", 0, MOMENT_US)
    flag = detector.purchase("buyer", 1, timestamp)
    detector.feed_columns([PURCHASE], [timestamp], ["friend"], None, [10**6])
    newest = next(p for p in detector.explain("buyer", 1).baseline if p.amount_units == 10**6)
    return flag.time_us, newest.time_us


@pytest.mark.parametrize(
    "timestamp",
    [
        *[np.datetime64(TEXT, unit) for unit in ("s", "ms", "us", "ns")],
        np.datetime64(MOMENT_US // (7 * 10**6), "7s"),  # type: ignore[call-overload]
        np.array(TEXT, "M8[us]"),
        np.int64(MOMENT_US),
        np.uint64(MOMENT_US),
        np.array(MOMENT_US),
        np.str_("2017-06-13 11:33:01"),
        datetime(2017, 6, 13, 13, 33, 1, tzinfo=timezone(timedelta(hours=2))),
    ],
    ids=repr,
)
def test_times_of_numpy(timestamp):
    expected = MOMENT_US - (MOMENT_US % (7 * 10**6) if "7s" in repr(timestamp) else 0)
    assert exact_time_us(timestamp) == expected
    assert given_back(timestamp) == (expected, expected)


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (date(2017, 6, 13), "2017-06-13 00:00:00"),
        (np.datetime64("2017-06-13"), "2017-06-13 00:00:00"),
        (np.datetime64("2017-06-15", "W"), "2017-06-15 00:00:00"),
        (np.datetime64("2017-06"), "2017-06-01 00:00:00"),
        (np.datetime64("2017"), "2017-01-01 00:00:00"),
        (np.datetime64("0001-01-01"), "0001-01-01 00:00:00"),
        (np.datetime64("9999"), "9999-01-01 00:00:00"),
        (np.datetime64("2017-06-13T11"), "2017-06-13 11:00:00"),
        (np.datetime64("2017-06-13T11:33"), "2017-06-13 11:33:00"),
        (np.datetime64("1969-12-31T23:59:59.999999000"), "1969-12-31 23:59:59.999999"),
        (np.datetime64("1970-01-01T00:00:00.000001", "fs"), "1970-01-01 00:00:00.000001"),
        (np.array(20, "M8[100ns]")[()], "1970-01-01 00:00:00.000002"),
        (np.array(-1, "M8[1000ns]")[()], "1969-12-31 23:59:59.999999"),
        (np.array(10**9, "M8[1000as]")[()], "1970-01-01 00:00:00.000001"),
        (np.array(0, "M8[2000000000W]")[()], "1970-01-01 00:00:00"),
        (datetime.min, "0001-01-01 00:00:00"),
        (datetime.max, "9999-12-31 23:59:59.999999"),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=23, minutes=59))), None),
        (datetime.max.replace(tzinfo=timezone(-timedelta(hours=23, minutes=59))), None),
    ],
    ids=repr,
)
def test_dates_and_other_units(timestamp, expected):
    time = exact_time_us(expected or timestamp.isoformat())
    assert given_back(timestamp) == (time, time)


def test_times_of_pandas():
    pd = pytest.importorskip("pandas")
    for timestamp in (
        pd.Timestamp(TEXT),
        pd.Timestamp(TEXT + ".000000000"),
        pd.Timestamp(TEXT + "+02:00") + pd.Timedelta(hours=2),
        pd.Timestamp(TEXT, tz="America/New_York") - pd.Timedelta(hours=4),
    ):
        assert given_back(timestamp) == (MOMENT_US, MOMENT_US)
    series = pd.Series(pd.to_datetime([TEXT, TEXT, None]))
    kinds = np.array([PURCHASE, PURCHASE, BEFRIEND])
    for times in (
        series,
        series.astype("datetime64[ns]"),
        series.dt.tz_localize("UTC"),
        series.astype(object),
        pd.Series([TEXT, TEXT, None], dtype="string"),
        pd.Series([MOMENT_US, MOMENT_US, None], dtype="Int64"),
    ):
        detector = Detector(1, 5)
        detector.feed_columns(
            kinds,
            times,
            pd.Series([1, 1, 1]),
            [None, None, 2],
            pd.array([5, 6, None], "Int64"),
        )
        assert [p.time_us for p in detector.explain(2, 1).baseline] == [MOMENT_US] * 2
        with pytest.raises((ValueError, TypeError), match="columns, row 2: times_us"):
            detector.feed_columns([PURCHASE] * 3, times, [1, 1, 1], None, [5, 6, 7])


@pytest.mark.parametrize(
    "others",
    [
        [np.datetime64(0, "fs"), np.datetime64(0, "as")],  # with which NumPy wraps the years
        [np.datetime64("9999-01-01"), np.datetime64(0, "ns")],
        [np.datetime64("0001-01-01"), date(1, 1, 1), datetime.max],
        [TEXT, MOMENT_US],
        [MOMENT_US, np.datetime64(TEXT), np.int64(MOMENT_US)],
    ],
    ids=repr,
)
def test_a_sequence_of_several_kinds_of_times_is_exact(others):
    times = [np.datetime64("0828-04-17"), *others]
    detector = Detector(1, len(times))
    size = len(times)
    detector.feed_columns([PURCHASE] * size, times, [1] * size, None, [5] * size)
    detector.befriend(1, 2)
    found = [p.time_us for p in detector.explain(2, 1).baseline]
    assert sorted(found) == sorted(map(exact_time_us, times))


@pytest.mark.parametrize("amount", [2**63, 10**19, 10**30, 5.5, "5"])
def test_an_amount_that_is_no_integer_of_64_bits_names_the_row(amount):
    with pytest.raises((TypeError, ValueError), match="columns, row 1: amounts_units"):
        Detector(1, 2).feed_columns([PURCHASE] * 2, [MOMENT_US] * 2, [1, 1], None, [5, amount])


def not_times():
    """Return values that are no times, or whose meaning is doubtful, and the message."""
    yield np.datetime64("NaT"), "NaT"
    yield np.datetime64("NaT", "ns"), "NaT"
    yield np.datetime64(f"{TEXT}.000000001"), "finer than a microsecond"
    yield np.datetime64(1, "as"), "finer than a microsecond"
    yield np.array(15, "M8[100ns]")[()], "finer than a microsecond"
    yield np.datetime64(10**6, "Y"), "outside the years 1 to 9999"
    yield np.datetime64(-(2**62), "M"), "outside the years 1 to 9999"
    yield np.datetime64(2**62, "D"), "outside the years 1 to 9999"
    yield np.datetime64(2**62, "us"), "outside the years 1 to 9999"
    yield np.datetime64("0000-12-30"), "outside the years 1 to 9999"
    yield 1_497_353_581, "likely in seconds"
    yield np.int64(1_497_353_581), "likely in seconds"
    yield 1_497_353_581_000, "likely in milliseconds"
    yield 1_497_353_581_000_000_000, "nanoseconds"
    yield FIRST_US - 1, "outside the years 1 to 9999"
    yield LAST_US + 1, "outside the years 1 to 9999"
    yield -(2**63), "outside the years 1 to 9999"
    try:
        import pandas as pd  # noqa: PLC0415
    except ImportError:
        return
    yield pd.NaT, "NaT"
    yield pd.Timestamp(f"{TEXT}.000000001"), "finer than a microsecond"


@pytest.mark.parametrize(("value", "message"), list(not_times()), ids=repr)
def test_what_is_no_time_is_an_error_that_names_the_row(value, message):
    detector = Detector(1, 2)
    for call in (detector.purchase, detector.record):
        with pytest.raises(ValueError, match=f"timestamp: .*{message}"):
            call("1", 1, value)
    times = [value, value, value]
    columns: list[tuple[int, Any]] = [(0, times)]
    if isinstance(value, np.datetime64) and value.dtype != "M8":
        columns.append((1, np.array(times)))
        columns[-1][1][0] = 0
    for row, column in columns:
        with pytest.raises(ValueError, match=f"columns, row {row}: times_us: .*{message}"):
            detector.feed_columns([PURCHASE] * 3, column, [1, 1, 1], [0, 0, 0], [1, 1, 1])
        # Friendships have no time.
        detector.feed_columns([BEFRIEND] * 3, column, [1, 1, 1], [2, 2, 2], [1, 1, 1])
    assert detector.counts.purchases == 0


@pytest.mark.parametrize(
    "value",
    [np.timedelta64(5, "s"), np.bool_(True), np.float64(5), np.array([1, 2])],
    ids=repr,
)
def test_other_types_are_no_times(value):
    with pytest.raises(TypeError):
        Detector(1, 2).record("1", 1, value)


def test_every_accepted_time_is_given_back():
    lines = [
        ("0001-01-01 00:00:00+23:59", datetime(1, 1, 1)),
        ("9999-12-31 23:59:59.999999-23:59", datetime.max),
        ("0001-01-01 00:00:00", datetime(1, 1, 1)),
        ("9999-12-31 23:59:59.999999", datetime.max),
    ]
    for text, local in lines:
        detector = Detector(1, 2)
        detector.befriend("buyer", "friend")
        detector.record("friend", 0, 0)
        detector.record("friend", 0, 0)
        (flag,) = detector.feed(
            f'{{"event_type":"purchase","timestamp":"{text}","id":"buyer","amount":1}}'
        ).flags
        assert flag.timestamp.replace(tzinfo=None) == local
        zone = text[-6:] if text[-3] == ":" and text[-6] in "+-" else "+00:00"
        assert flag.timestamp.isoformat().endswith(zone)
        assert exact_time_us(flag.timestamp) == flag.time_us
        assert str(flag)
    assert exact_time_us(FIRST_US) == exact_time_us(lines[0][0])
    assert exact_time_us(LAST_US) == exact_time_us(lines[1][0])


def masked(values, mask):
    return np.ma.masked_array(values, mask)


COLUMNS: dict[str, Any] = {
    "kinds": np.array([BEFRIEND, PURCHASE, PURCHASE], np.uint8),
    "times_us": np.array([7, 8, 9]),
    "users": np.array([1, 2, 2]),
    "friends": np.array([2, 0, 0]),
    "amounts_units": np.array([0, 5, 6]),
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("row", range(3))
def test_masked_entries_are_errors_where_they_are_needed(name, row):
    detector = Detector(1, 5)
    mask = [i == row for i in range(3)]
    columns = COLUMNS | {name: masked(COLUMNS[name], mask)}
    unused = {"times_us": [0], "friends": [1, 2], "amounts_units": [0]}
    if row in unused.get(name, ()):
        detector.feed_columns(**columns)
        assert detector.counts.purchases == 2
        assert [p.amount_units for p in detector.explain(1, 1).baseline] == [6, 5]
        return
    with pytest.raises(ValueError, match=f"columns, row {row}: {name}: masked"):
        detector.feed_columns(**columns)
    assert detector.counts.events == 0


def test_masked_values_are_errors():
    detector = Detector(1, 5)
    masked_entry: Any = np.ma.masked
    with pytest.raises(ValueError, match="amount: masked"):
        detector.record("1", masked_entry, MOMENT_US)
    with pytest.raises(ValueError, match="timestamp: masked"):
        detector.record("1", 1, masked_entry)
    times = masked(np.array([TEXT] * 3, "M8[s]"), [True, False, False])
    detector.feed_columns(**COLUMNS | {"times_us": times})
    texts = masked(np.array(["1", "2", "2"]), [False, False, True])
    with pytest.raises(ValueError, match="columns, row 2: users: masked"):
        detector.feed_columns(**COLUMNS | {"users": texts})


def test_columns_that_no_row_uses_may_be_none():
    detector = Detector(1, 5)
    detector.feed_columns([BEFRIEND], None, [1], [2], None)
    for users in ([1, 1], ["1", "1"], np.array([1, 1])):
        detector.feed_columns([PURCHASE] * 2, [5, 6], users, None, [5, 6])
        detector.feed_columns([PURCHASE] * 2, [5, 6], users, [None, None], [5, 6])
    assert detector.counts.purchases == 12
    for name in ("times_us", "users", "friends", "amounts_units"):
        row = {"friends": 0, "users": 0}.get(name, 1)
        with pytest.raises(ValueError, match=f"columns, row {row}: {name}: missing"):
            detector.feed_columns(**COLUMNS | {name: None})
    assert detector.counts.purchases == 12


@pytest.mark.parametrize("kind", [np.int32, np.uint8, np.int64])
def test_numpy_integers_and_floats_as_parameters(kind, tmp_path):
    batch, stream = tmp_path / "batch", tmp_path / "stream"
    simulate(
        batch,
        stream,
        Simulation(users=kind(20), batch_events=kind(200), degree=kind(2), tracked=kind(20)),
    )
    detector = Detector(kind(2), kind(20), np.float32(2.1))
    assert type(detector.degree) is type(detector.tracked) is int
    assert str(detector.sigmas) == "2.1"
    detector.degree = kind(3)
    detector.sigmas = np.float64(2.5)
    detector.save(tmp_path / "state")
    assert Detector.load(tmp_path / "state").degree == 3
    assert detector.network_sizes("1", kind(2)) == []
    assert detector.sample_users(kind(2)) == []
    assert detector.explain("1", np.float32(16.83), tracked=kind(2)).amount_units == 16_830_000
    options: Any = {"degree": kind(2), "tracked": kind(20), "sigmas": np.float64(1)}
    summary = detect(
        batch,
        stream,
        tmp_path / "out",
        checkpoint=tmp_path / "kept",
        every=kind(100),
        max_line=kind(200),
        **options,
    )
    assert summary.flags > 0
    found = explain(batch, stream, flag=kind(1), degrees=[kind(1)], **options)
    assert json.dumps(found.to_dict())
    found = explain(batch, stream, line=kind(found.line), other_tracked=[kind(5)], **options)
    assert json.dumps(found.to_dict())
    result = sweep(
        batch, stream, degrees=[kind(2)], tracked=[kind(20)], sigmas=[np.float32(1)]
    )
    assert result.flags.tolist() == [summary.flags]
    assert result.cell(kind(2), kind(20), np.float64(1)) == 0
    assert report(batch, stream, degrees=[kind(2)], **options)


@pytest.mark.parametrize(
    "value", [np.float64(2), np.True_, np.array([2]), np.ma.masked, "two"]
)
def test_other_parameters_are_refused(value):
    with pytest.raises(ParameterError, match="D: expected a whole number"):
        Detector(value, 50)
