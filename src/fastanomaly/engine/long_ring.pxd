"""Long rings: the purchases of a user who has made more than a block of them.

Small chunks in a directory, like the leaves of a B-tree: a purchase costs two chunks at
most, however late it is and whatever T. A chunk that is full shares with its neighbours
before it is split, so that even purchases in random order leave little slack.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memmove

from fastanomaly.engine.memory cimport PyMem_RawFree, memory_reserve, memory_resize
from fastanomaly.engine.types cimport Key, Purchase, key_before

cdef enum:
    LEAF_PURCHASES = 64         # what a late purchase may have to move

cdef struct Leaf:
    int32_t start               # purchases before it have been dropped
    int32_t end
    Purchase[LEAF_PURCHASES] items

cdef struct LongRing:
    Leaf** leaves               # the directory: oldest first, none empty
    int64_t capacity
    int64_t first               # where the oldest leaf stands in the directory
    int64_t leaf_count


cdef inline int long_reserve(LongRing* ring, Leaf** spare) except -1 nogil:
    """Make room for one purchase more: in the directory, and a leaf to spare."""
    if spare[0] == NULL:
        memory_resize(<void**> spare, 1, sizeof(Leaf))
    if ring.first > 0 and 2 * ring.first >= ring.leaf_count:
        memmove(
            ring.leaves, ring.leaves + ring.first, <size_t> ring.leaf_count * sizeof(Leaf*)
        )
        ring.first = 0
    return memory_reserve(
        <void**> &ring.leaves, &ring.capacity, ring.first + ring.leaf_count + 1,
        sizeof(Leaf*),
    )


cdef inline Leaf* long_add_leaf(LongRing* ring, Leaf** spare, int64_t index) noexcept nogil:
    """Put the spare leaf, empty, at an index of the directory."""
    cdef Leaf* leaf = spare[0]
    spare[0] = NULL
    leaf.start = 0
    leaf.end = 0
    if index == 0 and ring.first > 0:
        ring.first -= 1
    else:
        memmove(
            ring.leaves + ring.first + index + 1, ring.leaves + ring.first + index,
            <size_t> (ring.leaf_count - index) * sizeof(Leaf*),
        )
    ring.leaves[ring.first + index] = leaf
    ring.leaf_count += 1
    return leaf


cdef inline void leaf_slide(Leaf* leaf, int32_t start) noexcept nogil:
    """Move the purchases of a leaf so that they begin at `start`."""
    cdef int32_t count = leaf.end - leaf.start
    memmove(
        leaf.items + start, leaf.items + leaf.start, <size_t> count * sizeof(Purchase)
    )
    leaf.start = start
    leaf.end = start + count


cdef inline void leaf_insert(Leaf* leaf, Purchase purchase) noexcept nogil:
    """Put a purchase in its place in a leaf that is not full."""
    cdef int32_t place
    if leaf.end == LEAF_PURCHASES:
        leaf_slide(leaf, 0)
    place = leaf.end
    while place > leaf.start and key_before(purchase.key, leaf.items[place - 1].key):
        place -= 1
    memmove(
        leaf.items + place + 1, leaf.items + place,
        <size_t> (leaf.end - place) * sizeof(Purchase),
    )
    leaf.items[place] = purchase
    leaf.end += 1


cdef inline void leaf_give_newest(Leaf* leaf, Leaf* newer, int32_t count) noexcept nogil:
    """Move the newest purchases of a leaf to the next one, which has room for them."""
    leaf_slide(newer, count)
    leaf.end -= count
    newer.start = 0
    memcpy(newer.items, leaf.items + leaf.end, <size_t> count * sizeof(Purchase))


cdef inline void leaf_give_oldest(Leaf* leaf, Leaf* older, int32_t count) noexcept nogil:
    """Move the oldest purchases of a leaf to the one before, which has room for them."""
    leaf_slide(older, 0)
    memcpy(
        older.items + older.end, leaf.items + leaf.start, <size_t> count * sizeof(Purchase)
    )
    older.end += count
    leaf.start += count


cdef inline int32_t leaf_share(const Leaf* neighbour) noexcept nogil:
    """How many purchases a full leaf gives to a neighbour."""
    return (LEAF_PURCHASES - (neighbour.end - neighbour.start)) // 2


cdef inline Leaf* long_make_room(
    LongRing* ring, Leaf** spare, int64_t index, Key key
) noexcept nogil:
    """The leaf in which key belongs, with room; the one at index, where it did, is full."""
    cdef Leaf** leaves = ring.leaves + ring.first
    cdef Leaf* leaf = leaves[index]
    cdef Leaf* newer
    cdef Leaf* middle
    cdef int64_t last = ring.leaf_count - 1
    if index == last and key_before(leaf.items[leaf.end - 1].key, key):
        return long_add_leaf(ring, spare, index + 1)        # in time
    if index == 0 and key_before(key, leaf.items[leaf.start].key):
        return long_add_leaf(ring, spare, 0)                # older than all
    if index < last and leaf_share(leaves[index + 1]) > 0:
        newer = leaves[index + 1]
        leaf_give_newest(leaf, newer, leaf_share(newer))
        return leaf if key_before(key, newer.items[0].key) else newer
    if index > 0 and leaf_share(leaves[index - 1]) > 0:
        leaf_give_oldest(leaf, leaves[index - 1], leaf_share(leaves[index - 1]))
        return leaves[index - 1] if key_before(key, leaf.items[leaf.start].key) else leaf
    middle = long_add_leaf(ring, spare, index + 1)
    if index == last:
        leaf_give_newest(leaf, middle, LEAF_PURCHASES // 2)
        return leaf if key_before(key, middle.items[0].key) else middle
    # Two full leaves make three.
    newer = ring.leaves[ring.first + index + 2]
    leaf_give_newest(leaf, middle, LEAF_PURCHASES // 3)
    leaf_give_oldest(newer, middle, (LEAF_PURCHASES - 1) // 3)
    return leaf if key_before(key, middle.items[0].key) else middle


cdef inline int64_t long_find(const LongRing* ring, Key key) noexcept nogil:
    """The index of the last leaf that begins before key, or 0."""
    cdef int64_t low = 0, high = ring.leaf_count, middle
    cdef const Leaf* leaf
    while high - low > 1:
        middle = (low + high) // 2
        leaf = ring.leaves[ring.first + middle]
        if key_before(leaf.items[leaf.start].key, key):
            low = middle
        else:
            high = middle
    return low


cdef inline const Purchase* long_oldest(const LongRing* ring) noexcept nogil:
    cdef const Leaf* leaf = ring.leaves[ring.first]
    return &leaf.items[leaf.start]


cdef inline void long_drop_oldest(LongRing* ring, Leaf** spare) noexcept nogil:
    cdef Leaf* leaf = ring.leaves[ring.first]
    leaf.start += 1
    if leaf.start == leaf.end:
        ring.first += 1
        ring.leaf_count -= 1
        if spare[0] == NULL:
            spare[0] = leaf
        else:
            PyMem_RawFree(leaf)


cdef inline void long_push(LongRing* ring, Leaf** spare, Purchase purchase) noexcept nogil:
    """Put a purchase in its place by key, after long_reserve."""
    cdef int64_t index = ring.leaf_count - 1
    cdef Leaf* leaf = ring.leaves[ring.first + index]
    if key_before(purchase.key, leaf.items[leaf.start].key):
        index = long_find(ring, purchase.key)
        leaf = ring.leaves[ring.first + index]
    if leaf.end - leaf.start == LEAF_PURCHASES:
        leaf = long_make_room(ring, spare, index, purchase.key)
    leaf_insert(leaf, purchase)


cdef inline int64_t long_bytes(const LongRing* ring) noexcept nogil:
    return (
        ring.leaf_count * <int64_t> sizeof(Leaf)
        + ring.capacity * <int64_t> sizeof(Leaf*)
    )


cdef inline void long_free(LongRing* ring) noexcept nogil:
    cdef int64_t index
    for index in range(ring.leaf_count):
        PyMem_RawFree(ring.leaves[ring.first + index])
    PyMem_RawFree(ring.leaves)
