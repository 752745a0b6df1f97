"""Counts, work, durations and memory of a state and a judge, as tuples for Python."""

from libc.stdint cimport int64_t, uint32_t

from fastanomaly.engine.ball cimport ball_bytes
from fastanomaly.engine.graph cimport Friends, graph_bytes
from fastanomaly.engine.history cimport Ring, history_bytes
from fastanomaly.engine.judge cimport Judge
from fastanomaly.engine.latency cimport LATENCY_BUCKETS
from fastanomaly.engine.merge cimport merge_bytes
from fastanomaly.engine.recency cimport recency_bytes
from fastanomaly.engine.state cimport State
from fastanomaly.engine.types cimport BEFRIEND, PURCHASE, UNFRIEND
from fastanomaly.engine.users cimport users_bytes


cdef inline tuple state_counts(const State* state):
    """Return the values of Counts, in its order."""
    return (
        state.events[<int> PURCHASE], state.events[<int> BEFRIEND],
        state.events[<int> UNFRIEND], state.flags,
        state.users.count, state.graph.friendships, state.history.kept,
        state.rounded_amounts, state.cut_times,
    )


cdef inline tuple judge_work(const Judge* judge):
    """Return (steps walked, edge visits, rings considered), of all searches."""
    return (
        judge.search.steps_walked, judge.ball.friends_marked,
        judge.search.merge.members_seen,
    )


cdef inline tuple judge_latencies(const Judge* judge):
    """Return (counts by bucket, total nanoseconds)."""
    counts = [judge.latency.counts[i] for i in range(LATENCY_BUCKETS)]
    return counts, judge.latency.total_ns


cdef inline int64_t bytes_by_user(const State* state, const Judge* judge) noexcept nogil:
    """Return the bytes allocated for arrays by uid, and for the table of user ids."""
    return (
        users_bytes(&state.users)
        + state.graph.friends_capacity * <int64_t> sizeof(Friends)
        + state.history.rings_capacity * <int64_t> sizeof(Ring)
        + state.history.newest_capacity * <int64_t> sizeof(int64_t)
        + judge.ball.marks_capacity * <int64_t> sizeof(uint32_t)
        + judge.search.seen_capacity * <int64_t> sizeof(uint32_t)
    )


cdef inline tuple memory_bytes(const State* state, const Judge* judge, int64_t scanner_bytes):
    """Return (users, texts of ids, friendships, purchases, recency log, scratch); O(hubs)."""
    scratch = (
        ball_bytes(&judge.ball) + merge_bytes(&judge.search.merge)
        + judge.window.capacity * <int64_t> sizeof(int64_t) + scanner_bytes
    )
    return (
        bytes_by_user(state, judge), state.users.texts_capacity, graph_bytes(&state.graph),
        history_bytes(&state.history), recency_bytes(&state.recency), scratch,
    )
