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

from fastanomaly.engine.memory cimport PyMem_RawFree, memory_check, memory_try_reserve
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


cdef inline bint packet_try_extend(Packet* packet, int64_t size) noexcept nogil:
    """Append bytes that are not set, if there is memory; amortised O(1)."""
    if not memory_try_reserve(
        <void**> &packet.bytes, &packet.capacity, packet.used + size, sizeof(char)
    ):
        return False
    packet.used += size
    return True


cdef inline bint packet_try_append(
    Packet* packet, const void* bytes, int64_t size
) noexcept nogil:
    """Append bytes, if there is memory."""
    if not packet_try_extend(packet, size):
        return False
    if size > 0:
        memcpy(packet.bytes + packet.used - size, bytes, <size_t> size)
    return True


cdef inline int packet_append(Packet* packet, const void* bytes, int64_t size) except -1 nogil:
    """Append bytes; a failure changes nothing."""
    return memory_check(packet_try_append(packet, bytes, size))


cdef inline bint packet_try_append_uid(Packet* packet, int32_t uid) noexcept nogil:
    """Append the uid of a member, if there is memory."""
    if not packet_try_extend(packet, sizeof(int32_t)):
        return False
    (<int32_t*> (packet.bytes + packet.used))[-1] = uid
    return True


cdef inline int64_t padded_size(int64_t members) noexcept nogil:
    """Return the bytes of so many uids, padded to a multiple of 8."""
    return (members * <int64_t> sizeof(int32_t) + 7) & ~<int64_t> 7


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
