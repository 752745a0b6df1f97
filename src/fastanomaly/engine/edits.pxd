"""The friendships that a batch edits: lists of friends as of each place in the batch.

An edit at a place adds a version of both users' lists: a copy, with one friend more or less.
Of a hub, only the part that has the friend is copied. A reader at a place takes the newest
version before it, or the list in the graph if there is none.

A version is found by its user and part, through a table of the newest versions, each of
which leads to the one before. A filter of bits by uid says at once that a user was not
edited. Edits owns its arrays; they are written while a batch is prepared, and only read
while it is judged.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy, memset

from fastanomaly.engine.graph cimport (
    HUBS_LIMIT, Friends, Graph, friends_run, hub_part, list_find, mixed_hash,
)
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_reserve

cdef enum:
    EDITS_MAX = 1 << 10         # in a batch
    EDIT_VERSIONS = 4           # that an edit adds at most: both users' parts and totals
    SLOTS = 1 << 13             # twice as many as versions
    FILTER_WORDS = 1 << 9       # of 64 bits each: one by uid, which some users share
    TOTAL = -1                  # stands for a part: the number of a hub's friends

cdef struct ListVersion:
    int32_t uid
    int32_t part                # of a hub, or TOTAL; 0 for lists
    int32_t place               # of the edit in the batch
    int32_t older               # index of the version before this one, or -1
    int32_t hub                 # number of the hub; -1 for lists
    int32_t count               # of friends
    int64_t start               # of the friends in `uids`; not set for totals

cdef struct Edits:
    ListVersion* versions       # in order of their places
    int64_t versions_capacity
    int32_t version_count
    int32_t* uids               # the friends of all versions
    int64_t uids_capacity
    int64_t uids_used
    int32_t[SLOTS] slots        # index of the newest version of a list + 1, or 0
    uint64_t[FILTER_WORDS] filter


cdef inline void edits_clear(Edits* edits) noexcept nogil:
    """Forget all edits; the struct must be zeroed before the first ones."""
    if edits.version_count > 0:
        memset(edits.slots, 0, sizeof(edits.slots))
        memset(edits.filter, 0, sizeof(edits.filter))
    edits.version_count = 0
    edits.uids_used = 0


cdef inline bint edits_may_have(const Edits* edits, int32_t uid) noexcept nogil:
    """Return False if no friendship of a user was edited."""
    return edits.filter[uid // 64 % FILTER_WORDS] >> (uid % 64) & 1


cdef inline int32_t edits_slot(
    const Edits* edits, const Graph* graph, int32_t uid, int32_t part
) noexcept nogil:
    """Return the slot of a list's newest version, or the free one where it belongs.

    Expected O(1).
    """
    cdef uint64_t hash = mixed_hash(
        graph.secret + (<uint64_t> <unsigned int> part << 32 | <uint64_t> uid)
    )
    cdef int32_t slot = <int32_t> (hash % SLOTS)
    cdef const ListVersion* version
    while edits.slots[slot] != 0:
        version = &edits.versions[edits.slots[slot] - 1]
        if version.uid == uid and version.part == part:
            break
        slot = (slot + 1) % SLOTS
    return slot


cdef inline const ListVersion* edits_find(
    const Edits* edits, const Graph* graph, int32_t uid, int32_t part, int32_t place
) noexcept nogil:
    """Return the newest version of a list before a place, or NULL.

    Expected O(edits of the list).
    """
    cdef int32_t index = edits.slots[edits_slot(edits, graph, uid, part)] - 1
    while index >= 0 and edits.versions[index].place >= place:
        index = edits.versions[index].older
    return &edits.versions[index] if index >= 0 else NULL


cdef inline Friends edits_friends(
    const Edits* edits, const Graph* graph, int32_t uid, int32_t place
) noexcept nogil:
    """Return the friends of a user at a place, for edits_run and edits_have."""
    cdef Friends friends = graph.friends[uid]
    cdef int32_t part = TOTAL if friends.block < 0 else 0
    cdef const ListVersion* version = edits_find(edits, graph, uid, part, place)
    if version != NULL:
        friends.block = ~(HUBS_LIMIT + <int32_t> (version - edits.versions))
        friends.count = version.count
    return friends


cdef inline const ListVersion* edits_version(
    const Edits* edits, Friends friends
) noexcept nogil:
    """Return the version that edits_friends has found."""
    return &edits.versions[~friends.block - HUBS_LIMIT]


cdef inline int64_t edits_runs(
    const Edits* edits, const Graph* graph, Friends friends
) noexcept nogil:
    """Return the number of runs of the friends that edits_friends has found."""
    cdef const ListVersion* version = edits_version(edits, friends)
    if version.hub < 0:
        return 1
    return graph.hubs[version.hub].part_count


cdef inline const int32_t* edits_run(
    const Edits* edits, const Graph* graph, Friends friends, int64_t run, int32_t place,
    int32_t* count
) noexcept nogil:
    """Return one run of the friends that edits_friends has found; sets its length."""
    cdef const ListVersion* version = edits_version(edits, friends)
    cdef int32_t hub = version.hub
    if hub >= 0:
        version = edits_find(edits, graph, version.uid, <int32_t> run, place)
        if version == NULL:
            friends.block = ~hub
            return friends_run(graph, friends, run, count)
    count[0] = version.count
    return edits.uids + version.start


cdef inline bint edits_have(
    const Edits* edits, const Graph* graph, Friends friends, int32_t friend, int32_t place
) noexcept nogil:
    """Return whether a user is among the friends that edits_friends has found."""
    cdef const ListVersion* version = edits_version(edits, friends)
    cdef int64_t run = 0
    cdef int32_t count
    cdef const int32_t* uids
    if version.hub >= 0:
        run = hub_part(graph, &graph.hubs[version.hub], friend)
    uids = edits_run(edits, graph, friends, run, place, &count)
    return list_find(uids, count, friend) >= 0


cdef inline ListVersion* edits_add_version(
    Edits* edits, const Graph* graph, int32_t uid, int32_t part, int32_t place
) noexcept nogil:
    """Add a version of a list, without its friends; memory must have been reserved."""
    cdef int32_t slot = edits_slot(edits, graph, uid, part)
    cdef ListVersion* version = &edits.versions[edits.version_count]
    version.uid = uid
    version.part = part
    version.place = place
    version.older = edits.slots[slot] - 1
    edits.version_count += 1
    edits.slots[slot] = edits.version_count
    edits.filter[uid // 64 % FILTER_WORDS] |= <uint64_t> 1 << (uid % 64)
    return version


cdef inline int edits_change_list(
    Edits* edits, const Graph* graph, int32_t uid, int32_t friend, int32_t place,
    int32_t change
) except -1 nogil:
    """Add a version of a user's list: with the friend (change = 1) or without (-1).

    O(friends in the list, or in the part of a hub). A failed allocation changes nothing.
    """
    cdef Friends base = graph.friends[uid]
    cdef int32_t hub = ~base.block if base.block < 0 else -1
    cdef int32_t part = 0, count, total, gone
    cdef const int32_t* before
    cdef int32_t* after
    cdef ListVersion* version
    cdef const ListVersion* older
    if hub >= 0:
        part = <int32_t> hub_part(graph, &graph.hubs[hub], friend)
    memory_reserve(
        <void**> &edits.versions, &edits.versions_capacity,
        edits.version_count + EDIT_VERSIONS, sizeof(ListVersion),
    )
    older = edits_find(edits, graph, uid, part, place)
    before = friends_run(graph, base, part, &count)
    if older != NULL:
        count = older.count
    memory_reserve(
        <void**> &edits.uids, &edits.uids_capacity, edits.uids_used + count + 1,
        sizeof(int32_t),
    )
    if older != NULL:
        before = edits.uids + older.start
    after = edits.uids + edits.uids_used
    if count > 0:
        memcpy(after, before, <size_t> count * sizeof(int32_t))
    if change > 0:
        after[count] = friend
    else:
        gone = list_find(after, count, friend)
        after[gone] = after[count - 1]
    version = edits_add_version(edits, graph, uid, part, place)
    version.hub = hub
    version.count = count + change
    version.start = edits.uids_used
    edits.uids_used += count + change
    if hub >= 0:
        older = edits_find(edits, graph, uid, TOTAL, place)
        total = base.count if older == NULL else older.count
        version = edits_add_version(edits, graph, uid, TOTAL, place)
        version.hub = hub
        version.count = total + change
    return 0


cdef inline int64_t edits_bytes(const Edits* edits) noexcept nogil:
    """Return the bytes allocated for versions."""
    return (
        edits.versions_capacity * <int64_t> sizeof(ListVersion)
        + edits.uids_capacity * <int64_t> sizeof(int32_t)
    )


cdef inline void edits_free(Edits* edits) noexcept nogil:
    PyMem_RawFree(edits.versions)
    PyMem_RawFree(edits.uids)
