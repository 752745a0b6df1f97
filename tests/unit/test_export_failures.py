"""Flags as a table of other libraries while memory runs out: an error, and nothing is left."""

import ctypes
import errno
import itertools
import sys
import tracemalloc

import arro3.core as arro3
import duckdb
import nanoarrow
import polars as pl
import pyarrow as pa
import pytest
from allocations import failing_after
from handmade import Array, Schema, Stream

from fastanomaly import Detector
from fastanomaly._core import arrow_stream

COLUMNS = (
    (b"user\0", b"u\0", -1, (None, b"\0\0\0\0\x01\0\0\0\x02\0\0\0", b"ab")),
    (b"n\0", b"l\0", -1, (None, bytes(16))),
    (b"note\0", b"n\0", 2, ()),
)
REPEATS = 200
SMALLEST_BLOCK = 16  # bytes


class Consumer:
    """Takes a stream as a library would, and counts what keeps its table alive."""

    def __init__(self, columns):
        self.capsule = arrow_stream(2, columns)
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype = ctypes.c_void_p
        pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
        address = pointer(self.capsule, b"arrow_array_stream")
        self.stream = ctypes.cast(address, ctypes.POINTER(Stream)).contents
        held = ctypes.cast(self.stream.private_data, ctypes.POINTER(ctypes.py_object))
        self.table = held.contents.value
        self.schema, self.array = Schema(), Array()

    def holders(self):
        """Return how many structs keep the table alive."""
        return sys.getrefcount(self.table) - 2  # self.table and the argument

    def take(self, callback, struct):
        """Call a callback of the stream; return its error, whose text is as it should be."""
        code = callback(self.stream, struct)
        if code:
            assert not struct.release
            text = self.stream.get_last_error(self.stream)
            assert ctypes.cast(text, ctypes.c_char_p).value == b"out of memory"
        return code

    def take_all(self):
        """Take schema and batch; return the errors."""
        yield self.take(self.stream.get_schema, self.schema)
        yield self.take(self.stream.get_next, self.array)

    def release(self):
        """Release what was taken, and the stream."""
        for struct in (self.schema, self.array, self.stream):
            if struct.release:
                struct.release(struct)
                assert not struct.release


def taken_while_memory_ends(count):
    """Take a table with failing allocations, again without them; return whether it failed."""
    try:
        with failing_after(count):
            consumer = Consumer(COLUMNS)
            codes = list(consumer.take_all())
    except MemoryError:
        return True
    assert set(codes) <= {0, errno.ENOMEM}
    one_struct, schema, batch = 1, 1 + len(COLUMNS), 1 + len(COLUMNS)
    for code, struct, callback, holders in (
        (codes[0], consumer.schema, consumer.stream.get_schema, schema),
        (codes[1], consumer.array, consumer.stream.get_next, batch),
    ):
        if code:
            before = consumer.holders()
            assert consumer.take(callback, struct) == 0
            assert consumer.holders() == before + holders
    assert consumer.holders() == one_struct + schema + batch
    assert (consumer.schema.n_children, consumer.array.length) == (len(COLUMNS), 2)
    consumer.release()
    assert consumer.holders() == 0
    return any(codes)


def failures():
    """Let every allocation fail once, from the first one on; return how many there are."""
    return next(count for count in itertools.count() if not taken_while_memory_ends(count))


def test_every_failure_is_an_error_after_which_it_can_be_tried_again():
    before = sys.getrefcount(COLUMNS)
    stream, schema, batch = 2, 3 + len(COLUMNS), 3 + len(COLUMNS)
    assert failures() == stream + schema + batch
    assert sys.getrefcount(COLUMNS) == before


def test_structs_are_released_if_only_some_of_them_were_taken():
    for count in range(failures()):
        try:
            with failing_after(count):
                consumer = Consumer(COLUMNS)
                list(consumer.take_all())
        except MemoryError:
            continue
        taken = [bool(struct.release) for struct in (consumer.schema, consumer.array)]
        assert consumer.holders() == 1 + sum(taken) * (1 + len(COLUMNS))
        consumer.release()
        assert consumer.holders() == 0


def test_no_block_is_left():
    tracemalloc.start()
    try:
        failures()
        before, _peak = tracemalloc.get_traced_memory()
        for _ in range(REPEATS):
            failures()
        after, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < REPEATS * SMALLEST_BLOCK


LIBRARIES = {
    "pyarrow": (pa.table, MemoryError),
    "polars": (pl.DataFrame, Exception),
    "duckdb": (lambda flags: duckdb.connect().sql("from flags").fetchall(), Exception),
    "nanoarrow": (lambda flags: list(nanoarrow.ArrayStream(flags).iter_py()), Exception),
    "arro3": (arro3.Table.from_arrow, Exception),
}


@pytest.mark.parametrize(("read", "error"), LIBRARIES.values(), ids=LIBRARIES)
def test_libraries_get_an_error_and_the_detector_goes_on(read, error):
    purchases = pa.table(
        {
            "user": [*"aaaab"],
            "amount": [1, 1, 1, 1, 900],
            "timestamp": ["2017-06-13 11:33:01"] * 5,
        }
    )
    detector = Detector(1, 50)
    detector.befriend("a", "b")
    flags = detector.feed_frame(purchases).flags
    failed = 0
    while True:
        try:
            with failing_after(failed):
                table = read(flags)
        except error:
            failed += 1
        else:
            break
    assert failed > 10
    assert len(table) == len(flags) == 1
    detector._check()
    assert [flag.user for flag in detector.feed_frame(purchases).flags] == ["b"]
