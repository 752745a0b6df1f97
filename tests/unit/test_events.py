"""The reason and the detail of rejected lines."""

import pytest
import reference

from fastanomaly import REASONS, Detector
from fastanomaly.rules.rejects import describe

PURCHASE = b'{"event_type":"purchase","timestamp":%b,"id":%b,"amount":%b}'
TIME = b'"2017-06-13 11:33:01"'

CASES = [
    (b"\xff\xfe", "invalid_utf8", "byte 1: invalid start byte"),
    (b'{"a":', "not_json", "byte 6: "),
    (b"[1, 2]", "not_an_object", "is [1, 2]"),
    (b"[" * 600 + b"]" * 600, "not_an_object", "is [[["),
    (b"{}", "bad_event_type", "event_type: missing"),
    (b'{"event_type":null}', "bad_event_type", "event_type: null"),
    (b'{"event_type":"Purchase"}', "bad_event_type", 'event_type: "Purchase"'),
    (b'{"event_type":"purchase"}', "missing_field", "timestamp: missing"),
    (b'{"event_type":"befriend","id1":"a"}', "missing_field", "id2: missing"),
    (PURCHASE % (b"5", b"1", b"1"), "wrong_type", "timestamp: 5"),
    (PURCHASE % (TIME, b"true", b"1"), "wrong_type", "id: true"),
    (PURCHASE % (TIME, b"1.5", b"1"), "wrong_type", "id: 1.5"),
    (PURCHASE % (TIME, b"1e400", b"1"), "wrong_type", "id: 1e400"),
    (PURCHASE % (TIME, b"1", b"[]"), "wrong_type", "amount: []"),
    (b'{"event_type":"unfriend","id1":null}', "wrong_type", "id1: null"),
    (PURCHASE % (TIME, b'""', b"1"), "bad_id", "id: empty"),
    (PURCHASE % (b'"now"', b"1", b"1"), "bad_timestamp", 'timestamp: "now"'),
    (PURCHASE % (TIME, b"1", b'"-3"'), "bad_amount", 'amount: "-3"'),
    (PURCHASE % (TIME, b"1", b"1e400"), "bad_amount", "amount: 1e400"),
    (PURCHASE % (TIME, b"1", b"0.12345678"), "bad_amount", "amount: 0.12345678"),
    (b'{"event_type":"befriend","id1":2,"id2":"2"}', "self_friendship", "id1 and id2: 2"),
    (b" " * (2**20 + 1), "line_too_long", "longer than the limit"),
]


@pytest.mark.parametrize(
    ("line", "reason", "detail"), CASES, ids=[f"{case[1]}-{case[2]:.24}" for case in CASES]
)
def test_rejected_lines_have_a_reason_and_a_detail(line, reason, detail):
    (rejected,) = Detector(1, 2).feed(line).rejected
    assert rejected.reason == reason
    assert rejected.detail.startswith(detail)
    assert describe(line, reason) == rejected.detail


def test_every_reason_is_described():
    assert {reason for _, reason, _ in CASES} == set(REASONS)
    assert REASONS == reference.REASONS


def test_long_values_are_shortened():
    line = PURCHASE % (b'"%b"' % (b"x" * 500), b"1", b"1")
    (rejected,) = Detector(1, 2).feed(line).rejected
    assert len(rejected.detail) < 100
    assert rejected.detail.endswith("...")
