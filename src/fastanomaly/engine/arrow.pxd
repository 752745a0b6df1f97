"""The Arrow C data and stream interfaces: tables of other libraries, without one of Arrow.

https://arrow.apache.org/docs/format/CDataInterface.html defines the structs. Whoever holds a
struct whose `release` is not NULL owns it and has to release it; moving it sets the `release`
of the one it came from to NULL. Producers may need the GIL, so they are called without it.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid
from libc.stdint cimport int64_t
from libc.string cimport memset

cdef struct ArrowSchema:
    const char* format
    const char* name
    const char* metadata
    int64_t flags
    int64_t n_children
    ArrowSchema** children
    ArrowSchema* dictionary
    void (*release)(ArrowSchema*) noexcept nogil
    void* private_data

cdef struct ArrowArray:
    int64_t length
    int64_t null_count
    int64_t offset
    int64_t n_buffers
    int64_t n_children
    const void** buffers
    ArrowArray** children
    ArrowArray* dictionary
    void (*release)(ArrowArray*) noexcept nogil
    void* private_data

cdef struct ArrowArrayStream:
    int (*get_schema)(ArrowArrayStream*, ArrowSchema*) noexcept nogil
    int (*get_next)(ArrowArrayStream*, ArrowArray*) noexcept nogil
    const char* (*get_last_error)(ArrowArrayStream*) noexcept nogil
    void (*release)(ArrowArrayStream*) noexcept nogil
    void* private_data

cdef struct ArrowSource:           # a table that is read batch by batch
    ArrowSchema schema
    ArrowArrayStream stream
    ArrowArray array            # the only batch, if there is no stream


cdef inline void schema_release(ArrowSchema* schema) noexcept nogil:
    if schema.release != NULL:
        schema.release(schema)
        schema.release = NULL


cdef inline void array_release(ArrowArray* array) noexcept nogil:
    if array.release != NULL:
        array.release(array)
        array.release = NULL


cdef inline void stream_release(ArrowArrayStream* stream) noexcept nogil:
    if stream.release != NULL:
        stream.release(stream)
        stream.release = NULL


cdef inline void source_release(ArrowSource* source) noexcept nogil:
    array_release(&source.array)
    schema_release(&source.schema)
    stream_release(&source.stream)
    source.schema.n_children = 0


# -- from capsules ---------------------------------------------------------------------


cdef inline void* capsule_pointer(object capsule, const char* name) except NULL:
    """Return the struct in a capsule of that name."""
    if not PyCapsule_IsValid(capsule, name):
        raise TypeError(
            f"frame: expected a capsule {name.decode()!r}, got {type(capsule).__name__}"
        )
    return PyCapsule_GetPointer(capsule, name)


cdef inline int used_error() except -1:
    """Raise ValueError."""
    raise ValueError("frame: it was read already, or released: it can be read only once")


cdef inline int schema_take(object capsule, ArrowSchema* schema) except -1:
    """Move a schema out of its capsule."""
    cdef ArrowSchema* given = <ArrowSchema*> capsule_pointer(capsule, b"arrow_schema")
    if given.release == NULL:
        return used_error()
    schema[0] = given[0]
    given.release = NULL
    return 0


cdef inline int array_take(object capsule, ArrowArray* array) except -1:
    """Move an array out of its capsule."""
    cdef ArrowArray* given = <ArrowArray*> capsule_pointer(capsule, b"arrow_array")
    if given.release == NULL:
        return used_error()
    array[0] = given[0]
    given.release = NULL
    return 0


cdef inline int stream_take(object capsule, ArrowArrayStream* stream) except -1:
    """Move a stream out of its capsule."""
    cdef ArrowArrayStream* given = (
        <ArrowArrayStream*> capsule_pointer(capsule, b"arrow_array_stream")
    )
    if given.release == NULL:
        return used_error()
    if given.get_schema == NULL or given.get_next == NULL:
        raise ValueError("frame: a stream without get_schema or get_next")
    stream[0] = given[0]
    given.release = NULL
    return 0


# -- reading ---------------------------------------------------------------------------


cdef inline int stream_error(ArrowArrayStream* stream, str what, int code) except -1:
    """Raise OSError with what the stream says of its last call, which returned `code`."""
    cdef const char* text = NULL
    if stream.get_last_error != NULL:
        text = stream.get_last_error(stream)
    words = "the stream gives no reason" if text == NULL else text.decode("utf-8", "replace")
    raise OSError(code, f"frame: {what}: {words}")


cdef inline int source_get_schema(ArrowSource* source) except -1:
    """Get the schema of the stream."""
    cdef int code
    with nogil:
        code = source.stream.get_schema(&source.stream, &source.schema)
    if code != 0:
        source.schema.release = NULL
        return stream_error(&source.stream, "its schema cannot be read", code)
    if source.schema.release == NULL:
        raise ValueError("frame: its schema was released already")
    return 0


cdef inline bint source_next(ArrowSource* source, ArrowArray* array) except -1:
    """Get the next batch, which the caller releases; False at the end."""
    cdef int code
    memset(array, 0, sizeof(ArrowArray))
    if source.stream.release == NULL:
        array[0] = source.array
        source.array.release = NULL
        return array.release != NULL
    with nogil:
        code = source.stream.get_next(&source.stream, array)
    if code != 0:
        array.release = NULL
        return stream_error(&source.stream, "its next rows cannot be read", code)
    return array.release != NULL


# -- schemas ---------------------------------------------------------------------------


cdef inline str schema_text(const char* text):
    """Return a name or format of a schema."""
    return "" if text == NULL else text.decode("utf-8", "replace")


cdef inline int source_check(const ArrowSource* source) except -1:
    """Raise unless the schema is a table's."""
    cdef const ArrowSchema* schema = &source.schema
    cdef int64_t i
    if schema.release == NULL:
        return used_error()
    form = schema_text(schema.format)
    if form != "+s":
        raise TypeError(f"frame: expected a table, got an array of Arrow format {form!r}")
    if schema.n_children < 0 or (schema.n_children > 0 and schema.children == NULL):
        raise ValueError("frame: its schema has no valid columns")
    for i in range(schema.n_children):
        if (
            schema.children[i] == NULL or schema.children[i].release == NULL
            or schema.children[i].format == NULL
        ):
            raise ValueError(f"frame: its schema has no valid column {i}")
    return 0


cdef inline list source_names(const ArrowSource* source):
    """Return the names of the columns."""
    return [
        schema_text(source.schema.children[i].name) for i in range(source.schema.n_children)
    ]
