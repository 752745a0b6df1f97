"""Tables fed to a cluster give the flags and the rejected rows of one process."""

import errno
import gc
from collections import Counter
from random import Random
from typing import Any

import hypothesis.strategies as st
import numpy as np
import profiles
import pyarrow as pa
import pytest
from adjusting import UNITS
from allocations import failing_after
from clusterlogs import crowd
from deliveries import check_same, seeded_cluster
from handmade import ArrayObject, StreamObject, integers, table, texts
from hypothesis import given, settings
from tables import some_tables

from fastanomaly import Detector, FeedError, UsageError
from fastanomaly._core import FrameColumns, FrameLines
from fastanomaly.cluster import ClusterDetector
from fastanomaly.frames.layout import open_frame
from fastanomaly.frames.result import FedFrame

LOGS = profiles.current().cluster_logs
CHUNK = 50
SHARDS = (1, 2, 3, 5)
BATCHES = (1, 2, 10, 100, 1000)
READING = st.fixed_dictionaries(
    {"round_amounts": st.booleans(), "time_unit": st.sampled_from([None, *UNITS])}
)


def values_of(fed):
    """Return all that a `FedFrame` says."""
    return fed.rows, list(fed.flags), fed.rejected, pa.table(fed.flags)


@given(some_tables(), READING, st.integers(0, 10**6), st.data())
@settings(max_examples=profiles.examples(200), deadline=None)
def test_any_table(frame_and_rows, reading, seed, data):
    frame, _ = frame_and_rows
    rng = Random(seed)
    options: dict[str, Any] = {
        "judge": rng.random() < 0.9,
        "log": rng.choice(("", "sales")),
        "first_row": rng.choice((1, 1000)),
        "strict": rng.random() < 0.1,
        "max_rejected": rng.choice((None, None, 1, 3)),
        "keep": data.draw(st.sampled_from([(), ("amount", "kind")])),
    }
    single = Detector(2, 3, 0, threads=1, **reading)
    cluster = seeded_cluster(
        seed, 2, 3, 0, shards=rng.choice(SHARDS), batch_events=rng.choice(BATCHES), **reading
    )
    expected = single.feed_frame(frame, **options)
    assert values_of(cluster.feed_frame(frame, **options)) == values_of(expected)
    check_same(cluster, single)


def crowd_table(rng):
    """Return a crowd as a table of several arrays: some values are dirty or null."""
    kinds, times, users, friends, amounts = crowd(
        rng, rng.choice((4, 30, 300)), rng.choice((40, 1000, 2000))
    )
    rows = len(kinds)
    names = [rng.choice(("{}", "u{}")).format(user) for user in users]
    dirty = np.array([rng.random() < 0.02 for _ in range(rows)])
    columns = {
        "kind": pa.array(kinds),
        "user": pa.array(users) if rng.random() < 0.5 else pa.array(names),
        "friend": pa.array(friends, mask=np.asarray(kinds) == 0),
        "amount": pa.array(np.where(dirty, -1.0, np.asarray(amounts) // 10**4 / 100)),
        "timestamp": pa.array(times, pa.timestamp("us"), mask=np.roll(dirty, 1)),
        "order_id": pa.array([f"order {row}" for row in range(rows)]),
        "price": pa.array(amounts, mask=dirty),
    }
    size = rng.choice((30, 700, 10**4))
    return pa.Table.from_batches(pa.table(columns).to_batches(max_chunksize=size))


@pytest.mark.parametrize("first_seed", range(0, LOGS // 2, CHUNK))
def test_crowds(first_seed):
    seen = Counter()
    for seed in range(first_seed, min(first_seed + CHUNK, LOGS // 2)):
        rng = Random(seed)
        settings = rng.randint(1, 5), rng.choice((2, 3, 5, 20, 300)), 0
        cluster = seeded_cluster(
            seed, *settings, shards=rng.choice(SHARDS), batch_events=rng.choice(BATCHES)
        )
        single = Detector(*settings, threads=1)
        keep = rng.choice(((), ("order_id", "price")))
        for number in range(2):
            frame = crowd_table(rng)
            options: dict[str, Any] = {"keep": keep, "log": "t", "first_row": number * 5000}
            expected = single.feed_frame(frame, **options)
            assert values_of(cluster.feed_frame(frame, **options)) == values_of(expected)
            seen["flags"] += len(expected.flags)
            seen["rejected"] += len(expected.rejected)
        check_same(cluster, single)
        seen += cluster.exchange.seen
    assert min(seen["flags"], seen["rejected"]) > 100
    assert seen["asked", 0] > 20
    assert seen["batch too early"] > 20


def rows(*amounts, first=0):
    """Return a table of purchases of two friends, whom `with_friends` makes, from a row on."""
    many = len(amounts)
    columns = [
        integers(b"user", [1 + (first + number) % 2 for number in range(many)]),
        texts(b"amount", list(amounts)),
        texts(b"timestamp", [b"2017-06-13 11:33:01"] * many),
        texts(b"note", [b"note %d" % number for number in range(many)]),
    ]
    return table(columns, many)


HELD = []  # handmade tables must outlive what reads them, such as a failure's traceback


def array(made):
    """Return an object that has a table as its array."""
    HELD.append(ArrayObject(made))
    return HELD[-1]


def with_friends(detector):
    """Return a detector after users 1 and 2 have become friends."""
    detector.feed_columns([1], None, [1], [2], None)
    return detector


def small(**options):
    """Return a small cluster."""
    return with_friends(ClusterDetector(2, 5, 0, shards=3, **options))


@pytest.mark.parametrize("batch_events", [1, 3, 100])
def test_a_table_that_ends_in_an_error(batch_events):
    amounts = [b"%d" % number for number in range(8)]
    parts = [rows(*amounts[:4], b"x", b"7"), rows(*amounts), errno.EIO, rows(b"3")]
    frames = [StreamObject(parts) for _ in range(2)]
    single, cluster = with_friends(Detector(2, 5, 0)), small(batch_events=batch_events)
    with pytest.raises(FeedError) as expected:
        single.feed_frame(frames[0], first_row=11)
    with pytest.raises(FeedError) as failed:
        cluster.feed_frame(frames[1], first_row=11, log="table")
    assert str(failed.value) == (
        "table, 14 rows sent: [Errno 5] frame: its next rows cannot be read: "
        "the disk is on fire"
    )
    assert isinstance(failed.value.__cause__, OSError)
    rest = cluster.finish()
    assert isinstance(rest, FedFrame)
    fed, wanted = failed.value.fed, expected.value.fed
    assert failed.value.applied == expected.value.applied == fed.rows == wanted.rows == 14
    assert [flag.line for flag in (*fed.flags, *rest.flags)] == [
        flag.line for flag in wanted.flags
    ]
    assert len(wanted.flags) > 5
    assert [row.line for row in fed.rejected] == [row.line for row in wanted.rejected] == [15]
    check_same(cluster, single)
    del failed, fed, rest, expected, wanted
    gc.collect()
    assert [frame.held for frame in frames] == [0, 0]


@pytest.mark.parametrize("batch_events", [1, 3, 100])
def test_a_kept_value_that_is_not_where_the_array_says(batch_events):
    broken = rows(b"1", b"2", b"x", b"4", b"x", b"6")
    ends = np.frombuffer(broken.children[3].buffers[1], np.int32).copy()
    ends[4] = 0  # where the note of the fourth row ends
    broken.children[3].buffers[1] = ends.tobytes()
    cluster = small(batch_events=batch_events)
    with pytest.raises(FeedError, match="3 rows sent: a text that is not in") as failed:
        cluster.feed_frame(array(broken), keep=["note"])
    cluster.finish()
    assert failed.value.applied == 3
    assert [row.line for row in failed.value.fed.rejected] == [3]
    assert cluster.counts.purchases == 2
    assert cluster.feed_frame(array(rows(b"1")), keep=["note"]).rows == 1


def test_each_allocation_fails_in_turn():
    amounts = [b"x" if number % 9 == 8 else b"%d" % number for number in range(200)]
    expected = with_friends(Detector(2, 5, 0)).feed_frame(array(rows(*amounts)), keep=["note"])
    failures = Counter()
    for allocations in range(10_000):
        cluster = small(batch_events=20)
        parts, start, failed = [], 0, False
        try:
            with failing_after(allocations):
                parts.append(cluster.feed_frame(array(rows(*amounts)), keep=["note"]))
        except MemoryError:  # before anything was sent
            failed = True
        except FeedError as error:
            failed, start = True, error.applied
            parts += [error.fed, cluster.finish()]
        if not failed:
            break
        failures[start > 0] += 1
        frame = array(rows(*amounts[start:], first=start))
        parts.append(cluster.feed_frame(frame, first_row=start + 1))
        assert [f[:10] for part in parts for f in part.flags] == [
            flag[:10] for flag in expected.flags
        ]
        assert [r for part in parts for r in part.rejected] == expected.rejected
    assert values_of(parts[0]) == values_of(expected)
    assert failures[False] > 0
    assert failures[True] > 5


def test_wrong_use():
    cluster = small()
    with pytest.raises(TypeError, match=r"frame: expected an object with __arrow_c_stream__"):
        cluster.feed_frame([1])
    with pytest.raises(ValueError, match="max_rejected: 0 is not in"):
        cluster.feed_frame(array(rows(b"1")), max_rejected=0)
    with pytest.raises(UsageError, match="keep: there is no column 'x'"):
        cluster.feed_frame(array(rows(b"1")), keep=["x"])
    with pytest.raises(FeedError, match="its schema cannot be read: the disk is on fire"):
        cluster.feed_frame(StreamObject([], schema=errno.EINVAL))
    frame = array(rows(b"1"))
    assert cluster.feed_frame(frame).rows == 1
    with pytest.raises(ValueError, match="frame: it was read already"):
        cluster.feed_frame(frame)
    assert cluster.counts.purchases == 1


def test_lines_of_rows_that_are_not_there():
    with pytest.raises(IndexError, match=r"row 0 is not in 0\.\.-1"):
        FrameLines().line(0)
    with open_frame(array(rows(b"1", b"2"))) as source:
        reader = FrameColumns(
            source, (-1, 2, 0, -1, -1, 1), 0, log="", first_row=1, max_rejected=5
        )
        lines = reader.read(10)[5]
        assert reader.read(10) is None
    assert b'"amount":"2"' in lines.line(1)
    for row in (-1, 2):
        with pytest.raises(IndexError):
            lines.line(row)
