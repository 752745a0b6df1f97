"""The exact verdict in Python integers: the rule of engine/verdict.pxd, without a width.

Explanations use it, and tests compare the engine with it. Amounts are integers in units of
10^-6; sums are over the n purchases of the window.
"""

from __future__ import annotations

from math import isqrt

UNITS = 10**6
"""Units in one of the currency: amounts have up to six decimals."""

UNITS_PER_CENT = UNITS // 100


def anomalous(
    n: int, total: int, squares: int, amount_units: int, k_numerator: int, k_denominator: int
) -> bool:
    """Return whether the amount is above mean + k sd, k = k_numerator / k_denominator."""
    above = n * amount_units - total
    variance = n * squares - total * total
    return (
        n >= 2
        and above > 0
        and (k_denominator * above) ** 2 > k_numerator * k_numerator * variance
    )


def mean_cents(n: int, total: int) -> int:
    """Return the mean in cents, truncated."""
    return total // (n * UNITS_PER_CENT)


def sd_cents(n: int, total: int, squares: int) -> int:
    """Return the population standard deviation in cents, truncated."""
    return isqrt((n * squares - total * total) // (n * UNITS_PER_CENT) ** 2)


def excess(
    n: int, total: int, squares: int, amount_units: int, k_numerator: int, k_denominator: int
) -> float:
    """Return amount - (mean + k sd), rounded once: the double next to the exact value."""
    above = k_denominator * (n * amount_units - total)
    radicand = k_numerator * k_numerator * (n * squares - total * total)
    scale = k_denominator * n * UNITS
    bits = 64
    while True:
        # The exact numerator is in low..high, which are 2^bits too large.
        square = radicand << 2 * bits
        root = isqrt(square)
        high = (above << bits) - root
        low = high - (root * root != square)
        if low / (scale << bits) == high / (scale << bits):  # int / int is rounded once
            return high / (scale << bits)
        bits *= 2


def cents_text(cents: int) -> str:
    """Return an amount in cents as text with two decimals: 2910 is ``29.10``."""
    return f"{cents // 100}.{cents % 100:02d}"
