"""A team of threads, which share out the items of a job among them.

The calling thread is one of them. All of them grab the next few items until none is left, so
one that costs much delays the others little. The threads are started by the first job that is
worth it, and wait in between; after a fork, the child starts its own.

A job is a function and what it works on. It is called with the number of the thread, which
tells whose scratch memory to use, and must neither need Python nor raise. A team owns its
threads.
"""

from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.latency cimport now_ns
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_zeroed
from fastanomaly.engine.threads cimport (
    getpid, pid_t, pthread_cond_broadcast, pthread_cond_destroy, pthread_cond_init,
    pthread_cond_signal, pthread_cond_t, pthread_cond_wait, pthread_join,
    pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_t,
    pthread_mutex_unlock, pthread_t, thread_start,
)

cdef enum:
    GRAB_NS = 20_000            # expected duration of the items taken at a time, at most
    GRABS_PER_THREAD = 8        # of a job, at least, unless it is small
    FIRST_ITEM_NS = 2000        # expected duration before any was measured
    SHARE_NS = 20_000           # a thread is used if it gets work of that duration

cdef extern from *:
    int64_t fetch_add "__atomic_fetch_add"(int64_t*, int64_t, int) noexcept nogil
    int RELAXED "__ATOMIC_RELAXED"

cdef extern from *:
    """
    /* Whether every job is for all threads, however small. Set by tests only. */
    static int fa_always_threads = 0;
    """
    bint always_threads "fa_always_threads"

# Does the items from `first` to before `end` of a job, as the thread of a number.
ctypedef void (*Work)(
    void* job, int32_t number, int64_t first, int64_t end
) noexcept nogil

cdef struct Team

cdef struct Member:             # what a thread gets
    Team* team
    int32_t number              # from 1; the caller is number 0
    pthread_t thread

cdef struct Team:
    int32_t wanted              # threads that may work, the caller included
    Member* members             # or NULL
    int32_t started             # threads that run
    pid_t process               # that started them
    int64_t item_ns             # average duration of an item, lately
    int64_t busy                # threads that worked on the last job
    # The current job, set before a round begins:
    Work work
    void* job
    int64_t items
    int64_t grab
    int64_t next                # index of the next item to be grabbed; atomic
    # Shared by the threads, protected by the lock:
    int64_t round
    bint open                   # whether threads may still enter the round
    int32_t used                # threads that may, the caller included
    int32_t working             # that have entered and not left it, without the caller
    bint stopping
    pthread_mutex_t lock
    pthread_cond_t begun
    pthread_cond_t ended


cdef inline void team_share_all(bint wanted) noexcept nogil:
    """Let all threads work on every job, or end that. For tests."""
    global always_threads
    always_threads = wanted


cdef inline bint team_grab(Team* team, int32_t number) noexcept nogil:
    """Do items of the current job until none is left; whether there was any."""
    cdef int64_t first
    cdef bint any_done = False
    while True:
        first = fetch_add(&team.next, team.grab, RELAXED)
        if first >= team.items:
            return any_done
        any_done = True
        team.work(team.job, number, first, min(first + team.grab, team.items))


cdef inline void* member_run(void* argument) noexcept nogil:
    """Wait for rounds and take part in them; the main function of a thread."""
    cdef Member* member = <Member*> argument
    cdef Team* team = member.team
    cdef int64_t last = 0
    cdef bint any_done
    pthread_mutex_lock(&team.lock)
    while not team.stopping:
        if not team.open or team.round == last or member.number >= team.used:
            pthread_cond_wait(&team.begun, &team.lock)
            continue
        last = team.round
        team.working += 1
        pthread_mutex_unlock(&team.lock)
        any_done = team_grab(team, member.number)
        pthread_mutex_lock(&team.lock)
        team.working -= 1
        team.busy += any_done
        if team.working == 0:
            pthread_cond_signal(&team.ended)
    pthread_mutex_unlock(&team.lock)
    return NULL


cdef inline bint team_running(const Team* team) noexcept nogil:
    """Return whether this process has started the threads."""
    return team.members != NULL and team.process == getpid()


cdef inline void team_stop(Team* team) noexcept nogil:
    """End the threads; in a forked child there are none."""
    cdef int32_t i
    if team_running(team):
        pthread_mutex_lock(&team.lock)
        team.stopping = True
        pthread_cond_broadcast(&team.begun)
        pthread_mutex_unlock(&team.lock)
        for i in range(team.started):
            pthread_join(team.members[i].thread, NULL)
        pthread_cond_destroy(&team.begun)
        pthread_cond_destroy(&team.ended)
        pthread_mutex_destroy(&team.lock)
    PyMem_RawFree(team.members)
    team.members = NULL
    team.started = 0


cdef inline void team_set(Team* team, int32_t wanted) noexcept nogil:
    """Set the number of threads that may work, the caller included; ends those that run."""
    team_stop(team)
    team.wanted = wanted
    if team.item_ns == 0:
        team.item_ns = FIRST_ITEM_NS


cdef inline int team_start(Team* team) except -1 nogil:
    """Start the threads if they are not running; as many as the system allows."""
    cdef int32_t i
    if team_running(team):
        return 0
    team_stop(team)
    memory_zeroed(<void**> &team.members, team.wanted - 1, sizeof(Member))
    team.process = getpid()
    team.round = 0
    team.open = False
    team.working = 0
    team.stopping = False
    pthread_mutex_init(&team.lock, NULL)
    pthread_cond_init(&team.begun, NULL)
    pthread_cond_init(&team.ended, NULL)
    for i in range(team.wanted - 1):
        team.members[i].team = team
        team.members[i].number = i + 1
        if not thread_start(&team.members[i].thread, member_run, &team.members[i]):
            break
        team.started += 1
    return 0


cdef inline int32_t team_for(
    const Team* team, int64_t items, int64_t cost_ns
) noexcept nogil:
    """Return the number of threads that pay for so many items, if sharing them costs that."""
    cdef int64_t useful = (team.item_ns * items - cost_ns) // SHARE_NS
    if always_threads:
        return team.wanted
    useful = min(useful, min(items, <int64_t> team.wanted))
    return <int32_t> max(<int64_t> 1, useful)


cdef inline void team_measure(Team* team, int64_t ns, int64_t items) noexcept nogil:
    """Take the duration of some items into the average."""
    if items > 0:
        ns = max(<int64_t> 0, ns)
        team.item_ns += (ns // items - team.item_ns) // 4


cdef inline int64_t team_share(
    Team* team, Work work, void* job, int64_t items, int32_t used
) noexcept nogil:
    """Do the items of a job with up to `used` threads, which have been started.

    Returns when all are done, and how many nanoseconds it took.
    """
    cdef int64_t begun = now_ns(), ns
    cdef bint any_done
    used = min(used, team.started + 1)
    team.work = work
    team.job = job
    team.items = items
    team.next = 0
    # At the end of a job, threads wait for the one that has made the last grab.
    team.grab = min(
        items // (GRABS_PER_THREAD * used), GRAB_NS // max(<int64_t> 1, team.item_ns)
    )
    team.grab = max(<int64_t> 1, team.grab)
    pthread_mutex_lock(&team.lock)
    team.used = used
    team.busy = 0
    team.open = True
    team.round += 1
    pthread_cond_broadcast(&team.begun)
    pthread_mutex_unlock(&team.lock)
    any_done = team_grab(team, 0)
    pthread_mutex_lock(&team.lock)
    team.open = False           # threads that have not woken up yet need not enter
    while team.working > 0:
        pthread_cond_wait(&team.ended, &team.lock)
    team.busy += any_done
    pthread_mutex_unlock(&team.lock)
    ns = now_ns() - begun
    team_measure(team, ns * used, items)
    return ns
