"""Tables of other libraries in, such as pyarrow and Polars, and flags as their tables out."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import arro3.core as arro3
import duckdb
import nanoarrow
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from checkout import ROOT

from fastanomaly import Detector, UsageError
from fastanomaly.rules.exact import excess

KINDS = ["befriend", *["purchase"] * 7]
TIMES = [datetime(2017, 6, 13, 11, 33, second) for second in range(8)]
ROWS = pa.table(
    {
        "kind": KINDS,
        "user": ["ann", "ann", "ann", "bob", None, "ann", "bob", "ann"],
        "friend": ["bob", *[None] * 7],
        "amount": [None, 16.83, 59.28, 1601.83, 1.0, -1.0, 10.0, 1600.1],
        "timestamp": TIMES,
        "order_id": pa.array(range(100, 108), pa.int16()),
    }
)
LINES = [
    json.dumps(
        {"event_type": "befriend", "id1": row["user"], "id2": row["friend"]}
        if row["kind"] == "befriend"
        else {
            name: value
            for name, value in {
                "event_type": "purchase",
                "timestamp": str(row["timestamp"]),
                "id": row["user"],
                "amount": f"{row['amount']:.2f}",
            }.items()
            if value is not None
        }
    ).replace('": ', '":')
    for row in ROWS.to_pylist()
]
VALUES = ROWS.set_column(
    ROWS.schema.get_field_index("timestamp"), "timestamp", ROWS["timestamp"].cast(pa.int64())
).to_pydict()


def of_nanoarrow(first=0, end=8):
    """Return some rows in nanoarrow's own memory."""
    types = {
        "kind": nanoarrow.string(),
        "user": nanoarrow.large_string(),
        "friend": nanoarrow.string(),
        "amount": nanoarrow.float64(),
        "timestamp": nanoarrow.timestamp("us"),
    }
    columns = [nanoarrow.c_array(VALUES[name][first:end], types[name]) for name in types]
    return nanoarrow.c_array_from_buffers(
        nanoarrow.struct(types), end - first, [None], children=columns
    )


def of_arro3():
    """Return the rows in arro3's own memory."""
    kinds = arro3.DataType
    columns: dict[str, Any] = {
        name: arro3.Array(VALUES[name], kinds.utf8()) for name in ("kind", "user", "friend")
    }
    columns["amount"] = arro3.Array(VALUES["amount"], kinds.float64())
    times = arro3.Array(VALUES["timestamp"], kinds.int64())
    columns["timestamp"] = times.cast(kinds.timestamp("us"))
    return arro3.Table.from_pydict(columns)


FORMS = {
    "pyarrow table": lambda: ROWS,
    "pyarrow chunks": lambda: pa.concat_tables([ROWS[:3], ROWS[3:4], ROWS[4:4], ROWS[4:]]),
    "pyarrow batch": lambda: ROWS.to_batches()[0],
    "pyarrow reader": lambda: ROWS.to_reader(max_chunksize=3),
    "polars": lambda: pl.DataFrame(ROWS),
    "polars categories": lambda: pl.DataFrame(ROWS).with_columns(
        pl.col("user", "kind").cast(pl.Categorical)
    ),
    "pandas": ROWS.to_pandas,
    "pandas categories": lambda: ROWS.to_pandas().astype({"user": "category"}),
    "pandas of arrow": lambda: ROWS.to_pandas(types_mapper=pd.ArrowDtype),
    "duckdb": lambda: duckdb.connect().from_arrow(ROWS),
    "nanoarrow array": of_nanoarrow,
    "nanoarrow stream": lambda: nanoarrow.ArrayStream(
        nanoarrow.Array.from_chunks([of_nanoarrow(0, 3), of_nanoarrow(3)])
    ),
    "arro3 table": of_arro3,
    "arro3 batch": lambda: of_arro3().to_batches()[0],
    "arro3 reader": lambda: of_arro3().to_reader(),
}


def fed_lines(**options):
    return Detector(1, 5, **options).feed(LINES, log="orders")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("threads", [1, 2])
def test_tables_of_all_libraries_give_what_lines_give(form, threads):
    fed = Detector(1, 5, threads=threads).feed_frame(FORMS[form](), log="orders")
    lines = fed_lines()
    assert fed.rows == lines.lines == 8
    assert list(fed.flags) == lines.flags != []
    assert fed.rejected == lines.rejected
    assert [flag.to_line() for flag in fed.flags] == [flag.to_line() for flag in lines.flags]
    assert [r.text for r in fed.rejected] == [
        "orders, line 5: missing_field: id: missing",
        'orders, line 6: bad_amount: amount: "-1.00" (is negative)',
    ]


@pytest.mark.parametrize("column", ["kind", "user", "amount", "timestamp"])
def test_a_dictionary_whose_values_are_of_the_type_null(column):
    values = pa.DictionaryArray.from_arrays(pa.array([0] * 8, pa.int8()), pa.nulls(1))
    table = ROWS.set_column(ROWS.schema.get_field_index(column), column, values)
    nothing = ROWS.set_column(ROWS.schema.get_field_index(column), column, pa.nulls(8))
    fed, expected = Detector(1, 5).feed_frame(table), Detector(1, 5).feed_frame(nothing)
    assert fed.rejected == expected.rejected
    assert len(fed.rejected) >= 7


def test_a_stream_is_fed_in_parts():
    """Strict feeding stops at a rejected row; the rows after it can be fed later."""
    detector, found = Detector(1, 5), []
    first = 1
    while first <= len(ROWS):
        fed = detector.feed_frame(
            ROWS[first - 1 :], log="orders", first_row=first, strict=True
        )
        assert len(fed.rejected) <= 1
        found += [*fed.flags]
        first += fed.rows
    assert found == fed_lines().flags
    fed = Detector(1, 5).feed_frame(ROWS, max_rejected=2)
    assert (fed.rows, len(fed.rejected)) == (6, 2)
    with pytest.raises(ValueError, match=r"^max_rejected: 0 is not in"):
        detector.feed_frame(ROWS, max_rejected=0)


def test_rows_are_only_recorded_if_wanted():
    detector = Detector(1, 5)
    assert len(detector.feed_frame(ROWS, judge=False).flags) == 0
    assert detector.counts._replace(flags=0) == counts_of_lines()._replace(flags=0)


def counts_of_lines():
    detector = Detector(1, 5)
    detector.feed(LINES)
    return detector.counts


# -- flags as tables -------------------------------------------------------------------


@pytest.fixture
def flags():
    return Detector(1, 5, "2.5").feed_frame(ROWS, keep=["order_id", "user", "kind"]).flags


def expected_flags():
    found = Detector(1, 5, "2.5").feed(LINES).flags
    assert len(found) == 1
    return [
        {
            "user": flag.user,
            "timestamp": flag.timestamp,
            "amount": flag.amount,
            "n": flag.n,
            "mean": Decimal(flag.mean),
            "sd": Decimal(flag.sd),
            "excess": excess(flag.n, flag.total, flag.squares, flag.amount_units, 5, 2),
            "row": flag.line,
            "order_id": 99 + flag.line,
            "source_user": flag.user,
            "kind": "purchase",
        }
        for flag in found
    ]


def test_flags_in_pyarrow(flags):
    table = pa.table(flags)
    table.validate(full=True)
    assert table.to_pylist() == expected_flags()
    assert table.schema == pa.schema(
        [
            pa.field("user", pa.string(), nullable=False),
            pa.field("timestamp", pa.timestamp("us", "UTC"), nullable=False),
            pa.field("amount", pa.decimal128(18, 6), nullable=False),
            pa.field("n", pa.int64(), nullable=False),
            pa.field("mean", pa.decimal128(20, 2), nullable=False),
            pa.field("sd", pa.decimal128(20, 2), nullable=False),
            pa.field("excess", pa.float64(), nullable=False),
            pa.field("row", pa.int64(), nullable=False),
            ("order_id", pa.int16()),
            ("source_user", pa.string()),
            ("kind", pa.string()),
        ]
    )
    assert pa.table(flags).equals(table)  # as often as wanted


def test_flags_in_polars(flags):
    frame = pl.DataFrame(flags)
    assert frame.to_dicts() == expected_flags()
    assert frame.schema["timestamp"] == pl.Datetime("us", "UTC")
    assert frame.schema["amount"] == pl.Decimal(18, 6)


def test_flags_in_duckdb(flags):
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    names = [row[0] for row in connection.sql("describe from flags").fetchall()]
    rows = connection.sql("select * exclude timestamp, epoch_us(timestamp) from flags")
    assert names == list(expected_flags()[0])
    expected = [
        [*(value for name, value in row.items() if name != "timestamp"), row["timestamp"]]
        for row in expected_flags()
    ]
    assert [
        [*row[:-1], datetime.fromtimestamp(row[-1] / 10**6, UTC)] for row in rows.fetchall()
    ] == expected


@pytest.mark.skipif(
    not hasattr(pd.DataFrame, "from_arrow"), reason="pandas before 3 reads no Arrow streams"
)
def test_flags_in_pandas(flags):
    frame = pd.DataFrame.from_arrow(flags)
    assert frame.to_dict("records") == expected_flags()


def test_flags_in_nanoarrow(flags):
    names = list(expected_flags()[0])
    rows = nanoarrow.ArrayStream(flags).iter_tuples()
    assert [dict(zip(names, row, strict=True)) for row in rows] == expected_flags()


def test_flags_in_arro3(flags):
    table = arro3.Table.from_arrow(flags)
    assert {name: table[name].to_pylist() for name in table.column_names} == {
        name: [row[name] for row in expected_flags()] for name in expected_flags()[0]
    }


def test_no_flags_are_a_table_without_rows():
    flags = Detector(1, 5).feed_frame(ROWS[:1], keep=["order_id", "kind"]).flags
    assert pa.table(flags).num_rows == len(flags) == 0
    assert pl.DataFrame(flags).shape == (0, 10)
    assert repr(flags) == "<FlagFrame of 0 flags>"


def test_columns_of_an_exported_table_can_be_taken_on_their_own(flags):
    """A batch's columns outlive it, and the flags."""
    columns = pa.table(flags).columns
    expected = [list(row) for row in zip(*(r.values() for r in expected_flags()), strict=True)]
    del flags
    assert [column.to_pylist() for column in columns] == expected
    capsule = Detector(1, 5).feed_frame(ROWS).flags.__arrow_c_stream__()
    del capsule  # nobody has read it


KEPT = {
    "bool": pa.array([True, None, False, True]),
    "int8": pa.array([1, None, 3, -4], pa.int8()),
    "double": pa.array([1.5, None, -0.0, 1e300]),
    "half": pa.array(np.array([1.5, 2, 3, 4], np.float16)),
    "date": pa.array([1, None, 3, 4], pa.date32()),
    "time": pa.array([1, None, 3, 4], pa.time64("us")),
    "duration": pa.array([1, None, 3, 4], pa.duration("ns")),
    "zoned": pa.array([1, None, 3, 4], pa.timestamp("ms", "Europe/Berlin")),
    "decimal": pa.array([Decimal("1.5"), None, Decimal("-3.0"), 4], pa.decimal256(50, 3)),
    "fixed": pa.array([b"ab", None, b"cd", b"ef"], pa.binary(2)),
    "text": pa.array(["", None, "a" * 20, "ü"]),
    "large": pa.array(["x", None, "", "y"], pa.large_string()),
    "binary": pa.array([b"\xff", None, b"", b"y"]),
    "view": pa.array(["short", None, "long enough not to be inline", ""], pa.string_view()),
    "bytes": pa.array([b"short", None, b"long enough to be elsewhere", b""], pa.binary_view()),
    "words": pa.array(["a", None, "b", "a"]).dictionary_encode(),
    "numbers": pa.array([7, None, 8, 7], pa.int32()).dictionary_encode(),
    "nothing": pa.nulls(4),
}


@pytest.mark.parametrize("name", KEPT)
def test_flags_keep_values_of_any_type_that_is_not_nested(name):
    column = pa.concat_arrays([KEPT[name]] * 4)[1:]
    rows = pa.table(
        {
            "user": [str(n % 2) for n in range(len(column))],
            "amount": [str(n * n) for n in range(len(column))],
            "timestamp": ["2017-06-13 11:33:01"] * len(column),
            "value": column,
        }
    )
    detector = Detector(1, 5, 0)
    detector.befriend("0", "1")
    table = pa.table(detector.feed_frame(rows, keep=["value"]).flags)
    table.validate(full=True)
    assert len(table) > 8
    values = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    assert table["value"].to_pylist() == [
        values[row - 1].as_py() for row in table["row"].to_pylist()
    ]
    if "view" not in str(values.type):
        assert table.schema.field("value").type == values.type


def test_kept_columns_that_cannot_be():
    detector = Detector(1, 5)
    with pytest.raises(
        UsageError, match=r"^keep: there is no column 'x'; the frame has 'kind'"
    ):
        detector.feed_frame(ROWS, keep=["x"])
    with pytest.raises(TypeError, match=r"expected names of columns, such as \['user'\]"):
        detector.feed_frame(ROWS, keep="user")
    lists = ROWS.append_column("lists", pa.array([[1]] * 8))
    with pytest.raises(TypeError, match=r"^keep: column 'lists' of type list cannot be kept"):
        detector.feed_frame(lists, keep=["lists"])


def test_the_excess_is_exact():
    amounts = [3 * 10**6, 5 * 10**6]
    n, total, squares = 2, sum(amounts), sum(a * a for a in amounts)
    assert excess(n, total, squares, 10 * 10**6, 3, 1) == 3.0  # 10 - 4 - 3 * 1
    assert excess(n, total, squares, 7 * 10**6 + 1, 3, 1) == 1e-6
    assert excess(3, 6, 14, 10**18 - 1, 1, 1) == pytest.approx(1e12, rel=1e-12)


# -- which column is what --------------------------------------------------------------


def purchases(**names):
    """Return a table of one purchase, with other names."""
    columns = {"user": ["1"], "amount": ["2"], "timestamp": ["2017-06-13 11:33:01"]}
    return pa.table({names.get(name, name): column for name, column in columns.items()})


def counts(frame, columns=None):
    detector = Detector(1, 5)
    fed = detector.feed_frame(frame, columns)
    assert fed.rejected == []
    return detector.counts[:3]


def test_tables_without_kinds():
    assert counts(purchases()) == (1, 0, 0)
    assert counts(purchases(user="id")) == (1, 0, 0)
    names = {"user": "customer", "amount": "total", "timestamp": "paid"}
    assert counts(purchases(**names), names) == (1, 0, 0)
    for friend in ("friend", "id2"):
        assert counts(pa.table({"id1": [1, 2], friend: [2, 3]})) == (0, 2, 0)


def test_tables_that_are_shaped_as_lines():
    rows = pl.DataFrame(
        {
            "event_type": ["purchase", "befriend", "unfriend"],
            "timestamp": ["2017-06-13 11:33:01"] * 3,
            "id": ["1", None, None],
            "id1": [None, "1", "1"],
            "id2": [None, "2", "2"],
            "amount": ["2", None, None],
        }
    )
    assert counts(rows) == (1, 1, 1)
    fed = Detector(1, 5).feed_frame(rows.with_columns(pl.lit("x").alias("event_type")))
    assert fed.rejected[0].raw == (
        b'{"event_type":"x", "timestamp":"2017-06-13 11:33:01", "id":"1", "amount":"2"}'
    )


def test_a_column_that_is_no_field_can_be_left_out():
    rows = purchases().append_column("kind", pa.array(["card"]))
    assert counts(rows, {"kind": None}) == (1, 0, 0)


@pytest.mark.parametrize(
    ("frame", "columns", "words"),
    [
        (purchases(), {"buyer": "user"}, "columns: 'buyer' is no field; they are kind, user"),
        (
            purchases(),
            {"user": "customer"},
            "columns: user: there is no column 'customer'; the frame has 'user', 'amount'",
        ),
        (
            purchases(user="x"),
            None,
            "columns: no column is the user: name it, such as {'user'",
        ),
        (
            purchases(user="x", amount="y"),
            None,
            "no column is the user or the amount: name them, such as {'user': '...', 'amount'",
        ),
        (
            purchases(user="x", amount="y"),
            {"user": "customer"},
            "columns: user: there is no column 'customer'",
        ),
        (pa.table({"kind": ["purchase"]}), None, "columns: no column is the user"),
        (pa.table({}), None, "the frame has no columns"),
        (
            pa.Table.from_arrays([pa.array([1])] * 2, ["user", "user"]),
            {"friend": "user"},
            "columns: friend: there are 2 columns 'user'",
        ),
    ],
)
def test_columns_that_are_missing(frame, columns, words):
    with pytest.raises(UsageError) as caught:
        Detector(1, 5).feed_frame(frame, columns)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ("sales.csv", "got str: detect reads files and databases"),
        (Path("sales.csv"), "detect reads files and databases"),
        (pl.LazyFrame({"user": [1]}), "got LazyFrame: call its collect() first"),
        (1, "got int"),
    ],
)
def test_what_is_no_frame(frame, words):
    with pytest.raises(TypeError) as caught:
        Detector(1, 5).feed_frame(frame)
    assert str(caught.value).endswith(words)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (
            pa.array([1.5]),
            "of type float64 cannot be the user: convert it to integers or text",
        ),
        (pa.array([[1]]), "of type list cannot be the user"),
        (pa.array([b"1"]), "of type binary cannot be the user"),
        (pa.array([True]), "of type bool cannot be the user"),
        (pa.array([1], pa.timestamp("s")), "of type timestamp ('tss:') cannot be the user"),
        (
            pa.RunEndEncodedArray.from_arrays(pa.array([1], pa.int32()), pa.array(["a"])),
            "of type run_end_encoded cannot be the user",
        ),
    ],
)
def test_types_that_are_no_ids(column, words):
    rows = purchases().set_column(0, "user", column)
    with pytest.raises(TypeError) as caught:
        Detector(1, 5).feed_frame(rows)
    assert str(caught.value) == f"frame: column 'user' {words}"


@pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="not in a checkout: no docs/")
def test_the_example_of_the_documentation(capsys):
    page = (ROOT / "docs" / "frames.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {}
    exec(example, names)
    assert [flag.to_line() for flag in names["fed"].flags] == [
        b'{"event_type":"purchase", "timestamp":"2017-06-13 11:33:03", "id":"1", '
        b'"amount":"1601.83", "mean": "38.05", "sd": "21.22"}'
    ]
    assert "A-3" in capsys.readouterr().out


def test_pyarrow_is_not_needed():
    code = """
import sys
sys.modules["pyarrow"] = None  # importing it fails
import polars as pl
from fastanomaly import Detector

detector = Detector(1, 5, 0, time_unit="s")
detector.befriend("a", "b")
rows = pl.DataFrame({"user": ["a", "a", "b"], "amount": [1, 2, 9], "timestamp": ["1"] * 3})
flags = detector.feed_frame(rows).flags
print(pl.DataFrame(flags)["row"].to_list())
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[3]\n"
