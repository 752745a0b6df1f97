"""The recency log: the newest purchases of all users, in order of their keys.

Chunks of bounded size in a directory, like the leaves of a B-tree: the newest purchase is
appended, a late one moves at most a chunk, whatever its delay. Beyond RECENCY_BOUND the
oldest purchase is dropped.

Invariants: entries are in ascending order of their keys within and across chunks; no chunk
is empty; the log has the newest min(count of all purchases, RECENCY_BOUND) purchases, and
all of them unless `truncated`. recency_push needs recency_reserve before, after which it
cannot fail. The log owns the chunks.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memmove

from fastanomaly.engine.memory cimport PyMem_RawFree, memory_reserve, memory_resize
from fastanomaly.engine.types cimport Purchase, PurchaseKey, purchase_before

cdef enum:
    CHUNK_ENTRIES = 256         # a late purchase moves half of them on average
    RECENCY_BOUND = 1 << 16     # entries; beyond, merging rings costs less than walking

cdef struct Chunk:              # by columns: a walk reads little more than the uids
    int32_t start               # entries before this one were dropped
    int32_t end
    int32_t[CHUNK_ENTRIES] uids
    int64_t[CHUNK_ENTRIES] amounts_units
    PurchaseKey[CHUNK_ENTRIES] keys

cdef struct Recency:
    Chunk** chunks              # oldest first; none is empty
    int64_t chunks_capacity
    int64_t chunk_count
    int64_t count               # entries in all chunks
    bint truncated              # whether a purchase was ever dropped
    Chunk* spare                # the next new chunk, or NULL


cdef inline int recency_reserve(Recency* recency) except -1 nogil:
    """Reserve memory for one more purchase; amortised O(1)."""
    memory_reserve(
        <void**> &recency.chunks, &recency.chunks_capacity, recency.chunk_count + 1,
        sizeof(Chunk*),
    )
    if recency.spare == NULL:
        memory_resize(<void**> &recency.spare, 1, sizeof(Chunk))
    return 0


cdef inline Chunk* recency_new_chunk(Recency* recency, int64_t index) noexcept nogil:
    """Insert the spare chunk, emptied, at an index of the directory; O(chunks)."""
    cdef Chunk* chunk = recency.spare
    chunk.start = 0
    chunk.end = 0
    memmove(
        recency.chunks + index + 1, recency.chunks + index,
        <size_t> (recency.chunk_count - index) * sizeof(Chunk*),
    )
    recency.chunks[index] = chunk
    recency.chunk_count += 1
    recency.spare = NULL
    return chunk


cdef inline int64_t recency_find_chunk(const Recency* recency, PurchaseKey key) noexcept nogil:
    """Return the index of the last chunk that begins before key, or 0; O(log chunks)."""
    cdef int64_t low = 0, high = recency.chunk_count, middle
    cdef const Chunk* chunk
    while high - low > 1:
        middle = (low + high) // 2
        chunk = recency.chunks[middle]
        if purchase_before(chunk.keys[chunk.start], key):
            low = middle
        else:
            high = middle
    return low


cdef inline void chunk_move(
    Chunk* to, int32_t to_place, const Chunk* chunk, int32_t place, int32_t count
) noexcept nogil:
    """Copy entries to a place in the same or another chunk; the ranges may overlap."""
    memmove(to.uids + to_place, chunk.uids + place, <size_t> count * sizeof(int32_t))
    memmove(
        to.amounts_units + to_place, chunk.amounts_units + place,
        <size_t> count * sizeof(int64_t),
    )
    memmove(to.keys + to_place, chunk.keys + place, <size_t> count * sizeof(PurchaseKey))


cdef inline void chunk_set(
    Chunk* chunk, int32_t place, const Purchase* purchase, int32_t uid
) noexcept nogil:
    chunk.uids[place] = uid
    chunk.amounts_units[place] = purchase.amount_units
    chunk.keys[place] = purchase.key


cdef inline void chunk_insert(Chunk* chunk, Purchase purchase, int32_t uid) noexcept nogil:
    """Insert an entry at its place in a chunk with room at its end; O(CHUNK_ENTRIES)."""
    cdef int32_t place = chunk.end
    while place > chunk.start and purchase_before(purchase.key, chunk.keys[place - 1]):
        place -= 1
    if place < chunk.end:       # moving nothing would be most of the work
        chunk_move(chunk, place + 1, chunk, place, chunk.end - place)
    chunk_set(chunk, place, &purchase, uid)
    chunk.end += 1


cdef inline Chunk* recency_make_room(
    Recency* recency, int64_t index, PurchaseKey key
) noexcept nogil:
    """Make room at the end of the full chunk at index, where key belongs.

    Returns the chunk to insert it into.
    """
    cdef Chunk* chunk = recency.chunks[index]
    cdef Chunk* upper
    cdef int32_t count = chunk.end - chunk.start
    if chunk.start > 0:
        chunk_move(chunk, 0, chunk, chunk.start, count)
        chunk.start = 0
        chunk.end = count
        return chunk
    upper = recency_new_chunk(recency, index + 1)
    if (
        index + 2 == recency.chunk_count
        and purchase_before(chunk.keys[chunk.end - 1], key)
    ):
        return upper            # newest of all: leave the old chunk full
    upper.end = count // 2
    chunk.end = count - upper.end
    chunk_move(upper, 0, chunk, chunk.end, upper.end)
    return chunk if purchase_before(key, upper.keys[0]) else upper


cdef inline void recency_drop_oldest(Recency* recency) noexcept nogil:
    """Remove the oldest entry; O(1), and O(chunks) once a chunk is empty."""
    cdef Chunk* chunk = recency.chunks[0]
    chunk.start += 1
    recency.count -= 1
    recency.truncated = True
    if chunk.start == chunk.end:
        recency.chunk_count -= 1
        memmove(
            recency.chunks, recency.chunks + 1,
            <size_t> recency.chunk_count * sizeof(Chunk*),
        )
        if recency.spare == NULL:
            recency.spare = chunk
        else:
            PyMem_RawFree(chunk)


cdef inline void recency_insert(
    Recency* recency, Purchase purchase, int32_t uid
) noexcept nogil:
    """Insert a purchase that is late, or for which the last chunk has no room."""
    cdef int64_t index
    cdef Chunk* chunk
    if recency.chunk_count == 0:
        recency_new_chunk(recency, 0)
    index = recency.chunk_count - 1
    chunk = recency.chunks[index]
    if chunk.start < chunk.end and purchase_before(purchase.key, chunk.keys[chunk.start]):
        index = recency_find_chunk(recency, purchase.key)
        chunk = recency.chunks[index]
    if chunk.end == CHUNK_ENTRIES:
        chunk = recency_make_room(recency, index, purchase.key)
    chunk_insert(chunk, purchase, uid)


cdef inline Chunk* recency_last(const Recency* recency) noexcept nogil:
    """Return the last chunk, or NULL."""
    if recency.chunk_count == 0:
        return NULL
    return recency.chunks[recency.chunk_count - 1]


cdef inline void recency_count(Recency* recency) noexcept nogil:
    """Count one more entry; beyond the bound the oldest one is dropped."""
    recency.count += 1
    if recency.count > RECENCY_BOUND:
        recency_drop_oldest(recency)


cdef inline Chunk* recency_end(const Recency* recency, PurchaseKey key) noexcept nogil:
    """Return the last chunk, if a purchase with that key belongs, and fits, at its end."""
    cdef Chunk* last = recency_last(recency)
    if (
        last == NULL or last.end == CHUNK_ENTRIES
        or purchase_before(key, last.keys[last.end - 1])
    ):
        return NULL
    return last


cdef inline void recency_append(
    Recency* recency, Chunk* last, const Purchase* purchase, int32_t uid
) noexcept nogil:
    """Insert a purchase at the end of the last chunk; O(1), see recency_push."""
    chunk_set(last, last.end, purchase, uid)
    last.end += 1
    recency_count(recency)


cdef inline void recency_push(
    Recency* recency, const Purchase* purchase, int32_t uid
) noexcept nogil:
    """Insert a purchase; recency_reserve must have been called.

    Beyond the bound the oldest purchase is dropped, which may be this one. O(1) for the
    newest purchase, at most O(CHUNK_ENTRIES + chunks) for a late one.
    """
    cdef Chunk* last = recency_end(recency, purchase.key)
    if last != NULL:
        recency_append(recency, last, purchase, uid)
        return
    recency_insert(recency, purchase[0], uid)
    recency_count(recency)


cdef inline const PurchaseKey* recency_newest(const Recency* recency) noexcept nogil:
    """Return the key of the newest purchase, or NULL."""
    cdef const Chunk* chunk
    if recency.count == 0:
        return NULL
    chunk = recency.chunks[recency.chunk_count - 1]
    return &chunk.keys[chunk.end - 1]


cdef inline int64_t recency_bytes(const Recency* recency) noexcept nogil:
    """Return the bytes allocated."""
    return (
        (recency.chunk_count + (recency.spare != NULL)) * <int64_t> sizeof(Chunk)
        + recency.chunks_capacity * <int64_t> sizeof(Chunk*)
    )


cdef inline void recency_free(Recency* recency) noexcept nogil:
    cdef int64_t index
    for index in range(recency.chunk_count):
        PyMem_RawFree(recency.chunks[index])
    PyMem_RawFree(recency.chunks)
    PyMem_RawFree(recency.spare)
