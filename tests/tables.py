"""Tables of events in columns of many Arrow types, and the lines that say the same.

A `Column` generates values of one type. It also says how a line has such a value, written
here from the rules in docs/frames.md, not by the code that is tested.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Context, Decimal
from typing import Any, NamedTuple

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa

NAMES = ("purchase", "befriend", "unfriend")
EPOCH = datetime(1970, 1, 1)
WIDE = Context(prec=100)
FIELDS = ("kind", "timestamp", "user", "friend", "amount")


class Column(NamedTuple):
    """Values of one Arrow type, and how lines have them."""

    type: pa.DataType
    usual: st.SearchStrategy  # valid ones
    others: st.SearchStrategy
    in_line: Callable[[Any], Any]  # a value to a JSON value
    storage: pa.DataType | None = None  # what values are made of, if not of the type

    def array(self, values):
        """Return an array of values."""
        if pa.types.is_dictionary(self.type):
            return pa.array(values, self.type.value_type).dictionary_encode().cast(self.type)
        if self.storage is None:
            return pa.array(values, self.type)
        return pa.array(values, self.storage).view(self.type)


def same(value):
    return value


def decimal_text(value):
    return format(Decimal(value), "f")


def time_text(numerator, per_second):
    """Return ticks as a timestamp; one that no line can have if the year is out of range."""
    nanoseconds = numerator * (10**9 // per_second)
    microseconds, rest = divmod(nanoseconds, 1000)
    try:
        moment = EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return "out of range"
    text = moment.isoformat(sep=" ")
    if rest:
        text = f"{moment:%Y-%m-%d %H:%M:%S.%f}{rest:03}".rjust(29, "0")
    return text


# -- columns ---------------------------------------------------------------------------

usual_ids = st.sampled_from(["1", "2", "3", "a", "ü"])
other_ids = st.sampled_from(["", "01", "-1", '"\\\t\x00']) | st.text(max_size=14)
TEXTS = [pa.string(), pa.large_string(), pa.string_view()]
INDEXES = [pa.int8(), pa.uint16(), pa.int32(), pa.int64()]


def texts(usual, others):
    """Return columns of texts of all types."""
    dictionaries = [pa.dictionary(index, pa.string()) for index in INDEXES]
    dictionaries.append(pa.dictionary(pa.int32(), pa.large_string()))
    return [Column(kind, usual, others, same) for kind in [*TEXTS, *dictionaries]]


def integers(in_line, usual, others):
    """Return columns of integers of all types, some with values that not all types have."""
    columns = []
    for signed, bits in [(s, b) for s in (True, False) for b in (8, 16, 32, 64)]:
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        kind = getattr(pa, f"{'int' if signed else 'uint'}{bits}")()
        good, bad = (
            some.map(lambda value, low=low, high=high: min(max(value, low), high))
            for some in (usual, others)
        )
        columns.append(Column(kind, good, st.integers(low, high) | bad, in_line))
    columns.append(Column(pa.dictionary(pa.int8(), pa.int64()), usual, others, in_line))
    return columns


NOTHING = Column(pa.null(), st.none(), st.none(), same)


def kind_name(code):
    return NAMES[code] if 0 <= code < 3 else code


usual_kinds = st.sampled_from([0, 0, 0, 0, 1, 1, 2])
KINDS = [
    *texts(usual_kinds.map(kind_name), st.sampled_from(["Purchase", "", "ü" * 4, "refund"])),
    Column(pa.int8(), usual_kinds, st.integers(-1, 3), kind_name),
    Column(
        pa.dictionary(pa.int8(), pa.uint64()),
        usual_kinds,
        st.sampled_from([3, 2**64 - 1]),
        kind_name,
    ),
]
USERS = [
    *texts(usual_ids, other_ids),
    *integers(str, st.integers(1, 4), st.sampled_from([-1, 10**18 - 1, 10**18])),
]

cents = st.decimals(0, 10**6, places=2)
other_amounts = st.sampled_from(["", "$5", "1e3", "-1", ".5", "1,5", "1e999", "9" * 13, "ü"])


def decimals(bits, digits, scale):
    """Return a column of decimals with some number of digits, and of decimals among them."""
    kind = getattr(pa, f"decimal{bits}")(digits, scale)
    most = 10**digits - 1

    def value(whole):
        return Decimal(min(whole, most)).scaleb(-scale, WIDE)

    units = 10 ** max(scale - 6, 0)
    usual = st.integers(0, 10**6).map(lambda whole: value(whole * units))
    others = st.integers(-most, most) | st.integers(0, 10**7).map(
        lambda whole: whole * units // 7
    )
    return Column(kind, usual, others.map(value), decimal_text)


AMOUNTS = [
    decimals(32, 9, 2),
    decimals(64, 18, 8),
    decimals(128, 18, 6),
    decimals(128, 38, 2),
    decimals(128, 38, 20),
    decimals(128, 38, 38),
    decimals(128, 10, -3),
    decimals(256, 40, 9),
    decimals(256, 76, 60),
    *integers(str, st.integers(0, 10**4), st.integers(10**12 - 2, 10**12 + 1)),
    Column(
        pa.float64(),
        cents.map(float),
        st.floats() | st.floats(0, 1e13) | st.floats(0, 1e-5),
        lambda value: str(float(value)),
    ),
    Column(
        pa.float32(),
        cents.map(lambda value: float(np.float32(value))),
        st.floats(width=32),
        lambda value: str(np.float32(value)),
    ),
    *texts(cents.map(str), other_amounts | st.decimals(0, 10, places=9).map(str)),
]

usual_times = st.datetimes(datetime(2017, 6, 13), datetime(2017, 6, 13, 0, 1)).map(str)
other_times = st.datetimes().map(lambda time: time.isoformat()) | st.sampled_from(
    ["", "2017-06-13", "2017-06-13 11:33", "1497353581", "2017-06-13 11:33:01.1234567"]
)


def ticks(kind, per_second):
    """Return a column of times that are int64 since 1970."""
    usual = st.integers(0, 10).map(lambda value: value + 1497353581 * per_second)
    edges = [-62_135_596_800, 253_402_300_799, -62_135_596_801, 253_402_300_800]
    others = st.integers(-(10**11), 10**12) | st.sampled_from(edges)
    others = others.map(lambda value: value * per_second) | st.integers(-(10**18), 10**18)
    others = others.filter(lambda value: abs(value) < 2**63)
    return Column(kind, usual, others, lambda value: time_text(value, per_second), pa.int64())


TIMES = [
    ticks(pa.timestamp("s"), 1),
    ticks(pa.timestamp("ms", "Europe/Berlin"), 10**3),
    ticks(pa.timestamp("us", "UTC"), 10**6),
    ticks(pa.timestamp("us"), 10**6),
    ticks(pa.timestamp("ns", "+02:00"), 10**9),
    ticks(pa.date64(), 10**3),
    Column(
        pa.date32(),
        st.integers(17_000, 17_010),
        st.integers(-(2**31), 2**31 - 1),
        lambda value: time_text(value * 86_400, 1),
        pa.int32(),
    ),
    *integers(same, st.integers(1497353581, 1497353590), st.integers(-(10**15), 10**15)),
    Column(
        pa.float64(),
        st.integers(0, 10**9).map(float),
        st.floats(0, 2e9) | st.floats(),
        lambda value: value if np.isfinite(value) else str(value),
    ),
    *texts(usual_times, other_times),
]

OF_FIELDS = {
    "kind": KINDS,
    "timestamp": TIMES,
    "user": USERS,
    "friend": USERS,
    "amount": AMOUNTS,
}


# -- lines -----------------------------------------------------------------------------


def line_of(row):
    """Return the line that says the same as a row: JSON values by field, None for null."""
    if row is None:
        return b"null"
    kind = row["kind"]
    members = [("event_type", kind)]
    if kind not in NAMES[1:]:
        members += [("timestamp", row["timestamp"]), ("id", row["user"])]
    else:
        members += [("id1", row["user"])]
    if kind != "purchase":
        members += [("id2", row["friend"])]
    if kind not in NAMES[1:]:
        members += [("amount", row["amount"])]
    present = {name: value for name, value in members if value is not None}
    return json.dumps(present, ensure_ascii=False).encode()


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
    columns = {field: draw(st.sampled_from(OF_FIELDS[field])) for field in FIELDS}
    empty = draw(st.sampled_from([None] * 20 + list(FIELDS)))
    if empty is not None:
        columns[empty] = NOTHING
    usual = st.fixed_dictionaries({field: columns[field].usual for field in columns})
    dirt = st.sampled_from(FIELDS).flatmap(
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
