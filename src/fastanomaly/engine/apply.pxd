"""Applying events to the state, and preparing a batch of them."""

from libc.stdint cimport int32_t

from fastanomaly.engine.graph cimport friends_prefetch
from fastanomaly.engine.history cimport history_prefetch
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
    """Hash the keys of events; O(length of the ids)."""
    cdef int32_t i
    for i in range(count):
        events[i].user.hash = key_hash(state.users.secret, &events[i].user)
        if events[i].kind != PURCHASE:
            events[i].friend.hash = key_hash(state.users.secret, &events[i].friend)


cdef inline int32_t events_keys(
    Event* events, int32_t count, UserKey** keys
) noexcept nogil:
    """List the keys of events whose uids are not known; their number, at most 2 * count."""
    cdef int32_t i, key_count = 0
    for i in range(count):
        # Without branches, which nothing could predict.
        keys[key_count] = &events[i].user
        key_count += events[i].user.uid < 0
        keys[key_count] = &events[i].friend
        key_count += (events[i].kind != PURCHASE) & (events[i].friend.uid < 0)
    return key_count


cdef inline void event_prefetch_entries(const State* state, const Event* event) noexcept nogil:
    """Prefetch what an event's users have in arrays by uid."""
    cdef int32_t uid = max(event.user.uid, 0)
    if event.kind == PURCHASE:
        memory_prefetch(&state.history.rings[uid])
        memory_prefetch(&state.history.newest_us[uid])
    else:
        memory_prefetch(&state.graph.friends[uid])
        memory_prefetch(&state.graph.friends[max(event.friend.uid, 0)])


cdef inline void event_prefetch_blocks(const State* state, const Event* event) noexcept nogil:
    """Prefetch the latest purchase of an event's buyer, or its users' friends."""
    if event.kind == PURCHASE:
        if event.user.uid >= 0:
            history_prefetch(&state.history, event.user.uid)
    else:
        if event.user.uid >= 0:
            friends_prefetch(&state.graph, event.user.uid)
        if event.friend.uid >= 0:
            friends_prefetch(&state.graph, event.friend.uid)


cdef inline void events_find_users(
    const State* state, Event* events, int32_t count
) noexcept nogil:
    """Look up the users of events whose keys are hashed, and prefetch what they will touch.

    Keys whose uids are known are not looked up, and need no hash. At most BATCH_EVENTS of them. A state that exceeds the processor's caches costs a chain of
    cache misses for each event: slot, name, entry by uid, block. Doing one link of the chain
    for the whole batch at a time makes the misses of different events overlap. Expected
    O(count).
    """
    cdef UserKey* keys[2 * BATCH_EVENTS]
    cdef int32_t i, key_count = events_keys(events, count, keys)
    for i in range(key_count):
        users_prefetch_slot(&state.users, keys[i])
    for i in range(key_count):
        users_prefetch_name(&state.users, keys[i])
    for i in range(key_count):
        keys[i].uid = users_find(&state.users, keys[i])
    for i in range(count):
        event_prefetch_entries(state, &events[i])
    for i in range(count):
        event_prefetch_blocks(state, &events[i])


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
