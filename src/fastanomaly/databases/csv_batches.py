"""Rows as CSV text, as a database sends them, to Arrow batches of texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any, TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview

_BATCH_BYTES = 1 << 22


def csv_batches(pieces: Iterable[Buffer], columns: Sequence[str], size: int) -> Iterator[Any]:
    """Yield rows as Arrow record batches of texts; only an unquoted empty text is null.

    Parameters
    ----------
    pieces : iterable of bytes-like objects
        Whole rows of CSV without a header.
    columns : sequence of str
        The names of the columns.
    size : int
        At most so many pieces are in a batch.
    """
    pyarrow: Any = import_module("pyarrow")
    csv: Any = import_module("pyarrow.csv")
    options = {
        "read_options": csv.ReadOptions(column_names=columns, block_size=1 << 30),
        "parse_options": csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        "convert_options": csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pyarrow.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            check_utf8=False,
        ),
    }
    for text in _joined(pieces, size):
        table = csv.read_csv(pyarrow.BufferReader(text), **options)
        yield table.combine_chunks().to_batches()[0]


def _joined(pieces: Iterable[Buffer], size: int) -> Iterator[bytes]:
    """Put pieces together to texts of some megabytes."""
    found: list[Buffer] = []
    length = 0
    for piece in pieces:
        found.append(piece)
        length += len(piece)
        if length >= _BATCH_BYTES or len(found) >= size:
            yield b"".join(found)
            found, length = [], 0
    if found:
        yield b"".join(found)
