"""The latest T purchases of a network.

The whole-ball way: mark the ball around the buyer, keep the T members with the newest
last purchases (no other member's ring can matter), and merge their rings from the
newest purchase back.
"""

from libc.stdint cimport int32_t, int64_t

from fastanomaly._graph cimport Graph, graph_ball
from fastanomaly._history cimport History, Ring, ring_place
from fastanomaly._memory cimport PyMem_RawFree, memory_reserve
from fastanomaly._types cimport Key, Purchase, key_before

cdef struct Candidate:
    Key key                     # of the newest purchase of uid not taken yet
    int32_t uid
    int32_t left                # purchases of uid not taken yet, this one included

cdef struct Search:             # buffers, kept from one search to the next
    Candidate* heap
    int64_t heap_capacity
    int64_t* window             # what was found: amount_units, newest first
    int64_t window_capacity


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


cdef inline int64_t search_candidates(
    Search* search, const Graph* graph, const History* history, int64_t ball, int32_t tracked
) except -1 nogil:
    """Fill search.heap with the members whose newest purchases are the latest, T at most."""
    cdef int64_t i, size = 0, most = min(<int64_t> tracked, ball - 1)
    cdef int32_t uid
    cdef Candidate candidate
    memory_reserve(
        <void**> &search.heap, &search.heap_capacity, most, sizeof(Candidate)
    )
    for i in range(1, ball):
        uid = graph.queue[i]
        candidate.left = history.rings[uid].count
        if candidate.left == 0:
            continue
        candidate.key = history.newest[uid]
        candidate.uid = uid
        if size < most:
            search.heap[size] = candidate
            size += 1
            if size == most:
                heapify(search.heap, size, False)
        elif key_before(search.heap[0].key, candidate.key):
            sift_down(search.heap, size, 0, candidate, False)
    return size


cdef inline int64_t search_ball(
    Search* search, Graph* graph, const History* history,
    int32_t buyer, int32_t degree, int32_t tracked, int64_t users
) except -1 nogil:
    """Put the latest purchases of the buyer's network into search.window.

    Returns their number, `tracked` at most. Costs the ball, and T log T to merge.
    """
    cdef int64_t ball = graph_ball(graph, buyer, degree, users)
    cdef int64_t size = search_candidates(search, graph, history, ball, tracked)
    cdef int64_t found = 0
    cdef Candidate candidate
    cdef const Ring* ring
    cdef const Purchase* purchase
    heapify(search.heap, size, True)
    while size > 0 and found < tracked:
        candidate = search.heap[0]
        ring = &history.rings[candidate.uid]
        purchase = &ring.items[ring_place(ring, candidate.left - 1)]
        memory_reserve(
            <void**> &search.window, &search.window_capacity, found + 1, sizeof(int64_t)
        )
        search.window[found] = purchase.amount_units
        found += 1
        candidate.left -= 1
        if candidate.left > 0:
            candidate.key = ring.items[ring_place(ring, candidate.left - 1)].key
        else:
            size -= 1
            candidate = search.heap[size]
        if size > 0:
            sift_down(search.heap, size, 0, candidate, True)
    return found


cdef inline void search_free(Search* search) noexcept nogil:
    PyMem_RawFree(search.heap)
    PyMem_RawFree(search.window)
