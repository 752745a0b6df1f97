"""The window: the amounts that a purchase is compared with, newest first."""

from libc.stdint cimport int64_t

from fastanomaly.engine.memory cimport PyMem_RawFree, memory_reserve

cdef struct Window:             # reused by all searches of a judge
    int64_t* amounts            # in units
    int64_t count
    int64_t capacity


cdef inline int window_reserve(Window* window, int64_t amounts) except -1 nogil:
    """Reserve memory for that many amounts."""
    return memory_reserve(
        <void**> &window.amounts, &window.capacity, amounts, sizeof(int64_t)
    )


cdef inline void window_append(Window* window, int64_t amount_units) noexcept nogil:
    """Append an amount; window_reserve must have been called."""
    window.amounts[window.count] = amount_units
    window.count += 1


cdef inline void window_free(Window* window) noexcept nogil:
    PyMem_RawFree(window.amounts)
