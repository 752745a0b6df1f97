"""The friend graph: adjacency arrays by uid, and an index for hubs.

befriend and unfriend look in the smaller of the two lists. A user with HUB_FRIENDS
friends or more is a hub and has an index from friend to place in the list, so that
neither costs more with more friends.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memset

from fastanomaly._memory cimport PyMem_RawFree, memory_reserve_zeroed, memory_resize

cdef enum:
    HUB_FRIENDS = 64            # scanning fewer than this beats probing an index

cdef struct Friends:
    int32_t* uids               # in no order
    int32_t* slots              # hubs: place in uids + 1, or 0 where free; else NULL
    int64_t capacity            # of uids
    int32_t count
    int32_t slot_bits           # hubs: the index has 2^slot_bits slots

cdef struct Graph:
    Friends* friends            # by uid
    int64_t friends_capacity
    int64_t friendships
    uint64_t multiplier         # odd and random: the index's hash


cdef inline int64_t friends_slot(
    const Graph* graph, const Friends* friends, int32_t uid
) noexcept nogil:
    # Multiply-shift hashing (Dietzfelbinger et al. 1997): universal for a random
    # odd multiplier, so which uids collide cannot be known in advance.
    return <int64_t> ((graph.multiplier * <uint64_t> uid) >> (64 - friends.slot_bits))


cdef inline int64_t friends_probe(
    const Graph* graph, const Friends* friends, int32_t uid
) noexcept nogil:
    """The slot of a hub's friend, or the free one where it belongs."""
    cdef int64_t mask = (<int64_t> 1 << friends.slot_bits) - 1
    cdef int64_t slot = friends_slot(graph, friends, uid)
    while friends.slots[slot] != 0 and friends.uids[friends.slots[slot] - 1] != uid:
        slot = (slot + 1) & mask
    return slot


cdef inline int32_t friends_find(
    const Graph* graph, const Friends* friends, int32_t uid
) noexcept nogil:
    """The place of uid in the list, or -1."""
    cdef int32_t place
    if friends.slots != NULL:
        return friends.slots[friends_probe(graph, friends, uid)] - 1
    for place in range(friends.count):
        if friends.uids[place] == uid:
            return place
    return -1


cdef inline int friends_reserve(const Graph* graph, Friends* friends) except -1 nogil:
    """Make room for one friend more, in the list and in a hub's index."""
    cdef int32_t* slots = NULL
    cdef int32_t bits
    cdef int64_t slot_count, slot
    cdef int32_t place
    if friends.count == friends.capacity:
        # Most users have few friends: start small, unlike the arrays by uid.
        slot_count = max(2 * friends.capacity, 4)
        memory_resize(<void**> &friends.uids, slot_count, sizeof(int32_t))
        friends.capacity = slot_count
    if friends.count + 1 < HUB_FRIENDS or (
        friends.slots != NULL
        and 3 * (<int64_t> 1 << friends.slot_bits) >= 4 * (friends.count + <int64_t> 1)
    ):
        return 0
    bits = friends.slot_bits + 1 if friends.slots != NULL else 7
    slot_count = <int64_t> 1 << bits
    memory_resize(<void**> &slots, slot_count, sizeof(int32_t))
    memset(slots, 0, <size_t> slot_count * sizeof(int32_t))
    PyMem_RawFree(friends.slots)
    friends.slots = slots
    friends.slot_bits = bits
    for place in range(friends.count):
        slot = friends_probe(graph, friends, friends.uids[place])
        slots[slot] = place + 1
    return 0


cdef inline void friends_append(
    const Graph* graph, Friends* friends, int32_t uid
) noexcept nogil:
    """Add a friend who is not there, after friends_reserve."""
    if friends.slots != NULL:
        friends.slots[friends_probe(graph, friends, uid)] = friends.count + 1
    friends.uids[friends.count] = uid
    friends.count += 1


cdef inline void friends_remove(
    const Graph* graph, Friends* friends, int32_t uid, int32_t place
) noexcept nogil:
    """Remove the friend uid at place: the last friend takes the place."""
    cdef int32_t last = friends.uids[friends.count - 1]
    cdef int64_t mask, hole, slot, home
    if friends.slots != NULL:
        hole = friends_probe(graph, friends, uid)
        slot = friends_probe(graph, friends, last)
        friends.slots[slot] = place + 1
        friends.slots[hole] = 0
    friends.uids[place] = last
    friends.count -= 1
    if friends.slots != NULL:
        # Close the hole by moving back what was probed past it: no tombstones.
        mask = (<int64_t> 1 << friends.slot_bits) - 1
        slot = (hole + 1) & mask
        while friends.slots[slot] != 0:
            home = friends_slot(graph, friends, friends.uids[friends.slots[slot] - 1])
            if ((slot - home) & mask) >= ((slot - hole) & mask):
                friends.slots[hole] = friends.slots[slot]
                friends.slots[slot] = 0
                hole = slot
            slot = (slot + 1) & mask


cdef inline int graph_reserve(Graph* graph, int64_t users) except -1 nogil:
    """Make room for that many users, none of whom has friends yet."""
    return memory_reserve_zeroed(
        <void**> &graph.friends, &graph.friends_capacity, users, sizeof(Friends)
    )


cdef inline bint graph_find(const Graph* graph, int32_t a, int32_t b) noexcept nogil:
    """Whether a and b are friends: looked up on the side where it costs less."""
    if graph.friends[a].count <= graph.friends[b].count:
        return friends_find(graph, &graph.friends[a], b) >= 0
    return friends_find(graph, &graph.friends[b], a) >= 0


cdef inline int graph_befriend(Graph* graph, int32_t a, int32_t b) except -1 nogil:
    """Make a and b friends; they differ. Expected O(1)."""
    if graph_find(graph, a, b):
        return 0
    friends_reserve(graph, &graph.friends[a])
    friends_reserve(graph, &graph.friends[b])
    friends_append(graph, &graph.friends[a], b)
    friends_append(graph, &graph.friends[b], a)
    graph.friendships += 1
    return 0


cdef inline void graph_unfriend(Graph* graph, int32_t a, int32_t b) noexcept nogil:
    """Make a and b friends no more, if they are. Expected O(1)."""
    if a == b or not graph_find(graph, a, b):
        return
    friends_remove(graph, &graph.friends[a], b, friends_find(graph, &graph.friends[a], b))
    friends_remove(graph, &graph.friends[b], a, friends_find(graph, &graph.friends[b], a))
    graph.friendships -= 1


cdef inline void graph_free(Graph* graph, int64_t users) noexcept nogil:
    cdef int64_t uid
    for uid in range(users):
        PyMem_RawFree(graph.friends[uid].uids)
        PyMem_RawFree(graph.friends[uid].slots)
    PyMem_RawFree(graph.friends)
