"""Who bought what when: a ring of each user's latest purchases, in order of their keys.

A ring holds T purchases at most, since no verdict looks at more of one user, and grows
only as far as the user's purchases need. It starts to go round when it is full: before
that, its first purchase stands at 0.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memmove

from fastanomaly._memory cimport (
    PyMem_RawFree, memory_reserve, memory_reserve_zeroed, memory_resize,
)
from fastanomaly._types cimport Key, Purchase, key_before

cdef struct Ring:
    Purchase* items
    int32_t start               # where the oldest purchase stands
    int32_t count
    int32_t capacity

cdef struct History:
    Ring* rings                 # by uid
    int64_t rings_capacity
    Key* newest                 # by uid: the key of the latest purchase, if there is one
    int64_t newest_capacity
    int64_t kept                # purchases in all rings


cdef inline int32_t ring_place(const Ring* ring, int32_t index) noexcept nogil:
    """Where the index-th oldest purchase stands."""
    cdef int64_t place = <int64_t> ring.start + index
    return <int32_t> (place if place < ring.capacity else place - ring.capacity)


cdef inline int ring_reserve(Ring* ring, int32_t tracked) except -1 nogil:
    """Make room for one purchase more, unless the ring is full at `tracked`."""
    cdef int64_t wanted
    if ring.count < ring.capacity or ring.count == tracked:
        return 0
    wanted = min(max(<int64_t> ring.capacity + ring.capacity // 2, 4), tracked)
    memory_resize(<void**> &ring.items, wanted, sizeof(Purchase))
    ring.capacity = <int32_t> wanted
    return 0


cdef inline int32_t ring_find(const Ring* ring, Key key) noexcept nogil:
    """How many purchases are before key."""
    cdef int32_t low = 0, high = ring.count, middle
    if high > 0 and key_before(ring.items[ring_place(ring, high - 1)].key, key):
        return high             # in time
    while low < high:
        middle = low + (high - low) // 2
        if key_before(ring.items[ring_place(ring, middle)].key, key):
            low = middle + 1
        else:
            high = middle
    return low


cdef inline void ring_shift(Ring* ring, int32_t place, int32_t end) noexcept nogil:
    """Move the purchases from place to end by one place; end is free."""
    if end < place:             # they go round
        memmove(ring.items + 1, ring.items, <size_t> end * sizeof(Purchase))
        ring.items[0] = ring.items[ring.capacity - 1]
        end = ring.capacity - 1
    memmove(
        ring.items + place + 1, ring.items + place, <size_t> (end - place) * sizeof(Purchase)
    )


cdef inline void ring_push(Ring* ring, Purchase purchase) noexcept nogil:
    """Put a purchase in its place by key, after ring_reserve.

    A full ring drops its oldest purchase, which may be this one. Nothing is moved for a
    purchase that is in time; a late one moves those that are later.
    """
    cdef int32_t index, place
    if ring.count == ring.capacity:
        if key_before(purchase.key, ring.items[ring.start].key):
            return
        ring.start = ring_place(ring, 1)
        ring.count -= 1
    index = ring_find(ring, purchase.key)
    place = ring_place(ring, index)
    if index < ring.count:
        ring_shift(ring, place, ring_place(ring, ring.count))
    ring.items[place] = purchase
    ring.count += 1


cdef inline int history_reserve(History* history, int64_t users) except -1 nogil:
    """Make room for that many users, none of whom has bought anything yet."""
    memory_reserve_zeroed(
        <void**> &history.rings, &history.rings_capacity, users, sizeof(Ring)
    )
    memory_reserve(<void**> &history.newest, &history.newest_capacity, users, sizeof(Key))
    return 0


cdef inline int history_record(
    History* history, int32_t uid, Purchase purchase, int32_t tracked
) except -1 nogil:
    cdef Ring* ring = &history.rings[uid]
    cdef int32_t before = ring.count
    ring_reserve(ring, tracked)
    ring_push(ring, purchase)
    history.newest[uid] = ring.items[ring_place(ring, ring.count - 1)].key
    history.kept += ring.count - before
    return 0


cdef inline void history_free(History* history, int64_t users) noexcept nogil:
    cdef int64_t uid
    for uid in range(users):
        PyMem_RawFree(history.rings[uid].items)
    PyMem_RawFree(history.rings)
    PyMem_RawFree(history.newest)
