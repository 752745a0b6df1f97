"""Verdicts of a shard, and the questions to other shards where it has not all rings.

A purchase is judged like everywhere else, by walking along the recency log, which every shard
has. Only where a search ends in merging the rings of a network, the owners of the rings are
asked. All purchases that matter of the shard's own rings and of the overlay are collected at
once: they are part of the open verdict. An owner is asked for its share of T and some more.

Asked are the members whose newest purchases are among the newest T of the network: no other
ring can have one of the latest T.

Each thread that judges has an asker. Judging allocates, without Python: functions that may
lack memory return whether they had it.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint64_t

from fastanomaly.engine.ball cimport Ball, ball_begin
from fastanomaly.engine.batch cimport Batch
from fastanomaly.engine.history cimport NEVER
from fastanomaly.engine.judge cimport (
    Judge, Settings, judge_add_work, judge_free, judge_reserve,
)
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_zeroed
from fastanomaly.engine.merge cimport (
    Candidate, Merge, merge_begin, merge_newest, merge_next_added, merge_take,
)
from fastanomaly.engine.packet cimport (
    Ask, AsksHead, Open, OpenHead, Packet, ShardFlag, packet_free, packet_try_append,
    packet_try_append_uid, packet_try_extend,
)
from fastanomaly.engine.purchase_list cimport (
    PurchaseList, TimeHeap, list_try_append, times_add, times_oldest, times_reserve,
)
from fastanomaly.engine.search cimport search_without_rings
from fastanomaly.engine.shard cimport Shard, shard_owner
from fastanomaly.engine.shard_results cimport (
    Results, results_begin, results_clear, results_free,
)
from fastanomaly.engine.types cimport Event, Purchase, purchase_before
from fastanomaly.engine.verdict cimport Sums, Verdict, sums_add, sums_of, verdict_on
from fastanomaly.engine.view cimport View, view_at, view_newest

cdef struct Asker:              # the scratch memory and the results of a batch
    Judge judge
    TimeHeap latest             # the members' newest times
    PurchaseList found          # the purchases that are known, newest first
    Packet recent               # uids of members who may have one of the latest T purchases
    Packet own                  # uids of those of them whose rings are here
    Results results
    int64_t* starts             # by owner: where the current ask begins, or -1; or NULL
    int64_t members_seen        # work: members whose last times were looked at


cdef inline void asker_free(Asker* asker) noexcept nogil:
    judge_free(&asker.judge)
    PyMem_RawFree(asker.latest.times)
    PyMem_RawFree(asker.found.items)
    packet_free(&asker.recent)
    packet_free(&asker.own)
    results_free(&asker.results)
    PyMem_RawFree(asker.starts)


cdef inline void asker_add_work(Asker* asker, const Asker* other) noexcept nogil:
    """Add the work of another asker, which will be freed."""
    judge_add_work(&asker.judge, &other.judge)
    asker.members_seen += other.members_seen


cdef inline int asker_prepare(
    Asker* asker, const Shard* shard, const Settings* settings, const Batch* batch
) except -1 nogil:
    """Begin the results of a batch, and reserve memory for judging it.

    The struct must be zeroed before the first one.
    """
    cdef int64_t users = shard.state.users.count
    results_begin(&asker.results, shard.shards)
    if asker.starts == NULL:
        memory_zeroed(<void**> &asker.starts, shard.shards, sizeof(int64_t))
    results_clear(&asker.results, shard.state.seq)
    judge_reserve(
        &asker.judge, users, shard.state.seq + batch.purchase_count, settings.tracked
    )
    return times_reserve(&asker.latest, min(users, <int64_t> settings.tracked))


cdef inline bint flags_add(
    Packet* flags, int64_t row, const Sums* sums, const Verdict* verdict
) noexcept nogil:
    """Append a flag, if the verdict is one."""
    cdef ShardFlag flag
    if not verdict.anomalous:
        return True
    flag.row = row
    flag.n = sums.n
    flag.mean_cents = verdict.mean_cents
    flag.sd_cents = verdict.sd_cents
    flag.total[0] = <uint64_t> sums.total
    flag.total[1] = <uint64_t> (sums.total >> 64)
    flag.squares[0] = <uint64_t> sums.squares_low
    flag.squares[1] = <uint64_t> (sums.squares_low >> 64)
    flag.squares[2] = sums.squares_high
    return packet_try_append(flags, &flag, sizeof(ShardFlag))


cdef inline bint judge_list(
    const PurchaseList* found, const Settings* settings, int64_t amount_units, int64_t row,
    Packet* flags
) noexcept nogil:
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


cdef inline bint asker_list_recent(
    Asker* asker, const Shard* shard, int64_t tracked
) noexcept nogil:
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
            if not packet_try_append_uid(&asker.recent, ball.queue[i]):
                return False
            times_add(latest, newest_us, tracked)
    asker.members_seen += ball.end - 1
    return True


cdef inline bint asker_merge(
    Asker* asker, const Shard* shard, const View* view, int64_t tracked, int64_t since_us
) noexcept nogil:
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
        if not list_try_append(&asker.found, &purchase):
            return False
    return True


cdef inline bint asker_ask_for(Asker* asker, int32_t owner, int32_t uid) noexcept nogil:
    """Append a member to the current ask to its owner, which is begun if it is the first."""
    cdef Packet* packet = &asker.results.asks[owner]
    if asker.starts[owner] < 0:
        if not packet_try_extend(packet, sizeof(Ask)):
            return False
        asker.starts[owner] = packet.used - <int64_t> sizeof(Ask)
    return packet_try_append_uid(packet, uid)


cdef inline int64_t share_of(
    int64_t tracked, int64_t members, int64_t of_members
) noexcept nogil:
    """Return how many purchases to ask an owner for: 1.5 times its share of T, and 3."""
    cdef double share = 1.5 * <double> tracked * <double> members / <double> of_members
    return min(tracked, <int64_t> share + 3)


cdef inline bint asker_end_ask(
    Asker* asker, int32_t owner, int64_t row, int64_t since_us, int64_t tracked,
    int64_t members
) noexcept nogil:
    """Complete the ask to an owner, of so many members at all owners together."""
    cdef Packet* packet = &asker.results.asks[owner]
    cdef int64_t start = asker.starts[owner], own
    cdef Ask* ask
    own = (packet.used - start - <int64_t> sizeof(Ask)) // <int64_t> sizeof(int32_t)
    if own % 2 == 1 and not packet_try_append_uid(packet, 0):       # padding
        return False
    ask = <Ask*> (packet.bytes + start)
    ask.before.time_us = INT64_MAX
    ask.before.seq = INT64_MAX
    ask.since_us = since_us
    ask.most = share_of(tracked, own, members)
    ask.row = <int32_t> row
    ask.members = <int32_t> own
    (<AsksHead*> packet.bytes).count += 1
    return True


cdef inline bint open_add(
    Packet* packet, int64_t amount_units, int64_t row, const PurchaseList* known
) noexcept nogil:
    """Append an open verdict, with the purchases that are known."""
    cdef Open open
    open.amount_units = amount_units
    open.row = row
    open.count = known.count
    if not packet_try_append(packet, &open, sizeof(Open)) or not packet_try_append(
        packet, known.items, known.count * <int64_t> sizeof(Purchase)
    ):
        return False
    (<OpenHead*> packet.bytes).count += 1
    return True


cdef inline int64_t asker_sort_members(
    Asker* asker, const Shard* shard, const int32_t* uids, int64_t users, int64_t since_us
) noexcept nogil:
    """Sort those of some members who bought since then: own ones, and by owner.

    Returns how many they are, or -1 without memory.
    """
    cdef const int64_t* newest_us = shard.state.history.newest_us
    cdef int64_t i, members = 0
    cdef int32_t owner
    asker.own.used = 0
    for owner in range(shard.shards):
        asker.starts[owner] = -1
    for i in range(users):
        if newest_us[uids[i]] < since_us or newest_us[uids[i]] == NEVER:
            continue
        members += 1
        owner = shard_owner(shard, uids[i])
        if owner == shard.number:
            if not packet_try_append_uid(&asker.own, uids[i]):
                return -1
        elif not asker_ask_for(asker, owner, uids[i]):
            return -1
    asker.members_seen += users
    return members


cdef inline int64_t asker_sort_ball(
    Asker* asker, const Shard* shard, int64_t tracked, int64_t* since_us
) noexcept nogil:
    """Sort members of the ball who may have one of the latest T purchases.

    Returns how many they are, or -1 without memory. Sets a time before which no purchase is
    one of the latest.
    """
    cdef const Ball* ball = &asker.judge.ball
    since_us[0] = INT64_MIN
    if ball.end - 1 < tracked:
        return asker_sort_members(asker, shard, ball.queue + 1, ball.end - 1, INT64_MIN)
    if not asker_list_recent(asker, shard, tracked):
        return -1
    since_us[0] = times_oldest(&asker.latest, tracked)
    return asker_sort_members(
        asker, shard, <const int32_t*> asker.recent.bytes,
        asker.recent.used // <int64_t> sizeof(int32_t), since_us[0],
    )


cdef inline bint asker_collect(
    Asker* asker, const Shard* shard, const View* view, const Settings* settings,
    int64_t amount_units, int64_t row
) noexcept nogil:
    """Judge with the rings of the ball, or ask for those that this shard does not have."""
    cdef int64_t tracked = settings.tracked
    cdef int64_t since_us
    cdef int64_t members = asker_sort_ball(asker, shard, tracked, &since_us)
    cdef int32_t owner
    cdef bint asked = False
    if members < 0 or not asker_merge(asker, shard, view, tracked, since_us):
        return False
    since_us = max(since_us, list_since(&asker.found, tracked))
    for owner in range(shard.shards):
        if asker.starts[owner] >= 0:
            if not asker_end_ask(asker, owner, row, since_us, tracked, members):
                return False
            asked = True
    if asked:
        return open_add(&asker.results.open, amount_units, row, &asker.found)
    return judge_list(&asker.found, settings, amount_units, row, &asker.results.flags)


cdef inline bint asker_judge(
    Asker* asker, const Shard* shard, const Settings* settings, const Batch* batch,
    int32_t place
) noexcept nogil:
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
    return flags_add(&asker.results.flags, place, &sums, &verdict)
