"""One decoded line to one Event: which fields count, and what is wrong with them.

The first check that fails is the reason, in the order of docs/semantics.md.
"""

from cpython.long cimport PyLong_AsLongLongAndOverflow
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int64_t
from libc.string cimport memcmp

from fastanomaly.engine.fields cimport BAD_AMOUNT_UNITS, amount_of_text, time_of_text
from fastanomaly.engine.types cimport BEFRIEND, PURCHASE, UNFRIEND, Event, UserKey
from fastanomaly.engine.users cimport key_of_text

cdef enum Reason:               # in the order of events.REASONS; -2 is an exception
    UNDECIDED = -4              # the scanner has declined the line
    BLANK = -3                  # no event, and nothing wrong
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

cdef enum:
    NUMBER_LIMIT = 1_000_000_000_000_000_000    # 10^18: more digits are kept as text
    WHOLE_AMOUNT_LIMIT = 1_000_000_000_000      # 10^12
    UNITS = 1_000_000


cdef inline int decode_absent(dict fields, str name) except -2:
    return WRONG_TYPE if name in fields else MISSING_FIELD


cdef inline int decode_id(
    dict fields, str name, bytes line, object exact_number, bint inexact, UserKey* key
) except -2:
    """Read an id. The key points into a text that `fields` keeps alive."""
    cdef object value = fields.get(name)
    cdef const char* text
    cdef Py_ssize_t length
    cdef int overflow = 0
    if type(value) is str:
        text = PyUnicode_AsUTF8AndSize(value, &length)
        key[0] = key_of_text(text, length)
        return VALID if length > 0 else BAD_ID
    if value is None:
        return decode_absent(fields, name)
    if type(value) is int and not inexact:
        key.length = 0
        key.number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow == 0 and 0 <= key.number < <int64_t> NUMBER_LIMIT:
            return VALID
        value = str(value)
    elif type(value) is int or type(value) is float:
        # Beyond 64 bits a JSON integer comes as a float: take its own digits.
        value = exact_number(line, name)
        if not (<str> value).removeprefix("-").isdigit():
            return WRONG_TYPE
        if value == "-0":
            value = "0"
    else:
        return WRONG_TYPE
    fields[name] = value
    text = PyUnicode_AsUTF8AndSize(value, &length)
    key[0] = key_of_text(text, length)
    return VALID


cdef inline int decode_amount(
    dict fields, bytes line, object exact_number, bint inexact, int64_t* amount_units
) except -2:
    cdef object value = fields.get("amount")
    cdef int overflow = 0
    cdef int64_t whole
    cdef const char* text
    cdef Py_ssize_t length
    if type(value) is int and not inexact:
        whole = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow != 0 or not 0 <= whole < <int64_t> WHOLE_AMOUNT_LIMIT:
            return BAD_AMOUNT
        amount_units[0] = whole * UNITS
        return VALID
    if type(value) is int or type(value) is float:
        # A float is near what the line says, not equal to it.
        value = exact_number(line, "amount")
    elif value is None:
        return decode_absent(fields, "amount")
    elif type(value) is not str:
        return WRONG_TYPE
    text = PyUnicode_AsUTF8AndSize(value, &length)
    amount_units[0] = amount_of_text(text, length)
    return BAD_AMOUNT if amount_units[0] == BAD_AMOUNT_UNITS else VALID


cdef inline int decode_time(dict fields, int64_t* time_us) except -2:
    cdef object value = fields.get("timestamp")
    cdef const char* text
    cdef Py_ssize_t length
    if type(value) is str:
        text = PyUnicode_AsUTF8AndSize(value, &length)
        return VALID if time_of_text(text, length, time_us) else BAD_TIMESTAMP
    return decode_absent(fields, "timestamp") if value is None else WRONG_TYPE


cdef inline bint same_user(const UserKey* left, const UserKey* right) noexcept nogil:
    if left.number >= 0 or right.number >= 0:
        return left.number == right.number
    return left.length == right.length and (
        memcmp(left.text, right.text, <size_t> left.length) == 0
    )


cdef inline int decode_event(
    dict fields, bytes line, object exact_number, bint inexact, Event* event
) except -2:
    """Read an event from a line's decoded object.

    `exact_number(line, name)` gives the text of a JSON number; `inexact` says that no
    number in `fields` is what the line has.
    """
    cdef object event_type = fields.get("event_type")
    cdef int reason
    if type(event_type) is not str:
        return BAD_EVENT_TYPE
    if event_type == "purchase":
        event.kind = PURCHASE
        reason = decode_time(fields, &event.time_us)
        if reason == VALID:
            reason = decode_id(fields, "id", line, exact_number, inexact, &event.user)
        if reason == VALID:
            reason = decode_amount(fields, line, exact_number, inexact, &event.amount_units)
        return reason
    if event_type == "befriend":
        event.kind = BEFRIEND
    elif event_type == "unfriend":
        event.kind = UNFRIEND
    else:
        return BAD_EVENT_TYPE
    reason = decode_id(fields, "id1", line, exact_number, inexact, &event.user)
    if reason == VALID:
        reason = decode_id(fields, "id2", line, exact_number, inexact, &event.friend)
    if reason == VALID and event.kind == BEFRIEND and same_user(&event.user, &event.friend):
        return SELF_FRIENDSHIP
    return reason
