"""Lines of a text: where each ends, and its event if it is written the usual way. O(length).

Lines own no memory: the text and the reading belong to the caller. Events point into the text.
"""

from libc.stdint cimport int64_t
from libc.string cimport memchr

from fastanomaly.engine.layout cimport (
    LAYOUT_BYTES, Layouts, layouts_begin, layouts_learn, layouts_read,
)
from fastanomaly.engine.reject cimport quick_reason
from fastanomaly.engine.scan cimport scan_event
from fastanomaly.engine.types cimport Event, Reading

cdef struct Lines:
    const char* text
    int64_t size
    int64_t max_line
    const Reading* reading      # what is accepted
    Layouts layouts             # of the lines scanned so far


cdef inline void lines_begin(
    Lines* lines, const char* text, int64_t size, int64_t max_line, const Reading* reading
) noexcept nogil:
    """Begin with a text. Its last line has a line end, or a NUL follows the text."""
    lines.text = text
    lines.size = size
    lines.max_line = max_line
    lines.reading = reading
    layouts_begin(&lines.layouts)


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


cdef inline bint scan_line(
    Lines* lines, int64_t start, Event* event, int64_t* end, int64_t* next_start
) noexcept nogil:
    """Scan the line at start; sets its end and the start of the next one. False to decline."""
    cdef const char* line = lines.text + start
    cdef const char* found = NULL
    # Near the end of the text, too little of it is readable, and nothing worth learning.
    cdef bint inside = lines.size - start >= LAYOUT_BYTES
    if inside:
        found = layouts_read(&lines.layouts, line, event)
    if found != NULL:
        end[0] = found - lines.text
        next_start[0] = end[0] + 1 + (found[0] == c"\r")
        return end[0] - start <= lines.max_line
    next_start[0] = find_line_end(lines.text, lines.size, start, end)
    # The byte behind a line is its line end, or the NUL that ends a bytes object.
    if end[0] - start > lines.max_line or not scan_event(
        line, lines.text + end[0], lines.reading, event
    ):
        return False
    if inside:
        layouts_learn(&lines.layouts, line, lines.text + end[0], event.kind)
    return True


cdef inline int line_reason(const Lines* lines, int64_t start, int64_t end) noexcept nogil:
    """Return what quick_reason says of a line that scan_line declined."""
    return quick_reason(
        lines.text + start, lines.text + end, lines.max_line, lines.reading
    )
