"""The one way memory is got: checked for overflow, and nothing changed on failure."""

from libc.stdint cimport int64_t

cdef extern from "Python.h" nogil:
    void* PyMem_RawCalloc(size_t items, size_t size)
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


cdef extern from *:
    """
    /* The empty statement keeps a function that does nothing else: GCC 12 takes it for one
       without effects, and leaves out its calls. */
    static inline void fa_prefetch(const void* address) {
        __builtin_prefetch(address);
        __asm__ volatile("" : : "r"(address));
    }
    """
    # Have the machine fetch what will be read soon; harmless at any address.
    void memory_prefetch "fa_prefetch"(const void*) noexcept nogil


cdef inline void memory_fail_after(long long count) noexcept nogil:
    global allocations_left
    allocations_left = count


cdef inline int memory_failed(size_t size) except -1 nogil:
    with gil:
        raise MemoryError(f"fastanomaly: no memory for {size} bytes")


cdef inline int memory_ask(int64_t items, size_t item_size, size_t* size) except -1 nogil:
    """Set the bytes that so many items take; raises MemoryError where that is not to be."""
    global allocations_left
    if mul_overflows(<size_t> items, item_size, size):
        return memory_failed(<size_t> -1)
    if allocations_left >= 0:
        if allocations_left == 0:
            return memory_failed(size[0])
        allocations_left -= 1
    return 0


cdef inline int memory_resize(void** block, int64_t items, size_t item_size) except -1 nogil:
    """Make *block hold `items` items; raises MemoryError and leaves *block as it was."""
    cdef size_t size
    cdef void* moved
    memory_ask(items, item_size, &size)
    moved = PyMem_RawRealloc(block[0], size)
    if moved == NULL:
        return memory_failed(size)
    block[0] = moved
    return 0


cdef inline int memory_zeroed(void** block, int64_t items, size_t item_size) except -1 nogil:
    """Set *block to so many items that are zero; the system's pages cost nothing yet."""
    cdef size_t size
    cdef void* zeroed
    memory_ask(items, item_size, &size)
    zeroed = PyMem_RawCalloc(<size_t> items, item_size)
    if zeroed == NULL:
        return memory_failed(size)
    block[0] = zeroed
    return 0


cdef inline int memory_reserve(
    void** block, int64_t* capacity, int64_t needed, size_t item_size
) except -1 nogil:
    """Make *block hold at least `needed` items.

    It grows by an eighth: large blocks are moved by moving pages, not bytes, and what is
    not needed yet stays small.
    """
    cdef int64_t wanted
    if needed <= capacity[0]:
        return 0
    wanted = max(needed, capacity[0] + capacity[0] // 8 + 16)
    memory_resize(block, wanted, item_size)
    capacity[0] = wanted
    return 0
