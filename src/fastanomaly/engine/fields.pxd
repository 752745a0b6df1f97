"""Parsing the text of a field: amounts and timestamps, exactly. O(length)."""

from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.types cimport AMOUNT_DECIMALS

cdef enum:
    AMOUNT_DIGITS = 18          # below 10^12 in units of 10^-6
    BAD_AMOUNT_UNITS = -1

cdef enum:
    US_PER_SECOND = 1_000_000

cdef enum:
    EXPONENT_LIMIT = 1_000_000_000_000    # no text has enough digits to offset it

cdef enum:
    SCALED_LIMIT = 1_000_000_000_000_000_000    # 10^18


cdef inline bint is_digit(char c) noexcept nogil:
    return c"0" <= c <= c"9"


cdef inline int64_t amount_of_text(const char* text, int64_t length) noexcept nogil:
    """Parse a decimal number: its value in units of 10^-6, or BAD_AMOUNT_UNITS.

    Any spelling of a multiple of 10^-6 in 0 <= x < 10^12 is accepted, with or without
    sign, leading and trailing zeros, and exponent.
    """
    cdef int64_t i = 0, digits = 0, units = 0, significant = 0
    cdef int64_t pending_zeros = 0, power = 0, exponent = 0
    cdef bint negative = False, after_point = False, negative_exponent = False
    if i < length and (text[i] == c"+" or text[i] == c"-"):
        negative = text[i] == c"-"
        i += 1
    # units has the digits from the first to the last that is not zero; power is the power
    # of ten of the last digit in it.
    while i < length:
        if text[i] == c"." and not after_point:
            after_point = True
        elif is_digit(text[i]):
            digits += 1
            if after_point:
                power -= 1
            if text[i] == c"0":
                pending_zeros += significant > 0
            else:
                significant += pending_zeros + 1
                if significant > AMOUNT_DIGITS:
                    units = 0                       # out of range; only check the syntax
                else:
                    while pending_zeros > 0:
                        units *= 10
                        pending_zeros -= 1
                    units = units * 10 + (text[i] - c"0")
                pending_zeros = 0
        else:
            break
        i += 1
    if digits == 0:
        return BAD_AMOUNT_UNITS
    if i < length and (text[i] == c"e" or text[i] == c"E"):
        i += 1
        if i < length and (text[i] == c"+" or text[i] == c"-"):
            negative_exponent = text[i] == c"-"
            i += 1
        if i == length:
            return BAD_AMOUNT_UNITS
        while i < length and is_digit(text[i]):
            exponent = min(exponent * 10 + (text[i] - c"0"), <int64_t> EXPONENT_LIMIT)
            i += 1
    if i < length:
        return BAD_AMOUNT_UNITS
    if significant == 0:
        return 0
    power += pending_zeros + AMOUNT_DECIMALS + (-exponent if negative_exponent else exponent)
    if negative or power < 0 or significant + power > AMOUNT_DIGITS:
        return BAD_AMOUNT_UNITS
    while power > 0:
        units *= 10
        power -= 1
    return units


cdef inline int64_t exponent_of_text(
    const char* text, int64_t length, int64_t* exponent
) noexcept nogil:
    """Parse an exponent such as e-7, if the text begins with one; its length, or -1."""
    cdef int64_t i = 1
    cdef bint negative = False
    exponent[0] = 0
    if length == 0 or (text[0] != c"e" and text[0] != c"E"):
        return 0
    if i < length and (text[i] == c"+" or text[i] == c"-"):
        negative = text[i] == c"-"
        i += 1
    if i == length:
        return -1
    while i < length and is_digit(text[i]):
        exponent[0] = min(exponent[0] * 10 + (text[i] - c"0"), <int64_t> EXPONENT_LIMIT)
        i += 1
    if negative:
        exponent[0] = -exponent[0]
    return i


cdef inline bint scaled_of_digits(
    const char* text, int64_t digits, int64_t kept, bint negative, bint half_even,
    int64_t* scaled, bint* inexact
) noexcept nogil:
    """Set the value of the first `kept` of some digits, rounded by those that follow.

    `text` has that many digits, and perhaps a point between them. Where there are fewer than
    `kept`, zeros follow. *inexact is set if a digit is dropped that is not zero. False if the
    result is not between -10^18 and 10^18.
    """
    cdef int64_t value = 0, place = 0
    cdef int32_t dropped = 0            # the first digit that is dropped
    cdef bint more = False              # whether one of the others is not zero
    while place < digits:
        if text[0] != c".":
            if place < kept:
                if value >= <int64_t> SCALED_LIMIT // 10:
                    return False
                value = value * 10 + (text[0] - c"0")
            elif place == kept:
                dropped = text[0] - c"0"
            else:
                more = more or text[0] != c"0"
            place += 1
        text += 1
    while value > 0 and place < kept:
        if value >= <int64_t> SCALED_LIMIT // 10:
            return False
        value *= 10
        place += 1
    inexact[0] = dropped > 0 or more
    if half_even:
        value += dropped > 5 or (dropped == 5 and (more or value % 2 == 1))
    else:
        value += negative and inexact[0]
    scaled[0] = -value if negative else value
    return value < <int64_t> SCALED_LIMIT


cdef inline bint scaled_of_text(
    const char* text, int64_t length, int64_t decimals, bint half_even, int64_t* scaled,
    bint* inexact
) noexcept nogil:
    """Parse a decimal number: set its value in units of 10^-decimals, rounded. O(length).

    It is rounded half to even, or down. False if the text is not spelled as amounts are, or
    if the result is not between -10^18 and 10^18.
    """
    cdef int64_t i = 0, digits = 0, before_point = -1, exponent, start
    cdef bint negative = False
    if length > 0 and (text[0] == c"+" or text[0] == c"-"):
        negative = text[0] == c"-"
        i = 1
    start = i
    while i < length and (is_digit(text[i]) or (text[i] == c"." and before_point < 0)):
        if text[i] == c".":
            before_point = digits
        else:
            digits += 1
        i += 1
    if digits == 0 or exponent_of_text(text + i, length - i, &exponent) != length - i:
        return False
    if before_point < 0:
        before_point = digits
    return scaled_of_digits(
        text + start, digits, before_point + decimals + exponent, negative, half_even, scaled,
        inexact,
    )


cdef inline int64_t rounded_amount_of_text(const char* text, int64_t length) noexcept nogil:
    """Parse a decimal number: its value in units of 10^-6, rounded half to even.

    BAD_AMOUNT_UNITS if that is not in range. O(length).
    """
    cdef int64_t units
    cdef bint inexact
    if not scaled_of_text(text, length, AMOUNT_DECIMALS, True, &units, &inexact):
        return BAD_AMOUNT_UNITS
    return units if units >= 0 else BAD_AMOUNT_UNITS


cdef inline int32_t two_digits(const char* text) noexcept nogil:
    """Parse two digits: their value, or -1."""
    if is_digit(text[0]) and is_digit(text[1]):
        return (text[0] - c"0") * 10 + (text[1] - c"0")
    return -1


cdef inline int64_t days_of_date(int64_t year, int32_t month, int32_t day) noexcept nogil:
    """Return the days from 1970-01-01 to a Gregorian date of a year >= 1."""
    # Counting years from March puts the leap day at the end of a year.
    cdef int64_t shifted = year - (month <= 2)
    cdef int64_t day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    cdef int64_t leap_days = shifted // 4 - shifted // 100 + shifted // 400
    return 365 * shifted + leap_days + day_of_year - 719468


cdef inline int32_t days_in_month(int64_t year, int32_t month) noexcept nogil:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


cdef inline bint offset_of_text(
    const char* text, int64_t length, int64_t* offset_minutes
) noexcept nogil:
    """Parse a UTC offset, which is not empty: Z, +HH, +HHMM or +HH:MM; False if invalid."""
    cdef int32_t hours, minutes = 0
    cdef int64_t i = 3
    if text[0] == c"Z":
        return length == 1
    if (text[0] != c"+" and text[0] != c"-") or length < 3:
        return False
    hours = two_digits(text + 1)
    if length > 3:
        i += text[3] == c":"
        if length - i != 2:
            return False
        minutes = two_digits(text + i)
    if not 0 <= hours <= 23 or not 0 <= minutes <= 59:
        return False
    offset_minutes[0] = hours * 60 + minutes
    if text[0] == c"-":
        offset_minutes[0] = -offset_minutes[0]
    return True


cdef inline bint time_of_text(
    const char* text, int64_t length, int64_t* time_us
) noexcept nogil:
    """Parse a timestamp: set its microseconds since 1970; False if it is invalid."""
    cdef int32_t century, year_of_century, month, day, hour, minute, second
    cdef int64_t year, fraction = 0, scale = US_PER_SECOND, offset = 0, i = 19
    if (
        length < 19 or text[4] != c"-" or text[7] != c"-"
        or (text[10] != c" " and text[10] != c"T")
        or text[13] != c":" or text[16] != c":"
    ):
        return False
    century = two_digits(text)
    year_of_century = two_digits(text + 2)
    month = two_digits(text + 5)
    day = two_digits(text + 8)
    hour = two_digits(text + 11)
    minute = two_digits(text + 14)
    second = two_digits(text + 17)
    if century < 0 or year_of_century < 0:
        return False
    year = <int64_t> century * 100 + year_of_century
    if (
        year < 1 or not 1 <= month <= 12 or not 1 <= day <= days_in_month(year, month)
        or not 0 <= hour <= 23 or not 0 <= minute <= 59 or not 0 <= second <= 59
    ):
        return False
    if i < length and text[i] == c".":
        i += 1
        while i < length and scale > 1 and is_digit(text[i]):
            scale //= 10
            fraction += (text[i] - c"0") * scale
            i += 1
        if scale == US_PER_SECOND:
            return False
    if i < length and not offset_of_text(text + i, length - i, &offset):
        return False
    time_us[0] = (
        (days_of_date(year, month, day) * 1440 + hour * 60 + minute - offset) * 60 + second
    ) * US_PER_SECOND + fraction
    return True
