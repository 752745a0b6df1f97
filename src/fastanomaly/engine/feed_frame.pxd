"""The events of a table, as batches: see feed.pxd.

Rows in the usual form are read without the GIL. Any other row is written as a line, which is
decoded: it is rejected, or takes its place among the events, exactly as that line would. What
was gathered is applied before any error is raised, so all rows before the one that failed
count, and none after it.
"""

from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.arrow cimport (
    ArrowArray, ArrowSource, array_release, source_next,
)
from fastanomaly.engine.batch cimport BATCH_FLAGS, Batch, batch_abandon
from fastanomaly.engine.columns cimport Digits
from fastanomaly.engine.decode cimport decode_line
from fastanomaly.engine.feed cimport (
    feed_begin, feed_gather, feed_until_flagged, flag_values,
)
from fastanomaly.engine.feed_lines cimport rejected_line
from fastanomaly.engine.frame cimport (
    Frame, frame_event, frame_kept, frame_line, frame_set_rows,
)
from fastanomaly.engine.grid cimport grid_cells
from fastanomaly.engine.judge cimport Outcome, Settings
from fastanomaly.engine.known_users cimport (
    KnownUsers, known_add, known_find, known_prefetch,
)
from fastanomaly.engine.memory cimport PyMem_RawFree
from fastanomaly.engine.overlay cimport BATCH_MAX
from fastanomaly.engine.reject cimport VALID
from fastanomaly.engine.scan_ahead cimport BATCH_EVENTS
from fastanomaly.engine.state cimport State
from fastanomaly.engine.types cimport PURCHASE, Event, Reading, UserKey
from fastanomaly.engine.workers cimport Workers

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef enum:
    LINE_MOST = 0x7FFFFFFF      # rows may be of any length

cdef struct FrameFeed:
    Frame frame
    ArrowArray array            # the rows of the frame
    const Reading* reading
    int64_t row                 # the next one of the array
    int64_t done                # rows of the arrays before
    int32_t most                # rows of a batch
    int32_t count               # of events in the batch
    Event[BATCH_MAX] events
    Digits[BATCH_MAX] digits
    int64_t[BATCH_MAX] rows     # of the events
    KnownUsers known


cdef inline int32_t rows_of_batch(
    const Settings* settings, const Workers* workers, bint judged
) noexcept nogil:
    """Return how many rows make a batch: more if several threads may judge them."""
    cdef int64_t cells = grid_cells(&settings.grid)
    if not judged or workers.team.wanted == 1:
        return BATCH_EVENTS
    if cells == 0:
        return BATCH_MAX
    return <int32_t> max(min(<int64_t> BATCH_MAX, BATCH_FLAGS // cells), 1)


cdef inline void frame_prefetch_users(
    const FrameFeed* feed, const Event* event
) noexcept nogil:
    """Prefetch what frame_recall_users will read."""
    known_prefetch(&feed.known, &event.user)
    if event.kind != PURCHASE:
        known_prefetch(&feed.known, &event.friend)


cdef inline bint frame_read(FrameFeed* feed) noexcept nogil:
    """Read rows into the batch while they are in the usual form and fit.

    Returns whether it ended at a row of another form.
    """
    cdef int32_t i
    while feed.count < feed.most and feed.row < feed.frame.rows:
        i = feed.count
        if not frame_event(
            &feed.frame, feed.row, feed.reading, &feed.events[i], &feed.digits[i]
        ):
            return True
        frame_prefetch_users(feed, &feed.events[i])
        feed.rows[i] = feed.row
        feed.count += 1
        feed.row += 1
    return False


cdef inline bint key_recall(const KnownUsers* known, UserKey* key) noexcept nogil:
    """Set the uid of a key, if it is known; return whether it is.

    Otherwise a hash will be needed.
    """
    return key.number >= 0 and known_find(known, key)


cdef inline void key_learn(KnownUsers* known, const UserKey* key) noexcept nogil:
    """Remember the uid of a key that had to be hashed."""
    if key.number >= 0 and key.hash != 0 and key.uid >= 0:
        known_add(known, key)


cdef inline bint frame_recall_users(FrameFeed* feed) noexcept nogil:
    """Set the uids of the batch's users that are known; return whether all are."""
    cdef int32_t i
    cdef bint known = True
    for i in range(feed.count):
        known &= key_recall(&feed.known, &feed.events[i].user)
        if feed.events[i].kind != PURCHASE:
            known &= key_recall(&feed.known, &feed.events[i].friend)
    return known


cdef inline void frame_learn_users(FrameFeed* feed) noexcept nogil:
    """Remember the users of a batch, all of which has been applied."""
    cdef int32_t i
    for i in range(feed.count):
        key_learn(&feed.known, &feed.events[i].user)
        if feed.events[i].kind != PURCHASE:
            key_learn(&feed.known, &feed.events[i].friend)


cdef inline int frame_decode(
    FrameFeed* feed, object log, int64_t first_row, list kept, list rejected
) except -1:
    """Add the next row to the batch, or reject it; `kept` gets what its keys point to."""
    line = frame_line(&feed.frame, feed.row)
    reason, decoded = decode_line(
        line, LINE_MOST, feed.reading, &feed.events[feed.count]
    )
    if reason == VALID:
        kept.append((line, decoded))
        feed.rows[feed.count] = feed.row
        feed.count += 1
    else:
        number = first_row + feed.done + feed.row
        rejected.append(rejected_line(log, number, reason, line))
    feed.row += 1
    return 0


cdef inline int frame_gather(
    FrameFeed* feed, object log, int64_t first_row, Py_ssize_t max_rejected, list kept,
    list rejected
) except -1:
    """Read a batch, up to the last row that may be rejected."""
    cdef bint other = True
    PyErr_CheckSignals()
    while other and len(rejected) < max_rejected:
        with nogil:
            other = frame_read(feed)
        if other:
            frame_decode(feed, log, first_row, kept, rejected)
    return 0


cdef inline int frame_apply(
    FrameFeed* feed, State* state, Settings* settings, Workers* workers, Batch* batch,
    bint judged, int64_t first_row, tuple keep, list flags
) except -1:
    """Judge and apply a batch; feed.row is the row that failed after an exception."""
    cdef const Outcome* outcome = NULL
    cdef bint found = True, known = False, done = False
    cdef int64_t row
    try:
        with nogil:
            known = frame_recall_users(feed)
            feed_gather(state, feed.events, feed.count, batch)
        feed_begin(state, settings, workers, batch, judged)
        while found:
            with nogil:
                found = feed_until_flagged(
                    state, settings, workers, batch, judged, &outcome
                )
            if found:
                row = feed.rows[batch.applied - 1]
                values = flag_values(settings, batch.events[batch.applied - 1], outcome)
                line = frame_line(&feed.frame, row)
                kept = frame_kept(&feed.frame, row, len(keep))
                flags.append((first_row + feed.done + row, line, values, kept))
        if not known:
            with nogil:
                frame_learn_users(feed)
        done = True
    finally:
        if not done:
            if batch.applied < batch.count:
                feed.row = feed.rows[batch.applied]
            batch_abandon(batch, state)
    return 0


cdef inline object frame_feed_batch(
    FrameFeed* feed, State* state, Settings* settings, Workers* workers, Batch* batch,
    bint judged, object log, int64_t first_row, Py_ssize_t max_rejected, tuple keep,
    list flags, list rejected
):
    """Gather a batch and apply it; what failed, or None."""
    cdef list kept = []
    failure = None
    feed.count = 0
    try:
        frame_gather(feed, log, first_row, max_rejected, kept, rejected)
    except BaseException as error:
        failure = error
    try:
        frame_apply(feed, state, settings, workers, batch, judged, first_row, keep, flags)
    except BaseException as error:
        # An interrupt must not be lost, whichever comes first.
        if failure is None or isinstance(failure, Exception):
            failure = error
        while rejected and (
            rejected[len(rejected) - 1].line >= first_row + feed.done + feed.row
        ):
            rejected.pop()
    return failure


cdef inline bint frame_next_array(
    FrameFeed* feed, ArrowSource* source, tuple keep
) except -1:
    """Release the array that was fed, and get the next one; False at the end."""
    feed.done += feed.row
    feed.row = 0
    feed.frame.rows = 0
    with nogil:
        array_release(&feed.array)
    if not source_next(source, &feed.array):
        return False
    frame_set_rows(&feed.frame, &source.schema, &feed.array, keep)
    return True


cdef inline tuple feed_frame(
    State* state, Settings* settings, Workers* workers, Batch* batch, FrameFeed* feed,
    ArrowSource* source, bint judged, object log, int64_t first_row,
    Py_ssize_t max_rejected, tuple keep, const Reading* reading
):
    """Apply the events of a table; see Engine.feed_frame for what it returns.

    feed.frame has its columns; the rest is set here.
    """
    cdef list flags = [], rejected = []
    failure = None
    feed.array.release = NULL
    feed.frame.rows = 0
    feed.row = 0
    feed.done = 0
    feed.reading = reading
    feed.most = rows_of_batch(settings, workers, judged)
    try:
        while failure is None and len(rejected) < max_rejected:
            if feed.row < feed.frame.rows:
                failure = frame_feed_batch(
                    feed, state, settings, workers, batch, judged, log, first_row,
                    max_rejected, keep, flags, rejected,
                )
            elif not frame_next_array(feed, source, keep):
                break
    except BaseException as error:
        failure = error
    finally:
        with nogil:
            array_release(&feed.array)
    return feed.done + feed.row, flags, rejected, failure


cdef inline int64_t frame_feed_bytes(const FrameFeed* feed) noexcept nogil:
    """Return the bytes allocated."""
    return (
        <int64_t> sizeof(FrameFeed)
        + feed.frame.kept_capacity * <int64_t> sizeof(feed.frame.kept[0])
    )


cdef inline void frame_feed_free(FrameFeed* feed) noexcept nogil:
    PyMem_RawFree(feed.frame.kept)
    PyMem_RawFree(feed)
