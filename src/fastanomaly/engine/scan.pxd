"""The scanner: common lines to Events, without Python objects or the GIL.

It accepts a line that is one flat JSON object of strings of printable ASCII without
escapes, numbers, true, false and null, in any order and with any spacing, if it is a valid
event. Every other line is declined: it is rejected at once (reject.pxd), or decoded with
orjson (decode.pxd). O(length), and each byte is read about once.

Functions that return a position in the line return NULL to decline. They may read the byte
at the end of the line: a control character, which ends every token.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastanomaly.engine.fields cimport (
    BAD_AMOUNT_UNITS, amount_of_text, is_digit, rounded_amount_of_text, time_of_text,
)
from fastanomaly.engine.times cimport time_in_unit
from fastanomaly.engine.types cimport (
    BEFRIEND, PURCHASE, ROUNDED_AMOUNT, UNFRIEND, Event, Reading, UserKey, unlikely,
)
from fastanomaly.engine.users cimport NUMBER_DIGITS, key_of_text, keys_equal

cdef extern from *:
    """
    #define FA_LITTLE_ENDIAN (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
    """
    const bint LITTLE_ENDIAN "FA_LITTLE_ENDIAN"
    int trailing_zeros "__builtin_ctzll"(uint64_t) noexcept nogil

cdef extern from *:
    # One byte, repeated in all eight of a word.
    const uint64_t ONES "UINT64_C(0x0101010101010101)"
    const uint64_t HIGHS "UINT64_C(0x8080808080808080)"

cdef enum Field:
    EVENT_TYPE = 0
    TIMESTAMP
    ID
    AMOUNT
    ID1
    ID2
    FIELDS                      # number of the fields above
    OTHER = FIELDS              # any other field, which is ignored

cdef enum ValueKind:
    ABSENT = 0
    TEXT
    INTEGER
    FRACTION                    # a number with a fraction or an exponent
    WORD                        # true, false or null

cdef struct Value:
    ValueKind kind
    int64_t length
    const char* text            # of strings, between the quotes


cdef inline const char* skip_spaces(const char* at) noexcept nogil:
    while at[0] == c" " or at[0] == c"\t":
        at += 1
    return at


cdef inline uint64_t byte_is(uint64_t word, uint64_t repeated) noexcept nogil:
    """Set the high bit of each byte of word that equals the repeated byte.

    Only the lowest bit set is exact: a byte above it may be a false match.
    """
    word ^= repeated
    return (word - ONES) & ~word & HIGHS


cdef inline const char* string_end(const char* at, const char* end) noexcept nogil:
    """Return the quote that ends a plain string."""
    cdef uint64_t word, special
    while LITTLE_ENDIAN and end - at >= 8:
        memcpy(&word, at, 8)
        special = (
            byte_is(word, ONES * c'"') | byte_is(word, ONES * c"\\")
            | ((word - ONES * c" ") & ~word & HIGHS) | (word & HIGHS)
        )
        if special != 0:
            at += trailing_zeros(special) // 8
            return at if at[0] == c'"' else NULL
        at += 8
    while at[0] >= c" " and at[0] != c'"' and at[0] != c"\\":
        at += 1
    return at if at[0] == c'"' else NULL


cdef inline const char* skip_digits(const char* at) noexcept nogil:
    while is_digit(at[0]):
        at += 1
    return at


cdef inline const char* scan_number(const char* at, ValueKind* kind) noexcept nogil:
    """Return the end of a JSON number; sets its kind."""
    cdef const char* digits
    kind[0] = INTEGER
    at += at[0] == c"-"
    digits = at
    at = skip_digits(at)
    if at == digits or (digits[0] == c"0" and at > digits + 1):
        return NULL
    if at[0] == c".":
        kind[0] = FRACTION
        digits = at + 1
        at = skip_digits(digits)
        if at == digits:
            return NULL
    if at[0] == c"e" or at[0] == c"E":
        kind[0] = FRACTION
        at += 1
        at += at[0] == c"+" or at[0] == c"-"
        digits = at
        at = skip_digits(digits)
        if at == digits:
            return NULL
    return at


cdef inline const char* scan_word(
    const char* at, const char* end, const char* word, int64_t length
) noexcept nogil:
    """Return the end of a word, if it is the next text."""
    if end - at >= length and memcmp(at, word, <size_t> length) == 0:
        return at + length
    return NULL


cdef inline const char* scan_value(
    const char* at, const char* end, Value* value
) noexcept nogil:
    """Read a plain value; its end."""
    cdef const char* after
    if at[0] == c'"':
        value.kind = TEXT
        value.text = at + 1
        after = string_end(at + 1, end)
        if after == NULL:
            return NULL
        value.length = after - value.text
        return after + 1
    value.text = at
    if is_digit(at[0]) or at[0] == c"-":
        after = scan_number(at, &value.kind)
    else:
        value.kind = WORD
        after = scan_word(at, end, b"true", 4)
        if after == NULL:
            after = scan_word(at, end, b"null", 4)
        if after == NULL:
            after = scan_word(at, end, b"false", 5)
    value.length = after - at
    return after


cdef inline const char* scan_name(
    const char* at, const char* end, Field* field
) noexcept nogil:
    """Read a member's name; the quote after it."""
    field[0] = OTHER
    if at[0] == c"i" and at[1] == c"d":
        if at[2] == c'"':
            field[0] = ID
            return at + 2
        if at[2] == c"1" and at[3] == c'"':
            field[0] = ID1
            return at + 3
        if at[2] == c"2" and at[3] == c'"':
            field[0] = ID2
            return at + 3
    elif scan_word(at, end, b'amount"', 7) != NULL:
        field[0] = AMOUNT
        return at + 6
    elif scan_word(at, end, b'timestamp"', 10) != NULL:
        field[0] = TIMESTAMP
        return at + 9
    elif scan_word(at, end, b'event_type"', 11) != NULL:
        field[0] = EVENT_TYPE
        return at + 10
    return string_end(at, end)


cdef inline bint scan_members(
    const char* at, const char* end, Value* values
) noexcept nogil:
    """Read the members of the object that a line consists of; False to decline."""
    cdef Value other
    cdef Value* value
    cdef Field field
    at = skip_spaces(at)
    if at[0] != c"{":
        return False
    at = skip_spaces(at + 1)
    while at[0] == c'"':
        at = scan_name(at + 1, end, &field)
        if at == NULL:
            return False
        value = &values[<int> field] if field != OTHER else &other
        if field != OTHER and value.kind != ABSENT:
            return False        # a duplicate, of which the last one counts
        at = skip_spaces(at + 1)
        if at[0] != c":":
            return False
        at = scan_value(skip_spaces(at + 1), end, value)
        if at == NULL:
            return False
        at = skip_spaces(at)
        if at[0] == c"}":
            return skip_spaces(at + 1) == end
        if at[0] != c",":
            return False
        at = skip_spaces(at + 1)
    return False


cdef inline bint scan_id(const Value* value, UserKey* key) noexcept nogil:
    """Set the key of a user id; False to decline."""
    if value.kind == TEXT:
        key[0] = key_of_text(value.text, value.length)
        return value.length > 0
    if value.kind == INTEGER and value.length <= NUMBER_DIGITS:
        key[0] = key_of_text(value.text, value.length)
        return key.number >= 0
    return False


cdef inline bint scan_purchase(
    const Value* values, const Reading* reading, Event* event
) noexcept nogil:
    """Set the fields of a purchase; False to decline."""
    cdef const Value* time = &values[<int> TIMESTAMP]
    cdef const Value* amount = &values[<int> AMOUNT]
    event.kind = PURCHASE
    event.adjusted = 0
    if unlikely(
        time.kind != TEXT or not time_of_text(time.text, time.length, &event.time_us), False
    ):
        if time.kind != TEXT and time.kind != INTEGER and time.kind != FRACTION:
            return False
        if not time_in_unit(
            time.text, time.length, time.kind != TEXT, reading.time_unit, event
        ):
            return False
    if amount.kind != TEXT and amount.kind != INTEGER and amount.kind != FRACTION:
        return False
    event.amount_units = amount_of_text(amount.text, amount.length)
    if unlikely(event.amount_units == BAD_AMOUNT_UNITS, False) and reading.round_amounts:
        event.amount_units = rounded_amount_of_text(amount.text, amount.length)
        event.adjusted |= ROUNDED_AMOUNT
    return event.amount_units != BAD_AMOUNT_UNITS and scan_id(
        &values[<int> ID], &event.user
    )


cdef inline bint scan_event(
    const char* line, const char* end, const Reading* reading, Event* event
) noexcept nogil:
    """Read the event of a line; False to decline.

    The byte at `end` must be readable, and a control character. The event's keys point into
    the line, and are not hashed.
    """
    cdef Value[<int> FIELDS] values
    cdef const Value* kind = &values[<int> EVENT_TYPE]
    cdef int field
    for field in range(<int> FIELDS):
        values[field].kind = ABSENT
    if not scan_members(line, end, values) or kind.kind != TEXT or kind.length != 8:
        return False
    if memcmp(kind.text, b"purchase", 8) == 0:
        return scan_purchase(values, reading, event)
    if memcmp(kind.text, b"befriend", 8) == 0:
        event.kind = BEFRIEND
    elif memcmp(kind.text, b"unfriend", 8) == 0:
        event.kind = UNFRIEND
    else:
        return False
    return (
        scan_id(&values[<int> ID1], &event.user)
        and scan_id(&values[<int> ID2], &event.friend)
        and (event.kind == UNFRIEND or not keys_equal(&event.user, &event.friend))
    )
