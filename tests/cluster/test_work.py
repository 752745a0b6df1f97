"""What judging costs shards, counted: the same as in one process, and what answers add."""

import struct
from random import Random

import pytest
from clusterlogs import crowd
from deliveries import flags_bytes, shards_of

from fastanomaly import PURCHASE, Detector
from fastanomaly.cluster import Answers, Asks, ClusterDetector, LocalExchange

TRACKED = 20
HEAD, ASK = struct.Struct("=qq"), struct.Struct("=qqqqii")
ANSWERS_HEAD, ANSWER = struct.Struct("=q"), struct.Struct("=iiq")
PURCHASE_BYTES = 24


class Reading(LocalExchange):
    """Reads the messages that it carries: verdicts that asked by attempt, and purchases."""

    def __init__(self, make_shard, shards):
        super().__init__(make_shard, shards)
        self.asked = [set(), set()]
        self.purchases = 0

    def _post(self, to, message):
        super()._post(to, message)
        if isinstance(message, Asks):
            rows = self.rows_asked(message.packet)
            self.asked[message.attempt] |= {(message.batch, row) for row in rows}
        elif isinstance(message, Answers):
            self.purchases += self.answered(message.packet)

    def rows_asked(self, packet):
        at, (_seq, count) = HEAD.size, HEAD.unpack_from(packet)
        for _ in range(count):
            *_, row, members = ASK.unpack_from(packet, at)
            yield row
            at += ASK.size + (4 * members + 7) // 8 * 8
        assert at == len(packet)

    def answered(self, packet):
        answers = ANSWERS_HEAD.unpack_from(packet)[0]
        rest = len(packet) - ANSWERS_HEAD.size - answers * ANSWER.size
        assert rest % PURCHASE_BYTES == 0
        return rest // PURCHASE_BYTES


def fed(degree, shards, columns):
    """Return a cluster that has judged columns, and a detector that has."""
    cluster = ClusterDetector(
        degree, TRACKED, 1, shards=shards, batch_events=100, make_exchange=Reading
    )
    single = Detector(degree, TRACKED, 1, threads=1)
    expected = single.feed_columns(*columns)
    assert len(expected) > 100
    assert flags_bytes(cluster.feed_columns(*columns)) == flags_bytes(expected)
    return cluster, single


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_one_shard_looks_at_what_a_detector_does(degree):
    cluster, single = fed(degree, 1, crowd(Random(degree), 400, 6000))
    (work,) = (shard.work() for shard in shards_of(cluster))
    assert work.searches[:2] == pytest.approx(single.work[:2], rel=0.02)
    assert (work.answered, work.finished, work.asked_once, work.asked_twice) == (0, 0, 0, 0)
    # It sorts out members first, and merges only those that matter.
    assert work.searches.members_merged <= single.work.members_merged
    assert single.work.members_merged <= work.members_sorted
    assert work.members_sorted <= 3 * single.work.members_merged


@pytest.mark.parametrize("degree", [1, 2])
def test_rounds_and_answers_are_counted(degree):
    columns = crowd(Random(degree + 10), 400, 6000)
    cluster, single = fed(degree, 4, columns)
    works = [shard.work() for shard in shards_of(cluster)]
    first, again = map(len, cluster.exchange.asked)
    assert sum(work.asked_once for work in works) == first - again > 0
    assert sum(work.asked_twice for work in works) == again > 0
    purchases = cluster.exchange.purchases
    # Owners look at each that they send, and at the members.
    assert purchases < sum(work.answered for work in works) < 5 * purchases
    # Of the purchases known and answered, at most T are taken, and one of each owner seen.
    most = (TRACKED + 4) * (first + again)
    assert purchases / 3 < sum(work.finished for work in works) <= most
    walked = sum(work.searches.steps_walked for work in works)
    assert walked == pytest.approx(single.work.steps_walked, rel=0.02)
    for work in works:
        parts = *work.searches, work.members_sorted, work.answered, work.finished
        assert work.total == sum(parts)


def test_the_degree_can_change():
    columns = crowd(Random(5), 400, 4000)
    half = [column[:2000] for column in columns], [column[2000:] for column in columns]
    cluster = ClusterDetector(1, TRACKED, 1, shards=3)
    single = Detector(1, TRACKED, 1, threads=1)
    for degree, part in zip((1, 3), half, strict=True):
        single.degree = degree
        for shard in shards_of(cluster):
            shard.set_degree(degree)
        expected = single.feed_columns(*part)
        assert flags_bytes(cluster.feed_columns(*part)) == flags_bytes(expected)
    unchanged = Detector(1, TRACKED, 1, threads=1)
    unchanged.feed_columns(*half[0])
    assert flags_bytes(unchanged.feed_columns(*half[1])) != flags_bytes(expected)
    assert (half[1][0] == PURCHASE).sum() > len(expected) > 0
