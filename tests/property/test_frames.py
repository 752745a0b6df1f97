"""Tables of all Arrow types give what the lines give that say the same."""

import contextlib
import json
from decimal import Decimal

import hypothesis.strategies as st
import tables
from batches import all_shared
from hypothesis import given, settings
from profiles import examples
from tables import some_tables

from fastanomaly import Detector

OPTIONS = st.fixed_dictionaries(
    {
        "round_amounts": st.booleans(),
        "time_unit": st.sampled_from([None, "s", "s", "ms", "us", "ns", "iso"]),
        "threads": st.sampled_from([1, 2]),
    }
)


def comparable(flag):
    return flag[:8], flag.line, flag.log


def meaning(raw):
    """Return a line's members, numbers as exact decimals whether they are texts or not."""
    value = json.loads(raw, parse_float=Decimal, parse_int=Decimal)
    if value is None:
        return None
    text = value.get("amount")
    with contextlib.suppress(ArithmeticError):
        value["amount"] = Decimal(text) + 0 if text is not None else None
    time = value.get("timestamp")
    if isinstance(time, str) and "." in time:
        value["timestamp"] = time.rstrip("0").rstrip(".")
    return value


@given(some_tables(), OPTIONS)
@settings(max_examples=examples(300))
def test_a_table_gives_what_its_lines_give(table, options):
    frame, rows = table
    lines = [tables.line_of(row) for row in rows]
    with all_shared():
        by_lines = Detector(2, 3, 0, **options)
        expected = by_lines.feed(lines, log="t", first_line=5)
        by_rows = Detector(2, 3, 0, **options)
        fed = by_rows.feed_frame(frame, log="t", first_row=5)
    assert fed.rows == expected.lines == len(rows)
    assert [r[:3] for r in fed.rejected] == [r[:3] for r in expected.rejected]
    assert list(map(comparable, fed.flags)) == list(map(comparable, expected.flags))
    assert by_rows.counts == by_lines.counts
    by_rows._check()
    found = [event.raw for events in (fed.rejected, fed.flags) for event in events]
    wanted = [event.raw for events in (expected.rejected, expected.flags) for event in events]
    for one, other in zip(found, wanted, strict=True):
        if b"out of range" not in other:
            assert meaning(one) == meaning(other)


@given(some_tables(), OPTIONS)
@settings(max_examples=examples(60))
def test_the_lines_of_rows_can_be_fed_again(table, options):
    """A rejected row's line is rejected for the same reason, a flagged one's is valid."""
    frame, _rows = table
    by_rows = Detector(2, 3, 0, **options)
    fed = by_rows.feed_frame(frame)
    again = Detector(2, 3, 0, **options)
    for rejected in fed.rejected:
        assert again.feed([rejected.raw]).rejected[0].reason == rejected.reason
        assert rejected.detail
    for flag in fed.flags:
        single = Detector(2, 3, 0, **options)
        assert single.feed([flag.raw]).rejected == []
        assert single.newest_us == flag.time_us
        assert single.sample_users(2) == [flag.user]
