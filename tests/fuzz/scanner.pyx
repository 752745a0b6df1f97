"""The scanner as a C function, for the fuzzer (harness.c)."""

from libc.stdint cimport int64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy

from fastanomaly.engine.scan cimport scan_event
from fastanomaly.engine.types cimport PURCHASE, STRICT, Event, Reading, UserKey


cdef int64_t copy_id(const UserKey* key, char* text) noexcept nogil:
    """Copy the user_id of a key; its length."""
    if key.number >= 0:
        return snprintf(text, 24, "%lld", <long long> key.number)
    memcpy(text, key.text, <size_t> key.length)
    return key.length


cdef public int scanner(
    const char* line, int64_t size, int* kind, int64_t* time_us, int64_t* amount_units,
    char* user, int64_t* user_length, char* friend_, int64_t* friend_length
) noexcept nogil:
    """Return whether the scanner accepts a line; sets the values of its event.

    line[size] must be a control character. The ids are copied.
    """
    cdef Event event
    cdef Reading strict
    strict.round_amounts = False
    strict.time_unit = STRICT
    if not scan_event(line, line + size, &strict, &event):
        return 0
    kind[0] = event.kind
    user_length[0] = copy_id(&event.user, user)
    if event.kind == PURCHASE:
        time_us[0] = event.time_us
        amount_units[0] = event.amount_units
    else:
        friend_length[0] = copy_id(&event.friend, friend_)
    return 1
