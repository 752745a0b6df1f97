"""Lines that the scanner declined: blank, or rejected for a reason that needs no decoding.

What is left needs orjson (decode.pxd), which costs far more than a good line. O(length).
"""

from libc.stdint cimport int64_t
from libc.string cimport memchr, memcmp

from fastanomaly.engine.fields cimport (
    BAD_AMOUNT_UNITS, amount_of_text, is_digit, rounded_amount_of_text, time_of_text,
)
from fastanomaly.engine.json_syntax cimport (
    NO_FAULT, Fault, Syntax, check_name, check_value, json_fault, skip_json_space, text_fault,
)
from fastanomaly.engine.scan cimport (
    ABSENT, AMOUNT, EVENT_TYPE, FIELDS, FRACTION, ID, ID1, ID2, INTEGER, OTHER, TEXT,
    TIMESTAMP, WORD, Field, Value, scan_members, scan_name, scan_number,
)
from fastanomaly.engine.times cimport time_in_unit
from fastanomaly.engine.types cimport ISO, STRICT, Event, Reading

cdef enum Reason:               # in the order of rejects.REASONS; -2 means an exception
    DECLINED = -4               # not decided: decode_line must be called
    BLANK = -3                  # no event, but not rejected
    VALID = -1
    LINE_TOO_LONG = 0
    INVALID_UTF8
    NOT_JSON
    NOT_AN_OBJECT
    BAD_EVENT_TYPE
    MISSING_FIELD
    WRONG_TYPE
    BAD_ID
    BAD_TIMESTAMP
    BAD_AMOUNT
    SELF_FRIENDSHIP


cdef inline bint is_blank(const char* text, int64_t length) noexcept nogil:
    """Return whether a line has only spaces, tabs and carriage returns."""
    cdef int64_t i
    for i in range(length):
        if text[i] != c" " and text[i] != c"\t" and text[i] != c"\r":
            return False
    return True


cdef inline int reason_of_id(const Value* value) noexcept nogil:
    if value.kind == ABSENT:
        return MISSING_FIELD
    if value.kind == FRACTION or value.kind == WORD:
        return WRONG_TYPE
    return BAD_ID if value.length == 0 else VALID


cdef inline int reason_of_time(const Value* time, const Reading* reading) noexcept nogil:
    cdef Event event
    cdef bint is_number = time.kind == INTEGER or time.kind == FRACTION
    event.adjusted = 0
    if time.kind == ABSENT:
        return MISSING_FIELD
    if time.kind == WORD or (
        is_number and (reading.time_unit == STRICT or reading.time_unit == ISO)
    ):
        return WRONG_TYPE
    if not is_number and time_of_text(time.text, time.length, &event.time_us):
        return VALID
    if time_in_unit(time.text, time.length, is_number, reading.time_unit, &event):
        return VALID
    return BAD_TIMESTAMP


cdef inline int reason_of_amount(const Value* amount, const Reading* reading) noexcept nogil:
    if amount.kind == ABSENT:
        return MISSING_FIELD
    if amount.kind == WORD:
        return WRONG_TYPE
    if amount_of_text(amount.text, amount.length) != BAD_AMOUNT_UNITS:
        return VALID
    if (
        reading.round_amounts
        and rounded_amount_of_text(amount.text, amount.length) != BAD_AMOUNT_UNITS
    ):
        return VALID
    return BAD_AMOUNT


cdef inline int reason_of_members(
    const Value* values, const Reading* reading
) noexcept nogil:
    """Return why a line with these members is rejected; DECLINED if it may be valid.

    The checks are in the order of decode_event.
    """
    cdef const Value* kind = &values[<int> EVENT_TYPE]
    cdef int reason
    if kind.kind != TEXT or kind.length != 8:
        return BAD_EVENT_TYPE
    if memcmp(kind.text, b"purchase", 8) == 0:
        reason = reason_of_time(&values[<int> TIMESTAMP], reading)
        if reason == VALID:
            reason = reason_of_id(&values[<int> ID])
        if reason == VALID:
            reason = reason_of_amount(&values[<int> AMOUNT], reading)
    elif memcmp(kind.text, b"befriend", 8) == 0 or memcmp(kind.text, b"unfriend", 8) == 0:
        reason = reason_of_id(&values[<int> ID1])
        if reason == VALID:
            reason = reason_of_id(&values[<int> ID2])
    else:
        reason = BAD_EVENT_TYPE
    return DECLINED if reason == VALID else reason


cdef inline bint set_value(Value* value, const char* start, const char* end) noexcept nogil:
    """Set a value from its text; False if it is a string with escapes."""
    value.text = start
    value.length = end - start
    value.kind = WORD
    if start[0] == c'"':
        value.kind = TEXT
        value.text += 1
        value.length -= 2
        return memchr(value.text, c"\\", <size_t> value.length) == NULL
    if is_digit(start[0]) or start[0] == c"-":
        scan_number(start, &value.kind)
    return True


cdef inline bint object_members(
    const char* text, const char* end, Value* values
) noexcept nogil:
    """Read the members of an object, as orjson does; False if an escape may matter.

    The last of several values of one name counts. Arrays and objects are of kind WORD.
    """
    cdef Syntax syntax
    cdef Field field
    cdef const char* start
    cdef const char* at = skip_json_space(text, end)
    cdef int i
    for i in range(<int> FIELDS):
        values[i].kind = ABSENT
    syntax.end = end
    if at[0] != c"{":
        return False
    at = skip_json_space(at + 1, end)
    while at < end and at[0] == c'"':
        start = at
        at = check_name(&syntax, at)
        if at == NULL or memchr(start, c"\\", <size_t> (at - start)) != NULL:
            return False
        scan_name(start + 1, end, &field)
        start = skip_json_space(at, end)
        at = check_value(&syntax, start)
        if at == NULL or (field != OTHER and not set_value(&values[<int> field], start, at)):
            return False
        at = skip_json_space(at, end)
        if at[0] == c",":
            at = skip_json_space(at + 1, end)
    return at < end and at[0] == c"}"


cdef inline bint line_members(
    const char* text, const char* end, Value* values
) noexcept nogil:
    """Read the members of a line that is a valid object; False if an escape may matter."""
    cdef int i
    for i in range(<int> FIELDS):
        values[i].kind = ABSENT
    return scan_members(text, end, values) or object_members(text, end, values)


cdef inline int quick_reason(
    const char* text, const char* end, int64_t max_line, const Reading* reading
) noexcept nogil:
    """Return BLANK, the reason why a line is rejected, or DECLINED if orjson must decide.

    The byte at `end` must be readable, and a control character.
    """
    cdef Value[<int> FIELDS] values
    cdef Fault fault
    cdef int field
    if end - text > max_line:
        return LINE_TOO_LONG
    if is_blank(text, end - text):
        return BLANK
    for field in range(<int> FIELDS):
        values[field].kind = ABSENT
    if scan_members(text, end, values):
        return reason_of_members(values, reading)
    text_fault(text, end, &fault)
    if fault != NO_FAULT:
        return INVALID_UTF8
    json_fault(text, end, &fault)
    if fault != NO_FAULT:
        return NOT_JSON
    if skip_json_space(text, end)[0] != c"{":
        return NOT_AN_OBJECT
    if not object_members(text, end, values):
        return DECLINED
    return reason_of_members(values, reading)
