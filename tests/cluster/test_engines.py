"""The engine of a shard: who owns whom, and packets that are not right."""

from random import Random

import numpy as np
import pytest
from allocations import failing_after
from clusterlogs import buy, growing_log, rows

from fastanomaly import PURCHASE
from fastanomaly._core import ShardEngine


def test_owners_share_users_evenly():
    for shards in (1, 2, 3, 5, 64):
        engine = ShardEngine(0, shards, 1, 2, 3, 1)
        counts = np.bincount([engine.owner(uid) for uid in range(64_000)], minlength=shards)
        assert len(counts) == shards
        assert counts.min() > 0.8 * 64_000 / shards


def test_packets_that_are_damaged():
    columns = growing_log()
    engines = [ShardEngine(number, 2, 1, 300, 0, 1) for number in range(2)]
    kept = []
    for start in range(0, len(columns[0]), 500):
        part = [column[start : start + 500] for column in columns]
        seq = int((columns[0][:start] == PURCHASE).sum())
        for number, engine in enumerate(engines):
            _flags, waiting, asks = engine.feed(seq, *part, judged=True)
            if waiting is not None:
                kept.append((engine, waiting, asks, 1 - number))
    rng = Random(1)
    damaged = 0
    for asker, waiting, asks, owner in kept:
        asked = asks[owner]
        answered = engines[owner].answer(asked)
        assert asker.finish(waiting, asks, by_owner(owner, answered))[1:] is not None
        for _ in range(200):
            packets = [waiting, asked, answered]
            which = rng.randrange(3)
            packets[which] = damage(rng, packets[which])
            try:
                if which == 1:
                    engines[owner].answer(packets[1])
                asker.finish(
                    packets[0], by_owner(owner, packets[1]), by_owner(owner, packets[2])
                )
            except ValueError:
                damaged += 1
    assert damaged > 100
    for engine in engines:
        engine.check()


def test_a_batch_that_fails_leaves_the_state_of_its_first_events():
    columns = growing_log()
    before, batch = [c[:500] for c in columns], [c[500:] for c in columns]
    seq = int((before[0] == PURCHASE).sum())
    stages, expected = set(), None
    for allocations in range(-1, 1000):
        engine, prefix = (ShardEngine(0, 1, 1, 300, 0, 1) for _ in range(2))
        for one in (engine, prefix):
            one.feed(0, *before, judged=False)
        already = engine.counts()
        try:
            with failing_after(allocations):
                results = engine.feed(seq, *batch, judged=True)
        except MemoryError:
            applied = sum(engine.counts()[:3]) - sum(already[:3])
            stages.add(applied)
            if applied > 0:
                prefix.feed(seq, *[column[:applied] for column in batch], judged=True)
            assert engine.counts() == prefix.counts()
            engine.check()
            assert engine.feed(seq, *batch, judged=True) == expected
        else:
            if allocations >= 0:
                assert results == expected
                break
            expected = results  # -1: none fails
        with pytest.raises(ValueError, match="a batch at purchase"):
            engine.feed(seq, *batch, judged=True)  # it is done
    assert len(expected[0]) > 1000
    assert len(stages) > 3  # it fails before, and at several events


def by_owner(owner, packet):
    """Return the packets by owner of two shards."""
    return [packet if number == owner else None for number in range(2)]


def damage(rng, packet):
    """Return a packet that is cut, or has a byte changed."""
    place = rng.randrange(len(packet))
    if rng.random() < 0.5:
        return packet[:place]
    return packet[:place] + bytes([rng.randrange(256)]) + packet[place + 1 :]


def test_engines_refuse_what_they_cannot_tell():
    engine = ShardEngine(0, 2, 1, 2, 3, 1)
    with pytest.raises(ValueError, match="a batch at purchase 1, but the shard is at 0"):
        engine.feed(1, *rows(buy(1, 1, 1)), judged=True)
    with pytest.raises(ValueError, match="a batch has 1 to 1024 rows, not 1025"):
        engine.feed(0, *rows(*[buy(1, 1, 1)] * 1025), judged=True)
    engine.feed(0, *rows(buy(1, 1, 1)), judged=True)
    ahead, nothing = (np.array([seq, 0], np.int64).tobytes() for seq in (2, 1))
    with pytest.raises(ValueError, match="as of purchase 2, but can tell from 0 to 1"):
        engine.answer(ahead)
    assert engine.answer(nothing) == bytes(8)
    with pytest.raises(ValueError, match="damaged"):
        engine.answer(b"")
    open_verdicts = np.zeros(2, np.int64).tobytes()
    assert engine.finish(open_verdicts, [None, None], [None, None]) == (b"", None, [None] * 2)
    with pytest.raises(ValueError, match="answers of other owners"):
        engine.finish(open_verdicts, [nothing, None], [None, bytes(8)])
    with pytest.raises(TypeError):
        engine.answer(None)
