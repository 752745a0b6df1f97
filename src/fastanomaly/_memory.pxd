"""The one way memory is got: checked for overflow, and nothing changed on failure."""

from libc.stdint cimport int64_t
from libc.string cimport memset

cdef extern from "Python.h" nogil:
    void* PyMem_RawRealloc(void* block, size_t size)
    void PyMem_RawFree(void* block)

cdef extern from *:
    """
    /* How many more allocations succeed; negative: all. Set by tests alone. */
    static long long fa_allocations_left = -1;
    """
    long long allocations_left "fa_allocations_left"

cdef extern from *:
    int mul_overflows "__builtin_mul_overflow"(size_t, size_t, size_t*) nogil


cdef inline void memory_fail_after(long long count) noexcept nogil:
    global allocations_left
    allocations_left = count


cdef inline int memory_failed(size_t size) except -1 nogil:
    with gil:
        raise MemoryError(f"fastanomaly: no memory for {size} bytes")


cdef inline int memory_resize(void** block, int64_t items, size_t item_size) except -1 nogil:
    """Make *block hold `items` items; raises MemoryError and leaves *block as it was."""
    global allocations_left
    cdef size_t size
    cdef void* moved
    if mul_overflows(<size_t> items, item_size, &size):
        return memory_failed(<size_t> -1)
    if allocations_left >= 0:
        if allocations_left == 0:
            return memory_failed(size)
        allocations_left -= 1
    moved = PyMem_RawRealloc(block[0], size)
    if moved == NULL:
        return memory_failed(size)
    block[0] = moved
    return 0


cdef inline int memory_reserve(
    void** block, int64_t* capacity, int64_t needed, size_t item_size
) except -1 nogil:
    """Make *block hold at least `needed` items, doubling."""
    cdef int64_t wanted
    if needed <= capacity[0]:
        return 0
    wanted = max(needed, 2 * capacity[0], 16)
    memory_resize(block, wanted, item_size)
    capacity[0] = wanted
    return 0


cdef inline int memory_reserve_zeroed(
    void** block, int64_t* capacity, int64_t needed, size_t item_size
) except -1 nogil:
    """The same, and what is new is zero."""
    cdef int64_t before = capacity[0]
    memory_reserve(block, capacity, needed, item_size)
    memset(
        <char*> block[0] + <size_t> before * item_size, 0,
        <size_t> (capacity[0] - before) * item_size,
    )
    return 0
