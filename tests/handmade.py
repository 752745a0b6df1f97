"""Arrow structs made by hand, with whatever faults a test needs, and a count of releases.

They are C structs with callbacks of Python. `Column` and `Table` describe them; each of their
fields can be replaced by a lie.
"""

import ctypes
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p
from dataclasses import dataclass, field
from typing import Any


class Schema(ctypes.Structure):
    """ArrowSchema."""


class Array(ctypes.Structure):
    """ArrowArray."""


class Stream(ctypes.Structure):
    """ArrowArrayStream."""


ReleaseSchema = CFUNCTYPE(None, POINTER(Schema))
ReleaseArray = CFUNCTYPE(None, POINTER(Array))
ReleaseStream = CFUNCTYPE(None, POINTER(Stream))
GetSchema = CFUNCTYPE(c_int, POINTER(Stream), POINTER(Schema))
GetNext = CFUNCTYPE(c_int, POINTER(Stream), POINTER(Array))
GetLastError = CFUNCTYPE(c_void_p, POINTER(Stream))

Schema._fields_ = [
    ("format", c_char_p),
    ("name", c_char_p),
    ("metadata", c_char_p),
    ("flags", c_int64),
    ("n_children", c_int64),
    ("children", POINTER(POINTER(Schema))),
    ("dictionary", POINTER(Schema)),
    ("release", ReleaseSchema),
    ("private_data", c_void_p),
]
Array._fields_ = [
    ("length", c_int64),
    ("null_count", c_int64),
    ("offset", c_int64),
    ("n_buffers", c_int64),
    ("n_children", c_int64),
    ("buffers", POINTER(c_void_p)),
    ("children", POINTER(POINTER(Array))),
    ("dictionary", POINTER(Array)),
    ("release", ReleaseArray),
    ("private_data", c_void_p),
]
Stream._fields_ = [
    ("get_schema", GetSchema),
    ("get_next", GetNext),
    ("get_last_error", GetLastError),
    ("release", ReleaseStream),
    ("private_data", c_void_p),
]

new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.argtypes = [c_void_p, c_char_p, c_void_p]
new_capsule.restype = ctypes.py_object


@dataclass
class Column:
    """A column: its type, and its values as buffers (None, or bytes)."""

    name: bytes
    format: bytes
    buffers: list[bytes | None]
    length: int
    offset: int = 0
    children: list["Column"] = field(default_factory=list)
    dictionary: "Column | None" = None
    # Lies: what the structs say instead.
    schema: dict[str, Any] = field(default_factory=dict)
    array: dict[str, Any] = field(default_factory=dict)


def integers(name, values, bits=64):
    """Return a column of integers."""
    data = b"".join(value.to_bytes(bits // 8, "little", signed=True) for value in values)
    letter = {8: b"c", 16: b"s", 32: b"i", 64: b"l"}[bits]
    return Column(name, letter, [None, data], len(values))


def texts(name, values):
    """Return a column of texts."""
    ends = [sum(map(len, values[:i])) for i in range(len(values) + 1)]
    offsets = b"".join(end.to_bytes(4, "little") for end in ends)
    return Column(name, b"u", [None, offsets, b"".join(values)], len(values))


def table(columns, length):
    """Return a struct of columns."""
    return Column(b"", b"+s", [None], length, children=columns)


class Made:
    """Structs made from descriptions; they must outlive what reads them.

    `held` counts the structs that are not released yet.
    """

    def __init__(self):
        self.held = 0
        self.kept = []  # what C points to

    def released(self, kind, inner):
        """Return a callback that releases the inner structs, and counts."""

        def release(struct):
            for one in inner:
                if one.release:
                    one.release(ctypes.pointer(one))
            self.held -= 1
            struct[0].release = type(struct[0].release)()

        self.held += 1
        callback = kind(release)
        self.kept.append(callback)
        return callback

    def pointers(self, kind, structs):
        made = (POINTER(kind) * len(structs))(*map(ctypes.pointer, structs))
        self.kept += [made, structs]
        return made

    def schema(self, column):
        """Return an ArrowSchema."""
        struct = Schema(format=column.format, name=column.name, flags=2)
        children = [self.schema(child) for child in column.children]
        struct.n_children = len(children)
        struct.children = self.pointers(Schema, children)
        inner = [*children]
        if column.dictionary is not None:
            inner.append(self.schema(column.dictionary))
            struct.dictionary = ctypes.pointer(inner[-1])
        struct.release = self.released(ReleaseSchema, inner)
        self.lie(struct, column.schema)
        return struct

    def array(self, column):
        """Return an ArrowArray."""
        struct = Array(length=column.length, offset=column.offset)
        data = [None if b is None else ctypes.create_string_buffer(b) for b in column.buffers]
        places = [None if d is None else ctypes.addressof(d) for d in data]
        buffers = (c_void_p * len(places))(*places)
        self.kept += [data, buffers]
        struct.n_buffers = len(places)
        struct.buffers = buffers
        children = [self.array(child) for child in column.children]
        struct.n_children = len(children)
        struct.children = self.pointers(Array, children)
        inner = [*children]
        if column.dictionary is not None:
            inner.append(self.array(column.dictionary))
            struct.dictionary = ctypes.pointer(inner[-1])
        struct.release = self.released(ReleaseArray, inner)
        self.lie(struct, column.array)
        return struct

    def lie(self, struct, lies):
        for name, value in lies.items():
            setattr(struct, name, value)
        self.kept.append(struct)

    def capsule(self, struct, name):
        self.kept.append(struct)
        return new_capsule(ctypes.addressof(struct), name, None)


class ArrayObject(Made):
    """An object with `__arrow_c_array__`."""

    def __init__(self, column):
        super().__init__()
        self.capsules = (
            self.capsule(self.schema(column), b"arrow_schema"),
            self.capsule(self.array(column), b"arrow_array"),
        )

    def __arrow_c_array__(self, requested_schema=None):
        return self.capsules


class StreamObject(Made):
    """An object with `__arrow_c_stream__`: tables of one schema, or errno codes."""

    def __init__(self, batches, *, schema=None, error=b"the disk is on fire"):
        super().__init__()
        self.batches = list(batches)
        self.stated = schema or next(b for b in self.batches if isinstance(b, Column))
        self.error = ctypes.create_string_buffer(error) if error is not None else None
        stream = Stream(
            get_schema=GetSchema(self.get_schema),
            get_next=GetNext(self.get_next),
            get_last_error=GetLastError(self.get_last_error),
            release=ReleaseStream(self.release),
        )
        self.held += 1
        self.struct = stream
        self.stream = self.capsule(stream, b"arrow_array_stream")

    def get_schema(self, _, schema):
        if isinstance(self.stated, int):
            return self.stated
        schema[0] = self.schema(self.stated)
        return 0

    def get_next(self, _, array):
        if not self.batches:
            array[0] = Array()
            return 0
        batch = self.batches.pop(0)
        if isinstance(batch, int):
            return batch
        array[0] = self.array(batch)
        return 0

    def get_last_error(self, _):
        return ctypes.addressof(self.error) if self.error is not None else None

    def release(self, stream):
        self.held -= 1
        stream[0].release = ReleaseStream()

    def __arrow_c_stream__(self, requested_schema=None):
        return self.stream
