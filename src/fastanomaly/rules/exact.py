"""The exact verdict in Python integers: the rule of ``_verdict.pxd`` without a width.

The engine asks it where 128 bits are not enough; flags use it for their exact values.
Amounts are integers in units of 10^-6, sums are over the n purchases of the window.
"""

from __future__ import annotations

from math import isqrt

UNITS = 10**6
"""Units in one of the currency: amounts are exact to the sixth decimal."""

UNITS_PER_CENT = UNITS // 100


def anomalous(
    n: int, total: int, squares: int, amount_units: int, k_numerator: int, k_denominator: int
) -> bool:
    """Whether the amount is above mean + k sd, k = k_numerator / k_denominator."""
    above = n * amount_units - total
    variance = n * squares - total * total
    return (
        n >= 2
        and above > 0
        and (k_denominator * above) ** 2 > k_numerator * k_numerator * variance
    )


def mean_cents(n: int, total: int) -> int:
    """The mean in cents, truncated."""
    return total // (n * UNITS_PER_CENT)


def sd_cents(n: int, total: int, squares: int) -> int:
    """The population's standard deviation in cents, truncated."""
    return isqrt((n * squares - total * total) // (n * UNITS_PER_CENT) ** 2)


def cents_text(cents: int) -> str:
    """An amount in cents as text with two decimals: 2910 is ``29.10``."""
    return f"{cents // 100}.{cents % 100:02d}"


def amount_text(units: int) -> str:
    """An amount in units of 10^-6 as text, with two decimals or as many as it needs."""
    sign, units = ("-", -units) if units < 0 else ("", units)
    if units % UNITS_PER_CENT == 0:
        return sign + cents_text(units // UNITS_PER_CENT)
    return f"{sign}{units // UNITS}.{units % UNITS:06d}".rstrip("0")


def time_text(time_us: int) -> str:
    """A time in UTC as logs write it, or in microseconds outside the years 1 to 9999."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415 - slows the start

    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)
    except OverflowError:
        return f"{time_us} us"
    return moment.replace(tzinfo=None).isoformat(sep=" ")
