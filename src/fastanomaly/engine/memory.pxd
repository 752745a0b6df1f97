"""Allocation: all memory of the engine comes from here.

Sizes are checked for overflow. A failed allocation raises MemoryError and leaves the block
and its capacity unchanged. Blocks are freed by their owner with PyMem_RawFree.
"""

from libc.stdint cimport int64_t
from libc.string cimport memset

cdef extern from "Python.h" nogil:
    void* PyMem_RawCalloc(size_t items, size_t size)
    void* PyMem_RawRealloc(void* block, size_t size)
    void PyMem_RawFree(void* block)

cdef extern from *:
    """
    /* How many more allocations succeed; negative: all. Set by tests only. */
    static long long fa_allocations_left = -1;

    /* Whether an allocation may succeed; several threads may allocate at a time. */
    static inline int fa_may_allocate(void) {
        long long left = __atomic_load_n(&fa_allocations_left, __ATOMIC_RELAXED);
        while (left > 0 && !__atomic_compare_exchange_n(
            &fa_allocations_left, &left, left - 1, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED
        )) {}
        return left != 0;
    }
    """
    long long allocations_left "fa_allocations_left"
    bint may_allocate "fa_may_allocate"() noexcept nogil

cdef extern from *:
    int mul_overflows "__builtin_mul_overflow"(size_t, size_t, size_t*) nogil


cdef extern from *:
    """
    /* The empty asm statement keeps the call: GCC 12 treats a function that only prefetches
       as one without effects, and removes calls to it. */
    static inline void fa_prefetch(const void* address) {
        __builtin_prefetch(address);
        __asm__ volatile("" : : "r"(address));
    }
    """
    # Start loading a cache line that will be read soon; safe with any address.
    void memory_prefetch "fa_prefetch"(const void*) noexcept nogil


cdef inline void memory_fail_after(long long count) noexcept nogil:
    """Let every allocation after the next `count` fail; -1 ends that. For tests."""
    global allocations_left
    allocations_left = count


cdef inline int memory_error(size_t size) except -1 nogil:
    """Raise MemoryError."""
    with gil:
        raise MemoryError(f"fastanomaly: no memory for {size} bytes")


cdef inline bint memory_size(int64_t items, size_t item_size, size_t* size) noexcept nogil:
    """Set *size to the bytes of an allocation; False if it overflows or must fail."""
    if mul_overflows(<size_t> items, item_size, size):
        size[0] = <size_t> -1
        return False
    return may_allocate()


cdef inline bint memory_try_resize(
    void** block, int64_t items, size_t item_size, size_t* size
) noexcept nogil:
    """Do what memory_resize does without raising, and set *size to the bytes; if it can."""
    cdef void* moved
    if not memory_size(items, item_size, size):
        return False
    moved = PyMem_RawRealloc(block[0], size[0])
    if moved == NULL:
        return False
    block[0] = moved
    return True


cdef inline int memory_resize(void** block, int64_t items, size_t item_size) except -1 nogil:
    """Resize *block to exactly `items` items; new ones are not initialised."""
    cdef size_t size
    if not memory_try_resize(block, items, item_size, &size):
        return memory_error(size)
    return 0


cdef inline int memory_zeroed(void** block, int64_t items, size_t item_size) except -1 nogil:
    """Set *block to a new block of zeroed items.

    Large blocks cost nothing yet: the system zeroes a page when it is first written to.
    """
    cdef size_t size
    cdef void* zeroed
    zeroed = NULL
    if memory_size(items, item_size, &size):
        zeroed = PyMem_RawCalloc(<size_t> items, item_size)
    if zeroed == NULL:
        return memory_error(size)
    block[0] = zeroed
    return 0


cdef inline int64_t memory_capacity(int64_t capacity, int64_t needed) noexcept nogil:
    """Return the capacity to grow to, so that appending costs amortised O(1).

    Growth is by an eighth: large blocks are moved by remapping pages, not by copying bytes,
    and little memory is left unused.
    """
    return max(needed, capacity + capacity // 8 + 16)


cdef inline int memory_reserve(
    void** block, int64_t* capacity, int64_t needed, size_t item_size
) except -1 nogil:
    """Make *block hold at least `needed` items; new ones are not initialised."""
    cdef int64_t wanted
    if needed <= capacity[0]:
        return 0
    wanted = memory_capacity(capacity[0], needed)
    memory_resize(block, wanted, item_size)
    capacity[0] = wanted
    return 0


cdef inline bint memory_try_reserve(
    void** block, int64_t* capacity, int64_t needed, size_t item_size
) noexcept nogil:
    """Do what memory_reserve does without raising, for threads without Python; if it can."""
    cdef int64_t wanted
    cdef size_t size
    if needed > capacity[0]:
        wanted = memory_capacity(capacity[0], needed)
        if not memory_try_resize(block, wanted, item_size, &size):
            return False
        capacity[0] = wanted
    return True


cdef inline int memory_check(bint found) except -1 nogil:
    """Raise MemoryError unless what was tried has found memory."""
    if not found:
        with gil:
            raise MemoryError("fastanomaly: no memory")
    return 0


cdef inline int memory_extend_zeroed(
    void** block, int64_t* capacity, int64_t needed, size_t item_size
) except -1 nogil:
    """Make *block hold `needed` items that it did not hold before; new ones are zero."""
    cdef int64_t wanted = memory_capacity(capacity[0], needed)
    if block[0] == NULL:
        memory_zeroed(block, wanted, item_size)
    else:
        memory_resize(block, wanted, item_size)
        memset(
            <char*> block[0] + <size_t> capacity[0] * item_size, 0,
            <size_t> (wanted - capacity[0]) * item_size,
        )
    capacity[0] = wanted
    return 0
