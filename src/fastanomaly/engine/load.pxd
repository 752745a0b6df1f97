"""Reading what engine/save.pxd wrote, into an engine that is empty.

Nothing is believed: whatever the arrays hold, the state that comes of them is one that
events could have made, or a ValueError says what is wrong.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from fastanomaly.engine.columns cimport AMOUNT_LIMIT
from fastanomaly.engine.events cimport NUMBER_LIMIT
from fastanomaly.engine.graph cimport Graph, friends_prefetch, graph_befriend
from fastanomaly.engine.history cimport History, Ring, history_record, ring_tag
from fastanomaly.engine.memory cimport memory_prefetch
from fastanomaly.engine.pool cimport POOL_ITEMS, pool_reserve, pool_take, size_of
from fastanomaly.engine.recency cimport RECENCY_BOUND, Recency, recency_push, recency_reserve
from fastanomaly.engine.types cimport Purchase, UserKey, key_before
from fastanomaly.engine.users cimport key_of_text

cdef extern from "Python.h":
    object PyUnicode_DecodeUTF8(const char* text, Py_ssize_t length, const char* errors)


cdef inline int wrong(str what) except -1:
    raise ValueError(what)


cdef inline int load_key(
    int64_t name, const char* texts, int64_t texts_size, UserKey* key
) except -1:
    """Look into a user's name; the key is good while texts is."""
    cdef int32_t length
    cdef int64_t start = ~name
    if name >= 0:
        if name >= <int64_t> NUMBER_LIMIT:
            return wrong(f"{name} is no user's number")
        key.number = name
        key.text = NULL
        key.length = 0
        return 0
    if start > texts_size - <int64_t> sizeof(int32_t):
        return wrong("a user's text is beyond the texts")
    memcpy(&length, texts + start, sizeof(int32_t))
    start += sizeof(int32_t)
    if not 0 < length <= texts_size - start:
        return wrong("a user's text is beyond the texts")
    key[0] = key_of_text(texts + start, length)
    if key.number >= 0:
        return wrong(f"the text {key.number} should be a number")
    PyUnicode_DecodeUTF8(key.text, length, NULL)
    return 0


cdef inline int load_graph(
    Graph* graph, int32_t users, const int32_t* counts, const int32_t* uids, int64_t size
) except -1:
    """Make the friendships, each of which stands under the lower of its uids."""
    cdef int32_t uid, _friend
    cdef int64_t used = 0, ahead
    for uid in range(users):
        if not 0 <= counts[uid] <= size - used:
            return wrong(f"user {uid} has {counts[uid]} later friends")
        for _friend in range(counts[uid]):
            if not uid < uids[used] < users:
                return wrong(f"user {uid} has the later friend {uids[used]}")
            ahead = used + 16
            if ahead < size and 0 <= uids[ahead] < users:
                memory_prefetch(&graph.friends[uids[ahead]])
            ahead = used + 8
            if ahead < size and 0 <= uids[ahead] < users:
                friends_prefetch(graph, uids[ahead])
            graph_befriend(graph, uid, uids[used])
            used += 1
    if used != size or graph.friendships != size:
        return wrong(f"{size} friendships, but {graph.friendships} different ones are used")
    return 0


cdef inline bint purchase_valid(const Purchase* purchase, int64_t seq) noexcept nogil:
    return (
        0 <= purchase.amount_units < <int64_t> AMOUNT_LIMIT and 0 <= purchase.key.seq < seq
    )


cdef inline int load_ring(
    History* history, int32_t uid, const Purchase* newest_first, int32_t count
) except -1 nogil:
    """Fill a ring that is empty."""
    cdef Ring* ring = &history.rings[uid]
    cdef Purchase* items
    cdef int32_t i
    if count > POOL_ITEMS:
        for i in range(count - 1, -1, -1):
            history_record(history, uid, newest_first[i])
        return 0
    pool_reserve(&history.blocks, size_of(count), 1)
    ring.block = pool_take(&history.blocks, size_of(count), uid, 0)
    ring.count = count
    items = <Purchase*> (ring_tag(history, ring[0]) + 1)
    for i in range(count):
        items[i] = newest_first[count - 1 - i]
    history.newest_us[uid] = newest_first[0].key.time_us
    history.kept += count
    return 0


cdef inline int load_history(
    History* history, int32_t users, const int32_t* counts, const Purchase* purchases,
    int64_t size, int64_t seq
) except -1:
    """Fill the rings; `seq` is that of the next purchase."""
    cdef int32_t uid, i
    cdef int64_t used = 0
    for uid in range(users):
        if not 0 <= counts[uid] <= min(size - used, <int64_t> history.tracked):
            return wrong(f"user {uid} has {counts[uid]} purchases")
        for i in range(counts[uid]):
            if not purchase_valid(&purchases[used + i], seq):
                return wrong(f"a purchase of user {uid} is out of range")
            if i > 0 and not key_before(purchases[used + i].key, purchases[used + i - 1].key):
                return wrong(f"the purchases of user {uid} are not in order")
        if counts[uid] > 0:
            load_ring(history, uid, purchases + used, counts[uid])
        used += counts[uid]
    if used != size:
        return wrong(f"{size} purchases, but {used} are used")
    return 0


cdef inline int load_recency(
    Recency* recency, int32_t users, const int32_t* uids, const Purchase* purchases,
    int64_t size, int64_t seq, bint truncated
) except -1:
    """Fill the recency log; `truncated` tells whether it ever dropped a purchase."""
    cdef int64_t i
    if size > RECENCY_BOUND:
        return wrong(f"{size} purchases in a recency log of {RECENCY_BOUND}")
    for i in range(size):
        if not 0 <= uids[i] < users or not purchase_valid(&purchases[i], seq):
            return wrong(f"purchase {i} of the recency log is out of range")
        if i > 0 and not key_before(purchases[i - 1].key, purchases[i].key):
            return wrong("the recency log is not in order")
        recency_reserve(recency)
        recency_push(recency, purchases[i], uids[i])
    recency.truncated = truncated
    return 0
