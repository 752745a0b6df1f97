"""Workers: a team of threads that judge the purchases of a batch, each with its own judge.

They share the state, the settings and the batch, of which they write only the outcomes of
the purchases that they have grabbed. Nothing in a judgement allocates or needs Python.
Workers own the judges and the team.
"""

from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.batch cimport Batch, batch_judge
from fastanomaly.engine.judge cimport (
    Judge, Settings, judge_add_work, judge_free, judge_reserve,
)
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_zeroed
from fastanomaly.engine.state cimport State
from fastanomaly.engine.team cimport Team, team_for, team_set, team_share, team_start

cdef enum:
    EDIT_NS = 200               # what an edit costs in the overlay; about the same in turn
    SIZE_BUCKETS = 11           # of batches: up to 2^0, 2^1, ... 2^10 = BATCH_MAX events

cdef struct Workers:
    Team team
    Judge first                 # the caller's
    Judge* others               # those of the other threads, or NULL
    # Counts for metrics:
    int64_t judgements          # of purchases that were then applied
    int64_t shared_judgements   # those of them that were made ahead
    int64_t shared_ns           # wall time of judging ahead
    int64_t batch_events        # events of judged batches
    int64_t[SIZE_BUCKETS] batch_sizes
    # The current batch, set before it is judged:
    Batch* batch
    const State* state
    const Settings* settings


cdef inline void workers_work(
    void* job, int32_t number, int64_t first, int64_t end
) noexcept nogil:
    """Judge purchases of the current batch; see team.pxd."""
    cdef Workers* workers = <Workers*> job
    cdef Judge* judge = &workers.first if number == 0 else &workers.others[number - 1]
    cdef int64_t index
    for index in range(first, end):
        batch_judge(
            workers.batch, workers.state, workers.settings, judge, <int32_t> index
        )


cdef inline void workers_set(Workers* workers, int32_t wanted) noexcept nogil:
    """Set the number of threads that may judge, the caller included."""
    cdef int32_t i, others = workers.team.wanted - 1
    team_set(&workers.team, wanted)
    if workers.others != NULL:
        for i in range(others):
            judge_add_work(&workers.first, &workers.others[i])
            judge_free(&workers.others[i])
        PyMem_RawFree(workers.others)
        workers.others = NULL


cdef inline void workers_free(Workers* workers) noexcept nogil:
    workers_set(workers, 1)
    judge_free(&workers.first)


cdef inline int32_t workers_for(
    const Workers* workers, int32_t events, int32_t purchases
) noexcept nogil:
    """Return the number of threads that pay for so many events with so many purchases."""
    return team_for(&workers.team, purchases, EDIT_NS * <int64_t> (events - purchases))


cdef inline int workers_reserve(
    Workers* workers, const State* state, const Settings* settings, int32_t used,
    int32_t events, int32_t purchases
) except -1 nogil:
    """Start the threads, and reserve the memory of the judges for a batch of that size."""
    cdef int64_t users = state.users.count + 2 * <int64_t> events
    cdef int64_t kept = state.history.kept + purchases
    cdef int32_t i
    if workers.others == NULL:
        memory_zeroed(<void**> &workers.others, workers.team.wanted - 1, sizeof(Judge))
    team_start(&workers.team)
    judge_reserve(&workers.first, users, kept, settings.tracked)
    for i in range(min(used - 1, workers.team.started)):
        judge_reserve(&workers.others[i], users, kept, settings.tracked)
    return 0


cdef inline void workers_count_batch(Workers* workers, int32_t events) noexcept nogil:
    """Count a batch that will be judged, by its size."""
    cdef int32_t bucket = 0
    while events > 1 << bucket:
        bucket += 1
    workers.batch_sizes[bucket] += 1
    workers.batch_events += events
    workers.team.busy = 1


cdef inline void workers_judge(
    Workers* workers, Batch* batch, const State* state, const Settings* settings,
    int32_t used
) noexcept nogil:
    """Judge all purchases of a batch with up to `used` threads, for which memory is reserved.

    Returns when all are done.
    """
    workers.batch = batch
    workers.state = state
    workers.settings = settings
    workers.shared_ns += team_share(
        &workers.team, workers_work, workers, batch.purchase_count, used
    )
    batch.ahead = True
