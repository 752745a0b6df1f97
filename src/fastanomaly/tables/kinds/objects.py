"""Tables as JSON: an object for each row, in lines, in an array, or one after the other.

Numbers keep their digits: they become texts. A row is decoded by Python's own parser, which
can keep them.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fastanomaly._core import decode
from fastanomaly.convert import check_reading
from fastanomaly.errors import LogOpenError, LogReadError
from fastanomaly.rules.rejects import REASONS, Rejected
from fastanomaly.sources.base import Progress
from fastanomaly.tables.base import Batch, TableOptions
from fastanomaly.tables.events import Number, event_line
from fastanomaly.tables.storage.files import Stream, TableFile
from fastanomaly.tables.storage.library import arrow

_BLOCK = 1 << 20
_ROWS = 1 << 14
_SAMPLE = 1 << 16
_BETWEEN = " \t\r\n,"
_USERS = ("user", "friend", "id", "id1", "id2")
_SECONDS = check_reading(False, "s").unit_code
_WRONG_TYPE = REASONS.index("wrong_type")  # later reasons are of values, not of types


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=_no_constant)


class ObjectTable:
    """A file of JSON objects; see `fastanomaly.tables.base.Table`.

    The names of the columns are those in the first 64 KiB.

    Parameters
    ----------
    path : str
    options : TableOptions
    """

    def __init__(self, path: str, options: TableOptions) -> None:
        self.path = path
        self.rows = None
        arrow(path)
        self._file = TableFile(path)
        self._stream = self._file.stream()
        try:
            head = self._stream.peek(_SAMPLE)
        except LogReadError as error:
            raise LogOpenError(str(error)) from error
        try:
            codecs.lookup(options.encoding)
            text = codecs.getincrementaldecoder(options.encoding)("replace").decode(head)
        except UnicodeError as error:
            raise LogOpenError(f"{path}: {error}") from error
        self._encoding = options.encoding
        text = text.removeprefix("\ufeff").lstrip()
        self._is_array = text.startswith("[")
        if text and text[0] not in "[{":
            raise LogOpenError(
                f"{path}: is neither objects nor an array of objects in JSON: it begins "
                f"with {text[:20]!r}"
            )
        names: dict[str, None] = {}
        for row in _objects_of(text.removeprefix("[")):
            names |= dict.fromkeys(row)
        self.names = list(names)

    def close(self) -> None:
        """Close it."""
        self._file.close()

    def progress(self) -> Progress:
        """Return how many bytes have been read."""
        return self._file.progress()

    def batches(self, columns: Mapping[str, str], skip: int = 0) -> Iterator[Batch]:
        """Yield the rows after the first `skip` ones."""
        values = self._array_values() if self._is_array else self._line_values()
        part = _Part(self.path, columns, skip + 1)
        for number, value in enumerate(values, 1):
            if number <= skip:
                continue
            part.add(number, value)
            if part.size == _ROWS:
                yield part.batch()
                part = _Part(self.path, columns, number + 1)
        if part.size:
            yield part.batch()

    # -- reading -------------------------------------------------------------------------

    def _line_values(self) -> Iterator[dict[str, Any] | tuple[str, bytes]]:
        """Yield the object of each line, or why it is none and its text."""
        for line in self._lines():
            if not line.strip():
                continue
            try:
                value = _DECODER.decode(line.decode(self._encoding).removeprefix("\ufeff"))
            except UnicodeDecodeError:
                yield "invalid_utf8", line
            except (ValueError, RecursionError):
                yield "not_json", line
            else:
                yield value if isinstance(value, dict) else ("not_an_object", line)

    def _lines(self) -> Iterator[bytes]:
        """Yield the lines; if the encoding is another one, they are made UTF-8 first."""
        rest = b""
        decoder = None
        if codecs.lookup(self._encoding).name != "utf-8":
            decoder = codecs.getincrementaldecoder(self._encoding)()
            self._encoding = "utf-8"
        count = 0
        ended = False
        while not ended:
            piece = self._stream.read(_BLOCK)
            ended = not piece
            if decoder is not None:
                try:
                    piece = decoder.decode(piece, ended).encode()
                except UnicodeError as fault:
                    raise LogReadError(f"{self.path}, after row {count}: {fault}") from fault
            *lines, rest = (rest + piece).split(b"\n")
            count += sum(not line.isspace() for line in lines if line)
            yield from lines
        yield rest

    def _array_values(self) -> Iterator[dict[str, Any] | tuple[str, bytes]]:
        """Yield the objects of an array."""
        begun = False
        for value, text in _values_of(self.path, self._stream, self._encoding):
            begun = True
            if isinstance(value, dict):
                yield value
            else:
                yield "not_an_object", text.encode()
        assert begun or self._is_array


class _Part:
    """The rows of a batch while they are gathered."""

    def __init__(self, path: str, columns: Mapping[str, str], first: int) -> None:
        self._path = path
        self._columns = columns
        self._first = first
        self.size = 0
        self._values: list[list[str | None]] = [[] for _ in columns]
        self._numbers: list[int] = []
        self._rejected: list[tuple[int, Rejected]] = []

    def add(self, number: int, value: dict[str, Any] | tuple[str, bytes]) -> None:
        """Add a row, or a text that is none and why."""
        self.size += 1
        if isinstance(value, dict):
            row = {field: value.get(name) for field, name in self._columns.items()}
            if all(_is_text(field, item) for field, item in row.items()):
                for items, item in zip(self._values, row.values(), strict=True):
                    items.append(item)
                self._numbers.append(number)
                return
            value = decided(row)
            if isinstance(value, dict):
                self.size -= 1
                self.add(number, {self._columns[field]: v for field, v in value.items()})
                return
        reason, raw = value
        refused = Rejected(self._path, number, reason, raw)
        self._rejected.append((len(self._numbers), refused))

    def batch(self) -> Batch:
        """Return the rows."""
        pa = arrow(self._path)
        arrays = [pa.array(values, pa.string()) for values in self._values]
        rows = pa.RecordBatch.from_arrays(arrays, list(self._columns.values()))
        numbers = np.array(self._numbers, np.int64) if self._rejected else None
        end = self._first + self.size
        return Batch(rows, self._path, self._first, end, numbers, self._rejected)


def _is_text(field: str, value: object) -> bool:
    """Return whether a value can be given as a text without changing what it means."""
    if isinstance(value, Number):
        return field not in _USERS or value.removeprefix("-").isdigit()
    return value is None or isinstance(value, str)


def decided(values: dict[str, Any]) -> dict[str, Any] | tuple[str, bytes]:
    """Return what becomes of a row with a value of another type.

    Returns why it is rejected and its text; or, if it is an event that does not need the
    value, its values without that one.
    """
    line = event_line(values)
    decoded = decode(line, True, _SECONDS)
    if isinstance(decoded, int) and 0 <= decoded <= _WRONG_TYPE:
        return REASONS[decoded], line
    return {field: v for field, v in values.items() if _is_text(field, v)}


def _values_of(path: str, stream: Stream, encoding: str) -> Iterator[tuple[Any, str]]:
    """Yield the values of a JSON array, and their texts.

    Raises
    ------
    LogReadError
        If it is not JSON, or is cut.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    text = ""
    start = count = 0
    ended = False
    while True:
        start = _skip(text, start)
        try:
            if text[start : start + 1] == "]" and count:
                return
            if not count:
                start = _skip(text, text.index("[", start) + 1)
                count = 1
                continue
            value, end = _DECODER.raw_decode(text, start)
            if end == len(text) and not ended:
                raise ValueError("more may follow")
        except (ValueError, RecursionError) as error:
            if ended or (len(text) - start > 16 * _BLOCK):
                why = "the array is not closed" if start >= len(text) else str(error)
                raise LogReadError(f"{path}, row {max(count, 1)}: not JSON: {why}") from error
            piece = stream.read(_BLOCK)
            ended = not piece
            try:
                text = text[start:] + decoder.decode(piece, final=ended)
            except UnicodeDecodeError as fault:
                place = f"{path}, after row {max(count, 1) - 1}"
                raise LogReadError(f"{place}: {fault}") from fault
            start = 0
            continue
        yield value, text[start:end]
        start = end
        count += 1


def _skip(text: str, start: int) -> int:
    """Return where the next value begins, or its array ends."""
    while start < len(text) and text[start] in _BETWEEN:
        start += 1
    return start


def _objects_of(text: str) -> Iterator[dict[str, Any]]:
    """Yield the objects at the beginning of a text, which may be cut."""
    start = _skip(text, 0)
    while start < len(text):
        try:
            value, start = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = text.find("\n", start)
            if end < 0:
                return
            start = end
        else:
            if isinstance(value, dict):
                yield value
        start = _skip(text, start)
