"""The latest T purchases of a ball's users, by merging their rings.

The T members with the newest last purchases are kept in a heap (no other member's ring
can matter), and their rings merged from the newest purchase back.
"""

from libc.stdint cimport int32_t, int64_t

from fastanomaly._ball cimport Ball
from fastanomaly._history cimport History, Ring, ring_place
from fastanomaly._memory cimport PyMem_RawFree, memory_reserve
from fastanomaly._types cimport Key, key_before
from fastanomaly._window cimport Window, window_append

cdef struct Candidate:
    Key key                     # of the newest purchase of uid not taken yet
    int32_t uid
    int32_t left                # purchases of uid not taken yet, this one included

cdef struct Merge:              # kept from one merge to the next
    Candidate* heap
    int64_t heap_capacity
    int64_t members_seen        # work, over all merges


cdef inline void sift_down(
    Candidate* heap, int64_t size, int64_t hole, Candidate candidate, bint newest_first
) noexcept nogil:
    """Put candidate at hole or below, in a heap whose root is the newest (or the oldest)."""
    cdef int64_t child = 2 * hole + 1
    while child < size:
        if (
            child + 1 < size
            and key_before(heap[child].key, heap[child + 1].key) == newest_first
        ):
            child += 1
        if key_before(candidate.key, heap[child].key) != newest_first:
            break
        heap[hole] = heap[child]
        hole = child
        child = 2 * hole + 1
    heap[hole] = candidate


cdef inline void heapify(Candidate* heap, int64_t size, bint newest_first) noexcept nogil:
    cdef int64_t i
    for i in range(size // 2 - 1, -1, -1):
        sift_down(heap, size, i, heap[i], newest_first)


cdef inline int64_t merge_candidates(
    Merge* merge, const Ball* ball, const History* history, int32_t tracked
) except -1 nogil:
    """Fill the heap with the members whose newest purchases are the latest, T at most."""
    cdef int64_t i, size = 0, most = min(<int64_t> tracked, ball.end - 1)
    cdef int32_t uid
    cdef Candidate candidate
    memory_reserve(<void**> &merge.heap, &merge.heap_capacity, most, sizeof(Candidate))
    merge.members_seen += ball.end - 1
    for i in range(1, ball.end):
        uid = ball.queue[i]
        candidate.left = history.rings[uid].count
        if candidate.left == 0:
            continue
        candidate.key = history.newest[uid]
        candidate.uid = uid
        if size < most:
            merge.heap[size] = candidate
            size += 1
            if size == most:
                heapify(merge.heap, size, False)
        elif key_before(merge.heap[0].key, candidate.key):
            sift_down(merge.heap, size, 0, candidate, False)
    return size


cdef inline int merge_latest(
    Merge* merge, Window* window, const Ball* ball, const History* history, int32_t tracked
) except -1 nogil:
    """Put the latest purchases of the ball's users, but the origin, into the window.

    Costs the ball, and T log T to merge.
    """
    cdef int64_t size = merge_candidates(merge, ball, history, tracked)
    cdef Candidate candidate
    cdef const Ring* ring
    window.count = 0
    heapify(merge.heap, size, True)
    while size > 0 and window.count < tracked:
        candidate = merge.heap[0]
        ring = &history.rings[candidate.uid]
        window_append(window, ring.items[ring_place(ring, candidate.left - 1)].amount_units)
        candidate.left -= 1
        if candidate.left > 0:
            candidate.key = ring.items[ring_place(ring, candidate.left - 1)].key
        else:
            size -= 1
            candidate = merge.heap[size]
        if size > 0:
            sift_down(merge.heap, size, 0, candidate, True)
    return 0


cdef inline void merge_free(Merge* merge) noexcept nogil:
    PyMem_RawFree(merge.heap)
