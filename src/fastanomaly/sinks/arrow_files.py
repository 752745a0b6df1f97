"""Flags as Parquet and Arrow files, which are complete when the run ends.

Neither format can be continued or cut. So flags are collected in ``NAME.part``, an Arrow
stream, which can be. When the run ends, a file made of it gets the name, and it is removed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastanomaly.errors import OutputError, UsageError, installation
from fastanomaly.formats.flag_row import COLUMNS, FlagRow
from fastanomaly.names import check_count
from fastanomaly.sinks.files import LineFile
from fastanomaly.sinks.flag_rows import flag_rows
from fastanomaly.sinks.paths import irregular, output_error
from fastanomaly.sinks.replacing import replace_file

if TYPE_CHECKING:
    import pyarrow as pa

    from fastanomaly.results import Flag
    from fastanomaly.sinks.base import SinkOptions

_GROUP_ROWS = 1 << 17


class ArrowSink:
    """An Arrow IPC file, also known as Feather 2; see `fastanomaly.sinks.base.FlagSink`.

    Its position is the number of rows written.

    Raises
    ------
    UsageError
        If pyarrow is not installed.
    OutputError
        If the path cannot be replaced, or ``NAME.part`` is something else.
    """

    _writer_module = "pyarrow.ipc"

    def __init__(self, path: str, options: SinkOptions) -> None:
        try:
            self._pa: Any = import_module("pyarrow")
            self._format: Any = import_module(self._writer_module)
        except ModuleNotFoundError:
            raise UsageError(
                f"{path}: is written by pyarrow: {installation('tables')}"
            ) from None
        self.path = path
        self._schema = _schema(self._pa)
        self._sigmas = options.sigmas
        self._rows = 0
        self._part: LineFile | None = None
        self._part_path = os.path.realpath(path) + ".part"
        try:
            if kind := irregular(path):
                raise OutputError(f"{path}: is {kind}, not a regular file")
            self._check_part()
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            raise _named(path, error) from error

    def _check_part(self) -> None:
        """Check that no other file than that of an earlier run is in the way."""
        if not os.path.exists(self._part_path) or os.path.getsize(self._part_path) == 0:
            return
        if next(self._part_batches(), None) is None:
            raise OutputError(
                f"{self._part_path}: is in the way, and not flags of an earlier run"
            )

    def close(self) -> None:
        """Close it."""
        if self._part is not None:
            self._part.close()
            self._part = None

    def check_resume(self, position: int | None) -> None:
        """Check that there are as many rows as the position says; raises UsageError."""
        if position and self._home(position) is None:
            raise UsageError(
                f"{self.path}: has fewer flags than the {position} that the checkpoint was "
                "made after (--fresh starts over)"
            )

    def resume(self, position: int | None) -> None:
        """Begin ``NAME.part`` with as many rows as the position says."""
        self._rows = position or 0
        home = self._home(self._rows) if self._rows else None
        kept = iter(()) if home is None else _first(home(), self._rows)

        def write(fd: int) -> None:
            with os.fdopen(fd, "wb", closefd=False) as file:
                file.write(self._schema.serialize())
                for batch in kept:
                    file.write(batch.serialize())

        try:
            replace_file(self._part_path, write)
            self._part = LineFile(self._part_path)
            self._part.cut(os.path.getsize(self._part_path))
        except OSError as error:
            raise _named(self._part_path, error) from error

    def write_flags(self, flags: Sequence[Flag]) -> None:
        """Add flags to ``NAME.part``, all of them or none."""
        assert self._part is not None
        batch = self._batch(flag_rows(flags, self._sigmas))
        self._part.write([batch.serialize().to_pybytes()], lines=False)
        self._rows += len(flags)

    def snapshot(self) -> int:
        """Return the number of rows written."""
        return self._rows

    def sync(self) -> None:
        """Have ``NAME.part`` written to the disk."""
        if self._part is not None:
            self._part.sync()

    def descriptors(self) -> list[int]:
        """Return that of ``NAME.part``, which `sync` needs."""
        return [] if self._part is None else [self._part.fileno()]

    def finish(self) -> None:
        """Write the file with all rows so far, durably, and remove ``NAME.part``."""
        try:
            replace_file(self.path, self._write_file)
            self.close()
            os.unlink(self._part_path)
        except OSError as error:
            raise _named(self.path, error) from error

    def _write_file(self, fd: int) -> None:
        with os.fdopen(fd, "wb", closefd=False) as file, self._writer(file) as writer:
            for batches in _groups(self._part_batches()):
                table = self._pa.Table.from_batches(batches, self._schema)
                writer.write_table(table.combine_chunks(), _GROUP_ROWS)

    def _writer(self, file: Any) -> Any:
        """Return a writer to a binary file: of Parquet or of Arrow's own format."""
        return self._format.new_file(file, self._schema)

    def _file_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches of the file that the name stands for."""
        with self._pa.memory_map(self.path) as file:
            reader = self._format.open_file(file)
            if reader.schema.equals(self._schema):
                yield from map(reader.get_batch, range(reader.num_record_batches))

    def _part_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield an empty batch and those of ``NAME.part``; nothing if it is another file."""
        with suppress(self._pa.ArrowInvalid), open(self._part_path, "rb") as file:
            reader = self._pa.ipc.open_stream(file)
            if reader.schema.equals(self._schema):
                yield self._batch([])
                yield from reader

    def _home(self, rows: int) -> Callable[[], Iterator[pa.RecordBatch]] | None:
        """Return what yields the first rows: ``NAME.part``, or the file if a run ended."""
        for batches in (self._part_batches, self._file_batches):
            with suppress(self._pa.ArrowInvalid, FileNotFoundError):
                if sum(batch.num_rows for batch in _first(batches(), rows)) == rows:
                    return batches
        return None

    def _batch(self, rows: Sequence[FlagRow]) -> pa.RecordBatch:
        """Return rows as a batch."""
        columns = zip(*map(_values, rows), strict=True) if rows else [()] * len(COLUMNS)
        arrays = [
            self._pa.array(column, field.type)
            for column, field in zip(columns, self._schema, strict=True)
        ]
        return self._pa.record_batch(arrays, schema=self._schema)

    @staticmethod
    def identity(path: str) -> str:
        """Return the path without links."""
        return os.path.realpath(path)

    @staticmethod
    def check_position(position: object) -> None:
        """Raise ValueError unless it is what `snapshot` returns."""
        check_count("position", position)


class ParquetSink(ArrowSink):
    """A Parquet file; see `ArrowSink`."""

    _writer_module = "pyarrow.parquet"

    def _writer(self, file: Any) -> Any:
        return self._format.ParquetWriter(file, self._schema)

    def _file_batches(self) -> Iterator[pa.RecordBatch]:
        with self._format.ParquetFile(self.path) as file:
            if file.schema_arrow.equals(self._schema):
                yield from file.iter_batches(_GROUP_ROWS)


def _schema(pyarrow: Any) -> pa.Schema:
    types = {
        "user": pyarrow.string(),
        "timestamp": pyarrow.timestamp("us", "UTC"),
        "amount": pyarrow.decimal128(18, 6),
        "n": pyarrow.int64(),
        "mean": pyarrow.decimal128(20, 2),
        "sd": pyarrow.decimal128(20, 2),
        "excess": pyarrow.float64(),
        "log": pyarrow.string(),
        "row": pyarrow.int64(),
    }
    return pyarrow.schema([(name, types[name]) for name in COLUMNS])


def _values(row: FlagRow) -> tuple[Any, ...]:
    """Return a row as pyarrow takes its values."""
    return (
        row.user,
        row.time_us,
        Decimal(row.amount_units).scaleb(-6),
        row.n,
        Decimal(row.mean_cents).scaleb(-2),
        Decimal(row.sd_cents).scaleb(-2),
        row.excess,
        row.log,
        row.row,
    )


def _first(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the first rows of batches."""
    for batch in batches:
        yield batch.slice(0, rows)
        rows -= min(rows, batch.num_rows)
        if rows == 0:
            return


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Put batches together to about as many rows as a row group has."""
    group: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        group.append(batch)
        rows += batch.num_rows
        if rows >= _GROUP_ROWS:
            yield group
            group, rows = [], 0
    yield group


def _named(path: str, error: OSError | ValueError) -> OutputError:
    """Return the error as one that names the path."""
    return error if isinstance(error, OutputError) else output_error(path, error)
