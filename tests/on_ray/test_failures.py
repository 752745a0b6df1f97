"""Processes of shards that end, are stopped or run out of memory."""

import os
import signal
import sys
from contextlib import closing
from functools import partial
from random import Random
from threading import Thread
from time import sleep
from typing import Any

import numpy as np
import profiles
import pytest
import ray
from clusterlogs import crowd
from deliveries import flags_bytes
from on_ray.rayclusters import kill, process_of, ray_cluster

from fastanomaly import Detector, FeedError
from fastanomaly.cluster import ClusterDetector
from fastanomaly.cluster.on_ray import RayExchange
from fastanomaly.cluster.shard import Shard
from fastanomaly.errors import ClusterError

pytestmark = pytest.mark.usefixtures("local_ray")
KILLS = profiles.current().ray_kills
MOST_KILLS = 10  # a run has to end, however slow restarts are


class Killer(Thread):
    """Kills processes of shards at random moments, while the context lasts."""

    def __init__(self, cluster, rng):
        super().__init__()
        self.cluster, self.rng = cluster, rng
        self.kills, self.ended = 0, False

    def run(self):
        while not self.ended and self.kills < MOST_KILLS:
            sleep(self.rng.random() * 3)
            process = process_of(self.cluster, self.rng.randrange(3))
            if process is not None and not self.ended:
                kill(process)
                self.kills += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.join()


def test_shards_are_killed_at_random_moments():
    kills = rounds = 0
    notices = []
    while kills < KILLS:
        rounds += 1
        rng = Random(rounds)
        columns = crowd(rng, 300, 20_000)
        settings = 1 + rounds % 3, 20, 1
        single = Detector(*settings)
        with ray_cluster(*settings, shards=3, notices=notices) as cluster:
            with Killer(cluster, rng) as killer:
                for start in range(0, 20_000, 2000):
                    part = [column[start : start + 2000] for column in columns]
                    expected = single.feed_columns(*part)
                    assert flags_bytes(cluster.feed_columns(*part)) == flags_bytes(expected)
                    sleep(0.2 * rng.random())
            assert cluster.counts == single.counts
            kills += killer.kills
    assert any(notice.endswith("has restarted") for notice in notices)


def test_a_shard_that_cannot_be_rebuilt(monkeypatch):
    monkeypatch.setattr("fastanomaly.cluster.on_ray.exchange.KEPT_BYTES", 10_000)
    columns = crowd(Random(1), 300, 4000)
    with ray_cluster(2, 20, 1, shards=3) as cluster:
        cluster.feed_columns(*columns)
        kill(process_of(cluster, 1))
        with pytest.raises(FeedError, match=r"1 of 3: is lost, .* more than 0 MB") as caught:
            cluster.feed_columns(*columns)
        assert isinstance(caught.value.__cause__, ClusterError)


def test_a_shard_that_does_not_answer():
    columns = crowd(Random(1), 300, 4000)
    message = "shard 1 of 3: does not answer for 8 s"
    with ray_cluster(2, 20, 1, shards=3) as cluster:
        cluster.exchange._lost_after = 8  # less than a start may take on a busy machine
        process = process_of(cluster, 1)
        os.kill(process, signal.SIGSTOP)
        try:
            with pytest.raises(FeedError, match=message):
                cluster.feed_columns(*columns)
            # What is asked later is not waited for again.
            with pytest.raises(ClusterError, match=message):
                cluster.counts  # noqa: B018
        finally:
            os.kill(process, signal.SIGCONT)


def test_an_answer_that_is_lost_with_its_machine():
    """As large ones are that have not been fetched: here, the owner of an object ends."""

    class Owner:
        def put(self):
            return [ray.put(bytes(1 << 20))]

    owner: Any = ray.remote(Owner).options(num_cpus=0).remote()
    (lost,) = ray.get(owner.put.remote())
    ray.kill(owner)
    sleep(2)  # Ray frees it when it takes note
    columns = crowd(Random(1), 300, 4000)
    single = Detector(2, 20, 1)
    with ray_cluster(2, 20, 1, shards=3) as cluster:
        cluster.exchange._takes[lost] = 1
        found = cluster.feed_columns(*columns)
        assert flags_bytes(found) == flags_bytes(single.feed_columns(*columns))
        assert lost not in cluster.exchange._takes


class Fragile(Shard):
    """Shard 1 ends its process at batch 5, whenever it gets there."""

    def _apply(self, batch):
        if self.number == 1 and batch.number == 5:
            os._exit(1)
        super()._apply(batch)


def fragile(make_shard, shards):
    return RayExchange(partial(Fragile, **make_shard.keywords), shards)


def test_a_shard_that_ends_at_the_same_place_again_and_again():
    """Others repeat verdicts whenever it restarts: they are no sign of progress."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    columns = crowd(Random(1), 300, 4000)
    cluster: Any = ClusterDetector(2, 20, 1, shards=3, make_exchange=fragile)
    message = r"no verdict for 15 s; shard 1 of 3 has restarted \d+ times meanwhile"
    with closing(cluster):
        cluster.exchange._lost_after = 15  # a restart takes seconds on a busy machine
        with pytest.raises(FeedError, match=message):
            cluster.feed_columns(*columns)


def test_a_shard_that_is_slow_for_a_while():
    columns = crowd(Random(1), 300, 4000)
    single = Detector(2, 20, 1)
    with ray_cluster(2, 20, 1, shards=3) as cluster:
        process = process_of(cluster, 1)
        os.kill(process, signal.SIGSTOP)

        def go_on():
            sleep(5)
            os.kill(process, signal.SIGCONT)

        thread = Thread(target=go_on)
        thread.start()
        found = cluster.feed_columns(*columns)
        thread.join()
        assert flags_bytes(found) == flags_bytes(single.feed_columns(*columns))
        assert cluster.counts == single.counts


def test_a_slow_shard_stops_reading():
    """No more than 64 batches are on their way, whatever is still to be read."""
    columns = crowd(Random(1), 300, 4000)
    many = [np.tile(column, 10) for column in columns]
    single = Detector(2, 20, 1)
    with ray_cluster(2, 20, 1, shards=3, batch_events=100) as cluster:
        process = process_of(cluster, 1)
        os.kill(process, signal.SIGSTOP)
        unfinished = []

        def watch():
            for _ in range(20):
                sleep(0.1)
                unfinished.append(cluster._sequencer.unfinished)
            os.kill(process, signal.SIGCONT)

        thread = Thread(target=watch)
        thread.start()
        found = cluster.feed_columns(*many)
        thread.join()
        assert max(unfinished) == unfinished[-1] == 64
        assert flags_bytes(found) == flags_bytes(single.feed_columns(*many))


def test_after_close():
    """Shards that have been closed are not waited for; closing again does nothing."""
    columns = crowd(Random(1), 300, 1000)
    with ray_cluster(2, 20, shards=2) as cluster:
        cluster.close()
        with pytest.raises(ClusterError, match="the shards have been closed"):
            cluster.counts  # noqa: B018
        with pytest.raises(FeedError, match="the shards have been closed"):
            cluster.feed_columns(*columns)


def test_room_for_too_few_shards():
    message = "does not answer for 2 s: the cluster has 5 processors, and each shard takes 1"
    with (
        pytest.raises(ClusterError, match=message),
        ray_cluster(2, 20, shards=6, lost_after=2),
    ):
        pass
