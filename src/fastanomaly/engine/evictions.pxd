"""Evictions: the purchases that rings have dropped, as long as somebody may ask for them.

A ring together with what it has dropped since a place in the log, without the purchases
recorded since, is the ring as of that place. A place is the `seq` of the next purchase there.

Invariants: evictions are in order of `by`, all at least `released`. The first `indexed` of
them are in the table, which leads from a uid to the newest of the user's evictions and from
each one to the one before. Evictions owns both arrays.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memmove, memset

from fastanomaly.engine.memory cimport PyMem_RawFree, memory_reserve
from fastanomaly.engine.types cimport Purchase

cdef struct Eviction:
    Purchase purchase
    int64_t by                  # seq of the purchase that took its place
    int64_t older               # index of the user's eviction before; -1: none. If indexed
    int32_t uid

cdef struct Evictions:
    Eviction* items
    int64_t capacity
    int64_t count
    int64_t released            # places before this one cannot be asked for
    int64_t* slots              # index of a user's newest eviction + 1, or 0
    int64_t slots_capacity
    int64_t slot_count          # a power of two, at least twice `indexed`; or 0
    int64_t indexed


cdef inline int evictions_reserve(Evictions* evictions) except -1 nogil:
    """Reserve memory for one more; amortised O(1)."""
    return memory_reserve(
        <void**> &evictions.items, &evictions.capacity, evictions.count + 1,
        sizeof(Eviction),
    )


cdef inline void evictions_add(
    Evictions* evictions, int32_t uid, const Purchase* purchase, int64_t by
) noexcept nogil:
    """Keep a purchase that a ring will drop; evictions_reserve must have been called."""
    cdef Eviction* eviction = &evictions.items[evictions.count]
    eviction.purchase = purchase[0]
    eviction.by = by
    eviction.older = -1
    eviction.uid = uid
    evictions.count += 1


cdef inline void evictions_clear_index(Evictions* evictions) noexcept nogil:
    """Forget what is in the table."""
    if evictions.indexed > 0:
        memset(evictions.slots, 0, <size_t> evictions.slot_count * sizeof(int64_t))
    evictions.indexed = 0


cdef inline void evictions_release(Evictions* evictions, int64_t seq) noexcept nogil:
    """Drop what only places before `seq` need; O(evictions)."""
    cdef int64_t start = 0
    evictions.released = max(evictions.released, seq)
    while start < evictions.count and evictions.items[start].by < evictions.released:
        start += 1
    if start == 0:
        return
    evictions_clear_index(evictions)
    evictions.count -= start
    memmove(
        evictions.items, evictions.items + start,
        <size_t> evictions.count * sizeof(Eviction),
    )


cdef inline int64_t evictions_slot(const Evictions* evictions, int32_t uid) noexcept nogil:
    """Return the slot of a user, or the free one where it belongs; expected O(1)."""
    cdef int64_t slot = (uid * <int64_t> 0x9E3779B1 >> 7) & (evictions.slot_count - 1)
    while (
        evictions.slots[slot] != 0
        and evictions.items[evictions.slots[slot] - 1].uid != uid
    ):
        slot = (slot + 1) & (evictions.slot_count - 1)
    return slot


cdef inline int evictions_index(Evictions* evictions) except -1 nogil:
    """Put all evictions into the table; expected O(those that are not there yet), amortised.

    A failed allocation changes nothing that can be seen.
    """
    cdef int64_t slots = max(<int64_t> 64, evictions.slot_count), slot
    cdef Eviction* eviction
    while slots < 2 * evictions.count:
        slots *= 2
    if slots != evictions.slot_count:
        memory_reserve(
            <void**> &evictions.slots, &evictions.slots_capacity, slots, sizeof(int64_t)
        )
        evictions.slot_count = slots
        evictions.indexed = 0
        memset(evictions.slots, 0, <size_t> slots * sizeof(int64_t))
    while evictions.indexed < evictions.count:
        eviction = &evictions.items[evictions.indexed]
        slot = evictions_slot(evictions, eviction.uid)
        eviction.older = evictions.slots[slot] - 1
        evictions.indexed += 1
        evictions.slots[slot] = evictions.indexed
    return 0


cdef inline int64_t evictions_newest(const Evictions* evictions, int32_t uid) noexcept nogil:
    """Return the index of a user's newest eviction, or -1; all must be indexed."""
    if evictions.count == 0:
        return -1
    return evictions.slots[evictions_slot(evictions, uid)] - 1


cdef inline int64_t evictions_bytes(const Evictions* evictions) noexcept nogil:
    """Return the bytes allocated."""
    return (
        evictions.capacity * <int64_t> sizeof(Eviction)
        + evictions.slots_capacity * <int64_t> sizeof(int64_t)
    )


cdef inline void evictions_free(Evictions* evictions) noexcept nogil:
    PyMem_RawFree(evictions.items)
    PyMem_RawFree(evictions.slots)
