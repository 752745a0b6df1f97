"""The self-check: assert the invariants of the state. O(size of the state), expected."""

from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.evictions cimport Evictions
from fastanomaly.engine.graph cimport (
    Friends, Graph, friends_have, friends_run, friends_runs, graph_owner,
)
from fastanomaly.engine.history cimport (
    NEVER, Cursor, History, history_newest, history_older,
)
from fastanomaly.engine.pool cimport POOL_SIZES, Pool, Tag, pool_block
from fastanomaly.engine.recency cimport Chunk, Recency
from fastanomaly.engine.shard cimport Shard, shard_owns
from fastanomaly.engine.state cimport State
from fastanomaly.engine.types cimport Purchase, PurchaseKey, UserKey, purchase_before
from fastanomaly.engine.users cimport Users, key_hash, users_find, users_key


cdef inline int check(bint holds, str message) except -1:
    """Raise AssertionError unless the condition holds."""
    if not holds:
        raise AssertionError(message)
    return 0


cdef inline int check_users(const Users* users) except -1:
    """Check that each user is found, and that the table has free slots."""
    cdef int32_t uid
    cdef UserKey key
    for uid in range(users.count):
        key = users_key(users, uid)
        key.hash = key_hash(users.secret, &key)
        check(users_find(users, &key) == uid, f"user {uid} is not found by their id")
    check(
        3 * <int64_t> users.count <= 2 * users.table.count,
        "the user table is too full",
    )
    return 0


cdef inline int check_graph(Graph* graph, int32_t users) except -1:
    """Check that friendships are symmetric, distinct and counted, and parts consistent."""
    cdef int32_t uid, i, count
    cdef int64_t ends = 0, run
    cdef Friends friends
    cdef const int32_t* uids
    for uid in range(users):
        friends = graph.friends[uid]
        ends += friends.count
        seen = set()
        for run in range(friends_runs(graph, friends)):
            uids = friends_run(graph, friends, run, &count)
            for i in range(count):
                friend = uids[i]
                seen.add(friend)
                check(0 <= friend < users, f"user {uid} has an unknown friend")
                check(friend != uid, f"user {uid} is their own friend")
                check(
                    friends_have(graph, friends, friend),
                    f"friend {friend} of user {uid} is in the wrong part",
                )
                check(
                    friends_have(graph, graph.friends[friend], uid),
                    f"user {uid} has friend {friend}, but not vice versa",
                )
        check(len(seen) == friends.count, f"the friend count of user {uid} is wrong")
    check(ends == 2 * graph.friendships, "the number of friendships is wrong")
    check_lists(graph, &graph.lists, "list")
    check_lists(graph, &graph.parts, "part")
    return 0


cdef inline int check_lists(Graph* graph, const Pool* pool, str name) except -1:
    """Check that the owner of each block in use has its number."""
    cdef int size
    cdef int32_t block
    cdef const Tag* tag
    for size in range(POOL_SIZES):
        for block in range(<int32_t> pool.sizes[size].count):
            tag = pool_block(pool, size, block)
            check(
                graph_owner(graph, pool, tag).block == block,
                f"{name} {block} of size {size} is not known to its owner",
            )
    return 0


cdef inline int32_t check_ring(const History* history, int32_t uid) except -1:
    """Check that a ring is in order and counted, and its newest time; returns its count."""
    cdef int32_t count = 0
    cdef PurchaseKey newer
    cdef Cursor cursor
    cdef const Purchase* purchase = history_newest(history, uid, &cursor)
    check(
        history.newest_us[uid] == (NEVER if purchase == NULL else purchase.key.time_us),
        f"the newest time of user {uid} is not that of the last purchase",
    )
    while purchase != NULL:
        check(
            count == 0 or purchase_before(purchase.key, newer),
            f"the purchases of user {uid} are out of order",
        )
        newer = purchase.key
        count += 1
        purchase = history_older(history, uid, &cursor)
    check(
        count == history.rings[uid].count <= history.tracked,
        f"the purchase count of user {uid} is wrong",
    )
    return count


cdef inline int check_blocks(const History* history, int64_t kept) except -1:
    """Check that so many purchases are counted, and that rings are known to their blocks."""
    cdef int32_t size, block
    cdef const Tag* tag
    check(kept == history.kept, "the number of kept purchases is wrong")
    for size in range(POOL_SIZES):
        for block in range(<int32_t> history.blocks.sizes[size].count):
            tag = pool_block(&history.blocks, size, block)
            check(
                history.rings[tag.owner].items == <const Purchase*> (tag + 1),
                f"ring {block} of size {size} is not known to its owner",
            )
    return 0


cdef inline int check_history(const History* history, int32_t users) except -1:
    """Check all rings."""
    cdef int64_t kept = 0
    cdef int32_t uid
    for uid in range(users):
        kept += check_ring(history, uid)
    return check_blocks(history, kept)


cdef inline int check_recency(const Recency* recency) except -1:
    """Check that the recency log is in order, and counted."""
    cdef int64_t index, count = 0
    cdef int32_t place
    cdef const Chunk* chunk
    cdef const PurchaseKey* before = NULL
    for index in range(recency.chunk_count):
        chunk = recency.chunks[index]
        check(chunk.start < chunk.end, f"chunk {index} of the recency log is empty")
        for place in range(chunk.start, chunk.end):
            check(
                before == NULL or purchase_before(before[0], chunk.keys[place]),
                f"the recency log is out of order in chunk {index}",
            )
            before = &chunk.keys[place]
            count += 1
    check(count == recency.count, "the number of purchases in the recency log is wrong")
    return 0


cdef inline int check_state(State* state) except -1:
    """Check all parts of the state; AssertionError names the first violation found."""
    check_users(&state.users)
    check_graph(&state.graph, state.users.count)
    check_history(&state.history, state.users.count)
    check_recency(&state.recency)
    return 0


cdef inline int check_shard(Shard* shard) except -1:
    """Check all parts of a shard, which has the rings of its own users only."""
    cdef State* state = &shard.state
    cdef const Evictions* evictions = &shard.evictions
    cdef int64_t kept = 0, index, by = evictions.released
    cdef int32_t uid
    for uid in range(state.users.count):
        if shard_owns(shard, uid):
            kept += check_ring(&state.history, uid)
        else:
            check(state.history.rings[uid].count == 0, f"the ring of user {uid} is foreign")
    check_blocks(&state.history, kept)
    for index in range(evictions.count):
        check(by <= evictions.items[index].by < state.seq, "evictions are out of order")
        by = evictions.items[index].by
    check_users(&state.users)
    check_graph(&state.graph, state.users.count)
    check_recency(&state.recency)
    return 0
