"""Tables whose Arrow structs are at fault: each ends in a clear error, and is released."""

import dataclasses
import errno
import gc

import pytest
from allocations import failing_after
from handmade import ArrayObject, Column, StreamObject, integers, table, texts

from fastanomaly import Detector, FeedError

TIME = b"2017-06-13 11:33:01"


def rows(*amounts):
    """Return a table of purchases of user 1."""
    many = len(amounts)
    columns = [
        integers(b"user", [1] * many),
        texts(b"amount", list(amounts)),
        texts(b"timestamp", [TIME] * many),
    ]
    return table(columns, many)


def replaced(index, **changes):
    """Return a table of two purchases with another column."""
    changed = rows(b"1", b"2")
    changed.children[index] = dataclasses.replace(changed.children[index], **changes)
    return changed


def feed(frame, **options):
    """Feed a table; return the detector and the result."""
    detector = Detector(2, 5, threads=1)
    try:
        return detector, detector.feed_frame(frame, **options)
    finally:
        detector._check()


def assert_released(frame):
    gc.collect()
    assert frame.held == 0


def test_handmade_tables_are_read_and_released():
    for frame in (ArrayObject(rows(b"1", b"2")), StreamObject([rows(b"1"), rows(b"2")])):
        detector, fed = feed(frame)
        assert (fed.rows, fed.rejected, detector.counts.purchases) == (2, [], 2)
        assert_released(frame)


@pytest.mark.parametrize("error", [b"the disk is on fire", None])
def test_an_error_in_the_middle(error):
    frame = StreamObject([rows(b"1", b"x"), errno.EIO, rows(b"3")], error=error)
    with pytest.raises(FeedError) as caught:
        feed(frame, log="table", first_row=11)
    words = error.decode() if error else "the stream gives no reason"
    assert str(caught.value) == (
        f"table, row 13: [Errno 5] frame: its next rows cannot be read: {words}"
    )
    assert caught.value.applied == caught.value.fed.rows == 2
    assert [rejected.line for rejected in caught.value.fed.rejected] == [12]
    assert_released(frame)


def test_a_stream_without_a_schema():
    frame = StreamObject([], schema=errno.EINVAL)
    with pytest.raises(FeedError, match="its schema cannot be read: the disk is on fire"):
        feed(frame)
    assert_released(frame)


@pytest.mark.parametrize("frame", [ArrayObject(rows(b"1")), StreamObject([rows(b"1")])])
def test_a_table_is_read_only_once(frame):
    detector, _ = feed(frame)
    with pytest.raises(ValueError, match=r"^frame: it was read already, or released"):
        detector.feed_frame(frame)
    assert detector.counts.purchases == 1
    assert_released(frame)


def test_a_stream_that_ends_at_once():
    frame = StreamObject([], schema=rows(b"1"))
    assert feed(frame)[1].rows == 0
    assert_released(frame)


LIES = {
    "a batch of -1 rows": dataclasses.replace(rows(b"1"), array={"length": -1}),
    "a batch of 1 rows from -1 on": dataclasses.replace(rows(b"1"), array={"offset": -1}),
    f"a batch of 1 rows from {2**63 - 1} on": dataclasses.replace(
        rows(b"1"), array={"offset": 2**63 - 1}
    ),
    "a batch of 2 columns, expected 3": dataclasses.replace(
        rows(b"1"), array={"n_children": 2}
    ),
    "a batch of 3 columns, expected 3": dataclasses.replace(
        rows(b"1"), array={"children": None}
    ),
    "a batch with 0 buffers, expected 1": dataclasses.replace(
        rows(b"1"), array={"n_buffers": 0}
    ),
    "column 'user': 1 rows from 0 on, expected 2": replaced(0, length=1),
    "column 'user': 2 rows from -1 on, expected 2": replaced(0, offset=-1),
    "column 'user': 1 buffers, expected 2": replaced(0, array={"n_buffers": 1}),
    "column 'user': has no buffers": replaced(0, array={"buffers": None}),
    "column 'user': has no values": replaced(0, buffers=[None, None]),
    "column 'amount': 2 buffers, expected 3": replaced(1, array={"n_buffers": 2}),
    "column 'user': has no array": replaced(
        0, format=b"c", dictionary=texts(b"", [b"a"]), array={"dictionary": None}
    ),
    "column 'amount': its buffers have no sizes": replaced(
        1, format=b"vu", buffers=[None, b"\0" * 32, b"", None]
    ),
    "column 'amount': has no buffer 2": replaced(
        1, format=b"vu", buffers=[None, b"\0" * 32, None, b"\0" * 8]
    ),
}


@pytest.mark.parametrize("words", LIES)
def test_a_batch_that_lies(words):
    """The rows of the batches before it remain applied, and count."""
    frame = StreamObject([rows(b"1"), LIES[words]], schema=schema_of(LIES[words]))
    if frame.stated.children[0].format == b"l" and frame.stated.children[1].format == b"u":
        with pytest.raises(FeedError, match=words) as caught:
            feed(frame)
        assert caught.value.applied == 1
    else:
        frame = StreamObject([LIES[words]])
        with pytest.raises(FeedError, match=words) as caught:
            feed(frame)
        assert caught.value.applied == 0
    assert_released(frame)


def schema_of(column):
    """Return a table whose schema is true."""
    return dataclasses.replace(column, schema={})


BROKEN_VALUES = {
    "amount: a text that is not in its buffer": replaced(
        1, buffers=[None, (b"\x01" + b"\0" * 3) * 2 + b"\0" * 4, b"1"]
    ),
    "timestamp: a text that is not in its buffer": replaced(
        2, buffers=[None, b"\xff" * 12, b"1"]
    ),
    "user: an index that is not in its dictionary": replaced(
        0, format=b"c", buffers=[None, b"\0\x01"], dictionary=texts(b"", [b"a"])
    ),
    "amount: a text that is not in its buffer ": replaced(
        1,
        format=b"vu",
        buffers=[
            None,
            b"\x01\0\0\0" + b"1" + b"\0" * 11 + b"\x20\0\0\0" + b"\0" * 12,
            b"x" * 31,
            (31).to_bytes(8, "little"),
        ],
    ),
}


@pytest.mark.parametrize("words", BROKEN_VALUES)
def test_a_value_that_is_not_where_the_array_says(words):
    frame = ArrayObject(BROKEN_VALUES[words])
    with pytest.raises(FeedError, match=words.strip()) as caught:
        feed(frame)
    assert caught.value.applied in (0, 1)
    assert caught.value.applied == caught.value.fed.rows
    assert_released(frame)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (b"?", "column 'amount' of type a type ('?') cannot be the amount"),
        (b"", "column 'amount' of type a type ('') cannot be the amount"),
        (b"b", "column 'amount' of type bool cannot be the amount"),
        (b"z", "column 'amount' of type binary cannot be the amount"),
        (b"+r", "column 'amount' of type run_end_encoded cannot be the amount"),
        (b"+w:2", "column 'amount' of type fixed_size_list ('+w:2') cannot be the amount"),
        (b"d:5", "column 'amount' of type decimal ('d:5') cannot be the amount"),
        (b"d:5,2,99", "column 'amount' of type decimal ('d:5,2,99') cannot be the amount"),
        (b"d:5,9999", "column 'amount' of type decimal ('d:5,9999') cannot be the amount"),
        (b"tsu:", "column 'amount' of type timestamp ('tsu:') cannot be the amount"),
        (b"tsx:", "column 'amount' of type timestamp ('tsx:') cannot be the amount"),
    ],
)
def test_a_type_that_a_field_cannot_have(form, words):
    frame = ArrayObject(replaced(1, format=form))
    detector = Detector(2, 5)
    with pytest.raises(TypeError) as caught:
        detector.feed_frame(frame)
    assert str(caught.value) == f"frame: {words}"
    assert detector.counts.users == 0
    assert_released(frame)


def test_a_dictionary_of_dictionaries():
    inner = Column(b"", b"c", [None, b"\0"], 1, dictionary=texts(b"", [b"a"]))
    frame = ArrayObject(replaced(0, format=b"c", dictionary=inner))
    with pytest.raises(TypeError, match="of type dictionary of dictionary of utf8 cannot be"):
        feed(frame)
    assert_released(frame)


@pytest.mark.parametrize(
    ("lies", "words"),
    [
        ({"n_children": -1}, "its schema has no valid columns"),
        ({"children": None}, "its schema has no valid columns"),
        ({"format": b"l"}, "expected a table, got an array of Arrow format 'l'"),
        ({"format": None}, "expected a table, got an array of Arrow format ''"),
    ],
)
def test_a_schema_that_lies(lies, words):
    true = rows(b"1")
    for frame in (
        ArrayObject(dataclasses.replace(true, schema=lies)),
        StreamObject([true], schema=dataclasses.replace(true, schema=lies)),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            feed(frame)
        gc.collect()


def test_a_schema_with_a_column_that_lies():
    for lies in ({"format": None}, {"release": type(ArrayObject(rows()).kept[0])()}):
        if "release" in lies:
            continue
        frame = ArrayObject(replaced(1, schema=lies))
        with pytest.raises(ValueError, match="its schema has no valid column 1"):
            feed(frame)
        assert_released(frame)


class Capsules:
    """An object that returns any object instead of a capsule."""

    def __init__(self, stream=None, array=None):
        if stream is not None:
            self.__arrow_c_stream__ = lambda: stream
        if array is not None:
            self.__arrow_c_array__ = lambda: array


def test_capsules_of_other_names():
    schema, array = ArrayObject(rows(b"1")).capsules
    for given in (Capsules(stream=5), Capsules(stream=array), Capsules(array=(array, schema))):
        with pytest.raises(TypeError, match=r"^frame: expected a capsule 'arrow_"):
            Detector(2, 5).feed_frame(given)
    with pytest.raises(TypeError, match="expected an object with __arrow_c_stream__"):
        Detector(2, 5).feed_frame([1, 2])


def test_a_stream_without_callbacks():
    frame = StreamObject([rows(b"1")])
    frame.struct.get_next = type(frame.struct.get_next)()
    with pytest.raises(ValueError, match="a stream without get_schema or get_next"):
        feed(frame)


@pytest.mark.parametrize("count", range(12))
def test_failing_allocations(count):
    """What was applied before the failure counts, and feeding goes on after it."""
    whole = Detector(2, 5, 0, threads=1)
    amounts = [b"%d" % n for n in range(400)]
    whole.feed_frame(ArrayObject(rows(*amounts)))
    detector = Detector(2, 5, 0, threads=1)
    frame = ArrayObject(rows(*amounts))
    applied = 0
    cause: BaseException | None = MemoryError()
    with failing_after(count):
        try:
            applied = detector.feed_frame(frame).rows
        except MemoryError:
            pass
        except FeedError as error:
            applied = error.applied
            cause = error.__cause__
    detector._check()
    assert isinstance(cause, MemoryError)
    assert detector.counts.purchases == applied
    assert_released(frame)
    detector.feed_frame(ArrayObject(rows(*amounts[applied:])))
    assert detector.counts == whole.counts
