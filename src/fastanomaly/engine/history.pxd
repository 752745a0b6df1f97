"""Purchase histories: a ring of each user's latest purchases, in order of their keys.

A ring holds at most T purchases, since no verdict uses more of one user, and grows only as
far as needed. It is one block of the pool, which wraps around once it is full with T
purchases; or a long ring, if T and the user's purchases exceed what a block holds.

Invariants: purchases are in ascending order of their keys; newest_us is the time of the
last one; `kept` is the number of purchases in all rings; `oldest` is 0 unless the ring is
full or long. The history owns the pool, the long rings and the arrays by uid. A pointer to a
purchase (a Cursor, too) is valid until the next history_record.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memmove, memset

from fastanomaly.engine.long_ring cimport (
    Leaf, LongRing, long_ring_add_leaf, long_ring_bytes, long_ring_drop_oldest,
    long_ring_free, long_ring_oldest, long_ring_push, long_ring_reserve,
)
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_prefetch, memory_reserve
from fastanomaly.engine.pool cimport (
    POOL_ITEMS, Pool, Tag, pool_begin, pool_bytes, pool_free, pool_release, pool_reserve,
    pool_take, size_of,
)
from fastanomaly.engine.types cimport Purchase, PurchaseKey, purchase_before

cdef struct Ring:
    Purchase* items             # of a block of the pool; NULL if it has none
    int32_t count
    int32_t oldest              # index of the oldest purchase; of a long ring, its number

cdef struct History:
    Ring* rings                 # by uid
    int64_t rings_capacity
    int64_t* newest_us          # by uid: time of the latest purchase, or NEVER
    int64_t newest_capacity
    Pool blocks                 # owner: the uid; the note is not used
    LongRing* longs
    int64_t longs_capacity
    int32_t long_count
    Leaf* spare                 # the next new leaf, or NULL
    int64_t kept                # purchases in all rings
    int32_t tracked             # T

cdef struct Cursor:             # a position in a ring, moving from newest to oldest
    const Purchase* purchase
    int64_t older               # number of older purchases in the same run
    int64_t run                 # 1 or 0: number of runs before; in long rings: leaf index

cdef extern from *:
    """
    #define FA_NEVER INT64_MIN
    """
    const int64_t NEVER "FA_NEVER"      # a valid timestamp, too


cdef inline void history_begin(History* history, int32_t tracked) noexcept nogil:
    """Set up a history; its struct must be zeroed."""
    pool_begin(&history.blocks, sizeof(Purchase))
    history.tracked = tracked


cdef inline bint ring_is_long(Ring ring) noexcept nogil:
    return ring.items == NULL and ring.count > 0


cdef inline int32_t ring_place(
    const History* history, int32_t start, int32_t index
) noexcept nogil:
    """Return the position in the block of the index-th oldest purchase."""
    cdef int64_t place = <int64_t> start + index
    return <int32_t> (place if place < history.tracked else place - history.tracked)


cdef inline int32_t ring_find(
    const History* history, const Purchase* items, int32_t start, int32_t count,
    PurchaseKey key
) noexcept nogil:
    """Return the number of purchases before key; O(log count)."""
    cdef int32_t low = 0, high = count, middle
    while low < high:
        middle = low + (high - low) // 2
        if purchase_before(items[ring_place(history, start, middle)].key, key):
            low = middle + 1
        else:
            high = middle
    return low


cdef inline void ring_shift(
    Purchase* items, int32_t place, int32_t end, int32_t size
) noexcept nogil:
    """Move the purchases from place up to end, which is free, by one place."""
    if end < place:             # they wrap around
        memmove(items + 1, items, <size_t> end * sizeof(Purchase))
        items[0] = items[size - 1]
        end = size - 1
    memmove(items + place + 1, items + place, <size_t> (end - place) * sizeof(Purchase))


cdef inline void ring_replace_oldest(
    const History* history, Ring* ring, Purchase purchase, bint late
) noexcept nogil:
    """Insert a purchase into a block with T purchases, and drop the oldest one.

    O(1) for the latest purchase; a late one moves the purchases after it.
    """
    cdef int32_t count = history.tracked - 1, index = count, place
    ring.oldest = ring_place(history, ring.oldest, 1)
    if late:
        index = ring_find(history, ring.items, ring.oldest, count, purchase.key)
    place = ring_place(history, ring.oldest, index)
    if index < count:
        ring_shift(
            ring.items, place, ring_place(history, ring.oldest, count), history.tracked
        )
    ring.items[place] = purchase


cdef inline void ring_take(History* history, int32_t uid, int32_t count) noexcept nogil:
    """Take a block, which was reserved, for a ring of so many purchases."""
    cdef Ring* ring = &history.rings[uid]
    cdef int32_t number         # not needed: the block is known by its address
    ring.items = <Purchase*> (
        pool_take(&history.blocks, size_of(count), uid, 0, &number) + 1
    )
    ring.count = count


cdef inline void ring_release(History* history, Ring before) noexcept nogil:
    """Release the block of a ring."""
    cdef const Tag* moved = pool_release(
        &history.blocks, size_of(before.count), <Tag*> before.items - 1
    )
    if moved != NULL:
        history.rings[moved.owner].items = before.items


cdef inline bint ring_has_room(Ring ring) noexcept nogil:
    """Return whether a ring with less than T purchases has a block with room for one more."""
    return ring.count > 0 and size_of(ring.count + 1) == size_of(ring.count)


cdef inline void ring_insert(
    const History* history, Ring* ring, Purchase purchase, bint late
) noexcept nogil:
    """Insert a purchase into a ring whose block has room for it."""
    cdef int32_t index = ring.count
    if late:
        index = ring_find(history, ring.items, 0, ring.count, purchase.key)
        memmove(
            ring.items + index + 1, ring.items + index,
            <size_t> (ring.count - index) * sizeof(Purchase),
        )
    ring.items[index] = purchase
    ring.count += 1


cdef inline void ring_grow(
    History* history, int32_t uid, Purchase purchase, bint late
) noexcept nogil:
    """Move a ring to a larger block, with one more purchase; pool_reserve comes before.

    Copies one block. The larger block is only written to: reading back what was just written
    would stall.
    """
    cdef Ring* ring = &history.rings[uid]
    cdef Ring before = ring[0]
    cdef int32_t index = before.count
    if late:
        index = ring_find(history, before.items, 0, before.count, purchase.key)
    ring_take(history, uid, before.count + 1)
    ring.items[index] = purchase
    if before.count > 0:
        memcpy(ring.items, before.items, <size_t> index * sizeof(Purchase))
        if late:
            memcpy(
                ring.items + index + 1, before.items + index,
                <size_t> (before.count - index) * sizeof(Purchase),
            )
        ring_release(history, before)


cdef inline int ring_to_long_ring(History* history, int32_t uid) except -1 nogil:
    """Turn a ring whose block has POOL_ITEMS purchases into a long ring.

    A failed allocation changes nothing.
    """
    cdef Ring* ring = &history.rings[uid]
    cdef LongRing* long_ring
    cdef int32_t i, number = history.long_count
    memory_reserve(
        <void**> &history.longs, &history.longs_capacity, number + <int64_t> 1,
        sizeof(LongRing),
    )
    long_ring = &history.longs[number]
    memset(long_ring, 0, sizeof(LongRing))
    try:
        for i in range(ring.count):
            long_ring_reserve(long_ring, &history.spare)
            if i == 0:
                long_ring_add_leaf(long_ring, &history.spare, 0)
            long_ring_push(long_ring, &history.spare, ring.items[i])
        history.long_count += 1
    finally:
        if history.long_count == number:
            long_ring_free(long_ring)
    ring_release(history, ring[0])
    ring.items = NULL
    ring.oldest = number
    return 0


cdef inline int history_reserve(History* history, int64_t users) except -1 nogil:
    """Reserve memory for that many users."""
    memory_reserve(
        <void**> &history.rings, &history.rings_capacity, users, sizeof(Ring)
    )
    return memory_reserve(
        <void**> &history.newest_us, &history.newest_capacity, users, sizeof(int64_t)
    )


cdef inline int history_reserve_first(History* history) except -1 nogil:
    """Reserve memory for the first purchase of a user."""
    return pool_reserve(&history.blocks, size_of(1), 1)


cdef inline void history_add_user(History* history, int32_t uid) noexcept nogil:
    """Add a user without purchases; history_reserve must have been called."""
    history.rings[uid].items = NULL
    history.rings[uid].count = 0
    history.rings[uid].oldest = 0
    history.newest_us[uid] = NEVER


cdef inline void history_prefetch_entry(
    const History* history, int32_t uid
) noexcept nogil:
    """Prefetch what the arrays by uid have of a user."""
    memory_prefetch(&history.rings[uid])
    memory_prefetch(&history.newest_us[uid])


cdef inline void history_prefetch(const History* history, int32_t uid) noexcept nogil:
    """Prefetch the place in a user's ring where the next purchase will be written.

    Where the ring will move to a larger block, all of its purchases.
    """
    cdef Ring ring = history.rings[uid]
    cdef const char* at
    if ring.items == NULL:
        return
    if ring.count == history.tracked:
        memory_prefetch(ring.items + ring.oldest)
    elif ring_has_room(ring):
        memory_prefetch(ring.items + ring.count)
    else:
        at = <const char*> ring.items
        while at < <const char*> (ring.items + ring.count):
            memory_prefetch(at)
            at += 64


cdef inline bint history_append(
    History* history, int32_t uid, const Purchase* purchase
) noexcept nogil:
    """Insert a purchase that is later than all others, if the ring's block has the place.

    Returns whether it has; if not, nothing changes. O(1).
    """
    cdef Ring* ring = &history.rings[uid]
    cdef Purchase* place = ring.items
    if ring.items == NULL:
        return False
    if ring.count == history.tracked:
        place += ring.oldest
        ring.oldest = ring.oldest + 1 if ring.oldest + 1 < ring.count else 0
    elif ring_has_room(ring[0]):
        place += ring.count
        ring.count += 1
        history.kept += 1
    else:
        return False
    place[0] = purchase[0]
    history.newest_us[uid] = purchase.key.time_us
    return True


cdef inline const Purchase* history_displaced(
    const History* history, int32_t uid, PurchaseKey key
) noexcept nogil:
    """Return the purchase that recording one with a key will drop, or NULL. O(1)."""
    cdef Ring ring = history.rings[uid]
    cdef const Purchase* oldest
    if ring.count < history.tracked:
        return NULL
    if ring.items == NULL:
        oldest = long_ring_oldest(&history.longs[ring.oldest])
    else:
        oldest = ring.items + ring.oldest
    return NULL if purchase_before(key, oldest.key) else oldest


cdef inline int history_record(
    History* history, int32_t uid, Purchase purchase
) except -1 nogil:
    """Insert a purchase, if it is among the user's latest T; drop the oldest beyond T.

    Amortised O(1) for the user's latest purchase; a late one moves at most one block or
    two leaves. A failed allocation changes nothing.
    """
    cdef Ring* ring = &history.rings[uid]
    cdef LongRing* long_ring
    # Of equal times, this purchase is the later one: it arrived last.
    cdef bint late = ring.count > 0 and purchase.key.time_us < history.newest_us[uid]
    if (
        ring.items != NULL and ring.count == POOL_ITEMS and history.tracked > POOL_ITEMS
    ):
        ring_to_long_ring(history, uid)
    if ring_is_long(ring[0]):
        long_ring = &history.longs[ring.oldest]
        long_ring_reserve(long_ring, &history.spare)
        if ring.count == history.tracked:
            if purchase_before(purchase.key, long_ring_oldest(long_ring).key):
                return 0
            long_ring_drop_oldest(long_ring, &history.spare)
            ring.count -= 1
            history.kept -= 1
        long_ring_push(long_ring, &history.spare, purchase)
        ring.count += 1
    elif ring.count == history.tracked:
        if late and purchase_before(purchase.key, ring.items[ring.oldest].key):
            return 0
        history.kept -= 1
        ring_replace_oldest(history, ring, purchase, late)
    elif ring_has_room(ring[0]):
        ring_insert(history, ring, purchase, late)
    else:
        pool_reserve(&history.blocks, size_of(ring.count + 1), 1)
        ring_grow(history, uid, purchase, late)
    history.kept += 1
    history.newest_us[uid] = max(history.newest_us[uid], purchase.key.time_us)
    return 0


cdef inline const Purchase* cursor_set(
    Cursor* cursor, const Purchase* items, int64_t start, int64_t end, int64_t run
) noexcept nogil:
    """Set a cursor to the last purchase of the run items[start:end]."""
    cursor.purchase = items + end - 1
    cursor.older = end - 1 - start
    cursor.run = run
    return cursor.purchase


cdef inline const Purchase* history_newest(
    const History* history, int32_t uid, Cursor* cursor
) noexcept nogil:
    """Set a cursor to the latest purchase of a user; returns it, or NULL. O(1)."""
    cdef Ring ring = history.rings[uid]
    cdef const LongRing* long_ring
    cdef const Leaf* leaf
    cdef int64_t run, end
    if ring.count == 0:
        return NULL
    if ring.items == NULL:
        long_ring = &history.longs[ring.oldest]
        run = long_ring.first + long_ring.leaf_count - 1
        leaf = long_ring.leaves[run]
        return cursor_set(cursor, leaf.items, leaf.start, leaf.end, run)
    end = <int64_t> ring.oldest + ring.count
    if end > history.tracked:                   # it wraps around
        return cursor_set(cursor, ring.items, 0, end - history.tracked, 1)
    return cursor_set(cursor, ring.items, ring.oldest, end, 0)


cdef inline const Purchase* history_older_run(
    const History* history, int32_t uid, Cursor* cursor
) noexcept nogil:
    """Move a cursor to the last purchase of the run before its own; returns it, or NULL."""
    cdef Ring ring = history.rings[uid]
    cdef const LongRing* long_ring
    cdef const Leaf* leaf
    if ring.items == NULL:
        long_ring = &history.longs[ring.oldest]
        if cursor.run == long_ring.first:
            return NULL
        leaf = long_ring.leaves[cursor.run - 1]
        return cursor_set(cursor, leaf.items, leaf.start, leaf.end, cursor.run - 1)
    if cursor.run == 0:
        return NULL
    return cursor_set(cursor, ring.items, ring.oldest, history.tracked, 0)


cdef inline const Purchase* history_older(
    const History* history, int32_t uid, Cursor* cursor
) noexcept nogil:
    """Move a cursor to the next older purchase; returns it, or NULL. O(1)."""
    if cursor.older == 0:
        return history_older_run(history, uid, cursor)
    cursor.older -= 1
    cursor.purchase -= 1
    return cursor.purchase


cdef inline int64_t history_bytes(const History* history) noexcept nogil:
    """Return the bytes allocated for purchases, without the arrays by uid; O(long rings)."""
    cdef int64_t bytes = pool_bytes(&history.blocks)
    cdef int32_t number
    bytes += history.longs_capacity * <int64_t> sizeof(LongRing)
    for number in range(history.long_count):
        bytes += long_ring_bytes(&history.longs[number])
    return bytes


cdef inline void history_free(History* history) noexcept nogil:
    cdef int32_t number
    for number in range(history.long_count):
        long_ring_free(&history.longs[number])
    PyMem_RawFree(history.longs)
    PyMem_RawFree(history.spare)
    PyMem_RawFree(history.rings)
    PyMem_RawFree(history.newest_us)
    pool_free(&history.blocks)
