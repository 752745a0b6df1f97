"""Applying events to the state, and preparing a batch of them."""

from libc.stdint cimport int32_t

from fastanomaly.engine.graph cimport friends_prefetch
from fastanomaly.engine.history cimport history_prefetch, history_prefetch_entry
from fastanomaly.engine.memory cimport memory_prefetch
from fastanomaly.engine.scan_ahead cimport BATCH_EVENTS
from fastanomaly.engine.state cimport State, state_befriend, state_record, state_unfriend
from fastanomaly.engine.types cimport (
    BEFRIEND, CUT_TIME, PURCHASE, ROUNDED_AMOUNT, Event, UserKey,
)
from fastanomaly.engine.users cimport (
    key_hash, users_find, users_prefetch_name, users_prefetch_slot,
)


cdef inline void events_hash(const State* state, Event* events, int32_t count) noexcept nogil:
    """Hash the keys of events whose uids are not known; O(length of the ids)."""
    cdef int32_t i
    for i in range(count):
        if events[i].user.uid < 0:
            events[i].user.hash = key_hash(state.users.secret, &events[i].user)
        if events[i].kind != PURCHASE and events[i].friend.uid < 0:
            events[i].friend.hash = key_hash(state.users.secret, &events[i].friend)


cdef struct EventLists:         # the events of a batch, sorted
    UserKey* keys[2 * BATCH_EVENTS]             # whose uids are not known
    const Event* purchases[BATCH_EVENTS]
    const Event* others[BATCH_EVENTS]
    int32_t key_count
    int32_t purchase_count
    int32_t other_count


cdef inline void events_list(Event* events, int32_t count, EventLists* lists) noexcept nogil:
    """Sort events, without branches, which nothing could predict."""
    cdef int32_t i, keys = 0, purchases = 0
    cdef bint other
    for i in range(count):
        other = events[i].kind != PURCHASE
        lists.keys[keys] = &events[i].user
        keys += events[i].user.uid < 0
        lists.keys[keys] = &events[i].friend
        keys += other & (events[i].friend.uid < 0)
        lists.purchases[purchases] = &events[i]
        lists.others[i - purchases] = &events[i]
        purchases += not other
    lists.key_count = keys
    lists.purchase_count = purchases
    lists.other_count = count - purchases


cdef inline void keys_find(const State* state, const EventLists* lists) noexcept nogil:
    """Look up the users whose uids are not known; expected O(1) each."""
    cdef int32_t i
    for i in range(lists.key_count):
        users_prefetch_slot(&state.users, lists.keys[i])
    for i in range(lists.key_count):
        users_prefetch_name(&state.users, lists.keys[i])
    for i in range(lists.key_count):
        lists.keys[i].uid = users_find(&state.users, lists.keys[i])


cdef inline void events_find_users(
    const State* state, Event* events, int32_t count
) noexcept nogil:
    """Look up the users of events whose keys are hashed, and prefetch what they will touch.

    At most BATCH_EVENTS of them. Keys whose uids are known need no hash. A state that exceeds
    the processor's caches costs a chain of cache misses for each event: slot, name, entry by
    uid, block. Doing one link of the chain for the whole batch at a time makes the misses of
    different events overlap. Expected O(count).
    """
    cdef EventLists lists
    cdef int32_t i
    events_list(events, count, &lists)
    keys_find(state, &lists)
    for i in range(lists.purchase_count):
        history_prefetch_entry(&state.history, max(lists.purchases[i].user.uid, 0))
    for i in range(lists.other_count):
        memory_prefetch(&state.graph.friends[max(lists.others[i].user.uid, 0)])
        memory_prefetch(&state.graph.friends[max(lists.others[i].friend.uid, 0)])
    for i in range(lists.purchase_count):
        if lists.purchases[i].user.uid >= 0:
            history_prefetch(&state.history, lists.purchases[i].user.uid)
    for i in range(lists.other_count):
        if lists.others[i].user.uid >= 0:
            friends_prefetch(&state.graph, lists.others[i].user.uid)
        if lists.others[i].friend.uid >= 0:
            friends_prefetch(&state.graph, lists.others[i].friend.uid)


cdef inline int apply_event(State* state, const Event* event, bint anomalous) except -1 nogil:
    """Apply a valid event whose keys are hashed, and count it.

    `anomalous` is the verdict on a purchase, judged against the state before it. A failed
    allocation changes nothing.
    """
    if event.kind == PURCHASE:
        state_record(state, &event.user, event.time_us, event.amount_units)
        if event.adjusted != 0:
            state.rounded_amounts += (event.adjusted & ROUNDED_AMOUNT) != 0
            state.cut_times += (event.adjusted & CUT_TIME) != 0
    elif event.kind == BEFRIEND:
        state_befriend(state, &event.user, &event.friend)
    else:
        state_unfriend(state, &event.user, &event.friend)
    state.events[event.kind] += 1
    state.flags += anomalous
    return 0
