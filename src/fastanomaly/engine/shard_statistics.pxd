"""Memory and work of a shard, as tuples for Python."""

from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.answering cimport Answerer
from fastanomaly.engine.askers cimport Askers, asker_count
from fastanomaly.engine.asking cimport Asker
from fastanomaly.engine.batch cimport batch_bytes
from fastanomaly.engine.columns cimport Digits
from fastanomaly.engine.evictions cimport evictions_bytes
from fastanomaly.engine.feed_columns cimport RowBatch
from fastanomaly.engine.feed_shard cimport ShardFeed
from fastanomaly.engine.merge cimport merge_bytes
from fastanomaly.engine.shard cimport Shard
from fastanomaly.engine.shard_results cimport results_capacity
from fastanomaly.engine.statistics cimport (
    judge_bytes, judge_bytes_by_user, judge_work, state_memory,
)
from fastanomaly.engine.types cimport Event, Purchase


cdef inline int64_t asker_bytes(const Asker* asker) noexcept nogil:
    """Return the bytes allocated, without arrays by uid."""
    return (
        judge_bytes(&asker.judge) + results_capacity(&asker.results)
        + asker.latest.capacity * <int64_t> sizeof(int64_t)
        + asker.found.capacity * <int64_t> sizeof(Purchase)
        + asker.recent.capacity + asker.own.capacity
        + asker.results.shards * <int64_t> sizeof(int64_t)
    )


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
    ask for. Judges are those of further threads.
    """
    cdef const Askers* askers = feed.askers
    cdef const Asker* other
    cdef int64_t others = 0
    cdef int32_t i
    for i in range(1, asker_count(askers)):
        other = &askers.others[i - 1]
        others += <int64_t> sizeof(Asker) + judge_bytes_by_user(&other.judge)
        others += asker_bytes(other)
    return state_memory(
        &shard.state, &askers.first.judge, evictions_bytes(&shard.evictions),
        <int64_t> sizeof(Askers) + asker_bytes(&askers.first)
        + results_capacity(&askers.joined) + answerer_bytes(&feed.answerer)
        + rows_bytes(&feed.rows) + batch_bytes(feed.batch),
        others,
    )


cdef inline tuple shard_work(const ShardFeed* feed):
    """Return the values of ShardWork, in its order, and those of its Work first."""
    cdef const Askers* askers = feed.askers
    cdef const Answerer* answerer = &feed.answerer
    cdef int64_t members_seen = askers.first.members_seen
    cdef int32_t i
    cdef list judges = [judge_work(&askers.first.judge)]
    for i in range(1, asker_count(askers)):
        judges.append(judge_work(&askers.others[i - 1].judge))
        members_seen += askers.others[i - 1].members_seen
    return (
        tuple(map(sum, zip(*judges))), members_seen,
        answerer.merge.members_seen + answerer.merge.purchases_seen + answerer.evicted_seen,
        feed.finished.purchases_seen,
        feed.finished.verdicts - 2 * feed.finished.again, feed.finished.again,
    )
