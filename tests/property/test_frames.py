"""Tables of all Arrow types give what the lines give that say the same."""

import contextlib
import json
from decimal import Decimal

import hypothesis.strategies as st
import pyarrow as pa
import tables
from batches import all_shared
from hypothesis import given, settings
from profiles import examples

from fastanomaly import Detector

OPTIONS = st.fixed_dictionaries(
    {
        "round_amounts": st.booleans(),
        "time_unit": st.sampled_from([None, "s", "s", "ms", "us", "ns", "iso"]),
        "threads": st.sampled_from([1, 2]),
    }
)


class Stream:
    """A table as a stream of batches, and nothing else."""

    def __init__(self, batches):
        self.batches = batches

    def __arrow_c_stream__(self, requested_schema=None):
        schema = self.batches[0].schema
        reader = pa.RecordBatchReader.from_batches(schema, self.batches)
        return reader.__arrow_c_stream__(requested_schema)


class Array:
    """A struct array, whose rows may be null, and nothing else."""

    def __init__(self, array):
        self.array = array

    def __arrow_c_array__(self, requested_schema=None):
        return self.array.__arrow_c_array__(requested_schema)


@st.composite
def some_tables(draw):
    """Return (an object with an Arrow interface, the rows as values of lines)."""
    columns = {
        field: draw(st.sampled_from(tables.OF_FIELDS[field])) for field in tables.FIELDS
    }
    empty = draw(st.sampled_from([None] * 20 + list(tables.FIELDS)))
    if empty is not None:
        columns[empty] = tables.NOTHING
    usual = st.fixed_dictionaries({field: columns[field].usual for field in columns})
    dirt = st.sampled_from(tables.FIELDS).flatmap(
        lambda field: st.fixed_dictionaries({field: st.none() | columns[field].others})
    )
    dirty = st.builds(dict.__or__, usual, st.one_of(st.just({}), st.just({}), dirt))
    rows = draw(st.lists(dirty, min_size=draw(st.sampled_from([0, 5, 20])), max_size=30))
    rows = [tuple(row[field] for field in columns) for row in rows]
    before = draw(st.integers(0, min(3, len(rows))))
    after = draw(st.integers(0, min(3, len(rows))))
    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    arrays = [
        column.array([*some[:before], *some, *some[:after]]).slice(before, len(rows))
        for column, some in zip(columns.values(), values, strict=True)
    ]
    in_lines = [
        {
            field: None if value is None else columns[field].in_line(value)
            for field, value in zip(columns, row, strict=True)
        }
        for row in rows
    ]
    fields = list(columns)
    if draw(st.booleans()):
        nulls = st.sampled_from([False] * 7 + [True])
        mask = draw(st.lists(nulls, min_size=len(rows), max_size=len(rows)))
        first = draw(st.integers(0, len(rows)))
        # A struct array as a whole: its own nulls, and an offset that counts for its columns.
        array = pa.StructArray.from_arrays(arrays, fields, mask=pa.array(mask, pa.bool_()))
        in_lines = [None if null else row for null, row in zip(mask, in_lines, strict=True)]
        return Array(array.slice(first)), in_lines[first:]
    batch = pa.record_batch(arrays, fields)
    cuts = sorted(draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    ends = [*cuts, len(rows)]
    parts = [batch.slice(a, b - a) for a, b in zip([0, *cuts], ends, strict=True)]
    return Stream(parts), in_lines


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
