"""Why the value of a member is rejected, in a few words for people.

Called for rejected lines only, and imported late: the expressions take time to compile. Values
are given as they are written in the line, as JSON.
"""

from __future__ import annotations

import re
import unicodedata
from calendar import monthrange

_MOST_SHOWN = 80  # characters
_MOST_EXAMINED = 200
_AMOUNT_DIGITS, _AMOUNT_DECIMALS = 12, 6

_EVENT_TYPES = ("purchase", "befriend", "unfriend")
_EPOCH = "--time-unit reads numbers of seconds since 1970 and of smaller units"
EPOCH_ARGUMENT = 'time_unit="s" reads seconds since 1970, "ms", "us" and "ns" smaller units'
"""The advice for numbers with the API's name of the option."""

_FORMS = {
    "event_type": "must be purchase, befriend or unfriend",
    "timestamp": 'must be like "2017-06-13 11:33:02"',
    "amount": 'must be a decimal number like "16.83"',
}
"""What is said of a value of which nothing better is known."""

_TYPES = {
    "event_type": "must be a string",
    "timestamp": "must be a string",
    "amount": "must be a number or a string",
    "id": "must be a string or a whole number",
    "id1": "must be a string or a whole number",
    "id2": "must be a string or a whole number",
}


class _Explained:
    """Regular expressions and what a value is that matches one; the first one counts.

    They are one expression, so that a value costs one search.
    """

    def __init__(self, flags: re.RegexFlag, *cases: tuple[str, str]) -> None:
        self._words = [words for _, words in cases]
        self._pattern = re.compile("|".join(f"({pattern})" for pattern, _ in cases), flags)

    def words(self, value: str) -> str:
        """Return the words for a whole value, or ""."""
        found = self._pattern.fullmatch(value)
        return "" if found is None else self._words[(found.lastindex or 1) - 1]


_DECIMAL = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?")
_COMMA = "has a comma: neither thousands separators nor decimal commas are allowed"
_WRONG_AMOUNTS = _Explained(
    re.IGNORECASE | re.ASCII,
    (r"\s*", "is empty"),
    (r"\s.*|.*\s", "has white space around it"),
    (r"[+-]?(?:nan|inf|infinity)", "is not a finite number"),
    (r"[+-]?\d{1,3}(?:,\d{3})+\.\d*", "has thousands separators"),
    (r"[+-]?\d{1,3}(?:,\d{3}){2,}", "has thousands separators"),
    (r"[+-]?\d{1,3}(?:[ '_\u2019\u00a0\u202f]\d{3})+(?:[.,]\d*)?", "has thousands separators"),
    (r"[+-]?\d{1,3}(?:\.\d{3})+,\d*", "has thousands separators and a decimal comma"),
    (r"[+-]?\d{1,3}(?:\.\d{3}){2,}", "has thousands separators"),
    (r"[+-]?\d{1,3},\d{3}", _COMMA),
    (r"[+-]?\d*,\d*", "has a decimal comma instead of a point"),
    (r"[+-]?\d*\.\d*\.[\d.]*", "has more than one decimal point"),
    (r"0x[0-9a-f]+", "is hexadecimal"),
    (r"[+-]{2,}[\d.]+", "has two signs"),
    (r"[+-]?[\d.]+e[+-]?", "has an exponent without digits"),
    (r"[+-]?[\d.]+e[+-]?\d*\.\d*", "has an exponent that is not a whole number"),
    (r"[+-]?[\d.,]+ ?%", "is a percentage"),
    (r"\([\d.,]+\)", "is in parentheses"),
    (r"\u2212[\d.,]+", "is negative, with a minus sign that is not ASCII"),
    (r"[+-]?[a-z]{3} ?[\d.,]+|[+-]?[\d.,]+ ?[a-z]{3}", "has the name of a currency"),
)

# Otherwise it would be a valid amount.
_POINT = "has a point: with --decimal-comma it may only separate thousands"

_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})(.*)", re.DOTALL
)
_BEFORE = "is before the year 1: years are 0001 to 9999"
_WRONG_TIMES = _Explained(
    re.ASCII | re.DOTALL,
    (r"\s*", "is empty"),
    (r"\s.*|.*\s", "has white space around it"),
    (r"\d{4,}-\d\d-\d\d(?: .*)? BC", _BEFORE),  # also of years beyond 9999
    (r"\d{4}-\d\d-\d\d", "is only a date: the time is missing"),
    (r"\d{8}", "is only a date, without dashes: the time is missing"),
    (r"-?\d{9,}(?:\.\d*)?", f"is a number: {_EPOCH}"),
    (
        r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?:[+-]\d\d.*|Z)?",
        "has no seconds: --time-unit iso accepts that",
    ),
    (r"\d{4}-\d\d-\d\d[T ]\d\d", "has no minutes and seconds"),
    (r"\d{8}[T ]?\d{4,6}.*", "has no dashes and colons"),
    (r"\d{4}-\d\d", "is only a month: day and time are missing"),
    (r"\d{1,2}:\d\d(?::\d\d)?(?:\.\d*)?", "is only a time: the date is missing"),
    (r"\d+/\d+.*", "has slashes: the date must be YYYY-MM-DD"),
    (r"\d+\.\d+\.\d+.*", "has dots in the date, which must be YYYY-MM-DD"),
    (r"\d{1,2}-\d{1,2}-\d{4}.*", "has the year last: the date must be YYYY-MM-DD"),
    (r"\d\d-\d\d-\d\d(?!\d).*", "has a year of two digits"),
    (r"\d{4}-W\d.*", "has a week: the date must be YYYY-MM-DD"),
    (r"\d{4}-\d{3}(?!\d).*", "has a day of the year: the date must be YYYY-MM-DD"),
    (r"[+-]\d{4,}-.*|\d{5,}-.*", "has a year that is not of four digits"),
    (r".*\d ?[aApP]\.?[mM]\b.*", "has AM or PM: hours are 00 to 23"),
    (r"(?=.*[A-Za-z]{3}).*\d{1,2}:\d\d.*", "has names: the date must be YYYY-MM-DD"),
    (r"\d{4}-\d\d-\d\dt.*", "has a lower-case t"),
    (r"\d{4}-\d\d-\d\d[ T_,]{2,}\d.*", "has more than one character before the time"),
    (r"\d{4}-\d\d-\d\d[^ T\d]\d.*", "has neither a space nor T before the time"),
    (
        r"\d{4}-\d{1,2}-\d{1,2}[T ]\d{1,2}:\d{1,2}(?::\d{1,2})?(?:\D.*)?",
        "needs two digits each",
    ),
)
_WRONG_ENDS = _Explained(
    re.ASCII | re.DOTALL,
    # Nothing is wrong with it but its row, whose other time is the beginning.
    (r"(?:\.\d{1,6}0*)?Z?", "is before the friendship begins"),
    (r"\.(?!\d).*", "has no digits after the point"),
    (r",\d.*", "has a decimal comma: write a point before fractions of a second"),
    (r"(?:\.\d+)?\s+[+-]?\d.*", "has a space before the offset"),
    (r"(?:\.\d+)?\s*[aApP]\.?[mM]\.?", "has AM or PM: hours are 00 to 23"),
    (r"(?:\.\d+)?z", "has a lower-case z"),
    (r"(?:\.\d+)?[+-]\d.*", "has an offset that is not like +02, +0200 or +02:00"),
    (r"(?:\.\d+)?Z.+", "has something after Z"),
    (
        r"(?:\.\d+)?\s*\[?[A-Za-z][A-Za-z_/+-]+\d*\]?",
        "has the name of a time zone: write Z or an offset such as +02:00",
    ),
)


def value_detail(name: str, text: str) -> str:
    """Return the name of a member, its value, shortened, and what is wrong with it.

    Parameters
    ----------
    name : str
        ``event_type``, ``timestamp``, ``amount``, ``id``, ``id1`` or ``id2``.
    text : str
        Its value as it is written, as JSON: one that is not valid for that name.

    Returns
    -------
    str
        Such as ``amount: "$5" (has a currency sign)``.
    """
    words = wrong_value(name, text)
    if not words or (len(text) > _MOST_SHOWN and words == _FORMS.get(name)):
        return f"{name}: {shortened(text)}"
    return f"{name}: {shortened(text)} ({words})"


def shortened(text: str) -> str:
    """Return a text, cut to 80 characters."""
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."


def wrong_value(name: str, text: str) -> str:
    """Return what is wrong with a value, or "" if it shows that itself; see `value_detail`."""
    is_number = text[:1] in "-0123456789"
    if not text.startswith('"') and not (is_number and name == "amount"):
        if name == "timestamp" and is_number:
            return f"is a number: {_EPOCH}"
        return _TYPES[name]
    value = _string(text) if text.startswith('"') else text
    if name == "amount":
        return _wrong_amount(value) or _POINT
    if name == "timestamp":
        return _wrong_timestamp(value)
    usual = value.strip(" ").lower()  # as in engine/reject_rows.pxd
    if name == "event_type" and usual in _EVENT_TYPES:
        return f'must be "{usual}", in lower case and without spaces'
    return _FORMS.get(name, "")


def argument_fault(name: str, value: str) -> str:
    """Return what is wrong with a value that a Python program passes, or "" if unknown.

    Parameters
    ----------
    name : {"timestamp", "amount"}
    value : str
        Its text; a number as decimal text.

    Returns
    -------
    str
        As `wrong_value`, with the API's names of the options.
    """
    if name == "amount":
        words = _wrong_amount(value)
        if words == _FORMS["amount"]:
            return ""
        return words.replace("--round-amounts", "round_amounts=True")
    words = _wrong_timestamp(value).replace(_EPOCH, EPOCH_ARGUMENT)
    return words.replace("--time-unit iso", 'time_unit="iso"')


def _string(text: str) -> str:
    """Return a JSON string's value."""
    if "\\" not in text:
        return text[1:-1]
    import orjson  # noqa: PLC0415 - imported late: it slows the start

    value: str = orjson.loads(text)
    return value


def _wrong_amount(value: str) -> str:
    number = _DECIMAL.fullmatch(value)
    if number is not None and (number[2] or number[3]):
        return _wrong_number(*number.groups(""))
    if len(value) > _MOST_EXAMINED:
        return _FORMS["amount"]
    if value.startswith("$"):
        return "has a currency sign"
    if words := _WRONG_AMOUNTS.words(value):
        return words
    if any(unicodedata.category(c) == "Sc" for c in value):
        return "has a currency sign"
    return _other_digits(value) or _FORMS["amount"]


def _wrong_number(sign: str, whole: str, fraction: str, exponent: str) -> str:
    """Return why a decimal number is out of range."""
    digits = (whole + fraction).lstrip("0")
    power = -len(fraction)
    if exponent:
        # Larger exponents make no difference, and int() refuses very long texts.
        size = exponent.lstrip("+-0")
        power += (-1 if exponent[0] == "-" else 1) * int(size[:9] or "0")
    significant = digits.rstrip("0")
    power += len(digits) - len(significant)
    if sign == "-":
        return "is negative"
    if len(significant) + power > _AMOUNT_DIGITS:
        return "is too large: amounts are below 10^12"
    if power < -_AMOUNT_DECIMALS:
        most = _AMOUNT_DIGITS + _AMOUNT_DECIMALS
        nearly = len(significant) + power == _AMOUNT_DIGITS
        if nearly and significant[:most] == "9" * most and significant[most] >= "5":
            return "has more than six decimals, and is too large when rounded"
        return "has more than six decimals: --round-amounts rounds them"
    return ""


def _wrong_timestamp(value: str) -> str:
    if len(value) > _MOST_EXAMINED:
        return _FORMS["timestamp"]
    if (parts := _TIMESTAMP.fullmatch(value)) is not None:
        *numbers, end = parts.groups()
        if end.endswith(" BC"):  # as PostgreSQL writes it
            return _BEFORE
        return _wrong_date_or_time(*map(int, numbers)) or _wrong_end(end)
    return _WRONG_TIMES.words(value) or _other_digits(value) or _FORMS["timestamp"]


def _wrong_date_or_time(
    year: int, month: int, day: int, hour: int, minute: int, second: int
) -> str:
    """Return which of the numbers is out of range, or ""."""
    if year == 0:
        return "has year 0000: years are 0001 to 9999"
    if not 1 <= month <= 12:
        return f"has month {month:02}: months are 01 to 12"
    last_day = monthrange(year, month)[1]
    if not 1 <= day <= last_day:
        return f"has day {day:02}: days of {year:04}-{month:02} are 01 to {last_day}"
    if hour > 23:
        return f"has hour {hour}: hours are 00 to 23"
    if minute > 59:
        return f"has minute {minute}: minutes are 00 to 59"
    if second == 60:
        return "has second 60: leap seconds are not allowed"
    if second > 60:
        return f"has second {second}: seconds are 00 to 59"
    return ""


def _wrong_end(end: str) -> str:
    """Return what is wrong with what follows the seconds."""
    if decimals := re.match(r"\.([0-9]{7,})", end):
        return f"has {len(decimals[1])} decimals of a second: --time-unit iso cuts all but 6"
    offset = re.fullmatch(r"(?:\.[0-9]+)?[+-]([0-9]{2}):?([0-9]{2})?", end)
    if offset is not None and (int(offset[1]) > 23 or int(offset[2] or "0") > 59):
        return "has an offset beyond 23:59"
    if end.isspace():
        return "has white space around it"
    return (
        _WRONG_ENDS.words(end)
        or _other_digits(end)
        or "has something after the seconds: only Z or an offset may follow"
    )


def _other_digits(value: str) -> str:
    if any(c.isdigit() and not c.isascii() for c in value):
        return "has digits that are not ASCII"
    return ""
