"""The events of lines as columns, some rows at a time: what is sent to shards.

No object is made for an event that the scanner reads. Lines that it declined are decoded, and
take their place among the events, or are rejected.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.decode cimport decode_line
from fastanomaly.engine.event_columns cimport event_columns
from fastanomaly.engine.feed_lines cimport LinePlace, rejected_line
from fastanomaly.engine.overlay cimport BATCH_MAX
from fastanomaly.engine.reject cimport BLANK, DECLINED, VALID
from fastanomaly.engine.scan_line cimport Lines, line_reason, scan_line
from fastanomaly.engine.types cimport Event, Reading

cdef struct ColumnScan:
    Lines lines
    Reading reading
    int64_t line                # number of the next line
    int64_t next_start          # and where it begins
    int32_t count
    Event[BATCH_MAX] events
    LinePlace[BATCH_MAX] places


cdef inline void column_scan_add(
    ColumnScan* scan, int64_t start, int64_t end
) noexcept nogil:
    """Add the event that has been set, of the next line."""
    cdef LinePlace* place = &scan.places[scan.count]
    place.line = scan.line
    place.start = start
    place.end = end
    scan.count += 1


cdef inline int column_scan_run(
    ColumnScan* scan, int32_t most, int64_t* end, int64_t* next_start
) noexcept nogil:
    """Scan events up to a line that is none for the scanner; its reason, see line_reason.

    VALID at the end of the text, and with `most` events. *end is that of the next line.
    """
    cdef int reason
    while scan.count < most and scan.next_start < scan.lines.size:
        if scan_line(
            &scan.lines, scan.next_start, &scan.events[scan.count], end, next_start
        ):
            column_scan_add(scan, scan.next_start, end[0])
        else:
            reason = line_reason(&scan.lines, scan.next_start, end[0])
            if reason != BLANK:
                return reason
        scan.next_start = next_start[0]
        scan.line += 1
    return VALID


cdef inline int column_scan_decide(
    ColumnScan* scan, int reason, int64_t end, object log, list kept, list rejected
) except -1:
    """Decode the next line if it was declined: an event, which `kept` keeps, or rejected."""
    cdef int64_t start = scan.next_start
    raw = PyBytes_FromStringAndSize(scan.lines.text + start, end - start)
    if reason == DECLINED:
        reason, decoded = decode_line(
            raw, scan.lines.max_line, scan.lines.reading, &scan.events[scan.count]
        )
        if reason == VALID:
            kept.append((raw, decoded))
            column_scan_add(scan, start, end)
            return 0
    if reason != BLANK:
        rejected.append(rejected_line(log, scan.line, reason, raw))
    return 0


cdef inline object column_scan_fill(
    ColumnScan* scan, int32_t most, object log, Py_ssize_t max_rejected, list kept,
    list rejected
):
    """Read lines until there are `most` events; what failed at the next line, or None."""
    cdef int64_t end = 0, next_start = 0
    cdef int reason
    scan.count = 0
    try:
        while len(rejected) < max_rejected:
            with nogil:
                reason = column_scan_run(scan, most, &end, &next_start)
            if reason == VALID:
                break
            column_scan_decide(scan, reason, end, log, kept, rejected)
            scan.next_start = next_start
            scan.line += 1
    except BaseException as error:
        return error
    return None


cdef inline tuple column_scan_columns(const ColumnScan* scan):
    """Return what event_columns does of the events read, and the places of their lines."""
    places = PyBytes_FromStringAndSize(
        <const char*> scan.places, scan.count * <int64_t> sizeof(LinePlace)
    )
    return event_columns(scan.events, scan.count) + (places,)
