"""The latest T purchases of a ball's users, by merging their rings.

The T members with the newest last purchases are kept in a heap (no other member's ring
can matter), and their rings merged from the newest purchase back.
"""

from libc.stdint cimport int32_t, int64_t

from fastanomaly._ball cimport PREFETCH, Ball
from fastanomaly._history cimport (
    NEVER, Cursor, History, history_newest, history_older, history_prefetch,
)
from fastanomaly._memory cimport PyMem_RawFree, memory_reserve
from fastanomaly._types cimport Key, Purchase, key_before
from fastanomaly._window cimport Window, window_append

cdef struct Candidate:
    Key key                     # of the newest purchase of uid not taken yet,
    int64_t amount_units        # its amount,
    Cursor cursor               # and where it stands
    int32_t uid

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


cdef inline bint candidate_set(Candidate* candidate, const Purchase* purchase) noexcept nogil:
    """Take a purchase of the candidate's; False if there is none."""
    if purchase == NULL:
        return False
    candidate.key = purchase.key
    candidate.amount_units = purchase.amount_units
    return True


cdef inline int64_t merge_candidates(
    Merge* merge, const Ball* ball, const History* history, int32_t tracked
) except -1 nogil:
    """Fill the heap with the members whose newest purchases are the latest, T at most."""
    cdef int64_t i, size = 0, most = min(<int64_t> tracked, ball.end - 1)
    cdef int64_t newest_us
    cdef Candidate candidate
    memory_reserve(<void**> &merge.heap, &merge.heap_capacity, most, sizeof(Candidate))
    merge.members_seen += ball.end - 1
    for i in range(1, ball.end):
        candidate.uid = ball.queue[i]
        if i + PREFETCH < ball.end:
            history_prefetch(history, ball.queue[i + PREFETCH])
        newest_us = history.newest_us[candidate.uid]
        # Their rings are elsewhere: look only into those that may matter.
        if newest_us == NEVER and history.rings[candidate.uid].count == 0:
            continue
        if size == most and newest_us < merge.heap[0].key.time_us:
            continue
        candidate_set(
            &candidate, history_newest(history, candidate.uid, &candidate.cursor)
        )
        if size < most:
            merge.heap[size] = candidate
            size += 1
            if size == most:
                heapify(merge.heap, size, False)
        elif key_before(merge.heap[0].key, candidate.key):
            sift_down(merge.heap, size, 0, candidate, False)
    return size


cdef inline int64_t merge_begin(
    Merge* merge, const Ball* ball, const History* history, int32_t tracked
) except -1 nogil:
    """Begin to merge the rings of the ball's users, but the origin; the heap's size.

    Its root is the candidate with the newest purchase.
    """
    cdef int64_t size = merge_candidates(merge, ball, history, tracked)
    heapify(merge.heap, size, True)
    return size


cdef inline int64_t merge_advance(
    Merge* merge, const History* history, int64_t size
) noexcept nogil:
    """Go on to the next older purchase; the heap's size then."""
    cdef Candidate candidate = merge.heap[0]
    if not candidate_set(
        &candidate, history_older(history, candidate.uid, &candidate.cursor)
    ):
        size -= 1
        candidate = merge.heap[size]
    if size > 0:
        sift_down(merge.heap, size, 0, candidate, True)
    return size


cdef inline int merge_latest(
    Merge* merge, Window* window, const Ball* ball, const History* history, int32_t tracked
) except -1 nogil:
    """Put the latest purchases of the ball's users, but the origin, into the window.

    Costs the ball, and T log T to merge.
    """
    cdef int64_t size = merge_begin(merge, ball, history, tracked)
    window.count = 0
    while size > 0 and window.count < tracked:
        window_append(window, merge.heap[0].amount_units)
        size = merge_advance(merge, history, size)
    return 0


cdef inline void merge_free(Merge* merge) noexcept nogil:
    PyMem_RawFree(merge.heap)
