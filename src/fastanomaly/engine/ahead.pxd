"""Scanning ahead: while the engine applies a batch of lines, a thread scans the next ones.

The two share a ring of batches and nothing else. Text too short to be worth a thread is
scanned in between, and so is all of it where no thread can be had.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memchr

from fastanomaly.engine.events cimport UNDECIDED, VALID
from fastanomaly.engine.scan cimport scan_event
from fastanomaly.engine.types cimport PURCHASE, Event
from fastanomaly.engine.users cimport key_hash

cdef extern from "pthread.h" nogil:
    ctypedef struct pthread_t:
        pass
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass
    int pthread_create(pthread_t*, void*, void* (*)(void*) noexcept nogil, void*)
    int pthread_join(pthread_t, void**)
    int pthread_mutex_init(pthread_mutex_t*, void*)
    int pthread_mutex_lock(pthread_mutex_t*)
    int pthread_mutex_unlock(pthread_mutex_t*)
    int pthread_mutex_destroy(pthread_mutex_t*)
    int pthread_cond_init(pthread_cond_t*, void*)
    int pthread_cond_signal(pthread_cond_t*)
    int pthread_cond_wait(pthread_cond_t*, pthread_mutex_t*)
    int pthread_cond_destroy(pthread_cond_t*)

cdef enum:
    BATCH = 128                 # lines scanned, and events prepared, together
    DEPTH = 16                  # batches in the ring: whoever waits is woken at half of them
    WORTH_A_THREAD = 1 << 16    # bytes of text

cdef struct Batch:
    Event[BATCH] events
    int64_t[BATCH + 1] starts   # of the lines, in the text
    int64_t[BATCH + 1] ends
    int32_t count               # of events
    int reason                  # VALID, or UNDECIDED: a line that was declined comes next

cdef struct Ahead:
    const char* text
    int64_t size
    int64_t max_line
    const uint64_t* secret      # of the users' hash
    int64_t next_start          # of the line to be scanned next
    Batch[DEPTH] batches
    # What the threads share, under the lock:
    int64_t scanned             # batches so far
    int64_t applied
    bint stopped
    bint threaded
    pthread_t thread
    pthread_mutex_t lock
    pthread_cond_t changed


cdef inline int64_t find_line_end(
    const char* text, int64_t size, int64_t start, int64_t* end
) noexcept nogil:
    """Set where the line that starts there ends; where the next one starts."""
    cdef const char* found = <const char*> memchr(
        text + start, c"\n", <size_t> (size - start)
    )
    cdef int64_t next_start = found - text + 1 if found != NULL else size
    end[0] = next_start - (found != NULL)
    end[0] -= end[0] > start and text[end[0] - 1] == c"\r"
    return next_start


cdef inline void ahead_scan(Ahead* ahead, Batch* batch) noexcept nogil:
    """Scan the next lines."""
    cdef int64_t start, end
    cdef Event* event
    batch.count = 0
    batch.reason = VALID
    while batch.count < BATCH and ahead.next_start < ahead.size:
        start = ahead.next_start
        event = &batch.events[batch.count]
        ahead.next_start = find_line_end(ahead.text, ahead.size, start, &end)
        batch.starts[batch.count] = start
        batch.ends[batch.count] = end
        # What stands behind a line is its line end, or a bytes' own NUL.
        if end - start > ahead.max_line or not scan_event(
            ahead.text + start, ahead.text + end, event
        ):
            batch.reason = UNDECIDED
            return
        event.user.hash = key_hash(ahead.secret, &event.user)
        if event.kind != PURCHASE:
            event.friend.hash = key_hash(ahead.secret, &event.friend)
        batch.count += 1


cdef inline void* ahead_run(void* argument) noexcept nogil:
    """What the thread does."""
    cdef Ahead* ahead = <Ahead*> argument
    cdef bint ended = False
    while not ended:
        pthread_mutex_lock(&ahead.lock)
        while ahead.scanned - ahead.applied == DEPTH and not ahead.stopped:
            pthread_cond_wait(&ahead.changed, &ahead.lock)
        ended = ahead.stopped
        pthread_mutex_unlock(&ahead.lock)
        if ended:
            break
        ahead_scan(ahead, &ahead.batches[ahead.scanned % DEPTH])
        ended = ahead.next_start == ahead.size
        pthread_mutex_lock(&ahead.lock)
        ahead.scanned += 1
        ahead.stopped = ahead.stopped or ended
        if ended or ahead.scanned - ahead.applied >= DEPTH // 2:
            pthread_cond_signal(&ahead.changed)
        pthread_mutex_unlock(&ahead.lock)
    return NULL


cdef inline void ahead_begin(
    Ahead* ahead, const char* text, int64_t size, int64_t max_line, const uint64_t* secret
) noexcept nogil:
    """Begin to scan a text; ahead_end is to follow."""
    ahead.text = text
    ahead.size = size
    ahead.max_line = max_line
    ahead.secret = secret
    ahead.next_start = 0
    ahead.scanned = 0
    ahead.applied = 0
    ahead.stopped = False
    ahead.threaded = False
    if size >= WORTH_A_THREAD:
        pthread_mutex_init(&ahead.lock, NULL)
        pthread_cond_init(&ahead.changed, NULL)
        ahead.threaded = pthread_create(&ahead.thread, NULL, ahead_run, ahead) == 0


cdef inline Batch* ahead_next(Ahead* ahead) noexcept nogil:
    """The next batch, to be given up by ahead_done; NULL after the last."""
    cdef Batch* batch = NULL
    if not ahead.threaded:
        if ahead.next_start < ahead.size:
            batch = &ahead.batches[0]
            ahead_scan(ahead, batch)
        return batch
    pthread_mutex_lock(&ahead.lock)
    while ahead.scanned == ahead.applied and not ahead.stopped:
        pthread_cond_wait(&ahead.changed, &ahead.lock)
    if ahead.applied < ahead.scanned:
        batch = &ahead.batches[ahead.applied % DEPTH]
    pthread_mutex_unlock(&ahead.lock)
    return batch


cdef inline void ahead_done(Ahead* ahead) noexcept nogil:
    """Give up the batch that ahead_next gave."""
    if ahead.threaded:
        pthread_mutex_lock(&ahead.lock)
        ahead.applied += 1
        if ahead.scanned - ahead.applied <= DEPTH // 2:
            pthread_cond_signal(&ahead.changed)
        pthread_mutex_unlock(&ahead.lock)


cdef inline void ahead_end(Ahead* ahead) noexcept nogil:
    """Scan no more."""
    if ahead.threaded:
        pthread_mutex_lock(&ahead.lock)
        ahead.stopped = True
        pthread_cond_signal(&ahead.changed)
        pthread_mutex_unlock(&ahead.lock)
        pthread_join(ahead.thread, NULL)
    if ahead.size >= WORTH_A_THREAD:
        pthread_cond_destroy(&ahead.changed)
        pthread_mutex_destroy(&ahead.lock)
