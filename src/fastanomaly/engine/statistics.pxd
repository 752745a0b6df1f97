"""Counts, work, durations and memory of a state and its judges, as tuples for Python."""

from libc.stdint cimport int32_t, int64_t, uint32_t

from fastanomaly.engine.ball cimport ball_bytes
from fastanomaly.engine.graph cimport Friends, graph_bytes
from fastanomaly.engine.history cimport Ring, history_bytes
from fastanomaly.engine.judge cimport Judge
from fastanomaly.engine.latency cimport LATENCY_BUCKETS
from fastanomaly.engine.merge cimport merge_bytes
from fastanomaly.engine.recency cimport recency_bytes, recency_newest
from fastanomaly.engine.state cimport State
from fastanomaly.engine.types cimport BEFRIEND, PURCHASE, UNFRIEND, PurchaseKey
from fastanomaly.engine.users cimport users_bytes
from fastanomaly.engine.workers cimport SIZE_BUCKETS, Workers


cdef inline tuple state_counts(const State* state):
    """Return the values of Counts, in its order."""
    return (
        state.events[<int> PURCHASE], state.events[<int> BEFRIEND],
        state.events[<int> UNFRIEND], state.flags,
        state.users.count, state.graph.friendships, state.history.kept,
        state.rounded_amounts, state.cut_times,
    )


cdef inline object state_newest_us(const State* state):
    """Return the newest timestamp of a purchase, or None."""
    cdef const PurchaseKey* newest = recency_newest(&state.recency)
    return None if newest == NULL else newest.time_us


cdef inline const Judge* judge_of(const Workers* workers, int32_t index) noexcept nogil:
    """Return one of the judges; number 0 is the caller's."""
    return &workers.first if index == 0 else &workers.others[index - 1]


cdef inline int32_t judge_count(const Workers* workers) noexcept nogil:
    """Return the number of judges that there are."""
    return workers.team.wanted if workers.others != NULL else 1


cdef inline tuple judge_work(const Judge* judge):
    """Return the values of Work, in its order, of one judge."""
    return (
        judge.search.steps_walked, judge.ball.friends_marked,
        judge.search.merge.members_seen, judge.search.merge.purchases_seen,
    )


cdef inline tuple judges_work(const Workers* workers):
    """Return the sums of all judges."""
    cdef int32_t i
    return tuple(
        map(sum, zip(*[judge_work(judge_of(workers, i)) for i in range(judge_count(workers))]))
    )


cdef inline tuple judges_latencies(const Workers* workers):
    """Return (counts by bucket, total nanoseconds)."""
    cdef int64_t total_ns = 0
    cdef list counts = [0] * LATENCY_BUCKETS
    cdef const Judge* judge
    cdef int32_t i, bucket
    for i in range(judge_count(workers)):
        judge = judge_of(workers, i)
        total_ns += judge.latency.total_ns
        for bucket in range(LATENCY_BUCKETS):
            counts[bucket] += judge.latency.counts[bucket]
    return counts, total_ns


cdef inline tuple workers_counts(const Workers* workers):
    """Return the values of Sharing without its bounds, in its order."""
    cdef list sizes = [workers.batch_sizes[bucket] for bucket in range(SIZE_BUCKETS)]
    return (
        workers.team.busy, workers.judgements, workers.shared_judgements, workers.shared_ns,
        sizes, workers.batch_events,
    )


cdef inline int64_t judge_bytes_by_user(const Judge* judge) noexcept nogil:
    """Return the bytes allocated for a judge's arrays by uid."""
    return (
        judge.ball.marks_capacity * <int64_t> sizeof(uint32_t)
        + judge.search.seen_capacity * <int64_t> sizeof(uint32_t)
    )


cdef inline int64_t judge_bytes(const Judge* judge) noexcept nogil:
    """Return the bytes allocated for a judge's other arrays."""
    return (
        ball_bytes(&judge.ball) + merge_bytes(&judge.search.merge)
        + judge.window.capacity * <int64_t> sizeof(int64_t)
    )


cdef inline int64_t state_bytes_by_user(const State* state) noexcept nogil:
    """Return the bytes allocated for arrays by uid, and for the table of user ids."""
    return (
        users_bytes(&state.users)
        + state.graph.friends_capacity * <int64_t> sizeof(Friends)
        + state.history.rings_capacity * <int64_t> sizeof(Ring)
        + state.history.newest_capacity * <int64_t> sizeof(int64_t)
    )


cdef inline tuple state_memory(
    const State* state, const Judge* judge, int64_t other_purchases, int64_t scratch,
    int64_t judges
):
    """Return (users, texts of ids, friendships, purchases, recency log, scratch, judges).

    O(hubs). Users include the arrays by uid of a judge, purchases the `other_purchases`.
    """
    return (
        state_bytes_by_user(state) + judge_bytes_by_user(judge), state.users.texts_capacity,
        graph_bytes(&state.graph), history_bytes(&state.history) + other_purchases,
        recency_bytes(&state.recency), scratch, judges,
    )


cdef inline tuple memory_bytes(
    const State* state, const Workers* workers, int64_t other_bytes
):
    """Return the values of Memory, in its order; see state_memory.

    Scratch memory is that of the first judge, and `other_bytes`; judges are the others, with
    all that they have.
    """
    cdef const Judge* first = &workers.first
    cdef int64_t others = 0
    cdef int32_t i
    for i in range(1, judge_count(workers)):
        others += judge_bytes_by_user(judge_of(workers, i)) + judge_bytes(judge_of(workers, i))
    return state_memory(state, first, 0, judge_bytes(first) + other_bytes, others)
