"""The events of a table as columns, some rows at a time: what is sent to shards.

Rows are read as for a single process, see feed_frame.pxd. Flags will need the lines of their
rows, so an array of rows is not released before the last batch of it.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.arrow cimport ArrowArray, ArrowSource, array_release, source_next
from fastanomaly.engine.event_columns cimport event_columns
from fastanomaly.engine.feed_frame cimport FrameFeed, frame_gather
from fastanomaly.engine.frame cimport Frame, frame_kept, frame_set_rows
from fastanomaly.engine.memory cimport PyMem_RawFree

cdef struct FrameArray:         # an array of rows
    ArrowArray array
    Frame frame


cdef inline void frame_array_free(FrameArray* rows) noexcept nogil:
    array_release(&rows.array)
    PyMem_RawFree(rows.frame.kept)


cdef inline bint frame_array_next(
    FrameArray* rows, FrameFeed* feed, ArrowSource* source, tuple keep
) except -1:
    """Get the next array, into a struct that was zeroed; False at the end.

    It is freed by the caller, after an exception, too.
    """
    feed.done += feed.row
    feed.row = 0
    feed.frame.rows = 0
    if not source_next(source, &rows.array):
        return False
    rows.frame = feed.frame             # its columns; the feed's has no values to keep
    frame_set_rows(&rows.frame, &source.schema, &rows.array, keep)
    feed.frame = rows.frame
    feed.frame.kept = NULL
    feed.frame.kept_capacity = 0
    return True


cdef inline int frame_keep(
    const FrameArray* rows, FrameFeed* feed, int64_t first_row, tuple keep, list kept,
    list rejected
) except -1:
    """Add the kept values of all events of a batch; it ends before a row that has a fault."""
    cdef int32_t i, count = feed.count
    feed.count = 0
    try:
        for i in range(count):
            kept.append(frame_kept(&rows.frame, feed.rows[i], len(keep)))
            feed.count += 1
    finally:
        if feed.count < count:
            feed.row = feed.rows[feed.count]
            while rejected and (
                rejected[len(rejected) - 1].line >= first_row + feed.done + feed.row
            ):
                rejected.pop()
    return 0


cdef inline object frame_scan_fill(
    const FrameArray* rows, FrameFeed* feed, int32_t most, object log, int64_t first_row,
    Py_ssize_t max_rejected, tuple keep, list held, list kept, list rejected
):
    """Read rows of an array until there are `most` events; what failed, or None.

    `held` gets what the events point to, and `kept` their values of the columns `keep`.
    """
    failure = None
    feed.count = 0
    feed.most = most
    try:
        frame_gather(feed, log, first_row, max_rejected, held, rejected)
    except BaseException as error:
        failure = error
    try:
        if keep:
            frame_keep(rows, feed, first_row, keep, kept, rejected)
    except BaseException as error:
        # An interrupt must not be lost, whichever comes first.
        if failure is None or isinstance(failure, Exception):
            failure = error
    return failure


cdef inline tuple frame_scan_columns(const FrameFeed* feed):
    """Return what event_columns does of a batch, and the rows in the array, as bytes."""
    places = PyBytes_FromStringAndSize(
        <const char*> feed.rows, feed.count * <int64_t> sizeof(int64_t)
    )
    return event_columns(feed.events, feed.count) + (places,)
