"""A column of an Arrow array: the values of its rows, as what an event needs. O(1) a row.

Values in the usual form are read here. Reading fails for all others, valid or not: null,
negative, with too many decimals, ... Those rows are written as lines (frame_lines.pxd), and
decoded as such. The length of a text is not known to be in its buffer: that is up to whoever
made the array, as is the length of each buffer.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport (
    int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t,
)
from libc.string cimport memcmp, memcpy

from fastanomaly.engine.arrow cimport ArrowArray, ArrowSchema
from fastanomaly.engine.cell_types cimport (
    BITS, BYTES32, DAYS, DECIMAL, FLOAT32, FLOAT64, INT16, INT32, INT64, INT8, NO_CELLS,
    NS_PER_SECOND, NULL_CELLS, TEXT32, TICKS, UINT16, UINT32, UINT64, US_OF_SECOND, CellType,
    cell_type, has_lengths, has_views, is_integer, is_text,
)
from fastanomaly.engine.columns cimport key_of_number
from fastanomaly.engine.fields cimport (
    BAD_AMOUNT_UNITS, amount_of_text, rounded_amount_of_text, time_of_text,
)
from fastanomaly.engine.json_syntax cimport NO_FAULT, Fault, text_fault
from fastanomaly.engine.times cimport END_OF_TIMES, FIRST_TIME, time_in_unit
from fastanomaly.engine.types cimport (
    AMOUNT_DECIMALS, BEFRIEND, CUT_TIME, EVENT_KINDS, MICROSECONDS, MILLISECONDS, NANOSECONDS,
    PURCHASE, ROUNDED_AMOUNT, SECONDS, STRICT, UNFRIEND, UNITS_PER_CENT, Event, Reading,
    UserKey, uint128,
)
from fastanomaly.engine.users cimport key_of_text

cdef extern from "<math.h>" nogil:
    double rint(double)

cdef enum:
    NULL_CELL = -1              # places of values that are not there:
    BROKEN_CELL = -2            # an index that is not in its dictionary
    POWER_LIMIT = 18            # 10^18 is the largest power in 64 bits
    VIEW_BYTES = 16
    VIEW_INLINE = 12

cdef enum:
    EXACT_UNITS = 1_000_000_000_000_000     # 10^15: see units_of_double
    EXACT_CENTS = 1_000_000                 # 10^6: see units_of_float
    WHOLE_LIMIT = 1_000_000_000_000         # 10^12
    KINDS_MOST = 256                        # values of a dictionary that are looked at once
    AMOUNT_END = 1_000_000_000_000_000_000  # 10^18
    UINT64_MOST = 0xFFFFFFFFFFFFFFFF
    SECONDS_PER_DAY = 86_400

cdef struct Cells:
    CellType kind               # of the values
    CellType index_kind         # of the indexes; code NO_CELLS if it is no dictionary
    const uint8_t* validity     # of the rows; NULL if none is null
    int64_t offset              # of the first row
    const char* indexes
    const uint8_t* value_validity       # of a dictionary
    int64_t value_offset
    int64_t value_count
    const char* values          # of one width; or offsets, or views
    const char* text            # what the offsets are of
    const void** view_texts     # what the views are of,
    const int64_t* view_sizes   # their bytes,
    int64_t view_count          # and how many there are
    uint64_t factor             # units of an amount are values times,
    bint divides                # or divided by, this power of ten; 0 if it is too large
    uint64_t usual_end          # the first value that is no amount, if they are times factor

cdef struct Kinds:              # what the values of a dictionary name
    int64_t count               # 0 if each value has to be looked at
    uint8_t[KINDS_MOST] by_index


# -- opening a column ------------------------------------------------------------------


cdef inline int cells_check(
    const ArrowArray* array, const CellType* kind, int64_t rows, str name
) except -1:
    """Raise ValueError unless an array has so many rows, and the buffers of its type."""
    cdef int64_t i, buffers = 3 if has_lengths(kind.code) else 2
    cdef bint views = has_views(kind.code)
    if kind.code == NULL_CELLS:
        buffers = 0
    if array == NULL or array.release == NULL:
        raise ValueError(f"frame: column {name!r}: has no array")
    if array.offset < 0 or array.length < rows:
        raise ValueError(
            f"frame: column {name!r}: {array.length} rows from {array.offset} on, "
            f"expected {rows}"
        )
    if array.n_buffers < buffers or (not views and array.n_buffers > buffers):
        raise ValueError(
            f"frame: column {name!r}: {array.n_buffers} buffers, expected {buffers}"
        )
    if buffers > 0 and array.buffers == NULL:
        raise ValueError(f"frame: column {name!r}: has no buffers")
    if buffers > 0 and rows > 0 and array.buffers[1] == NULL:
        raise ValueError(f"frame: column {name!r}: has no values")
    if views and array.n_buffers > 3:
        if array.buffers[array.n_buffers - 1] == NULL:
            raise ValueError(f"frame: column {name!r}: its buffers have no sizes")
        for i in range(2, array.n_buffers - 1):
            if array.buffers[i] == NULL:
                raise ValueError(f"frame: column {name!r}: has no buffer {i}")
    return 0


cdef inline const uint8_t* validity_of(const ArrowArray* array) noexcept nogil:
    """Return the bits of the values that are not null, or NULL if none is."""
    if array.null_count == 0:
        return NULL
    return <const uint8_t*> array.buffers[0]


cdef inline void cells_set_factor(Cells* cells) noexcept nogil:
    """Set the power of ten between values and units of amounts."""
    cdef int power = AMOUNT_DECIMALS - cells.kind.decimals
    cells.divides = power < 0
    cells.factor = 0
    power = -power if power < 0 else power
    if power <= POWER_LIMIT:
        cells.factor = 1
        while power > 0:
            cells.factor *= 10
            power -= 1
    cells.usual_end = 0
    if cells.factor > 0 and not cells.divides:
        cells.usual_end = <uint64_t> AMOUNT_END // cells.factor


cdef inline int cells_set_values(
    Cells* cells, const ArrowArray* array, int64_t rows, str name
) except -1:
    """Set where the values are, which are those of the column or of its dictionary."""
    cells_check(array, &cells.kind, rows, name)
    cells.value_validity = NULL
    cells.value_offset = array.offset
    cells.value_count = array.length
    if cells.kind.code == NULL_CELLS:
        return 0
    cells.value_validity = validity_of(array)
    cells.values = <const char*> array.buffers[1]
    if has_views(cells.kind.code):
        cells.view_texts = array.buffers + 2
        cells.view_count = array.n_buffers - 3
        cells.view_sizes = <const int64_t*> array.buffers[array.n_buffers - 1]
    elif has_lengths(cells.kind.code):
        cells.text = <const char*> array.buffers[2]
    cells_set_factor(cells)
    return 0


cdef inline int cells_open(
    Cells* cells, const ArrowSchema* schema, const ArrowArray* array, int64_t first,
    int64_t rows, str name
) except -1:
    """Begin to read the rows of a column from `first` on; raises ValueError.

    The array must outlive the cells.
    """
    cells.index_kind.code = NO_CELLS
    cells.kind = cell_type(schema)
    if schema.dictionary == NULL:
        cells_set_values(cells, array, first + rows, name)
        cells.validity = cells.value_validity
        cells.offset = cells.value_offset + first
        return 0
    cells.index_kind = cells.kind
    cells_check(array, &cells.index_kind, first + rows, name)
    cells.validity = validity_of(array)
    cells.offset = array.offset + first
    cells.indexes = <const char*> array.buffers[1]
    cells.kind = cell_type(schema.dictionary)
    return cells_set_values(cells, array.dictionary, 0, name)


# -- where a value is ------------------------------------------------------------------


cdef inline bint bit_at(const uint8_t* bits, int64_t place) noexcept nogil:
    return (bits[place >> 3] >> (place & 7)) & 1


cdef inline int64_t integer_at(const char* values, int code, int64_t place) noexcept nogil:
    """Return an integer; one of UINT64 beyond int64 becomes negative."""
    if code == INT64 or code == UINT64 or code == TICKS:
        return (<const int64_t*> values)[place]
    if code == INT32 or code == DAYS:
        return (<const int32_t*> values)[place]
    if code == UINT32:
        return (<const uint32_t*> values)[place]
    if code == INT16:
        return (<const int16_t*> values)[place]
    if code == UINT16:
        return (<const uint16_t*> values)[place]
    if code == INT8:
        return (<const int8_t*> values)[place]
    return (<const uint8_t*> values)[place]


cdef inline int64_t cell_place(const Cells* cells, int64_t row) noexcept nogil:
    """Return where among the values that of a row is; or NULL_CELL or BROKEN_CELL."""
    cdef int64_t place = row + cells.offset
    if cells.kind.code <= NULL_CELLS:
        return NULL_CELL
    if cells.validity != NULL and not bit_at(cells.validity, place):
        return NULL_CELL
    if cells.index_kind.code == NO_CELLS:
        return place
    place = integer_at(cells.indexes, cells.index_kind.code, place)
    if not 0 <= place < cells.value_count:
        return BROKEN_CELL
    place += cells.value_offset
    if cells.value_validity != NULL and not bit_at(cells.value_validity, place):
        return NULL_CELL
    return place


cdef inline bint view_at(
    const Cells* cells, int64_t place, const char** text, int64_t* length
) noexcept nogil:
    """Set the text of a view; False if it is not in its buffer."""
    cdef const char* view = cells.values + place * VIEW_BYTES
    cdef int32_t[4] words
    memcpy(words, view, VIEW_BYTES)
    length[0] = words[0]
    text[0] = view + 4
    if words[0] <= VIEW_INLINE:
        return words[0] >= 0
    if not 0 <= words[2] < cells.view_count or words[3] < 0:
        return False
    text[0] = <const char*> cells.view_texts[words[2]] + words[3]
    return <int64_t> words[3] + words[0] <= cells.view_sizes[words[2]]


cdef inline bint text_at(
    const Cells* cells, int64_t place, const char** text, int64_t* length
) noexcept nogil:
    """Set the text at a place; False if its offsets make no sense."""
    cdef int64_t start, end
    if has_views(cells.kind.code):
        return view_at(cells, place, text, length)
    if cells.kind.code == TEXT32 or cells.kind.code == BYTES32:
        start = (<const int32_t*> cells.values)[place]
        end = (<const int32_t*> cells.values)[place + 1]
    else:
        start = (<const int64_t*> cells.values)[place]
        end = (<const int64_t*> cells.values)[place + 1]
    length[0] = end - start
    if not 0 <= start <= end:
        return False
    text[0] = cells.values          # any place for an empty text
    if cells.text != NULL:
        text[0] = cells.text + start
    return cells.text != NULL or start == end


cdef inline bytes bytes_of_cell(const Cells* cells, int64_t row):
    """Return the bytes of a value of any type that is not nested; None if it is null.

    A bit is a byte of 0 or 1. Raises ValueError if the value is not where the array says.
    """
    cdef const char* text
    cdef int64_t place = cell_place(cells, row), length
    if place == NULL_CELL:
        return None
    if place == BROKEN_CELL:
        raise ValueError("an index that is not in its dictionary")
    if cells.kind.code == BITS:
        return b"\1" if bit_at(<const uint8_t*> cells.values, place) else b"\0"
    if not has_lengths(cells.kind.code):
        return PyBytes_FromStringAndSize(
            cells.values + place * cells.kind.width, cells.kind.width
        )
    if not text_at(cells, place, &text, &length):
        raise ValueError("a text that is not in its buffer")
    return PyBytes_FromStringAndSize(text, length)


# -- kinds and ids ---------------------------------------------------------------------


cdef inline int kind_at(const Cells* cells, int64_t place) noexcept nogil:
    """Return the kind that a value names: EventKind, or EVENT_KINDS if it is none."""
    cdef const char* text
    cdef int64_t code, length
    if is_integer(cells.kind.code):
        code = integer_at(cells.values, cells.kind.code, place)
        return <int> code if 0 <= code < EVENT_KINDS else EVENT_KINDS
    if not text_at(cells, place, &text, &length) or length != 8:
        return EVENT_KINDS
    if memcmp(text, b"purchase", 8) == 0:
        return PURCHASE
    if memcmp(text, b"befriend", 8) == 0:
        return BEFRIEND
    return UNFRIEND if memcmp(text, b"unfriend", 8) == 0 else EVENT_KINDS


cdef inline void kinds_set(Kinds* kinds, const Cells* cells) noexcept nogil:
    """Look at the values of a column's dictionary, if it is small."""
    cdef int64_t i
    kinds.count = 0
    if cells.index_kind.code == NO_CELLS or not 0 < cells.value_count <= KINDS_MOST:
        return
    kinds.count = cells.value_count
    for i in range(kinds.count):
        kinds.by_index[i] = EVENT_KINDS
        if cells.kind.code != NULL_CELLS and (
            cells.value_validity == NULL
            or bit_at(cells.value_validity, cells.value_offset + i)
        ):
            kinds.by_index[i] = <uint8_t> kind_at(cells, cells.value_offset + i)


cdef inline int kind_of_cell(
    const Cells* cells, const Kinds* kinds, int64_t row
) noexcept nogil:
    """Return the kind of an event: EventKind, or EVENT_KINDS if it is none."""
    cdef int64_t place = row + cells.offset
    if kinds.count > 0 and (cells.validity == NULL or bit_at(cells.validity, place)):
        place = integer_at(cells.indexes, cells.index_kind.code, place)
        return kinds.by_index[place] if 0 <= place < kinds.count else EVENT_KINDS
    place = cell_place(cells, row)
    return kind_at(cells, place) if place >= 0 else EVENT_KINDS


cdef inline bint id_of_cell(
    const Cells* cells, int64_t row, UserKey* key, char* digits
) noexcept nogil:
    """Set the key of a user, not hashed; it points to the text or to DIGITS_SIZE digits."""
    cdef const char* text
    cdef int64_t place = cell_place(cells, row), length
    cdef Fault fault
    if place < 0:
        return False
    if cells.kind.code == INT64:
        key[0] = key_of_number((<const int64_t*> cells.values)[place], digits)
        return True
    if is_integer(cells.kind.code):
        length = integer_at(cells.values, cells.kind.code, place)
        key[0] = key_of_number(length, digits)
        return length >= 0 or cells.kind.code != UINT64
    if not text_at(cells, place, &text, &length) or length == 0:
        return False
    key[0] = key_of_text(text, length)
    if key.number < 0:
        text_fault(text, text + length, &fault)
        return fault == NO_FAULT
    return True


# -- times -----------------------------------------------------------------------------


cdef inline bint time_of_units(int64_t units, int64_t us_each, Event* event) noexcept nogil:
    """Set the time of an event; a constant `us_each` costs no division."""
    event.time_us = 0
    if not FIRST_TIME // us_each <= units < END_OF_TIMES // us_each:
        return False
    event.time_us = units * us_each
    return True


cdef inline bint time_of_ticks(
    int64_t ticks, int64_t per_second, bint cut, Event* event
) noexcept nogil:
    """Set the time of an event; False if it is out of range, or finer than a microsecond.

    The latter is accepted if it may be `cut`.
    """
    cdef int64_t rest
    if per_second == US_OF_SECOND:
        return time_of_units(ticks, 1, event)
    if per_second == NS_PER_SECOND:
        event.time_us = ticks // 1000
        rest = ticks - event.time_us * 1000
        if rest < 0:            # C rounds towards zero
            event.time_us -= 1
            rest += 1000
        if rest != 0:
            event.adjusted |= CUT_TIME
        return cut or rest == 0
    if per_second == 1000:
        return time_of_units(ticks, US_OF_SECOND // 1000, event)
    return time_of_units(ticks, US_OF_SECOND, event)


cdef inline int64_t ticks_of_unit(int unit) noexcept nogil:
    """Return how many of a TimeUnit are in a second; 0 if numbers are not accepted."""
    if unit == SECONDS:
        return 1
    if unit == MILLISECONDS:
        return 1000
    if unit == MICROSECONDS:
        return US_OF_SECOND
    return NS_PER_SECOND if unit == NANOSECONDS else 0


cdef inline bint time_of_cell(
    const Cells* cells, int64_t row, const Reading* reading, Event* event
) noexcept nogil:
    """Set the time of an event."""
    cdef const char* text
    cdef int64_t place = cell_place(cells, row), ticks, length
    cdef int64_t per_second = cells.kind.per_second
    if place < 0:
        return False
    if cells.kind.code == TICKS:
        ticks = (<const int64_t*> cells.values)[place]
        return time_of_ticks(ticks, per_second, reading.time_unit != STRICT, event)
    if is_text(cells.kind.code):
        return text_at(cells, place, &text, &length) and (
            time_of_text(text, length, &event.time_us)
            or time_in_unit(text, length, False, reading.time_unit, event)
        )
    if cells.kind.code == FLOAT32 or cells.kind.code == FLOAT64:
        return False
    ticks = integer_at(cells.values, cells.kind.code, place)
    if cells.kind.code == DAYS:
        ticks *= SECONDS_PER_DAY
        per_second = 1
    elif is_integer(cells.kind.code):
        per_second = ticks_of_unit(reading.time_unit)
        if per_second == 0 or (ticks < 0 and cells.kind.code == UINT64):
            return False
    return time_of_ticks(ticks, per_second, reading.time_unit != STRICT, event)


# -- amounts ---------------------------------------------------------------------------


cdef inline bint units_of_double(double value, int64_t* units) noexcept nogil:
    """Set an amount to the shortest decimal that names a double, if that is below 10^9.

    At most one decimal of up to 15 digits names a double. So if one does, no shorter
    decimal does but the same without zeros at its end. Both numbers of the division are
    exact, so it yields the double that the decimal names.
    """
    cdef double scaled = rint(value * US_OF_SECOND)
    if not 0 <= scaled < <double> EXACT_UNITS:
        return False
    units[0] = <int64_t> scaled
    return scaled / US_OF_SECOND == value


cdef inline bint units_of_float(float value, int64_t* units) noexcept nogil:
    """Set an amount as units_of_double: with up to six digits, so cents below 10^4."""
    cdef double cents = rint(<double> value * 100)
    if not 0 <= cents < <double> EXACT_CENTS:
        return False
    units[0] = <int64_t> cents * UNITS_PER_CENT
    return <float> (cents / 100) == value


cdef inline bint decimal_at(
    const Cells* cells, int64_t place, uint128* value
) noexcept nogil:
    """Set a decimal's digits as an integer; False if it is negative or beyond 128 bits."""
    cdef const char* at = cells.values + place * cells.kind.width
    cdef uint64_t[4] words
    words[0] = words[1] = words[2] = words[3] = 0
    memcpy(words, at, <size_t> cells.kind.width)
    if at[cells.kind.width - 1] & 0x80 or words[2] != 0 or words[3] != 0:
        return False
    value[0] = <uint128> words[1] << 64 | words[0]
    return True


cdef inline bint usual_decimal(
    const Cells* cells, int64_t place, int64_t* units
) noexcept nogil:
    """Set an amount to a decimal of 128 bits that is within the range, else return False."""
    cdef uint64_t[2] words
    if cells.kind.width != 16:
        return False
    memcpy(words, cells.values + place * 16, 16)
    units[0] = <int64_t> (words[0] * cells.factor)
    return words[1] == 0 and words[0] < cells.usual_end


cdef inline bint units_of_decimal(
    const Cells* cells, uint128 value, bint rounded, Event* event
) noexcept nogil:
    """Set the amount of an event to a decimal, if wanted rounded half to even."""
    cdef uint128 quotient
    cdef uint64_t rest
    if value == 0:
        event.amount_units = 0
        return True
    if cells.factor == 0:
        return False
    if not cells.divides:
        quotient = value * cells.factor
        event.amount_units = <int64_t> quotient
        return value < AMOUNT_END and quotient < AMOUNT_END
    if value <= UINT64_MOST:
        quotient = <uint64_t> value // cells.factor
    else:
        quotient = value // cells.factor
    rest = <uint64_t> (value - quotient * cells.factor)
    if rest != 0:
        if not rounded:
            return False
        event.adjusted |= ROUNDED_AMOUNT
        quotient += rest > cells.factor // 2 or (
            rest == cells.factor // 2 and (quotient & 1) != 0
        )
    event.amount_units = <int64_t> quotient
    return quotient < AMOUNT_END


cdef inline bint units_of_text(
    const char* text, int64_t length, bint rounded, Event* event
) noexcept nogil:
    """Set the amount of an event to that of a text, if wanted rounded."""
    event.amount_units = amount_of_text(text, length)
    if event.amount_units == BAD_AMOUNT_UNITS and rounded:
        event.amount_units = rounded_amount_of_text(text, length)
        event.adjusted |= ROUNDED_AMOUNT
    return event.amount_units != BAD_AMOUNT_UNITS


cdef inline bint amount_of_cell(
    const Cells* cells, int64_t row, const Reading* reading, Event* event
) noexcept nogil:
    """Set the amount of an event."""
    cdef const char* text
    cdef uint128 value
    cdef int64_t place = cell_place(cells, row), whole, length
    if place < 0:
        return False
    if cells.kind.code == DECIMAL and usual_decimal(cells, place, &event.amount_units):
        return True
    if cells.kind.code == DECIMAL:
        return decimal_at(cells, place, &value) and units_of_decimal(
            cells, value, reading.round_amounts, event
        )
    if cells.kind.code == FLOAT64:
        return units_of_double((<const double*> cells.values)[place], &event.amount_units)
    if cells.kind.code == FLOAT32:
        return units_of_float((<const float*> cells.values)[place], &event.amount_units)
    if is_integer(cells.kind.code):
        whole = integer_at(cells.values, cells.kind.code, place)
        event.amount_units = whole * US_OF_SECOND if 0 <= whole < WHOLE_LIMIT else -1
        return event.amount_units >= 0
    return text_at(cells, place, &text, &length) and units_of_text(
        text, length, reading.round_amounts, event
    )
