"""Walking through purchases from the newest back: those of an overlay and the recency log.

Purchases come in runs: arrays that are read from an index down to another one. Most runs
are the chunks of the log. The purchases of the overlay that a view may see are runs between
them, at their positions in the order of keys.

When the log ends, so does the walk, if the log was ever truncated: older purchases of the
overlay may be older than some that the log no longer has.
"""

from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.overlay cimport Overlay
from fastanomaly.engine.recency cimport Chunk, Recency
from fastanomaly.engine.view cimport View, view_newest

cdef struct Walk:
    # The current run, from `place` down to `first`; then it ends:
    const int32_t* uids
    const int64_t* amounts_units
    int32_t place
    int32_t first
    # What comes after it:
    int32_t added               # index of the next purchase in the overlay, or -1
    int32_t chunk_place         # next entry of the log, in
    int64_t chunk               # this chunk; -1 and -1 at the end


cdef inline void walk_to_chunk(
    Walk* walk, const Recency* recency, int64_t chunk
) noexcept nogil:
    """Continue with the newest entry of a chunk of the log, which may be -1."""
    walk.chunk = chunk
    walk.chunk_place = recency.chunks[chunk].end - 1 if chunk >= 0 else -1


cdef inline void walk_begin(Walk* walk, const View* view) noexcept nogil:
    """Begin before the newest purchase, with an empty run."""
    walk.place = -1
    walk.first = 0
    walk.added = view_newest(view)
    walk_to_chunk(walk, &view.state.recency, view.state.recency.chunk_count - 1)


cdef inline bint walk_is_at(
    const Walk* walk, const Overlay* overlay, int32_t added
) noexcept nogil:
    """Return whether a purchase of the overlay comes before the next entry of the log."""
    return (
        overlay.chunks[added] == walk.chunk
        and overlay.chunk_places[added] == walk.chunk_place
    )


cdef inline void walk_added_run(Walk* walk, const View* view) noexcept nogil:
    """Take a run of purchases of the overlay."""
    cdef const Overlay* overlay = view.overlay
    walk.uids = overlay.uids
    walk.amounts_units = overlay.amounts_units
    walk.place = walk.added
    while (
        walk.added >= 0 and overlay.places[walk.added] < view.place
        and walk_is_at(walk, overlay, walk.added)
    ):
        walk.added -= 1
    walk.first = walk.added + 1


cdef inline void walk_log_run(Walk* walk, const View* view) noexcept nogil:
    """Take a run of the log: the rest of a chunk, or up to the overlay's next purchase."""
    cdef const Recency* recency = &view.state.recency
    cdef const Chunk* chunk = recency.chunks[walk.chunk]
    walk.uids = chunk.uids
    walk.amounts_units = chunk.amounts_units
    walk.place = walk.chunk_place
    if walk.added >= 0 and view.overlay.chunks[walk.added] == walk.chunk:
        walk.chunk_place = view.overlay.chunk_places[walk.added]
        walk.first = walk.chunk_place + 1
    else:
        walk.first = chunk.start
        walk_to_chunk(walk, recency, walk.chunk - 1)


cdef inline bint walk_next_run(Walk* walk, const View* view) noexcept nogil:
    """Take the next run, which is not empty; False at the end."""
    while walk.added >= 0 and view.overlay.places[walk.added] >= view.place:
        walk.added -= 1
    if walk.chunk < 0 and (walk.added < 0 or view.state.recency.truncated):
        return False
    if walk.added >= 0 and walk_is_at(walk, view.overlay, walk.added):
        walk_added_run(walk, view)
    else:
        walk_log_run(walk, view)
    return True
