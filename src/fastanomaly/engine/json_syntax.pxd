"""Where a text is not UTF-8, or not one JSON value: as orjson judges it, without exceptions.

orjson's exceptions cost many times what a good line costs, so that a log of garbage would be
read much more slowly than a log of events. These functions accept exactly what orjson
accepts, except that numbers may be of any size. O(length).

Positions point into the text. The byte at its end must be readable, and a control character.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastanomaly.engine.fields cimport is_digit
from fastanomaly.engine.scan cimport HIGHS, ONES, byte_is

cdef enum:
    JSON_DEPTH = 1024           # containers within containers, at most

cdef enum Fault:
    NO_FAULT = 0
    BAD_START                   # UTF-8
    BAD_CONTINUATION
    CUT_CHARACTER
    ENDS_EARLY                  # JSON
    NO_VALUE
    NO_NAME
    NO_COLON
    NO_COMMA_IN_OBJECT
    NO_COMMA_IN_ARRAY
    TRAILING_COMMA
    MORE_AFTER_VALUE
    CONTROL_CHARACTER
    BAD_ESCAPE
    NO_LOW_SURROGATE
    BAD_LOW_SURROGATE
    BAD_HIGH_SURROGATE
    LEADING_ZERO
    NO_DIGIT_AFTER_SIGN
    NO_DIGIT_AFTER_POINT
    NO_DIGIT_IN_EXPONENT
    NOT_TRUE
    NOT_FALSE
    NOT_NULL
    TOO_DEEP
    BYTE_ORDER_MARK

cdef struct Syntax:
    const char* end
    const char* at              # where the fault is
    Fault fault


# -- UTF-8 -----------------------------------------------------------------------------


cdef inline const char* skip_ascii(const char* at, const char* end) noexcept nogil:
    """Return the first byte that is not ASCII, or the end."""
    cdef uint64_t word
    while end - at >= 8:
        memcpy(&word, at, 8)
        if word & HIGHS:
            break
        at += 8
    while at < end and not at[0] & 0x80:
        at += 1
    return at


cdef inline const char* text_fault(
    const char* text, const char* end, Fault* fault
) noexcept nogil:
    """Set the first fault of UTF-8 and return where its character begins.

    Overlong forms and surrogates are faults.
    """
    cdef const uint8_t* at = <const uint8_t*> text
    cdef uint8_t low, high
    cdef int32_t following, i
    fault[0] = NO_FAULT
    while at < <const uint8_t*> end:
        if at[0] < 0x80:
            at = <const uint8_t*> skip_ascii(<const char*> at, end)
            continue
        if not 0xC2 <= at[0] <= 0xF4:
            fault[0] = BAD_START
            break
        following = 1 + (at[0] >= 0xE0) + (at[0] >= 0xF0)
        # The first byte limits the second one.
        low = 0xA0 if at[0] == 0xE0 else 0x90 if at[0] == 0xF0 else 0x80
        high = 0x9F if at[0] == 0xED else 0x8F if at[0] == 0xF4 else 0xBF
        for i in range(1, following + 1):
            if at + i == <const uint8_t*> end:
                fault[0] = CUT_CHARACTER
                break
            if not low <= at[i] <= high:
                fault[0] = BAD_CONTINUATION
                break
            low = 0x80
            high = 0xBF
        if fault[0] != NO_FAULT:
            break
        at += following + 1
    return <const char*> at


# -- JSON ------------------------------------------------------------------------------
# The checks return the end of what they checked, or NULL after setting the fault.


cdef inline bint is_json_space(char c) noexcept nogil:
    return c == c" " or c == c"\t" or c == c"\r" or c == c"\n"


cdef inline const char* skip_json_space(const char* at, const char* end) noexcept nogil:
    while at < end and is_json_space(at[0]):
        at += 1
    return at


cdef inline const char* fault_at(Syntax* syntax, const char* at, Fault fault) noexcept nogil:
    """Note a fault; NULL. At the end of the text, it is that the text ends early."""
    syntax.fault = fault if at < syntax.end else ENDS_EARLY
    syntax.at = min(at, syntax.end)
    return NULL


cdef inline int32_t hex_code(const char* at, const char* end) noexcept nogil:
    """Return the code of four hexadecimal digits, -1 if they are not, -2 if they are cut."""
    cdef int32_t code = 0, i
    for i in range(4):
        if at + i >= end:
            return -2
        if is_digit(at[i]):
            code = code * 16 + at[i] - c"0"
        elif c"a" <= (at[i] | 0x20) <= c"f":
            code = code * 16 + (at[i] | 0x20) - c"a" + 10
        else:
            return -1
    return code


cdef inline const char* check_escape(Syntax* syntax, const char* at) noexcept nogil:
    """Check the escape that begins with the backslash at `at`."""
    cdef const char* end = syntax.end
    cdef char kind = at[1]
    cdef int32_t code, low
    if at + 1 == end:
        return fault_at(syntax, end, BAD_ESCAPE)
    if kind != c"u":
        if (
            kind == c'"' or kind == c"\\" or kind == c"/" or kind == c"b" or kind == c"f"
            or kind == c"n" or kind == c"r" or kind == c"t"
        ):
            return at + 2
        return fault_at(syntax, at, BAD_ESCAPE)
    code = hex_code(at + 2, end)
    if code < 0:
        return fault_at(syntax, end if code == -2 else at, BAD_ESCAPE)
    if not 0xD800 <= code <= 0xDFFF:
        return at + 6
    if code >= 0xDC00:
        return fault_at(syntax, at, BAD_HIGH_SURROGATE)
    if at + 6 == end:
        return fault_at(syntax, end, NO_LOW_SURROGATE)
    if at[6] != c"\\" or (at + 7 < end and at[7] != c"u"):
        return fault_at(syntax, at, NO_LOW_SURROGATE)
    low = hex_code(at + 8, end) if at + 7 < end else -2
    if low == -2:
        return fault_at(syntax, end, NO_LOW_SURROGATE)
    if not 0xDC00 <= low <= 0xDFFF:
        return fault_at(syntax, at, BAD_LOW_SURROGATE)
    return at + 12


cdef inline const char* skip_plain_text(const char* at, const char* end) noexcept nogil:
    """Return the first quote, backslash or control character of a string, or the end."""
    cdef uint64_t word
    while end - at >= 8:
        memcpy(&word, at, 8)
        if (
            byte_is(word, ONES * c'"') | byte_is(word, ONES * c"\\")
            | ((word - ONES * c" ") & ~word & HIGHS)
        ):
            break
        at += 8
    while at < end and <uint8_t> at[0] >= c" " and at[0] != c'"' and at[0] != c"\\":
        at += 1
    return at


cdef inline const char* check_string(Syntax* syntax, const char* at) noexcept nogil:
    """Check the string that begins with the quote at `at`."""
    at += 1
    while at != NULL:
        at = skip_plain_text(at, syntax.end)
        if at < syntax.end and at[0] == c'"':
            return at + 1
        if at == syntax.end or at[0] != c"\\":
            return fault_at(syntax, at, CONTROL_CHARACTER)
        at = check_escape(syntax, at)
    return NULL


cdef inline const char* check_number(Syntax* syntax, const char* at) noexcept nogil:
    """Check the number that begins with the digit or the minus at `at`."""
    at += at[0] == c"-"
    if not is_digit(at[0]):
        return fault_at(syntax, at, NO_DIGIT_AFTER_SIGN)
    if at[0] == c"0" and is_digit(at[1]):
        return fault_at(syntax, at, LEADING_ZERO)
    while is_digit(at[0]):
        at += 1
    if at[0] == c".":
        at += 1
        if not is_digit(at[0]):
            return fault_at(syntax, at, NO_DIGIT_AFTER_POINT)
        while is_digit(at[0]):
            at += 1
    if at[0] == c"e" or at[0] == c"E":
        at += 1
        at += at[0] == c"+" or at[0] == c"-"
        if not is_digit(at[0]):
            return fault_at(syntax, at, NO_DIGIT_IN_EXPONENT)
        while is_digit(at[0]):
            at += 1
    return at


cdef inline const char* check_word(
    Syntax* syntax, const char* at, const char* word, int64_t length, Fault fault
) noexcept nogil:
    """Check that `word` is at `at`."""
    cdef int64_t left = syntax.end - at
    if memcmp(at, word, <size_t> min(left, length)) != 0:
        return fault_at(syntax, at, fault)
    return at + length if left >= length else fault_at(syntax, syntax.end, fault)


cdef inline const char* check_scalar(Syntax* syntax, const char* at) noexcept nogil:
    """Check a value that is neither an object nor an array."""
    cdef char first = at[0]
    if at == syntax.end:
        return fault_at(syntax, at, NO_VALUE)
    if first == c'"':
        return check_string(syntax, at)
    if is_digit(first) or first == c"-":
        return check_number(syntax, at)
    if first == c"+" or first == c".":
        return fault_at(syntax, at, NO_DIGIT_AFTER_SIGN)
    if first == c"t":
        return check_word(syntax, at, b"true", 4, NOT_TRUE)
    if first == c"f":
        return check_word(syntax, at, b"false", 5, NOT_FALSE)
    if first == c"n":
        return check_word(syntax, at, b"null", 4, NOT_NULL)
    return fault_at(syntax, at, NO_VALUE)


cdef inline const char* check_name(Syntax* syntax, const char* at) noexcept nogil:
    """Check the name of a member and the colon after it."""
    if at == syntax.end or at[0] != c'"':
        return fault_at(syntax, at, NO_NAME)
    at = check_string(syntax, at)
    if at == NULL:
        return NULL
    at = skip_json_space(at, syntax.end)
    if at == syntax.end or at[0] != c":":
        return fault_at(syntax, at, NO_COLON)
    return at + 1


cdef inline const char* check_value(Syntax* syntax, const char* at) noexcept nogil:
    """Check the value that begins at `at`, with all that is in it."""
    cdef char[JSON_DEPTH] closers
    cdef int32_t depth = 0
    cdef bint wants_value = True
    cdef const char* end = syntax.end
    cdef const char* comma
    while at != NULL and (wants_value or depth > 0):
        at = skip_json_space(at, end)
        if not wants_value:
            # After a value in a container.
            if at < end and at[0] == closers[depth - 1]:
                depth -= 1
                at += 1
                continue
            if at == end or at[0] != c",":
                return fault_at(
                    syntax, at,
                    NO_COMMA_IN_OBJECT if closers[depth - 1] == c"}" else NO_COMMA_IN_ARRAY,
                )
            comma = at
            at = skip_json_space(at + 1, end)
            if at < end and at[0] == closers[depth - 1]:
                return fault_at(syntax, comma, TRAILING_COMMA)
        elif at < end and (at[0] == c"{" or at[0] == c"["):
            if depth == JSON_DEPTH:
                return fault_at(syntax, at + 1, TOO_DEEP)
            closers[depth] = c"}" if at[0] == c"{" else c"]"
            at = skip_json_space(at + 1, end)
            if at < end and at[0] == closers[depth]:
                at += 1
                wants_value = False
                continue
            depth += 1
        else:
            at = check_scalar(syntax, at)
            wants_value = False
            continue
        # Before a member or an item.
        wants_value = True
        if closers[depth - 1] == c"}":
            at = check_name(syntax, at)
    return at


cdef inline const char* json_fault(
    const char* text, const char* end, Fault* fault
) noexcept nogil:
    """Set the first fault of a text that is not blank, and return where it is."""
    cdef Syntax syntax
    cdef const char* at = skip_json_space(text, end)
    syntax.end = end
    syntax.at = end
    syntax.fault = NO_FAULT
    if end - text >= 3 and memcmp(text, b"\xef\xbb\xbf", 3) == 0:
        fault_at(&syntax, text, BYTE_ORDER_MARK)
    else:
        at = check_value(&syntax, at)
        if at != NULL:
            at = skip_json_space(at, end)
            if at < end:
                fault_at(&syntax, at, MORE_AFTER_VALUE)
    fault[0] = syntax.fault
    return syntax.at
