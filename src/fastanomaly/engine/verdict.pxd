"""The exact verdict: integers only, never floats.

With s = sum x, q = sum x^2, v = n q - s^2 and d = n a - s, an amount a is above
mean + k sd, k = p/r, if and only if d > 0 and r^2 d^2 > p^2 v. Sums are exact for every
accepted amount and T (s in 128 bits, q in 192). Where a product does not fit 128 bits, the
same rule is applied with 256. rules/exact.py has it in Python integers. Every function is
O(1), except adding n purchases, which is O(n).
"""

from libc.math cimport sqrt
from libc.stdint cimport int64_t, uint64_t

from fastanomaly.engine.types cimport UNITS_PER_CENT, uint128
from fastanomaly.engine.wide cimport (
    Wide, wide_less, wide_minus, wide_over, wide_product, wide_times,
)

cdef extern from *:
    bint mul128_overflows "__builtin_mul_overflow"(uint128, uint128, uint128*) nogil

cdef struct Sums:
    int64_t n
    uint128 total               # sum x, in units
    uint128 squares_low         # sum x^2: bits 0 to 127,
    uint64_t squares_high       # and bits 128 to 191

cdef struct Verdict:
    bint anomalous
    int64_t mean_cents          # truncated; set only if anomalous
    int64_t sd_cents

cdef inline void sums_add(Sums* sums, const int64_t* amounts, int64_t n) noexcept nogil:
    """Add n purchases."""
    cdef uint128 square
    cdef int64_t i
    sums.n += n
    for i in range(n):
        sums.total += <uint128> amounts[i]
        square = <uint128> amounts[i] * <uint128> amounts[i]
        sums.squares_low += square
        if sums.squares_low < square:
            sums.squares_high += 1


cdef inline Sums sums_of(const int64_t* amounts, int64_t n) noexcept nogil:
    """Return the sums over n purchases."""
    cdef Sums sums
    sums.n = 0
    sums.total = 0
    sums.squares_low = 0
    sums.squares_high = 0
    sums_add(&sums, amounts, n)
    return sums


cdef inline int64_t square_root(uint128 x) noexcept nogil:
    """Return the integer square root of x < 2^96."""
    cdef uint128 root = <uint128> sqrt(<double> x)
    # The floating-point root is off by one at most.
    while root * root > x:
        root -= 1
    while (root + 1) * (root + 1) <= x:
        root += 1
    return <int64_t> root


cdef inline void verdict_on_wide(
    const Sums* sums, uint128 above, int64_t k_numerator, int64_t k_denominator,
    Verdict* verdict
) noexcept nogil:
    """Set the verdict where a product does not fit 128 bits; d is `above`, and positive.

    With n < 2^31, x < 2^60, p < 2^30 and r < 2^10, all products are below 2^242.
    """
    cdef uint128 n = <uint128> sums.n
    cdef uint128 cell = n * <uint128> UNITS_PER_CENT
    cdef Wide squares, variance
    squares.low = sums.squares_low
    squares.high = sums.squares_high
    variance = wide_minus(wide_times(squares, n), wide_product(sums.total, sums.total))
    verdict.anomalous = wide_less(
        wide_times(variance, <uint128> k_numerator * <uint128> k_numerator),
        wide_times(
            wide_product(above, above), <uint128> k_denominator * <uint128> k_denominator
        ),
    )
    if verdict.anomalous:
        verdict.mean_cents = <int64_t> (sums.total // cell)
        verdict.sd_cents = square_root(wide_over(variance, cell * cell))


cdef inline void verdict_on(
    const Sums* sums, int64_t amount_units, int64_t k_numerator, int64_t k_denominator,
    Verdict* verdict
) noexcept nogil:
    """Set whether the amount is above mean + k sd of the summed purchases."""
    cdef uint128 n = <uint128> sums.n
    cdef uint128 scaled = n * <uint128> amount_units      # below 2^31 10^18: fits
    cdef uint128 above, spread, square, variance, cell
    verdict.anomalous = False
    if sums.n < 2 or scaled <= sums.total:
        return
    above = scaled - sums.total
    if (
        sums.squares_high != 0
        or mul128_overflows(n, sums.squares_low, &spread)
        or mul128_overflows(sums.total, sums.total, &square)
    ):
        verdict_on_wide(sums, above, k_numerator, k_denominator, verdict)
        return
    variance = spread - square                            # v: n^2 times the variance
    if (
        mul128_overflows(above, above, &square)
        or mul128_overflows(
            square, <uint128> k_denominator * <uint128> k_denominator, &square
        )
        or mul128_overflows(
            variance, <uint128> k_numerator * <uint128> k_numerator, &spread
        )
    ):
        verdict_on_wide(sums, above, k_numerator, k_denominator, verdict)
        return
    if square <= spread:
        return
    verdict.anomalous = True
    cell = n * <uint128> UNITS_PER_CENT
    verdict.mean_cents = <int64_t> (sums.total // cell)
    verdict.sd_cents = square_root(variance // (cell * cell))
