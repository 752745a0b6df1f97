"""The friend graph: an adjacency list for each user, in parts for hubs.

A user's friends are in one block of a pool, in no order. A hub, a user with more than
LIST_FRIENDS friends, has them in parts instead: each part is such a list, and a keyed hash
of the friend's uid selects the part. This is linear hashing (Litwin 1980), which splits or
joins one part at a time as friends are added and removed. So an edit copies a few lists of
bounded length, whatever the number of friends, and reading a hub's friends reads its parts.

Invariants: friendships are symmetric; no user is their own friend; `count` is the total
number of friends, for hubs, too; every block in use belongs to one list or part, whose
owner its tag gives. Edits reserve all memory first (graph_reserve_edit) and cannot fail
after that. A pointer to a list is valid until the next edit. The graph owns pools and hubs.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy

from fastanomaly.engine.memory cimport (
    PyMem_RawFree, memory_error, memory_prefetch, memory_reserve,
)
from fastanomaly.engine.pool cimport (
    POOL_ITEMS, Pool, Tag, pool_begin, pool_block, pool_bytes, pool_free, pool_release,
    pool_reserve, pool_take, size_of,
)

cdef enum:
    LIST_FRIENDS = 64           # scanning that many costs about as much as finding a part
    HUB_FRIENDS_MIN = 48        # a hub with that many or fewer becomes a list again
    PART_FRIENDS_MAX = 48       # average friends per part above which one is split,
    PART_FRIENDS_MIN = 24       # and below which two are joined
    HUBS_LIMIT = 1 << 30        # higher numbers stand for lists that a batch edits (edits.pxd)

cdef extern from *:
    int leading_zeros "__builtin_clzll"(uint64_t) noexcept nogil

cdef struct Friends:
    int32_t block               # of the list, if count > 0; for hubs ~(number of the hub)
    int32_t count

cdef struct Hub:
    Friends* parts
    int64_t parts_capacity
    int64_t part_count          # 0 if the number is free
    int32_t next_free           # if free: the next free number, or -1

cdef struct Graph:
    Friends* friends            # by uid
    int64_t friends_capacity
    int64_t friendships
    Pool lists                  # owner: the uid
    Pool parts                  # owner: the number of the hub; note: the part
    Hub* hubs
    int64_t hubs_capacity
    int32_t hub_count           # including free numbers
    int32_t free_hub            # the first free number, or -1
    uint64_t secret             # of the hash that selects parts


cdef inline void graph_begin(Graph* graph, uint64_t secret) noexcept nogil:
    """Set up a graph; its struct must be zeroed."""
    pool_begin(&graph.lists, sizeof(int32_t))
    pool_begin(&graph.parts, sizeof(int32_t))
    graph.free_hub = -1
    graph.secret = secret


# -- lists: the friends of a user who is not a hub, and the parts of a hub -------------


cdef inline Tag* list_tag(const Pool* pool, Friends friends) noexcept nogil:
    """Return the tag of a list that is not empty."""
    return pool_block(pool, size_of(friends.count), friends.block)


cdef inline int32_t* list_uids(const Pool* pool, Friends friends) noexcept nogil:
    """Return the uids in a list that is not empty."""
    return <int32_t*> (list_tag(pool, friends) + 1)


cdef inline int32_t list_find(
    const int32_t* uids, int32_t count, int32_t uid
) noexcept nogil:
    """Return the index of uid, or -1; O(count)."""
    cdef int32_t i = 0, j
    cdef bint hit
    while i + 16 <= count:
        hit = False
        for j in range(16):     # no branch: compiles to vector instructions
            hit |= uids[i + j] == uid
        if hit:
            break
        i += 16
    while i < count:
        if uids[i] == uid:
            return i
        i += 1
    return -1


cdef inline Friends* graph_owner(
    Graph* graph, const Pool* pool, const Tag* tag
) noexcept nogil:
    """Return the list whose block has that tag."""
    if pool == &graph.parts:
        return &graph.hubs[tag.owner].parts[tag.note]
    return &graph.friends[tag.owner]


cdef inline void list_release(Graph* graph, Pool* pool, Friends friends) noexcept nogil:
    """Release the block of a list, which may be empty."""
    cdef const Tag* moved
    if friends.count > 0:
        moved = pool_release(
            pool, size_of(friends.count), list_tag(pool, friends)
        )
        if moved != NULL:
            graph_owner(graph, pool, moved).block = friends.block


cdef inline int list_reserve(Pool* pool, int32_t count) except -1 nogil:
    """Reserve blocks for two lists of that length: an edit writes two."""
    return pool_reserve(pool, size_of(count), 2) if count > 0 else 0


cdef inline void list_write(
    Pool* pool, Friends* friends, const int32_t* uids, int32_t count, int32_t owner,
    int32_t note
) noexcept nogil:
    """Write a list that has no block; list_reserve(count) must have been called."""
    cdef Tag* tag
    friends.count = count
    if count > 0:
        tag = pool_take(pool, size_of(count), owner, note, &friends.block)
        memcpy(<int32_t*> (tag + 1), uids, <size_t> count * sizeof(int32_t))


cdef inline void list_append(
    Graph* graph, Pool* pool, Friends* friends, int32_t uid, int32_t owner, int32_t note
) noexcept nogil:
    """Append a friend; list_reserve(count + 1) must have been called. O(count)."""
    cdef Friends before = friends[0]
    cdef int size = size_of(before.count + 1)
    cdef int32_t* uids
    friends.count += 1
    if before.count > 0 and size == size_of(before.count):
        list_uids(pool, before)[before.count] = uid
        return
    uids = <int32_t*> (pool_take(pool, size, owner, note, &friends.block) + 1)
    if before.count > 0:
        memcpy(
            uids, list_uids(pool, before), <size_t> before.count * sizeof(int32_t)
        )
        list_release(graph, pool, before)
    uids[before.count] = uid


cdef inline void list_remove(
    Graph* graph, Pool* pool, Friends* friends, int32_t uid, int32_t owner, int32_t note
) noexcept nogil:
    """Remove a friend in the list; list_reserve(count - 1) must have been called. O(count)."""
    cdef Friends before = friends[0]
    cdef int32_t* uids = list_uids(pool, before)
    uids[list_find(uids, before.count, uid)] = uids[before.count - 1]
    friends.count -= 1
    if friends.count == 0:
        list_release(graph, pool, before)
    elif size_of(friends.count) != size_of(before.count):
        list_write(pool, friends, uids, friends.count, owner, note)
        list_release(graph, pool, before)


# -- hubs ------------------------------------------------------------------------------


cdef inline int64_t power_of_two(int64_t least) noexcept nogil:
    """Return the smallest power of two >= least; least must be >= 1."""
    return <int64_t> 1 << (64 - leading_zeros(<uint64_t> (least - 1)) if least > 1 else 0)


cdef inline uint64_t mixed_hash(uint64_t number) noexcept nogil:
    """Return a number whose bits all depend on the one given; not secret by itself."""
    # The steps are those of SplitMix64 (Steele, Lea, Flood 2014).
    number = (number ^ number >> 30) * <uint64_t> 0xBF58476D1CE4E5B9
    number = (number ^ number >> 27) * <uint64_t> 0x94D049BB133111EB
    return number ^ number >> 31


cdef inline int64_t hub_part(const Graph* graph, const Hub* hub, int32_t uid) noexcept nogil:
    """Return the part to which a friend belongs."""
    # Keyed, so that users that fall into one part cannot be chosen.
    cdef uint64_t hash = mixed_hash(<uint64_t> uid + graph.secret)
    cdef int64_t whole, part
    whole = power_of_two(hub.part_count)
    part = <int64_t> (hash & <uint64_t> (whole - 1))
    return part if part < hub.part_count else part - whole // 2


cdef inline int hub_split(Graph* graph, int32_t number) except -1 nogil:
    """Add a part, and move the friends that belong to it from the part that it splits.

    Copies one part. A failed allocation changes nothing.
    """
    cdef Hub* hub = &graph.hubs[number]
    cdef int64_t source, added = hub.part_count
    cdef int32_t[POOL_ITEMS] kept, moved
    cdef int32_t i, kept_count = 0, moved_count = 0
    cdef const int32_t* uids
    cdef Friends before
    memory_reserve(
        <void**> &hub.parts, &hub.parts_capacity, hub.part_count + 1, sizeof(Friends)
    )
    source = added - power_of_two(added + 1) // 2
    before = hub.parts[source]
    hub.part_count += 1
    if before.count > 0:
        uids = list_uids(&graph.parts, before)
        for i in range(before.count):
            if hub_part(graph, hub, uids[i]) == added:
                moved[moved_count] = uids[i]
                moved_count += 1
            else:
                kept[kept_count] = uids[i]
                kept_count += 1
    hub.part_count -= 1         # in case an allocation fails
    list_reserve(&graph.parts, kept_count)
    list_reserve(&graph.parts, moved_count)
    hub.part_count += 1
    list_release(graph, &graph.parts, before)
    list_write(
        &graph.parts, &hub.parts[source], kept, kept_count, number, <int32_t> source
    )
    list_write(&graph.parts, &hub.parts[added], moved, moved_count, number, <int32_t> added)
    return 0


cdef inline int hub_join(Graph* graph, int32_t number) except -1 nogil:
    """Remove the last part, and move its friends to the part that it was split from.

    Does nothing if they do not fit. Copies two parts. A failed allocation changes nothing.
    """
    cdef Hub* hub = &graph.hubs[number]
    cdef int64_t last = hub.part_count - 1, target = last - power_of_two(last + 1) // 2
    cdef int32_t[POOL_ITEMS] uids
    cdef Friends* into
    cdef Friends joined = hub.parts[last], before
    into = &hub.parts[target]
    before = into[0]
    if joined.count + before.count > POOL_ITEMS:
        return 0
    if joined.count > 0:
        list_reserve(&graph.parts, joined.count + before.count)
        memcpy(
            uids, list_uids(&graph.parts, joined), <size_t> joined.count * sizeof(int32_t)
        )
        if before.count > 0:
            memcpy(
                &uids[joined.count], list_uids(&graph.parts, before),
                <size_t> before.count * sizeof(int32_t),
            )
        list_release(graph, &graph.parts, joined)
        # Releasing may have moved the block of `into`: read it again.
        list_release(graph, &graph.parts, into[0])
        list_write(
            &graph.parts, into, uids, joined.count + before.count, number,
            <int32_t> target,
        )
    hub.part_count = last
    return 0


cdef inline int hub_from_list(Graph* graph, int32_t uid) except -1 nogil:
    """Turn the list of a user into a hub with one part.

    A failed allocation changes nothing.
    """
    cdef Friends* friends = &graph.friends[uid]
    cdef Friends before = friends[0]
    cdef Friends* parts = NULL
    cdef int64_t capacity = 0
    cdef int32_t number = graph.free_hub
    cdef Hub* hub
    if number < 0:
        if graph.hub_count == HUBS_LIMIT:
            return memory_error(0)
        memory_reserve(
            <void**> &graph.hubs, &graph.hubs_capacity, graph.hub_count + <int64_t> 1,
            sizeof(Hub),
        )
    list_reserve(&graph.parts, before.count)
    memory_reserve(<void**> &parts, &capacity, 4, sizeof(Friends))
    if number < 0:
        number = graph.hub_count
        graph.hub_count += 1
    else:
        graph.free_hub = graph.hubs[number].next_free
    hub = &graph.hubs[number]
    hub.parts = parts
    hub.parts_capacity = capacity
    hub.part_count = 1
    list_write(&graph.parts, parts, list_uids(&graph.lists, before), before.count, number, 0)
    friends.block = ~number
    list_release(graph, &graph.lists, before)
    return 0


cdef inline int hub_to_list(Graph* graph, int32_t uid) except -1 nogil:
    """Turn a hub with at most LIST_FRIENDS friends into a list.

    A failed allocation changes nothing.
    """
    cdef Friends* friends = &graph.friends[uid]
    cdef int32_t number = ~friends.block
    cdef Hub* hub = &graph.hubs[number]
    cdef int32_t[LIST_FRIENDS] uids
    cdef int32_t count = 0
    cdef int64_t part
    list_reserve(&graph.lists, friends.count)
    for part in range(hub.part_count):
        if hub.parts[part].count > 0:
            memcpy(
                &uids[count], list_uids(&graph.parts, hub.parts[part]),
                <size_t> hub.parts[part].count * sizeof(int32_t),
            )
            count += hub.parts[part].count
            list_release(graph, &graph.parts, hub.parts[part])
    PyMem_RawFree(hub.parts)
    hub.parts = NULL
    hub.part_count = 0
    hub.next_free = graph.free_hub
    graph.free_hub = number
    list_write(&graph.lists, friends, uids, count, uid, 0)
    return 0


# -- the friends of a user, hub or not -------------------------------------------------


cdef inline int64_t friends_runs(const Graph* graph, Friends friends) noexcept nogil:
    """Return the number of arrays (runs) that hold the friends."""
    if friends.block < 0:
        return graph.hubs[~friends.block].part_count
    return friends.count > 0


cdef inline const int32_t* friends_run(
    const Graph* graph, Friends friends, int64_t run, int32_t* count
) noexcept nogil:
    """Return one run of friends; sets its length, which may be 0.

    Run 0 may be requested for every user, even one without friends.
    """
    cdef const Pool* pool = &graph.lists
    if friends.block < 0:
        friends = graph.hubs[~friends.block].parts[run]
        pool = &graph.parts
    count[0] = friends.count
    return list_uids(pool, friends) if friends.count > 0 else NULL


cdef inline void friends_prefetch(const Graph* graph, int32_t uid) noexcept nogil:
    """Prefetch the friends of a user."""
    cdef Friends friends = graph.friends[uid]
    cdef const int32_t* uids
    if friends.block >= 0 and friends.count > 0:
        uids = list_uids(&graph.lists, friends)
        memory_prefetch(uids)
        memory_prefetch(uids + 16)              # the next cache line


cdef inline bint friends_have(
    const Graph* graph, Friends friends, int32_t uid
) noexcept nogil:
    """Return whether uid is among the friends; O(LIST_FRIENDS), expected."""
    cdef const Hub* hub
    cdef Friends part
    if friends.block >= 0:
        return friends.count > 0 and (
            list_find(list_uids(&graph.lists, friends), friends.count, uid) >= 0
        )
    hub = &graph.hubs[~friends.block]
    part = hub.parts[hub_part(graph, hub, uid)]
    return part.count > 0 and (
        list_find(list_uids(&graph.parts, part), part.count, uid) >= 0
    )


cdef inline int friends_restructure(
    Graph* graph, int32_t uid, int32_t change
) except -1 nogil:
    """Restructure a user's friends for one more or one less (`change` is 1 or -1).

    A list may become a hub or the reverse, or a part of a hub may be split or joined. The
    set of friends does not change, so this need not be undone if a later step fails.
    """
    cdef const Hub* hub
    cdef int64_t count = graph.friends[uid].count + change
    cdef int32_t number
    if graph.friends[uid].block >= 0:
        return hub_from_list(graph, uid) if count > LIST_FRIENDS else 0
    if count <= HUB_FRIENDS_MIN:
        return hub_to_list(graph, uid)
    number = ~graph.friends[uid].block
    hub = &graph.hubs[number]
    if count > PART_FRIENDS_MAX * hub.part_count:
        return hub_split(graph, number)
    if count < PART_FRIENDS_MIN * hub.part_count:
        return hub_join(graph, number)
    return 0


cdef inline int part_full_error() except -1 nogil:
    """Raise MemoryError."""
    with gil:
        raise MemoryError("fastanomaly: a part of a hub is full")


cdef inline int friends_reserve(
    Graph* graph, int32_t uid, int32_t friend, int32_t change
) except -1 nogil:
    """Reserve memory to add or remove a friend, after friends_restructure."""
    cdef Friends friends = graph.friends[uid]
    cdef const Hub* hub
    cdef int32_t count
    if friends.block >= 0:
        return list_reserve(&graph.lists, friends.count + change)
    hub = &graph.hubs[~friends.block]
    count = hub.parts[hub_part(graph, hub, friend)].count + change
    if count > POOL_ITEMS:
        # Five times the average: with a keyed hash, less likely than a hardware fault.
        return part_full_error()
    return list_reserve(&graph.parts, count)


cdef inline void friends_add(Graph* graph, int32_t uid, int32_t friend) noexcept nogil:
    """Add a friend who is not in the list; friends_reserve must have been called."""
    cdef Friends* friends = &graph.friends[uid]
    cdef Hub* hub
    cdef int32_t part
    if friends.block >= 0:
        list_append(graph, &graph.lists, friends, friend, uid, 0)
        return
    hub = &graph.hubs[~friends.block]
    part = <int32_t> hub_part(graph, hub, friend)
    list_append(graph, &graph.parts, &hub.parts[part], friend, ~friends.block, part)
    friends.count += 1


cdef inline void friends_remove(Graph* graph, int32_t uid, int32_t friend) noexcept nogil:
    """Remove a friend who is in the list; friends_reserve must have been called."""
    cdef Friends* friends = &graph.friends[uid]
    cdef Hub* hub
    cdef int32_t part
    if friends.block >= 0:
        list_remove(graph, &graph.lists, friends, friend, uid, 0)
        return
    hub = &graph.hubs[~friends.block]
    part = <int32_t> hub_part(graph, hub, friend)
    list_remove(graph, &graph.parts, &hub.parts[part], friend, ~friends.block, part)
    friends.count -= 1


# -- the graph -------------------------------------------------------------------------


cdef inline int graph_reserve(Graph* graph, int64_t users) except -1 nogil:
    """Reserve memory for that many users."""
    return memory_reserve(
        <void**> &graph.friends, &graph.friends_capacity, users, sizeof(Friends)
    )


cdef inline void graph_add_user(Graph* graph, int32_t uid) noexcept nogil:
    """Add a user without friends; graph_reserve must have been called."""
    graph.friends[uid].block = 0
    graph.friends[uid].count = 0


cdef inline bint graph_find(const Graph* graph, int32_t a, int32_t b) noexcept nogil:
    """Return whether a and b are friends; searches the side with fewer friends."""
    if graph.friends[a].count <= graph.friends[b].count:
        return friends_have(graph, graph.friends[a], b)
    return friends_have(graph, graph.friends[b], a)


cdef inline int graph_reserve_edit(
    Graph* graph, int32_t a, int32_t b, int32_t change
) except -1 nogil:
    """Reserve memory to add (change = 1) or remove (-1) the friendship of a and b."""
    friends_restructure(graph, a, change)
    friends_restructure(graph, b, change)
    friends_reserve(graph, a, b, change)
    friends_reserve(graph, b, a, change)
    return 0


cdef inline int graph_befriend(Graph* graph, int32_t a, int32_t b) except -1 nogil:
    """Make a and b, who must differ, friends; no change if they are. Expected O(1).

    A failed allocation changes no friendship.
    """
    if graph_find(graph, a, b):
        return 0
    graph_reserve_edit(graph, a, b, 1)
    friends_add(graph, a, b)
    friends_add(graph, b, a)
    graph.friendships += 1
    return 0


cdef inline int graph_unfriend(Graph* graph, int32_t a, int32_t b) except -1 nogil:
    """End the friendship of a and b; no change if there is none. Expected O(1).

    A failed allocation changes no friendship.
    """
    if a == b or not graph_find(graph, a, b):
        return 0
    graph_reserve_edit(graph, a, b, -1)
    friends_remove(graph, a, b)
    friends_remove(graph, b, a)
    graph.friendships -= 1
    return 0


cdef inline int64_t graph_bytes(const Graph* graph) noexcept nogil:
    """Return the bytes allocated for friendships, without the array by uid; O(hubs)."""
    cdef int64_t bytes = pool_bytes(&graph.lists) + pool_bytes(&graph.parts)
    cdef int32_t number
    bytes += graph.hubs_capacity * <int64_t> sizeof(Hub)
    for number in range(graph.hub_count):
        if graph.hubs[number].part_count > 0:
            bytes += graph.hubs[number].parts_capacity * <int64_t> sizeof(Friends)
    return bytes


cdef inline void graph_free(Graph* graph) noexcept nogil:
    cdef int32_t number
    for number in range(graph.hub_count):
        PyMem_RawFree(graph.hubs[number].parts)
    PyMem_RawFree(graph.hubs)
    PyMem_RawFree(graph.friends)
    pool_free(&graph.lists)
    pool_free(&graph.parts)
