"""Events from Python, singly or in a batch: judged if wanted, then applied.

A purchase is judged against the state before it. If an event cannot be applied, those before
it remain applied. Batches are applied without the GIL.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint64_t

from fastanomaly.engine.apply cimport events_find_users, events_hash
from fastanomaly.engine.batch cimport (
    Batch, batch_add, batch_clear, batch_fits, batch_prepare, batch_record,
    batch_reserve_flags, batch_step, event_in_turn,
)
from fastanomaly.engine.grid cimport GridFlag, grid_count
from fastanomaly.engine.judge cimport Outcome, Settings
from fastanomaly.engine.latency cimport now_ns
from fastanomaly.engine.scan_ahead cimport BATCH_EVENTS
from fastanomaly.engine.state cimport State
from fastanomaly.engine.team cimport team_measure
from fastanomaly.engine.types cimport PURCHASE, Event, uint128
from fastanomaly.engine.user_keys cimport key_text
from fastanomaly.engine.workers cimport (
    EDIT_NS, Workers, workers_count_batch, workers_for, workers_judge, workers_reserve,
)


cdef inline int feed_single(
    State* state, Settings* settings, Workers* workers, Event* event, bint judged,
    Outcome* outcome
) except -1 nogil:
    """Hash the keys of an event, judge it if it is a purchase and `judged`, and apply it.

    The outcome has the room for flags. A failed allocation leaves the state as it was.
    """
    event.user.uid = -1
    event.friend.uid = -1
    events_hash(state, event, 1)
    event_in_turn(state, settings, &workers.first, event, judged, outcome)
    workers.judgements += judged and event.kind == PURCHASE
    grid_count(&settings.grid, outcome.compared_from)
    return 0


cdef inline object integer_of(uint128 value):
    """Return a 128-bit number as a Python int."""
    return (<object> <uint64_t> (value >> 64) << 64) | <object> <uint64_t> value


cdef inline tuple flag_values(
    const Settings* settings, const Event* purchase, const Outcome* outcome
):
    """Return the values of a flag, or the bytes of the grid's flags."""
    if settings.grid.degree_count > 0:
        return (
            key_text(&purchase.user), purchase.time_us, purchase.amount_units,
            PyBytes_FromStringAndSize(
                <const char*> outcome.flags.items,
                outcome.flags.count * <int64_t> sizeof(GridFlag),
            ),
        )
    return (
        key_text(&purchase.user), purchase.time_us, purchase.amount_units, outcome.sums.n,
        integer_of(outcome.sums.total),
        integer_of(outcome.sums.squares_low) | <object> outcome.sums.squares_high << 128,
        outcome.verdict.mean_cents, outcome.verdict.sd_cents,
    )


# -- batches ---------------------------------------------------------------------------


cdef inline void feed_gather(
    const State* state, Event* events, int32_t most, Batch* batch
) noexcept nogil:
    """Make a batch of events; their users are looked up for BATCH_EVENTS at a time."""
    cdef int32_t start = 0, count, i
    batch_clear(batch)
    while start < most:
        count = min(<int32_t> BATCH_EVENTS, most - start)
        events_hash(state, events + start, count)
        events_find_users(state, events + start, count)
        for i in range(start, start + count):
            batch_add(batch, &events[i])
        start += count


cdef inline int feed_ahead(
    State* state, const Settings* settings, Workers* workers, Batch* batch, int32_t used
) except -1 nogil:
    """Judge a batch ahead with that many threads; a failed allocation changes nothing."""
    workers_reserve(workers, state, settings, used, batch.count, batch.purchase_count)
    batch_prepare(batch, state, settings)
    workers_judge(workers, batch, state, settings, used)
    return 0


cdef inline int feed_begin(
    State* state, const Settings* settings, Workers* workers, Batch* batch, bint judged
) except -1:
    """Judge a batch ahead if several threads pay and there is memory.

    Otherwise it will be judged in turn, for which the room for flags is reserved.
    """
    cdef int32_t used = 1
    if judged and batch.count > 0:
        used = workers_for(workers, batch.count, batch.purchase_count)
        workers_count_batch(workers, batch.count)
    if used > 1 and batch_fits(batch, settings, 0):
        try:
            with nogil:
                feed_ahead(state, settings, workers, batch, used)
            return 0
        except (MemoryError, OverflowError):
            pass            # in turn, an event that fails is known, and those before count
    batch_reserve_flags(batch, settings, 1)
    return 0


cdef inline bint feed_until_flagged(
    State* state, Settings* settings, Workers* workers, Batch* batch, bint judged,
    const Outcome** flagged
) except -1 nogil:
    """Apply events of a batch up to the next flagged one; False at the end of the batch.

    batch.applied counts them, after an exception, too.
    """
    cdef int64_t begun = 0
    cdef int64_t purchases = state.events[<int> PURCHASE], events = batch.applied
    cdef const Outcome* outcome = NULL
    cdef bint found = False, measured = workers.team.wanted > 1 and not batch.ahead
    if not judged:
        batch_record(batch, state)
        return False
    if measured:
        begun = now_ns()
    try:
        while batch.applied < batch.count and not found:
            outcome = batch_step(batch, state, settings, &workers.first)
            found = outcome.verdict.anomalous
    finally:
        purchases = state.events[<int> PURCHASE] - purchases
        workers.judgements += purchases
        workers.shared_judgements += purchases if batch.ahead else 0
    if measured:
        events = batch.applied - events
        team_measure(
            &workers.team, now_ns() - begun - EDIT_NS * (events - purchases), purchases
        )
    flagged[0] = outcome
    return found
