"""Rows of a table as the rows of a batch, and the flags on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from fastanomaly.cluster.line_rows import EventRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastanomaly._core import FrameColumns, FrameLines
    from fastanomaly.cluster.sequencer import Table
    from fastanomaly.results import Flag

    FrameFlag: TypeAlias = tuple[Flag, tuple[bytes | None, ...]]


class FrameRows(EventRows):
    """The columns of some rows of a table, and where their lines are, which flags need.

    Parameters
    ----------
    log : str
        The table's name in flags.
    numbers, columns, adjusted, places, first_row, lines, kept
        What `FrameColumns.read` has returned.
    """

    def __init__(
        self,
        log: str,
        numbers: bool,
        columns: tuple[bytes, bytes, bytes, bytes, bytes],
        adjusted: tuple[int, int],
        places: bytes,
        first_row: int,
        lines: FrameLines,
        kept: list[tuple[bytes | None, ...]],
    ) -> None:
        import numpy as np  # noqa: PLC0415 - imported late: it slows the start

        super().__init__(log, numbers, columns, adjusted)
        self._places = np.frombuffer(places, np.int64)
        self._first_row = first_row
        self._lines = lines
        self._kept = kept

    def flags(self, table: Table) -> list[FrameFlag]:
        """Return the flags of a table as `Sequencer.release` describes it.

        With each, its values of the columns that flags keep.
        """
        return [self._frame_flag(values) for values in table.tolist()]

    def _frame_flag(self, values: Sequence[int]) -> FrameFlag:
        row = values[0]
        place = int(self._places[row])
        flag = self.flag(values, self._first_row + place, self._lines.line(place))
        return flag, self._kept[row] if self._kept else ()


def read_frame_rows(reader: FrameColumns, log: str, most: int) -> FrameRows | None:
    """Return the next rows of a table, up to `most`, or None if no row is left."""
    read = reader.read(most)
    return None if read is None else FrameRows(log, *read)
