"""The latest T purchases of the users in a ball, by merging their rings.

A heap finds the T users whose last purchases are the newest: no other ring can have one
of the latest T. Their rings are merged from the newest purchase back with a loser tree
(Knuth 1998, 5.4.1): each inner node stores the older of the two candidates that were
compared there, so advancing one ring costs the comparisons on a path from a leaf to the
root. These are branch-free, since which ring comes next cannot be predicted.

The purchases of an overlay are one more sequence, merged with the result.

For a ball of B users: O(B) to find the candidates, O(log T) for each one that replaces
another in the heap, and O(T log T) to merge. Merge owns its arrays and reuses them;
merge_reserve must have been called.
"""

from libc.stdint cimport INT64_MIN, int32_t, int64_t, uint64_t

from fastanomaly.engine.ball cimport Ball, ball_has
from fastanomaly.engine.history cimport (
    Cursor, History, history_newest, history_older, history_prefetch,
)
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_prefetch, memory_reserve
from fastanomaly.engine.overlay cimport Overlay
from fastanomaly.engine.types cimport Purchase, PurchaseKey, purchase_before, uint128
from fastanomaly.engine.view cimport View, view_newest
from fastanomaly.engine.window cimport Window, window_append

cdef enum:
    # Prefetch distances:
    RINGS_AHEAD = 16
    PURCHASES_AHEAD = 3         # within each ring

cdef struct Candidate:          # a user in the ball, and their newest purchase not taken:
    uint128 order               # its key as a number, or 0 if none is left
    Cursor cursor
    int32_t uid

cdef struct Merge:              # reused by all merges of a judge
    Candidate* candidates
    int64_t candidates_capacity
    int32_t* losers             # by node; the children of a node are 2 node and 2 node + 1
    int64_t losers_capacity
    int64_t count               # of candidates
    int64_t newest              # index of the candidate with the newest purchase
    # Work of all merges:
    int64_t members_seen        # users considered
    int64_t purchases_seen      # the last ones of rings, and those that came next


cdef inline int merge_reserve(Merge* merge, int64_t candidates) except -1 nogil:
    """Reserve memory for that many candidates: the smaller of T and the number of users."""
    memory_reserve(
        <void**> &merge.candidates, &merge.candidates_capacity, candidates,
        sizeof(Candidate),
    )
    return memory_reserve(
        <void**> &merge.losers, &merge.losers_capacity, candidates, sizeof(int32_t)
    )


cdef inline uint128 key_order(PurchaseKey key) noexcept nogil:
    """Map a key to a number in 1 .. 2^127 - 1 that is greater for later keys.

    seq is far below 2^63.
    """
    cdef uint128 time = <uint64_t> key.time_us ^ <uint64_t> INT64_MIN
    return (time << 63 | <uint64_t> key.seq) + 1


cdef inline void candidate_set(
    Candidate* candidate, const Purchase* purchase
) noexcept nogil:
    """Set a candidate's newest purchase not taken, or NULL."""
    candidate.order = 0 if purchase == NULL else key_order(purchase.key)


cdef inline void sift_down(
    Candidate* heap, int64_t size, int64_t hole, Candidate candidate
) noexcept nogil:
    """Put a candidate at a hole or below it, in a heap with the oldest at the root."""
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
    """Make a heap with the oldest candidate at the root; O(size)."""
    cdef int64_t i
    for i in range(size // 2 - 1, -1, -1):
        sift_down(heap, size, i, heap[i])


cdef inline int64_t merge_first(
    Merge* merge, const int32_t* uids, int64_t users, const History* history, int64_t most
) noexcept nogil:
    """Make candidates of the first `most` users with purchases; the next user's index.

    Locates all their rings before it reads a purchase, so that cache misses overlap.
    """
    cdef int64_t i = 0, j
    cdef Candidate* candidate
    merge.count = 0
    while i < users and merge.count < most:
        if i + RINGS_AHEAD < users:
            history_prefetch(history, uids[i + RINGS_AHEAD])
        candidate = &merge.candidates[merge.count]
        candidate.uid = uids[i]
        if history_newest(history, candidate.uid, &candidate.cursor) != NULL:
            memory_prefetch(candidate.cursor.purchase)
            merge.count += 1
        i += 1
    for j in range(merge.count):
        candidate = &merge.candidates[j]
        candidate_set(candidate, candidate.cursor.purchase)
    merge.purchases_seen += merge.count
    return i


cdef inline void merge_candidates(
    Merge* merge, const int32_t* uids, int64_t users, const History* history, int64_t most
) noexcept nogil:
    """Find the at most `most` users whose newest purchases are the latest."""
    cdef int64_t i, oldest_us, seen = 0
    cdef int32_t uid
    cdef Candidate* heap
    cdef Candidate candidate
    heap = merge.candidates
    most = min(most, users)
    merge.members_seen += users
    i = merge_first(merge, uids, users, history, most)
    if i == users:
        return
    heapify(heap, most)
    oldest_us = heap[0].cursor.purchase.key.time_us
    while i < users:
        # Reading a ring is a cache miss: skip those that cannot matter.
        if i + RINGS_AHEAD < users:
            uid = uids[i + RINGS_AHEAD]
            if history.newest_us[uid] >= oldest_us:
                history_prefetch(history, uid)
        candidate.uid = uids[i]
        i += 1
        if history.newest_us[candidate.uid] < oldest_us:
            continue
        seen += 1
        candidate_set(
            &candidate, history_newest(history, candidate.uid, &candidate.cursor)
        )
        if heap[0].order < candidate.order:
            sift_down(heap, most, 0, candidate)
            oldest_us = heap[0].cursor.purchase.key.time_us
    merge.purchases_seen += seen


cdef inline void merge_play(Merge* merge, int64_t player, bint first) noexcept nogil:
    """Compare a candidate with the losers on the path from its leaf to the root.

    While the tree is built (`first`), it stays at the first node that has no loser yet.
    """
    cdef int64_t node = (merge.count + player) >> 1, other, both
    cdef uint128 order = merge.candidates[player].order, met, swap
    while node > 0:
        other = merge.losers[node]
        if first and other < 0:
            merge.losers[node] = <int32_t> player
            return
        met = merge.candidates[other].order
        swap = -((order - met) >> 127)          # all bits set if order < met, else none
        both = (player ^ other) & <int64_t> swap
        merge.losers[node] = <int32_t> (other ^ both)
        player ^= both
        order ^= (order ^ met) & swap
        node >>= 1
    merge.newest = player


cdef inline void merge_play_all(Merge* merge) noexcept nogil:
    """Find the newest purchase of all candidates."""
    cdef int64_t i
    for i in range(merge.count):
        merge.losers[i] = -1
        memory_prefetch(merge.candidates[i].cursor.purchase - PURCHASES_AHEAD)
    for i in range(merge.count):
        merge_play(merge, i, True)


cdef inline void merge_begin(
    Merge* merge, const int32_t* uids, int64_t users, const History* history, int64_t most
) noexcept nogil:
    """Begin to merge the rings of users, of at most `most` whose last purchases are newest."""
    merge_candidates(merge, uids, users, history, most)
    merge_play_all(merge)


cdef inline const Candidate* merge_newest(const Merge* merge) noexcept nogil:
    """Return the candidate with the newest purchase not taken, or NULL."""
    if merge.count == 0 or merge.candidates[merge.newest].order == 0:
        return NULL
    return &merge.candidates[merge.newest]


cdef inline void merge_take(Merge* merge, const History* history) noexcept nogil:
    """Take that purchase; O(log T)."""
    cdef Candidate* candidate = &merge.candidates[merge.newest]
    merge.purchases_seen += 1
    candidate_set(candidate, history_older(history, candidate.uid, &candidate.cursor))
    memory_prefetch(candidate.cursor.purchase - PURCHASES_AHEAD)
    merge_play(merge, merge.newest, False)


cdef inline int32_t merge_next_added(
    const Ball* ball, const View* view, int32_t added
) noexcept nogil:
    """Return the first purchase of the overlay from `added` back that counts, or -1.

    It must come before the view's place, and its buyer be in the ball, but not the origin.
    """
    cdef const Overlay* overlay = view.overlay
    while added >= 0 and (
        overlay.places[added] >= view.place
        or overlay.uids[added] == ball.queue[0]
        or not ball_has(ball, overlay.uids[added])
    ):
        added -= 1
    return added


cdef inline void merge_latest(
    Merge* merge, Window* window, const Ball* ball, const View* view, int32_t tracked
) noexcept nogil:
    """Fill the window with the latest T purchases of a ball's users, without the origin."""
    cdef const Candidate* newest
    cdef int32_t added = merge_next_added(ball, view, view_newest(view))
    window.count = 0
    merge_begin(merge, ball.queue + 1, ball.end - 1, &view.state.history, tracked)
    newest = merge_newest(merge)
    while newest != NULL or added >= 0:
        if added >= 0 and (
            newest == NULL
            or purchase_before(newest.cursor.purchase.key, view.overlay.keys[added])
        ):
            window_append(window, view.overlay.amounts_units[added])
            if window.count == tracked:
                break
            added = merge_next_added(ball, view, added - 1)
            continue
        window_append(window, newest.cursor.purchase.amount_units)
        if window.count == tracked:
            break
        merge_take(merge, &view.state.history)
        newest = merge_newest(merge)


cdef inline int64_t merge_bytes(const Merge* merge) noexcept nogil:
    """Return the bytes allocated."""
    return (
        merge.candidates_capacity * <int64_t> sizeof(Candidate)
        + merge.losers_capacity * <int64_t> sizeof(int32_t)
    )


cdef inline void merge_free(Merge* merge) noexcept nogil:
    PyMem_RawFree(merge.candidates)
    PyMem_RawFree(merge.losers)
