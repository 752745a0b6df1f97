"""Workers: threads that judge the purchases of a batch, each with a judge of its own.

The calling thread is one of them. All of them grab the next few purchases of the batch until
none is left, so one that costs much delays the others little. The threads are started by the
first batch that is worth it, and wait in between; after a fork, the child starts its own.

They share the state, the settings and the batch, of which they write only the outcomes of
the purchases that they have grabbed. Nothing in a judgement allocates or needs Python.
Workers own the judges and the threads.
"""

from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.batch cimport Batch, batch_judge
from fastanomaly.engine.judge cimport (
    Judge, Settings, judge_add_work, judge_free, judge_reserve,
)
from fastanomaly.engine.latency cimport now_ns
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_zeroed
from fastanomaly.engine.state cimport State
from fastanomaly.engine.threads cimport (
    getpid, pid_t, pthread_cond_broadcast, pthread_cond_destroy, pthread_cond_init,
    pthread_cond_signal, pthread_cond_t, pthread_cond_wait, pthread_join,
    pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_t,
    pthread_mutex_unlock, pthread_t, thread_start,
)

cdef enum:
    GRAB_MAX = 16               # purchases taken at a time
    GRABS_PER_THREAD = 8        # of a batch, at least, unless it is small
    FIRST_JUDGEMENT_NS = 2000   # expected duration before any was measured
    SHARE_NS = 20_000           # a thread is used if it gets work of that duration
    EDIT_NS = 200               # what an edit costs in the overlay; about the same in turn
    SIZE_BUCKETS = 11           # of batches: up to 2^0, 2^1, ... 2^10 = BATCH_MAX events

cdef extern from *:
    int64_t fetch_add "__atomic_fetch_add"(int64_t*, int64_t, int) noexcept nogil
    int RELAXED "__ATOMIC_RELAXED"

cdef extern from *:
    """
    /* Whether every batch is judged by all threads, however small. Set by tests only. */
    static int fa_always_threads = 0;
    """
    bint always_threads "fa_always_threads"

cdef struct Workers

cdef struct Worker:             # what a thread gets
    Workers* workers
    Judge* judge
    int32_t number              # from 1; the caller is number 0
    pthread_t thread

cdef struct Workers:
    int32_t wanted              # threads that may judge, the caller included
    Judge first                 # the caller's
    Judge* others               # those of `wanted` - 1 threads, or NULL
    Worker* threads             # or NULL
    int32_t started             # threads that run
    pid_t process               # that started them
    int64_t judgement_ns        # average duration of a judgement, lately
    # Counts for metrics:
    int64_t judgements          # of purchases that were then applied
    int64_t shared_judgements   # those of them that were made ahead
    int64_t shared_ns           # wall time of judging ahead
    int64_t busy                # threads that judged the last batch
    int64_t batch_events        # events of judged batches
    int64_t[SIZE_BUCKETS] batch_sizes
    # The current batch, set before a round begins:
    Batch* batch
    const State* state
    const Settings* settings
    int64_t grab
    int64_t next                # index of the next purchase to be grabbed; atomic
    # Shared by the threads, protected by the lock:
    int64_t round
    bint open                   # whether threads may still enter the round
    int32_t used                # threads that may, the caller included
    int32_t working             # that have entered and not left it, without the caller
    bint stopping
    pthread_mutex_t lock
    pthread_cond_t begun
    pthread_cond_t ended


cdef inline void workers_share_all(bint wanted) noexcept nogil:
    """Let every batch be judged by all threads, or end that. For tests."""
    global always_threads
    always_threads = wanted


cdef inline bint workers_grab(Workers* workers, Judge* judge) noexcept nogil:
    """Judge purchases of the current batch until none is left; whether it judged any."""
    cdef int64_t count = workers.batch.purchase_count, index, end
    cdef bint any_judged = False
    while True:
        index = fetch_add(&workers.next, workers.grab, RELAXED)
        if index >= count:
            return any_judged
        any_judged = True
        end = min(index + workers.grab, count)
        while index < end:
            batch_judge(
                workers.batch, workers.state, workers.settings, judge, <int32_t> index
            )
            index += 1


cdef inline void* worker_run(void* argument) noexcept nogil:
    """Wait for rounds and take part in them; the main function of a thread."""
    cdef Worker* worker = <Worker*> argument
    cdef Workers* workers = worker.workers
    cdef int64_t last = 0
    cdef bint any_judged
    pthread_mutex_lock(&workers.lock)
    while not workers.stopping:
        if not workers.open or workers.round == last or worker.number >= workers.used:
            pthread_cond_wait(&workers.begun, &workers.lock)
            continue
        last = workers.round
        workers.working += 1
        pthread_mutex_unlock(&workers.lock)
        any_judged = workers_grab(workers, worker.judge)
        pthread_mutex_lock(&workers.lock)
        workers.working -= 1
        workers.busy += any_judged
        if workers.working == 0:
            pthread_cond_signal(&workers.ended)
    pthread_mutex_unlock(&workers.lock)
    return NULL


cdef inline bint workers_running(const Workers* workers) noexcept nogil:
    """Return whether this process has started the threads."""
    return workers.threads != NULL and workers.process == getpid()


cdef inline void workers_stop(Workers* workers) noexcept nogil:
    """End the threads; in a forked child there are none."""
    cdef int32_t i
    if workers_running(workers):
        pthread_mutex_lock(&workers.lock)
        workers.stopping = True
        pthread_cond_broadcast(&workers.begun)
        pthread_mutex_unlock(&workers.lock)
        for i in range(workers.started):
            pthread_join(workers.threads[i].thread, NULL)
        pthread_cond_destroy(&workers.begun)
        pthread_cond_destroy(&workers.ended)
        pthread_mutex_destroy(&workers.lock)
    PyMem_RawFree(workers.threads)
    workers.threads = NULL
    workers.started = 0


cdef inline void workers_set(Workers* workers, int32_t wanted) noexcept nogil:
    """Set the number of threads that may judge, the caller included."""
    cdef int32_t i
    workers_stop(workers)
    if workers.others != NULL:
        for i in range(workers.wanted - 1):
            judge_add_work(&workers.first, &workers.others[i])
            judge_free(&workers.others[i])
        PyMem_RawFree(workers.others)
        workers.others = NULL
    workers.wanted = wanted
    if workers.judgement_ns == 0:
        workers.judgement_ns = FIRST_JUDGEMENT_NS


cdef inline void workers_free(Workers* workers) noexcept nogil:
    workers_set(workers, 1)
    judge_free(&workers.first)


cdef inline int workers_begin(Workers* workers) except -1 nogil:
    """Start the threads if they are not running; as many as the system allows."""
    cdef int32_t i
    if workers_running(workers):
        return 0
    workers_stop(workers)
    if workers.others == NULL:
        memory_zeroed(<void**> &workers.others, workers.wanted - 1, sizeof(Judge))
    memory_zeroed(<void**> &workers.threads, workers.wanted - 1, sizeof(Worker))
    workers.process = getpid()
    workers.round = 0
    workers.open = False
    workers.working = 0
    workers.stopping = False
    pthread_mutex_init(&workers.lock, NULL)
    pthread_cond_init(&workers.begun, NULL)
    pthread_cond_init(&workers.ended, NULL)
    for i in range(workers.wanted - 1):
        workers.threads[i].workers = workers
        workers.threads[i].judge = &workers.others[i]
        workers.threads[i].number = i + 1
        if not thread_start(&workers.threads[i].thread, worker_run, &workers.threads[i]):
            break
        workers.started += 1
    return 0


cdef inline int32_t workers_for(
    const Workers* workers, int32_t events, int32_t purchases
) noexcept nogil:
    """Return the number of threads that pay for so many events with so many purchases."""
    cdef int64_t edits = events - purchases
    cdef int64_t useful = (
        workers.judgement_ns * purchases - EDIT_NS * edits
    ) // SHARE_NS
    if always_threads:
        return workers.wanted
    useful = min(useful, <int64_t> min(purchases, workers.wanted))
    return <int32_t> max(<int64_t> 1, useful)


cdef inline int workers_reserve(
    Workers* workers, const State* state, const Settings* settings, int32_t used,
    int32_t events, int32_t purchases
) except -1 nogil:
    """Start the threads, and reserve the memory of the judges for a batch of that size."""
    cdef int64_t users = state.users.count + 2 * <int64_t> events
    cdef int64_t kept = state.history.kept + purchases
    cdef int32_t i
    workers_begin(workers)
    judge_reserve(&workers.first, users, kept, settings.tracked)
    for i in range(min(used - 1, workers.started)):
        judge_reserve(&workers.others[i], users, kept, settings.tracked)
    return 0


cdef inline void workers_measure(
    Workers* workers, int64_t ns, int64_t purchases
) noexcept nogil:
    """Take the duration of judging some purchases into the average."""
    if purchases > 0:
        ns = max(<int64_t> 0, ns)
        workers.judgement_ns += (ns // purchases - workers.judgement_ns) // 4


cdef inline void workers_count_batch(Workers* workers, int32_t events) noexcept nogil:
    """Count a batch that will be judged, by its size."""
    cdef int32_t bucket = 0
    while events > 1 << bucket:
        bucket += 1
    workers.batch_sizes[bucket] += 1
    workers.batch_events += events
    workers.busy = 1


cdef inline void workers_judge(
    Workers* workers, Batch* batch, const State* state, const Settings* settings,
    int32_t used
) noexcept nogil:
    """Judge all purchases of a batch with up to `used` threads, for which memory is reserved.

    Returns when all are done.
    """
    cdef int64_t begun = now_ns(), ns
    cdef bint any_judged
    used = min(used, workers.started + 1)
    workers.batch = batch
    workers.state = state
    workers.settings = settings
    workers.next = 0
    workers.grab = max(1, min(
        <int64_t> GRAB_MAX, batch.purchase_count // (GRABS_PER_THREAD * used)
    ))
    pthread_mutex_lock(&workers.lock)
    workers.used = used
    workers.busy = 0
    workers.open = True
    workers.round += 1
    pthread_cond_broadcast(&workers.begun)
    pthread_mutex_unlock(&workers.lock)
    any_judged = workers_grab(workers, &workers.first)
    pthread_mutex_lock(&workers.lock)
    workers.open = False        # threads that have not woken up yet need not enter
    while workers.working > 0:
        pthread_cond_wait(&workers.ended, &workers.lock)
    workers.busy += any_judged
    pthread_mutex_unlock(&workers.lock)
    ns = now_ns() - begun
    workers.shared_ns += ns
    workers_measure(workers, ns * used, batch.purchase_count)
    batch.ahead = True
