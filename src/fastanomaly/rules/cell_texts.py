"""Values of tables as they are written in the lines of a log, as JSON.

The engine reads most values of a table without them: they are for rows that are rejected or
flagged, and for numbers that need more than its arithmetic.
"""

from __future__ import annotations

import re
import struct

_DAY = 86_400
_LEAP_CYCLE = 146_097  # days in 400 years
_DECIMALS = 2  # at least as many are written

_ESCAPES = {b'"': b'\\"', b"\\": b"\\\\", b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t"}


def json_string(text: bytes) -> bytes:
    """Return UTF-8 as a JSON string; what is not UTF-8 remains as it is."""
    return b'"%b"' % re.sub(rb'[\x00-\x1f"\\]', _escape, text)


def _escape(found: re.Match[bytes]) -> bytes:
    return _ESCAPES.get(found[0]) or b"\\u%04x" % found[0][0]


def float_text(raw: bytes) -> str:
    """Return the shortest decimal that names a float of 4 or 8 bytes, as it prints."""
    if len(raw) == 8:
        value: float = struct.unpack("=d", raw)[0]
        return repr(value)
    import numpy as np  # noqa: PLC0415 - imported late: it slows the start

    return str(np.frombuffer(raw, np.float32)[0])


def amount_string(number: int | str, decimals: int = 0) -> bytes:
    """Return number * 10^-decimals as a JSON string with at least two decimals.

    A number given as text is written so, too, if it has no exponent.
    """
    if isinstance(number, str):
        whole, point, fraction = number.partition(".")
        if not point or not fraction.isdigit():
            return b'"%b"' % number.encode()
    elif decimals <= 0:
        whole, fraction = str(number * 10**-decimals), ""
    else:
        sign, digits = "-" * (number < 0), str(abs(number)).zfill(decimals + 1)
        whole, fraction = sign + digits[:-decimals], digits[-decimals:]
    return b'"%b.%b"' % (whole.encode(), fraction.rstrip("0").ljust(_DECIMALS, "0").encode())


def number_or_string(text: str) -> bytes:
    """Return the text of a float as a JSON number, or as a string if it is not finite."""
    number = text.encode()
    return number if re.search(r"\d", text) else b'"%b"' % number


def time_string(ticks: int, per_second: int) -> bytes:
    """Return a time as a JSON string, in UTC, to the microsecond or as fine as it is.

    Parameters
    ----------
    ticks : int
        Since 1970; the year may be any.
    per_second : int
        How many ticks are in a second: 1, or a power of ten up to 10^9.
    """
    from datetime import date, timedelta  # noqa: PLC0415 - imported late: start

    seconds, rest = divmod(ticks, per_second)
    days, seconds = divmod(seconds, _DAY)
    cycles, days = divmod(days, _LEAP_CYCLE)
    day = date(1970, 1, 1) + timedelta(days)
    year = day.year + 400 * cycles
    hours, minutes = divmod(seconds // 60, 60)
    fraction = ""
    if rest:
        nanoseconds = rest * (10**9 // per_second)
        fraction = f".{nanoseconds:09}".removesuffix("000")
    return (
        f'"{year:04}-{day.month:02}-{day.day:02} '
        f'{hours:02}:{minutes:02}:{seconds % 60:02}{fraction}"'
    ).encode()
