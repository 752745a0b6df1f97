"""The friend graph: an adjacency array for each user, in parts for hubs.

A user's friends stand in one block of the pool, in no order. A hub, who has more than
LIST_FRIENDS, has them in parts instead, each of them such a list, by the friends' hash:
linear hashing (Litwin 1980), which splits or joins one part at a time as friends come and
go. So no edit costs more than a few lists of bounded length, whatever the number of
friends, and reading a hub's friends is reading its parts.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy

from fastanomaly.engine.memory cimport PyMem_RawFree, memory_prefetch, memory_reserve
from fastanomaly.engine.pool cimport (
    POOL_ITEMS, Pool, Tag, pool_begin, pool_block, pool_bytes, pool_free, pool_give,
    pool_reserve, pool_take, size_of,
)

cdef enum:
    LIST_FRIENDS = 64           # scanning as many costs about as much as finding a part
    LIST_AGAIN = 48             # friends at which a hub is a list again
    PART_MOST = 48              # friends a part, on average, at which one is split,
    PART_LEAST = 24             # and at which two are joined

cdef extern from *:
    int leading_zeros "__builtin_clzll"(uint64_t) noexcept nogil

cdef struct Friends:
    int32_t block               # of the list, if count > 0; ~(number of the hub) for hubs
    int32_t count

cdef struct Hub:
    Friends* parts
    int64_t parts_capacity
    int64_t part_count          # 0 for a number that is free
    int32_t next_free           # then, the next such number, or -1

cdef struct Graph:
    Friends* friends            # by uid
    int64_t friends_capacity
    int64_t friendships
    Pool lists                  # owner: the uid
    Pool parts                  # owner: the number of the hub; note: of the part
    Hub* hubs
    int64_t hubs_capacity
    int32_t hub_count           # numbers given out, free ones included
    int32_t free_hub            # or -1
    uint64_t secret


cdef inline void graph_begin(Graph* graph, uint64_t secret) noexcept nogil:
    """Set up a graph that has been zeroed."""
    pool_begin(&graph.lists, sizeof(int32_t))
    pool_begin(&graph.parts, sizeof(int32_t))
    graph.free_hub = -1
    graph.secret = secret


# -- lists: the friends of a user who is no hub, and the parts of a hub ----------------


cdef inline int32_t* list_uids(const Pool* pool, Friends friends) noexcept nogil:
    """The friends in a list that is not empty."""
    return <int32_t*> (pool_block(pool, size_of(friends.count), friends.block) + 1)


cdef inline int32_t list_find(
    const int32_t* uids, int32_t count, int32_t uid
) noexcept nogil:
    """The place of uid, or -1."""
    cdef int32_t i = 0, j
    cdef bint hit
    while i + 16 <= count:
        hit = False
        for j in range(16):     # without a branch: compiled to vector instructions
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
    """Who has the block with that tag."""
    if pool == &graph.parts:
        return &graph.hubs[tag.owner].parts[tag.note]
    return &graph.friends[tag.owner]


cdef inline void list_give(Graph* graph, Pool* pool, Friends friends) noexcept nogil:
    """Give the block of a list back."""
    cdef const Tag* moved
    if friends.count > 0:
        moved = pool_give(pool, size_of(friends.count), friends.block)
        if moved != NULL:
            graph_owner(graph, pool, moved).block = friends.block


cdef inline int list_reserve(Pool* pool, int32_t count) except -1 nogil:
    """Make sure that two lists can be written with that many friends: an edit has two."""
    return pool_reserve(pool, size_of(count), 2) if count > 0 else 0


cdef inline void list_write(
    Pool* pool, Friends* friends, const int32_t* uids, int32_t count, int32_t owner,
    int32_t note
) noexcept nogil:
    """Write a list anew, after a reserve; it has no block."""
    friends.count = count
    if count > 0:
        friends.block = pool_take(pool, size_of(count), owner, note)
        memcpy(list_uids(pool, friends[0]), uids, <size_t> count * sizeof(int32_t))


cdef inline void list_append(
    Graph* graph, Pool* pool, Friends* friends, int32_t uid, int32_t owner, int32_t note
) noexcept nogil:
    """Add a friend, after list_reserve for one more."""
    cdef Friends before = friends[0]
    friends.count += 1
    if before.count == 0 or size_of(friends.count) != size_of(before.count):
        friends.block = pool_take(pool, size_of(friends.count), owner, note)
        if before.count > 0:
            memcpy(
                list_uids(pool, friends[0]), list_uids(pool, before),
                <size_t> before.count * sizeof(int32_t),
            )
            list_give(graph, pool, before)
    list_uids(pool, friends[0])[before.count] = uid


cdef inline void list_remove(
    Graph* graph, Pool* pool, Friends* friends, int32_t uid, int32_t owner, int32_t note
) noexcept nogil:
    """Remove a friend who is there, after list_reserve for one less."""
    cdef Friends before = friends[0]
    cdef int32_t* uids = list_uids(pool, before)
    uids[list_find(uids, before.count, uid)] = uids[before.count - 1]
    friends.count -= 1
    if friends.count == 0:
        list_give(graph, pool, before)
    elif size_of(friends.count) != size_of(before.count):
        list_write(pool, friends, uids, friends.count, owner, note)
        list_give(graph, pool, before)


# -- hubs ------------------------------------------------------------------------------


cdef inline int64_t power_of_two(int64_t least) noexcept nogil:
    """The smallest one that is not below `least`, which is 1 or more."""
    return <int64_t> 1 << (64 - leading_zeros(<uint64_t> (least - 1)) if least > 1 else 0)


cdef inline int64_t hub_part(const Graph* graph, const Hub* hub, int32_t uid) noexcept nogil:
    """The part in which a friend is or would be."""
    # Keyed, so that which users share a part cannot be known: the mixing steps are
    # those of SplitMix64 (Steele, Lea, Flood 2014).
    cdef uint64_t hash = <uint64_t> uid + graph.secret
    cdef int64_t whole, part
    hash = (hash ^ hash >> 30) * <uint64_t> 0xBF58476D1CE4E5B9
    hash = (hash ^ hash >> 27) * <uint64_t> 0x94D049BB133111EB
    hash ^= hash >> 31
    whole = power_of_two(hub.part_count)
    part = <int64_t> (hash & <uint64_t> (whole - 1))
    return part if part < hub.part_count else part - whole // 2


cdef inline int hub_split(Graph* graph, int32_t number) except -1 nogil:
    """Move the friends who belong in a new part there, from the part that had them."""
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
    hub.part_count -= 1         # until nothing can fail any more
    list_reserve(&graph.parts, kept_count)
    list_reserve(&graph.parts, moved_count)
    hub.part_count += 1
    list_give(graph, &graph.parts, before)
    list_write(
        &graph.parts, &hub.parts[source], kept, kept_count, number, <int32_t> source
    )
    list_write(&graph.parts, &hub.parts[added], moved, moved_count, number, <int32_t> added)
    return 0


cdef inline int hub_join(Graph* graph, int32_t number) except -1 nogil:
    """Move the friends in the last part back to the part they were split from."""
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
        list_give(graph, &graph.parts, joined)
        # The block of `into` may just have been moved into the hole.
        list_give(graph, &graph.parts, into[0])
        list_write(
            &graph.parts, into, uids, joined.count + before.count, number,
            <int32_t> target,
        )
    hub.part_count = last
    return 0


cdef inline int hub_make(Graph* graph, int32_t uid) except -1 nogil:
    """Turn the list of a user into a hub of one part."""
    cdef Friends* friends = &graph.friends[uid]
    cdef Friends before = friends[0]
    cdef Friends* parts = NULL
    cdef int64_t capacity = 0
    cdef int32_t number = graph.free_hub
    cdef Hub* hub
    if number < 0:
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
    list_give(graph, &graph.lists, before)
    return 0


cdef inline int hub_unmake(Graph* graph, int32_t uid) except -1 nogil:
    """Turn a hub with few friends into a list."""
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
            list_give(graph, &graph.parts, hub.parts[part])
    PyMem_RawFree(hub.parts)
    hub.parts = NULL
    hub.part_count = 0
    hub.next_free = graph.free_hub
    graph.free_hub = number
    list_write(&graph.lists, friends, uids, count, uid, 0)
    return 0


# -- the friends of a user, hub or not -------------------------------------------------


cdef inline int64_t friends_runs(const Graph* graph, Friends friends) noexcept nogil:
    """In how many arrays the friends stand."""
    if friends.block < 0:
        return graph.hubs[~friends.block].part_count
    return friends.count > 0


cdef inline const int32_t* friends_run(
    const Graph* graph, Friends friends, int64_t run, int32_t* count
) noexcept nogil:
    """One of these arrays, and how many friends it has: none, perhaps.

    The first may be asked for of everybody.
    """
    cdef const Pool* pool = &graph.lists
    if friends.block < 0:
        friends = graph.hubs[~friends.block].parts[run]
        pool = &graph.parts
    count[0] = friends.count
    return list_uids(pool, friends) if friends.count > 0 else NULL


cdef inline void friends_prefetch(const Graph* graph, int32_t uid) noexcept nogil:
    """Begin to fetch the friends of a user who will soon be looked at."""
    cdef Friends friends = graph.friends[uid]
    cdef const int32_t* uids
    if friends.block >= 0 and friends.count > 0:
        uids = list_uids(&graph.lists, friends)
        memory_prefetch(uids)
        memory_prefetch(uids + 16)              # a cache line on


cdef inline bint friends_have(
    const Graph* graph, Friends friends, int32_t uid
) noexcept nogil:
    """Whether uid is among them."""
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


cdef inline int friends_rearrange(
    Graph* graph, int32_t uid, int32_t change
) except -1 nogil:
    """Make lists of hubs, parts of one and so on, for one friend more or less (`change`).

    Nothing that can be seen changes.
    """
    cdef const Hub* hub
    cdef int64_t count = graph.friends[uid].count + change
    cdef int32_t number
    if graph.friends[uid].block >= 0:
        return hub_make(graph, uid) if count > LIST_FRIENDS else 0
    if count <= LIST_AGAIN:
        return hub_unmake(graph, uid)
    number = ~graph.friends[uid].block
    hub = &graph.hubs[number]
    if count > PART_MOST * hub.part_count:
        return hub_split(graph, number)
    if count < PART_LEAST * hub.part_count:
        return hub_join(graph, number)
    return 0


cdef inline int part_full() except -1 nogil:
    with gil:
        raise MemoryError("fastanomaly: a part of a hub is full")


cdef inline int friends_reserve(
    Graph* graph, int32_t uid, int32_t friend, int32_t change
) except -1 nogil:
    """Make room to add a friend, or to remove one, after friends_rearrange."""
    cdef Friends friends = graph.friends[uid]
    cdef const Hub* hub
    cdef int32_t count
    if friends.block >= 0:
        return list_reserve(&graph.lists, friends.count + change)
    hub = &graph.hubs[~friends.block]
    count = hub.parts[hub_part(graph, hub, friend)].count + change
    if count > POOL_ITEMS:
        # Five times the average: under a keyed hash, less likely than a fault in the machine.
        return part_full()
    return list_reserve(&graph.parts, count)


cdef inline void friends_add(Graph* graph, int32_t uid, int32_t friend) noexcept nogil:
    """Add a friend who is not there, after friends_reserve."""
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
    """Remove a friend who is there, after friends_reserve."""
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
    """Make room for that many users."""
    return memory_reserve(
        <void**> &graph.friends, &graph.friends_capacity, users, sizeof(Friends)
    )


cdef inline void graph_add_user(Graph* graph, int32_t uid) noexcept nogil:
    """Begin with no friends."""
    graph.friends[uid].block = 0
    graph.friends[uid].count = 0


cdef inline bint graph_find(const Graph* graph, int32_t a, int32_t b) noexcept nogil:
    """Whether a and b are friends: looked up on the side where it costs less."""
    if graph.friends[a].count <= graph.friends[b].count:
        return friends_have(graph, graph.friends[a], b)
    return friends_have(graph, graph.friends[b], a)


cdef inline int graph_edit(
    Graph* graph, int32_t a, int32_t b, int32_t change
) except -1 nogil:
    """Reserve what it takes to make a and b friends, or friends no more."""
    friends_rearrange(graph, a, change)
    friends_rearrange(graph, b, change)
    friends_reserve(graph, a, b, change)
    friends_reserve(graph, b, a, change)
    return 0


cdef inline int graph_befriend(Graph* graph, int32_t a, int32_t b) except -1 nogil:
    """Make a and b friends; they differ. Expected O(1)."""
    if graph_find(graph, a, b):
        return 0
    graph_edit(graph, a, b, 1)
    friends_add(graph, a, b)
    friends_add(graph, b, a)
    graph.friendships += 1
    return 0


cdef inline int graph_unfriend(Graph* graph, int32_t a, int32_t b) except -1 nogil:
    """Make a and b friends no more, if they are. Expected O(1)."""
    if a == b or not graph_find(graph, a, b):
        return 0
    graph_edit(graph, a, b, -1)
    friends_remove(graph, a, b)
    friends_remove(graph, b, a)
    graph.friendships -= 1
    return 0


cdef inline int64_t graph_bytes(const Graph* graph) noexcept nogil:
    """The bytes that friendships take, without what each user has anyway."""
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
