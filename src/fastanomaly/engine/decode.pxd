"""Decoding a line that the scanner declined: with orjson, to an Event or a reason.

The first check that fails gives the reason, in the order of docs/semantics.md. Functions
return VALID or a Reason. Keys point into texts that the decoded object keeps alive.
"""

from cpython.long cimport PyLong_AsLongLongAndOverflow
from cpython.ref cimport Py_INCREF, PyObject
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int64_t

from fastanomaly.engine.fields cimport (
    BAD_AMOUNT_UNITS, amount_of_text, rounded_amount_of_text, time_of_text,
)
from fastanomaly.engine.reject cimport (
    BAD_AMOUNT, BAD_EVENT_TYPE, BAD_ID, BAD_TIMESTAMP, BLANK, LINE_TOO_LONG, MISSING_FIELD,
    NOT_AN_OBJECT, SELF_FRIENDSHIP, VALID, WRONG_TYPE, is_blank,
)
from fastanomaly.engine.times cimport time_in_unit
from fastanomaly.engine.types cimport (
    BEFRIEND, ISO, PURCHASE, ROUNDED_AMOUNT, STRICT, UNFRIEND, Event, Reading, UserKey,
)
from fastanomaly.engine.users cimport NUMBER_LIMIT, key_of_text, keys_equal

cdef extern from *:
    """
    static PyObject *fa_decode_tools = NULL;    /* kept for the life of the process */
    """
    PyObject* decode_tools_cache "fa_decode_tools"

cdef enum:
    WHOLE_AMOUNT_LIMIT = 1_000_000_000_000      # 10^12
    UNITS = 1_000_000


cdef inline int decode_absent(dict fields, str name) except -2:
    """Return the reason for a field that is missing or null."""
    return WRONG_TYPE if name in fields else MISSING_FIELD


cdef inline int decode_id(
    dict fields, str name, bytes line, object exact_number, bint inexact, UserKey* key
) except -2:
    """Set the key of a user id; `fields` keeps its text alive."""
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
        key.text = NULL
        key.length = 0
        key.hash = 0
        key.uid = -1
        key.number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow == 0 and 0 <= key.number < <int64_t> NUMBER_LIMIT:
            return VALID
        value = str(value)
    elif type(value) is int or type(value) is float:
        # orjson returns a float for integers beyond 64 bits: take the digits of the line.
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
    dict fields, bytes line, object exact_number, bint inexact, const Reading* reading,
    Event* event
) except -2:
    """Set the amount of a purchase."""
    cdef object value = fields.get("amount")
    cdef int overflow = 0
    cdef int64_t whole
    cdef const char* text
    cdef Py_ssize_t length
    if type(value) is int and not inexact:
        whole = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow != 0 or not 0 <= whole < <int64_t> WHOLE_AMOUNT_LIMIT:
            return BAD_AMOUNT
        event.amount_units = whole * UNITS
        return VALID
    if type(value) is int or type(value) is float:
        # A float may differ from the number in the line: take its text.
        value = exact_number(line, "amount")
    elif value is None:
        return decode_absent(fields, "amount")
    elif type(value) is not str:
        return WRONG_TYPE
    text = PyUnicode_AsUTF8AndSize(value, &length)
    event.amount_units = amount_of_text(text, length)
    if event.amount_units == BAD_AMOUNT_UNITS and reading.round_amounts:
        event.amount_units = rounded_amount_of_text(text, length)
        event.adjusted |= ROUNDED_AMOUNT
    return BAD_AMOUNT if event.amount_units == BAD_AMOUNT_UNITS else VALID


cdef inline int decode_time(
    dict fields, bytes line, object exact_number, const Reading* reading, Event* event
) except -2:
    """Set the time of a purchase."""
    cdef object value = fields.get("timestamp")
    cdef const char* text
    cdef Py_ssize_t length
    if type(value) is str:
        text = PyUnicode_AsUTF8AndSize(value, &length)
        if time_of_text(text, length, &event.time_us):
            return VALID
        found = time_in_unit(text, length, False, reading.time_unit, event)
        return VALID if found else BAD_TIMESTAMP
    is_number = type(value) is int or type(value) is float
    if is_number and reading.time_unit != STRICT and reading.time_unit != ISO:
        value = exact_number(line, "timestamp")
        text = PyUnicode_AsUTF8AndSize(value, &length)
        found = time_in_unit(text, length, True, reading.time_unit, event)
        return VALID if found else BAD_TIMESTAMP
    return decode_absent(fields, "timestamp") if value is None else WRONG_TYPE


cdef inline int decode_event(
    dict fields, bytes line, object exact_number, bint inexact, const Reading* reading,
    Event* event
) except -2:
    """Set the event of a decoded line.

    `exact_number(line, name)` returns the text of a JSON number in the line. `inexact` means
    that numbers in `fields` are placeholders, not those of the line.
    """
    cdef object event_type = fields.get("event_type")
    cdef int reason
    if type(event_type) is not str:
        return BAD_EVENT_TYPE
    if event_type == "purchase":
        event.kind = PURCHASE
        event.adjusted = 0
        reason = decode_time(fields, line, exact_number, reading, event)
        if reason == VALID:
            reason = decode_id(fields, "id", line, exact_number, inexact, &event.user)
        if reason == VALID:
            reason = decode_amount(fields, line, exact_number, inexact, reading, event)
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
    if reason == VALID and event.kind == BEFRIEND and keys_equal(&event.user, &event.friend):
        return SELF_FRIENDSHIP
    return reason


cdef inline tuple decode_tools():
    """Return (loads, JSONDecodeError, reread, exact_number), imported by the first call.

    Importing orjson would be most of the command's start-up, and most runs do not need it.
    """
    global decode_tools_cache
    if decode_tools_cache == NULL:
        from orjson import JSONDecodeError, loads

        from fastanomaly.rules.json_members import exact_number
        from fastanomaly.rules.rejects import reread

        tools = (loads, JSONDecodeError, reread, exact_number)
        Py_INCREF(tools)
        decode_tools_cache = <PyObject*> tools
    return <tuple> decode_tools_cache


cdef inline tuple decode_line(
    bytes line, int64_t max_line, const Reading* reading, Event* event
):
    """Decode a line: (reason, the object that keeps the event's keys alive)."""
    inexact = False
    if len(line) > max_line:
        return LINE_TOO_LONG, None
    if is_blank(line, len(line)):
        return BLANK, None
    loads, decode_error, reread, exact_number = decode_tools()
    try:
        value = loads(line)
    except decode_error:
        reason, value = reread(line)
        inexact = True
        if reason != VALID:
            return reason, None
    if type(value) is not dict:
        return NOT_AN_OBJECT, None
    return decode_event(value, line, exact_number, inexact, reading, event), value
