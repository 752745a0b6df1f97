"""What the messages say about wrong values that Python programs pass."""

from typing import Any

import numpy as np
import pytest

from fastanomaly import PURCHASE, Detector

SECONDS = 1_718_000_000
ADVICE = "columns of times are always in microseconds: "


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
