"""Tables as text: CSV and its relatives, all values as texts."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fastanomaly.errors import LogOpenError, LogReadError, UsageError
from fastanomaly.rules.rejects import BAD_ROW, Rejected
from fastanomaly.sources.base import Progress
from fastanomaly.tables.base import Batch, TableOptions
from fastanomaly.tables.storage.files import TableFile, reason
from fastanomaly.tables.storage.library import arrow
from fastanomaly.tables.storage.marked import MarkedText, original, original_rows

BLOCK = 1 << 20
"""Bytes that are read at once; a row must fit into them."""

_HEAD = 1 << 16
_DELIMITERS = ",;\t|"
_MARKS = (
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"PAR1", ""),
    (b"\x1f\x8b\x08", ""),
    (b"\x28\xb5\x2f\xfd", ""),
)


class TextTable:
    """A file of rows of text; see `fastanomaly.tables.base.Table`.

    Parameters
    ----------
    path : str
    options : TableOptions
    """

    delimiter: str | None = None

    def __init__(self, path: str, options: TableOptions) -> None:
        self.path = path
        self.rows = None
        self._options = options
        self._csv = arrow(path, "pyarrow.csv")
        self._file = TableFile(path)
        self._stream = self._file.stream()
        try:
            head = self._stream.peek(_HEAD)
        except LogReadError as error:
            raise LogOpenError(str(error)) from error
        text = self._decoded(head)
        self._delimiter = options.delimiter or self.delimiter or _delimiter(text)
        self.names = self._names(text, len(head) < _HEAD)
        self._text: MarkedText | None = None
        self._marked = False  # whether the row was seen that marks the end
        self._open = False  # whether that is at the end of a row with too few values
        self._bad: list[Any] = []  # rows with a wrong number of values, not yet given
        self._rows = 0  # read, the rejected ones as well

    def _decoded(self, head: bytes) -> str:
        """Return the beginning as text."""
        encoding = self._options.encoding
        for mark, other in _MARKS:
            if head.startswith(mark) and codecs.lookup(encoding).name == "utf-8":
                why = f"give --encoding {other}" if other else "its suffix does not say so"
                raise LogOpenError(f"{self.path}: is not text in UTF-8: {why}")
        try:
            text = codecs.getincrementaldecoder(encoding)("replace").decode(head)
        except UnicodeError as error:
            raise LogOpenError(f"{self.path}: {error}; see --encoding") from error
        return text.removeprefix("\ufeff")

    def _names(self, text: str, whole: bool) -> list[str]:
        """Return the names of the columns, from the first row."""
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=self._delimiter)
        row: list[str] = []
        while not row:
            try:
                row = next(reader)
            except StopIteration:
                return []
            except csv.Error as error:
                raise LogOpenError(f"{self.path}, row 1: {error}") from error
        if not whole and reader.line_num > text.count("\n"):
            raise LogOpenError(f"{self.path}: its first row is longer than {_HEAD:,} bytes")
        if not self._options.header:
            return [str(number) for number in range(1, len(row) + 1)]
        return row

    def close(self) -> None:
        """Close it."""
        self._file.close()

    def progress(self) -> Progress:
        """Return how many bytes have been read."""
        return self._file.progress()

    def batches(self, columns: Mapping[str, str], skip: int = 0) -> Iterator[Batch]:
        """Yield the rows after the first `skip` ones."""
        wanted = list(columns.values())
        if not self.names:
            return
        for name in wanted:
            if self.names.count(name) > 1:
                raise UsageError(f"{self.path}: has more than one column {name}")
        number = 1
        try:
            for rows in self._whole_rows(wanted):
                batch = self._numbered(rows, number)
                number = batch.end
                if number > skip + 1:
                    yield batch.after(skip)
            if self._bad:
                batch = self._numbered(None, number)
                number = batch.end
                if number > skip + 1:
                    yield batch.after(skip)
            if not self._marked:
                raise ValueError("an opening quote has no closing one")
        except (OSError, ValueError) as error:
            if isinstance(error, UsageError | LogReadError):
                raise
            raise LogReadError(self._fault(error, number)) from error

    def _fault(self, error: Exception, number: int) -> str:
        """Return why reading failed after the rows before `number`."""
        text = reason(error)
        if "straddling" in text:
            text = (
                f"a row is longer than {BLOCK:,} bytes, or an opening quote has no closing one"
            )
        return f"{self.path}, after row {number - 1}: {text}"

    def _whole_rows(self, wanted: list[str]) -> Iterator[Any]:
        """Yield rows as the file has them, without one that a quote leaves open."""
        pa = arrow(self.path)
        held = None  # may have the last row
        for rows in self._reader(wanted):
            if held is not None:
                yield held
            assert self._text is not None
            held = original_rows(rows, pa) if self._text.changed else rows
            if self._marked or not self._text.ended:
                yield held
                held = None
        if held is not None:
            left_open = not self._marked and not self._open
            yield held.slice(0, held.num_rows - left_open)

    def _reader(self, wanted: list[str]) -> Iterator[Any]:
        pa = arrow(self.path)
        options = self._options
        file: Any = self._stream
        if codecs.lookup(options.encoding).name != "utf-8":
            file = pa.PythonFile(file, mode="r")
            file = pa.transcoding_input_stream(file, options.encoding, "utf8")
        self._text = MarkedText(file, len(self.names), self._delimiter)
        reader = self._csv.open_csv(
            pa.PythonFile(self._text, mode="r"),
            read_options=self._csv.ReadOptions(
                use_threads=False,  # then a row with a wrong number of values has its number
                block_size=BLOCK,
                column_names=None if options.header else self.names,
            ),
            parse_options=self._csv.ParseOptions(
                delimiter=self._delimiter,
                newlines_in_values=True,
                invalid_row_handler=self._keep_bad,
            ),
            convert_options=self._csv.ConvertOptions(
                check_utf8=False,  # it would end the run; the detector rejects the row
                column_types=dict.fromkeys(wanted, pa.string()),
                include_columns=wanted,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        yield from reader

    def _keep_bad(self, row: Any) -> str:
        assert self._text is not None
        if row.text == self._text.mark:
            self._marked = True
        elif row.text.endswith(self._text.mark):
            self._open = True
        else:
            self._bad.append(row)
        return "skip"

    def _numbered(self, rows: Any, first: int) -> Batch:
        """Return rows with their numbers, and with the bad rows that are among them."""
        count = 0 if rows is None else rows.num_rows
        header = int(self._options.header)
        if not self._bad:
            return Batch(rows, self.path, first, first + count)
        bad = [row.number - header for row in self._bad]
        numbers = np.setdiff1d(np.arange(first, first + count + len(bad)), bad)[:count]
        end = int(numbers[-1]) + 1 if rows is not None and count else first
        here = len(bad) if rows is None else sum(number <= end for number in bad)
        rejected = [
            (int(np.searchsorted(numbers, number)), self._rejected(row, number))
            for row, number in zip(self._bad[:here], bad, strict=False)
        ]
        self._bad = self._bad[here:]
        if here:
            end = max(end, bad[here - 1] + 1)
        return Batch(rows, self.path, first, end, numbers, rejected)

    def _rejected(self, row: Any, number: int) -> Rejected:
        return Rejected(self.path, number, BAD_ROW, original(row.text.encode()))


class TabTable(TextTable):
    """A file of values with tabs between them."""

    delimiter = "\t"


def _delimiter(text: str) -> str:
    """Return what stands between the values of the first row."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    outside = "".join(line.split('"')[::2])
    return max(_DELIMITERS, key=outside.count)
