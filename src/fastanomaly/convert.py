"""Values as Python programs pass them, to the exact integers of the engine."""

import sys
from collections.abc import Iterable, Mapping
from math import gcd
from operator import index
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NamedTuple,
    SupportsIndex,
    TypeAlias,
    TypeVar,
    cast,
)

from fastanomaly._core import amount_units, time_us_in_unit
from fastanomaly.errors import ParameterError
from fastanomaly.rules.exact import UNITS
from fastanomaly.rules.parameters import TIME_UNITS, check_time_unit, value_text
from fastanomaly.times import Timestamp, exact_time_us, numpy_scalar

if TYPE_CHECKING:
    from decimal import Decimal

    import numpy as np

    Number: TypeAlias = int | float | str | Decimal | np.floating[Any] | np.integer[Any]
else:
    Number = object  # naming the types would import them

TimeUnit: TypeAlias = Literal["s", "ms", "us", "ns", "iso"]

_Value = TypeVar("_Value")

AMOUNT_LIMIT = 10**12
"""Amounts are below it."""

LARGEST_SIGMAS = 10**6

ROUNDED_AMOUNT, CUT_TIME = 1, 2
"""The bits of `Adjusted` in engine/types.pxd."""


_ORDER = "purchases are given as user, amount, timestamp"


def exact_units(value: Number, rounded: bool = False) -> int | None:
    """Return a decimal number in units of 10^-6; None if it is not in 0 <= x < 10^12.

    A float stands for the shortest decimal that names it, as it prints. If `rounded`, more
    than six decimals are rounded half to even.

    Raises
    ------
    TypeError
        If the value is neither a number nor text.
    """
    if isinstance(value, str):
        return amount_units(str.__str__(value), rounded)
    if isinstance(value, float):
        return amount_units(float.__repr__(value), rounded)
    value = numpy_scalar(value)
    if not isinstance(value, bool) and hasattr(value, "__index__"):
        whole = index(cast("SupportsIndex", value))
        return whole * UNITS if 0 <= whole < AMOUNT_LIMIT else None
    from decimal import Decimal  # noqa: PLC0415 - imported late: it slows the start

    np = sys.modules.get("numpy")
    if isinstance(value, Decimal) or (np is not None and isinstance(value, np.floating)):
        return amount_units(str(value), rounded)
    raise TypeError(f"expected int, str, Decimal or float, got {type(value).__name__}")


def _decimal_text(value: object) -> str | None:
    """Return a number as decimal text, or None if it is no number."""
    value = numpy_scalar(value)
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, bool):
        return None
    np = sys.modules.get("numpy")
    if np is not None and isinstance(value, np.timedelta64):
        return None
    if hasattr(value, "__index__"):
        whole = index(cast("SupportsIndex", value))
        return str(whole) if abs(whole) < 10**30 else "1e30" if whole > 0 else "-1e30"
    from decimal import Decimal  # noqa: PLC0415 - imported late: it slows the start

    if isinstance(value, Decimal) or (np is not None and isinstance(value, np.floating)):
        return str(value)
    return None


def _amount_fault(amount: Number, rounded: bool) -> str:
    """Return what is wrong with a number or text that is no amount, in parentheses."""
    if not rounded and exact_units(amount, rounded=True) is not None:
        return " (round_amounts=True rounds it)"
    if _is_timestamp(amount):
        return f" (is a timestamp: {_ORDER})"
    from fastanomaly.rules.wrong_values import argument_fault  # noqa: PLC0415 - for errors

    text = str.__str__(amount) if isinstance(amount, str) else _decimal_text(amount)
    words = argument_fault("amount", text or "").partition(": round_amounts=")[0]
    return f" ({words})" if words else ""


def _is_timestamp(value: object) -> bool:
    """Return whether a text is a timestamp, or an object is a datetime or the like."""
    if isinstance(value, str):
        return time_us_in_unit(str.__str__(value), False, _ISO.unit_code) is not None
    try:
        if _decimal_text(value) is not None:
            return False
        exact_time_us(value)
    except (TypeError, ValueError):
        return False
    return True


def check_reading(round_amounts: bool, time_unit: TimeUnit | None) -> "Reading":
    """Return the options of reading.

    Raises
    ------
    ParameterError
        If the unit is none.
    """
    check_time_unit(time_unit)
    return Reading(bool(round_amounts), time_unit)


class Reading(NamedTuple):
    """What is accepted beyond the strict forms; see the parameters of `Detector`."""

    round_amounts: bool = False
    time_unit: TimeUnit | None = None

    @property
    def unit_code(self) -> int:
        """The unit as `TimeUnit` in engine/types.pxd."""
        return 0 if self.time_unit is None else TIME_UNITS.index(self.time_unit) + 1

    def options(self) -> dict[str, Any]:
        """Return the options that are set, by name; none for the strict forms."""
        return {name: value for name, value in self._asdict().items() if value}

    @classmethod
    def saved(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options that are among saved values, by name; see `options`."""
        return {name: values[name] for name in cls._fields if name in values}

    def adjusted(self) -> list[str]:
        """Return the names of the counts of values that these options adjust."""
        rounded = ["rounded_amounts"] if self.round_amounts else []
        return rounded if self.time_unit is None else [*rounded, "cut_times"]

    def time(self, timestamp: Timestamp | Number) -> tuple[int, int]:
        """Return a time in microseconds since 1970, and the bits of how it was adjusted.

        Raises
        ------
        TypeError, ValueError
            If it is not a timestamp; the message names the value.
        """
        if self.time_unit is None:
            return exact_time_us(timestamp), 0
        text = str.__str__(timestamp) if isinstance(timestamp, str) else None
        number = None
        if text is None and self.time_unit != "iso":
            number = _decimal_text(timestamp)
        if text is None and number is None:
            return exact_time_us(timestamp), 0
        found = time_us_in_unit(text or number or "", text is None, self.unit_code)
        if found is None:
            raise ValueError(
                f"timestamp: {value_text(timestamp)} is not a time of the years 1 to 9999 "
                f"(time_unit={self.time_unit!r}{self._fault_of_text(text)})"
            )
        return found[0], CUT_TIME * found[1]

    def _fault_of_text(self, timestamp: str | None) -> str:
        """Return what is wrong with a text that is no time; nothing for numbers."""
        if timestamp is None:
            return ""
        from fastanomaly.rules.wrong_values import argument_fault  # noqa: PLC0415 - for errors

        words = argument_fault("timestamp", timestamp)
        if self.time_unit != "iso" and words.startswith("is a number"):
            return ""
        return f"; {words}"

    def amount(self, amount: Number) -> tuple[int, int]:
        """Return an amount in units of 10^-6, and the bits of how it was adjusted.

        Raises
        ------
        TypeError, ValueError
            If it is not an amount; the message names the value.
        """
        try:
            units = exact_units(amount)
            if units is not None:
                return units, 0
            if self.round_amounts:
                units = exact_units(amount, rounded=True)
        except (TypeError, ValueError) as error:
            hint = f": {_ORDER}" if _is_timestamp(amount) else ""
            raise type(error)(f"amount: {error}{hint}") from None
        if units is None:
            limit = "" if self.round_amounts else " with at most six decimals"
            raise ValueError(
                f"amount: {value_text(amount)} is not a decimal from 0 to below 10^12{limit}"
                f"{_amount_fault(amount, self.round_amounts)}"
            )
        return units, ROUNDED_AMOUNT


def several(name: str, values: Iterable[_Value] | _Value) -> list[_Value]:
    """Return some values of D or T as a list, or a single one as a list of one.

    Raises
    ------
    ParameterError
        If they are a text, which is easily taken for a range; the message has the name.
    """
    if isinstance(values, str):
        raise ParameterError(
            f"{name}: expected integers, such as [1, 2] or range(1, 3), got the text "
            f"{values!r}"
        )
    return several_numbers(values)


def several_numbers(values: Iterable[_Value] | _Value) -> list[_Value]:
    """Return some numbers as a list, or a single one, also as text, as a list of one."""
    if not isinstance(values, str):
        try:
            return list(cast("Iterable[_Value]", values))
        except TypeError:  # not iterable
            pass
    return [cast("_Value", numpy_scalar(values))]


_ISO = Reading(time_unit="iso")


def exact_sigmas(value: Number) -> tuple[int, int]:
    """Return k, the standard deviations above the mean, as a fraction in lowest terms.

    Parameters
    ----------
    value : int, float, str or Decimal
        0 to 10^6, with at most three decimals.

    Raises
    ------
    ParameterError
        If it is not such a number; the message names the value.
    """
    try:
        units = exact_units(value)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"sigmas: {error}") from None
    if units is None or units % (UNITS // 1000) or units > LARGEST_SIGMAS * UNITS:
        raise ParameterError(
            f"sigmas: {value_text(value)} is not a decimal from 0 to {LARGEST_SIGMAS} "
            "with at most three decimals"
        )
    divisor = gcd(units, UNITS)
    return units // divisor, UNITS // divisor


def decimal_sigmas(numerator: int, denominator: int) -> "Decimal":
    """Return k as a decimal number, from what `exact_sigmas` returns."""
    from decimal import Decimal  # noqa: PLC0415 - imported late: it slows the start

    return Decimal(f"{numerator * 1000 // denominator}e-3").normalize()
