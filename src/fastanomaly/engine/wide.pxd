"""Unsigned integers of 256 bits, for the rare verdicts that 128 bits do not suffice for.

Results that need more than 256 bits are not detected: callers know their bounds.
"""

from libc.stdint cimport uint64_t

from fastanomaly.engine.types cimport uint128

cdef struct Wide:
    uint128 high
    uint128 low


cdef inline Wide wide_product(uint128 left, uint128 right) noexcept nogil:
    """Return the product of two numbers."""
    cdef uint128 left_low = <uint64_t> left, left_high = left >> 64
    cdef uint128 right_low = <uint64_t> right, right_high = right >> 64
    cdef uint128 low = left_low * right_low
    cdef uint128 middle = left_high * right_low + (low >> 64)
    cdef uint128 other = left_low * right_high + <uint64_t> middle
    cdef Wide product
    product.low = other << 64 | <uint64_t> low
    product.high = left_high * right_high + (middle >> 64) + (other >> 64)
    return product


cdef inline Wide wide_times(Wide number, uint128 factor) noexcept nogil:
    """Return the product of a wide number and another one."""
    cdef Wide product = wide_product(number.low, factor)
    product.high += number.high * factor
    return product


cdef inline Wide wide_minus(Wide number, Wide less) noexcept nogil:
    """Return the difference; `less` must not be greater than the number."""
    cdef Wide difference
    difference.low = number.low - less.low
    difference.high = number.high - less.high - (number.low < less.low)
    return difference


cdef inline bint wide_less(Wide left, Wide right) noexcept nogil:
    """Return whether left < right."""
    if left.high != right.high:
        return left.high < right.high
    return left.low < right.low


cdef inline uint128 wide_over(Wide number, uint128 divisor) noexcept nogil:
    """Return the truncated quotient, which must fit 128 bits; 0 < divisor < 2^127."""
    cdef uint128 quotient = 0, rest = 0
    cdef int bit
    for bit in range(255, -1, -1):
        rest = rest << 1 | (
            (number.high >> (bit - 128) if bit >= 128 else number.low >> bit) & 1
        )
        quotient <<= 1
        if rest >= divisor:
            rest -= divisor
            quotient |= 1
    return quotient
