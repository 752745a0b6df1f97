"""Rejected lines as tab-separated text, and the detail of those that are not JSON.

A log may consist of garbage: most details are written here, since a call of Python for each
would cost many times what a good line costs.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int64_t
from libc.string cimport memcmp, memcpy, strlen

from fastanomaly.engine.json_syntax cimport (
    BAD_CONTINUATION, BAD_ESCAPE, BAD_HIGH_SURROGATE, BAD_LOW_SURROGATE, BAD_START,
    BYTE_ORDER_MARK, CONTROL_CHARACTER, CUT_CHARACTER, ENDS_EARLY, LEADING_ZERO,
    MORE_AFTER_VALUE, NO_COLON, NO_COMMA_IN_ARRAY, NO_COMMA_IN_OBJECT, NO_DIGIT_AFTER_POINT,
    NO_DIGIT_AFTER_SIGN, NO_DIGIT_IN_EXPONENT, NO_FAULT, NO_LOW_SURROGATE, NO_NAME, NO_VALUE,
    NOT_FALSE, NOT_NULL, NOT_TRUE, TOO_DEEP, TRAILING_COMMA, Fault, is_json_space, json_fault,
    skip_json_space, text_fault,
)
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_reserve
from fastanomaly.engine.reject cimport line_members
from fastanomaly.engine.scan cimport (
    ABSENT, AMOUNT, EVENT_TYPE, FIELDS, ID, ID1, ID2, INTEGER, TEXT, TIMESTAMP, WORD, Value,
    ValueKind,
)

cdef enum:
    CUT_CHARACTERS = 80         # the longest value shown; see wrong_values.shortened

cdef struct Rows:
    char* text
    int64_t capacity
    int64_t length


cdef inline int rows_add(Rows* rows, const char* text, int64_t length) except -1:
    memory_reserve(<void**> &rows.text, &rows.capacity, rows.length + length, 1)
    memcpy(rows.text + rows.length, text, <size_t> length)
    rows.length += length
    return 0


cdef inline int rows_add_word(Rows* rows, const char* text) except -1:
    return rows_add(rows, text, <int64_t> strlen(text))


cdef inline int rows_add_number(Rows* rows, int64_t number) except -1:
    """Add a number, which is not negative."""
    cdef char[20] text
    cdef int start = 20
    while start == 20 or number > 0:
        start -= 1
        text[start] = <char> (c"0" + number % 10)
        number //= 10
    return rows_add(rows, text + start, 20 - start)


cdef inline int rows_add_escaped(Rows* rows, const char* text, int64_t length) except -1:
    """Add a column's text, with tabs, line ends and backslashes escaped as in JSON."""
    cdef int64_t i, start = 0
    cdef char[2] escape
    escape[0] = c"\\"
    for i in range(length):
        if text[i] == c"\\":
            escape[1] = c"\\"
        elif text[i] == c"\t":
            escape[1] = c"t"
        elif text[i] == c"\n":
            escape[1] = c"n"
        elif text[i] == c"\r":
            escape[1] = c"r"
        else:
            continue
        rows_add(rows, text + start, i - start)
        rows_add(rows, escape, 2)
        start = i + 1
    return rows_add(rows, text + start, length - start)


cdef inline int64_t characters_end(
    const char* text, int64_t length, int64_t characters
) noexcept nogil:
    """Return how many bytes the first characters of a valid text have."""
    cdef int64_t i = 0
    while i < length and (characters > 0 or (text[i] & 0xC0) == 0x80):
        characters -= (text[i] & 0xC0) != 0x80
        i += 1
    return i


cdef inline bint rows_add_cut(Rows* rows, const char* text, int64_t length) except -1:
    """Add a value, escaped, and shortened if it has more than 80 characters.

    Returns whether the value is whole.
    """
    if characters_end(text, length, CUT_CHARACTERS) == length:
        rows_add_escaped(rows, text, length)
        return True
    rows_add_escaped(rows, text, characters_end(text, length, CUT_CHARACTERS - 3))
    rows_add_word(rows, b"...")
    return False


# -- what is wrong with a line that is not JSON ----------------------------------------


cdef inline const char* fault_words(Fault fault) noexcept nogil:
    """Return the words for a fault: those of Python for UTF-8, of orjson for JSON."""
    if fault == BAD_START:
        return b"invalid start byte"
    if fault == BAD_CONTINUATION:
        return b"invalid continuation byte"
    if fault == CUT_CHARACTER or fault == ENDS_EARLY:
        return b"unexpected end of data"
    if fault == NO_VALUE:
        return b"unexpected character, expected a JSON value"
    if fault == NO_NAME:
        return b"unexpected character, expected a string key"
    if fault == NO_COLON:
        return b"unexpected character, expected ':' after key"
    if fault == NO_COMMA_IN_OBJECT:
        return b"unexpected character, expected ',' or '}'"
    if fault == NO_COMMA_IN_ARRAY:
        return b"unexpected character, expected ',' or ']'"
    if fault == TRAILING_COMMA:
        return b"trailing comma is not allowed"
    if fault == MORE_AFTER_VALUE:
        return b"unexpected content after document"
    if fault == CONTROL_CHARACTER:
        return b"unexpected control character in string"
    if fault == BAD_ESCAPE:
        return b"invalid escaped sequence in string"
    if fault == NO_LOW_SURROGATE:
        return b"no low surrogate in string"
    if fault == BAD_LOW_SURROGATE:
        return b"invalid low surrogate in string"
    if fault == BAD_HIGH_SURROGATE:
        return b"invalid high surrogate in string"
    if fault == LEADING_ZERO:
        return b"number with leading zero is not allowed"
    if fault == NO_DIGIT_AFTER_SIGN:
        return b"no digit after sign"
    if fault == NO_DIGIT_AFTER_POINT:
        return b"no digit after decimal point"
    if fault == NO_DIGIT_IN_EXPONENT:
        return b"no digit after exponent sign"
    if fault == NOT_TRUE:
        return b"invalid literal, expected 'true'"
    if fault == NOT_FALSE:
        return b"invalid literal, expected 'false'"
    if fault == NOT_NULL:
        return b"invalid literal, expected 'null'"
    if fault == TOO_DEEP:
        return b"depth limit exceeded"
    return b"UTF-8 byte order mark (BOM) is not supported"


cdef inline bint begins_with(
    const char* at, const char* end, const char* word
) noexcept nogil:
    cdef int64_t length = <int64_t> strlen(word)
    return end - at >= length and memcmp(at, word, <size_t> length) == 0


cdef inline const char* encoding_hint(
    const char* text, const char* end, const char* at
) noexcept nogil:
    """Return what a text that is no text seems to be, or NULL."""
    if begins_with(text, end, b"\x1f\x8b") or begins_with(text, end, b"\x28\xb5\x2f\xfd"):
        return b"compressed data?"
    if begins_with(text, end, b"\xff\xfe") or begins_with(text, end, b"\xfe\xff"):
        return b"UTF-16?"
    if at < end and at[0] == 0:
        return b"a NUL: UTF-16?"
    return NULL


cdef inline const char* value_hint(const char* at, const char* end) noexcept nogil:
    """Return what is in the place of a name or a value, or NULL."""
    if begins_with(at, end, b"'"):
        return b"single quotes: JSON has double quotes"
    if begins_with(at, end, b"u'") or begins_with(at, end, b'u"'):
        return b"Python's u'...': JSON has double quotes"
    if begins_with(at, end, b"\xe2\x80\x9c") or begins_with(at, end, b"\xe2\x80\x9d"):
        return b"curly quotes: JSON has straight quotes"
    if begins_with(at, end, b"\xe2\x80\x98") or begins_with(at, end, b"\xe2\x80\x99"):
        return b"curly quotes: JSON has straight quotes"
    if begins_with(at, end, b"None"):
        return b"Python's None: JSON has null"
    if begins_with(at, end, b"True") or begins_with(at, end, b"False"):
        return b"Python's True and False: JSON has true and false"
    if begins_with(at, end, b"NaN"):
        return b"NaN is not JSON"
    return NULL


cdef inline const char* fault_hint(
    const char* text, const char* end, const char* at, Fault fault
) noexcept nogil:
    """Return a likely cause of a fault, or NULL."""
    cdef const char* first = skip_json_space(text, end)
    cdef const char* hint = encoding_hint(text, end, at)
    cdef bint one_character = skip_json_space(first + 1, end) == end
    if hint != NULL or at == end:
        if hint == NULL and one_character and (first[0] == c"{" or first[0] == c"["):
            return b"each line must be a whole object"
        return hint
    if fault == NO_VALUE or fault == NO_NAME:
        if at == first and (at[0] == c"}" or at[0] == c"]"):
            return b"each line must be a whole object"
        return value_hint(at, end)
    if fault != MORE_AFTER_VALUE:
        return NULL
    if at[0] == c"," and skip_json_space(at + 1, end) == end:
        return b"the line ends in a comma"
    if at[0] == c":" and first[0] == c'"':
        return b"a part of an object: each line must be a whole one"
    if (at - 1)[0] == c"\r":
        return b"a CR without LF does not end a line"
    if at[0] == c"{":
        return b"more than one object in a line"
    return NULL


cdef inline int rows_add_fault(Rows* rows, const char* text, int64_t length) except -1:
    """Add what is wrong with a line that is not UTF-8 or not JSON."""
    cdef const char* end = text + length
    cdef const char* hint
    cdef Fault fault
    cdef const char* at = text_fault(text, end, &fault)
    if fault == NO_FAULT:
        at = json_fault(text, end, &fault)
    if fault == NO_FAULT:
        return 0
    rows_add_word(rows, b"byte ")
    rows_add_number(rows, at - text + 1)
    rows_add_word(rows, b": ")
    rows_add_word(rows, fault_words(fault))
    hint = fault_hint(text, end, at, fault)
    if hint != NULL:
        rows_add_word(rows, b" (")
        rows_add_word(rows, hint)
        rows_add_word(rows, b")")
    return 0


cdef inline str fault_detail(bytes line):
    """Return what is wrong with a line that is not UTF-8 or not JSON; else ""."""
    cdef Rows rows = Rows(NULL, 0, 0)
    try:
        rows_add_fault(&rows, line, PyBytes_GET_SIZE(line))
        return rows.text[:rows.length].decode() if rows.length else ""
    finally:
        PyMem_RawFree(rows.text)


# -- what is wrong with the members of an object ---------------------------------------
# The same details as those of rejects.describe, for objects without escapes.


cdef inline const char* field_name(int field) noexcept nogil:
    if field == <int> EVENT_TYPE:
        return b"event_type"
    if field == <int> TIMESTAMP:
        return b"timestamp"
    if field == <int> ID:
        return b"id"
    if field == <int> AMOUNT:
        return b"amount"
    return b"id1" if field == <int> ID1 else b"id2"


cdef inline bint has_field_type(int field, ValueKind kind) noexcept nogil:
    """Return whether a value has a type that the field may have; see rejects._typed."""
    if kind == TEXT or kind == ABSENT:
        return True
    if field == <int> TIMESTAMP or kind == WORD:
        return False
    return kind == INTEGER or field == <int> AMOUNT


cdef inline bint rows_add_value(Rows* rows, const Value* value) except -1:
    """Add a value as it is written, shortened; return whether it is whole."""
    cdef int quotes = value.kind == TEXT
    return rows_add_cut(rows, value.text - quotes, value.length + 2 * quotes)


cdef inline int rows_add_bad_value(
    Rows* rows, const Value* values, int field, object value_detail
) except -1:
    """Add the name and the value of a member, and what is wrong with the value."""
    cdef const Value* value = &values[field]
    cdef int quotes = value.kind == TEXT
    cdef const char* text = value.text - quotes
    words = value_detail(
        field_name(field).decode("ascii"), text[:value.length + 2 * quotes].decode("utf-8")
    )
    detail = (<str?> words).encode()
    return rows_add_escaped(rows, detail, PyBytes_GET_SIZE(detail))


cdef inline int rows_add_first(
    Rows* rows, const Value* values, int first, int last, bint absent
) except -1:
    """Add the name of the first field that is absent, or that is empty."""
    cdef int field
    for field in range(first, last + 1):
        if values[field].kind == (ABSENT if absent else TEXT) and (
            absent or values[field].length == 0
        ):
            rows_add_word(rows, field_name(field))
            return rows_add_word(rows, b": missing" if absent else b": empty")
    return 0


cdef inline int rows_add_wrong_types(
    Rows* rows, const Value* values, int first, int last, object value_detail
) except -1:
    """Add the members that have wrong types."""
    cdef int field
    cdef bint found = False
    for field in range(first, last + 1):
        if not has_field_type(field, values[field].kind):
            if found:
                rows_add_word(rows, b", ")
            rows_add_bad_value(rows, values, field, value_detail)
            found = True
    return 0


cdef inline bint may_be_event_type(const Value* value) noexcept nogil:
    """Return whether a text may be the name of an event with other letters and spaces."""
    cdef int64_t start = 0, end = value.length
    while start < end and value.text[start] == c" ":
        start += 1
    while start < end and value.text[end - 1] == c" ":
        end -= 1
    return end - start == 8


cdef inline bint rows_add_members(
    Rows* rows, const char* text, const char* end, str reason, object value_detail
) except -1:
    """Add the detail of a line that is an object; False if that needs decoding."""
    cdef Value[<int> FIELDS] values
    cdef const Value* kind
    cdef int first = <int> ID1, last = <int> ID2
    if not line_members(text, end, values):
        return False
    if values[<int> EVENT_TYPE].kind == TEXT and values[<int> EVENT_TYPE].text[0] == c"p":
        first = <int> TIMESTAMP
        last = <int> AMOUNT
    if reason == "bad_event_type":
        kind = &values[<int> EVENT_TYPE]
        if kind.kind == ABSENT:
            rows_add_word(rows, b"event_type: missing")
        elif kind.kind == TEXT and not may_be_event_type(kind):
            rows_add_word(rows, b"event_type: ")
            if rows_add_value(rows, kind):
                rows_add_word(rows, b" (must be purchase, befriend or unfriend)")
        else:
            rows_add_bad_value(rows, values, <int> EVENT_TYPE, value_detail)
    elif reason == "missing_field":
        rows_add_first(rows, values, first, last, True)
    elif reason == "wrong_type":
        rows_add_wrong_types(rows, values, first, last, value_detail)
    elif reason == "bad_id":
        rows_add_first(rows, values, first, last, False)
    elif reason == "bad_timestamp" and values[<int> TIMESTAMP].kind != TEXT:
        rows_add_word(rows, b"timestamp: ")
        rows_add_value(rows, &values[<int> TIMESTAMP])
        rows_add_word(rows, b" (is outside the years 1 to 9999 in the unit of --time-unit)")
    elif reason == "bad_timestamp":
        rows_add_bad_value(rows, values, <int> TIMESTAMP, value_detail)
    elif reason == "bad_amount":
        rows_add_bad_value(rows, values, <int> AMOUNT, value_detail)
    elif reason == "self_friendship":
        rows_add_word(rows, b"id1 and id2: ")
        rows_add_value(rows, &values[<int> ID1])
    else:
        return False
    return True


# -- rows ------------------------------------------------------------------------------


cdef inline int rows_add_detail(
    Rows* rows, tuple rejected, object describe, object value_detail
) except -1:
    """Add the fourth column of a row."""
    cdef bytes line = rejected[3]
    cdef const char* text = line
    cdef const char* end = text + PyBytes_GET_SIZE(line)
    cdef str reason = rejected[2]
    if reason == "not_json" or reason == "invalid_utf8":
        return rows_add_fault(rows, text, end - text)
    if reason == "line_too_long":
        return rows_add_word(rows, b"longer than the limit")
    if reason == "not_an_object":
        text = skip_json_space(text, end)
        while end > text and is_json_space((end - 1)[0]):
            end -= 1
        rows_add_word(rows, b"is ")
        rows_add_cut(rows, text, end - text)
        return 0
    if rows_add_members(rows, text, end, reason, value_detail):
        return 0
    detail = (<str?> describe(line, reason)).encode()
    return rows_add_escaped(rows, detail, PyBytes_GET_SIZE(detail))


cdef inline bytes reject_rows(list rejected, object describe, object value_detail):
    """Return a row for each rejected line; see rows_of_rejects in _core.pyx."""
    cdef Rows rows = Rows(NULL, 0, 0)
    cdef tuple row
    cdef bytes log = b"", line
    cdef const char* reason
    cdef Py_ssize_t length
    last = None
    try:
        for item in rejected:
            if not isinstance(item, tuple) or len(<tuple> item) != 4:
                raise TypeError(f"expected a rejected line, got {item!r}")
            row = <tuple> item
            if row[0] is not last:
                last = row[0]
                log = last.encode("utf-8", "surrogateescape")
            rows_add_escaped(&rows, log, PyBytes_GET_SIZE(log))
            rows_add_word(&rows, b"\t")
            rows_add_number(&rows, max(<int64_t> row[1], 0))
            rows_add_word(&rows, b"\t")
            reason = PyUnicode_AsUTF8AndSize(row[2], &length)
            rows_add(&rows, reason, length)
            rows_add_word(&rows, b"\t")
            rows_add_detail(&rows, row, describe, value_detail)
            rows_add_word(&rows, b"\t")
            line = row[3]
            rows_add(&rows, line, PyBytes_GET_SIZE(line))
            rows_add_word(&rows, b"\n")
        return PyBytes_FromStringAndSize(rows.text, rows.length)
    finally:
        PyMem_RawFree(rows.text)
