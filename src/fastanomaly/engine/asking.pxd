"""Verdicts of a shard, and the questions to other shards where it has not all rings.

A purchase is judged like everywhere else, by walking along the recency log, which every shard
has. Only where a search ends in merging the rings of a network, the owners of the rings are
asked. All purchases that matter of the shard's own rings and of the overlay are collected at
once: they are part of the open verdict. An owner is asked for its share of T and some more.

Asked are the members whose newest purchases are among the newest T of the network: no other
ring can have one of the latest T.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint64_t

from fastanomaly.engine.ball cimport Ball, ball_begin
from fastanomaly.engine.batch cimport Batch
from fastanomaly.engine.history cimport NEVER
from fastanomaly.engine.judge cimport Judge, Settings, judge_free, judge_reserve
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_zeroed
from fastanomaly.engine.merge cimport (
    Candidate, Merge, merge_begin, merge_newest, merge_next_added, merge_take,
)
from fastanomaly.engine.packet cimport (
    Ask, AsksHead, Open, OpenHead, Packet, ShardFlag, packet_append, packet_append_uid,
    packet_extend, packet_free, packet_pad,
)
from fastanomaly.engine.purchase_list cimport (
    PurchaseList, TimeHeap, list_append, times_add, times_oldest, times_reserve,
)
from fastanomaly.engine.search cimport search_without_rings
from fastanomaly.engine.shard cimport Shard, shard_owner, shard_owns
from fastanomaly.engine.types cimport Event, Purchase, purchase_before
from fastanomaly.engine.verdict cimport Sums, Verdict, sums_add, sums_of, verdict_on
from fastanomaly.engine.view cimport View, view_at, view_newest

cdef struct Asker:              # the scratch memory and the results of a batch
    Judge judge
    TimeHeap latest             # the members' newest times
    PurchaseList found          # the purchases that are known, newest first
    Packet recent               # uids of members who may have one of the latest T purchases
    Packet own                  # uids of those of them whose rings are here
    Packet flags                # an array of ShardFlag
    Packet open
    Packet* asks                # by owner
    int64_t* starts             # by owner: where the current ask begins, or -1
    int32_t shards
    int64_t members_seen        # work: members whose last times were looked at


cdef inline int asker_begin(Asker* asker, int32_t shards) except -1 nogil:
    """Set up; the struct must be zeroed."""
    memory_zeroed(<void**> &asker.asks, shards, sizeof(Packet))
    memory_zeroed(<void**> &asker.starts, shards, sizeof(int64_t))
    asker.shards = shards
    return 0


cdef inline void asker_free(Asker* asker) noexcept nogil:
    cdef int32_t owner
    judge_free(&asker.judge)
    PyMem_RawFree(asker.latest.times)
    PyMem_RawFree(asker.found.items)
    packet_free(&asker.recent)
    packet_free(&asker.own)
    packet_free(&asker.flags)
    packet_free(&asker.open)
    if asker.asks != NULL:
        for owner in range(asker.shards):
            packet_free(&asker.asks[owner])
    PyMem_RawFree(asker.asks)
    PyMem_RawFree(asker.starts)


cdef inline int asker_clear(Asker* asker, int64_t seq) except -1 nogil:
    """Begin the results of a batch before which `seq` purchases were made."""
    cdef AsksHead asks
    cdef OpenHead open
    cdef int32_t owner
    asks.seq = open.seq = seq
    asks.count = open.count = 0
    asker.flags.used = 0
    asker.open.used = 0
    packet_append(&asker.open, &open, sizeof(OpenHead))
    for owner in range(asker.shards):
        asker.asks[owner].used = 0
        packet_append(&asker.asks[owner], &asks, sizeof(AsksHead))
    return 0


cdef inline int asker_reserve(
    Asker* asker, const Shard* shard, const Settings* settings, int32_t purchases
) except -1 nogil:
    """Reserve memory for judging a batch with so many purchases."""
    cdef int64_t users = shard.state.users.count
    judge_reserve(
        &asker.judge, users, shard.state.seq + purchases, settings.tracked
    )
    return times_reserve(&asker.latest, min(users, <int64_t> settings.tracked))


cdef inline int flags_add(
    Packet* flags, int64_t row, const Sums* sums, const Verdict* verdict
) except -1 nogil:
    """Append a flag, if the verdict is one."""
    cdef ShardFlag flag
    if not verdict.anomalous:
        return 0
    flag.row = row
    flag.n = sums.n
    flag.mean_cents = verdict.mean_cents
    flag.sd_cents = verdict.sd_cents
    flag.total[0] = <uint64_t> sums.total
    flag.total[1] = <uint64_t> (sums.total >> 64)
    flag.squares[0] = <uint64_t> sums.squares_low
    flag.squares[1] = <uint64_t> (sums.squares_low >> 64)
    flag.squares[2] = sums.squares_high
    return packet_append(flags, &flag, sizeof(ShardFlag))


cdef inline int judge_list(
    const PurchaseList* found, const Settings* settings, int64_t amount_units, int64_t row,
    Packet* flags
) except -1 nogil:
    """Judge an amount, given the latest purchases of the network, and append the flag."""
    cdef Sums sums = sums_of(NULL, 0)
    cdef Verdict verdict
    cdef int64_t i
    for i in range(found.count):
        sums_add(&sums, &found.items[i].amount_units, 1)
    verdict_on(
        &sums, amount_units, settings.k_numerator, settings.k_denominator, &verdict
    )
    return flags_add(flags, row, &sums, &verdict)


cdef inline int64_t list_since(const PurchaseList* found, int64_t tracked) noexcept nogil:
    """Return a time before which no purchase is one of the latest T, given some of them."""
    if found.count < tracked:
        return INT64_MIN
    return found.items[found.count - 1].key.time_us


cdef inline int asker_list_recent(
    Asker* asker, const Shard* shard, int64_t tracked
) except -1 nogil:
    """List members of the ball, among them the T that bought last, and find their times.

    O(users in the ball), mostly. The others are few: whoever is listed was one of the T
    when the ball was looked through up to there.
    """
    cdef const Ball* ball = &asker.judge.ball
    cdef TimeHeap* latest = &asker.latest
    cdef int64_t i, newest_us
    latest.count = 0
    asker.recent.used = 0
    for i in range(1, ball.end):
        newest_us = shard.state.history.newest_us[ball.queue[i]]
        # Of equal times, those of later purchases count.
        if newest_us >= times_oldest(latest, tracked):
            packet_append_uid(&asker.recent, ball.queue[i])
            times_add(latest, newest_us, tracked)
    asker.members_seen += ball.end - 1
    return 0


cdef inline int asker_merge(
    Asker* asker, const Shard* shard, const View* view, int64_t tracked, int64_t since_us
) except -1 nogil:
    """Find the latest T purchases of the own rings and of the overlay; see merge_latest."""
    cdef Merge* merge = &asker.judge.search.merge
    cdef const Ball* ball = &asker.judge.ball
    cdef const Candidate* newest
    cdef int32_t added = merge_next_added(ball, view, view_newest(view))
    cdef Purchase purchase
    asker.found.count = 0
    merge_begin(
        merge, <const int32_t*> asker.own.bytes,
        asker.own.used // <int64_t> sizeof(int32_t), &shard.state.history, tracked,
    )
    newest = merge_newest(merge)
    while asker.found.count < tracked and (newest != NULL or added >= 0):
        if added >= 0 and (
            newest == NULL
            or purchase_before(newest.cursor.purchase.key, view.overlay.keys[added])
        ):
            purchase.key = view.overlay.keys[added]
            purchase.amount_units = view.overlay.amounts_units[added]
            added = merge_next_added(ball, view, added - 1)
        else:
            purchase = newest.cursor.purchase[0]
            merge_take(merge, &shard.state.history)
            newest = merge_newest(merge)
        if purchase.key.time_us < since_us:
            break
        list_append(&asker.found, &purchase)
    return 0


cdef inline int asker_ask_for(Asker* asker, int32_t owner, int32_t uid) except -1 nogil:
    """Append a member to the current ask to its owner, which is begun if it is the first."""
    cdef Packet* packet = &asker.asks[owner]
    if asker.starts[owner] < 0:
        packet_extend(packet, sizeof(Ask))
        asker.starts[owner] = packet.used - <int64_t> sizeof(Ask)
    return packet_append_uid(packet, uid)


cdef inline int64_t share_of(
    int64_t tracked, int64_t members, int64_t of_members
) noexcept nogil:
    """Return how many purchases to ask an owner for: 1.5 times its share of T, and 3."""
    cdef double share = 1.5 * <double> tracked * <double> members / <double> of_members
    return min(tracked, <int64_t> share + 3)


cdef inline int asker_end_ask(
    Asker* asker, int32_t owner, int64_t row, int64_t since_us, int64_t tracked,
    int64_t members
) except -1 nogil:
    """Complete the ask to an owner, of so many members at all owners together."""
    cdef Packet* packet = &asker.asks[owner]
    cdef int64_t start = asker.starts[owner], own
    cdef Ask* ask
    own = (packet.used - start - <int64_t> sizeof(Ask)) // <int64_t> sizeof(int32_t)
    packet_pad(packet)
    ask = <Ask*> (packet.bytes + start)
    ask.before.time_us = INT64_MAX
    ask.before.seq = INT64_MAX
    ask.since_us = since_us
    ask.most = share_of(tracked, own, members)
    ask.row = <int32_t> row
    ask.members = <int32_t> own
    (<AsksHead*> packet.bytes).count += 1
    return 0


cdef inline int open_add(
    Packet* packet, int64_t amount_units, int64_t row, const PurchaseList* known
) except -1 nogil:
    """Append an open verdict, with the purchases that are known."""
    cdef Open open
    open.amount_units = amount_units
    open.row = row
    open.count = known.count
    packet_append(packet, &open, sizeof(Open))
    packet_append(packet, known.items, known.count * <int64_t> sizeof(Purchase))
    (<OpenHead*> packet.bytes).count += 1
    return 0


cdef inline int64_t asker_sort_members(
    Asker* asker, const Shard* shard, const int32_t* uids, int64_t users, int64_t since_us
) except -1 nogil:
    """Sort those of some members who bought since then: own ones, and by owner; how many."""
    cdef const int64_t* newest_us = shard.state.history.newest_us
    cdef int64_t i, members = 0
    cdef int32_t owner
    asker.own.used = 0
    for owner in range(asker.shards):
        asker.starts[owner] = -1
    for i in range(users):
        if newest_us[uids[i]] < since_us or newest_us[uids[i]] == NEVER:
            continue
        members += 1
        owner = shard_owner(shard, uids[i])
        if owner == shard.number:
            packet_append_uid(&asker.own, uids[i])
        else:
            asker_ask_for(asker, owner, uids[i])
    asker.members_seen += users
    return members


cdef inline int64_t asker_sort_ball(
    Asker* asker, const Shard* shard, int64_t tracked, int64_t* since_us
) except -1 nogil:
    """Sort members of the ball who may have one of the latest T purchases; how many.

    Sets a time before which no purchase is one of them.
    """
    cdef const Ball* ball = &asker.judge.ball
    since_us[0] = INT64_MIN
    if ball.end - 1 < tracked:
        return asker_sort_members(asker, shard, ball.queue + 1, ball.end - 1, INT64_MIN)
    asker_list_recent(asker, shard, tracked)
    since_us[0] = times_oldest(&asker.latest, tracked)
    return asker_sort_members(
        asker, shard, <const int32_t*> asker.recent.bytes,
        asker.recent.used // <int64_t> sizeof(int32_t), since_us[0],
    )


cdef inline int asker_collect(
    Asker* asker, const Shard* shard, const View* view, const Settings* settings,
    int64_t amount_units, int64_t row
) except -1 nogil:
    """Judge with the rings of the ball, or ask for those that this shard does not have."""
    cdef int64_t tracked = settings.tracked
    cdef int64_t since_us
    cdef int64_t members = asker_sort_ball(asker, shard, tracked, &since_us)
    cdef int32_t owner
    cdef bint asked = False
    asker_merge(asker, shard, view, tracked, since_us)
    since_us = max(since_us, list_since(&asker.found, tracked))
    for owner in range(asker.shards):
        if asker.starts[owner] >= 0:
            asker_end_ask(asker, owner, row, since_us, tracked, members)
            asked = True
    if asked:
        return open_add(&asker.open, amount_units, row, &asker.found)
    return judge_list(&asker.found, settings, amount_units, row, &asker.flags)


cdef inline int asker_judge(
    Asker* asker, const Shard* shard, const Settings* settings, const Batch* batch,
    int32_t place
) except -1 nogil:
    """Judge the purchase at a place of a prepared batch, or ask what is missing for that."""
    cdef const Event* event = batch.events[place]
    cdef View view = view_at(&shard.state, &batch.overlay, place)
    cdef Judge* judge = &asker.judge
    cdef Sums sums
    cdef Verdict verdict
    ball_begin(&judge.ball, event.user.uid, 1)
    if not search_without_rings(
        &judge.search, &judge.window, &judge.ball, &view, settings.degree, settings.tracked
    ):
        return asker_collect(asker, shard, &view, settings, event.amount_units, place)
    sums = sums_of(judge.window.amounts, judge.window.count)
    verdict_on(
        &sums, event.amount_units, settings.k_numerator, settings.k_denominator, &verdict
    )
    return flags_add(&asker.flags, place, &sums, &verdict)


cdef inline int asker_judge_all(
    Asker* asker, const Shard* shard, const Settings* settings, const Batch* batch
) except -1 nogil:
    """Judge the purchases of a prepared batch whose buyers the shard owns."""
    cdef int32_t index, place
    asker_clear(asker, shard.state.seq)
    asker_reserve(asker, shard, settings, batch.purchase_count)
    for index in range(batch.purchase_count):
        place = batch.purchases[index]
        if shard_owns(shard, batch.events[place].user.uid):
            asker_judge(asker, shard, settings, batch, place)
    return 0
