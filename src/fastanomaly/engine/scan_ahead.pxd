"""Scanning ahead: a thread scans the next lines while the caller applies scanned ones.

The threads share a ring of batches and nothing else. The scanning thread fills batches in
order, the caller takes them in the same order: batches applied <= n < scanned are filled.
Text of less than THREAD_BYTES is scanned by the caller between batches, and so is any text
if no thread can be started.

ScanAhead owns no memory: the text, the reading and the hash's secret belong to the caller,
and must not change between scan_ahead_begin and scan_ahead_end. Events point into the text;
they are valid until their batch is released.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memchr

from fastanomaly.engine.decode cimport DECLINED, VALID
from fastanomaly.engine.scan cimport scan_event
from fastanomaly.engine.types cimport PURCHASE, Event, Reading
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
    BATCH_EVENTS = 128          # lines scanned, and events prefetched, together
    RING_BATCHES = 16           # a waiting thread is woken when the ring is half full or empty
    THREAD_BYTES = 1 << 16      # text from which on a thread is used

cdef struct LineBatch:
    Event[BATCH_EVENTS] events
    int64_t[BATCH_EVENTS + 1] starts    # of the lines, in the text
    int64_t[BATCH_EVENTS + 1] ends
    int32_t count               # of events
    int reason                  # DECLINED if the line after them was declined, or VALID

cdef struct ScanAhead:
    const char* text
    int64_t size
    int64_t max_line
    const Reading* reading      # what is accepted
    const uint64_t* secret      # of the hash of user keys
    int64_t next_start          # of the next line to be scanned
    LineBatch[RING_BATCHES] batches
    # Shared by the threads, protected by the lock:
    int64_t scanned             # batches scanned so far
    int64_t applied             # batches released by the caller so far
    bint stopped
    bint threaded
    pthread_t thread
    pthread_mutex_t lock
    pthread_cond_t changed


cdef inline int64_t find_line_end(
    const char* text, int64_t size, int64_t start, int64_t* end
) noexcept nogil:
    """Set the end of the line at start, without its line end; the start of the next line."""
    cdef const char* found = <const char*> memchr(
        text + start, c"\n", <size_t> (size - start)
    )
    cdef int64_t next_start = found - text + 1 if found != NULL else size
    end[0] = next_start - (found != NULL)
    end[0] -= end[0] > start and text[end[0] - 1] == c"\r"
    return next_start


cdef inline void scan_ahead_fill(ScanAhead* ahead, LineBatch* batch) noexcept nogil:
    """Scan the next lines into a batch, up to and including a declined line."""
    cdef int64_t start, end
    cdef Event* event
    batch.count = 0
    batch.reason = VALID
    while batch.count < BATCH_EVENTS and ahead.next_start < ahead.size:
        start = ahead.next_start
        event = &batch.events[batch.count]
        ahead.next_start = find_line_end(ahead.text, ahead.size, start, &end)
        batch.starts[batch.count] = start
        batch.ends[batch.count] = end
        # The byte behind a line is its line end, or the NUL that ends a bytes object.
        if end - start > ahead.max_line or not scan_event(
            ahead.text + start, ahead.text + end, ahead.reading, event
        ):
            batch.reason = DECLINED
            return
        event.user.hash = key_hash(ahead.secret, &event.user)
        if event.kind != PURCHASE:
            event.friend.hash = key_hash(ahead.secret, &event.friend)
        batch.count += 1


cdef inline void* scan_ahead_run(void* argument) noexcept nogil:
    """Scan until the end of the text; the main function of the thread."""
    cdef ScanAhead* ahead = <ScanAhead*> argument
    cdef bint ended = False
    while not ended:
        pthread_mutex_lock(&ahead.lock)
        while ahead.scanned - ahead.applied == RING_BATCHES and not ahead.stopped:
            pthread_cond_wait(&ahead.changed, &ahead.lock)
        ended = ahead.stopped
        pthread_mutex_unlock(&ahead.lock)
        if ended:
            break
        scan_ahead_fill(ahead, &ahead.batches[ahead.scanned % RING_BATCHES])
        ended = ahead.next_start == ahead.size
        pthread_mutex_lock(&ahead.lock)
        ahead.scanned += 1
        ahead.stopped = ahead.stopped or ended
        if ended or ahead.scanned - ahead.applied >= RING_BATCHES // 2:
            pthread_cond_signal(&ahead.changed)
        pthread_mutex_unlock(&ahead.lock)
    return NULL


cdef inline void scan_ahead_begin(
    ScanAhead* ahead, const char* text, int64_t size, int64_t max_line,
    const Reading* reading, const uint64_t* secret
) noexcept nogil:
    """Begin to scan a text; scan_ahead_end must follow."""
    ahead.text = text
    ahead.size = size
    ahead.max_line = max_line
    ahead.reading = reading
    ahead.secret = secret
    ahead.next_start = 0
    ahead.scanned = 0
    ahead.applied = 0
    ahead.stopped = False
    ahead.threaded = False
    if size >= THREAD_BYTES:
        pthread_mutex_init(&ahead.lock, NULL)
        pthread_cond_init(&ahead.changed, NULL)
        ahead.threaded = pthread_create(&ahead.thread, NULL, scan_ahead_run, ahead) == 0


cdef inline LineBatch* scan_ahead_next(ScanAhead* ahead) noexcept nogil:
    """Wait for the next batch, to be released with scan_ahead_release; NULL at the end."""
    cdef LineBatch* batch = NULL
    if not ahead.threaded:
        if ahead.next_start < ahead.size:
            batch = &ahead.batches[0]
            scan_ahead_fill(ahead, batch)
        return batch
    pthread_mutex_lock(&ahead.lock)
    while ahead.scanned == ahead.applied and not ahead.stopped:
        pthread_cond_wait(&ahead.changed, &ahead.lock)
    if ahead.applied < ahead.scanned:
        batch = &ahead.batches[ahead.applied % RING_BATCHES]
    pthread_mutex_unlock(&ahead.lock)
    return batch


cdef inline void scan_ahead_release(ScanAhead* ahead) noexcept nogil:
    """Release the batch that scan_ahead_next returned."""
    if ahead.threaded:
        pthread_mutex_lock(&ahead.lock)
        ahead.applied += 1
        if ahead.scanned - ahead.applied <= RING_BATCHES // 2:
            pthread_cond_signal(&ahead.changed)
        pthread_mutex_unlock(&ahead.lock)


cdef inline void scan_ahead_end(ScanAhead* ahead) noexcept nogil:
    """Stop scanning, and join the thread."""
    if ahead.threaded:
        pthread_mutex_lock(&ahead.lock)
        ahead.stopped = True
        pthread_cond_signal(&ahead.changed)
        pthread_mutex_unlock(&ahead.lock)
        pthread_join(ahead.thread, NULL)
    if ahead.size >= THREAD_BYTES:
        pthread_cond_destroy(&ahead.changed)
        pthread_mutex_destroy(&ahead.lock)
