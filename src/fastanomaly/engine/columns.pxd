"""Events in columns: reading a row as an Event, and checking it. O(1) a row."""

from libc.stdint cimport int64_t, uint8_t
from libc.stdio cimport snprintf

from fastanomaly.engine.types cimport BEFRIEND, EVENT_KINDS, PURCHASE, Event, UserKey
from fastanomaly.engine.users cimport NUMBER_LIMIT, keys_equal

cdef enum:
    AMOUNT_LIMIT = NUMBER_LIMIT     # 10^12 in units of 10^-6 is 10^18, too
    DIGITS_SIZE = 24                # an int64 as text: 19 digits, a sign, a NUL

cdef struct Columns:                # arrays of `rows` items, of which it owns only the keys
    int64_t rows
    const uint8_t* kinds
    const int64_t* times_us
    const int64_t* amounts_units
    const int64_t* user_numbers     # the ids as numbers;
    const int64_t* friend_numbers
    UserKey* user_keys              # or as keys, if not NULL
    UserKey* friend_keys

cdef struct Digits:                 # memory for the texts of a row's keys
    char[DIGITS_SIZE] user
    char[DIGITS_SIZE] friend

cdef struct ColumnFlag:             # four int64: returned to Python as their bytes
    int64_t row
    int64_t n
    int64_t mean_cents
    int64_t sd_cents


cdef inline UserKey key_of_number(int64_t number, char* digits) noexcept nogil:
    """Return the key of the user whose id is the number's decimal text.

    It may point to `digits`, which has DIGITS_SIZE bytes.
    """
    cdef UserKey key
    key.text = digits
    key.length = 0
    key.number = number
    key.hash = 0
    key.uid = -1
    if not 0 <= number < <int64_t> NUMBER_LIMIT:
        key.length = snprintf(digits, DIGITS_SIZE, "%lld", <long long> number)
        key.number = -1
    return key


cdef inline void columns_read(
    const Columns* columns, int64_t index, Event* event, Digits* digits
) noexcept nogil:
    """Read a row; the keys are not hashed, and valid as long as columns and digits."""
    event.kind = columns.kinds[index]
    event.adjusted = 0
    event.time_us = columns.times_us[index]
    event.amount_units = columns.amounts_units[index]
    if columns.user_keys != NULL:
        event.user = columns.user_keys[index]
        event.friend = columns.friend_keys[index]
    else:
        event.user = key_of_number(columns.user_numbers[index], digits.user)
        event.friend = key_of_number(columns.friend_numbers[index], digits.friend)


cdef inline bint row_valid(const Event* event) noexcept nogil:
    """Return whether a row is a valid event; times are always valid."""
    if event.kind == PURCHASE:
        return 0 <= event.amount_units < <int64_t> AMOUNT_LIMIT
    if event.kind == BEFRIEND:
        return not keys_equal(&event.user, &event.friend)
    return event.kind < EVENT_KINDS


cdef inline int64_t columns_first_invalid(
    const Columns* columns, Event* event, Digits* digits
) noexcept nogil:
    """Return the index of the first row that is not a valid event, or -1; O(rows).

    The invalid row is left in `event`.
    """
    cdef int64_t index
    for index in range(columns.rows):
        columns_read(columns, index, event, digits)
        if not row_valid(event):
            return index
    return -1
