"""Events as tables in files, in the columns that are read without a mapping."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastanomaly.errors import OutputError
from fastanomaly.sinks.files import LineFile
from fastanomaly.sinks.paths import output_error
from fastanomaly.sinks.replacing import replace_file
from fastanomaly.tables.names import SUFFIXES
from fastanomaly.tables.storage.library import arrow

if TYPE_CHECKING:
    import numpy.typing as npt

KINDS = ("purchase", "befriend", "unfriend")
"""The values of the column `event_type`, by code."""

_DELIMITERS = {"csv": ",", "tsv": "\t"}
_STREAM_SUFFIX = ".arrows"


class Events(NamedTuple):
    """Some events.

    Attributes
    ----------
    kind : NumPy array of int8
        The code of each in `KINDS`.
    seconds : NumPy array of int64
        Times since 1970, in UTC.
    user : NumPy array of int64
        Buyers, and the first of two friends.
    other : NumPy array of int64
        Amounts in cents, 0 to 10^18 - 1, of purchases; the second friend of others.
    """

    kind: npt.NDArray[np.int8]
    seconds: npt.NDArray[np.int64]
    user: npt.NDArray[np.int64]
    other: npt.NDArray[np.int64]


def table_format(path: str) -> str | None:
    """Return the format of a table by the suffix of its name; None if it is no table."""
    return SUFFIXES.get(_suffix(path))


def write_events(path: str, parts: Iterable[Events]) -> None:
    """Write events as a table whose format the suffix tells.

    Memory holds one of the parts. A file of text grows; others are complete when they get
    their name.

    Parameters
    ----------
    path : str
        Ends in one of `fastanomaly.tables.base.SUFFIXES`.
    parts : iterable of Events
        Each becomes a record batch, and in Parquet a row group.

    Raises
    ------
    UsageError
        If pyarrow is not installed.
    OutputError
        If the file cannot be written; names it.
    """
    pa = arrow(path)
    table = SUFFIXES[_suffix(path)]
    is_text = table in _DELIMITERS
    schema = _schema(pa, "s" if is_text else "us")
    batches = (_batch(pa, schema, part) for part in parts)
    if is_text:
        _write_text(path, _DELIMITERS[table], schema, batches)
        return

    def write(fd: int) -> None:
        with os.fdopen(fd, "wb", closefd=False) as file, _writer(path, file, schema) as out:
            for batch in batches:
                out.write_batch(batch)

    try:
        replace_file(path, write)
    except OutputError:
        raise
    except (OSError, ValueError) as error:
        raise output_error(path, error) from error


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _schema(pa: Any, unit: str) -> Any:
    """Return the columns; times of texts have no zone, as in logs."""
    return pa.schema(
        {
            "event_type": pa.string(),
            "timestamp": pa.timestamp(unit, None if unit == "s" else "UTC"),
            "user": pa.string(),
            "friend": pa.string(),
            "amount": pa.decimal128(18, 2),
        }
    )


def _batch(pa: Any, schema: Any, events: Events) -> Any:
    """Return events as a record batch."""
    bought = events.kind == KINDS.index("purchase")
    unit = schema.field("timestamp").type.unit
    columns = [
        pa.array(KINDS).take(pa.array(events.kind)),
        pa.array(events.seconds, pa.timestamp("s")).cast(pa.timestamp(unit)),
        pa.array(events.user).cast(pa.string()),
        pa.array(events.other, mask=bought).cast(pa.string()),
        _amounts(pa, events.other, bought),
    ]
    arrays = [column.cast(field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _amounts(pa: Any, cents: npt.NDArray[np.int64], bought: npt.NDArray[np.bool_]) -> Any:
    """Return cents as decimals: 128-bit integers, of which the upper half is 0."""
    halves = np.zeros((len(cents), 2), "<i8")
    halves[:, 0] = np.where(bought, cents, 0)
    present = np.packbits(bought, bitorder="little")
    buffers = [pa.py_buffer(present), pa.py_buffer(halves)]
    return pa.Array.from_buffers(pa.decimal128(18, 2), len(cents), buffers)


def _writer(path: str, file: Any, schema: Any) -> Any:
    if table_format(path) == "parquet":
        return arrow(path, "pyarrow.parquet").ParquetWriter(file, schema)
    ipc = arrow(path, "pyarrow.ipc")
    is_stream = _suffix(path) == _STREAM_SUFFIX
    return (ipc.new_stream if is_stream else ipc.new_file)(file, schema)


def _write_text(path: str, delimiter: str, schema: Any, batches: Iterator[Any]) -> None:
    pa, csv = arrow(path), arrow(path, "pyarrow.csv")
    options = csv.WriteOptions(
        include_header=False,
        delimiter=delimiter,
        quoting_style="none",  # no value has a delimiter
    )
    with closing(LineFile(path)) as file:
        file.cut()
        file.write([delimiter.join(schema.names).encode() + b"\n"])
        for batch in batches:
            text = pa.BufferOutputStream()
            csv.write_csv(batch, text, options)
            file.write([text.getvalue().to_pybytes()])
