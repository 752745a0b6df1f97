"""Lists of purchases, which are appended to, and the latest of some times."""

from libc.stdint cimport INT64_MIN, int64_t
from libc.stdlib cimport qsort

from fastanomaly.engine.memory cimport (
    PyMem_RawFree, memory_check, memory_reserve, memory_try_reserve,
)
from fastanomaly.engine.types cimport Purchase, purchase_before

cdef struct PurchaseList:       # reused; its owner frees it
    Purchase* items
    int64_t count
    int64_t capacity

cdef struct TimeHeap:           # of the latest times, with the oldest of them at the root
    int64_t* times
    int64_t count
    int64_t capacity


cdef inline bint list_try_append(PurchaseList* list, const Purchase* purchase) noexcept nogil:
    """Append a purchase, if there is memory; amortised O(1)."""
    if not memory_try_reserve(
        <void**> &list.items, &list.capacity, list.count + 1, sizeof(Purchase)
    ):
        return False
    list.items[list.count] = purchase[0]
    list.count += 1
    return True


cdef inline int list_append(PurchaseList* list, const Purchase* purchase) except -1 nogil:
    """Append a purchase; a failure changes nothing."""
    return memory_check(list_try_append(list, purchase))


cdef inline int compare_newest_first(const void* a, const void* b) noexcept nogil:
    """Compare for qsort."""
    cdef const Purchase* left = <const Purchase*> a
    cdef const Purchase* right = <const Purchase*> b
    return 1 if purchase_before(left.key, right.key) else -1


cdef inline void list_sort(PurchaseList* list) noexcept nogil:
    """Sort the purchases, which differ: the newest first."""
    if list.count > 1:
        qsort(list.items, <size_t> list.count, sizeof(Purchase), compare_newest_first)


cdef inline int times_reserve(TimeHeap* heap, int64_t times) except -1 nogil:
    """Reserve memory for that many times."""
    return memory_reserve(
        <void**> &heap.times, &heap.capacity, times, sizeof(int64_t)
    )


cdef inline void times_sift_down(int64_t* times, int64_t count, int64_t time) noexcept nogil:
    """Put a time in the place of the root, or below it."""
    cdef int64_t hole = 0, child = 1
    while child < count:
        child += child + 1 < count and times[child + 1] < times[child]
        if time <= times[child]:
            break
        times[hole] = times[child]
        hole = child
        child = 2 * hole + 1
    times[hole] = time


cdef inline void times_add(TimeHeap* heap, int64_t time, int64_t most) noexcept nogil:
    """Add a time, if it is one of the latest `most`, at least 1. O(log most), mostly O(1)."""
    cdef int64_t hole = heap.count, parent
    if heap.count == most:
        if time > heap.times[0]:
            times_sift_down(heap.times, heap.count, time)
        return
    heap.count += 1
    while hole > 0:
        parent = (hole - 1) // 2
        if heap.times[parent] <= time:
            break
        heap.times[hole] = heap.times[parent]
        hole = parent
    heap.times[hole] = time


cdef inline int64_t times_oldest(const TimeHeap* heap, int64_t most) noexcept nogil:
    """Return the oldest of the latest `most` times, or the least number if they are fewer."""
    return heap.times[0] if heap.count == most else INT64_MIN
