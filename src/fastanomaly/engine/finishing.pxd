"""Finishing verdicts: the purchases that a shard knew, and those that owners answered with.

The latest T of all of them are the latest T of the network, unless an owner that left out
older purchases might have one more of them: then all it answered with are among the latest T.
It is asked for those before, and the verdict stays open. The second answer always suffices,
since it may have T purchases.

Purchases are merged as rings are, from the newest back: each answer is one sequence.

An open verdict knows only purchases of its network, so no state is needed.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from fastanomaly.engine.asking cimport judge_list, list_since, open_add
from fastanomaly.engine.judge cimport Settings
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_check, memory_zeroed
from fastanomaly.engine.merge cimport (
    Candidate, Merge, candidate_set, merge_free, merge_newest, merge_play, merge_play_all,
    merge_reserve,
)
from fastanomaly.engine.packet cimport (
    Answer, AnswersHead, Ask, AsksHead, Open, OpenHead, Packet, Reader, packet_append,
    packet_bytes, packet_error, packet_free, padded_size, reader_of, reader_take,
)
from fastanomaly.engine.purchase_list cimport PurchaseList, list_append
from fastanomaly.engine.types cimport Purchase, purchase_before

cdef struct Replies:            # what one owner was asked and answered
    Reader asks
    Reader answers
    int64_t left                # asks that have not been taken
    const Ask* ask              # the next one, or NULL
    const int32_t* uids         # its members
    const Answer* answer        # the answer to it,
    const Purchase* purchases   # and its purchases
    Packet again                # what it will be asked

cdef struct Finisher:
    Merge merge
    PurchaseList found
    Replies* replies            # by owner
    int64_t owners
    Packet flags
    Packet open                 # the verdicts that stay open
    int64_t purchases_seen      # work: known or answered, and looked at

cdef struct Finished:           # of all packets finished so far
    int64_t verdicts            # finished, or left open again
    int64_t again               # those left open again
    int64_t purchases_seen


cdef inline int replies_next(Replies* replies) except -1 nogil:
    """Take the next ask and the answer to it, which must fit together."""
    replies.ask = NULL
    if replies.left == 0:
        return 0
    replies.left -= 1
    replies.ask = <const Ask*> reader_take(&replies.asks, 1, sizeof(Ask))
    replies.uids = <const int32_t*> reader_take(
        &replies.asks, replies.ask.members, sizeof(int32_t)
    )
    replies.answer = <const Answer*> reader_take(&replies.answers, 1, sizeof(Answer))
    replies.purchases = <const Purchase*> reader_take(
        &replies.answers, replies.answer.count, sizeof(Purchase)
    )
    if replies.answer.row != replies.ask.row:
        packet_error()
    return 0


cdef inline int replies_begin(Replies* replies, int64_t seq) except -1 nogil:
    """Read the heads of both packets, and the first ask."""
    cdef const AsksHead* asks = <const AsksHead*> reader_take(
        &replies.asks, 1, sizeof(AsksHead)
    )
    cdef const AnswersHead* answers = <const AnswersHead*> reader_take(
        &replies.answers, 1, sizeof(AnswersHead)
    )
    if asks.seq != seq or asks.count != answers.count:
        packet_error()
    replies.left = asks.count
    packet_append(&replies.again, asks, sizeof(AsksHead))
    (<AsksHead*> replies.again.bytes).count = 0
    return replies_next(replies)


cdef inline bint replies_are_for(const Replies* replies, int64_t row) noexcept nogil:
    """Return whether the owner was asked about the purchase of a row."""
    return replies.ask != NULL and replies.ask.row == row


cdef inline int replies_ask_again(
    Replies* replies, const PurchaseList* found, int64_t tracked, bint* asked
) except -1 nogil:
    """Ask the owner again if it may have more of the latest T; sets *asked then."""
    cdef const Purchase* oldest
    cdef Ask ask
    if not replies.answer.more:
        return 0
    if replies.answer.count == 0:
        packet_error()
    oldest = &replies.purchases[replies.answer.count - 1]
    if found.count == tracked:
        if not purchase_before(found.items[tracked - 1].key, oldest.key):
            return 0
    ask = replies.ask[0]
    ask.before = oldest.key
    ask.since_us = max(ask.since_us, list_since(found, tracked))
    ask.most = tracked
    packet_append(&replies.again, &ask, sizeof(Ask))
    packet_append(&replies.again, replies.uids, padded_size(ask.members))
    (<AsksHead*> replies.again.bytes).count += 1
    asked[0] = True
    return 0


cdef inline void finish_add(
    Merge* merge, const Purchase* purchases, int64_t count
) noexcept nogil:
    """Add a sequence, newest first, to those that will be merged."""
    cdef Candidate* candidate = &merge.candidates[merge.count]
    if count == 0:
        return
    candidate.cursor.purchase = purchases
    candidate.cursor.older = count - 1
    candidate_set(candidate, purchases)
    merge.count += 1


cdef inline void finish_take(Merge* merge) noexcept nogil:
    """Take the newest purchase."""
    cdef Candidate* candidate = &merge.candidates[merge.newest]
    cdef const Purchase* next = NULL
    if candidate.cursor.older > 0:
        candidate.cursor.older -= 1
        candidate.cursor.purchase += 1
        next = candidate.cursor.purchase
    candidate_set(candidate, next)
    merge_play(merge, merge.newest, False)


cdef inline int finish_collect(
    Finisher* finisher, const Open* open, const Purchase* known, int64_t tracked
) except -1 nogil:
    """Find the latest T of the purchases that are known and answered."""
    cdef Merge* merge = &finisher.merge
    cdef PurchaseList* found = &finisher.found
    cdef const Replies* replies
    cdef const Candidate* newest
    cdef int64_t owner
    merge.count = 0
    finish_add(merge, known, open.count)
    for owner in range(finisher.owners):
        replies = &finisher.replies[owner]
        if replies_are_for(replies, open.row):
            finish_add(merge, replies.purchases, replies.answer.count)
    merge_play_all(merge)
    found.count = 0
    newest = merge_newest(merge)
    while found.count < tracked and newest != NULL:
        list_append(found, newest.cursor.purchase)
        finish_take(merge)
        newest = merge_newest(merge)
    finisher.purchases_seen += merge.count + found.count
    return 0


cdef inline int finish_one(
    Finisher* finisher, const Open* open, const Purchase* known, const Settings* settings
) except -1 nogil:
    """Judge, or leave the verdict open and ask again."""
    cdef Replies* replies
    cdef int64_t owner
    cdef bint asked = False
    finish_collect(finisher, open, known, settings.tracked)
    for owner in range(finisher.owners):
        replies = &finisher.replies[owner]
        if replies_are_for(replies, open.row):
            replies_ask_again(replies, &finisher.found, settings.tracked, &asked)
            replies_next(replies)
    if asked:
        return memory_check(open_add(
            &finisher.open, open.amount_units, open.row, &finisher.found
        ))
    return memory_check(judge_list(
        &finisher.found, settings, open.amount_units, open.row, &finisher.flags
    ))


cdef inline int finish_all(
    Finisher* finisher, Reader* open, const Settings* settings
) except -1 nogil:
    """Finish the open verdicts of a packet."""
    cdef const OpenHead* head = <const OpenHead*> reader_take(open, 1, sizeof(OpenHead))
    cdef const Open* one
    cdef const Purchase* known
    cdef int64_t _i, owner
    merge_reserve(&finisher.merge, finisher.owners + 1)
    packet_append(&finisher.open, head, sizeof(OpenHead))
    (<OpenHead*> finisher.open.bytes).count = 0
    for owner in range(finisher.owners):
        if finisher.replies[owner].asks.at != NULL:
            replies_begin(&finisher.replies[owner], head.seq)
    for _i in range(head.count):
        one = <const Open*> reader_take(open, 1, sizeof(Open))
        known = <const Purchase*> reader_take(open, one.count, sizeof(Purchase))
        finish_one(finisher, one, known, settings)
    for owner in range(finisher.owners):
        if finisher.replies[owner].ask != NULL:         # an answer to no open verdict
            packet_error()
    return 0


cdef inline void finisher_free(Finisher* finisher) noexcept nogil:
    cdef int64_t owner
    if finisher.replies != NULL:
        for owner in range(finisher.owners):
            packet_free(&finisher.replies[owner].again)
    PyMem_RawFree(finisher.replies)
    merge_free(&finisher.merge)
    PyMem_RawFree(finisher.found.items)
    packet_free(&finisher.flags)
    packet_free(&finisher.open)


cdef inline void finished_add(
    Finished* finished, const Finisher* finisher, bytes open
) noexcept:
    """Count what was done with a packet of open verdicts."""
    finished.verdicts += (<const OpenHead*> PyBytes_AS_STRING(open)).count
    finished.again += (<const OpenHead*> finisher.open.bytes).count
    finished.purchases_seen += finisher.purchases_seen


cdef inline tuple finish_verdicts(
    const Settings* settings, bytes open, list asks, list answers, Finished* finished
):
    """Finish verdicts, and count them; see ShardEngine.finish."""
    cdef Finisher finisher
    cdef Reader reader = reader_of(open)
    cdef int64_t owner
    cdef tuple asked = tuple(asks), answered = tuple(answers)       # nobody changes these
    if [packet is None for packet in asked] != [packet is None for packet in answered]:
        raise ValueError("answers of other owners than those that were asked")
    memset(&finisher, 0, sizeof(Finisher))
    try:
        memory_zeroed(<void**> &finisher.replies, len(asked), sizeof(Replies))
        finisher.owners = len(asked)
        for owner in range(finisher.owners):
            if asked[owner] is not None:
                finisher.replies[owner].asks = reader_of(asked[owner])
                finisher.replies[owner].answers = reader_of(answered[owner])
        with nogil:
            finish_all(&finisher, &reader, settings)
        finished_add(finished, &finisher, open)
        return (
            packet_bytes(&finisher.flags, 0) or b"",
            packet_bytes(&finisher.open, sizeof(OpenHead)),
            [
                packet_bytes(&finisher.replies[owner].again, sizeof(AsksHead))
                for owner in range(finisher.owners)
            ],
        )
    finally:
        finisher_free(&finisher)
