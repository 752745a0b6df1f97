"""A table of our own for other libraries: a stream of one batch, see arrow.pxd.

The table is a tuple (rows, columns); a column is a tuple (name, format, nulls, buffers): two
texts as bytes that end in a NUL, a number or -1 for a column without nulls, and a tuple of
bytes or None. Every struct keeps it alive, so each can be moved and released on its own.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.errno cimport ENOMEM
from libc.stdint cimport int64_t
from libc.string cimport memset

from fastanomaly.engine.arrow cimport (
    ArrowArray, ArrowArrayStream, ArrowSchema, array_release, schema_release, stream_release,
)
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_zeroed

cdef enum:
    BUFFERS_MOST = 3
    NULLABLE = 2                # ARROW_FLAG_NULLABLE

cdef struct Held:               # what a struct keeps alive
    PyObject* table
    const void* buffers[BUFFERS_MOST]

cdef struct HeldStream:
    PyObject* table
    bint done


cdef inline void held_free(PyObject** table, void* block) noexcept nogil:
    with gil:
        Py_DECREF(<object> table[0])
    PyMem_RawFree(block)


# -- schemas ---------------------------------------------------------------------------


cdef inline void exported_schema_release(ArrowSchema* schema) noexcept nogil:
    cdef int64_t i
    for i in range(schema.n_children):
        schema_release(schema.children[i])
    if schema.n_children > 0:
        PyMem_RawFree(schema.children[0])
    PyMem_RawFree(schema.children)
    held_free(&(<Held*> schema.private_data).table, schema.private_data)
    schema.release = NULL


cdef inline int schema_begin(
    ArrowSchema* schema, object table, bytes name, bytes form, int64_t flags
) except -1:
    """Begin a schema without children, which can be released from now on."""
    cdef Held* held = NULL
    memset(schema, 0, sizeof(ArrowSchema))
    memory_zeroed(<void**> &held, 1, sizeof(Held))
    Py_INCREF(table)
    held.table = <PyObject*> table
    schema.private_data = held
    schema.name = PyBytes_AS_STRING(name)
    schema.format = PyBytes_AS_STRING(form)
    schema.flags = flags
    schema.release = exported_schema_release
    return 0


cdef inline int export_schema(ArrowSchema* schema, tuple table) except -1:
    """Set a schema to a table's, with columns that can be released on their own."""
    cdef ArrowSchema* children = NULL
    cdef int64_t i
    cdef tuple columns = table[1]
    schema_begin(schema, table, b"", b"+s", 0)
    try:
        memory_zeroed(<void**> &schema.children, len(columns), sizeof(ArrowSchema*))
        memory_zeroed(<void**> &children, len(columns), sizeof(ArrowSchema))
        for i in range(len(columns)):
            schema.children[i] = &children[i]
        schema.n_children = len(columns)
        for i in range(len(columns)):
            name, form, nulls, _buffers = columns[i]
            schema_begin(&children[i], table, name, form, 0 if nulls < 0 else NULLABLE)
    except BaseException:
        schema_release(schema)
        raise
    return 0


# -- arrays ----------------------------------------------------------------------------


cdef inline void exported_array_release(ArrowArray* array) noexcept nogil:
    cdef int64_t i
    for i in range(array.n_children):
        array_release(array.children[i])
    if array.n_children > 0:
        PyMem_RawFree(array.children[0])
    PyMem_RawFree(array.children)
    held_free(&(<Held*> array.private_data).table, array.private_data)
    array.release = NULL


cdef inline int array_begin(
    ArrowArray* array, tuple table, int64_t nulls, tuple buffers
) except -1:
    """Begin an array without children, which can be released from now on."""
    cdef Held* held = NULL
    cdef int64_t i
    memset(array, 0, sizeof(ArrowArray))
    memory_zeroed(<void**> &held, 1, sizeof(Held))
    Py_INCREF(table)
    held.table = <PyObject*> table
    for i in range(len(buffers)):
        if buffers[i] is not None:
            held.buffers[i] = PyBytes_AS_STRING(buffers[i])
    array.private_data = held
    array.length = table[0]
    array.null_count = max(nulls, 0)
    array.n_buffers = len(buffers)
    array.buffers = held.buffers
    array.release = exported_array_release
    return 0


cdef inline int export_array(ArrowArray* array, tuple table) except -1:
    """Set an array to a table's rows, with columns that can be released on their own."""
    cdef ArrowArray* children = NULL
    cdef int64_t i
    cdef tuple columns = table[1]
    array_begin(array, table, 0, (None,))
    try:
        memory_zeroed(<void**> &array.children, len(columns), sizeof(ArrowArray*))
        memory_zeroed(<void**> &children, len(columns), sizeof(ArrowArray))
        for i in range(len(columns)):
            array.children[i] = &children[i]
        array.n_children = len(columns)
        for i in range(len(columns)):
            _name, _form, nulls, buffers = columns[i]
            array_begin(&children[i], table, nulls, buffers)
    except BaseException:
        array_release(array)
        raise
    return 0


# -- the stream ------------------------------------------------------------------------


cdef inline int exported_get_schema(
    ArrowArrayStream* stream, ArrowSchema* schema
) noexcept nogil:
    with gil:
        try:
            export_schema(schema, <tuple> (<HeldStream*> stream.private_data).table)
        except BaseException:
            schema.release = NULL
            return ENOMEM
    return 0


cdef inline int exported_get_next(ArrowArrayStream* stream, ArrowArray* array) noexcept nogil:
    cdef HeldStream* held = <HeldStream*> stream.private_data
    memset(array, 0, sizeof(ArrowArray))
    if held.done:
        return 0
    with gil:
        try:
            export_array(array, <tuple> held.table)
        except BaseException:
            array.release = NULL
            return ENOMEM
    held.done = True
    return 0


cdef inline const char* exported_last_error(ArrowArrayStream* stream) noexcept nogil:
    return b"out of memory"     # nothing else can fail


cdef inline void exported_stream_release(ArrowArrayStream* stream) noexcept nogil:
    held_free(&(<HeldStream*> stream.private_data).table, stream.private_data)
    stream.release = NULL


cdef inline void free_stream(object capsule) noexcept:
    """Free the stream of a capsule, which nobody has moved out of it if it is not released."""
    cdef ArrowArrayStream* stream = (
        <ArrowArrayStream*> PyCapsule_GetPointer(capsule, b"arrow_array_stream")
    )
    stream_release(stream)
    PyMem_RawFree(stream)


cdef inline object export_stream(tuple table):
    """Return a capsule with a stream of a table."""
    cdef ArrowArrayStream* stream = NULL
    cdef HeldStream* held = NULL
    try:
        memory_zeroed(<void**> &stream, 1, sizeof(ArrowArrayStream))
        memory_zeroed(<void**> &held, 1, sizeof(HeldStream))
        capsule = PyCapsule_New(stream, b"arrow_array_stream", free_stream)
    except BaseException:
        PyMem_RawFree(stream)
        PyMem_RawFree(held)
        raise
    Py_INCREF(table)
    held.table = <PyObject*> table
    stream.private_data = held
    stream.get_schema = exported_get_schema
    stream.get_next = exported_get_next
    stream.get_last_error = exported_last_error
    stream.release = exported_stream_release
    return capsule
