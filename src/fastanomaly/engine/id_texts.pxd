"""Columns of user ids as bytes, where not all ids are plain numbers.

    offsets     rows + 1, int64, ascending: where each id begins after them, and the end
    texts       the ids, UTF-8; empty where an event has no second user

They come from elsewhere: a column that is not like that raises ValueError. O(bytes).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy, memset

from fastanomaly.engine.columns cimport DIGITS_SIZE
from fastanomaly.engine.json_syntax cimport NO_FAULT, Fault, text_fault
from fastanomaly.engine.memory cimport memory_resize
from fastanomaly.engine.types cimport PURCHASE, Event, UserKey
from fastanomaly.engine.users cimport key_of_text


cdef inline const UserKey* event_key(const Event* event, bint friends) noexcept nogil:
    """Return the key of the first or the second user, or NULL."""
    if not friends:
        return &event.user
    return NULL if event.kind == PURCHASE else &event.friend


cdef inline bint ids_are_numbers(const Event* events, int32_t count) noexcept nogil:
    """Return whether all ids are plain numbers."""
    cdef int32_t i
    for i in range(count):
        if events[i].user.number < 0:
            return False
        if events[i].kind != PURCHASE and events[i].friend.number < 0:
            return False
    return True


cdef inline int64_t key_write(const UserKey* key, char* text) noexcept nogil:
    """Write the id of a key, unless `text` is NULL; its length."""
    cdef char[DIGITS_SIZE] digits
    cdef int64_t length
    if key == NULL:
        return 0
    if key.number < 0:
        if text != NULL:
            memcpy(text, key.text, <size_t> key.length)
        return key.length
    length = snprintf(digits, DIGITS_SIZE, "%lld", <long long> key.number)
    if text != NULL:
        memcpy(text, digits, <size_t> length)
    return length


cdef inline bytes ids_as_texts(const Event* events, int32_t count, bint friends):
    """Return the column of the first or the second users."""
    cdef int64_t size = 0, used = 0
    cdef int64_t head = (count + 1) * <int64_t> sizeof(int64_t)
    cdef int32_t i
    cdef int64_t* offsets
    cdef char* texts
    cdef bytes column
    for i in range(count):
        size += key_write(event_key(&events[i], friends), NULL)
    column = PyBytes_FromStringAndSize(NULL, head + size)
    offsets = <int64_t*> PyBytes_AS_STRING(column)
    texts = <char*> offsets + head
    for i in range(count):
        offsets[i] = used
        used += key_write(event_key(&events[i], friends), texts + used)
    offsets[count] = used
    return column


cdef inline int key_of_id_text(
    const char* text, int64_t length, UserKey* key
) except -1:
    """Set the key of an id, not hashed; it points to the text. ValueError if it is none."""
    cdef Fault fault
    if length == 0:
        raise ValueError("user id: empty")
    text_fault(text, text + length, &fault)
    if fault != NO_FAULT:
        raise ValueError("user id: not UTF-8")
    key[0] = key_of_text(text, length)
    return 0


cdef inline int keys_of_id_texts(
    str name, bytes column, const uint8_t[::1] kinds, UserKey** keys
) except -1:
    """Set the keys of a column, which they point to; see keys_of_column."""
    cdef int64_t rows = kinds.shape[0], size = PyBytes_GET_SIZE(column), row
    cdef int64_t head = (rows + 1) * <int64_t> sizeof(int64_t)
    cdef const int64_t* offsets = <const int64_t*> PyBytes_AS_STRING(column)
    cdef const char* texts = PyBytes_AS_STRING(column) + head
    if size < head or offsets[0] != 0 or offsets[rows] != size - head:
        raise ValueError(f"columns: {name} has not the offsets of {rows} texts")
    for row in range(rows):
        if not offsets[row] <= offsets[row + 1] <= size - head:
            raise ValueError(f"columns, row {row}: {name}: an offset is out of range")
    memory_resize(<void**> keys, rows, sizeof(UserKey))
    memset(keys[0], 0, rows * sizeof(UserKey))
    for row in range(rows):
        if kinds[row] == PURCHASE and name == "friends":
            continue
        try:
            key_of_id_text(
                texts + offsets[row], offsets[row + 1] - offsets[row], &keys[0][row]
            )
        except ValueError as error:
            raise ValueError(f"columns, row {row}: {name}: {error}") from None
    return 0
