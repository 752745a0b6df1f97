"""The latest T purchases of a ball's users, by merging their rings.

The T members with the newest last purchases are found with a heap (no other member's ring
can matter), and their rings merged from the newest purchase back with a tree of losers
(Knuth 1998, 5.4.1): of two candidates the older one waits at the node where they met, so
going on means meeting those on one way from a leaf to the root. No branch depends on who
is older: which ring comes next cannot be guessed.
"""

from libc.stdint cimport INT64_MIN, int32_t, int64_t, uint64_t

from fastanomaly.engine.ball cimport Ball
from fastanomaly.engine.history cimport (
    Cursor, History, history_newest, history_older, history_prefetch,
)
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_prefetch, memory_reserve
from fastanomaly.engine.types cimport Key, Purchase, uint128
from fastanomaly.engine.window cimport Window, window_append

cdef enum:
    # What is on its way while other things are read:
    RINGS_AHEAD = 16
    PURCHASES_AHEAD = 3         # of each ring

cdef struct Candidate:          # a member, with the newest purchase not taken yet:
    uint128 order               # its key as a number; 0 if there is none
    Cursor cursor
    int32_t uid

cdef struct Merge:              # kept from one merge to the next
    Candidate* candidates
    int64_t candidates_capacity
    int32_t* losers             # by node, its children being 2 node and 2 node + 1
    int64_t losers_capacity
    int64_t count               # of candidates
    int64_t newest              # who has won: whose purchase is the newest
    int64_t members_seen        # work, over all merges


cdef inline uint128 key_order(Key key) noexcept nogil:
    """A number that is above 0, below 2^127, and greater for a later key.

    No seq comes near 2^63.
    """
    cdef uint128 time = <uint64_t> key.time_us ^ <uint64_t> INT64_MIN
    return (time << 63 | <uint64_t> key.seq) + 1


cdef inline void candidate_set(
    Candidate* candidate, const Purchase* purchase
) noexcept nogil:
    """Go on with a purchase of the candidate's, or NULL."""
    candidate.order = 0 if purchase == NULL else key_order(purchase.key)


cdef inline void sift_down(
    Candidate* heap, int64_t size, int64_t hole, Candidate candidate
) noexcept nogil:
    """Put a candidate at the hole or below, in a heap whose root is the oldest."""
    cdef int64_t child = 2 * hole + 1
    while child < size:
        if child + 1 < size and heap[child + 1].order < heap[child].order:
            child += 1
        if candidate.order <= heap[child].order:
            break
        heap[hole] = heap[child]
        hole = child
        child = 2 * hole + 1
    heap[hole] = candidate


cdef inline void heapify(Candidate* heap, int64_t size) noexcept nogil:
    cdef int64_t i
    for i in range(size // 2 - 1, -1, -1):
        sift_down(heap, size, i, heap[i])


cdef inline int64_t merge_first(
    Merge* merge, const Ball* ball, const History* history, int64_t most
) noexcept nogil:
    """Take the first members who bought anything, so many at most; who comes next.

    All of their rings are found before a purchase is read, so none waits for another.
    """
    cdef int64_t i = 1, j
    cdef Candidate* candidate
    merge.count = 0
    while i < ball.end and merge.count < most:
        if i + RINGS_AHEAD < ball.end:
            history_prefetch(history, ball.queue[i + RINGS_AHEAD])
        candidate = &merge.candidates[merge.count]
        candidate.uid = ball.queue[i]
        if history_newest(history, candidate.uid, &candidate.cursor) != NULL:
            memory_prefetch(candidate.cursor.purchase)
            merge.count += 1
        i += 1
    for j in range(merge.count):
        candidate = &merge.candidates[j]
        candidate_set(candidate, candidate.cursor.purchase)
    return i


cdef inline int merge_candidates(
    Merge* merge, const Ball* ball, const History* history, int32_t tracked
) except -1 nogil:
    """Find the members whose newest purchases are the latest, T at most."""
    cdef int64_t i, oldest_us, most = min(<int64_t> tracked, ball.end - 1)
    cdef int32_t uid
    cdef Candidate* heap
    cdef Candidate candidate
    memory_reserve(
        <void**> &merge.candidates, &merge.candidates_capacity, most, sizeof(Candidate)
    )
    heap = merge.candidates
    merge.members_seen += ball.end - 1
    i = merge_first(merge, ball, history, most)
    if i == ball.end:
        return 0
    heapify(heap, most)
    oldest_us = heap[0].cursor.purchase.key.time_us
    while i < ball.end:
        # Their rings are elsewhere: look only into those that may matter.
        if i + RINGS_AHEAD < ball.end:
            uid = ball.queue[i + RINGS_AHEAD]
            if history.newest_us[uid] >= oldest_us:
                history_prefetch(history, uid)
        candidate.uid = ball.queue[i]
        i += 1
        if history.newest_us[candidate.uid] < oldest_us:
            continue
        candidate_set(
            &candidate, history_newest(history, candidate.uid, &candidate.cursor)
        )
        if heap[0].order < candidate.order:
            sift_down(heap, most, 0, candidate)
            oldest_us = heap[0].cursor.purchase.key.time_us
    return 0


cdef inline void merge_play(Merge* merge, int64_t player, bint first) noexcept nogil:
    """Let a candidate meet those who wait between its leaf and the root.

    The first time, it stays where nobody waits yet.
    """
    cdef int64_t node = (merge.count + player) >> 1, other, both
    cdef uint128 order = merge.candidates[player].order, met, swap
    while node > 0:
        other = merge.losers[node]
        if first and other < 0:
            merge.losers[node] = <int32_t> player
            return
        met = merge.candidates[other].order
        swap = -((order - met) >> 127)          # all bits if order < met, else none
        both = (player ^ other) & <int64_t> swap
        merge.losers[node] = <int32_t> (other ^ both)
        player ^= both
        order ^= (order ^ met) & swap
        node >>= 1
    merge.newest = player


cdef inline int merge_begin(
    Merge* merge, const Ball* ball, const History* history, int32_t tracked
) except -1 nogil:
    """Begin to merge the rings of the ball's users, but the origin."""
    cdef int64_t i
    merge_candidates(merge, ball, history, tracked)
    memory_reserve(
        <void**> &merge.losers, &merge.losers_capacity, merge.count, sizeof(int32_t)
    )
    for i in range(merge.count):
        merge.losers[i] = -1
        memory_prefetch(merge.candidates[i].cursor.purchase - PURCHASES_AHEAD)
    for i in range(merge.count):
        merge_play(merge, i, True)
    return 0


cdef inline const Candidate* merge_newest(const Merge* merge) noexcept nogil:
    """The member with the newest purchase that was not taken yet, or NULL."""
    if merge.count == 0 or merge.candidates[merge.newest].order == 0:
        return NULL
    return &merge.candidates[merge.newest]


cdef inline void merge_take(Merge* merge, const History* history) noexcept nogil:
    """Take that purchase: go on to the next older one."""
    cdef Candidate* candidate = &merge.candidates[merge.newest]
    candidate_set(candidate, history_older(history, candidate.uid, &candidate.cursor))
    memory_prefetch(candidate.cursor.purchase - PURCHASES_AHEAD)
    merge_play(merge, merge.newest, False)


cdef inline int merge_latest(
    Merge* merge, Window* window, const Ball* ball, const History* history, int32_t tracked
) except -1 nogil:
    """Put the latest purchases of the ball's users, but the origin, into the window.

    Costs the ball, and T log T to merge.
    """
    cdef const Candidate* newest
    window.count = 0
    merge_begin(merge, ball, history, tracked)
    newest = merge_newest(merge)
    while newest != NULL:
        window_append(window, newest.cursor.purchase.amount_units)
        if window.count == tracked:
            break
        merge_take(merge, history)
        newest = merge_newest(merge)
    return 0


cdef inline int64_t merge_bytes(const Merge* merge) noexcept nogil:
    return (
        merge.candidates_capacity * <int64_t> sizeof(Candidate)
        + merge.losers_capacity * <int64_t> sizeof(int32_t)
    )


cdef inline void merge_free(Merge* merge) noexcept nogil:
    PyMem_RawFree(merge.candidates)
    PyMem_RawFree(merge.losers)
