"""The types of columns of Arrow tables, from their format strings."""

from libc.stdint cimport int64_t

from fastanomaly.engine.arrow cimport ArrowSchema, schema_text

cdef enum CellCode:
    NO_CELLS = 0                # there is no such column
    NULL_CELLS                  # all values are null
    INT8
    INT16
    INT32
    INT64
    UINT8
    UINT16
    UINT32
    UINT64
    FLOAT32
    FLOAT64
    DECIMAL                     # two's complement
    TICKS                       # int64 since 1970
    DAYS                        # int32 since 1970
    TEXT32                      # UTF-8, by offsets of 32 bits,
    TEXT64                      # of 64,
    TEXT_VIEW                   # or by views
    BYTES32                     # not UTF-8; like texts
    BYTES64
    BYTES_VIEW
    BITS
    FIXED                       # anything else of one width
    OTHER_CELLS                 # nested, or unknown

cdef enum:
    NS_PER_SECOND = 1_000_000_000
    US_OF_SECOND = 1_000_000
    DECIMALS_LIMIT = 1000       # no library has more, on either side of the point

cdef struct CellType:
    int code                    # CellCode
    int width                   # bytes of a value, if all have the same
    int decimals                # of DECIMAL; may be negative
    int64_t per_second          # TICKS in a second: a power of 1000 up to NS_PER_SECOND


cdef inline bint is_integer(int code) noexcept nogil:
    return INT8 <= code <= UINT64


cdef inline bint is_text(int code) noexcept nogil:
    return TEXT32 <= code <= TEXT_VIEW


cdef inline bint has_lengths(int code) noexcept nogil:
    """Return whether values are texts or bytes of any length."""
    return TEXT32 <= code <= BYTES_VIEW


cdef inline bint has_views(int code) noexcept nogil:
    return code == TEXT_VIEW or code == BYTES_VIEW


cdef inline int plain_code(char letter) noexcept nogil:
    """Return the code of a format of one letter."""
    cdef const char* letters = b"ncsilCSILfguUzZb"
    cdef int* codes = [
        NULL_CELLS, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, FLOAT32,
        FLOAT64, TEXT32, TEXT64, BYTES32, BYTES64, BITS,
    ]
    cdef int i
    for i in range(16):
        if letters[i] == letter:
            return codes[i]
    return OTHER_CELLS


cdef inline int code_width(int code) noexcept nogil:
    """Return the bytes of a value of a code that has always the same."""
    if code == INT8 or code == UINT8:
        return 1
    if code == INT16 or code == UINT16:
        return 2
    if code == INT32 or code == UINT32 or code == FLOAT32 or code == DAYS:
        return 4
    return 8


cdef inline int64_t ticks_of_letter(char letter) noexcept nogil:
    """Return how many units of time are in a second, or 0."""
    if letter == c"s":
        return 1
    if letter == c"m":
        return 1000
    if letter == c"u":
        return US_OF_SECOND
    return NS_PER_SECOND if letter == c"n" else 0


cdef inline int type_of_decimal(str form, CellType* kind) except -1:
    """Set the type of d:PRECISION,DECIMALS or d:PRECISION,DECIMALS,BITS."""
    try:
        _precision, decimals, *rest = map(int, form[2:].split(","))
        bits = rest[0] if len(rest) == 1 else 128
    except ValueError:
        return 0
    if (
        len(rest) < 2 and bits in (32, 64, 128, 256)
        and -DECIMALS_LIMIT <= decimals <= DECIMALS_LIMIT
    ):
        kind.code = DECIMAL
        kind.width = bits // 8
        kind.decimals = decimals
    return 0


cdef inline int fixed_width(str form) except -1:
    """Return the bytes of a value of another format, or 0 if it is not of one width."""
    if form[:2] == "w:" and form[2:].isdecimal():
        return int(form[2:][:9])
    width = {"e": 2, "tts": 4, "ttm": 4, "ttu": 8, "ttn": 8, "tiM": 4, "tiD": 8, "tin": 16}
    return width.get(form, 8 if form[:2] == "tD" else 0)


cdef inline CellType cell_type(const ArrowSchema* schema) except *:
    """Return the type of the values of a column, or of the indexes of a dictionary."""
    cdef const char* form = schema.format
    cdef CellType kind
    kind.code = OTHER_CELLS
    kind.decimals = 0
    kind.per_second = 0
    if form[0] != 0 and form[1] == 0:
        kind.code = plain_code(form[0])
    elif form[:3] == b"tdD":
        kind.code = DAYS
    elif form[:3] == b"tdm":
        kind.code = TICKS
        kind.per_second = 1000
    elif form[0] == c"t" and form[1] == c"s" and form[2] != 0 and form[3] == c":":
        kind.per_second = ticks_of_letter(form[2])
        kind.code = TICKS if kind.per_second > 0 else OTHER_CELLS
    elif form[0] == c"v" and (form[1] == c"u" or form[1] == c"z") and form[2] == 0:
        kind.code = TEXT_VIEW if form[1] == c"u" else BYTES_VIEW
    kind.width = code_width(kind.code)
    if form[0] == c"d" and form[1] == c":":
        type_of_decimal(schema_text(form), &kind)
    elif kind.code == OTHER_CELLS:
        kind.width = fixed_width(schema_text(form))
        kind.code = FIXED if kind.width > 0 else OTHER_CELLS
    return kind


cdef inline str type_name(const ArrowSchema* schema):
    """Return the name of a column's type for messages."""
    form = schema_text(schema.format)
    name = {
        "n": "null", "b": "bool", "f": "float32", "g": "float64", "e": "float16",
        "z": "binary", "Z": "large_binary", "vz": "binary_view", "u": "utf8",
        "U": "large_utf8", "vu": "utf8_view", "c": "int8", "s": "int16", "i": "int32",
        "l": "int64", "C": "uint8", "S": "uint16", "I": "uint32", "L": "uint64",
        "tdD": "date32", "tdm": "date64", "+l": "list", "+L": "large_list",
        "+vl": "list_view", "+s": "struct", "+m": "map", "+r": "run_end_encoded",
    }.get(form)
    if name is None:
        name = {
            "d": "decimal", "ts": "timestamp", "tt": "time", "tD": "duration",
            "ti": "interval", "w:": "fixed_size_binary", "+w": "fixed_size_list",
            "+u": "union",
        }.get(form[:1 if form[:1] == "d" else 2], "a type")
        name = f"{name} ({form!r})"
    if schema.dictionary != NULL:
        return f"dictionary of {type_name(schema.dictionary)}"
    return name
