"""Clusters whose messages are late, overtake each other and arrive twice, by a seed."""

from collections import Counter
from functools import partial
from random import Random

from fastanomaly.cluster import Asks, Batch, ClusterDetector, LocalExchange


class SeededExchange(LocalExchange):
    """Delivers messages in an order that follows from a seed.

    `patience` is how many of a hundred polls deliver nothing. `seen` counts what happened.
    """

    def __init__(self, make_shard, shards, *, seed):
        super().__init__(make_shard, shards)
        self.rng = Random(seed)
        self.patience = self.rng.choice((0, 50, 95))
        self.newest_first = self.rng.random() < 0.3
        self.seen = Counter()
        self.last_batch = [-1] * shards

    def poll(self):
        if self.rng.randrange(100) < self.patience:
            return []
        return self.deliver(self.rng.choice((1, 2, 5, 30)))

    def wait(self):
        assert self._queue or self._failed, "a message was lost"
        return self.deliver(1)

    def deliver(self, count):
        """Deliver so many messages, if there are as many; the verdicts, in any order."""
        self._resume_failed()
        for _ in range(min(count, len(self._queue))):
            index = self.rng.randrange(len(self._queue))
            if self.newest_first:
                index = max(index, self.rng.randrange(len(self._queue)))
            to, message = self._queue[index]
            if self.rng.random() < 0.9:  # else it will be delivered again
                del self._queue[index]
            self.note(to, message)
            self._deliver(to, message)
            self.seen["evictions kept"] += self._shards[to].evicted() > 0
        verdicts, self._verdicts = self._verdicts, []
        verdicts += [again for again in verdicts if self.rng.random() < 0.1]
        self.rng.shuffle(verdicts)
        return verdicts

    def note(self, to, message):
        """Count what is worth testing."""
        if isinstance(message, Batch):
            self.seen["batch too early"] += message.number > self.last_batch[to] + 1
            self.last_batch[to] = max(self.last_batch[to], message.number)
        if isinstance(message, Asks):
            self.seen["asked", message.attempt] += 1


def seeded_cluster(seed, *settings, **options):
    """Return a cluster that a SeededExchange connects."""
    make_exchange = partial(SeededExchange, seed=seed)
    return ClusterDetector(*settings, make_exchange=make_exchange, **options)


def shards_of(cluster):
    """Return the shards, to look into them."""
    return cluster.exchange._shards


def flags_bytes(flags):
    """Return column flags as bytes."""
    return [column.tobytes() for column in flags]


def check_same(cluster, single):
    """Check that a cluster has applied and keeps what a detector does."""
    assert cluster.counts == single.counts
    assert cluster.newest_us == single.newest_us
    for shard in shards_of(cluster):
        assert shard.counts()[7:] == single.counts[7:]
        assert shard.newest_us() == single.newest_us
        shard.check()
