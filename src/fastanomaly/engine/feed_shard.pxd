"""A batch of columns through a shard: judged, then applied.

The purchases of the shard's own users are judged ahead, against the state before the batch and
an overlay; then all events are applied. What fails for want of memory can be tried again with
the same batch: it continues where it stopped, and judges nothing twice.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memset

from fastanomaly.engine.answering cimport Answerer, answerer_free
from fastanomaly.engine.askers cimport (
    Askers, askers_begin, askers_free, askers_judge,
)
from fastanomaly.engine.batch cimport (
    Batch, batch_abandon, batch_forget_users, batch_free, batch_prepare,
)
from fastanomaly.engine.columns cimport Columns
from fastanomaly.engine.feed cimport feed_gather
from fastanomaly.engine.feed_columns cimport (
    RowBatch, check_lengths, columns_check, columns_free, columns_set, rows_free, rows_read,
    rows_reserve,
)
from fastanomaly.engine.finishing cimport Finished
from fastanomaly.engine.judge cimport Settings
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_zeroed
from fastanomaly.engine.overlay cimport BATCH_MAX
from fastanomaly.engine.shard cimport Shard, shard_apply
from fastanomaly.engine.shard_results cimport results_of

cdef struct ShardFeed:          # scratch memory of a shard, and how far a batch is
    Askers* askers
    Answerer answerer
    Finished finished
    RowBatch rows
    Batch* batch
    bint begun                  # whether a batch has been judged, and is not done
    int64_t seq                 # place of that batch
    int32_t applied             # events of it that have been applied


cdef inline int shard_feed_begin(ShardFeed* feed, int32_t shards) except -1:
    """Set up; the struct must be zeroed."""
    memory_zeroed(<void**> &feed.batch, 1, sizeof(Batch))
    memory_zeroed(<void**> &feed.askers, 1, sizeof(Askers))
    return askers_begin(feed.askers, shards)


cdef inline void shard_feed_free(ShardFeed* feed) noexcept nogil:
    if feed.askers != NULL:
        askers_free(feed.askers)
        PyMem_RawFree(feed.askers)
    answerer_free(&feed.answerer)
    rows_free(&feed.rows)
    if feed.batch != NULL:
        batch_free(feed.batch)
        PyMem_RawFree(feed.batch)


cdef inline int shard_judge(
    Shard* shard, const Settings* settings, ShardFeed* feed
) except -1 nogil:
    """Judge a batch that was gathered; its users are known then. A failure changes nothing."""
    cdef bint done = False
    batch_prepare(feed.batch, &shard.state, settings)
    try:
        askers_judge(feed.askers, shard, settings, feed.batch)
        done = True
    finally:
        if not done:
            batch_forget_users(feed.batch, &shard.state)
    feed.batch.ahead = True             # its users are interned, see batch_abandon
    return 0


cdef inline int shard_apply_rest(Shard* shard, ShardFeed* feed) except -1 nogil:
    """Apply the events of a batch that have not been applied.

    After a failure, those before have been applied, and users whom only later ones have are
    forgotten.
    """
    cdef Batch* batch = feed.batch
    batch.applied = feed.applied
    try:
        while batch.applied < batch.count:
            shard_apply(shard, batch.events[batch.applied])
            batch.applied += 1
    finally:
        feed.applied = batch.applied
        if batch.applied < batch.count:
            batch_abandon(batch, &shard.state)
    return 0


cdef inline int shard_feed_rows(
    Shard* shard, const Settings* settings, ShardFeed* feed, bint judged
) except -1 nogil:
    """Judge and apply the rows that were read, as far as that has not been done."""
    feed_gather(&shard.state, feed.rows.events, feed.rows.count, feed.batch)
    if not feed.begun:
        feed.applied = 0
        feed.seq = shard.state.seq
        if judged:
            shard_judge(shard, settings, feed)
        feed.begun = True
    return shard_apply_rest(shard, feed)


cdef inline int64_t ids_length(object ids, int64_t rows) except -1:
    """Return the length of a column of ids; as bytes, it is checked when it is read."""
    return rows if isinstance(ids, bytes) else len(ids)


cdef inline tuple feed_shard(
    Shard* shard, const Settings* settings, ShardFeed* feed, int64_t seq,
    const uint8_t[::1] kinds, const int64_t[::1] times_us, object users, object friends,
    const int64_t[::1] amounts_units, bint judged, int64_t rounded_amounts, int64_t cut_times
):
    """Judge and apply a batch; see ShardEngine.feed for what it returns."""
    cdef Columns columns
    cdef int64_t place = feed.seq if feed.begun else shard.state.seq
    if seq != place:
        raise ValueError(f"a batch at purchase {seq}, but the shard is at {place}")
    memset(&columns, 0, sizeof(Columns))
    columns.rows = kinds.shape[0]
    check_lengths(
        columns.rows, times_us.shape[0], ids_length(users, columns.rows),
        ids_length(friends, columns.rows), amounts_units.shape[0],
    )
    if not 1 <= columns.rows <= BATCH_MAX:
        raise ValueError(f"a batch has 1 to {<int> BATCH_MAX} rows, not {columns.rows}")
    try:
        _held = columns_set(&columns, kinds, times_us, users, friends, amounts_units)
        rows_reserve(&feed.rows, columns.rows)
        columns_check(&columns, &feed.rows)
        with nogil:
            rows_read(&columns, 0, &feed.rows)
        if feed.rows.count < columns.rows:
            raise ValueError(f"columns, row {feed.rows.count}: changed meanwhile")
        with nogil:
            shard_feed_rows(shard, settings, feed, judged)
        results = results_of(feed.askers.results, judged)
    finally:
        columns_free(&columns)
    feed.begun = False
    shard.state.rounded_amounts += rounded_amounts
    shard.state.cut_times += cut_times
    return results
