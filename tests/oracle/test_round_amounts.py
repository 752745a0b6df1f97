"""Rounded amounts against the reference: single texts, lines, and whole random logs."""

from random import Random

import hypothesis.strategies as st
import profiles
import pytest
import reference
from adjusting import noisy
from hypothesis import example, given, settings
from lines import unusual_spellings
from profiles import examples
from randomlogs import random_logs

from fastanomaly import Detector, detect
from fastanomaly._core import amount_units, decode, scan

LOGS = max(profiles.current().random_logs // 10, 40)
CHUNK = 40

digits = st.text("0123456789", max_size=22)
amount_like = st.builds(
    lambda sign, whole, point, decimals, power: sign + whole + point + decimals + power,
    st.sampled_from(["", "", "", "+", "-"]),
    digits | st.sampled_from(["999999999999", "0"]),
    st.sampled_from(["", ".", ".", ".", ".."]),
    digits
    | st.sampled_from(["9999994", "9999995", "99999949999999999", "0000005" + "0" * 40]),
    st.sampled_from(
        [
            "",
            "",
            "",
            "e5",
            "E-3",
            "e-12",
            "e+12",
            "e",
            "e-",
            "e99999999999999999999",
            "e-" + "9" * 30,
        ]
    ),
)


def expected_units(text, rounded=True):
    try:
        return reference.parse_amount(text, rounded) * 10**6
    except reference.Reject:
        return None


@given(amount_like)
@example("25.049999999999997")
@example("0.0000005")
@example("0.0000015")
@example("0.00000050000000000000000000000000000000001")
@example("-0.0000001")
@example("-0.0000005")
@example("-0.0000006")
@example("999999999999.9999995")
@example("999999999999.9999994")
@example("0." + "0" * 5000 + "1")
@example("1" + "0" * 5000 + "e-4994")
@example("0" * 5000 + "1." + "3" * 5000)
@example("5e-7")
@example("15e-7")
@example("99999999999999999999")
@settings(max_examples=examples(2000))
def test_any_decimal_is_rounded_half_to_even(text):
    units = expected_units(text)
    assert amount_units(text, True) == units
    strict = expected_units(text, rounded=False)
    assert amount_units(text) == strict
    assert strict is None or strict == units


@given(amount_like, st.booleans())
@settings(max_examples=examples(500))
def test_lines_are_rounded_by_the_scanner_and_by_the_decoder(text, quoted):
    value = f'"{text}"' if quoted else text
    line = (
        f'{{"event_type":"purchase", "timestamp":"2017-06-13 11:33:02", "id":"2", '
        f'"amount": {value}}}'
    ).encode()
    found = scan(line, True)
    assert found is None or found == decode(line, True)
    expected = by_reference(line)
    assert decode(line, True) == expected
    reasons = [] if isinstance(expected, tuple) else [reference.REASONS[expected]]
    # One thread: counting processors would take longer than all the rest.
    detector = Detector(1, 2, round_amounts=True, threads=1)
    for spelling in unusual_spellings(line):
        fed = detector.feed(spelling)
        assert [r.reason for r in fed.rejected] == reasons, spelling


def by_reference(line):
    """Return what `decode` returns, by the reference."""
    try:
        _, user, amount, time_us = reference.parse_event(line, round_amounts=True)
    except reference.Reject as reject:
        return reference.REASONS.index(reject.reason)
    return 0, user, time_us, amount * 10**6


@pytest.mark.parametrize("first_seed", range(0, LOGS, CHUNK))
def test_agrees_with_the_reference(first_seed, tmp_path):
    rounded = 0
    paths = [str(tmp_path / name) for name in ("batch", "stream", "out", "rejects")]
    for seed in range(first_seed, min(first_seed + CHUNK, LOGS)):
        logs = random_logs(seed)
        random = Random(seed)
        batch, stream = noisy(logs.batch, random), noisy(logs.stream, random)
        (tmp_path / "batch").write_bytes(batch)
        (tmp_path / "stream").write_bytes(stream)
        for option in (False, True):
            expected = reference.detect(batch, stream, round_amounts=option, **logs.arguments)
            summary = detect(
                *paths[:3], rejects=paths[3], round_amounts=option, **logs.arguments
            )
            assert (tmp_path / "out").read_bytes() == expected.output, seed
            rejects = (tmp_path / "rejects").read_bytes().split(b"\n")[:-1]
            raw = [line.split(b"\t", 4)[4] for line in rejects]
            assert raw == [reject.raw for reject in expected.rejects], seed
            assert summary.rounded_amounts == expected.rounded_amounts, seed
            rounded += summary.rounded_amounts
    assert rounded > 0


def test_a_block_with_noise_in_every_line_is_counted_exactly():
    detector = Detector(1, 2, round_amounts=True)
    line = (
        b'{"event_type":"purchase", "timestamp":"2017-06-13 11:33:02", "id":"%d", '
        b'"amount": %b}\n'
    )
    amounts = [b"25.049999999999997", b"25.05", b'"1e-7"', b"-1e-9", b"1e999", b"0.1"]
    block = b"".join(line % (n % 50, amounts[n % 6]) for n in range(6000))
    fed = detector.feed(block)
    assert len(fed.rejected) == 1000
    assert detector.counts.rounded_amounts == 3000
    assert detector.counts.purchases == 5000
