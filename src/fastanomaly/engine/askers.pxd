"""Askers: a team of threads that judge the purchases of a shard's own users in a batch.

They share the shard, the settings and the batch, which they only read; each has an asker of
its own. What they find grows, so they allocate while they judge. As a thread has no use of
Python, one that finds no memory says so, and the calling thread raises MemoryError when all
are done. Askers own the team.
"""

from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.asking cimport (
    Asker, asker_add_work, asker_free, asker_judge, asker_prepare,
)
from fastanomaly.engine.batch cimport Batch
from fastanomaly.engine.judge cimport Settings
from fastanomaly.engine.latency cimport now_ns
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_check, memory_zeroed
from fastanomaly.engine.overlay cimport BATCH_MAX
from fastanomaly.engine.shard cimport Shard, shard_owns
from fastanomaly.engine.shard_results cimport (
    ASKS, Results, head_size, results_begin, results_clear, results_free, results_packet,
    results_take,
)
from fastanomaly.engine.team cimport (
    RELAXED, Team, team_for, team_measure, team_set, team_share, team_start,
)

cdef extern from *:
    int64_t load "__atomic_load_n"(const int64_t*, int) noexcept nogil
    void store "__atomic_store_n"(int64_t*, int64_t, int) noexcept nogil

cdef struct Askers:
    Team team
    Asker first                 # the caller's
    Asker* others               # those of the other threads, or NULL
    int64_t* taken              # by thread: what was joined of a packet; or NULL
    Results joined              # the results of several threads
    Results* results            # those of the last batch
    # The current batch, set before it is judged:
    const Shard* shard
    const Settings* settings
    const Batch* batch
    int32_t count               # of its purchases of own users
    int32_t[BATCH_MAX] places   # of these
    int32_t[BATCH_MAX] judges   # the numbers of the threads that have judged them
    int64_t judged              # purchases, so far
    int64_t failed              # whether a thread found no memory; atomic


cdef inline Asker* asker_of(Askers* askers, int32_t number) noexcept nogil:
    """Return the asker of a thread; number 0 is the caller's."""
    return &askers.first if number == 0 else &askers.others[number - 1]


cdef inline int32_t asker_count(const Askers* askers) noexcept nogil:
    """Return the number of askers that there are."""
    return askers.team.wanted if askers.others != NULL else 1


cdef inline int askers_begin(Askers* askers, int32_t shards) except -1 nogil:
    """Set up, for one thread, with results of no batch; the struct must be zeroed."""
    team_set(&askers.team, 1)
    askers.results = &askers.first.results
    return results_begin(askers.results, shards)


cdef inline void askers_set(Askers* askers, int32_t wanted) noexcept nogil:
    """Set the number of threads that may judge, the caller included."""
    cdef int32_t number, count = asker_count(askers)
    team_set(&askers.team, wanted)
    for number in range(1, count):
        asker_add_work(&askers.first, &askers.others[number - 1])
        asker_free(&askers.others[number - 1])
    PyMem_RawFree(askers.others)
    PyMem_RawFree(askers.taken)
    askers.others = NULL
    askers.taken = NULL


cdef inline void askers_free(Askers* askers) noexcept nogil:
    askers_set(askers, 1)
    asker_free(&askers.first)
    results_free(&askers.joined)


cdef inline int askers_start(Askers* askers) except -1 nogil:
    """Start the threads, with askers that are not set up yet."""
    if askers.taken == NULL:
        memory_zeroed(<void**> &askers.taken, askers.team.wanted, sizeof(int64_t))
    if askers.others == NULL:
        memory_zeroed(<void**> &askers.others, askers.team.wanted - 1, sizeof(Asker))
    return team_start(&askers.team)


cdef inline void askers_list_own(
    Askers* askers, const Shard* shard, const Batch* batch
) noexcept nogil:
    """List the purchases of the shard's own users."""
    cdef int32_t index, place
    askers.count = 0
    for index in range(batch.purchase_count):
        place = batch.purchases[index]
        if shard_owns(shard, batch.events[place].user.uid):
            askers.places[askers.count] = place
            askers.count += 1


cdef inline void askers_work(
    void* job, int32_t number, int64_t first, int64_t end
) noexcept nogil:
    """Judge own purchases of the current batch; see team.pxd."""
    cdef Askers* askers = <Askers*> job
    cdef Asker* asker = asker_of(askers, number)
    cdef int64_t index
    for index in range(first, end):
        askers.judges[index] = number
        if load(&askers.failed, RELAXED) or not asker_judge(
            asker, askers.shard, askers.settings, askers.batch, askers.places[index]
        ):
            store(&askers.failed, True, RELAXED)
            return


cdef inline int askers_join_packet(
    Askers* askers, int32_t packet, int32_t used
) except -1 nogil:
    """Join one of the packets of so many threads, in the order of the rows."""
    cdef int64_t left = 0
    cdef int32_t number, i
    for number in range(used):
        askers.taken[number] = head_size(packet)
        left += results_packet(&asker_of(askers, number).results, packet).used
    if left == used * head_size(packet):
        return 0
    for i in range(askers.count):
        number = askers.judges[i]
        results_take(
            &askers.joined, packet, &asker_of(askers, number).results,
            &askers.taken[number], askers.places[i],
        )
    return 0


cdef inline int askers_share(Askers* askers, int32_t used) except -1 nogil:
    """Judge the current batch with up to so many threads."""
    cdef int32_t number, packet
    askers_start(askers)
    used = min(used, askers.team.started + 1)
    for number in range(used):
        asker_prepare(
            asker_of(askers, number), askers.shard, askers.settings, askers.batch
        )
    team_share(&askers.team, askers_work, askers, askers.count, used)
    memory_check(not askers.failed)
    results_begin(&askers.joined, askers.shard.shards)
    results_clear(&askers.joined, askers.shard.state.seq)
    for packet in range(ASKS + askers.shard.shards):
        askers_join_packet(askers, packet, used)
    askers.results = &askers.joined
    return 0


cdef inline int askers_alone(Askers* askers) except -1 nogil:
    """Judge the current batch with the calling thread."""
    cdef bint measured = askers.team.wanted > 1
    cdef int64_t begun = now_ns() if measured else 0
    asker_prepare(&askers.first, askers.shard, askers.settings, askers.batch)
    askers_work(askers, 0, 0, askers.count)
    memory_check(not askers.failed)
    if measured:
        team_measure(&askers.team, now_ns() - begun, askers.count)
    askers.team.busy = 1
    askers.results = &askers.first.results
    return 0


cdef inline int askers_judge(
    Askers* askers, const Shard* shard, const Settings* settings, const Batch* batch
) except -1 nogil:
    """Judge the purchases of a prepared batch whose buyers the shard owns.

    A failed allocation leaves results that do not count.
    """
    cdef int32_t used
    askers.shard = shard
    askers.settings = settings
    askers.batch = batch
    askers.failed = False
    askers_list_own(askers, shard, batch)
    used = team_for(&askers.team, askers.count, 0)
    if used > 1:
        askers_share(askers, used)
    else:
        askers_alone(askers)
    askers.judged += askers.count
    return 0
