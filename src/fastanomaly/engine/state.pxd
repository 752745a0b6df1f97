"""The state: users, friendships, purchase histories, the recency log and event counts.

Only applying events changes it; judges read it through const pointers, several at a time if
nothing is applied meanwhile. It has nothing that a judge writes.

Invariants: users, graph and history have the same users, uid 0 to users.count - 1; every
purchase in the recency log has a uid below that; seq is greater than that of any recorded
purchase. An event is applied completely or not at all: memory is reserved before anything
changes, and users who were added for an event that failed are forgotten. The state owns
everything in it.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t

from fastanomaly.engine.graph cimport (
    Graph, graph_add_user, graph_befriend, graph_begin, graph_free, graph_reserve,
    graph_unfriend,
)
from fastanomaly.engine.history cimport (
    History, history_add_user, history_append, history_begin, history_free, history_record,
    history_reserve, history_reserve_first,
)
from fastanomaly.engine.recency cimport (
    Chunk, Recency, recency_append, recency_end, recency_free, recency_push, recency_reserve,
)
from fastanomaly.engine.types cimport EVENT_KINDS, Purchase, UserKey
from fastanomaly.engine.users cimport (
    Users, users_add, users_find, users_forget_last, users_free,
)

cdef struct State:
    Users users
    Graph graph
    History history
    Recency recency
    int64_t seq                     # of the next purchase
    int64_t[EVENT_KINDS] events     # number applied, by kind
    int64_t flags                   # number of purchases that were anomalous
    int64_t rounded_amounts         # number of purchases whose amounts were rounded
    int64_t cut_times               # number of purchases whose times were cut


cdef inline void state_begin(
    State* state, int32_t tracked, const uint64_t* secrets
) noexcept nogil:
    """Set up an empty state; its struct must be zeroed. `secrets` are three numbers."""
    state.users.secret[0] = secrets[0]
    state.users.secret[1] = secrets[1]
    graph_begin(&state.graph, secrets[2])
    history_begin(&state.history, tracked)


cdef inline void state_free(State* state) noexcept nogil:
    graph_free(&state.graph)
    history_free(&state.history)
    users_free(&state.users)
    recency_free(&state.recency)


cdef inline int32_t state_find(const State* state, const UserKey* key) noexcept nogil:
    """Return the uid of the user with a hashed key, or -1; expected O(1)."""
    return key.uid if key.uid >= 0 else users_find(&state.users, key)


cdef inline int state_reserve_users(State* state, int64_t users) except -1 nogil:
    """Reserve memory for that many users, without the table of their ids."""
    graph_reserve(&state.graph, users)
    return history_reserve(&state.history, users)


cdef inline int32_t state_add_user(State* state, const UserKey* key) except -1 nogil:
    """Add a user with a hashed key, who must be new; return the uid.

    Expected amortised O(1). A failed allocation changes nothing.
    """
    cdef int32_t uid
    state_reserve_users(state, state.users.count + <int64_t> 1)
    uid = users_add(&state.users, key)
    graph_add_user(&state.graph, uid)
    history_add_user(&state.history, uid)
    return uid


cdef inline int32_t state_intern(State* state, const UserKey* key) except -1 nogil:
    """Return the uid of the user with a hashed key, who is added if new; see above."""
    cdef int32_t uid = state_find(state, key)
    return uid if uid >= 0 else state_add_user(state, key)


cdef inline int32_t state_intern_buyer(State* state, const UserKey* key) except -1 nogil:
    """Return the uid of a buyer with a hashed key, who is added if new.

    Recording a first purchase cannot fail then, so that nobody has to be forgotten.
    """
    cdef int32_t uid = state_find(state, key)
    if uid >= 0:
        return uid
    recency_reserve(&state.recency)
    history_reserve_first(&state.history)
    return state_add_user(state, key)


cdef inline void state_forget_users(State* state, int32_t count) noexcept nogil:
    """Undo adding all users but the first `count`, who must have no friends or purchases."""
    while state.users.count > count:
        users_forget_last(&state.users)


cdef inline int state_record_of(
    State* state, int32_t uid, int64_t time_us, int64_t amount_units
) except -1 nogil:
    """Record a purchase of a user.

    Amortised O(1) for the newest purchase; see history_record and recency_push for late
    ones. A failed allocation changes nothing.
    """
    cdef Purchase purchase
    cdef Chunk* last
    purchase.key.time_us = time_us
    purchase.key.seq = state.seq
    purchase.amount_units = amount_units
    # Nearly always the purchase is the latest of all, and there is a place for it.
    last = recency_end(&state.recency, purchase.key)
    if last != NULL and history_append(&state.history, uid, &purchase):
        recency_append(&state.recency, last, &purchase, uid)
        state.seq += 1
        return 0
    recency_reserve(&state.recency)
    history_record(&state.history, uid, purchase)
    recency_push(&state.recency, &purchase, uid)
    state.seq += 1
    return 0


cdef inline int state_record(
    State* state, const UserKey* buyer, int64_t time_us, int64_t amount_units
) except -1 nogil:
    """Record a purchase of the user with a hashed key; see above."""
    return state_record_of(state, state_intern_buyer(state, buyer), time_us, amount_units)


cdef inline int state_befriend(
    State* state, const UserKey* a, const UserKey* b
) except -1 nogil:
    """Make two different users, whose keys are hashed, friends.

    Expected amortised O(1). A failed allocation changes nothing.
    """
    cdef int32_t known = state.users.count
    cdef int32_t uid_a, uid_b
    try:
        uid_a = state_intern(state, a)
        uid_b = state_intern(state, b)
        graph_befriend(&state.graph, uid_a, uid_b)
        known = state.users.count
    finally:
        state_forget_users(state, known)
    return 0


cdef inline int state_unfriend(
    State* state, const UserKey* a, const UserKey* b
) except -1 nogil:
    """End the friendship of two users, whose keys are hashed, if there is one.

    Expected O(1). A failed allocation changes nothing.
    """
    cdef int32_t uid_a = state_find(state, a), uid_b = state_find(state, b)
    if uid_a >= 0 and uid_b >= 0:
        graph_unfriend(&state.graph, uid_a, uid_b)
    return 0
