"""A batch of rows of a table: a row to an event, or to a line. O(1) a row."""

from libc.stdint cimport int64_t, uint64_t, uint8_t

from fastanomaly.engine.arrow cimport ArrowArray, ArrowSchema, schema_text
from fastanomaly.engine.cell_types cimport (
    DAYS, DECIMAL, FLOAT32, FLOAT64, NO_CELLS, NULL_CELLS, OTHER_CELLS, TICKS, UINT64,
    CellType, cell_type, is_integer, is_text, type_name,
)
from fastanomaly.engine.cells cimport (
    SECONDS_PER_DAY, Cells, Kinds, amount_of_cell, bit_at, bytes_of_cell, cell_place,
    cells_open, id_of_cell, integer_at, kind_of_cell, kinds_set, time_of_cell,
)
from fastanomaly.engine.columns cimport Digits, row_valid
from fastanomaly.engine.memory cimport memory_reserve
from fastanomaly.engine.types cimport (
    BEFRIEND, EVENT_KINDS, PURCHASE, UNFRIEND, Event, Reading,
)

cdef enum FrameField:           # in the order in which a line is written
    FRAME_KIND
    FRAME_TIME
    FRAME_BUYER                 # the user of a purchase;
    FRAME_USER                  # of a friendship: often the same column,
    FRAME_FRIEND
    FRAME_AMOUNT
    FRAME_FIELDS

cdef enum:
    INT64_MOST = 0x7FFFFFFFFFFFFFFF

cdef struct Frame:
    int[FRAME_FIELDS] columns   # where each field is, or -1
    int kind                    # EventKind of all rows, if no column has it
    Cells[FRAME_FIELDS] cells
    Kinds kinds
    Cells* kept                 # columns whose values flags keep
    int64_t kept_capacity
    const uint8_t* validity     # of whole rows; NULL if none is null
    int64_t offset              # of the first row
    int64_t rows


cdef inline str field_title(int field):
    """Return the name of a field as users give it."""
    return ("kind", "timestamp", "user", "user", "friend", "amount")[field]


# -- opening ---------------------------------------------------------------------------


cdef inline bint field_takes(int field, const CellType* kind) noexcept nogil:
    """Return whether a field can have values of a type."""
    if kind.code == NULL_CELLS or is_text(kind.code) or is_integer(kind.code):
        return True
    if field == FRAME_TIME and (kind.code == TICKS or kind.code == DAYS):
        return True
    if field == FRAME_AMOUNT and kind.code == DECIMAL:
        return True
    return (field == FRAME_TIME or field == FRAME_AMOUNT) and (
        kind.code == FLOAT32 or kind.code == FLOAT64
    )


cdef inline int frame_check_type(const ArrowSchema* schema, int field) except -1:
    """Raise TypeError unless a column has a type that its field can have."""
    cdef const ArrowSchema* values = schema
    cdef CellType kind = cell_type(schema)
    cdef bint known = True
    if schema.dictionary != NULL:
        values = schema.dictionary
        known = is_integer(kind.code) and values.format != NULL and values.dictionary == NULL
        if known:
            kind = cell_type(values)
    if not known or not field_takes(field, &kind):
        name = schema_text(schema.name)
        hint = ""
        if kind.code == FLOAT32 or kind.code == FLOAT64:
            hint = ": convert it to integers or text"
        raise TypeError(
            f"frame: column {name!r} of type {type_name(schema)} cannot be "
            f"the {field_title(field)}{hint}"
        )
    return 0


cdef inline int frame_set_columns(
    Frame* frame, const ArrowSchema* schema, tuple columns, int kind
) except -1:
    """Set where the fields are in tables with a schema, which has been checked."""
    cdef int field
    frame.kind = kind
    for field in range(<int> FRAME_FIELDS):
        frame.columns[field] = columns[field]
        frame.cells[field].kind.code = NO_CELLS
        if frame.columns[field] >= 0:
            frame_check_type(schema.children[frame.columns[field]], field)
    return 0


cdef inline bytes frame_kept_format(const ArrowSchema* schema):
    """Return the format of a column's values, which are not nested, ending in a NUL."""
    cdef const ArrowSchema* values = schema
    if schema.dictionary != NULL and schema.dictionary.format != NULL:
        values = schema.dictionary
    if values.dictionary != NULL or cell_type(values).code == OTHER_CELLS:
        name = schema_text(schema.name)
        raise TypeError(f"keep: column {name!r} of type {type_name(schema)} cannot be kept")
    return <bytes> values.format


cdef inline int frame_open(
    Cells* cells, int64_t column, const ArrowSchema* schema, const ArrowArray* array
) except -1:
    """Begin to read a column of a batch."""
    return cells_open(
        cells, schema.children[column], array.children[column], array.offset, array.length,
        schema_text(schema.children[column].name),
    )


cdef inline int frame_set_rows(
    Frame* frame, const ArrowSchema* schema, const ArrowArray* array, tuple keep
) except -1:
    """Set the rows of a frame; the array must outlive their use. Raises ValueError."""
    cdef int field
    cdef int64_t i
    if array.length < 0 or array.offset < 0 or array.length > INT64_MOST - array.offset:
        raise ValueError(f"frame: a batch of {array.length} rows from {array.offset} on")
    if array.n_children != schema.n_children or (
        array.n_children > 0 and array.children == NULL
    ):
        raise ValueError(
            f"frame: a batch of {array.n_children} columns, expected {schema.n_children}"
        )
    if array.n_buffers != 1 or array.buffers == NULL:
        raise ValueError(f"frame: a batch with {array.n_buffers} buffers, expected 1")
    frame.validity = <const uint8_t*> array.buffers[0]
    frame.offset = array.offset
    frame.rows = array.length
    for field in range(<int> FRAME_FIELDS):
        if frame.columns[field] >= 0:
            frame_open(&frame.cells[field], frame.columns[field], schema, array)
    if frame.columns[<int> FRAME_KIND] >= 0:
        kinds_set(&frame.kinds, &frame.cells[<int> FRAME_KIND])
    memory_reserve(<void**> &frame.kept, &frame.kept_capacity, len(keep), sizeof(Cells))
    for i in range(len(keep)):
        frame_open(&frame.kept[i], keep[i], schema, array)
    return 0


cdef inline tuple frame_kept(const Frame* frame, int64_t row, int64_t count):
    """Return the bytes of a row's kept values; None for those that are null."""
    return tuple([bytes_of_cell(&frame.kept[i], row) for i in range(count)])


# -- a row as an event -----------------------------------------------------------------


cdef inline bint frame_row_is_null(const Frame* frame, int64_t row) noexcept nogil:
    return frame.validity != NULL and not bit_at(frame.validity, frame.offset + row)


cdef inline bint frame_event(
    const Frame* frame, int64_t row, const Reading* reading, Event* event, Digits* digits
) noexcept nogil:
    """Read a row in the usual form as a valid event, else return False.

    The keys are not hashed, and valid as long as the array and the digits.
    """
    if frame_row_is_null(frame, row):
        return False
    event.adjusted = 0
    event.kind = frame.kind
    if frame.columns[<int> FRAME_KIND] >= 0:
        event.kind = kind_of_cell(&frame.cells[<int> FRAME_KIND], &frame.kinds, row)
    if event.kind == PURCHASE:
        return (
            time_of_cell(&frame.cells[<int> FRAME_TIME], row, reading, event)
            and id_of_cell(
                &frame.cells[<int> FRAME_BUYER], row, &event.user, digits.user
            )
            and amount_of_cell(&frame.cells[<int> FRAME_AMOUNT], row, reading, event)
        )
    return (
        event.kind < EVENT_KINDS
        and id_of_cell(&frame.cells[<int> FRAME_USER], row, &event.user, digits.user)
        and id_of_cell(&frame.cells[<int> FRAME_FRIEND], row, &event.friend, digits.friend)
        and row_valid(event)
    )


# -- a row as a line -------------------------------------------------------------------


cdef inline object frame_integer(const Cells* cells, int64_t place):
    """Return an integer as a Python int."""
    cdef int64_t value = integer_at(cells.values, cells.kind.code, place)
    if cells.kind.code == UINT64:
        return <uint64_t> value
    return value


cdef inline bytes frame_amount(const Cells* cells, int64_t place):
    """Return a number as an amount is written: as a JSON string, with its own decimals."""
    from fastanomaly.rules.cell_texts import amount_string, float_text

    cdef const char* at = cells.values + place * cells.kind.width
    if cells.kind.code == FLOAT32 or cells.kind.code == FLOAT64:
        return amount_string(float_text(at[:cells.kind.width]))
    if cells.kind.code == DECIMAL:
        whole = int.from_bytes(at[:cells.kind.width], "little", signed=True)
        return amount_string(whole, cells.kind.decimals)
    return amount_string(frame_integer(cells, place))


cdef inline bytes frame_time(const Cells* cells, int64_t place):
    """Return a time or number as a timestamp is written: times as strings."""
    from fastanomaly.rules.cell_texts import number_or_string, float_text, time_string

    cdef const char* at = cells.values + place * cells.kind.width
    if cells.kind.code == FLOAT32 or cells.kind.code == FLOAT64:
        return number_or_string(float_text(at[:cells.kind.width]))
    number = frame_integer(cells, place)
    if cells.kind.code == DAYS:
        return time_string(number * SECONDS_PER_DAY, 1)
    if cells.kind.code == TICKS:
        return time_string(number, cells.kind.per_second)
    return b"%d" % number


cdef inline bytes frame_kind(const Cells* cells, int64_t place):
    """Return a number as the kind of an event is written."""
    number = frame_integer(cells, place)
    if 0 <= number < EVENT_KINDS:
        return (b'"purchase"', b'"befriend"', b'"unfriend"')[number]
    return b"%d" % number


cdef inline bytes frame_value(const Frame* frame, int field, int64_t row):
    """Return the value of a field as JSON, or None if it is null."""
    cdef const Cells* cells = &frame.cells[field]
    cdef int64_t place = cell_place(cells, row)
    raw = bytes_of_cell(cells, row)
    if raw is None:
        return None
    if is_text(cells.kind.code):
        from fastanomaly.rules.cell_texts import json_string

        return json_string(raw)
    if field == <int> FRAME_KIND:
        return frame_kind(cells, place)
    if field == <int> FRAME_TIME:
        return frame_time(cells, place)
    if field == <int> FRAME_AMOUNT:
        return frame_amount(cells, place)
    return b'"%d"' % frame_integer(cells, place)


cdef inline int frame_row_kind(const Frame* frame, int64_t row) noexcept nogil:
    if frame.columns[<int> FRAME_KIND] < 0:
        return frame.kind
    return kind_of_cell(&frame.cells[<int> FRAME_KIND], &frame.kinds, row)


cdef inline bint frame_writes(const Frame* frame, int field, int kind) noexcept nogil:
    """Return whether a field is in the line of a row of a kind."""
    cdef bint friendship = kind == BEFRIEND or kind == UNFRIEND
    if field == FRAME_KIND:
        return frame.columns[<int> FRAME_KIND] >= 0
    if field == FRAME_USER:
        return friendship or (
            kind == EVENT_KINDS
            and frame.columns[<int> FRAME_USER] != frame.columns[<int> FRAME_BUYER]
        )
    if field == FRAME_FRIEND:
        return friendship or kind == EVENT_KINDS
    return not friendship


cdef inline bytes frame_line(const Frame* frame, int64_t row):
    """Return a row as the line that the contract describes; null fields are left out.

    Raises ValueError if a value is not where the array says.
    """
    cdef int field, kind = frame_row_kind(frame, row)
    cdef list members = []
    if frame_row_is_null(frame, row):
        return b"null"
    if frame.columns[<int> FRAME_KIND] < 0:
        members.append(
            b'"event_type":' + (b'"purchase"', b'"befriend"', b'"unfriend"')[kind]
        )
    for field in range(<int> FRAME_FIELDS):
        if frame_writes(frame, field, kind):
            try:
                value = frame_value(frame, field, row)
            except ValueError as error:
                raise ValueError(f"{field_title(field)}: {error}") from None
            if value is not None:
                name = (
                    b"event_type", b"timestamp", b"id", b"id1", b"id2", b"amount"
                )[field]
                members.append(b'"%b":%b' % (name, value))
    return b"{" + b", ".join(members) + b"}"
