"""Times beyond the strict form: numbers in a unit since 1970, and more forms of ISO 8601."""

from libc.stdint cimport int64_t
from libc.string cimport memcpy

from fastanomaly.engine.fields cimport is_digit, scaled_of_text, time_of_text
from fastanomaly.engine.types cimport CUT_TIME, ISO, STRICT, Event

cdef enum:
    # The years 1 to 9999, in microseconds since 1970.
    FIRST_TIME = -62_135_596_800_000_000
    END_OF_TIMES = 253_402_300_800_000_000

cdef enum:
    MINUTE_LENGTH = 16          # of a text up to its minutes
    OFFSET_LENGTH = 6
    STRICT_LENGTH = 32          # of the longest strict text: 19 + 7 + OFFSET_LENGTH


cdef inline bint time_of_number(
    const char* text, int64_t length, int unit, Event* event
) noexcept nogil:
    """Set the time of an event to a decimal number in a unit, rounded down. O(length)."""
    cdef int64_t decimals = 9 - 3 * unit        # of seconds: 6, and 3 less for each unit
    cdef bint inexact = False
    if not scaled_of_text(text, length, decimals, False, &event.time_us, &inexact):
        return False
    if inexact:
        event.adjusted |= CUT_TIME
    return FIRST_TIME <= event.time_us < END_OF_TIMES


cdef inline bint time_of_iso(const char* text, int64_t length, Event* event) noexcept nogil:
    """Set the time of an event to ISO 8601 without seconds, or with any number of decimals.

    Decimals beyond the sixth are cut. O(length).
    """
    cdef char[STRICT_LENGTH] strict
    cdef int64_t i = MINUTE_LENGTH, size = 19, decimals = 0
    cdef bint inexact = False
    if length < MINUTE_LENGTH:
        return False
    memcpy(strict, text, MINUTE_LENGTH)
    memcpy(strict + MINUTE_LENGTH, b":00", 3)
    if i + 3 <= length and text[i] == c":":
        memcpy(strict + MINUTE_LENGTH, text + i, 3)
        i += 3
        if i < length and text[i] == c".":
            strict[size] = c"."
            size += 1
            i += 1
            while i < length and is_digit(text[i]):
                if decimals < 6:
                    strict[size] = text[i]
                    size += 1
                else:
                    inexact = inexact or text[i] != c"0"
                decimals += 1
                i += 1
    if length - i > OFFSET_LENGTH or (i < length and text[i] == c"."):
        return False            # no decimals of a minute
    memcpy(strict + size, text + i, <size_t> (length - i))
    if not time_of_text(strict, size + length - i, &event.time_us):
        return False
    if inexact:
        event.adjusted |= CUT_TIME
    return True


cdef inline bint time_in_unit(
    const char* text, int64_t length, bint is_number, int unit, Event* event
) noexcept nogil:
    """Set the time of an event that is not in the strict form; False if it is invalid.

    A number counts in the unit, be it a JSON number or a text; other texts are ISO 8601.
    """
    if unit == STRICT:
        return False
    if not is_number and time_of_iso(text, length, event):
        return True
    if unit == ISO:
        return False
    return time_of_number(text, length, unit, event)
