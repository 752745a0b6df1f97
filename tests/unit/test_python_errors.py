"""What the messages say about wrong values that Python programs pass."""

import json
from collections import UserDict
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from fastanomaly import PURCHASE, Detector

SECONDS = 1_718_000_000
TIME = "2017-06-13 11:33:02"
UNITS = 'time_unit="s" reads seconds since 1970, "ms", "us" and "ns" smaller units'
ADVICE = "columns of times are always in microseconds: "
ROUNDED = ", and is too large when rounded"


def fed(times: Any, **options: Any) -> Detector:
    """Return a detector after purchases at some times."""
    detector = Detector(1, 5, **options)
    rows = len(times)
    detector.feed_columns([PURCHASE] * rows, times, ["ann"] * rows, None, [10**6] * rows)
    return detector


@pytest.mark.parametrize("unit", [None, "s", "ms", "ns", "iso"])
@pytest.mark.parametrize("kind", [np.int64, object])
@pytest.mark.parametrize(
    ("time", "advice"),
    [
        (SECONDS, f"seconds: {ADVICE}multiply by 10**6, or pass datetime64"),
        (SECONDS * 10**3, f"milliseconds: {ADVICE}multiply by 1000, or pass datetime64"),
        (SECONDS * 10**9, f"1970; {ADVICE}divide nanoseconds by 1000, or pass datetime64"),
    ],
)
def test_the_advice_for_a_column_of_another_unit_works_for_columns(unit, kind, time, advice):
    with pytest.raises(ValueError, match="row 0: times_us: ") as caught:
        fed(np.array([time], kind), time_unit=unit)
    assert str(caught.value).endswith(advice)
    assert "time_unit" not in str(caught.value)


def test_the_advice_for_a_single_time_names_the_option():
    times: list[tuple[int, Any]]
    times = [(SECONDS, "s"), (SECONDS * 10**3, "ms"), (SECONDS * 10**9, "ns")]
    for time, unit in times:
        with pytest.raises(ValueError, match=rf"Detector\(\.\.\., time_unit='{unit}'\)"):
            Detector(1, 5).record("ann", 1, time)
        Detector(1, 5, time_unit=unit).record("ann", 1, time)


def test_the_advice_for_columns_leads_to_the_right_time():
    for column in (
        np.array([SECONDS]) * 10**6,
        np.array([SECONDS * 10**3]) * 1000,
        np.array([SECONDS * 10**9]) // 1000,
        np.array([SECONDS], "M8[s]"),
    ):
        assert fed(column, time_unit="s").newest_us == SECONDS * 10**6


@pytest.mark.parametrize("kind", [np.int64, object])
def test_all_integers_of_columns_are_microseconds_if_the_unit_is_named(kind):
    assert fed(np.array([SECONDS], kind), time_unit="us").newest_us == SECONDS


def test_a_column_of_floats_is_said_to_need_integers():
    with pytest.raises(TypeError, match=f"float64, not integers: {ADVICE[:-2]}, as integers"):
        fed(np.array([SECONDS + 0.5]), time_unit="s")


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("$5", "has a currency sign"),
        (np.str_("$5"), "has a currency sign"),
        ("1,601.83", "has thousands separators"),
        ("1601,83", "has a decimal comma instead of a point"),
        ("", "is empty"),
        (-5, "is negative"),
        (-0.5, "is negative"),
        (Decimal("-5"), "is negative"),
        (-(10**5000), "is negative"),
        (10**12, "is too large: amounts are below 10^12"),
        (10**5000, "is too large: amounts are below 10^12"),
        (np.float32(1e13), "is too large: amounts are below 10^12"),
        (float("nan"), "is not a finite number"),
        (float("-inf"), "is not a finite number"),
        ("1.1234567", "round_amounts=True rounds it"),
        (0.1 + 0.2, "round_amounts=True rounds it"),
        ("999999999999.9999999", f"has more than six decimals{ROUNDED}"),
    ],
    ids=lambda value: "integer" if isinstance(value, int) else f"{value!r:.30}",
)
def test_the_error_of_an_amount_says_what_is_wrong(amount, words):
    detector = Detector(1, 5)
    for call in (
        lambda: detector.purchase("ann", amount, TIME),
        lambda: detector.record("ann", amount, TIME),
        lambda: detector.explain("ann", amount),
    ):
        with pytest.raises(
            ValueError, match=r"^amount: .* with at most six decimals"
        ) as caught:
            call()
        assert str(caught.value).endswith(f"({words})")


def test_the_error_of_an_amount_if_amounts_are_rounded():
    detector = Detector(1, 5, round_amounts=True)
    for amount, words in (
        ("$5", "below 10^12 (has a currency sign)"),
        ("999999999999.9999999", f"below 10^12 (has more than six decimals{ROUNDED})"),
        ("five", "below 10^12"),
    ):
        with pytest.raises(ValueError, match=r"^amount: ") as caught:
            detector.record("ann", amount, TIME)
        assert str(caught.value).endswith(words)


@pytest.mark.parametrize(
    ("timestamp", "words"),
    [
        ("2017-06-13T11:33", 'has no seconds: time_unit="iso" accepts that'),
        (
            "2017-06-13T11:33:02.123456789",
            'has 9 decimals of a second: time_unit="iso" cuts all but 6',
        ),
        (str(SECONDS), f"is a number: {UNITS}"),
        ("2017-06-13", "is only a date: the time is missing"),
        ("06/13/2017 11:33", "has slashes: the date must be YYYY-MM-DD"),
        ("2017-02-30 11:33:02", "has day 30: days of 2017-02 are 01 to 28"),
        ("yesterday", 'must be like "2017-06-13 11:33:02"'),
    ],
)
def test_the_error_of_a_timestamp_says_what_is_wrong(timestamp, words):
    with pytest.raises(ValueError, match=r"^timestamp: .* is not a date and time") as caught:
        Detector(1, 5).purchase("ann", 5, timestamp)
    assert str(caught.value).endswith(f"({words})")
    with pytest.raises(ValueError, match=r"^columns, row 0: times_us: ") as caught:
        fed([timestamp])
    assert str(caught.value).endswith(f"({words.partition(': time_unit')[0]})")


@pytest.mark.parametrize("timestamp", [SECONDS + 0.5, np.float32(5), Decimal(SECONDS)])
def test_the_error_of_a_fraction_names_the_option(timestamp):
    unit: Any
    for unit in (None, "iso"):
        with pytest.raises(TypeError, match=r"^timestamp: expected str, int, ") as caught:
            Detector(1, 5, time_unit=unit).purchase("ann", 5, timestamp)
        assert str(caught.value).endswith(f"got {type(timestamp).__name__}: {UNITS}")
    Detector(1, 5, time_unit="s").record("ann", 5, timestamp)
    with pytest.raises(TypeError, match=f"{ADVICE[:-2]}, as integers or datetime64"):
        fed([timestamp, None])


@pytest.mark.parametrize(
    ("unit", "timestamp", "words"),
    [
        ("s", "2017-06-13", "; is only a date: the time is missing)"),
        ("s", "99999999999999", "(time_unit='s')"),
        ("s", 99999999999999, "(time_unit='s')"),
        ("iso", str(SECONDS), f"; is a number: {UNITS})"),
        ("iso", "2017-06-13T11", "; has no minutes and seconds)"),
    ],
)
def test_the_error_of_a_timestamp_in_a_unit_says_what_is_wrong(unit, timestamp, words):
    with pytest.raises(ValueError, match=rf"9999 .time_unit='{unit}'") as caught:
        Detector(1, 5, time_unit=unit).purchase("ann", 5, timestamp)
    assert str(caught.value).endswith(words)


@pytest.mark.parametrize(
    "timestamp",
    [
        TIME,
        "2017-06-13T11:33Z",
        datetime(2017, 6, 13),
        date(2017, 6, 13),
        np.datetime64("2017-06-13"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("options", [{}, {"round_amounts": True, "time_unit": "s"}])
def test_swapped_amount_and_timestamp_are_named(timestamp, options):
    detector = Detector(1, 5, **options)
    for call in (detector.purchase, detector.record):
        with pytest.raises(
            (TypeError, ValueError), match=r"^amount: .*given as user, amount,"
        ):
            call("ann", timestamp, "5")
    others: list[Any] = [None, "5:00", [5], True]
    for other in others:
        with pytest.raises((TypeError, ValueError), match=r"^amount: ") as caught:
            detector.purchase("ann", other, TIME)
        assert "given as" not in str(caught.value)


EVENT = {"event_type": "befriend", "id1": "ann", "id2": "bob"}


@pytest.mark.parametrize(
    "events",
    [EVENT, [EVENT], (EVENT for _ in range(2)), MappingProxyType(EVENT), UserDict(EVENT)],
    ids=lambda events: type(events).__name__,
)
def test_events_as_dicts_are_refused(events):
    detector = Detector(1, 5)
    with pytest.raises(TypeError, match=r"^lines: expected bytes or str, got .*json\.dumps"):
        detector.feed(events)
    assert detector.counts.events == 0
    assert detector.feed(json.dumps(EVENT)).rejected == []
    assert detector.feed([json.dumps(event) for event in (EVENT, EVENT)]).lines == 2
    assert detector.counts.befriends == 3


def test_a_table_is_refused_and_a_column_of_lines_is_read():
    lines: list[Any] = [
        np.array([json.dumps(EVENT)] * 2),
        np.array([json.dumps(EVENT)] * 2, "S"),
    ]
    pd = pytest.importorskip("pandas")
    with pytest.raises(TypeError, match=r"^lines: .* got DataFrame: pass one line of JSON"):
        Detector(1, 5).feed(pd.DataFrame([EVENT]))
    for some in (*lines, pd.Series(lines[0])):
        detector = Detector(1, 5)
        assert detector.feed(some)[::2] == (2, [])
        assert detector.counts.befriends == 2
