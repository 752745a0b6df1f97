"""The window: the amounts that a purchase is compared with, newest first."""

from libc.stdint cimport int64_t

from fastanomaly.engine.memory cimport PyMem_RawFree, memory_reserve

cdef struct Window:             # reused by all searches of a judge
    int64_t* amounts            # in units
    int64_t count
    int64_t capacity


cdef inline int window_append(Window* window, int64_t amount_units) except -1 nogil:
    """Append an amount; amortised O(1)."""
    if window.count == window.capacity:
        memory_reserve(
            <void**> &window.amounts, &window.capacity, window.count + 1, sizeof(int64_t)
        )
    window.amounts[window.count] = amount_units
    window.count += 1
    return 0


cdef inline void window_free(Window* window) noexcept nogil:
    PyMem_RawFree(window.amounts)
