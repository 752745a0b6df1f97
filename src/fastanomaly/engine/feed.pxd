"""Events from Python, one by one, as lines or as columns: judged if wanted, then applied.

A purchase is judged against the state before it. If an event cannot be applied, those before
it remain applied. Whole batches are applied without the GIL.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.ref cimport Py_INCREF, PyObject
from cpython.tuple cimport PyTuple_SET_ITEM
from cpython.type cimport PyType_GenericAlloc
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memset

from fastanomaly.engine.apply cimport apply_event, events_find_users, events_hash
from fastanomaly.engine.columns cimport (
    ColumnFlag, Columns, Digits, columns_first_invalid, columns_read, row_valid,
)
from fastanomaly.engine.decode cimport decode_line
from fastanomaly.engine.grid cimport GridFlag
from fastanomaly.engine.judge cimport Judge, judge_purchase
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_reserve
from fastanomaly.engine.reject cimport BLANK, DECLINED, VALID
from fastanomaly.engine.scan_ahead cimport (
    BATCH_EVENTS, LineBatch, OtherLine, ScanAhead, scan_ahead_begin, scan_ahead_end,
    scan_ahead_next, scan_ahead_release,
)
from fastanomaly.engine.state cimport State
from fastanomaly.engine.types cimport EVENT_KINDS, PURCHASE, Event, Reading, UserKey, uint128
from fastanomaly.engine.user_keys cimport key_text, keys_of_column

cdef extern from *:
    """
    static PyObject *fa_reject_tools = NULL;    /* kept for the life of the process */
    """
    PyObject* reject_tools_cache "fa_reject_tools"


cdef inline int feed_event(
    State* state, Judge* judge, const Event* event, bint judged
) except -1 nogil:
    """Judge an event with hashed keys, if it is a purchase and `judged`; then apply it.

    judge.verdict is on this event afterwards. A failed allocation leaves the state as it was.
    """
    judge.verdict.anomalous = False
    if judged and event.kind == PURCHASE:
        judge_purchase(judge, state, event)
    return apply_event(state, event, judge.verdict.anomalous)


cdef inline int feed_single(
    State* state, Judge* judge, Event* event, bint judged
) except -1 nogil:
    """Hash the keys of an event that is not in a batch, and do the same with it."""
    events_hash(state, event, 1)
    event.user.uid = -1
    event.friend.uid = -1
    return feed_event(state, judge, event, judged)


cdef inline object integer_of(uint128 value):
    """Return a 128-bit number as a Python int."""
    return (<object> <uint64_t> (value >> 64) << 64) | <object> <uint64_t> value


cdef inline tuple flag_values(const Judge* judge, const Event* purchase):
    """Return the values of a flag for the last verdict, or the bytes of the grid's flags."""
    if judge.grid.degree_count > 0:
        return (
            key_text(&purchase.user), purchase.time_us, purchase.amount_units,
            PyBytes_FromStringAndSize(
                <const char*> judge.grid.flags,
                judge.grid.flag_count * <int64_t> sizeof(GridFlag),
            ),
        )
    return (
        key_text(&purchase.user), purchase.time_us, purchase.amount_units, judge.sums.n,
        integer_of(judge.sums.total),
        integer_of(judge.sums.squares_low) | <object> judge.sums.squares_high << 128,
        judge.verdict.mean_cents, judge.verdict.sd_cents,
    )


# -- lines -----------------------------------------------------------------------------


cdef inline int feed_batch(
    State* state, Judge* judge, const LineBatch* batch, bint judged, int32_t until,
    int32_t* applied
) except -1 nogil:
    """Apply events of a batch from index *applied to `until`, or to the first flagged one.

    *applied counts the events applied, after an exception, too.
    """
    while applied[0] < until:
        feed_event(state, judge, &batch.events[applied[0]], judged)
        applied[0] += 1
        if judge.verdict.anomalous:
            break
    return 0


cdef inline int64_t lines_before(
    const LineBatch* batch, int32_t applied, int32_t others
) noexcept nogil:
    """Return the number of a batch's lines before the next one that is not blank.

    `applied` and `others` count the events and the other lines that are done.
    """
    cdef int64_t line = batch.line_count
    if applied < batch.count:
        line = batch.lines[applied]
    if others < batch.other_count:
        line = min(line, batch.others[others].line)
    return line


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


cdef inline int feed_other(
    State* state, Judge* judge, const OtherLine* other, const char* text, bint judged,
    int64_t max_line, const Reading* reading, object log, int64_t line, list flags,
    list rejected
) except -1:
    """Decode a line that the scanner declined: apply its event, or reject it."""
    cdef Event event
    cdef int reason = other.reason
    raw = PyBytes_FromStringAndSize(text + other.start, other.end - other.start)
    if reason == DECLINED:
        reason, _kept = decode_line(raw, max_line, reading, &event)
    if reason == VALID:
        feed_single(state, judge, &event, judged)
        if judge.verdict.anomalous:
            flags.append((line, other.start, other.end, flag_values(judge, &event)))
    elif reason != BLANK:
        rejected.append(rejected_line(log, line, reason, raw))
    return 0


cdef inline int feed_mixed_batch(
    State* state, Judge* judge, const LineBatch* batch, const char* text, bint judged,
    int64_t max_line, const Reading* reading, object log, int64_t line,
    Py_ssize_t max_rejected, list flags, list rejected, int32_t* applied, int32_t* others
) except -1:
    """Apply a batch of lines whose first has number `line`, up to the last rejected line.

    *applied and *others count the events and the other lines done, after an exception, too.
    """
    cdef int32_t until, i
    while len(rejected) < max_rejected:
        until = batch.count
        if others[0] < batch.other_count:
            until = batch.others[others[0]].before
        while applied[0] < until:
            with nogil:
                feed_batch(state, judge, batch, judged, until, applied)
            if judge.verdict.anomalous:
                i = applied[0] - 1
                values = flag_values(judge, &batch.events[i])
                flags.append((line + batch.lines[i], batch.starts[i], batch.ends[i], values))
        if others[0] == batch.other_count:
            break
        feed_other(
            state, judge, &batch.others[others[0]], text, judged, max_line, reading, log,
            line + batch.others[others[0]].line, flags, rejected,
        )
        others[0] += 1
    return 0


cdef inline tuple feed_lines(
    State* state, Judge* judge, ScanAhead* scanner, object data, bint judged,
    int64_t max_line, object log, int64_t first_line, Py_ssize_t max_rejected,
    const Reading* reading
):
    """Apply the events of lines; see Engine.feed for what it returns."""
    cdef const uint8_t[::1] view = data
    cdef int64_t size = view.shape[0], line = first_line
    cdef const char* text = <const char*> &view[0] if size > 0 else NULL
    cdef int32_t applied = 0, others = 0
    cdef LineBatch* batch = NULL
    cdef list flags = [], rejected = []
    scan_ahead_begin(scanner, text, size, max_line, reading, state.users.secret)
    try:
        while len(rejected) < max_rejected:
            with nogil:
                batch = scan_ahead_next(scanner)
                if batch != NULL:
                    events_find_users(state, batch.events, batch.count)
            if batch == NULL:
                break
            applied = others = 0
            feed_mixed_batch(
                state, judge, batch, text, judged, max_line, reading, log, line,
                max_rejected, flags, rejected, &applied, &others,
            )
            if len(rejected) < max_rejected:
                line += batch.line_count
            else:
                line += batch.others[others - 1].line + 1
            batch = NULL
            with nogil:
                scan_ahead_release(scanner)
    except BaseException as error:
        # The lines before the failure remain applied, and are reported.
        if batch != NULL:
            line += lines_before(batch, applied, others)
        return line - first_line, flags, rejected, error
    finally:
        with nogil:
            scan_ahead_end(scanner)
    return line - first_line, flags, rejected, None


# -- columns ---------------------------------------------------------------------------


cdef struct RowBatch:
    Event[BATCH_EVENTS] events
    Digits[BATCH_EVENTS] digits
    int32_t count
    bint valid                  # if not, events[count] is the invalid row

cdef struct ColumnFlags:
    ColumnFlag* items
    int64_t capacity
    int64_t count


cdef inline str row_fault(const Event* event):
    """Return what is wrong with a row that is not a valid event."""
    if event.kind >= EVENT_KINDS:
        return f"kind {event.kind} is none of 0, 1, 2"
    if event.kind == PURCHASE:
        return f"amount_units {event.amount_units} is not in 0..10^18 - 1"
    return f"user {key_text(&event.user)!r} cannot befriend themself"


cdef inline void read_rows(
    const Columns* columns, int64_t row, RowBatch* batch
) noexcept nogil:
    """Read the rows from `row` on that fit into a batch, up to the first invalid one."""
    batch.count = 0
    batch.valid = True
    while batch.count < BATCH_EVENTS and row < columns.rows:
        columns_read(columns, row, &batch.events[batch.count], &batch.digits[batch.count])
        batch.valid = row_valid(&batch.events[batch.count])
        if not batch.valid:
            return
        batch.count += 1
        row += 1


cdef inline int feed_rows(
    State* state, Judge* judge, const Columns* columns, bint judged, RowBatch* batch,
    ColumnFlags* flags, int64_t* applied
) except -1 nogil:
    """Apply rows up to the first invalid one: valid rows may be overwritten meanwhile.

    *applied counts the rows applied, after an exception, too.
    """
    cdef ColumnFlag* flag
    cdef int32_t i
    batch.valid = True
    while applied[0] < columns.rows and batch.valid:
        read_rows(columns, applied[0], batch)
        memory_reserve(
            <void**> &flags.items, &flags.capacity, flags.count + batch.count,
            sizeof(ColumnFlag),
        )
        events_hash(state, batch.events, batch.count)
        events_find_users(state, batch.events, batch.count)
        for i in range(batch.count):
            feed_event(state, judge, &batch.events[i], judged)
            if judge.verdict.anomalous:
                flag = &flags.items[flags.count]
                flag.row = applied[0]
                flag.n = judge.sums.n
                flag.mean_cents = judge.verdict.mean_cents
                flag.sd_cents = judge.verdict.sd_cents
                flags.count += 1
            applied[0] += 1
    return 0


cdef inline int check_lengths(
    int64_t rows, int64_t times_us, int64_t users, int64_t friends, int64_t amounts_units
) except -1:
    """Raise ValueError unless all columns have as many rows as kinds."""
    for name, length in (
        ("times_us", times_us), ("users", users), ("friends", friends),
        ("amounts_units", amounts_units),
    ):
        if length != rows:
            raise ValueError(f"columns: kinds has {rows} rows, {name} has {length}")
    return 0


cdef inline tuple feed_columns(
    State* state, Judge* judge, const uint8_t[::1] kinds, const int64_t[::1] times_us,
    object users, object friends, const int64_t[::1] amounts_units, bint judged
):
    """Apply the events of columns; see Engine.feed_columns for what it returns."""
    cdef Columns columns
    cdef RowBatch batch
    cdef ColumnFlags flags
    cdef const int64_t[::1] user_numbers, friend_numbers
    cdef UserKey* user_keys = NULL
    cdef UserKey* friend_keys = NULL
    cdef int64_t invalid, applied = 0
    cdef bint by_key = isinstance(users, list)
    if not by_key:
        user_numbers, friend_numbers = users, friends
    memset(&columns, 0, sizeof(Columns))
    memset(&flags, 0, sizeof(ColumnFlags))
    columns.rows = kinds.shape[0]
    check_lengths(
        columns.rows, times_us.shape[0], len(users), len(friends), amounts_units.shape[0]
    )
    if columns.rows == 0:
        return b"", 0, None
    columns.kinds = &kinds[0]
    columns.times_us = &times_us[0]
    columns.amounts_units = &amounts_units[0]
    try:
        if by_key:
            _user_texts = keys_of_column("users", users, kinds, &user_keys)
            _friend_texts = keys_of_column("friends", friends, kinds, &friend_keys)
            columns.user_keys = user_keys
            columns.friend_keys = friend_keys
        else:
            columns.user_numbers = &user_numbers[0]
            columns.friend_numbers = &friend_numbers[0]
        with nogil:
            invalid = columns_first_invalid(&columns, batch.events, batch.digits)
        if invalid >= 0:
            raise ValueError(f"columns, row {invalid}: {row_fault(batch.events)}")
        failure = None
        try:
            with nogil:
                feed_rows(state, judge, &columns, judged, &batch, &flags, &applied)
            if applied < columns.rows:
                fault = row_fault(&batch.events[batch.count])
                raise ValueError(f"columns, row {applied}: changed meanwhile: {fault}")
        except Exception as error:
            # The rows before the failure remain applied, and are reported.
            failure = error
        raw = PyBytes_FromStringAndSize(
            <const char*> flags.items, flags.count * <int64_t> sizeof(ColumnFlag)
        )
        return raw, applied, failure
    finally:
        PyMem_RawFree(user_keys)
        PyMem_RawFree(friend_keys)
        PyMem_RawFree(flags.items)
