"""The self-check: whether what the rooms hold contradicts itself. Costs the whole state."""

from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.graph cimport (
    Friends, Graph, friends_have, friends_run, friends_runs, graph_owner,
)
from fastanomaly.engine.history cimport (
    NEVER, Cursor, History, history_newest, history_older,
)
from fastanomaly.engine.pool cimport POOL_SIZES, Pool, Tag, pool_block
from fastanomaly.engine.recency cimport Chunk, Recency
from fastanomaly.engine.types cimport Key, Purchase, UserKey, key_before
from fastanomaly.engine.users cimport Users, key_hash, users_find, users_key


cdef inline int expect(bint holds, str message) except -1:
    if not holds:
        raise AssertionError(message)
    return 0


cdef inline int check_users(const Users* users) except -1:
    cdef int32_t uid
    cdef UserKey key
    for uid in range(users.count):
        key = users_key(users, uid)
        key.hash = key_hash(users.secret, &key)
        expect(users_find(users, &key) == uid, f"user {uid} is not found by id")
    expect(
        3 * <int64_t> users.count <= 2 * users.table.count,
        "the user table is too full",
    )
    return 0


cdef inline int check_graph(Graph* graph, int32_t users) except -1:
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
                expect(0 <= friend < users, f"user {uid} has an unknown friend")
                expect(friend != uid, f"user {uid} is their own friend")
                expect(
                    friends_have(graph, friends, friend),
                    f"the hub {uid} has {friend} in a wrong part",
                )
                expect(
                    friends_have(graph, graph.friends[friend], uid),
                    f"{uid} has friend {friend}, but not the other way",
                )
        expect(len(seen) == friends.count, f"the friends of user {uid} are miscounted")
    expect(ends == 2 * graph.friendships, "the friendships are miscounted")
    check_lists(graph, &graph.lists, "list")
    check_lists(graph, &graph.parts, "part")
    return 0


cdef inline int check_lists(Graph* graph, const Pool* pool, str name) except -1:
    """Every block in use is named by its owner."""
    cdef int size
    cdef int32_t block
    cdef const Tag* tag
    for size in range(POOL_SIZES):
        for block in range(<int32_t> pool.sizes[size].count):
            tag = pool_block(pool, size, block)
            expect(
                graph_owner(graph, pool, tag).block == block,
                f"{name} {block} of size {size} is not its owner's",
            )
    return 0


cdef inline int check_history(const History* history, int32_t users) except -1:
    cdef int32_t uid, count, size, block
    cdef int64_t kept = 0
    cdef const Purchase* purchase
    cdef Key newer
    cdef Cursor cursor
    for uid in range(users):
        purchase = history_newest(history, uid, &cursor)
        expect(
            history.newest_us[uid]
            == (NEVER if purchase == NULL else purchase.key.time_us),
            f"the newest purchase of user {uid} is not the last",
        )
        count = 0
        while purchase != NULL:
            expect(
                count == 0 or key_before(purchase.key, newer),
                f"the purchases of user {uid} are out of order",
            )
            newer = purchase.key
            count += 1
            purchase = history_older(history, uid, &cursor)
        expect(
            count == history.rings[uid].count <= history.tracked,
            f"the purchases of user {uid} are miscounted",
        )
        kept += count
    expect(kept == history.kept, "the purchases are miscounted")
    for size in range(POOL_SIZES):
        for block in range(<int32_t> history.blocks.sizes[size].count):
            uid = pool_block(&history.blocks, size, block).owner
            expect(
                history.rings[uid].block == block,
                f"ring {block} of size {size} is not its owner's",
            )
    return 0


cdef inline int check_recency(const Recency* recency) except -1:
    cdef int64_t index, count = 0
    cdef int32_t place
    cdef const Chunk* chunk
    cdef const Key* before = NULL
    for index in range(recency.chunk_count):
        chunk = recency.chunks[index]
        expect(chunk.start < chunk.end, f"chunk {index} of the recency log is empty")
        for place in range(chunk.start, chunk.end):
            expect(
                before == NULL or key_before(before[0], chunk.keys[place]),
                f"the recency log is out of order in chunk {index}",
            )
            before = &chunk.keys[place]
            count += 1
    expect(count == recency.count, "the recency log is miscounted")
    return 0
