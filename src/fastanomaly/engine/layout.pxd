"""Lines that are laid out as earlier ones: compared by words instead of parsed.

The lines of a log differ in few places: user ids, times and amounts. The layout of a kind of
event is what is between them, taken from a line that the scanner has read. A line that has
the same there, and values of the usual form in between, is read without looking at each
byte: it is the event that the scanner would return, since the same text around a value is
the same JSON. Any other line is left to the scanner. O(length).

Functions that return a position in the line return NULL to leave it to the scanner. They
read less than LAYOUT_BYTES from the start of the line on, which must be readable; the text
there may be that of the next lines.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy, memset

from fastanomaly.engine.fields cimport time_of_text
from fastanomaly.engine.scan cimport (
    ABSENT, AMOUNT, EVENT_TYPE, FIELDS, FRACTION, HIGHS, ID, ID2, INTEGER,
    LITTLE_ENDIAN, ONES, TEXT, TIMESTAMP, Field, Value, scan_members, trailing_zeros,
)
from fastanomaly.engine.types cimport (
    BEFRIEND, EVENT_KINDS, PURCHASE, Event, UserKey,
)

cdef enum:
    LAYOUT_BYTES = 512
    PIECE_WORDS = 8             # words of the longest text between two values
    PIECES = 4                  # before each of three values, and after the last one
    TIME_BYTES = 19             # of YYYY-MM-DD HH:MM:SS
    DATE_BYTES = 11             # up to the time of the day
    LEARNINGS = 64              # for each text: then its lines have no layout worth learning

cdef struct Piece:              # the same text in all lines of a layout
    uint64_t[PIECE_WORDS] words
    uint64_t last_mask          # of the bytes that count in the last word
    int32_t word_count
    int32_t length
    Field value                 # what follows it

cdef struct Layout:
    Piece[PIECES] pieces
    int32_t piece_count         # 0: no line of this kind was read yet

cdef struct Layouts:
    Layout[EVENT_KINDS] kinds
    int32_t learnings           # since the start of the text
    # The latest date, up to the time of the day, as two words; its midnight in microseconds.
    uint64_t date_start
    uint64_t date_end
    int64_t midnight_us


cdef inline uint64_t load_word(const char* at) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, at, 8)
    return word


cdef inline const char* match_piece(const char* at, const Piece* piece) noexcept nogil:
    """Return the end of a piece, if the text continues with it."""
    cdef int32_t i, last = piece.word_count - 1
    for i in range(last):
        if load_word(at + 8 * i) != piece.words[i]:
            return NULL
    if (load_word(at + 8 * last) ^ piece.words[last]) & piece.last_mask != 0:
        return NULL
    return at + piece.length


# -- values in the usual form ----------------------------------------------------------


cdef inline int32_t leading_digits(uint64_t word) noexcept nogil:
    """Return how many characters of a word, from its first on, are digits.

    `word` is the text XOR "00000000": a digit is a byte below 10.
    """
    # Only the lowest bit set is exact, as in byte_is.
    cdef uint64_t others = ((word + (ONES * 0x76)) | word) & HIGHS
    return trailing_zeros(others) // 8 if others != 0 else 8


cdef inline int64_t value_of_digits(uint64_t word) noexcept nogil:
    """Return the value of the eight digits in a word (XOR "00000000")."""
    word = (word * 10 + (word >> 8)) & <uint64_t> 0x00FF00FF00FF00FF
    word = (word * 100 + (word >> 16)) & <uint64_t> 0x0000FFFF0000FFFF
    return <int64_t> ((word * 10000 + (word >> 32)) & <uint64_t> 0xFFFFFFFF)


cdef inline int64_t value_of_leading(uint64_t word, int32_t digits) noexcept nogil:
    """Return the value of the first 1 to 8 digits in a word (XOR "00000000")."""
    return value_of_digits(word << (64 - 8 * digits))


cdef inline const char* read_id(const char* at, UserKey* key) noexcept nogil:
    """Set the key of a plain decimal of up to 15 digits; not hashed."""
    cdef uint64_t word = load_word(at) ^ (ONES * c"0")
    cdef int32_t digits = leading_digits(word), more = 0, _i
    if digits == 0 or (at[0] == c"0" and digits > 1):
        return NULL
    key.number = value_of_leading(word, digits)
    if digits == 8:
        word = load_word(at + 8) ^ (ONES * c"0")
        more = leading_digits(word)
        if more == 8:
            return NULL
        for _i in range(more):
            key.number *= 10
        if more > 0:
            key.number += value_of_leading(word, more)
    key.text = at
    key.length = digits + more
    key.uid = -1
    return at + digits + more


cdef inline const char* read_amount(const char* at, int64_t* amount_units) noexcept nogil:
    """Set an amount of up to 8 digits, without leading zeros, and up to 6 decimals."""
    cdef uint64_t word = load_word(at) ^ (ONES * c"0")
    cdef int32_t digits = leading_digits(word)
    if digits == 0 or (at[0] == c"0" and digits > 1):
        return NULL
    amount_units[0] = value_of_leading(word, digits) * 1_000_000
    at += digits
    if at[0] != c".":
        return at
    word = load_word(at + 1) ^ (ONES * c"0")
    digits = leading_digits(word)
    if not 1 <= digits <= 6:
        return NULL
    # As if zeros followed, up to the eighth decimal.
    word &= (<uint64_t> 1 << (8 * digits)) - 1
    amount_units[0] += value_of_digits(word) // 100
    return at + 1 + digits


cdef inline int64_t read_clock(const char* at) noexcept nogil:
    """Return the microseconds since midnight of a time HH:MM:SS, or -1."""
    cdef uint64_t word = load_word(at) ^ (
        (ONES * c"0") ^ <uint64_t> 0x00000A00000A0000
    )
    cdef int64_t hour, minute, second
    # Digits are below 10 now, the colons 0 (":" is "0" XOR 10).
    if ((word + <uint64_t> 0x76767F76767F7676) | word) & HIGHS != 0:
        return -1
    hour = <int64_t> ((word & 0xFF) * 10 + (word >> 8 & 0xFF))
    minute = <int64_t> ((word >> 24 & 0xFF) * 10 + (word >> 32 & 0xFF))
    second = <int64_t> ((word >> 48 & 0xFF) * 10 + (word >> 56))
    if hour > 23 or minute > 59 or second > 59:
        return -1
    return ((hour * 60 + minute) * 60 + second) * 1_000_000


cdef inline const char* read_time(
    Layouts* layouts, const char* at, int64_t* time_us
) noexcept nogil:
    """Set a time of TIME_BYTES; its date is mostly that of the time before."""
    cdef int64_t clock_us = read_clock(at + DATE_BYTES)
    cdef uint64_t start = load_word(at), end = load_word(at + DATE_BYTES - 8)
    if clock_us < 0:
        return NULL
    if start != layouts.date_start or end != layouts.date_end:
        if not time_of_text(at, TIME_BYTES, time_us):
            return NULL
        layouts.date_start = start
        layouts.date_end = end
        layouts.midnight_us = time_us[0] - clock_us
    time_us[0] = layouts.midnight_us + clock_us
    return at + TIME_BYTES


# -- lines -----------------------------------------------------------------------------


cdef inline void layouts_begin(Layouts* layouts) noexcept nogil:
    """Prepare for a text; what earlier ones taught is kept. The struct was zeroed before."""
    cdef const char* date = b"1970-01-01 "
    layouts.learnings = 0
    layouts.date_start = load_word(date)
    layouts.date_end = load_word(date + DATE_BYTES - 8)
    layouts.midnight_us = 0


cdef inline const char* read_values(
    Layouts* layouts, const Layout* layout, const char* at, Event* event
) noexcept nogil:
    """Set the fields of an event, if the line has a layout; the end of the line."""
    cdef const Piece* piece = &layout.pieces[0]
    cdef const Piece* last = piece + layout.piece_count - 1
    at = match_piece(at, piece)
    while at != NULL and piece != last:
        if piece.value == TIMESTAMP:
            at = read_time(layouts, at, &event.time_us)
        elif piece.value == AMOUNT:
            at = read_amount(at, &event.amount_units)
        elif piece.value == ID2:
            at = read_id(at, &event.friend)
        else:
            at = read_id(at, &event.user)
        if at != NULL:
            piece += 1
            at = match_piece(at, piece)
    return at


cdef inline const char* layouts_read(
    Layouts* layouts, const char* line, Event* event
) noexcept nogil:
    """Read the event of a line that is laid out as an earlier one; the end of the line.

    The event's keys are not hashed. LAYOUT_BYTES from the start of the line on are readable.
    """
    cdef int kind
    cdef const char* end
    for kind in range(EVENT_KINDS):
        if layouts.kinds[kind].piece_count > 0:
            end = read_values(layouts, &layouts.kinds[kind], line, event)
            if end != NULL and (end[0] == c"\n" or (end[0] == c"\r" and end[1] == c"\n")):
                event.kind = kind
                event.adjusted = 0
                if kind == BEFRIEND and event.user.number == event.friend.number:
                    return NULL
                return end
    return NULL


# -- learning --------------------------------------------------------------------------


cdef inline bint is_usual(const Value* values, Field field) noexcept nogil:
    """Return whether a value may be between pieces."""
    if field == TIMESTAMP:
        return values[<int> field].kind == TEXT and values[<int> field].length == TIME_BYTES
    if field == AMOUNT and values[<int> field].kind == FRACTION:
        return True
    return values[<int> field].kind == TEXT or values[<int> field].kind == INTEGER


cdef inline int32_t order_fields(const Value* values, int kind, Field* ordered) noexcept nogil:
    """List the fields that vary, in the order of the line; their number, or 0."""
    cdef int field
    cdef int32_t count = 0, i
    for field in range(<int> EVENT_TYPE + 1, <int> FIELDS):
        if values[field].kind == ABSENT:
            continue
        if field != TIMESTAMP and (kind == PURCHASE) != (field == ID or field == AMOUNT):
            return 0            # a field of another kind of event
        if not is_usual(values, <Field> field) or count == PIECES - 1:
            return 0
        i = count
        while i > 0 and values[<int> ordered[i - 1]].text > values[field].text:
            ordered[i] = ordered[i - 1]
            i -= 1
        ordered[i] = <Field> field
        count += 1
    return count


cdef inline bint piece_set(
    Piece* piece, const char* text, const char* end, Field value
) noexcept nogil:
    """Set a piece to a text before a value; False if it is too long."""
    cdef int64_t length = end - text
    if not 0 < length <= 8 * PIECE_WORDS:
        return False
    memset(piece, 0, sizeof(Piece))
    memcpy(&piece.words[0], text, <size_t> length)
    piece.length = <int32_t> length
    piece.word_count = <int32_t> (length + 7) // 8
    piece.last_mask = ~<uint64_t> 0 >> (8 * (8 * piece.word_count - piece.length))
    piece.value = value
    return True


cdef inline void layouts_learn(
    Layouts* layouts, const char* line, const char* end, int kind
) noexcept nogil:
    """Learn the layout of a line that the scanner has read as an event of that kind."""
    cdef Value[<int> FIELDS] values
    cdef Field[PIECES] ordered
    cdef Layout* layout = &layouts.kinds[kind]
    cdef int32_t count, i
    cdef const char* at = line
    if not LITTLE_ENDIAN or layouts.learnings == LEARNINGS:
        return
    layouts.learnings += 1
    for i in range(<int32_t> FIELDS):
        values[i].kind = ABSENT
    if not scan_members(line, end, values):
        return
    count = order_fields(values, kind, ordered)
    if count == 0:
        return                  # the layout known so far may fit the next lines
    layout.piece_count = 0
    for i in range(count):
        if not piece_set(&layout.pieces[i], at, values[<int> ordered[i]].text, ordered[i]):
            return
        at = values[<int> ordered[i]].text + values[<int> ordered[i]].length
    if piece_set(&layout.pieces[count], at, end, FIELDS):
        layout.piece_count = count + 1
