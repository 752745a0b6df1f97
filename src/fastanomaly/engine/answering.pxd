"""Answers of a shard: the newest purchases of users that it owns, as of a place in the log.

A shard answers once it has reached the place, and may be ahead: purchases recorded since are
skipped, and what the rings have dropped since is among the evictions. Nothing is changed.
"""

from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.evictions cimport Eviction, evictions_index, evictions_newest
from fastanomaly.engine.memory cimport PyMem_RawFree
from fastanomaly.engine.merge cimport (
    Candidate, Merge, merge_begin, merge_free, merge_newest, merge_reserve, merge_take,
)
from fastanomaly.engine.packet cimport (
    Answer, AnswersHead, Ask, AsksHead, Packet, Reader, packet_append, packet_error,
    packet_free, reader_take,
)
from fastanomaly.engine.purchase_list cimport PurchaseList, list_append, list_sort
from fastanomaly.engine.shard cimport Shard, shard_owns
from fastanomaly.engine.types cimport Purchase, purchase_before

cdef struct Answerer:           # reused for all answers of a shard
    Merge merge
    PurchaseList evicted        # what the rings had at the place and have dropped since
    Packet packet
    int64_t evicted_seen        # work: what rings have dropped, of members


cdef inline void answerer_free(Answerer* answerer) noexcept nogil:
    merge_free(&answerer.merge)
    PyMem_RawFree(answerer.evicted.items)
    packet_free(&answerer.packet)


cdef inline bint is_asked_for(
    const Purchase* purchase, const Ask* ask, int64_t seq
) noexcept nogil:
    """Return whether a purchase was there at the place, and is before the key asked for."""
    return purchase.key.seq < seq and purchase_before(purchase.key, ask.before)


cdef inline int answerer_collect_evicted(
    Answerer* answerer, const Shard* shard, const Ask* ask, int64_t seq, const int32_t* uids
) except -1 nogil:
    """List what the rings of users have dropped since the place, newest first.

    The evictions must be indexed.
    """
    cdef const Eviction* eviction
    cdef int64_t index
    cdef int32_t i
    answerer.evicted.count = 0
    if seq == shard.state.seq:
        return 0
    for i in range(ask.members):
        index = evictions_newest(&shard.evictions, uids[i])
        while index >= 0:
            eviction = &shard.evictions.items[index]
            answerer.evicted_seen += 1
            if eviction.by < seq:
                break
            if is_asked_for(&eviction.purchase, ask, seq):
                list_append(&answerer.evicted, &eviction.purchase)
            index = eviction.older
    list_sort(&answerer.evicted)
    return 0


cdef inline const Purchase* answerer_next(
    Answerer* answerer, const Shard* shard, int64_t evicted
) noexcept nogil:
    """Return the newest purchase not taken of the rings, and those evicted, or NULL."""
    cdef const Candidate* newest = merge_newest(&answerer.merge)
    cdef const Purchase* dropped
    if evicted == answerer.evicted.count:
        return NULL if newest == NULL else newest.cursor.purchase
    dropped = &answerer.evicted.items[evicted]
    if newest == NULL or purchase_before(newest.cursor.purchase.key, dropped.key):
        return dropped
    return newest.cursor.purchase


cdef inline int answer_ask(
    Answerer* answerer, const Shard* shard, const Ask* ask, int64_t seq, const int32_t* uids
) except -1 nogil:
    """Append the answer to one ask. O(members + purchases looked at log members)."""
    cdef Packet* packet = &answerer.packet
    cdef int64_t start = packet.used, evicted = 0
    cdef const Purchase* purchase
    cdef Answer answer
    answer.row = ask.row
    answer.more = False
    answer.count = 0
    packet_append(packet, &answer, sizeof(Answer))
    merge_reserve(&answerer.merge, ask.members)
    answerer_collect_evicted(answerer, shard, ask, seq, uids)
    merge_begin(&answerer.merge, uids, ask.members, &shard.state.history, ask.members)
    purchase = answerer_next(answerer, shard, 0)
    while purchase != NULL and purchase.key.time_us >= ask.since_us:
        if is_asked_for(purchase, ask, seq):
            if answer.count == ask.most:
                answer.more = True
                break
            packet_append(packet, purchase, sizeof(Purchase))
            answer.count += 1
        if (
            evicted < answerer.evicted.count
            and purchase == &answerer.evicted.items[evicted]
        ):
            evicted += 1
        else:
            merge_take(&answerer.merge, &shard.state.history)
        purchase = answerer_next(answerer, shard, evicted)
    (<Answer*> (packet.bytes + start))[0] = answer
    return 0


cdef inline int check_members(
    const Shard* shard, const Ask* ask, const int32_t* uids
) except -1 nogil:
    """Raise ValueError unless all members are users whom the shard owns."""
    cdef int32_t i
    if ask.most < 1:
        packet_error()
    for i in range(ask.members):
        if not 0 <= uids[i] < shard.state.users.count or not shard_owns(shard, uids[i]):
            packet_error()
    return 0


cdef inline int answer_asks(
    Answerer* answerer, Shard* shard, Reader* asks
) except -1 nogil:
    """Write the answers to all asks of a packet; ValueError if it is damaged."""
    cdef const AsksHead* head = <const AsksHead*> reader_take(asks, 1, sizeof(AsksHead))
    cdef const Ask* ask
    cdef const int32_t* uids
    cdef AnswersHead answers_head
    cdef int64_t _i
    if not shard.evictions.released <= head.seq <= shard.state.seq:
        with gil:
            raise ValueError(
                f"asked as of purchase {head.seq}, but can tell from "
                f"{shard.evictions.released} to {shard.state.seq}"
            )
    evictions_index(&shard.evictions)
    answerer.packet.used = 0
    answers_head.count = head.count
    packet_append(&answerer.packet, &answers_head, sizeof(AnswersHead))
    for _i in range(head.count):
        ask = <const Ask*> reader_take(asks, 1, sizeof(Ask))
        uids = <const int32_t*> reader_take(asks, ask.members, sizeof(int32_t))
        check_members(shard, ask, uids)
        answer_ask(answerer, shard, ask, head.seq, uids)
    return 0
