"""Packets: what shards send each other about a batch, as bytes.

A packet is a head and records, each record followed by its items. All have sizes that are
multiples of 8, in the byte order of the machine.

    asks        AsksHead, then for each ask: Ask, its members' uids (int32, padded)
    answers     AnswersHead, then for each ask, in the same order: Answer, its purchases
    open        OpenHead, then for each verdict that waits for answers: Open, its purchases
    flags       an array of ShardFlag

Purchases are in descending order of their keys: the newest first.
A packet comes from elsewhere: a reader that runs out of bytes raises ValueError.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy

from fastanomaly.engine.memory cimport PyMem_RawFree, memory_reserve
from fastanomaly.engine.types cimport PurchaseKey

cdef struct AsksHead:
    int64_t seq                 # the place in the log
    int64_t count               # of asks

cdef struct AnswersHead:
    int64_t count               # of answers

cdef struct OpenHead:
    int64_t seq
    int64_t count               # of verdicts

cdef struct Ask:                # for the newest purchases of some users
    PurchaseKey before          # only those before that one
    int64_t since_us            # only those at that time or later
    int64_t most                # at most so many
    int32_t row                 # of the purchase that is judged
    int32_t members             # number of users

cdef struct Answer:
    int32_t row
    bint more                   # whether there are older ones, left out for `most`
    int64_t count               # of purchases

cdef struct Open:               # a verdict that waits for answers
    int64_t amount_units
    int64_t count               # of purchases known so far
    int64_t row

cdef struct ShardFlag:
    int64_t row                 # of the batch
    int64_t n
    int64_t mean_cents
    int64_t sd_cents
    uint64_t[2] total           # words of the sums, the lowest first
    uint64_t[3] squares

cdef struct Packet:             # being written
    char* bytes
    int64_t used
    int64_t capacity

cdef struct Reader:
    const char* at
    const char* end


cdef inline int packet_extend(Packet* packet, int64_t size) except -1 nogil:
    """Append bytes that are not set; amortised O(1). A failure changes nothing."""
    memory_reserve(
        <void**> &packet.bytes, &packet.capacity, packet.used + size, sizeof(char)
    )
    packet.used += size
    return 0


cdef inline int packet_append(Packet* packet, const void* bytes, int64_t size) except -1 nogil:
    """Append bytes."""
    packet_extend(packet, size)
    if size > 0:
        memcpy(packet.bytes + packet.used - size, bytes, <size_t> size)
    return 0


cdef inline int packet_append_uid(Packet* packet, int32_t uid) except -1 nogil:
    """Append the uid of a member."""
    packet_extend(packet, sizeof(int32_t))
    (<int32_t*> (packet.bytes + packet.used))[-1] = uid
    return 0


cdef inline int packet_pad(Packet* packet) except -1 nogil:
    """Append zeros up to a multiple of 8 bytes."""
    while packet.used % 8 != 0:
        packet_append_uid(packet, 0)
    return 0


cdef inline object packet_bytes(const Packet* packet, int64_t head_size):
    """Return a packet as bytes, or None if it has no more than its head."""
    if packet.used <= head_size:
        return None
    return PyBytes_FromStringAndSize(packet.bytes, packet.used)


cdef inline void packet_free(Packet* packet) noexcept nogil:
    PyMem_RawFree(packet.bytes)


cdef inline Reader reader_of(bytes packet):
    """Return a reader of bytes, which must outlive it."""
    cdef Reader reader
    reader.at = PyBytes_AS_STRING(packet)
    reader.end = reader.at + PyBytes_GET_SIZE(packet)
    return reader


cdef inline int packet_error() except -1 nogil:
    """Raise ValueError."""
    with gil:
        raise ValueError("a packet between shards is damaged")


cdef inline const void* reader_take(
    Reader* reader, int64_t items, int64_t size
) except NULL nogil:
    """Return the next items of a size, up to a multiple of 8 bytes; ValueError if missing."""
    cdef const char* at = reader.at
    if not 0 <= items <= (reader.end - at) // size:
        packet_error()
    size = (items * size + 7) & ~7
    if reader.end - at < size:
        packet_error()
    reader.at += size
    return at
