"""Flags as rows of a CSV file, below a line with the names of the columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastanomaly.errors import UsageError
from fastanomaly.formats.flag_row import COLUMNS
from fastanomaly.sinks.flag_rows import flag_rows
from fastanomaly.sinks.lines import FileSink

if TYPE_CHECKING:
    from fastanomaly.results import Flag
    from fastanomaly.sinks.base import SinkOptions

_HEADER = (",".join(COLUMNS) + "\n").encode()
_SPECIAL = ',"\r\n'


class CsvSink(FileSink):
    """A CSV file, which grows with each flag.

    Its position is the number of bytes written.

    Raises
    ------
    OutputError
        If it cannot be opened.
    """

    def __init__(self, path: str, options: SinkOptions) -> None:
        super().__init__(path, options)
        self._sigmas = options.sigmas

    def check_resume(self, position: int | None) -> None:
        """Check that the file is as long as the position and begins with the columns."""
        super().check_resume(position)
        if position and self._file.first_bytes(len(_HEADER)) not in (None, _HEADER):
            raise UsageError(
                f"{self.path}: is not a CSV file of flags, but the checkpoint was made with "
                "one (--fresh starts over)"
            )

    def resume(self, position: int | None) -> None:
        """Cut the file to the position, and begin it with the names of the columns."""
        super().resume(position)
        if not position:
            self._file.write([_HEADER])

    def write_flags(self, flags: Sequence[Flag]) -> None:
        """Write each flag as a row, all of them or none."""
        rows = [_csv_row(row.texts()) for row in flag_rows(flags, self._sigmas)]
        self._file.write(["".join(rows).encode()], lines=False)  # ids may have line ends


def _csv_row(texts: Sequence[str]) -> str:
    """Return texts as a row; unlike the standard library, an empty text is not a null."""
    return ",".join(map(_quoted, texts)) + "\n"


def _quoted(text: str) -> str:
    if text and not any(character in text for character in _SPECIAL):
        return text
    return '"' + text.replace('"', '""') + '"'
