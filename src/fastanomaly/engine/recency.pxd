"""The recency log: the newest purchases of all users, in order of their keys.

Chunks of bounded size in a directory, like the leaves of a B-tree: a purchase in time is
appended, a late one moves at most a chunk, whatever its delay. At the bound the oldest
purchase is dropped, so the log always holds the newest ones there are.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memmove

from fastanomaly.engine.memory cimport PyMem_RawFree, memory_reserve, memory_resize
from fastanomaly.engine.types cimport Key, Purchase, key_before

cdef enum:
    CHUNK_ENTRIES = 256         # a late purchase moves half as many on average
    RECENCY_BOUND = 1 << 16     # entries: what a search would rather merge rings than walk

cdef struct Chunk:              # columns, since a walk reads little but the uids
    int32_t start               # entries before it have been dropped
    int32_t end
    int32_t[CHUNK_ENTRIES] uids
    int64_t[CHUNK_ENTRIES] amounts_units
    Key[CHUNK_ENTRIES] keys

cdef struct Recency:
    Chunk** chunks              # oldest first; none is empty
    int64_t chunks_capacity
    int64_t chunk_count
    int64_t count               # entries in all chunks
    bint truncated              # whether a purchase was ever dropped
    Chunk* spare                # for the next chunk that is needed


cdef inline int recency_reserve(Recency* recency) except -1 nogil:
    """Make room for one purchase more."""
    memory_reserve(
        <void**> &recency.chunks, &recency.chunks_capacity, recency.chunk_count + 1,
        sizeof(Chunk*),
    )
    if recency.spare == NULL:
        memory_resize(<void**> &recency.spare, 1, sizeof(Chunk))
    return 0


cdef inline Chunk* recency_new_chunk(Recency* recency, int64_t index) noexcept nogil:
    """Put the spare chunk, empty, at an index of the directory."""
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


cdef inline int64_t recency_find_chunk(const Recency* recency, Key key) noexcept nogil:
    """The index of the last chunk that begins before key, or 0."""
    cdef int64_t low = 0, high = recency.chunk_count, middle
    cdef const Chunk* chunk
    while high - low > 1:
        middle = (low + high) // 2
        chunk = recency.chunks[middle]
        if key_before(chunk.keys[chunk.start], key):
            low = middle
        else:
            high = middle
    return low


cdef inline void chunk_move(
    Chunk* to, int32_t to_place, const Chunk* chunk, int32_t place, int32_t count
) noexcept nogil:
    """Copy entries to another place, in the same chunk or another."""
    memmove(to.uids + to_place, chunk.uids + place, <size_t> count * sizeof(int32_t))
    memmove(
        to.amounts_units + to_place, chunk.amounts_units + place,
        <size_t> count * sizeof(int64_t),
    )
    memmove(to.keys + to_place, chunk.keys + place, <size_t> count * sizeof(Key))


cdef inline void chunk_insert(Chunk* chunk, Purchase purchase, int32_t uid) noexcept nogil:
    """Put an entry in its place, in a chunk that has room at its end."""
    cdef int32_t place = chunk.end
    while place > chunk.start and key_before(purchase.key, chunk.keys[place - 1]):
        place -= 1
    chunk_move(chunk, place + 1, chunk, place, chunk.end - place)
    chunk.uids[place] = uid
    chunk.amounts_units[place] = purchase.amount_units
    chunk.keys[place] = purchase.key
    chunk.end += 1


cdef inline Chunk* recency_make_room(Recency* recency, int64_t index, Key key) noexcept nogil:
    """The chunk in which key belongs, with room at its end; the one at index has none."""
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
        and key_before(chunk.keys[chunk.end - 1], key)
    ):
        return upper            # in time: leave the old chunk full
    upper.end = count // 2
    chunk.end = count - upper.end
    chunk_move(upper, 0, chunk, chunk.end, upper.end)
    return chunk if key_before(key, upper.keys[0]) else upper


cdef inline void recency_drop_oldest(Recency* recency) noexcept nogil:
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


cdef inline void recency_push(
    Recency* recency, Purchase purchase, int32_t uid
) noexcept nogil:
    """Put a purchase in its place by key, after recency_reserve; drop the oldest beyond
    the bound, which may be this one. Costs a chunk at most."""
    cdef int64_t index
    cdef Chunk* chunk
    if recency.chunk_count == 0:
        recency_new_chunk(recency, 0)
    index = recency.chunk_count - 1
    chunk = recency.chunks[index]
    if chunk.start < chunk.end and key_before(purchase.key, chunk.keys[chunk.start]):
        index = recency_find_chunk(recency, purchase.key)
        chunk = recency.chunks[index]
    if chunk.end == CHUNK_ENTRIES:
        chunk = recency_make_room(recency, index, purchase.key)
    chunk_insert(chunk, purchase, uid)
    recency.count += 1
    if recency.count > RECENCY_BOUND:
        recency_drop_oldest(recency)


cdef inline int64_t recency_bytes(const Recency* recency) noexcept nogil:
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
