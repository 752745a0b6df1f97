"""Reading the files of shards: into a shard of the same number, or of any other cluster.

As in load.pxd, nothing is trusted.
"""

from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.evictions cimport evictions_release
from fastanomaly.engine.history cimport NEVER, History
from fastanomaly.engine.load cimport (
    Loading, Part, array_view, load_error, load_purchases, load_state, part_has,
)
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_resize
from fastanomaly.engine.recency cimport Chunk, Recency
from fastanomaly.engine.shard cimport Shard
from fastanomaly.engine.state cimport State


cdef inline int load_newest(
    History* history, const Part* own, int32_t users, const int64_t[::1] newest_us
) except -1:
    """Set the times of the newest purchases of users whose rings are in other shards."""
    cdef int32_t uid
    if newest_us.shape[0] != users:
        return load_error(f"{users} users, but {newest_us.shape[0]} newest times")
    for uid in range(users):
        if not part_has(own, uid):
            history.newest_us[uid] = newest_us[uid]
        elif history.newest_us[uid] != newest_us[uid]:
            return load_error(f"the newest time of user {uid} is not that of the ring")
    return 0


cdef inline void find_newest(
    const Recency* recency, int32_t users, int64_t* newest_us
) noexcept nogil:
    """Set the time of each user's newest purchase in the recency log, or NEVER."""
    cdef int32_t uid, place
    cdef int64_t index
    cdef const Chunk* chunk
    for uid in range(users):
        newest_us[uid] = NEVER
    for index in range(recency.chunk_count):
        chunk = recency.chunks[index]
        for place in range(chunk.start, chunk.end):
            newest_us[chunk.uids[place]] = chunk.keys[place].time_us


cdef inline bint newest_possible(
    const Recency* recency, int64_t newest_us, int64_t found_us
) noexcept nogil:
    """Return whether a user's newest purchase can be at a time; `found_us` is in the log."""
    cdef const Chunk* oldest
    if found_us != NEVER or newest_us == NEVER:
        return newest_us == found_us
    if not recency.truncated or recency.count == 0:
        return False
    oldest = recency.chunks[0]
    return newest_us <= oldest.keys[oldest.start].time_us


cdef inline int check_newest(const State* state) except -1:
    """Raise ValueError unless `newest_us` fits the recency log, in which all purchases were.

    So purchases that are missing, since they were not in the files, are noticed.
    """
    cdef int32_t uid, users = state.users.count
    cdef int64_t* found_us = NULL
    memory_resize(<void**> &found_us, users + <int64_t> 1, sizeof(int64_t))
    try:
        find_newest(&state.recency, users, found_us)
        for uid in range(users):
            if not newest_possible(
                &state.recency, state.history.newest_us[uid], found_us[uid]
            ):
                return load_error(
                    f"the newest purchase of user {uid} does not fit the recency log"
                )
    finally:
        PyMem_RawFree(found_us)
    return 0


cdef inline int load_parts(
    State* state, Loading* loading, int32_t parts, object scalars, object next_array
) except -1:
    """Fill an empty state from the files of all shards of a cluster.

    `next_array` returns the arrays of the first file, then, for each other one, those of
    purchases.
    """
    cdef int32_t number
    loading.file.shards = parts
    loading.file.number = 0
    load_state(state, loading, scalars, next_array)
    for number in range(1, parts):
        loading.file.number = number
        load_purchases(state, loading, next_array)
    return check_newest(state)


cdef inline Loading shard_loading(const Shard* shard) noexcept nogil:
    """Return what is read into a shard, of which no purchase has the time NEVER."""
    cdef Loading loading
    loading.kept.number = shard.number
    loading.kept.shards = shard.shards
    loading.file = loading.kept
    loading.earliest_us = NEVER + 1
    return loading


cdef inline void shard_loaded(Shard* shard) noexcept nogil:
    """Finish loading: flags are counted elsewhere, and nobody asks for earlier places."""
    shard.state.flags = 0
    evictions_release(&shard.evictions, shard.state.seq)


cdef inline int load_shard(Shard* shard, object scalars, object next_array) except -1:
    """Fill an empty shard from its own file."""
    cdef Loading loading = shard_loading(shard)
    load_state(&shard.state, &loading, scalars, next_array)
    if shard.shards > 1:
        load_newest(
            &shard.state.history, &loading.kept, shard.state.users.count,
            array_view(next_array(), "q"),
        )
    check_newest(&shard.state)
    shard_loaded(shard)
    return 0


cdef inline int load_shard_parts(
    Shard* shard, int32_t parts, object scalars, object next_array
) except -1:
    """Fill an empty shard from the files of all shards of a cluster, see load_parts."""
    cdef Loading loading = shard_loading(shard)
    load_parts(&shard.state, &loading, parts, scalars, next_array)
    shard_loaded(shard)
    return 0
