"""A shard: a state that keeps the purchase histories of some of the users only.

Every shard of a cluster applies every event in the same order, so users have the same uids in
all of them, and graphs and recency logs are equal. A user's ring is kept by one shard, the
owner, which follows from the uid. `newest_us` is kept of all users: it tells whose rings may
have one of the latest purchases of a network. No purchase has the time NEVER.

What rings drop is kept until it is released, so that a shard that is ahead of another one
can still tell what the rings had at an earlier place.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from fastanomaly.engine.evictions cimport (
    Evictions, evictions_add, evictions_free, evictions_reserve,
)
from fastanomaly.engine.history cimport history_displaced, history_record
from fastanomaly.engine.recency cimport recency_push, recency_reserve
from fastanomaly.engine.state cimport (
    State, state_befriend, state_begin, state_free, state_intern_buyer, state_unfriend,
)
from fastanomaly.engine.types cimport BEFRIEND, PURCHASE, Event, Purchase, UserKey

cdef struct Shard:
    State state
    Evictions evictions
    int32_t number              # from 0
    int32_t shards


cdef inline void shard_begin(
    Shard* shard, int32_t number, int32_t shards, int32_t tracked, const uint64_t* secrets
) noexcept nogil:
    """Set up an empty shard; its struct must be zeroed. `secrets` are three numbers."""
    state_begin(&shard.state, tracked, secrets)
    shard.number = number
    shard.shards = shards


cdef inline void shard_free(Shard* shard) noexcept nogil:
    state_free(&shard.state)
    evictions_free(&shard.evictions)


cdef inline int32_t owner_of(int32_t uid, int32_t shards) noexcept nogil:
    """Return the number of the shard, of so many, that owns a user."""
    cdef uint32_t hash = <uint32_t> uid
    # The finaliser of MurmurHash3: neighbours are spread evenly.
    hash = (hash ^ (hash >> 16)) * <uint32_t> 0x85EBCA6B
    hash = (hash ^ (hash >> 13)) * <uint32_t> 0xC2B2AE35
    hash ^= hash >> 16
    return <int32_t> (<uint64_t> hash * <uint64_t> shards >> 32)


cdef inline int32_t shard_owner(const Shard* shard, int32_t uid) noexcept nogil:
    """Return the number of the shard that owns a user: all shards say the same."""
    return owner_of(uid, shard.shards)


cdef inline bint shard_owns(const Shard* shard, int32_t uid) noexcept nogil:
    """Return whether this shard keeps the ring of a user."""
    return shard_owner(shard, uid) == shard.number


cdef inline int shard_keep(Shard* shard, int32_t uid, Purchase purchase) except -1 nogil:
    """Put a purchase into the ring of an owned user; a failure changes nothing."""
    cdef const Purchase* displaced = history_displaced(
        &shard.state.history, uid, purchase.key
    )
    cdef Purchase kept
    if displaced == NULL:
        return history_record(&shard.state.history, uid, purchase)
    kept = displaced[0]
    evictions_reserve(&shard.evictions)
    history_record(&shard.state.history, uid, purchase)
    evictions_add(&shard.evictions, uid, &kept, purchase.key.seq)
    return 0


cdef inline int shard_record_of(
    Shard* shard, int32_t uid, int64_t time_us, int64_t amount_units
) except -1 nogil:
    """Record a purchase of a user; see state_record_of."""
    cdef State* state = &shard.state
    cdef int64_t* newest_us = &state.history.newest_us[uid]
    cdef Purchase purchase
    purchase.key.time_us = time_us
    purchase.key.seq = state.seq
    purchase.amount_units = amount_units
    recency_reserve(&state.recency)
    if shard_owns(shard, uid):
        shard_keep(shard, uid, purchase)
    else:
        newest_us[0] = max(newest_us[0], time_us)
    recency_push(&state.recency, &purchase, uid)
    state.seq += 1
    return 0


cdef inline int shard_record(
    Shard* shard, const UserKey* buyer, int64_t time_us, int64_t amount_units
) except -1 nogil:
    """Record a purchase of the user with a hashed key; a failure changes nothing."""
    cdef int32_t uid = state_intern_buyer(&shard.state, buyer)
    return shard_record_of(shard, uid, time_us, amount_units)


cdef inline int shard_apply(Shard* shard, const Event* event) except -1 nogil:
    """Apply a valid event whose keys are hashed, and count it; a failure changes nothing."""
    if event.kind == PURCHASE:
        shard_record(shard, &event.user, event.time_us, event.amount_units)
    elif event.kind == BEFRIEND:
        state_befriend(&shard.state, &event.user, &event.friend)
    else:
        state_unfriend(&shard.state, &event.user, &event.friend)
    shard.state.events[event.kind] += 1
    return 0
