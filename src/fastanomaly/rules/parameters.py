"""The parameters of a run: their ranges, their defaults, and the batch log's first line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from operator import index

from fastanomaly.errors import ParameterError
from fastanomaly.rules.rejects import reread

LARGEST = 2**31 - 1
"""The largest D, T and line length."""

SMALLEST = {"D": 1, "T": 2}
"""The smallest D and T."""

MAX_LINE = 1 << 20
"""The default of the longest line that is read, in bytes."""

MAX_THREADS = 256
MAX_SHARDS = 1024
SHARDS = 2
"""The largest number of threads that judge."""

TIME_UNITS = ("s", "ms", "us", "ns", "iso")
"""What numbers in timestamps count; ``iso``: none, but more forms of texts are accepted."""

OTHER_DEGREES = (1, 2, 3, 4, 5, 6)
OTHER_TRACKED = (10, 20, 50, 100, 200)
"""The other D and T under which explanations and reports judge a purchase by default."""

_USUAL_LINE = re.compile(rb'\{"D": ?"([0-9]+)", ?"T": ?"([0-9]+)"\}\r?')


def check_whole(name: str, value: object) -> int:
    """Return D or T as an integer.

    Parameters
    ----------
    name : {"D", "T"}
    value : int or str
        As an integer, also of NumPy, or as ASCII decimal digits; D from 1, T from 2, both
        to 2^31 - 1.

    Raises
    ------
    ParameterError
        If it is not one; the message names the parameter and the value.
    """
    whole = whole_number(name, _from_digits(value, 4000))
    _expect_in_range(name, whole, SMALLEST[name], value)
    return whole


def _from_digits(value: object, most: int = 10) -> object:
    """Return the number that a text of up to so many ASCII digits is; others as they are."""
    if isinstance(value, str) and re.fullmatch(f"[0-9]{{1,{most}}}", value):
        return int(value)
    return value


def whole_number(name: str, value: object) -> int:
    """Return an int, or an integer of NumPy, as an int.

    Raises
    ------
    ParameterError
        If it is something else; the message has the name and the value.
    """
    try:
        if not isinstance(value, bool):
            return index(value)  # type: ignore[arg-type]
    except TypeError:
        pass
    raise ParameterError(f"{name}: expected a whole number, got {value_text(value)}")


def given_parameters(degree: int | str | None, tracked: int | str | None) -> dict[str, int]:
    """Return those of D and T that are not None, by name.

    Raises
    ------
    ParameterError
        If one is out of range.
    """
    return {
        name: check_whole(name, value)
        for name, value in (("D", degree), ("T", tracked))
        if value is not None
    }


def check_max_line(value: int, name: str = "max_line") -> int:
    """Return a limit of the line length, 1 to 2^31 - 1 bytes.

    Raises
    ------
    ParameterError
        If it is out of range; the message has the name and the value.
    """
    whole = whole_number(name, value)
    _expect_in_range(name, whole, 1, value)
    return whole


def check_shards(value: object, name: str = "shards") -> int:
    """Return a number of shards, 1 to `MAX_SHARDS`.

    Parameters
    ----------
    value : int or str
        As an integer, also of NumPy, or as ASCII decimal digits.

    Raises
    ------
    ParameterError
        If it is something else; the message has the name and the value.
    """
    number = whole_number(name, _from_digits(value))
    if not 1 <= number <= MAX_SHARDS:
        raise ParameterError(f"{name}: {number} is not in 1..{MAX_SHARDS}")
    return number


def check_threads(value: object, name: str = "threads") -> int | None:
    """Return a number of threads, 1 to `MAX_THREADS`, or None for ``auto``.

    Parameters
    ----------
    value : int or str
        As an integer, also of NumPy, or as ASCII decimal digits; or ``auto``.

    Raises
    ------
    ParameterError
        If it is something else; the message has the name and the value.
    """
    if isinstance(value, str) and value == "auto":
        return None
    try:
        whole = whole_number(name, _from_digits(value))
    except ParameterError:
        text = value_text(value)
        raise ParameterError(f"{name}: {text} is neither a number nor 'auto'") from None
    if not 1 <= whole <= MAX_THREADS:
        raise ParameterError(f"{name}: {value_text(value)} is not in 1..{MAX_THREADS}")
    return whole


def _expect_in_range(name: str, whole: int, smallest: int, given: object) -> None:
    if not smallest <= whole <= LARGEST:
        raise ParameterError(f"{name}: {value_text(given)} is not in {smallest}..{LARGEST}")


def check_time_unit(value: object) -> None:
    """Check that a value is one of `TIME_UNITS` or None.

    Raises
    ------
    ParameterError
        If it is something else; the message has the value.
    """
    if value is not None and value not in TIME_UNITS:
        units = ", ".join(TIME_UNITS)
        raise ParameterError(f"time_unit: {value_text(value)} is not one of {units}")


def value_text(value: object) -> str:
    """Return a value as error messages show it; works for every object."""
    try:
        return repr(value)
    except ValueError:  # an integer with more digits than Python converts
        return f"this {type(value).__name__}"


def sigmas_text(numerator: int, denominator: int) -> str:
    """Return k as a decimal without trailing zeros: ``3``, ``2.5``."""
    whole, thousandths = divmod(numerator * 1000 // denominator, 1000)
    return f"{whole}.{thousandths:03}".rstrip("0").rstrip(".")


def parameter_line(line: bytes) -> dict[str, object] | None:
    """Return the D and T of a parameter line, or None if the line is not one."""
    if usual := _USUAL_LINE.fullmatch(line):
        return {"D": usual[1].decode(), "T": usual[2].decode()}
    import orjson  # noqa: PLC0415 - imported late: it slows the start

    from fastanomaly.rules.json_members import member_texts  # noqa: PLC0415

    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        value = reread(line)[1]
    if not isinstance(value, dict) or "event_type" in value:
        return None
    texts = member_texts(line)
    found = {name: _decoded(texts[name]) for name in SMALLEST if name in texts}
    return found or None


def _decoded(text: str) -> object:
    """Return a JSON value, or its text where orjson cannot read it."""
    import orjson  # noqa: PLC0415

    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


_REPAIRS = (
    ("it has curly quotes", "[\u201c\u201d\u201e\u2018\u2019]", '"'),
    ("it ends in a comma", r"[,;]\s*$", ""),
    ("it is in an array", r"^\[\s*|\s*\]$", ""),
    ("it ends in a comma", r"[,;]\s*$", ""),
    ("it has single quotes", r"\b[uUbB]?'|'", '"'),
    ("it has a comma before the brace", r",\s*\}$", "}"),
    ("its closing brace is missing", r"(?<=[0-9\"])$", "}"),
    ("its names lack quotes", r"([{,]\s*)([A-Za-z]+)(?=\s*:)", r'\1"\2"'),
)
"""What is often wrong with a parameter line: the fault, a pattern and what repairs it."""


_OTHER_FORMS = {
    name: rf"\b(?:{words})\b[\"']?\s*[=:]\s*[\"']?([0-9]{{1,10}})\b"
    for name, words in (("D", "d|degree"), ("T", "t|tracked"))
}
"""D and T in a line that is not JSON or has other names, such as ``D=2 T=50``."""


def parameter_fault(line: bytes) -> str:
    """Return what is wrong with a line that is nearly a parameter line; "" for others."""
    import orjson  # noqa: PLC0415

    text = line.decode(errors="replace").strip()
    if len(text) > 1000 or not re.search(r"\b(?:[DT]|degree|tracked)\b", text, re.IGNORECASE):
        return ""
    faults: list[str] = []
    for fault, pattern, better in _REPAIRS:
        repaired = re.sub(pattern, better, text)
        if repaired != text:
            faults.append(fault)
            text = repaired
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        return _other_form(text)
    found = {name: value.get(name, value.get(name.lower())) for name in SMALLEST}
    known = {name: text for name, text in found.items() if text is not None}
    if not known:
        return _other_form(text)
    if any(name not in value for name in known):
        faults.append("its names must be upper case")
    if "event_type" in value:
        faults.append("it has an event_type")
    return (
        f"{', '.join(dict.fromkeys(faults))}: write {complete_line(known)}" if faults else ""
    )


def _other_form(text: str) -> str:
    """Return what is wrong with a line that has D or T in another form; "" for others."""
    found = {
        name: number[1]
        for name, pattern in _OTHER_FORMS.items()
        if (number := re.search(pattern, text, re.IGNORECASE)) is not None
    }
    if not found or "event_type" in text:
        return ""
    return f"it is not JSON with the names D and T: write {complete_line(found)}"


def complete_line(found: Mapping[str, object]) -> str:
    """Return a parameter line with the valid ones of the values found, and usual others."""
    shown = {"D": 2, "T": 50}
    for name, value in found.items():
        with suppress(ParameterError):
            shown[name] = check_whole(name, value)
    return "{" + ", ".join(f'"{name}":"{number}"' for name, number in shown.items()) + "}"
