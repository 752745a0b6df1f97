"""Who bought what when: a ring of each user's latest purchases, in order of their keys.

A ring holds T purchases at most, since no verdict looks at more of one user, and grows
only as far as the user's purchases need: one block of the pool, which goes round when it
is full at T, or a long ring beyond what a block can hold.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memmove, memset

from fastanomaly.engine.long_ring cimport (
    Leaf, LongRing, long_add_leaf, long_bytes, long_drop_oldest, long_free, long_oldest,
    long_push, long_reserve,
)
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_prefetch, memory_reserve
from fastanomaly.engine.pool cimport (
    POOL_ITEMS, Pool, Tag, pool_begin, pool_block, pool_bytes, pool_free, pool_give,
    pool_reserve, pool_take, size_of,
)
from fastanomaly.engine.types cimport Key, Purchase, key_before

cdef struct Ring:
    int32_t block               # if count > 0; ~(number of the long ring) for those
    int32_t count

cdef struct History:
    Ring* rings                 # by uid
    int64_t rings_capacity
    int64_t* newest_us          # by uid: when the latest purchase was; NEVER if none
    int64_t newest_capacity
    Pool blocks                 # owner: the uid; note: where the oldest purchase stands
    LongRing* longs
    int64_t longs_capacity
    int32_t long_count
    Leaf* spare                 # for the next leaf that is needed
    int64_t kept                # purchases in all rings
    int32_t tracked             # T

cdef struct Cursor:             # a purchase in a ring
    const Purchase* purchase
    int64_t older               # purchases right before it, in order,
    int64_t run                 # and runs of them before those; its leaf in a long ring

cdef extern from *:
    """
    #define FA_NEVER INT64_MIN
    """
    const int64_t NEVER "FA_NEVER"      # a purchase may be as old as that, too


cdef inline void history_begin(History* history, int32_t tracked) noexcept nogil:
    """Set up a history that has been zeroed."""
    pool_begin(&history.blocks, sizeof(Purchase))
    history.tracked = tracked


cdef inline Tag* ring_tag(const History* history, Ring ring) noexcept nogil:
    """The block of a ring that has one."""
    return pool_block(&history.blocks, size_of(ring.count), ring.block)


cdef inline int32_t ring_place(
    const History* history, int32_t start, int32_t index
) noexcept nogil:
    """Where the index-th oldest purchase stands."""
    cdef int64_t place = <int64_t> start + index
    return <int32_t> (place if place < history.tracked else place - history.tracked)


cdef inline int32_t ring_find(
    const History* history, const Purchase* items, int32_t start, int32_t count, Key key
) noexcept nogil:
    """How many purchases are before key."""
    cdef int32_t low = 0, high = count, middle
    while low < high:
        middle = low + (high - low) // 2
        if key_before(items[ring_place(history, start, middle)].key, key):
            low = middle + 1
        else:
            high = middle
    return low


cdef inline void ring_shift(
    Purchase* items, int32_t place, int32_t end, int32_t size
) noexcept nogil:
    """Move the purchases from place to end by one place; end is free."""
    if end < place:             # they go round
        memmove(items + 1, items, <size_t> end * sizeof(Purchase))
        items[0] = items[size - 1]
        end = size - 1
    memmove(items + place + 1, items + place, <size_t> (end - place) * sizeof(Purchase))


cdef inline void ring_replace_oldest(
    History* history, Ring ring, Purchase purchase, bint late
) noexcept nogil:
    """Put a purchase in its place in a block that is full at T, for the oldest one.

    Nothing is moved for a purchase that is in time; a late one moves those that are later.
    """
    cdef Tag* tag = ring_tag(history, ring)
    cdef Purchase* items = <Purchase*> (tag + 1)
    cdef int32_t count = ring.count - 1, index = count, place
    tag.note = ring_place(history, tag.note, 1)
    if late:
        index = ring_find(history, items, tag.note, count, purchase.key)
    place = ring_place(history, tag.note, index)
    if index < count:
        ring_shift(
            items, place, ring_place(history, tag.note, count), history.tracked
        )
    items[place] = purchase


cdef inline void ring_give(History* history, Ring before) noexcept nogil:
    """Give a block back."""
    cdef const Tag* moved = pool_give(
        &history.blocks, size_of(before.count), before.block
    )
    if moved != NULL:
        history.rings[moved.owner].block = before.block


cdef inline void ring_add(
    History* history, int32_t uid, Purchase purchase, bint late
) noexcept nogil:
    """Put a purchase in its place in a block that is not full, after pool_reserve.

    Where it takes a larger block, nothing is read from there: that would have to wait
    until what was written has arrived.
    """
    cdef Ring* ring = &history.rings[uid]
    cdef Ring before = ring[0]
    cdef const Purchase* old = NULL
    cdef Purchase* items
    cdef int32_t index = before.count
    if before.count > 0:
        old = <const Purchase*> (ring_tag(history, before) + 1)
    if late:
        index = ring_find(history, old, 0, before.count, purchase.key)
    ring.count += 1
    if before.count > 0 and size_of(ring.count) == size_of(before.count):
        items = <Purchase*> old
        memmove(
            items + index + 1, items + index,
            <size_t> (before.count - index) * sizeof(Purchase),
        )
        items[index] = purchase
        return
    ring.block = pool_take(&history.blocks, size_of(ring.count), uid, 0)
    items = <Purchase*> (ring_tag(history, ring[0]) + 1)
    items[index] = purchase
    if before.count > 0:
        memcpy(items, old, <size_t> index * sizeof(Purchase))
        memcpy(
            items + index + 1, old + index,
            <size_t> (before.count - index) * sizeof(Purchase),
        )
        ring_give(history, before)


cdef inline int ring_lengthen(History* history, int32_t uid) except -1 nogil:
    """Make a long ring of one whose block is as large as blocks get."""
    cdef Ring* ring = &history.rings[uid]
    cdef LongRing* long_ring
    cdef const Purchase* items = <const Purchase*> (ring_tag(history, ring[0]) + 1)
    cdef int32_t i, number = history.long_count
    memory_reserve(
        <void**> &history.longs, &history.longs_capacity, number + <int64_t> 1,
        sizeof(LongRing),
    )
    long_ring = &history.longs[number]
    memset(long_ring, 0, sizeof(LongRing))
    try:
        for i in range(ring.count):
            long_reserve(long_ring, &history.spare)
            if i == 0:
                long_add_leaf(long_ring, &history.spare, 0)
            long_push(long_ring, &history.spare, items[i])
        history.long_count += 1
    finally:
        if history.long_count == number:
            long_free(long_ring)
    ring_give(history, ring[0])
    ring.block = ~number
    return 0


cdef inline int history_reserve(History* history, int64_t users) except -1 nogil:
    """Make room for that many users."""
    memory_reserve(
        <void**> &history.rings, &history.rings_capacity, users, sizeof(Ring)
    )
    return memory_reserve(
        <void**> &history.newest_us, &history.newest_capacity, users, sizeof(int64_t)
    )


cdef inline void history_add_user(History* history, int32_t uid) noexcept nogil:
    """Begin with no purchases."""
    history.rings[uid].block = 0
    history.rings[uid].count = 0
    history.newest_us[uid] = NEVER


cdef inline void history_prefetch(const History* history, int32_t uid) noexcept nogil:
    """Begin to fetch the latest purchase of a user, beside which the next one will stand."""
    cdef Ring ring = history.rings[uid]
    cdef Tag* tag
    if ring.block >= 0 and ring.count > 0:
        tag = ring_tag(history, ring)
        memory_prefetch(tag)
        memory_prefetch(<const Purchase*> (tag + 1) + ring.count - 1)


cdef inline int history_record(
    History* history, int32_t uid, Purchase purchase
) except -1 nogil:
    """Keep a purchase in its place by key, if it is among the user's latest T."""
    cdef Ring* ring = &history.rings[uid]
    cdef LongRing* long_ring
    cdef Tag* tag
    # Of equal times this one is the later: it has been read last.
    cdef bint late = ring.count > 0 and purchase.key.time_us < history.newest_us[uid]
    if ring.block >= 0 and ring.count == POOL_ITEMS and history.tracked > POOL_ITEMS:
        ring_lengthen(history, uid)
    if ring.block < 0:
        long_ring = &history.longs[~ring.block]
        long_reserve(long_ring, &history.spare)
        if ring.count == history.tracked:
            if key_before(purchase.key, long_oldest(long_ring).key):
                return 0
            long_drop_oldest(long_ring, &history.spare)
            ring.count -= 1
            history.kept -= 1
        long_push(long_ring, &history.spare, purchase)
        ring.count += 1
    elif ring.count == history.tracked:
        tag = ring_tag(history, ring[0])
        if late and key_before(
            purchase.key, (<const Purchase*> (tag + 1))[tag.note].key
        ):
            return 0
        history.kept -= 1
        ring_replace_oldest(history, ring[0], purchase, late)
    else:
        pool_reserve(&history.blocks, size_of(ring.count + 1), 1)
        ring_add(history, uid, purchase, late)
    history.kept += 1
    history.newest_us[uid] = max(history.newest_us[uid], purchase.key.time_us)
    return 0


cdef inline const Purchase* cursor_set(
    Cursor* cursor, const Purchase* items, int64_t start, int64_t end, int64_t run
) noexcept nogil:
    """To the last purchase of a run, from start to end."""
    cursor.purchase = items + end - 1
    cursor.older = end - 1 - start
    cursor.run = run
    return cursor.purchase


cdef inline const Purchase* history_newest(
    const History* history, int32_t uid, Cursor* cursor
) noexcept nogil:
    """The latest purchase of a user, or NULL; the cursor is set there."""
    cdef Ring ring = history.rings[uid]
    cdef const LongRing* long_ring
    cdef const Leaf* leaf
    cdef const Tag* tag
    cdef const Purchase* items
    cdef int64_t run, end
    if ring.count == 0:
        return NULL
    if ring.block < 0:
        long_ring = &history.longs[~ring.block]
        run = long_ring.first + long_ring.leaf_count - 1
        leaf = long_ring.leaves[run]
        return cursor_set(cursor, leaf.items, leaf.start, leaf.end, run)
    tag = ring_tag(history, ring)
    items = <const Purchase*> (tag + 1)
    end = <int64_t> tag.note + ring.count
    if end > history.tracked:                   # it goes round
        return cursor_set(cursor, items, 0, end - history.tracked, 1)
    return cursor_set(cursor, items, tag.note, end, 0)


cdef inline const Purchase* history_older_run(
    const History* history, int32_t uid, Cursor* cursor
) noexcept nogil:
    """The last purchase of the run before the cursor's, or NULL; the cursor moves there."""
    cdef Ring ring = history.rings[uid]
    cdef const LongRing* long_ring
    cdef const Leaf* leaf
    cdef const Tag* tag
    if ring.block < 0:
        long_ring = &history.longs[~ring.block]
        if cursor.run == long_ring.first:
            return NULL
        leaf = long_ring.leaves[cursor.run - 1]
        return cursor_set(cursor, leaf.items, leaf.start, leaf.end, cursor.run - 1)
    if cursor.run == 0:
        return NULL
    tag = ring_tag(history, ring)
    return cursor_set(
        cursor, <const Purchase*> (tag + 1), tag.note, history.tracked, 0
    )


cdef inline const Purchase* history_older(
    const History* history, int32_t uid, Cursor* cursor
) noexcept nogil:
    """The purchase before the cursor's, or NULL; the cursor moves there."""
    if cursor.older == 0:
        return history_older_run(history, uid, cursor)
    cursor.older -= 1
    cursor.purchase -= 1
    return cursor.purchase


cdef inline int64_t history_bytes(const History* history) noexcept nogil:
    """The bytes that purchases take, without what each user has anyway."""
    cdef int64_t bytes = pool_bytes(&history.blocks)
    cdef int32_t number
    bytes += history.longs_capacity * <int64_t> sizeof(LongRing)
    for number in range(history.long_count):
        bytes += long_bytes(&history.longs[number])
    return bytes


cdef inline void history_free(History* history) noexcept nogil:
    cdef int32_t number
    for number in range(history.long_count):
        long_free(&history.longs[number])
    PyMem_RawFree(history.longs)
    PyMem_RawFree(history.spare)
    PyMem_RawFree(history.rings)
    PyMem_RawFree(history.newest_us)
    pool_free(&history.blocks)
