"""Scanning ahead: a thread scans the next lines while the caller applies scanned ones.

The threads share a ring of batches and nothing else. The scanning thread fills batches in
order, the caller takes them in the same order: batches applied <= n < scanned are filled.
Text of less than THREAD_BYTES is scanned by the caller between batches, and so is any text
if no thread may or can be started.

Before a batch is filled again, the users that were looked up for it are remembered
(known_users.pxd): the next lines with them need neither a hash nor a lookup by the caller,
who has the most to do.

ScanAhead owns no memory: the text, the reading and the hash's secret belong to the caller,
and must not change between scan_ahead_begin and scan_ahead_end. Events point into the text;
they are valid until their batch is released.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t

from fastanomaly.engine.known_users cimport (
    KnownUsers, known_add, known_find, known_prefetch,
)
from fastanomaly.engine.reject cimport BLANK
from fastanomaly.engine.scan_line cimport Lines, line_reason, lines_begin, scan_line
from fastanomaly.engine.threads cimport (
    pthread_cond_destroy, pthread_cond_init, pthread_cond_signal, pthread_cond_t,
    pthread_cond_wait, pthread_join, pthread_mutex_destroy, pthread_mutex_init,
    pthread_mutex_lock, pthread_mutex_t, pthread_mutex_unlock, pthread_t, thread_start,
)
from fastanomaly.engine.types cimport PURCHASE, Event, Reading, UserKey
from fastanomaly.engine.users cimport key_hash

cdef enum:
    BATCH_EVENTS = 128          # events scanned and prefetched together
    BATCH_OTHERS = 64           # other lines between them, at most
    RING_BATCHES = 16           # a waiting thread is woken when the ring is half full or empty
    THREAD_BYTES = 1 << 16      # text from which on a thread is used

cdef struct OtherLine:          # a line that is not blank, and no event for the scanner
    int64_t start
    int64_t end
    int64_t line
    int32_t before              # index of the event that comes next
    int reason                  # DECLINED: orjson must decide
    Event event                 # set by the caller, if it is one

cdef struct LineBatch:
    Event[BATCH_EVENTS] events
    int64_t[BATCH_EVENTS] starts        # of the events' lines, in the text
    int64_t[BATCH_EVENTS] ends
    int64_t[BATCH_EVENTS] lines         # their numbers in the batch, from 0
    OtherLine[BATCH_OTHERS] others
    int32_t count                       # of events
    int32_t other_count
    int64_t line_count                  # of lines, blank ones included
    UserKey* unknown[2 * BATCH_EVENTS]  # keys of events that may be known once applied
    int32_t unknown_count

cdef struct ScanAhead:
    Lines lines
    const uint64_t* secret      # of the hash of user keys
    int64_t next_start          # of the next line to be scanned
    KnownUsers known            # from batches that were released
    LineBatch[RING_BATCHES] batches
    # Shared by the threads, protected by the lock:
    int64_t scanned             # batches scanned so far
    int64_t applied             # batches released by the caller so far
    bint stopped
    bint threaded
    pthread_t thread
    pthread_mutex_t lock
    pthread_cond_t changed


cdef inline bint note_other_line(
    ScanAhead* ahead, LineBatch* batch, int64_t start, int64_t end, int64_t line,
    int32_t before
) noexcept nogil:
    """Add a line that the scanner declined, unless it is blank; whether no other one fits."""
    cdef OtherLine* other = &batch.others[batch.other_count]
    other.reason = line_reason(&ahead.lines, start, end)
    if other.reason == BLANK:
        return False
    other.start = start
    other.end = end
    other.line = line
    other.before = before
    batch.other_count += 1
    return batch.other_count == BATCH_OTHERS


cdef inline void prepare_key(ScanAhead* ahead, LineBatch* batch, UserKey* key) noexcept nogil:
    """Set the uid of a scanned key if it is known; otherwise its hash."""
    if key.number >= 0:
        if known_find(&ahead.known, key):
            return
        batch.unknown[batch.unknown_count] = key
        batch.unknown_count += 1
    key.hash = key_hash(ahead.secret, key)


cdef inline void prepare_keys(
    ScanAhead* ahead, LineBatch* batch, int32_t count
) noexcept nogil:
    """Prepare the keys of a batch's events, which known_prefetch has been called for."""
    cdef int32_t i
    for i in range(count):
        prepare_key(ahead, batch, &batch.events[i].user)
        if batch.events[i].kind != PURCHASE:
            prepare_key(ahead, batch, &batch.events[i].friend)


cdef inline void remember_users(ScanAhead* ahead, LineBatch* batch) noexcept nogil:
    """Remember the uids that were looked up for a batch since it was filled."""
    cdef int32_t i
    for i in range(batch.unknown_count):
        if batch.unknown[i].uid >= 0:
            known_add(&ahead.known, batch.unknown[i])
    batch.unknown_count = 0


cdef inline void scan_ahead_fill(ScanAhead* ahead, LineBatch* batch) noexcept nogil:
    """Scan the next lines into a batch, until it is full."""
    cdef int64_t start, end, next_start = ahead.next_start, line = 0
    cdef int32_t count = 0
    cdef bint full = False
    cdef Event* event
    remember_users(ahead, batch)
    batch.other_count = 0
    while not full and next_start < ahead.lines.size:
        start = next_start
        event = &batch.events[count]
        if scan_line(&ahead.lines, start, event, &end, &next_start):
            known_prefetch(&ahead.known, &event.user)
            if event.kind != PURCHASE:
                known_prefetch(&ahead.known, &event.friend)
            batch.starts[count] = start
            batch.ends[count] = end
            batch.lines[count] = line
            count += 1
            full = count == BATCH_EVENTS
        else:
            full = note_other_line(ahead, batch, start, end, line, count)
        line += 1
    prepare_keys(ahead, batch, count)
    batch.count = count
    batch.line_count = line
    ahead.next_start = next_start


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
        ended = ahead.next_start == ahead.lines.size
        pthread_mutex_lock(&ahead.lock)
        ahead.scanned += 1
        ahead.stopped = ahead.stopped or ended
        if ended or ahead.scanned - ahead.applied >= RING_BATCHES // 2:
            pthread_cond_signal(&ahead.changed)
        pthread_mutex_unlock(&ahead.lock)
    return NULL


cdef inline void scan_ahead_begin(
    ScanAhead* ahead, const char* text, int64_t size, int64_t max_line,
    const Reading* reading, const uint64_t* secret, bint threads
) noexcept nogil:
    """Begin to scan a text; scan_ahead_end must follow.

    `threads` is whether a thread may be started; otherwise the caller scans. One is enough:
    scanning a batch takes half as long as applying it.
    """
    lines_begin(&ahead.lines, text, size, max_line, reading)
    ahead.secret = secret
    ahead.next_start = 0
    ahead.scanned = 0
    ahead.applied = 0
    ahead.stopped = False
    ahead.threaded = False
    if size >= THREAD_BYTES and threads:
        pthread_mutex_init(&ahead.lock, NULL)
        pthread_cond_init(&ahead.changed, NULL)
        ahead.threaded = thread_start(&ahead.thread, scan_ahead_run, ahead)
        if not ahead.threaded:
            pthread_cond_destroy(&ahead.changed)
            pthread_mutex_destroy(&ahead.lock)


cdef inline LineBatch* scan_ahead_next(
    ScanAhead* ahead, int32_t held, bint wait
) noexcept nogil:
    """Return the next batch, or NULL at the end; to be released with scan_ahead_release.

    `held` is the number of batches taken and not released, less than RING_BATCHES. Without
    `wait`, NULL is returned as well if the next one has not been scanned yet.
    """
    cdef LineBatch* batch = NULL
    if not ahead.threaded:
        if ahead.next_start < ahead.lines.size:
            batch = &ahead.batches[held]
            scan_ahead_fill(ahead, batch)
        return batch
    pthread_mutex_lock(&ahead.lock)
    while wait and ahead.scanned == ahead.applied + held and not ahead.stopped:
        pthread_cond_wait(&ahead.changed, &ahead.lock)
    if ahead.applied + held < ahead.scanned:
        batch = &ahead.batches[(ahead.applied + held) % RING_BATCHES]
    pthread_mutex_unlock(&ahead.lock)
    return batch


cdef inline void scan_ahead_release(ScanAhead* ahead, int32_t count) noexcept nogil:
    """Release the oldest batches that scan_ahead_next returned."""
    if ahead.threaded:
        pthread_mutex_lock(&ahead.lock)
        ahead.applied += count
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
        pthread_cond_destroy(&ahead.changed)
        pthread_mutex_destroy(&ahead.lock)
