"""A batch of events: judged, then applied, in order.

There are two ways, with equal results. In turn: each purchase is judged against the state,
and applied before the next one. Ahead: all purchases are judged first, each against the
state before the batch and the overlay's events before its place; then all are applied.
Judgements made ahead are independent of each other, so threads share them (team.pxd).

To judge ahead, the batch is prepared: all its users are interned and its overlay is built.
If memory is short, it is judged in turn. A batch that stops early, since an event cannot be
applied, has applied the events before, and has forgotten the users that only later ones had.
"""

from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.apply cimport apply_event
from fastanomaly.engine.edits cimport edits_bytes, edits_change_list
from fastanomaly.engine.grid cimport GridFlag, grid_cells, grid_count
from fastanomaly.engine.judge cimport (
    Judge, Outcome, Settings, judge_purchase, judge_reserve,
)
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_reserve
from fastanomaly.engine.overlay cimport (
    BATCH_MAX, Overlay, overlay_add_purchase, overlay_clear, overlay_finish, overlay_free,
)
from fastanomaly.engine.state cimport (
    State, state_find, state_forget_users, state_intern,
)
from fastanomaly.engine.types cimport BEFRIEND, PURCHASE, Event, Purchase
from fastanomaly.engine.view cimport (
    View, view_at, view_friends, view_have, view_of_state,
)

cdef enum:
    BATCH_FLAGS = 1 << 20       # room for flags under a grid, which bounds purchases ahead

cdef struct Batch:
    int32_t count               # of events
    int32_t applied             # how many of them have been applied
    int32_t purchase_count
    bint ahead                  # whether the outcomes of all purchases are set
    int32_t users_before        # number of users before the batch was prepared
    Event* events[BATCH_MAX]    # owned by the caller
    int32_t[BATCH_MAX] purchases        # places of the purchases
    Outcome[BATCH_MAX] outcomes         # by place, if judged ahead
    Outcome in_turn             # of the last event otherwise
    GridFlag* flags             # of all outcomes
    int64_t flags_capacity
    Overlay overlay


cdef inline void batch_clear(Batch* batch) noexcept nogil:
    """Begin an empty batch; the struct must be zeroed before the first one."""
    batch.count = 0
    batch.applied = 0
    batch.purchase_count = 0
    batch.ahead = False


cdef inline void batch_add(Batch* batch, Event* event) noexcept nogil:
    """Add an event with hashed keys; at most BATCH_MAX."""
    batch.events[batch.count] = event
    if event.kind == PURCHASE:
        batch.purchases[batch.purchase_count] = batch.count
        batch.purchase_count += 1
    batch.count += 1


cdef inline int batch_reserve_flags(
    Batch* batch, const Settings* settings, int32_t purchases
) except -1 nogil:
    """Reserve the room for the flags of that many purchases under a grid."""
    cdef int64_t cells = grid_cells(&settings.grid)
    return memory_reserve(
        <void**> &batch.flags, &batch.flags_capacity, cells * purchases, sizeof(GridFlag)
    )


cdef inline bint batch_fits(
    const Batch* batch, const Settings* settings, int32_t more
) noexcept nogil:
    """Return whether so many more events fit, and their flags into memory of bounded size."""
    return (
        batch.count + more <= BATCH_MAX
        and grid_cells(&settings.grid) * (batch.purchase_count + more) <= BATCH_FLAGS
    )


# -- in turn ---------------------------------------------------------------------------


cdef inline int event_in_turn(
    State* state, const Settings* settings, Judge* judge, const Event* event, bint judged,
    Outcome* outcome
) except -1 nogil:
    """Judge an event with hashed keys, if it is a purchase and `judged`; then apply it.

    A failed allocation leaves the state as it was.
    """
    cdef View view
    outcome.verdict.anomalous = False
    outcome.compared_from = settings.grid.degree_count
    if judged and event.kind == PURCHASE:
        view = view_of_state(state)
        judge_reserve(judge, state.users.count, state.history.kept, settings.tracked)
        judge_purchase(
            judge, &view, settings, state_find(state, &event.user), event.amount_units,
            outcome,
        )
    return apply_event(state, event, outcome.verdict.anomalous)


# -- ahead -----------------------------------------------------------------------------


cdef inline int batch_intern(Batch* batch, State* state) except -1 nogil:
    """Set the uids of all events; users are added in the order of the events.

    Of those that are unfriended, who are not added, -1 remains if nobody has the id.
    """
    cdef int32_t i
    cdef Event* event
    for i in range(batch.count):
        event = batch.events[i]
        if event.kind == PURCHASE:
            event.user.uid = state_intern(state, &event.user)
        elif event.kind == BEFRIEND:
            event.user.uid = state_intern(state, &event.user)
            event.friend.uid = state_intern(state, &event.friend)
        else:
            event.user.uid = state_find(state, &event.user)
            event.friend.uid = state_find(state, &event.friend)
    return 0


cdef inline int overlay_add_edit(
    Overlay* overlay, const State* state, const Event* event, int32_t place
) except -1 nogil:
    """Add a friendship that begins or ends, if that changes anything."""
    cdef int32_t a = event.user.uid, b = event.friend.uid
    cdef int32_t change = 1 if event.kind == BEFRIEND else -1
    cdef View view
    if a < 0 or b < 0 or a == b:
        return 0
    view = view_at(state, overlay, place)
    if view_have(&view, view_friends(&view, a), b) == (change > 0):
        return 0
    edits_change_list(&overlay.edits, &state.graph, a, b, place, change)
    return edits_change_list(&overlay.edits, &state.graph, b, a, place, change)


cdef inline int batch_build_overlay(Batch* batch, const State* state) except -1 nogil:
    """Build the overlay, with the numbers that purchases will have."""
    cdef Overlay* overlay = &batch.overlay
    cdef const Event* event
    cdef Purchase purchase
    cdef int32_t place
    overlay_clear(overlay)
    purchase.key.seq = state.seq
    for place in range(batch.count):
        event = batch.events[place]
        if event.kind == PURCHASE:
            purchase.key.time_us = event.time_us
            purchase.amount_units = event.amount_units
            overlay_add_purchase(overlay, purchase, event.user.uid, place)
            purchase.key.seq += 1
        else:
            overlay_add_edit(overlay, state, event, place)
    overlay_finish(overlay, &state.recency, batch.count)
    return 0


cdef inline void batch_forget_users(Batch* batch, State* state) noexcept nogil:
    """Forget the users whom no applied event has; in later events they are unknown again.

    Others stay known there: their keys may not be hashed.
    """
    cdef int32_t known = batch.users_before, i
    cdef Event* event
    for i in range(batch.applied):
        event = batch.events[i]
        known = max(known, event.user.uid + 1)
        if event.kind == BEFRIEND:
            known = max(known, event.friend.uid + 1)
    state_forget_users(state, known)
    for i in range(batch.applied, batch.count):
        event = batch.events[i]
        if event.user.uid >= known:
            event.user.uid = -1
        if event.friend.uid >= known:
            event.friend.uid = -1


cdef inline int batch_prepare(
    Batch* batch, State* state, const Settings* settings
) except -1 nogil:
    """Intern all users, build the overlay and reserve memory; a failure changes nothing."""
    cdef bint done = False
    batch.users_before = state.users.count
    try:
        batch_intern(batch, state)
        batch_build_overlay(batch, state)
        batch_reserve_flags(batch, settings, batch.purchase_count)
        done = True
    finally:
        if not done:
            batch_forget_users(batch, state)
    return 0


cdef inline void batch_judge(
    Batch* batch, const State* state, const Settings* settings, Judge* judge, int32_t index
) noexcept nogil:
    """Judge the purchase of that index among the batch's purchases."""
    cdef int32_t place = batch.purchases[index]
    cdef const Event* event = batch.events[place]
    cdef Outcome* outcome = &batch.outcomes[place]
    cdef View view = view_at(state, &batch.overlay, place)
    outcome.flags.items = batch.flags + index * grid_cells(&settings.grid)
    judge_purchase(judge, &view, settings, event.user.uid, event.amount_units, outcome)


# -- both ways -------------------------------------------------------------------------


cdef inline Outcome* batch_step(
    Batch* batch, State* state, Settings* settings, Judge* judge
) except NULL nogil:
    """Judge and apply the next event; the outcome is valid until the next step.

    In turn, it is judged before. A failed allocation leaves the state as the events before
    have left it.
    """
    cdef const Event* event = batch.events[batch.applied]
    cdef Outcome* outcome = &batch.in_turn
    if batch.ahead and event.kind == PURCHASE:
        outcome = &batch.outcomes[batch.applied]
        apply_event(state, event, outcome.verdict.anomalous)
    else:
        outcome.flags.items = batch.flags
        event_in_turn(state, settings, judge, event, True, outcome)
    grid_count(&settings.grid, outcome.compared_from)
    batch.applied += 1
    return outcome


cdef inline int batch_record(Batch* batch, State* state) except -1 nogil:
    """Apply the events that are left of a batch without judging them.

    A failed allocation leaves the state as the events before have left it.
    """
    while batch.applied < batch.count:
        apply_event(state, batch.events[batch.applied], False)
        batch.applied += 1
    return 0


cdef inline void batch_abandon(Batch* batch, State* state) noexcept nogil:
    """Leave the events that have not been applied, after a failure."""
    if batch.ahead:
        batch_forget_users(batch, state)


cdef inline int64_t batch_bytes(const Batch* batch) noexcept nogil:
    """Return the bytes allocated."""
    return (
        <int64_t> sizeof(Batch) + edits_bytes(&batch.overlay.edits)
        + batch.flags_capacity * <int64_t> sizeof(GridFlag)
    )


cdef inline void batch_free(Batch* batch) noexcept nogil:
    PyMem_RawFree(batch.flags)
    overlay_free(&batch.overlay)
