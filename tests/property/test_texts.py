"""What the engine reads from text, against the reference: amounts, timestamps, lines."""

import json
from fractions import Fraction

import hypothesis.strategies as st
import pytest
import reference
from hypothesis import example, given, settings
from profiles import examples

from fastanomaly import Detector
from fastanomaly._core import amount_units, time_us
from fastanomaly.rules.json_members import exact_number, members

digits = st.text("0123456789", max_size=22)
amount_like = st.builds(
    lambda sign, whole, point, decimals, power: sign + whole + point + decimals + power,
    st.sampled_from(["", "", "", "+", "-"]),
    digits,
    st.sampled_from(["", ".", ".."]),
    digits | st.just("0" * 40),
    st.sampled_from(["", "", "e5", "E-3", "e+12", "e", "e-", "e99999999999999999999"]),
)


def by_reference(parse, text):
    try:
        return parse(text)
    except reference.Reject:
        return None


@given(amount_like | st.text("0123456789.eE+- \u0663", max_size=12))
@example("0" * 5000 + "1." + "0" * 5000)
@example("0." + "0" * 30 + "5e30")
@example("1" + "0" * 30 + "e-30")
@example("999999999999.999999")
@example("999999999999.9999990")
@example("999999999999.9999991")
@example("1000000000000")
@settings(max_examples=examples(1000))
def test_amounts(text):
    expected = by_reference(reference.parse_amount, text)
    assert amount_units(text) == (None if expected is None else expected * 10**6)


time_like = st.builds(
    lambda date, between, clock, fraction, zone: date + between + clock + fraction + zone,
    st.dates().map(str) | st.sampled_from(["0000-01-01", "2023-02-29", "2000-02-29"]),
    st.sampled_from([" ", "T", "t", "  "]),
    st.times().map(lambda time: f"{time:%H:%M:%S}")
    | st.sampled_from(["24:00:00", "23:59:60", "1:02:03"]),
    st.sampled_from(["", ".", ".1", ".000001", ".0000001", ",5"]),
    st.sampled_from(
        ["", "Z", "z", "+00", "-0530", "+05:30", "+24:00", "+5", "+05:3", "+05:60", "Z "]
    ),
)


@given(time_like | st.text("0123456789-: TZ.", max_size=30))
@example("0001-01-01 00:00:00+23:59")
@example("9999-12-31 23:59:59.999999-23:59")
@example("1900-02-29 00:00:00")
@settings(max_examples=examples(1000))
def test_timestamps(text):
    assert time_us(text) == by_reference(reference.parse_timestamp, text)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@given(
    st.dictionaries(st.text(max_size=5), values, min_size=1, max_size=6),
    st.sampled_from([(",", ":"), (" , ", " : "), (", ", ": ")]),
    st.booleans(),
)
def test_members_are_where_they_are(fields, separators, ascii_only):
    line = json.dumps(fields, separators=separators, ensure_ascii=ascii_only)
    raw = f" {line} ".encode()
    found = members(raw)
    assert [member.name for member in found] == list(fields)
    for member in found:
        assert json.loads(raw[member.colon + 1 : member.end]) == fields[member.name]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b'{"amount":1.50}', "1.50"),
        (b'{"amount" : 1e3 , "x": "amount"}', "1e3"),
        (b'{"x": {"amount": 2}, "amount": 3.0}', "3.0"),
        (b'{"amount": 1, "amount": 2.5}', "2.5"),
        (rb'{"am\u006funt": 4.25}', "4.25"),
        (rb'{"x": "\"amount\": 9", "amount": 5.125}', "5.125"),
    ],
)
def test_exact_numbers(line, text):
    assert exact_number(line, "amount") == text


@given(st.binary(max_size=60))
def test_any_bytes_are_fed_or_rejected(data):
    detector = Detector(2, 5)
    fed = detector.feed(data)
    lines = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    assert fed.lines == len(lines) - (lines[-1] == b"" and not data.endswith(b"\r"))
    assert len(fed.rejected) + detector.counts.events == sum(
        line.strip(b" \t\r") != b"" for line in lines
    )
    for rejected in fed.rejected:
        assert rejected.raw == lines[rejected.line - 1]
        assert rejected.detail


@given(
    st.lists(st.integers(0, 10**18 - 1), min_size=2, max_size=30),
    st.integers(0, 10**18 - 1),
    st.integers(0, 4000).map(lambda k: f"{k // 1000}.{k % 1000:03d}"),
)
@example([10**18 - 1, 0] * 15, 10**18 - 1, "1")
@example([7] * 30, 7, "0")
@settings(max_examples=examples(500))
def test_verdicts(window, amount, sigmas):
    detector = Detector(1, len(window), sigmas)
    expected = reference.ReferenceDetector(1, len(window), sigmas)
    for each in (detector, expected):
        each.befriend("buyer", "friend")
    for time, units in enumerate(window):
        detector.record("friend", f"{units}e-6", time)
        expected.record("friend", Fraction(units, 10**6), time)
    flag = detector.purchase("buyer", f"{amount}e-6", 0)
    other = expected.judge("buyer", Fraction(amount, 10**6))
    assert (flag is None) == (other is None)
    if flag is not None:
        assert (flag.mean, flag.sd) == (other.mean_text, other.sd_text)
