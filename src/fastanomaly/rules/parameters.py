"""The parameters of a run: degree D, tracked purchases T, sigmas k."""

from __future__ import annotations

import re
from math import gcd
from operator import index
from typing import TYPE_CHECKING, SupportsIndex, TypeAlias, Union, cast

from fastanomaly._core import amount_units
from fastanomaly.rules.exact import UNITS
from fastanomaly.rules.json_members import member_texts
from fastanomaly.rules.rejects import reread

if TYPE_CHECKING:
    from decimal import Decimal

Number: TypeAlias = Union[int, float, str, "Decimal"]

LARGEST = 2**31 - 1
LARGEST_SIGMAS = 10**6
AMOUNT_LIMIT = 10**12
SMALLEST = {"D": 1, "T": 2}
"""The least degree and the least number of tracked purchases."""

_USUAL_LINE = re.compile(rb'\{"D": ?"([0-9]+)", ?"T": ?"([0-9]+)"\}\r?')


class UsageError(ValueError):
    """What was asked for cannot be done: the message names what and why."""


class ParameterError(UsageError):
    """A degree, a number of tracked purchases or sigmas that is missing or out of range."""


def check_whole(name: str, value: object) -> int:
    """Return D or T as an integer.

    Parameters
    ----------
    name : {"D", "T"}
    value : int or str
        As an integer or as ASCII decimal digits; D from 1, T from 2, both to 2^31 - 1.

    Raises
    ------
    ParameterError
        Names the parameter and the value.
    """
    whole = value
    if isinstance(value, str) and re.fullmatch("[0-9]{1,4000}", value):
        whole = int(value)
    if isinstance(whole, bool) or not isinstance(whole, int):
        raise ParameterError(f"{name}: expected a whole number, got {shown(value)}")
    if not SMALLEST[name] <= whole <= LARGEST:
        raise ParameterError(f"{name}: {shown(value)} is not in {SMALLEST[name]}..{LARGEST}")
    return whole


def exact_units(value: Number) -> int | None:
    """A decimal number from 0 below 10^12 in units of 10^-6, or None if it is none.

    A float stands for the shortest decimal that names it, as it prints.

    Raises
    ------
    TypeError
        If the value is no number and no text.
    """
    if isinstance(value, str):
        return amount_units(str.__str__(value))
    if isinstance(value, float):
        return amount_units(str(value))
    if not isinstance(value, bool) and hasattr(value, "__index__"):
        whole = index(cast("SupportsIndex", value))
        return whole * UNITS if 0 <= whole < AMOUNT_LIMIT else None
    from decimal import Decimal  # noqa: PLC0415 - a start-up should not wait for it

    if isinstance(value, Decimal):
        return amount_units(str(value))
    raise TypeError(f"expected int, str, Decimal or float, got {type(value).__name__}")


def shown(value: object) -> str:
    """A value for an error message, whatever it is."""
    try:
        return repr(value)
    except ValueError:  # an integer of more digits than Python shows
        return f"this {type(value).__name__}"


def check_sigmas(value: Number) -> tuple[int, int]:
    """Return k, the standard deviations above the mean, as a fraction in lowest terms.

    Parameters
    ----------
    value : int, float, str or Decimal
        From 0 to 10^6, with three decimals at most.

    Raises
    ------
    ParameterError
        Names the value.
    """
    try:
        units = exact_units(value)
    except TypeError as error:
        raise ParameterError(f"sigmas: {error}") from None
    if units is None or units % (UNITS // 1000) or units > LARGEST_SIGMAS * UNITS:
        raise ParameterError(
            f"sigmas: {shown(value)} is not a decimal from 0 to {LARGEST_SIGMAS} "
            "with three decimals at most"
        )
    divisor = gcd(units, UNITS)
    return units // divisor, UNITS // divisor


def parameter_line(line: bytes) -> dict[str, object] | None:
    """The D and T of a parameter line, or None if the line is not one."""
    if usual := _USUAL_LINE.fullmatch(line):
        return {"D": usual[1].decode(), "T": usual[2].decode()}
    import orjson  # noqa: PLC0415 - its start-up is most of ours

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
    """A JSON value; the text itself where orjson does not read it."""
    import orjson  # noqa: PLC0415

    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
