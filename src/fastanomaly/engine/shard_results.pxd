"""What a shard finds in a batch: flags, verdicts that wait for answers, and what it asks.

Each is a packet whose records are in the order of the rows. Threads that share a batch have
results of their own. Joining these restores the order, so the bytes do not depend on who
judged which row.
"""

from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.memory cimport PyMem_RawFree, memory_zeroed
from fastanomaly.engine.packet cimport (
    Ask, AsksHead, Open, OpenHead, Packet, ShardFlag, packet_append, packet_bytes,
    packet_free, padded_size,
)
from fastanomaly.engine.types cimport Purchase

cdef enum:                      # numbers of the packets
    FLAGS, OPEN, ASKS           # ASKS + owner

cdef struct Results:
    Packet flags                # an array of ShardFlag
    Packet open
    Packet* asks                # by owner, or NULL
    int32_t shards


cdef inline int results_begin(Results* results, int32_t shards) except -1 nogil:
    """Set up, unless that was done; the struct must be zeroed before."""
    if results.asks == NULL:
        memory_zeroed(<void**> &results.asks, shards, sizeof(Packet))
        results.shards = shards
    return 0


cdef inline void results_free(Results* results) noexcept nogil:
    cdef int32_t owner
    packet_free(&results.flags)
    packet_free(&results.open)
    for owner in range(results.shards):
        packet_free(&results.asks[owner])
    PyMem_RawFree(results.asks)


cdef inline int results_clear(Results* results, int64_t seq) except -1 nogil:
    """Begin the results of a batch before which `seq` purchases were made."""
    cdef AsksHead asks
    cdef OpenHead open
    cdef int32_t owner
    asks.seq = open.seq = seq
    asks.count = open.count = 0
    results.flags.used = 0
    results.open.used = 0
    packet_append(&results.open, &open, sizeof(OpenHead))
    for owner in range(results.shards):
        results.asks[owner].used = 0
        packet_append(&results.asks[owner], &asks, sizeof(AsksHead))
    return 0


cdef inline int64_t results_capacity(const Results* results) noexcept nogil:
    """Return the bytes allocated."""
    cdef int64_t found = (
        results.flags.capacity + results.open.capacity
        + results.shards * <int64_t> sizeof(Packet)
    )
    cdef int32_t owner
    for owner in range(results.shards):
        found += results.asks[owner].capacity
    return found


cdef inline tuple results_of(const Results* results, bint judged):
    """Return the flags, the open verdicts and the asks by owner, as bytes or None."""
    cdef int32_t owner
    if not judged:
        return b"", None, [None] * results.shards
    return (
        packet_bytes(&results.flags, 0) or b"",
        packet_bytes(&results.open, sizeof(OpenHead)),
        [
            packet_bytes(&results.asks[owner], sizeof(AsksHead))
            for owner in range(results.shards)
        ],
    )


# -- joining ---------------------------------------------------------------------------


cdef inline Packet* results_packet(Results* results, int32_t number) noexcept nogil:
    """Return one of the packets."""
    if number == FLAGS:
        return &results.flags
    if number == OPEN:
        return &results.open
    return &results.asks[number - ASKS]


cdef inline int64_t head_size(int32_t number) noexcept nogil:
    """Return the size of the head of one of the packets."""
    if number == FLAGS:
        return 0
    return sizeof(OpenHead) if number == OPEN else sizeof(AsksHead)


cdef inline int64_t record_size(
    int32_t number, const char* record, int64_t* row
) noexcept nogil:
    """Return the size of a record of one of the packets, with its items, and set its row."""
    if number == FLAGS:
        row[0] = (<const ShardFlag*> record).row
        return sizeof(ShardFlag)
    if number == OPEN:
        row[0] = (<const Open*> record).row
        return <int64_t> sizeof(Open) + (
            (<const Open*> record).count * <int64_t> sizeof(Purchase)
        )
    row[0] = (<const Ask*> record).row
    return <int64_t> sizeof(Ask) + padded_size((<const Ask*> record).members)


cdef inline int results_take(
    Results* results, int32_t number, Results* part, int64_t* taken, int64_t row
) except -1 nogil:
    """Append the next record of a packet of a part, if it is of that row.

    So much of the packet was taken before. A failure changes nothing.
    """
    cdef Packet* packet = results_packet(results, number)
    cdef const Packet* source = results_packet(part, number)
    cdef int64_t found, size
    if taken[0] == source.used:
        return 0
    size = record_size(number, source.bytes + taken[0], &found)
    if found == row:
        packet_append(packet, source.bytes + taken[0], size)
        taken[0] += size
        if number == OPEN:
            (<OpenHead*> packet.bytes).count += 1
        elif number != FLAGS:
            (<AsksHead*> packet.bytes).count += 1
    return 0
