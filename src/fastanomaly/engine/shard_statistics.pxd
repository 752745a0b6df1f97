"""Memory and work of a shard, as tuples for Python."""

from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.answering cimport Answerer
from fastanomaly.engine.asking cimport Asker
from fastanomaly.engine.batch cimport batch_bytes
from fastanomaly.engine.columns cimport Digits
from fastanomaly.engine.evictions cimport evictions_bytes
from fastanomaly.engine.feed_columns cimport RowBatch
from fastanomaly.engine.feed_shard cimport ShardFeed
from fastanomaly.engine.merge cimport merge_bytes
from fastanomaly.engine.packet cimport Packet
from fastanomaly.engine.shard cimport Shard
from fastanomaly.engine.statistics cimport judge_bytes, judge_work, state_memory
from fastanomaly.engine.types cimport Event, Purchase


cdef inline int64_t asker_bytes(const Asker* asker) noexcept nogil:
    """Return the bytes allocated, without those of the judge."""
    cdef int32_t owner
    cdef int64_t found = (
        asker.latest.capacity * <int64_t> sizeof(int64_t)
        + asker.found.capacity * <int64_t> sizeof(Purchase)
        + asker.recent.capacity + asker.own.capacity + asker.flags.capacity
        + asker.open.capacity
        + asker.shards * <int64_t> (sizeof(Packet) + sizeof(int64_t))
    )
    for owner in range(asker.shards):
        found += asker.asks[owner].capacity
    return found


cdef inline int64_t answerer_bytes(const Answerer* answerer) noexcept nogil:
    """Return the bytes allocated."""
    return (
        merge_bytes(&answerer.merge) + answerer.packet.capacity
        + answerer.evicted.capacity * <int64_t> sizeof(Purchase)
    )


cdef inline int64_t rows_bytes(const RowBatch* rows) noexcept nogil:
    """Return the bytes allocated."""
    return (
        rows.events_capacity * <int64_t> sizeof(Event)
        + rows.digits_capacity * <int64_t> sizeof(Digits)
    )


cdef inline tuple shard_memory(const Shard* shard, const ShardFeed* feed):
    """Return what memory_bytes returns of a detector; O(hubs).

    Purchases are those of the own users, and what their rings have dropped and others may
    ask for.
    """
    return state_memory(
        &shard.state, &feed.asker.judge, evictions_bytes(&shard.evictions),
        asker_bytes(&feed.asker) + judge_bytes(&feed.asker.judge)
        + answerer_bytes(&feed.answerer) + rows_bytes(&feed.rows) + batch_bytes(feed.batch),
        0,
    )


cdef inline tuple shard_work(const ShardFeed* feed):
    """Return the values of ShardWork, in its order, and those of its Work first."""
    cdef const Asker* asker = &feed.asker
    cdef const Answerer* answerer = &feed.answerer
    return (
        judge_work(&asker.judge), asker.members_seen,
        answerer.merge.members_seen + answerer.merge.purchases_seen + answerer.evicted_seen,
        feed.finished.purchases_seen,
        feed.finished.verdicts - 2 * feed.finished.again, feed.finished.again,
    )
