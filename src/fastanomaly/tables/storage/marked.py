"""Text for pyarrow's CSV reader: always UTF-8, and with a row after the last one.

The reader stops at a row with a wrong number of values that is not UTF-8, and takes what is
after a quote that is not closed as one value. Here bytes that are not UTF-8 become characters
that stand for them; and at the end there is a row that cannot be in a table, which is not
found again as a row if a quote before it is open.
"""

from __future__ import annotations

import codecs
import io
import re
from typing import Any

_FIRST = 0x10FF00
"""The character that stands for byte 0; bytes from 128 on have the last 128 of all."""

_STAND_IN = re.compile(rb"\xf4\x8f([\xbe\xbf])([\x80-\xbf])")
_MAY_STAND = re.compile("[\U0010ff80-\U0010ffff]")


class MarkedText(io.RawIOBase):
    """A file of text in UTF-8, followed by a row that marks the end.

    Parameters
    ----------
    file : file
        Is read once.
    columns : int
        How many values a row has; the mark has more.
    delimiter : str

    Attributes
    ----------
    mark : str
        The row at the end.
    ended : bool
        Whether all was read, except for what is still to be given.
    changed : bool
        Whether a character stands for a byte.
    """

    def __init__(self, file: Any, columns: int, delimiter: str) -> None:
        self.mark = "\x1fend" + delimiter * (columns + 1)
        self.ended = False
        self.changed = False
        self._file = file
        self._waiting = b""  # to be given
        self._rest = b""  # the beginning of a character
        self._last = b"\n"

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read so many bytes, fewer at the end only; some if `size` is negative."""
        size = size if size >= 0 else 1 << 20
        while not self.ended and len(self._waiting) < size:
            data = self._file.read(size - len(self._waiting))
            self.ended = not data
            self._last = data[-1:] or self._last
            data = self._in_utf8(data)
            if self.ended:
                newline = b"" if self._last == b"\n" else b"\n"
                data += newline + self.mark.encode() + b"\n"
            self._waiting = self._waiting + data if self._waiting else data
        if len(self._waiting) == size:  # as it usually is: nothing is copied
            given, self._waiting = self._waiting, b""
            return given
        given, self._waiting = self._waiting[:size], self._waiting[size:]
        return given

    def _in_utf8(self, data: bytes) -> bytes:
        """Return bytes with characters for those that are not UTF-8, or look like them."""
        if not self._rest and data.isascii():
            return data
        data = self._rest + data
        try:
            text, used = codecs.utf_8_decode(data, "strict", self.ended)
        except UnicodeDecodeError:
            text, used = codecs.utf_8_decode(data, "surrogateescape", self.ended)
        else:
            if b"\xf4\x8f" not in data or not _MAY_STAND.search(text):
                self._rest = data[used:]
                return data[:used]
        self._rest = data[used:]
        self.changed = True
        text = _MAY_STAND.sub(lambda one: _stand_ins(one[0].encode()), text)
        stray = re.sub("[\udc80-\udcff]", lambda one: chr(ord(one[0]) - 0xDC00 + _FIRST), text)
        return stray.encode()


def original(text: bytes) -> bytes:
    """Return text that was read from a `MarkedText` as it is in the file."""
    return _STAND_IN.sub(lambda one: bytes([one[2][0] + 64 * (one[1][0] - 0xBE)]), text)


def original_rows(rows: Any, pa: Any) -> Any:
    """Return a record batch of texts as they are in the file, which may not be UTF-8."""
    arrays = [
        pa.array(
            [text and original(text) for text in column.cast(pa.binary()).to_pylist()],
            pa.binary(),
        ).cast(pa.string(), safe=False)
        for column in rows.columns
    ]
    return pa.RecordBatch.from_arrays(arrays, names=rows.schema.names)


def _stand_ins(data: bytes) -> str:
    return "".join(chr(_FIRST + byte) for byte in data)
