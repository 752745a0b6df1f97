"""Snapshots of shards on Ray: saved, loaded with other K, and used to rebuild a shard."""

import os
import signal
from functools import partial
from random import Random
from threading import Timer

import pytest
from clusterlogs import crowd
from deliveries import flags_bytes
from lines import purchase
from on_ray.rayclusters import kill, process_of, ray_cluster

from fastanomaly import Detector
from fastanomaly.cluster import ClusterDetector
from fastanomaly.cluster.on_ray import RayExchange
from fastanomaly.errors import CheckpointError

pytestmark = pytest.mark.usefixtures("local_ray")
SETTINGS = 2, 20, 1
ROWS = 9000


def parts_of(columns, count):
    """Return columns in so many parts."""
    size = ROWS // count
    return [[column[at : at + size] for column in columns] for at in range(0, ROWS, size)]


def test_resized_and_back(tmp_path):
    first, second, third = parts_of(crowd(Random(3), 300, ROWS), 3)
    single = Detector(*SETTINGS)
    expected = [flags_bytes(single.feed_columns(*part)) for part in (first, second, third)]
    with ray_cluster(*SETTINGS, shards=3) as cluster:
        assert flags_bytes(cluster.feed_columns(*first)) == expected[0]
        cluster.save(tmp_path)
    cluster = ClusterDetector.load(tmp_path, shards=2, make_exchange=partial(RayExchange))
    assert flags_bytes(cluster.feed_columns(*second)) == expected[1]
    cluster.save(tmp_path)
    cluster.close()
    loaded = Detector.load(tmp_path)
    assert flags_bytes(loaded.feed_columns(*third)) == expected[2]
    assert loaded.counts == single.counts


def test_shards_are_rebuilt_from_the_last_snapshot(tmp_path, monkeypatch):
    # So few batches are kept that none before the snapshot are left.
    monkeypatch.setattr("fastanomaly.cluster.on_ray.exchange.KEPT_BYTES", 150_000)
    single, notices = Detector(*SETTINGS), []
    with ray_cluster(*SETTINGS, shards=3, notices=notices) as cluster:
        for number, part in enumerate(parts_of(crowd(Random(4), 300, ROWS), 9)):
            found, expected = (one.feed_columns(*part) for one in (cluster, single))
            assert flags_bytes(found) == flags_bytes(expected)
            if number % 3 == 0:
                cluster.save(tmp_path)
                kill(process_of(cluster, number % 2))
        assert cluster.counts == single.counts
    assert [notice for notice in notices if notice.endswith("restarted")] == [
        f"shard {number} of 3: has restarted" for number in (0, 1, 0)
    ]


def test_a_shard_that_is_rebuilt_is_saved(tmp_path):
    """It asks for verdicts again that have come, and saves when the answers have."""
    columns = crowd(Random(3), 300, 4000)
    single = Detector(*SETTINGS)
    single.feed_columns(*columns)
    with ray_cluster(*SETTINGS, shards=3) as cluster:
        cluster.feed_columns(*columns)
        for number in range(3):
            kill(process_of(cluster, number))
            cluster.save(tmp_path)
    assert Detector.load(tmp_path).counts == single.counts


def test_adjusted_values_are_counted_once(tmp_path):
    lines = [purchase(user % 5, f"{user}.00000049") for user in range(300)]
    single = Detector(*SETTINGS, round_amounts=True)
    with ray_cluster(*SETTINGS, shards=2, batch_events=20, round_amounts=True) as cluster:
        for number in range(3):
            part = lines[100 * number :][:100]
            assert cluster.feed(part) == single.feed(part)
            if number == 0:
                cluster.save(tmp_path)
            kill(process_of(cluster, 0))
            assert cluster.counts == single.counts
    assert single.counts.rounded_amounts == 300
    assert Detector.load(tmp_path).counts.rounded_amounts == 100


def test_all_shards_have_ended_when_a_failure_is_raised(tmp_path):
    """None writes on when the folder of the snapshot is removed."""
    target = tmp_path / "snapshot-000000000001"
    target.write_text("in the way of a folder")
    with ray_cluster(*SETTINGS, shards=3) as cluster:
        cluster.feed_columns(*crowd(Random(3), 300, 1000))
        process = process_of(cluster, 2)
        os.kill(process, signal.SIGSTOP)
        going_on = Timer(2, lambda: os.kill(process, signal.SIGCONT))
        going_on.start()
        with pytest.raises(OSError, match=target.name):
            cluster.exchange.call_all("save", str(target), {})
        assert going_on.finished.is_set()
        going_on.join()


def test_a_damaged_file_is_named(tmp_path):
    with ray_cluster(*SETTINGS, shards=3) as cluster:
        cluster.feed_columns(*crowd(Random(3), 300, 1000))
        cluster.save(tmp_path)
    (damaged,) = tmp_path.glob("*/shard-0001-of-0003")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=f"{damaged}: truncated"):
        ClusterDetector.load(tmp_path, make_exchange=RayExchange)
