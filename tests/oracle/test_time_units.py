"""Times in units against the reference: single values, lines, and whole random logs."""

import json
from random import Random

import hypothesis.strategies as st
import profiles
import pytest
import reference
from adjusting import UNITS, in_unit
from hypothesis import example, given, settings
from lines import unusual_spellings
from profiles import examples
from randomlogs import random_logs

from fastanomaly import Detector, detect
from fastanomaly._core import decode, scan

LOGS = max(profiles.current().random_logs // 20, 20)

digits = st.text("0123456789", min_size=1, max_size=22)
numbers = st.one_of(
    st.integers(-(10**21), 10**21).map(str),
    st.builds(
        lambda sign, whole, decimals, power: sign + whole + decimals + power,
        st.sampled_from(["", "", "-", "+"]),
        st.sampled_from(["1465542311", "0", "62135596800", "253402300799", ""]) | digits,
        st.sampled_from(["", ".", ".25", ".000001", ".0000001", ".9999999", ".1" + "0" * 50]),
        st.sampled_from(
            ["", "", "", "e3", "E-6", "e+9", "e-400", "e400", "e", "e-" + "9" * 30]
        ),
    ),
    st.sampled_from(["true", "null", "[]", "{}", "1465542311.25"]),
)
texts = st.builds(
    lambda date, between, clock, fraction, zone: date + between + clock + fraction + zone,
    st.dates().map(str) | st.sampled_from(["0000-01-01", "2023-02-29", "2000-02-29"]),
    st.sampled_from([" ", "T", "T", "t", ""]),
    st.sampled_from(
        ["11:33", "11:33:01", "23:59:59", "24:00", "11:60", "11:33:", "11:3", "11"]
    ),
    st.sampled_from(
        ["", "", ".1", ".", ".123456000", ".123456789", ".000000001", "." + "9" * 60]
    ),
    st.sampled_from(["", "Z", "+02", "-0530", "+05:30", "z", "+24:00", "+05:300", " Z"]),
)


def line_with(timestamp):
    return (
        f'{{"event_type":"purchase", "timestamp":{timestamp}, "id":"2", "amount": 1}}'
    ).encode()


def by_reference(line, unit):
    """Return what `decode` returns, by the reference."""
    try:
        _, user, amount, time_us = reference.parse_event(line, time_unit=unit)
    except reference.Reject as reject:
        return reference.REASONS.index(reject.reason)
    return 0, user, time_us, amount * 10**6


def reasons(expected):
    return [] if isinstance(expected, tuple) else [reference.REASONS[expected]]


def check(line):
    for code, unit in enumerate((None, *UNITS)):
        expected = by_reference(line, unit)
        assert decode(line, False, code) == expected, unit
        found = scan(line, False, code)
        if found is not None:
            assert found == expected, unit
        # One thread: counting processors would take longer than all the rest.
        detector = Detector(1, 2, time_unit=unit, threads=1)
        for spelling in unusual_spellings(line):
            fed = detector.feed(spelling)
            assert [r.reason for r in fed.rejected] == reasons(expected), (unit, spelling)


@given(numbers)
@example("1465542311.25")
@example("1465542311.2500001")
@example("-0.0000001")
@example("-62135596800")
@example("-62135596800.0000001")
@example("253402300799.9999999")
@example("253402300800")
@example("1465542311123456789")
@example("123456789012345678901234567890")
@settings(max_examples=examples(1500))
def test_numbers(number):
    check(line_with(number))
    check(line_with(json.dumps(number)))


@given(texts | st.text("0123456789-: TZ.+", max_size=40))
@example("2017-06-13T11:33")
@example("2017-06-13 11:33Z")
@example("2017-06-13T11:33:01.123456789Z")
@example("2017-06-13T11:33:01.123456000+02:00")
@example("0001-01-01 00:00+23:59")
@example("1969-12-31T23:59:59.9999999")
@example("2017-06-13")
@settings(max_examples=examples(1500))
def test_texts(text):
    check(line_with(json.dumps(text)))


def test_numbers_in_the_usual_form_are_scanned():
    for code, number in ((1, "1465542311.25"), (2, "1465542311250"), (3, "1465542311250000")):
        for value in (number, f'"{number}"'):
            assert scan(line_with(value), False, code) == (0, "2", 1465542311250000, 10**6)
    assert scan(line_with("1465542311"), False, 0) is None
    assert scan(line_with('"2017-06-13T11:33"'), False, 5) is not None


@pytest.mark.parametrize("unit", UNITS)
def test_agrees_with_the_reference(unit, tmp_path):
    cut = 0
    paths = [str(tmp_path / name) for name in ("batch", "stream", "out", "rejects")]
    for seed in range(LOGS):
        logs = random_logs(seed)
        random = Random(seed)
        batch, stream = (in_unit(log, unit, random) for log in (logs.batch, logs.stream))
        (tmp_path / "batch").write_bytes(batch)
        (tmp_path / "stream").write_bytes(stream)
        for option in (None, unit):
            expected = reference.detect(batch, stream, time_unit=option, **logs.arguments)
            summary = detect(*paths[:3], rejects=paths[3], time_unit=option, **logs.arguments)
            assert (tmp_path / "out").read_bytes() == expected.output, seed
            rejects = (tmp_path / "rejects").read_bytes().split(b"\n")[:-1]
            found = [tuple(line.split(b"\t", 4)[2::2]) for line in rejects]
            assert found == [(r.reason.encode(), r.raw) for r in expected.rejects], seed
            assert summary.cut_times == expected.cut_times, seed
            cut += summary.cut_times
    assert cut > 0
