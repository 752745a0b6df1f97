"""Reading the arrays that save.pxd wrote into an empty state.

Nothing is trusted: whatever the arrays hold, the result is a state that events could have
made, or a ValueError that says what is wrong. O(size of the state), expected. After an
error the state is incomplete and must not be used.

The purchases of a cluster are in several files, one of each shard, which are read one after
another. All other arrays are the same in all of them, and are read from the first.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from fastanomaly.engine.columns cimport AMOUNT_LIMIT
from fastanomaly.engine.graph cimport Graph, friends_prefetch, graph_befriend
from fastanomaly.engine.history cimport (
    NEVER, History, Ring, history_record, ring_take,
)
from fastanomaly.engine.memory cimport memory_prefetch
from fastanomaly.engine.pool cimport POOL_ITEMS, pool_reserve, size_of
from fastanomaly.engine.recency cimport RECENCY_BOUND, Recency, recency_push, recency_reserve
from fastanomaly.engine.shard cimport owner_of
from fastanomaly.engine.state cimport State, state_intern, state_reserve_users
from fastanomaly.engine.types cimport (
    BEFRIEND, PURCHASE, UNFRIEND, Purchase, UserKey, purchase_before,
)
from fastanomaly.engine.users cimport NUMBER_LIMIT, key_hash, key_of_text

cdef enum:
    COUNTED_LIMIT = 0x4000000000000000      # 2^62: more events than can ever be applied

cdef struct Part:               # the users whom a shard owns; all, if it is the only one
    int32_t number
    int32_t shards

cdef struct Loading:            # what is read
    Part kept                   # whose rings are kept
    Part file                   # whose rings are in the file
    int64_t seq                 # of the next purchase
    int64_t earliest_us         # no purchase is before it

cdef extern from "Python.h":
    object PyUnicode_DecodeUTF8(const char* text, Py_ssize_t length, const char* errors)


cdef inline int load_error(str message) except -1:
    """Raise ValueError."""
    raise ValueError(message)


cdef inline int load_key(
    int64_t name, const char* texts, int64_t texts_size, UserKey* key
) except -1:
    """Set the key of a user's name; it is valid as long as texts."""
    cdef int32_t length
    cdef int64_t start = ~name
    if name >= 0:
        if name >= <int64_t> NUMBER_LIMIT:
            return load_error(f"invalid user number {name}")
        key.number = name
        key.text = NULL
        key.length = 0
        key.uid = -1
        return 0
    if start > texts_size - <int64_t> sizeof(int32_t):
        return load_error("a user's text is beyond the texts")
    memcpy(&length, texts + start, sizeof(int32_t))
    start += sizeof(int32_t)
    if not 0 < length <= texts_size - start:
        return load_error("a user's text is beyond the texts")
    key[0] = key_of_text(texts + start, length)
    if key.number >= 0:
        return load_error(f"user id {key.number} is stored as text instead of a number")
    PyUnicode_DecodeUTF8(key.text, length, NULL)
    return 0


cdef inline int load_graph(
    Graph* graph, int32_t users, const int32_t* counts, const int32_t* uids, int64_t size
) except -1:
    """Add the friendships, each of which is listed for the lower of its uids."""
    cdef int32_t uid, _friend
    cdef int64_t used = 0, ahead
    for uid in range(users):
        if not 0 <= counts[uid] <= size - used:
            return load_error(f"invalid number of later friends of user {uid}: {counts[uid]}")
        for _friend in range(counts[uid]):
            if not uid < uids[used] < users:
                return load_error(f"invalid later friend of user {uid}: {uids[used]}")
            ahead = used + 16
            if ahead < size and 0 <= uids[ahead] < users:
                memory_prefetch(&graph.friends[uids[ahead]])
            ahead = used + 8
            if ahead < size and 0 <= uids[ahead] < users:
                friends_prefetch(graph, uids[ahead])
            graph_befriend(graph, uid, uids[used])
            used += 1
    if used != size or graph.friendships != size:
        return load_error(
            f"{size} friendships listed, but {graph.friendships} distinct ones used"
        )
    return 0


cdef inline bint part_has(const Part* part, int32_t uid) noexcept nogil:
    """Return whether a user's ring is in a part."""
    return owner_of(uid, part.shards) == part.number


cdef inline bint purchase_valid(
    const Loading* loading, const Purchase* purchase
) noexcept nogil:
    """Return whether a purchase is in range."""
    return (
        0 <= purchase.amount_units < <int64_t> AMOUNT_LIMIT
        and 0 <= purchase.key.seq < loading.seq
        and purchase.key.time_us >= loading.earliest_us
    )


cdef inline int load_ring(
    History* history, int32_t uid, const Purchase* newest_first, int32_t count
) except -1 nogil:
    """Fill an empty ring."""
    cdef Ring* ring = &history.rings[uid]
    cdef int32_t i
    if count > POOL_ITEMS:
        for i in range(count - 1, -1, -1):
            history_record(history, uid, newest_first[i])
        return 0
    pool_reserve(&history.blocks, size_of(count), 1)
    ring_take(history, uid, count)
    for i in range(count):
        ring.items[i] = newest_first[count - 1 - i]
    history.newest_us[uid] = newest_first[0].key.time_us
    history.kept += count
    return 0


cdef inline int check_purchases(
    const Loading* loading, int32_t uid, const Purchase* newest_first, int32_t count
) except -1:
    """Raise ValueError unless a user can have these purchases."""
    cdef int32_t i
    for i in range(count):
        if newest_first[i].key.time_us < loading.earliest_us:
            return load_error(f"user {uid} has a purchase at -2^63, which shards cannot have")
        if not purchase_valid(loading, &newest_first[i]):
            return load_error(f"a purchase of user {uid} is out of range")
        if i > 0 and not purchase_before(newest_first[i].key, newest_first[i - 1].key):
            return load_error(f"the purchases of user {uid} are out of order")
    return 0


cdef inline int load_history(
    History* history, const Loading* loading, int32_t users, const int32_t* counts,
    const Purchase* purchases, int64_t size
) except -1:
    """Fill the rings that are kept, and set `newest_us` of all users with purchases."""
    cdef int32_t uid
    cdef int64_t used = 0
    for uid in range(users):
        if not 0 <= counts[uid] <= min(size - used, <int64_t> history.tracked):
            return load_error(f"invalid number of purchases of user {uid}: {counts[uid]}")
        if counts[uid] == 0:
            continue
        check_purchases(loading, uid, purchases + used, counts[uid])
        if not part_has(&loading.file, uid):
            return load_error(f"the purchases of user {uid} are another shard's")
        if history.rings[uid].count > 0 or history.newest_us[uid] != NEVER:
            return load_error(f"user {uid} has purchases twice")
        if part_has(&loading.kept, uid):
            load_ring(history, uid, purchases + used, counts[uid])
        history.newest_us[uid] = purchases[used].key.time_us
        used += counts[uid]
    if used != size:
        return load_error(f"{size} purchases listed, but {used} used")
    return 0


cdef inline int load_recency(
    Recency* recency, const Loading* loading, int32_t users, const int32_t* uids,
    const Purchase* purchases, int64_t size, bint truncated
) except -1:
    """Fill the recency log; `truncated` is whether it ever dropped a purchase."""
    cdef int64_t i
    if size > RECENCY_BOUND:
        return load_error(
            f"the recency log has {size} purchases, at most {RECENCY_BOUND} are possible"
        )
    for i in range(size):
        if not 0 <= uids[i] < users or not purchase_valid(loading, &purchases[i]):
            return load_error(f"purchase {i} of the recency log is out of range")
        if i > 0 and not purchase_before(purchases[i - 1].key, purchases[i].key):
            return load_error("the recency log is out of order")
        recency_reserve(recency)
        recency_push(recency, &purchases[i], uids[i])
    recency.truncated = truncated
    return 0


cdef inline object array_view(bytes array, str kind):
    """Return an array as a memoryview of items of a kind, as in the struct module."""
    return memoryview(array).cast(kind)


cdef inline const int32_t* first_of(const int32_t[::1] items) noexcept:
    """Return the address of the items, or NULL if there are none."""
    return &items[0] if items.shape[0] > 0 else NULL


cdef inline int check_counts(const int32_t[::1] counts, int32_t users) except -1:
    """Raise ValueError unless there is one count for each user."""
    if counts.shape[0] != users:
        raise ValueError(f"{users} users, but {counts.shape[0]} counts")
    return 0


cdef inline int load_scalars(State* state, object scalars) except -1:
    """Set the values of state_scalars, except recency_truncated."""
    scalars = {"rounded_amounts": 0, "cut_times": 0} | scalars      # left out if zero
    for name in (
        "seq", "purchases", "befriends", "unfriends", "flags", "rounded_amounts", "cut_times",
    ):
        if not 0 <= scalars[name] < <int64_t> COUNTED_LIMIT:
            raise ValueError(f"invalid {name}: {scalars[name]}")
    state.seq = scalars["seq"]
    state.events[<int> PURCHASE] = scalars["purchases"]
    state.events[<int> BEFRIEND] = scalars["befriends"]
    state.events[<int> UNFRIEND] = scalars["unfriends"]
    state.flags = scalars["flags"]
    state.rounded_amounts = scalars["rounded_amounts"]
    state.cut_times = scalars["cut_times"]
    return 0


cdef inline int load_users(State* state, const int64_t[::1] names, bytes texts) except -1:
    """Add the users, in order of their uids."""
    cdef const char* text = texts
    cdef int32_t uid
    cdef UserKey key
    state_reserve_users(state, names.shape[0])
    for uid in range(<int32_t> names.shape[0]):
        load_key(names[uid], text, len(texts), &key)
        key.hash = key_hash(state.users.secret, &key)
        if state_intern(state, &key) != uid:
            raise ValueError(f"user {uid} has the same id as an earlier user")
    return 0


cdef inline int load_purchases(
    State* state, const Loading* loading, object next_array
) except -1:
    """Read the purchases of a file; `next_array` returns the next array when called."""
    cdef const int32_t[::1] counts = array_view(next_array(), "i")
    cdef bytes purchases = next_array()
    check_counts(counts, state.users.count)
    return load_history(
        &state.history, loading, state.users.count, first_of(counts),
        <const Purchase*> <const char*> purchases,
        len(purchases) // <int64_t> sizeof(Purchase),
    )


cdef inline Loading whole_loading() noexcept nogil:
    """Return what is read into the state of a single process, from one file."""
    cdef Loading loading
    loading.kept.number = 0
    loading.kept.shards = 1
    loading.file = loading.kept
    loading.earliest_us = NEVER
    return loading


cdef inline int load_state(
    State* state, Loading* loading, object scalars, object next_array
) except -1:
    """Fill an empty state; `next_array` returns the next array as bytes when called.

    Sets `loading.seq`.
    """
    cdef const int32_t[::1] counts, uids
    cdef bytes purchases
    cdef int32_t users
    names, texts = array_view(next_array(), "q"), next_array()
    load_scalars(state, scalars)
    loading.seq = state.seq
    load_users(state, names, texts)
    users = state.users.count
    counts, uids = array_view(next_array(), "i"), array_view(next_array(), "i")
    check_counts(counts, users)
    load_graph(&state.graph, users, first_of(counts), first_of(uids), uids.shape[0])
    load_purchases(state, loading, next_array)
    uids, purchases = array_view(next_array(), "i"), next_array()
    if len(purchases) != uids.shape[0] * <int64_t> sizeof(Purchase):
        raise ValueError("the arrays of the recency log differ in length")
    load_recency(
        &state.recency, loading, users, first_of(uids),
        <const Purchase*> <const char*> purchases, uids.shape[0],
        scalars["recency_truncated"],
    )
    return 0
