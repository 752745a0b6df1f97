"""Writing the state to a file: plain arrays in a fixed order, each with its checksum.

docs/checkpoints.md describes them. Nothing of the state is changed, and memory is asked
for once, so a forked child can do it. Costs the whole state.
"""

from libc.errno cimport EINTR, errno
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastanomaly.engine.crc cimport CrcTables, crc_add, crc_begin
from fastanomaly.engine.graph cimport Friends, Graph, friends_run, friends_runs
from fastanomaly.engine.history cimport Cursor, History, history_newest, history_older
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_resize
from fastanomaly.engine.recency cimport Chunk, Recency
from fastanomaly.engine.types cimport Purchase
from fastanomaly.engine.users cimport Users

cdef extern from "unistd.h" nogil:
    Py_ssize_t c_write "write"(int fd, const void* data, size_t size)

cdef extern from "Python.h":
    object PyErr_SetFromErrno(object kind)

cdef enum:
    SINK_BYTES = 1 << 18

cdef struct Sink:
    int fd
    char* buffer
    int64_t used
    int64_t array_bytes         # of the array in hand
    uint32_t crc                # of those not in the buffer any more
    CrcTables tables


cdef inline int sink_begin(Sink* sink, int fd) except -1 nogil:
    """Set up a sink; sink_end is to follow."""
    sink.fd = fd
    sink.buffer = NULL
    sink.used = 0
    sink.array_bytes = 0
    sink.crc = 0
    crc_begin(&sink.tables)
    return memory_resize(<void**> &sink.buffer, SINK_BYTES, 1)


cdef inline void sink_end(Sink* sink) noexcept nogil:
    PyMem_RawFree(sink.buffer)


cdef inline int write_all(int fd, const char* data, int64_t size) except -1 nogil:
    """Write everything; raises OSError where it cannot be."""
    cdef Py_ssize_t count
    while size > 0:
        count = c_write(fd, data, <size_t> size)
        if count < 0:
            if errno == EINTR:
                continue
            with gil:
                PyErr_SetFromErrno(OSError)
                return -1
        data += count
        size -= count
    return 0


cdef inline int sink_flush(Sink* sink) except -1 nogil:
    sink.crc = crc_add(&sink.tables, sink.crc, sink.buffer, sink.used)
    write_all(sink.fd, sink.buffer, sink.used)
    sink.used = 0
    return 0


cdef inline int sink_put(Sink* sink, const void* data, int64_t size) except -1 nogil:
    """Append some bytes to the array in hand."""
    cdef int64_t part
    cdef const char* source = <const char*> data
    sink.array_bytes += size
    while size > 0:
        if sink.used == SINK_BYTES:
            sink_flush(sink)
        part = min(size, SINK_BYTES - sink.used)
        memcpy(sink.buffer + sink.used, source, <size_t> part)
        sink.used += part
        source += part
        size -= part
    return 0


cdef inline int sink_end_array(Sink* sink) except -1 nogil:
    """Fill up to a multiple of eight bytes, and write the checksum."""
    cdef uint64_t zeros = 0, crc
    sink_flush(sink)
    crc = sink.crc
    write_all(sink.fd, <const char*> &zeros, -sink.array_bytes & 7)
    write_all(sink.fd, <const char*> &crc, sizeof(uint64_t))
    sink.array_bytes = 0
    sink.crc = 0
    return 0


cdef inline int save_users(Sink* sink, const Users* users) except -1 nogil:
    sink_put(sink, users.names, users.count * <int64_t> sizeof(int64_t))
    sink_end_array(sink)
    sink_put(sink, users.texts, users.texts_used)
    return sink_end_array(sink)


cdef inline int save_later_friends(
    Sink* sink, const Graph* graph, int32_t uid, int32_t* number
) except -1 nogil:
    """Put the friends whose uids are higher, unless sink is NULL; set their number."""
    cdef Friends friends = graph.friends[uid]
    cdef int64_t run
    cdef int32_t i, count
    cdef const int32_t* uids
    number[0] = 0
    for run in range(friends_runs(graph, friends)):
        uids = friends_run(graph, friends, run, &count)
        for i in range(count):
            if uids[i] > uid:
                number[0] += 1
                if sink != NULL:
                    sink_put(sink, &uids[i], sizeof(int32_t))
    return 0


cdef inline int save_graph(Sink* sink, const Graph* graph, int32_t users) except -1 nogil:
    """Each friendship once, under the lower of its uids."""
    cdef int32_t uid, count
    for uid in range(users):
        save_later_friends(NULL, graph, uid, &count)
        sink_put(sink, &count, sizeof(int32_t))
    sink_end_array(sink)
    for uid in range(users):
        save_later_friends(sink, graph, uid, &count)
    return sink_end_array(sink)


cdef inline int save_history(
    Sink* sink, const History* history, int32_t users
) except -1 nogil:
    """The purchases of each user, newest first."""
    cdef int32_t uid
    cdef Cursor cursor
    cdef const Purchase* purchase
    for uid in range(users):
        sink_put(sink, &history.rings[uid].count, sizeof(int32_t))
    sink_end_array(sink)
    for uid in range(users):
        if history.rings[uid].count == 0:
            continue
        purchase = history_newest(history, uid, &cursor)
        while purchase != NULL:
            sink_put(sink, purchase, sizeof(Purchase))
            purchase = history_older(history, uid, &cursor)
    return sink_end_array(sink)


cdef inline int save_recency(Sink* sink, const Recency* recency) except -1 nogil:
    """The log, oldest first."""
    cdef int64_t index
    cdef int32_t place
    cdef const Chunk* chunk
    cdef Purchase purchase
    for index in range(recency.chunk_count):
        chunk = recency.chunks[index]
        sink_put(
            sink, chunk.uids + chunk.start,
            (chunk.end - chunk.start) * <int64_t> sizeof(int32_t),
        )
    sink_end_array(sink)
    for index in range(recency.chunk_count):
        chunk = recency.chunks[index]
        for place in range(chunk.start, chunk.end):
            purchase.key = chunk.keys[place]
            purchase.amount_units = chunk.amounts_units[place]
            sink_put(sink, &purchase, sizeof(Purchase))
    return sink_end_array(sink)
