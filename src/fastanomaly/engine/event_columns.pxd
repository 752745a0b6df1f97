"""Events as columns of bytes: what is sent to shards. See columns.pxd for the way back."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.id_texts cimport ids_are_numbers, ids_as_texts
from fastanomaly.engine.types cimport CUT_TIME, PURCHASE, ROUNDED_AMOUNT, Event


cdef inline bytes id_numbers(const Event* events, int32_t count, bint friends):
    """Return the first or the second users as numbers; 0 where there is none."""
    cdef bytes column = PyBytes_FromStringAndSize(NULL, count * <int64_t> sizeof(int64_t))
    cdef int64_t* numbers = <int64_t*> PyBytes_AS_STRING(column)
    cdef int32_t i
    for i in range(count):
        if not friends:
            numbers[i] = events[i].user.number
        else:
            numbers[i] = events[i].friend.number if events[i].kind != PURCHASE else 0
    return column


cdef inline tuple event_columns(const Event* events, int32_t count):
    """Return whether ids are numbers; five columns; and of how many events the amount was
    rounded, and the time cut.
    """
    cdef int64_t size = count * <int64_t> sizeof(int64_t), rounded = 0, cut = 0
    cdef bytes kinds = PyBytes_FromStringAndSize(NULL, count)
    cdef bytes times_us = PyBytes_FromStringAndSize(NULL, size)
    cdef bytes amounts_units = PyBytes_FromStringAndSize(NULL, size)
    cdef bint numbers = ids_are_numbers(events, count)
    cdef const Event* event
    cdef int32_t i
    cdef bint bought
    for i in range(count):
        event = &events[i]
        bought = event.kind == PURCHASE
        rounded += bought and event.adjusted & ROUNDED_AMOUNT != 0
        cut += bought and event.adjusted & CUT_TIME != 0
        PyBytes_AS_STRING(kinds)[i] = <char> event.kind
        (<int64_t*> PyBytes_AS_STRING(times_us))[i] = event.time_us if bought else 0
        (<int64_t*> PyBytes_AS_STRING(amounts_units))[i] = (
            event.amount_units if bought else 0
        )
    users, friends = (
        (id_numbers(events, count, False), id_numbers(events, count, True)) if numbers
        else (ids_as_texts(events, count, False), ids_as_texts(events, count, True))
    )
    columns = kinds, times_us, users, friends, amounts_units
    return bool(numbers), columns, (rounded, cut)
