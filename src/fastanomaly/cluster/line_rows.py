"""The rows of a batch: of lines, and what flags on any rows need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastanomaly.results import Flag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastanomaly._core import LineColumns
    from fastanomaly.cluster.sequencer import Table


class EventRows:
    """The columns of some events that were read, for a batch and for flags.

    Parameters
    ----------
    log : str
        The log's name in flags.
    numbers : bool
        Whether all ids are plain numbers.
    columns : tuple of bytes
        What `LineColumns.read` has returned.
    adjusted : tuple of two int
        Likewise.
    """

    def __init__(
        self,
        log: str,
        numbers: bool,
        columns: tuple[bytes, bytes, bytes, bytes, bytes],
        adjusted: tuple[int, int],
    ) -> None:
        import numpy as np  # noqa: PLC0415 - imported late: it slows the start

        kinds, times_us, users, friends, amounts_units = columns
        self._log = log
        self.adjusted = adjusted
        self.columns: tuple[Any, Any, Any, Any, Any] = (
            np.frombuffer(kinds, np.uint8),
            np.frombuffer(times_us, np.int64),
            np.frombuffer(users, np.int64) if numbers else users,
            np.frombuffer(friends, np.int64) if numbers else friends,
            np.frombuffer(amounts_units, np.int64),
        )

    def flag(self, values: Sequence[int], line: int, raw: bytes) -> Flag:
        """Return the flag of a row of that table; `line` and `raw` are those of `Flag`."""
        row, n, mean_cents, sd_cents, *words = values
        _kinds, times_us, _users, _friends, amounts_units = self.columns
        return Flag(
            self._user(row),
            int(times_us[row]),
            int(amounts_units[row]),
            n,
            _number(words[:2]),
            _number(words[2:]),
            mean_cents,
            sd_cents,
            self._log,
            line,
            raw,
        )

    def _user(self, row: int) -> str:
        """Return the id of a buyer; texts are described in engine/id_texts.pxd."""
        import numpy as np  # noqa: PLC0415

        kinds, _times_us, users, *_ = self.columns
        if not isinstance(users, bytes):
            return str(users[row])
        rows = len(kinds)
        start, end = np.frombuffer(users, np.int64, rows + 1)[row : row + 2].tolist()
        head = 8 * (rows + 1)
        return users[head + start : head + end].decode()


class LineRows(EventRows):
    """The columns of some lines, and their text, which flags will need.

    Parameters
    ----------
    data : bytes or memoryview
        A text with the lines; it is not copied.
    log : str
        The log's name in flags.
    numbers, columns, adjusted, places
        What `LineColumns.read` has returned.
    """

    def __init__(
        self,
        data: bytes | memoryview,
        log: str,
        numbers: bool,
        columns: tuple[bytes, bytes, bytes, bytes, bytes],
        adjusted: tuple[int, int],
        places: bytes,
    ) -> None:
        import numpy as np  # noqa: PLC0415

        super().__init__(log, numbers, columns, adjusted)
        self._data = data
        self._places = np.frombuffer(places, np.int64).reshape(-1, 3)

    def flags(self, table: Table) -> list[Flag]:
        """Return the flags of a table as `Sequencer.release` describes it."""
        return [self._line_flag(values) for values in table.tolist()]

    def _line_flag(self, values: Sequence[int]) -> Flag:
        line, start, end = self._places[values[0]].tolist()
        return self.flag(values, line, bytes(self._data[start:end]))


def read_rows(
    scanner: LineColumns, data: bytes | memoryview, log: str, most: int
) -> LineRows | None:
    """Return the next rows of lines, up to `most`, or None if no line is left."""
    read = scanner.read(most)
    return None if read is None else LineRows(data, log, *read)


def _number(words: Sequence[int]) -> int:
    """Return a number from its words of 64 bits, which are read as signed ones."""
    return sum((word % 2**64) << 64 * place for place, word in enumerate(words))
