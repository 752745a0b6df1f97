"""Writing the state to a file: plain arrays in a fixed order, each with a checksum.

docs/checkpoints.md describes them. The state is only read, and the one buffer is allocated
at the beginning, so a forked child can save. O(size of the state).
"""

from libc.errno cimport EINTR, errno
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastanomaly.engine.crc cimport CrcTables, crc_add, crc_begin
from fastanomaly.engine.graph cimport Friends, Graph, friends_run, friends_runs
from fastanomaly.engine.history cimport Cursor, History, history_newest, history_older
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_resize
from fastanomaly.engine.recency cimport Chunk, Recency
from fastanomaly.engine.state cimport State
from fastanomaly.engine.types cimport BEFRIEND, PURCHASE, UNFRIEND, Purchase
from fastanomaly.engine.users cimport Users

cdef extern from "unistd.h" nogil:
    Py_ssize_t c_write "write"(int fd, const void* data, size_t size)

cdef extern from "Python.h":
    object PyErr_SetFromErrno(object kind)

cdef enum:
    WRITE_BUFFER_BYTES = 1 << 18

cdef struct ArrayWriter:        # buffers the bytes of an array and sums them up
    int fd
    char* buffer
    int64_t used
    int64_t array_bytes         # of the current array
    uint32_t crc                # of its bytes that were flushed
    CrcTables tables


cdef inline int array_writer_begin(ArrayWriter* writer, int fd) except -1 nogil:
    """Set up a writer to an open file; array_writer_end must follow."""
    writer.fd = fd
    writer.buffer = NULL
    writer.used = 0
    writer.array_bytes = 0
    writer.crc = 0
    crc_begin(&writer.tables)
    return memory_resize(<void**> &writer.buffer, WRITE_BUFFER_BYTES, 1)


cdef inline void array_writer_end(ArrayWriter* writer) noexcept nogil:
    """Free the buffer; what was not flushed is lost."""
    PyMem_RawFree(writer.buffer)


cdef inline int write_all(int fd, const char* data, int64_t size) except -1 nogil:
    """Write all bytes; raises OSError."""
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


cdef inline int array_writer_flush(ArrayWriter* writer) except -1 nogil:
    """Write the buffer, and add it to the checksum."""
    writer.crc = crc_add(&writer.tables, writer.crc, writer.buffer, writer.used)
    write_all(writer.fd, writer.buffer, writer.used)
    writer.used = 0
    return 0


cdef inline int array_writer_put(
    ArrayWriter* writer, const void* data, int64_t size
) except -1 nogil:
    """Append bytes to the current array."""
    cdef int64_t part
    cdef const char* source = <const char*> data
    writer.array_bytes += size
    while size > 0:
        if writer.used == WRITE_BUFFER_BYTES:
            array_writer_flush(writer)
        part = min(size, WRITE_BUFFER_BYTES - writer.used)
        memcpy(writer.buffer + writer.used, source, <size_t> part)
        writer.used += part
        source += part
        size -= part
    return 0


cdef inline int array_writer_end_array(ArrayWriter* writer) except -1 nogil:
    """Flush, pad with zeros to a multiple of eight bytes, and write the checksum."""
    cdef uint64_t zeros = 0, crc
    array_writer_flush(writer)
    crc = writer.crc
    write_all(writer.fd, <const char*> &zeros, -writer.array_bytes & 7)
    write_all(writer.fd, <const char*> &crc, sizeof(uint64_t))
    writer.array_bytes = 0
    writer.crc = 0
    return 0


cdef inline int save_users(ArrayWriter* writer, const Users* users) except -1 nogil:
    """Write the ids of all users: their names, then the texts."""
    array_writer_put(writer, users.names, users.count * <int64_t> sizeof(int64_t))
    array_writer_end_array(writer)
    array_writer_put(writer, users.texts, users.texts_used)
    return array_writer_end_array(writer)


cdef inline int save_later_friends(
    ArrayWriter* writer, const Graph* graph, int32_t uid, int32_t* number
) except -1 nogil:
    """Write the friends with higher uids, unless writer is NULL; set their number."""
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
                if writer != NULL:
                    array_writer_put(writer, &uids[i], sizeof(int32_t))
    return 0


cdef inline int save_graph(
    ArrayWriter* writer, const Graph* graph, int32_t users
) except -1 nogil:
    """Write the number of later friends of each user, then their uids.

    Each friendship is written once, for the lower of its uids.
    """
    cdef int32_t uid, count
    for uid in range(users):
        save_later_friends(NULL, graph, uid, &count)
        array_writer_put(writer, &count, sizeof(int32_t))
    array_writer_end_array(writer)
    for uid in range(users):
        save_later_friends(writer, graph, uid, &count)
    return array_writer_end_array(writer)


cdef inline int save_history(
    ArrayWriter* writer, const History* history, int32_t users
) except -1 nogil:
    """Write the number of purchases of each user, then the purchases, newest first."""
    cdef int32_t uid
    cdef Cursor cursor
    cdef const Purchase* purchase
    for uid in range(users):
        array_writer_put(writer, &history.rings[uid].count, sizeof(int32_t))
    array_writer_end_array(writer)
    for uid in range(users):
        if history.rings[uid].count == 0:
            continue
        purchase = history_newest(history, uid, &cursor)
        while purchase != NULL:
            array_writer_put(writer, purchase, sizeof(Purchase))
            purchase = history_older(history, uid, &cursor)
    return array_writer_end_array(writer)


cdef inline int save_recency(ArrayWriter* writer, const Recency* recency) except -1 nogil:
    """Write the uids of the recency log, then its purchases, oldest first."""
    cdef int64_t index
    cdef int32_t place
    cdef const Chunk* chunk
    cdef Purchase purchase
    for index in range(recency.chunk_count):
        chunk = recency.chunks[index]
        array_writer_put(
            writer, chunk.uids + chunk.start,
            (chunk.end - chunk.start) * <int64_t> sizeof(int32_t),
        )
    array_writer_end_array(writer)
    for index in range(recency.chunk_count):
        chunk = recency.chunks[index]
        for place in range(chunk.start, chunk.end):
            purchase.key = chunk.keys[place]
            purchase.amount_units = chunk.amounts_units[place]
            array_writer_put(writer, &purchase, sizeof(Purchase))
    return array_writer_end_array(writer)


cdef inline int save_newest(
    ArrayWriter* writer, const History* history, int32_t users
) except -1 nogil:
    """Write the time of each user's newest purchase."""
    array_writer_put(writer, history.newest_us, users * <int64_t> sizeof(int64_t))
    return array_writer_end_array(writer)


cdef inline int save_state(const State* state, int fd, bint newest) except -1 nogil:
    """Write all arrays to an open file, in the order of state_arrays; raises OSError.

    `newest` is whether `newest_us` is written: it does not follow from the rings of a shard.
    """
    cdef ArrayWriter writer
    cdef int32_t users = state.users.count
    array_writer_begin(&writer, fd)
    try:
        save_users(&writer, &state.users)
        save_graph(&writer, &state.graph, users)
        save_history(&writer, &state.history, users)
        save_recency(&writer, &state.recency)
        if newest:
            save_newest(&writer, &state.history, users)
    finally:
        array_writer_end(&writer)
    return 0


cdef inline list state_arrays(const State* state, bint newest):
    """Return (name, kind, items) of each array that save_state writes, in that order."""
    arrays = [
        ("user_names", "int64", state.users.count),
        ("user_texts", "bytes", state.users.texts_used),
        ("friend_counts", "int32", state.users.count),
        ("friends", "int32", state.graph.friendships),
        ("purchase_counts", "int32", state.users.count),
        ("purchases", "purchase", state.history.kept),
        ("recency_users", "int32", state.recency.count),
        ("recency_purchases", "purchase", state.recency.count),
    ]
    if newest:
        arrays.append(("newest_us", "int64", state.users.count))
    return arrays


cdef inline dict state_scalars(const State* state):
    """Return the values of the state that are not in its arrays."""
    scalars = {
        "seq": state.seq,
        "purchases": state.events[<int> PURCHASE],
        "befriends": state.events[<int> BEFRIEND],
        "unfriends": state.events[<int> UNFRIEND],
        "flags": state.flags,
        "recency_truncated": bool(state.recency.truncated),
    }
    if state.rounded_amounts > 0:
        scalars["rounded_amounts"] = state.rounded_amounts
    if state.cut_times > 0:
        scalars["cut_times"] = state.cut_times
    return scalars
