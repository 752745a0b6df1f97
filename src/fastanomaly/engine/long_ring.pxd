"""Long rings: the purchases of a user who has more than fit into one block of the pool.

Small leaves in a directory, like those of a B-tree: a purchase moves at most two leaves,
however late it is and whatever T. A full leaf moves purchases to its neighbours before it
is split, so even purchases in random order leave little unused.

Invariants: purchases are in ascending order of their keys within and across leaves; no leaf
is empty; items[start:end] of a leaf are in use. long_ring_push needs long_ring_reserve
before, after which it cannot fail. A ring owns its leaves; the spare leaf belongs to the
history, which has one for all its rings.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memmove

from fastanomaly.engine.memory cimport PyMem_RawFree, memory_reserve, memory_resize
from fastanomaly.engine.types cimport Purchase, PurchaseKey, purchase_before

cdef enum:
    LEAF_PURCHASES = 64         # so a late purchase moves at most that many

cdef struct Leaf:
    int32_t start               # purchases before it have been dropped
    int32_t end
    Purchase[LEAF_PURCHASES] items

cdef struct LongRing:
    Leaf** leaves               # the directory: oldest first, none empty
    int64_t capacity
    int64_t first               # index of the oldest leaf in the directory
    int64_t leaf_count


cdef inline int long_ring_reserve(LongRing* ring, Leaf** spare) except -1 nogil:
    """Reserve memory for one more purchase: a directory entry, and a spare leaf.

    Amortised O(1).
    """
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


cdef inline Leaf* long_ring_add_leaf(
    LongRing* ring, Leaf** spare, int64_t index
) noexcept nogil:
    """Insert the spare leaf, emptied, at an index of the directory; O(leaves)."""
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
    """Move the purchases within a leaf so that they begin at `start`."""
    cdef int32_t count = leaf.end - leaf.start
    memmove(
        leaf.items + start, leaf.items + leaf.start, <size_t> count * sizeof(Purchase)
    )
    leaf.start = start
    leaf.end = start + count


cdef inline void leaf_insert(Leaf* leaf, Purchase purchase) noexcept nogil:
    """Insert a purchase at its place in a leaf that is not full; O(LEAF_PURCHASES)."""
    cdef int32_t place
    if leaf.end == LEAF_PURCHASES:
        leaf_slide(leaf, 0)
    place = leaf.end
    while place > leaf.start and purchase_before(purchase.key, leaf.items[place - 1].key):
        place -= 1
    memmove(
        leaf.items + place + 1, leaf.items + place,
        <size_t> (leaf.end - place) * sizeof(Purchase),
    )
    leaf.items[place] = purchase
    leaf.end += 1


cdef inline void leaf_move_newest(Leaf* leaf, Leaf* newer, int32_t count) noexcept nogil:
    """Move the newest purchases of a leaf to the next leaf, which must have room."""
    leaf_slide(newer, count)
    leaf.end -= count
    newer.start = 0
    memcpy(newer.items, leaf.items + leaf.end, <size_t> count * sizeof(Purchase))


cdef inline void leaf_move_oldest(Leaf* leaf, Leaf* older, int32_t count) noexcept nogil:
    """Move the oldest purchases of a leaf to the previous leaf, which must have room."""
    leaf_slide(older, 0)
    memcpy(
        older.items + older.end, leaf.items + leaf.start, <size_t> count * sizeof(Purchase)
    )
    older.end += count
    leaf.start += count


cdef inline int32_t leaf_share(const Leaf* neighbour) noexcept nogil:
    """Return the number of purchases that a full leaf moves to a neighbour."""
    return (LEAF_PURCHASES - (neighbour.end - neighbour.start)) // 2


cdef inline Leaf* long_ring_make_room(
    LongRing* ring, Leaf** spare, int64_t index, PurchaseKey key
) noexcept nogil:
    """Make room in the full leaf at index, where key belongs; the leaf to insert it into."""
    cdef Leaf** leaves = ring.leaves + ring.first
    cdef Leaf* leaf = leaves[index]
    cdef Leaf* newer
    cdef Leaf* middle
    cdef int64_t last = ring.leaf_count - 1
    if index == last and purchase_before(leaf.items[leaf.end - 1].key, key):
        return long_ring_add_leaf(ring, spare, index + 1)        # newest of all
    if index == 0 and purchase_before(key, leaf.items[leaf.start].key):
        return long_ring_add_leaf(ring, spare, 0)                # oldest of all
    if index < last and leaf_share(leaves[index + 1]) > 0:
        newer = leaves[index + 1]
        leaf_move_newest(leaf, newer, leaf_share(newer))
        return leaf if purchase_before(key, newer.items[0].key) else newer
    if index > 0 and leaf_share(leaves[index - 1]) > 0:
        leaf_move_oldest(leaf, leaves[index - 1], leaf_share(leaves[index - 1]))
        return leaves[index - 1] if purchase_before(key, leaf.items[leaf.start].key) else leaf
    middle = long_ring_add_leaf(ring, spare, index + 1)
    if index == last:
        leaf_move_newest(leaf, middle, LEAF_PURCHASES // 2)
        return leaf if purchase_before(key, middle.items[0].key) else middle
    # Two full leaves become three.
    newer = ring.leaves[ring.first + index + 2]
    leaf_move_newest(leaf, middle, LEAF_PURCHASES // 3)
    leaf_move_oldest(newer, middle, (LEAF_PURCHASES - 1) // 3)
    return leaf if purchase_before(key, middle.items[0].key) else middle


cdef inline int64_t long_ring_find(const LongRing* ring, PurchaseKey key) noexcept nogil:
    """Return the index of the last leaf that begins before key, or 0; O(log leaves)."""
    cdef int64_t low = 0, high = ring.leaf_count, middle
    cdef const Leaf* leaf
    while high - low > 1:
        middle = (low + high) // 2
        leaf = ring.leaves[ring.first + middle]
        if purchase_before(leaf.items[leaf.start].key, key):
            low = middle
        else:
            high = middle
    return low


cdef inline const Purchase* long_ring_oldest(const LongRing* ring) noexcept nogil:
    """Return the oldest purchase; the ring must not be empty."""
    cdef const Leaf* leaf = ring.leaves[ring.first]
    return &leaf.items[leaf.start]


cdef inline void long_ring_drop_oldest(LongRing* ring, Leaf** spare) noexcept nogil:
    """Remove the oldest purchase; O(1)."""
    cdef Leaf* leaf = ring.leaves[ring.first]
    leaf.start += 1
    if leaf.start == leaf.end:
        ring.first += 1
        ring.leaf_count -= 1
        if spare[0] == NULL:
            spare[0] = leaf
        else:
            PyMem_RawFree(leaf)


cdef inline void long_ring_push(
    LongRing* ring, Leaf** spare, Purchase purchase
) noexcept nogil:
    """Insert a purchase at its place; long_ring_reserve must have been called.

    The ring must have a leaf. O(log leaves + LEAF_PURCHASES), and O(leaves) to add a leaf.
    """
    cdef int64_t index = ring.leaf_count - 1
    cdef Leaf* leaf = ring.leaves[ring.first + index]
    if purchase_before(purchase.key, leaf.items[leaf.start].key):
        index = long_ring_find(ring, purchase.key)
        leaf = ring.leaves[ring.first + index]
    if leaf.end - leaf.start == LEAF_PURCHASES:
        leaf = long_ring_make_room(ring, spare, index, purchase.key)
    leaf_insert(leaf, purchase)


cdef inline int64_t long_ring_bytes(const LongRing* ring) noexcept nogil:
    """Return the bytes allocated."""
    return (
        ring.leaf_count * <int64_t> sizeof(Leaf)
        + ring.capacity * <int64_t> sizeof(Leaf*)
    )


cdef inline void long_ring_free(LongRing* ring) noexcept nogil:
    cdef int64_t index
    for index in range(ring.leaf_count):
        PyMem_RawFree(ring.leaves[ring.first + index])
    PyMem_RawFree(ring.leaves)
