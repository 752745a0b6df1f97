"""Events as columns: one row to one Event, and what a row may not hold."""

from libc.stdint cimport int64_t, uint8_t
from libc.stdio cimport snprintf

from fastanomaly._events cimport NUMBER_LIMIT, same_user
from fastanomaly._types cimport BEFRIEND, EVENT_KINDS, PURCHASE, Event, UserKey

cdef enum:
    AMOUNT_LIMIT = NUMBER_LIMIT     # 10^12 in units of 10^-6: 10^18 as well
    DIGITS_SIZE = 24                # an int64 as text: 19 digits, a sign, a NUL

cdef struct Columns:
    int64_t rows
    const uint8_t* kinds
    const int64_t* times_us
    const int64_t* amounts_units
    const int64_t* user_numbers     # the ids as numbers,
    const int64_t* friend_numbers
    const UserKey* user_keys        # or, if not NULL, as keys
    const UserKey* friend_keys

cdef struct Row:
    Event event
    char[DIGITS_SIZE] user_digits   # what the event's keys may point into
    char[DIGITS_SIZE] friend_digits

cdef struct ColumnFlag:
    int64_t row
    int64_t n
    int64_t mean_cents
    int64_t sd_cents


cdef inline UserKey key_of_number(int64_t number, char* digits) noexcept nogil:
    """The user whose id is the number's decimal text."""
    cdef UserKey key
    key.text = digits
    key.length = 0
    key.number = number
    key.hash = 0
    if not 0 <= number < <int64_t> NUMBER_LIMIT:
        key.length = snprintf(digits, DIGITS_SIZE, "%lld", <long long> number)
        key.number = -1
    return key


cdef inline void columns_read(const Columns* columns, int64_t index, Row* row) noexcept nogil:
    row.event.kind = columns.kinds[index]
    row.event.time_us = columns.times_us[index]
    row.event.amount_units = columns.amounts_units[index]
    if columns.user_keys != NULL:
        row.event.user = columns.user_keys[index]
        row.event.friend = columns.friend_keys[index]
    else:
        row.event.user = key_of_number(columns.user_numbers[index], row.user_digits)
        row.event.friend = key_of_number(columns.friend_numbers[index], row.friend_digits)


cdef inline bint row_valid(const Row* row) noexcept nogil:
    if row.event.kind == PURCHASE:
        return 0 <= row.event.amount_units < <int64_t> AMOUNT_LIMIT
    if row.event.kind == BEFRIEND:
        return not same_user(&row.event.user, &row.event.friend)
    return row.event.kind < EVENT_KINDS


cdef inline int64_t columns_first_invalid(const Columns* columns, Row* row) noexcept nogil:
    """The index of the first row that is no event, left in `row`; or -1."""
    cdef int64_t index
    for index in range(columns.rows):
        columns_read(columns, index, row)
        if not row_valid(row):
            return index
    return -1
