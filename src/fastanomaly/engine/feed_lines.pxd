"""The events of newline-delimited JSON, as batches: see feed.pxd.

The scanner's batches of lines are gathered into larger ones while more have been scanned.
Lines that it declined are decoded, and take their place among the events, or are rejected.
What was gathered is applied before any error is raised, so all lines before the one that
failed count, and none after it.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.ref cimport Py_INCREF, PyObject
from cpython.tuple cimport PyTuple_SET_ITEM
from cpython.type cimport PyType_GenericAlloc
from libc.stdint cimport int32_t, int64_t, uint8_t

from fastanomaly.engine.apply cimport events_find_users, events_hash
from fastanomaly.engine.batch cimport (
    Batch, batch_abandon, batch_add, batch_clear, batch_fits,
)
from fastanomaly.engine.decode cimport decode_line
from fastanomaly.engine.feed cimport feed_begin, feed_until_flagged, flag_values
from fastanomaly.engine.judge cimport Outcome, Settings
from fastanomaly.engine.reject cimport BLANK, DECLINED, VALID
from fastanomaly.engine.scan_ahead cimport (
    BATCH_EVENTS, BATCH_OTHERS, LineBatch, OtherLine, ScanAhead,
    scan_ahead_begin, scan_ahead_end, scan_ahead_next, scan_ahead_release,
)
from fastanomaly.engine.state cimport State
from fastanomaly.engine.types cimport Event, Reading
from fastanomaly.engine.workers cimport Workers

cdef enum:
    HELD_MAX = 8                # half of RING_BATCHES, so that the scanner can go on

cdef extern from *:
    """
    static PyObject *fa_reject_tools = NULL;    /* kept for the life of the process */
    """
    PyObject* reject_tools_cache "fa_reject_tools"

cdef struct LineFeed:           # the lines that a batch was gathered from
    ScanAhead scanner
    int64_t max_line
    const Reading* reading
    const char* text
    int64_t line                # number of the next line
    int32_t held_count          # scanned batches that are not released yet,
    LineBatch* held[HELD_MAX]
    int64_t[HELD_MAX] first_lines       # and the numbers of their first lines

cdef struct LinePlace:          # where an event comes from
    int64_t line
    int64_t start
    int64_t end


cdef inline tuple reject_tools():
    """Return (Rejected, REASONS), imported by the first call."""
    global reject_tools_cache
    if reject_tools_cache == NULL:
        from fastanomaly.rules.rejects import REASONS, Rejected

        tools = (Rejected, REASONS)
        Py_INCREF(tools)
        reject_tools_cache = <PyObject*> tools
    return <tuple> reject_tools_cache


cdef inline void set_item(object new_tuple, Py_ssize_t index, object value) noexcept:
    Py_INCREF(value)            # the tuple takes a reference
    PyTuple_SET_ITEM(new_tuple, index, value)


cdef inline object rejected_line(object log, int64_t line, int reason, bytes raw):
    """Return a Rejected; its constructor would cost several good lines."""
    kind, reasons = reject_tools()
    made = PyType_GenericAlloc(kind, 4)
    set_item(made, 0, log)
    set_item(made, 1, line)
    set_item(made, 2, (<tuple> reasons)[reason])
    set_item(made, 3, raw)
    return made


cdef inline LinePlace line_place(const LineFeed* feed, const Event* event) noexcept nogil:
    """Return the line of an event of the current batch; O(batches held)."""
    cdef const LineBatch* scanned
    cdef const OtherLine* other
    cdef LinePlace place
    cdef int64_t index
    cdef int32_t held
    for held in range(feed.held_count):
        scanned = feed.held[held]
        place.line = feed.first_lines[held]
        if scanned.events <= event < scanned.events + scanned.count:
            index = event - scanned.events
            place.line += scanned.lines[index]
            place.start = scanned.starts[index]
            place.end = scanned.ends[index]
            return place
        for index in range(scanned.other_count):
            other = &scanned.others[index]
            if event == &other.event:
                place.line += other.line
                place.start = other.start
                place.end = other.end
                return place
    return place


cdef inline bint lines_decode(
    const LineFeed* feed, const State* state, OtherLine* other, object log, list kept,
    list rejected
) except -1:
    """Decode a line that the scanner declined; whether it is an event, or it is rejected.

    `kept` gets what the event's keys point to.
    """
    cdef int reason = other.reason
    raw = PyBytes_FromStringAndSize(feed.text + other.start, other.end - other.start)
    if reason == DECLINED:
        reason, decoded = decode_line(raw, feed.max_line, feed.reading, &other.event)
        if reason == VALID:
            kept.append((raw, decoded))
            events_hash(state, &other.event, 1)
            events_find_users(state, &other.event, 1)
            return True
    if reason != BLANK:
        rejected.append(rejected_line(log, feed.line, reason, raw))
    return False


cdef inline int lines_add(
    LineFeed* feed, const State* state, Batch* batch, LineBatch* scanned, object log,
    Py_ssize_t max_rejected, list kept, list rejected
) except -1:
    """Add the events of scanned lines to a batch, up to the last line that may be rejected.

    feed.line is the line that failed after an exception, and otherwise the next one.
    """
    cdef int64_t first = feed.line
    cdef int32_t other = 0, i = 0, until
    while True:
        until = scanned.count
        if other < scanned.other_count:
            until = scanned.others[other].before
        while i < until:
            batch_add(batch, &scanned.events[i])
            i += 1
        if other == scanned.other_count:
            break
        feed.line = first + scanned.others[other].line
        if lines_decode(feed, state, &scanned.others[other], log, kept, rejected):
            batch_add(batch, &scanned.others[other].event)
        elif len(rejected) == max_rejected:
            feed.line += 1
            return 0
        other += 1
    feed.line = first + scanned.line_count
    return 0


cdef inline bint lines_fit(
    const LineFeed* feed, const Settings* settings, const Batch* batch, bint several
) noexcept nogil:
    """Return whether to gather more lines that were scanned."""
    return feed.held_count == 0 or (
        several and feed.held_count < HELD_MAX
        and batch_fits(batch, settings, BATCH_EVENTS + BATCH_OTHERS)
    )


cdef inline int lines_gather(
    LineFeed* feed, const State* state, const Settings* settings, Batch* batch,
    bint several, object log, Py_ssize_t max_rejected, list kept, list rejected
) except -1:
    """Gather a batch: at least what is scanned next, with `several` what was scanned, too."""
    cdef LineBatch* scanned
    while lines_fit(feed, settings, batch, several) and len(rejected) < max_rejected:
        with nogil:
            scanned = scan_ahead_next(&feed.scanner, feed.held_count, feed.held_count == 0)
            if scanned != NULL:
                events_find_users(state, scanned.events, scanned.count)
        if scanned == NULL:
            break
        feed.held[feed.held_count] = scanned
        feed.first_lines[feed.held_count] = feed.line
        feed.held_count += 1
        lines_add(feed, state, batch, scanned, log, max_rejected, kept, rejected)
    return 0


cdef inline int lines_apply(
    LineFeed* feed, State* state, Settings* settings, Workers* workers, Batch* batch,
    bint judged, list flags
) except -1:
    """Judge and apply a batch; feed.line is the line that failed after an exception."""
    cdef const Outcome* outcome = NULL
    cdef const Event* event
    cdef bint found = True, done = False
    cdef LinePlace place
    try:
        feed_begin(state, settings, workers, batch, judged)
        while found:
            with nogil:
                found = feed_until_flagged(
                    state, settings, workers, batch, judged, &outcome
                )
            if found:
                event = batch.events[batch.applied - 1]
                place = line_place(feed, event)
                values = flag_values(settings, event, outcome)
                flags.append((place.line, place.start, place.end, values))
        done = True
    finally:
        if not done:
            if batch.applied < batch.count:
                feed.line = line_place(feed, batch.events[batch.applied]).line
            batch_abandon(batch, state)
    return 0


cdef inline object lines_feed_batch(
    LineFeed* feed, State* state, Settings* settings, Workers* workers, Batch* batch,
    bint judged, object log, Py_ssize_t max_rejected, list flags, list rejected
):
    """Gather a batch and apply it; what failed, or None."""
    cdef list kept = []
    failure = None
    feed.held_count = 0
    batch_clear(batch)
    try:
        lines_gather(
            feed, state, settings, batch, judged and workers.team.wanted > 1, log,
            max_rejected, kept, rejected,
        )
    except BaseException as error:
        failure = error
    try:
        lines_apply(feed, state, settings, workers, batch, judged, flags)
    except BaseException as error:
        # An interrupt must not be lost, whichever comes first.
        if failure is None or isinstance(failure, Exception):
            failure = error
        while rejected and rejected[len(rejected) - 1].line >= feed.line:
            rejected.pop()
    with nogil:
        scan_ahead_release(&feed.scanner, feed.held_count)
    return failure


cdef inline tuple feed_lines(
    State* state, Settings* settings, Workers* workers, Batch* batch, LineFeed* feed,
    object data, bint judged, int64_t max_line, object log, int64_t first_line,
    Py_ssize_t max_rejected, const Reading* reading
):
    """Apply the events of lines; see Engine.feed for what it returns."""
    cdef const uint8_t[::1] view = data
    cdef int64_t size = view.shape[0]
    cdef list flags = [], rejected = []
    failure = None
    feed.text = <const char*> &view[0] if size > 0 else NULL
    feed.max_line = max_line
    feed.reading = reading
    feed.line = first_line
    scan_ahead_begin(
        &feed.scanner, feed.text, size, max_line, reading, state.users.secret,
        workers.team.wanted > 1,
    )
    try:
        while failure is None and len(rejected) < max_rejected:
            failure = lines_feed_batch(
                feed, state, settings, workers, batch, judged, log, max_rejected, flags,
                rejected,
            )
            if feed.held_count == 0:
                break
    finally:
        with nogil:
            scan_ahead_end(&feed.scanner)
    return feed.line - first_line, flags, rejected, failure
