"""The overlay: the events of a batch, as earlier events for the judgements of that batch.

A batch is judged against the state before it, and then applied. What its purchases must
see of each other is here: the purchases in order of their keys, and the friendships edited,
each with its place in the batch. A judgement at a place sees what is before that place.

Each purchase has its position in the recency log: that of the newest entry older than it.
So a walk that goes back through both (walk.pxd) compares no keys. The overlay is written
while a batch is prepared, and only read while it is judged.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memmove

from fastanomaly.engine.edits cimport (
    EDITS_MAX, Edits, edits_clear, edits_free,
)
from fastanomaly.engine.recency cimport Chunk, Recency, recency_find_chunk
from fastanomaly.engine.types cimport Purchase, PurchaseKey, purchase_before

cdef enum:
    BATCH_MAX = EDITS_MAX       # events in a batch

cdef struct Overlay:
    int32_t count               # of purchases
    # By order of arrival:
    Purchase[BATCH_MAX] arrived
    int32_t[BATCH_MAX] arrived_uids
    int32_t[BATCH_MAX] arrived_places
    int32_t[BATCH_MAX] order            # indexes of the above, by ascending key
    # By ascending key:
    PurchaseKey[BATCH_MAX] keys
    int32_t[BATCH_MAX] uids
    int64_t[BATCH_MAX] amounts_units
    int32_t[BATCH_MAX] places           # in the batch
    int64_t[BATCH_MAX] chunks           # position in the recency log: the newest older
    int32_t[BATCH_MAX] chunk_places     # entry, or -1 and -1
    int32_t[BATCH_MAX + 1] newest       # by place: index of the newest purchase before, or -1
    Edits edits


cdef inline void overlay_clear(Overlay* overlay) noexcept nogil:
    """Forget all events; the struct must be zeroed before the first ones."""
    overlay.count = 0
    edits_clear(&overlay.edits)


cdef inline int32_t overlay_find(const Overlay* overlay, PurchaseKey key) noexcept nogil:
    """Return the number of purchases before key; O(log purchases), O(1) for the newest."""
    cdef int32_t low = 0, high = overlay.count, middle
    if high > 0 and purchase_before(overlay.arrived[overlay.order[high - 1]].key, key):
        return high
    while low < high:
        middle = (low + high) // 2
        if purchase_before(overlay.arrived[overlay.order[middle]].key, key):
            low = middle + 1
        else:
            high = middle
    return low


cdef inline void overlay_add_purchase(
    Overlay* overlay, Purchase purchase, int32_t uid, int32_t place
) noexcept nogil:
    """Add a purchase at a place after those of all others."""
    cdef int32_t index = overlay_find(overlay, purchase.key)
    memmove(
        overlay.order + index + 1, overlay.order + index,
        <size_t> (overlay.count - index) * sizeof(int32_t),
    )
    overlay.order[index] = overlay.count
    overlay.arrived[overlay.count] = purchase
    overlay.arrived_uids[overlay.count] = uid
    overlay.arrived_places[overlay.count] = place
    overlay.count += 1


cdef inline void overlay_position(
    const Recency* recency, PurchaseKey key, int64_t* index, int32_t* place
) noexcept nogil:
    """Set chunk and place of the newest entry of the recency log before key, or -1 and -1.

    O(1) if all are before it, otherwise O(log chunks + entries of a chunk).
    """
    cdef const Chunk* chunk
    index[0] = recency.chunk_count - 1
    place[0] = -1
    if index[0] < 0:
        return
    chunk = recency.chunks[index[0]]
    if purchase_before(key, chunk.keys[chunk.start]):
        index[0] = recency_find_chunk(recency, key)
        chunk = recency.chunks[index[0]]
    place[0] = chunk.end - 1
    while place[0] >= chunk.start and purchase_before(key, chunk.keys[place[0]]):
        place[0] -= 1
    if place[0] < chunk.start:          # older than the whole log
        index[0] = -1
        place[0] = -1


cdef inline void overlay_finish(
    Overlay* overlay, const Recency* recency, int32_t places
) noexcept nogil:
    """Set what is by ascending key, and `newest`, after all events of a batch were added.

    `places` is the number of events in the batch.
    """
    cdef int32_t i, index, place, newest = -1
    for i in range(overlay.count):
        index = overlay.order[i]
        overlay.keys[i] = overlay.arrived[index].key
        overlay.amounts_units[i] = overlay.arrived[index].amount_units
        overlay.uids[i] = overlay.arrived_uids[index]
        overlay.places[i] = overlay.arrived_places[index]
        overlay_position(
            recency, overlay.keys[i], &overlay.chunks[i], &overlay.chunk_places[i]
        )
    for place in range(places + 1):
        overlay.newest[place] = -1
    for i in range(overlay.count):
        overlay.newest[overlay.places[i] + 1] = i
    for place in range(places + 1):
        newest = max(newest, overlay.newest[place])
        overlay.newest[place] = newest


cdef inline void overlay_free(Overlay* overlay) noexcept nogil:
    edits_free(&overlay.edits)
