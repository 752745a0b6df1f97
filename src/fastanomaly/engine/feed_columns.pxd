"""The events of columns, as batches: see feed.pxd."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memset

from fastanomaly.engine.batch cimport Batch, batch_abandon, batch_clear
from fastanomaly.engine.columns cimport (
    ColumnFlag, Columns, Digits, columns_first_invalid, columns_read, row_valid,
)
from fastanomaly.engine.feed cimport feed_begin, feed_gather, feed_until_flagged
from fastanomaly.engine.id_texts cimport keys_of_id_texts
from fastanomaly.engine.judge cimport Outcome, Settings
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_reserve
from fastanomaly.engine.overlay cimport BATCH_MAX
from fastanomaly.engine.scan_ahead cimport BATCH_EVENTS
from fastanomaly.engine.state cimport State
from fastanomaly.engine.types cimport EVENT_KINDS, PURCHASE, Event
from fastanomaly.engine.user_keys cimport key_text, keys_of_column
from fastanomaly.engine.workers cimport Workers

cdef struct RowBatch:
    Event* events
    int64_t events_capacity
    Digits* digits
    int64_t digits_capacity
    int32_t most
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


cdef inline int rows_reserve(RowBatch* rows, int64_t most) except -1:
    """Reserve memory for that many rows."""
    rows.most = <int32_t> most
    memory_reserve(<void**> &rows.events, &rows.events_capacity, most, sizeof(Event))
    return memory_reserve(
        <void**> &rows.digits, &rows.digits_capacity, most, sizeof(Digits)
    )


cdef inline void rows_free(RowBatch* rows) noexcept nogil:
    PyMem_RawFree(rows.events)
    PyMem_RawFree(rows.digits)


cdef inline void rows_read(const Columns* columns, int64_t row, RowBatch* rows) noexcept nogil:
    """Read the rows from `row` on that fit, up to the first invalid one."""
    rows.count = 0
    rows.valid = True
    while rows.count < rows.most and row < columns.rows:
        columns_read(columns, row, &rows.events[rows.count], &rows.digits[rows.count])
        rows.valid = row_valid(&rows.events[rows.count])
        if not rows.valid:
            return
        rows.count += 1
        row += 1


cdef inline int rows_apply(
    State* state, Settings* settings, Workers* workers, Batch* batch, bint judged,
    int64_t row, ColumnFlags* flags
) except -1 nogil:
    """Apply a batch whose first event is that row, and append the flags."""
    cdef const Outcome* outcome = NULL
    cdef ColumnFlag* flag
    while feed_until_flagged(state, settings, workers, batch, judged, &outcome):
        flag = &flags.items[flags.count]
        flag.row = row + batch.applied - 1
        flag.n = outcome.sums.n
        flag.mean_cents = outcome.verdict.mean_cents
        flag.sd_cents = outcome.verdict.sd_cents
        flags.count += 1
    return 0


cdef inline int rows_feed(
    State* state, Settings* settings, Workers* workers, Batch* batch,
    const Columns* columns, bint judged, RowBatch* rows, ColumnFlags* flags,
    int64_t* applied
) except -1:
    """Apply rows up to the first invalid one: valid rows may be overwritten meanwhile.

    *applied counts the rows applied, after an exception, too.
    """
    cdef int64_t before = 0
    cdef bint done = True
    rows.valid = True
    batch_clear(batch)
    while applied[0] < columns.rows and rows.valid:
        before = applied[0]
        with nogil:
            rows_read(columns, before, rows)
            feed_gather(state, rows.events, rows.count, batch)
        memory_reserve(
            <void**> &flags.items, &flags.capacity, flags.count + batch.purchase_count,
            sizeof(ColumnFlag),
        )
        done = False
        try:
            feed_begin(state, settings, workers, batch, judged)
            with nogil:
                rows_apply(state, settings, workers, batch, judged, before, flags)
            done = True
        finally:
            applied[0] = before + batch.applied
            if not done:
                batch_abandon(batch, state)
    return 0


cdef inline object rows_feed_all(
    State* state, Settings* settings, Workers* workers, Batch* batch,
    const Columns* columns, bint judged, RowBatch* rows, ColumnFlags* flags,
    int64_t* applied
):
    """Apply all rows; what failed, or None. The rows before a failure remain applied."""
    try:
        rows_feed(
            state, settings, workers, batch, columns, judged, rows, flags, applied
        )
        if applied[0] < columns.rows:
            fault = row_fault(&rows.events[rows.count])
            raise ValueError(f"columns, row {applied[0]}: changed meanwhile: {fault}")
    except Exception as error:
        return error
    return None


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


cdef inline list columns_set(
    Columns* columns, const uint8_t[::1] kinds, const int64_t[::1] times_us, object users,
    object friends, const int64_t[::1] amounts_units
):
    """Set columns, which must be zeroed and have at least one row.

    They point to the arrays, and to what is returned. The keys are freed by columns_free,
    after an exception, too.
    """
    cdef const int64_t[::1] user_numbers, friend_numbers
    columns.kinds = &kinds[0]
    columns.times_us = &times_us[0]
    columns.amounts_units = &amounts_units[0]
    if isinstance(users, bytes):
        keys_of_id_texts("users", users, kinds, &columns.user_keys)
        keys_of_id_texts("friends", friends, kinds, &columns.friend_keys)
        return [users, friends]
    if isinstance(users, list):
        user_texts = keys_of_column("users", users, kinds, &columns.user_keys)
        friend_texts = keys_of_column("friends", friends, kinds, &columns.friend_keys)
        return [user_texts, friend_texts]
    user_numbers, friend_numbers = users, friends
    columns.user_numbers = &user_numbers[0]
    columns.friend_numbers = &friend_numbers[0]
    return [user_numbers, friend_numbers]


cdef inline void columns_free(Columns* columns) noexcept nogil:
    PyMem_RawFree(columns.user_keys)
    PyMem_RawFree(columns.friend_keys)


cdef inline int columns_check(const Columns* columns, RowBatch* rows) except -1:
    """Raise ValueError if a row is no valid event; memory for a row must be reserved."""
    cdef int64_t invalid
    with nogil:
        invalid = columns_first_invalid(columns, rows.events, rows.digits)
    if invalid >= 0:
        raise ValueError(f"columns, row {invalid}: {row_fault(rows.events)}")
    return 0


cdef inline int columns_valid(
    const uint8_t[::1] kinds, const int64_t[::1] times_us, object users, object friends,
    const int64_t[::1] amounts_units
) except -1:
    """Raise what feed_columns raises if lengths differ or a row is invalid."""
    cdef Columns columns
    cdef RowBatch rows
    memset(&columns, 0, sizeof(Columns))
    memset(&rows, 0, sizeof(RowBatch))
    columns.rows = kinds.shape[0]
    check_lengths(
        columns.rows, times_us.shape[0], len(users), len(friends), amounts_units.shape[0]
    )
    if columns.rows == 0:
        return 0
    try:
        _held = columns_set(&columns, kinds, times_us, users, friends, amounts_units)
        rows_reserve(&rows, 1)
        columns_check(&columns, &rows)
    finally:
        columns_free(&columns)
        rows_free(&rows)
    return 0


cdef inline tuple feed_columns(
    State* state, Settings* settings, Workers* workers, Batch* batch,
    const uint8_t[::1] kinds, const int64_t[::1] times_us, object users, object friends,
    const int64_t[::1] amounts_units, bint judged
):
    """Apply the events of columns; see Engine.feed_columns for what it returns."""
    cdef Columns columns
    cdef RowBatch rows
    cdef ColumnFlags flags
    cdef int64_t applied = 0
    memset(&columns, 0, sizeof(Columns))
    memset(&rows, 0, sizeof(RowBatch))
    memset(&flags, 0, sizeof(ColumnFlags))
    columns.rows = kinds.shape[0]
    check_lengths(
        columns.rows, times_us.shape[0], len(users), len(friends), amounts_units.shape[0]
    )
    if columns.rows == 0:
        return b"", 0, None
    try:
        _held = columns_set(&columns, kinds, times_us, users, friends, amounts_units)
        rows_reserve(&rows, min(
            columns.rows,
            <int64_t> (BATCH_MAX if judged and workers.team.wanted > 1 else BATCH_EVENTS),
        ))
        columns_check(&columns, &rows)
        failure = rows_feed_all(
            state, settings, workers, batch, &columns, judged, &rows, &flags, &applied
        )
        raw = PyBytes_FromStringAndSize(
            <const char*> flags.items, flags.count * <int64_t> sizeof(ColumnFlag)
        )
        return raw, applied, failure
    finally:
        columns_free(&columns)
        PyMem_RawFree(flags.items)
        rows_free(&rows)
