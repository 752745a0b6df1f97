"""Measure loading a batch log of 100,000 events: as lines, as columns, only decoded."""

import json
from datetime import datetime, timedelta

import numpy as np
import orjson
import pytest

from benchmarks.solutions import common
from fastanomaly import BEFRIEND, PURCHASE, UNFRIEND, Detector

DEGREE = 2
TRACKED = 50
KINDS = {"purchase": PURCHASE, "befriend": BEFRIEND, "unfriend": UNFRIEND}
EPOCH = datetime(1970, 1, 1)

pytestmark = pytest.mark.benchmark(group="ingest 100,000 events")


@pytest.fixture(scope="module")
def batch(ingest_logs):
    """Return the batch log without its parameter line."""
    return ingest_logs.batch.read_bytes().partition(b"\n")[2]


@pytest.fixture(scope="module")
def columns(batch):
    """Return the batch log as the columns of `Detector.feed_columns`."""
    rows = []
    for event in map(json.loads, batch.splitlines()):
        kind = KINDS[event["event_type"]]
        if kind == PURCHASE:
            time = (common.utc(event["timestamp"]) - EPOCH) // timedelta(microseconds=1)
            amount = common.amount_units(event["amount"])
            rows.append((kind, time, int(event["id"]), 0, amount))
        else:
            rows.append((kind, 0, int(event["id1"]), int(event["id2"]), 0))
    kinds, *others = np.array(rows, dtype=np.int64).T
    return kinds.astype(np.uint8), *map(np.ascontiguousarray, others)


@pytest.fixture
def new_detector():
    """Return the arguments of a round: an empty detector."""
    return lambda: ((Detector(DEGREE, TRACKED),), {})


@pytest.fixture
def record(benchmark, batch, ingest_logs, expected):
    """Record the speed, if the flags of the stream log are right."""

    def check(detector):
        flags = detector.feed(ingest_logs.stream.read_bytes()).flags
        given = b"".join(flag.to_line() + b"\n" for flag in flags)
        assert given == expected(ingest_logs, DEGREE)
        benchmark.extra_info["answers"] = f"right: {len(flags)} flags in the stream log"
        record_speed(benchmark, batch)

    return check


def record_speed(benchmark, batch):
    """Record the events per second of the best round."""
    if benchmark.stats:
        events = batch.count(b"\n")
        benchmark.extra_info["events_per_second"] = round(events / benchmark.stats["min"])


def test_feed(benchmark, batch, new_detector, record):
    def feed(detector):
        detector.feed(batch, judge=False)
        return detector

    record(benchmark.pedantic(feed, setup=new_detector, rounds=10))


def test_feed_columns(benchmark, columns, new_detector, record):
    def feed(detector):
        detector.feed_columns(*columns, judge=False)
        return detector

    record(benchmark.pedantic(feed, setup=new_detector, rounds=10))


def test_orjson_alone(benchmark, batch):
    lines = batch.splitlines()

    def decode():
        count = 0
        for line in lines:
            orjson.loads(line)
            count += 1
        return count

    assert benchmark.pedantic(decode, rounds=10) == len(lines)
    benchmark.extra_info["answers"] = "none: parses only"
    record_speed(benchmark, batch)
