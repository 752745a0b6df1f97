"""Lines fed to a cluster give the flags and the rejected lines of one process, to the byte."""

import json
import sys
from collections import Counter
from contextlib import contextmanager
from itertools import count
from random import Random

import batches
import lines
import numpy as np
import profiles
import pytest
from adjusting import adjusted, reading_of
from allocations import failing_after
from clusterlogs import crowd, growing_log
from deliveries import check_same, seeded_cluster
from randomlogs import random_logs

from fastanomaly import PURCHASE, Detector, Fed, FeedError
from fastanomaly._core import LineColumns, ShardEngine
from fastanomaly.cluster import ClusterDetector

LOGS = profiles.current().cluster_logs
CHUNK = 50
SHARDS = (1, 2, 3, 5)
BATCHES = (1, 2, 10, 100, 1000)


def blocks_of(rng, text):
    """Yield a text in blocks that are cut anywhere or after lines: bytes, views and lists."""
    ends = rng.random() < 0.8
    start = 0
    while start < len(text):
        end = start + rng.randint(1, rng.choice((30, 300, 3000, len(text))))
        if ends:
            end = text.find(b"\n", end) + 1 or len(text)
        block = text[start:end]
        start = end
        kind = rng.random()
        if kind < 0.2:
            yield block.splitlines(keepends=True)
        elif kind < 0.4 and block.endswith(b"\n"):
            yield memoryview(block)
        else:
            yield block


def options_of(rng, max_line):
    """Return options of `feed`."""
    return {
        "judge": rng.random() < 0.9,
        "log": rng.choice(("", "stream_log.json")),
        "first_line": rng.choice((1, 1000)),
        "max_line": max_line,
        "strict": rng.random() < 0.05,
        "max_rejected": None if rng.random() < 0.8 else rng.randint(1, 3),
    }


def compare(rng, cluster, single, text, max_line, seen):
    """Feed a text to both, block by block; adds to what was seen."""
    for block in blocks_of(rng, text):
        options = options_of(rng, max_line)
        expected = single.feed(block, **options)
        assert cluster.feed(block, **options) == expected
        seen["flags"] += len(expected.flags)
        seen["rejected"] += len(expected.rejected)
        seen["texts"] += sum(not flag.user.isdigit() for flag in expected.flags)


@pytest.mark.parametrize("first_seed", range(0, LOGS, CHUNK))
def test_agrees_with_one_process(first_seed):
    seen = Counter()
    for seed in range(first_seed, min(first_seed + CHUNK, LOGS)):
        logs, rng = random_logs(seed), Random(seed)
        degree = rng.choice((logs.degree, rng.randint(1, 5)))
        settings = degree, logs.tracked, rng.choice((logs.sigmas, 0))
        reading = reading_of(rng)
        single = Detector(*settings, threads=1, **reading)
        options = {"shards": rng.choice(SHARDS), "batch_events": rng.choice(BATCHES)}
        cluster = seeded_cluster(seed, *settings, **options, **reading)
        for log in (logs.batch, logs.stream, logs.stream):
            text = adjusted(log, reading, rng)
            compare(rng, cluster, single, text, logs.max_line, seen)
        check_same(cluster, single)
        seen["rounded"] += single.counts.rounded_amounts
        seen["cut"] += single.counts.cut_times
    assert min(seen.values()) > 20, seen


DIRT = (b"", b"{}", b"not JSON", b"\xff", b'{"event_type":"purchase", "id":"1", "amount":"x"}')


def crowd_text(rng, users, rows):
    """Return a crowd as lines: ids as numbers or texts, some lines odd, blank or dirty."""
    name = rng.choice(("{}", "{}", "user{}@example.org"))
    dirt, oddity = rng.choice((0, 0.02)), rng.choice((0, 0.05))
    found = []
    for kind, time, user, friend, units in zip(*crowd(rng, users, rows), strict=True):
        while rng.random() < dirt:
            found.append(rng.choice(DIRT))
        ids = name.format(user), name.format(friend)
        odd = rng.random() < oddity
        found.append(batches.line_of(batches.Event(kind, *ids, int(time), units, odd)))
    return b"\n".join(found) + b"\n"


@pytest.mark.parametrize("first_seed", range(0, LOGS // 4, CHUNK))
def test_crowds(first_seed):
    seen = Counter()
    for seed in range(first_seed, min(first_seed + CHUNK, LOGS // 4)):
        rng = Random(seed)
        text = crowd_text(rng, rng.choice((4, 30, 300)), rng.choice((40, 1000, 2000)))
        settings = rng.randint(1, 5), rng.choice((2, 3, 5, 20, 50, 300)), 0
        cluster = seeded_cluster(
            seed, *settings, shards=rng.choice(SHARDS), batch_events=rng.choice(BATCHES)
        )
        single = Detector(*settings)
        compare(rng, cluster, single, text, 1000, seen)
        check_same(cluster, single)
        seen += cluster.exchange.seen
    assert min(seen[name] for name in ("flags", "rejected", "texts")) > 100
    assert seen["asked", 0] > 20
    assert seen["batch too early"] > 20


def growing_text():
    """Return the growing log as a text; some lines are odd, dirty or blank."""
    found = []
    rows = zip(*(column.tolist() for column in growing_log()), strict=True)
    for number, (kind, time, user, friend, units) in enumerate(rows):
        event = batches.Event(kind, f"u{user}", f"u{friend}", time, units, number % 50 == 0)
        line = batches.line_of(event)
        found.append(line.replace(b'"}', b'0000001"}') if kind == PURCHASE else line)
        if number % 60 == 0:
            found += [b"", b"[]"]
    return [line + b"\n" for line in found]


@pytest.mark.parametrize("tracked", [3, 300])
def test_each_allocation_fails_in_turn(tracked):
    text = growing_text()
    before, during = text[:500], text[500:700]
    single = Detector(1, tracked, 0, round_amounts=True)
    single.feed(before)
    expected = single.feed(during, first_line=501)
    assert single.counts.rounded_amounts == single.counts.purchases
    assert expected.flags
    assert expected.rejected
    failures = Counter()
    for allocations in range(10_000):
        cluster = ClusterDetector(1, tracked, 0, shards=3, batch_events=50, round_amounts=True)
        cluster.feed(before)
        found, failed = feed_with(allocations, cluster, during)
        if not failed:
            break
        sent = sum(fed.lines for fed in found)
        failures["at once" if sent == 0 else "later"] += 1
        assert all(line.line <= 500 + sent for fed in found for line in fed.rejected)
        found.append(cluster.feed(during[sent:], first_line=501 + sent))
        assert [flag for fed in found for flag in fed.flags] == expected.flags
        assert [line for fed in found for line in fed.rejected] == expected.rejected
        assert sum(fed.lines for fed in found) == len(during)
        check_same(cluster, single)
    assert found == [expected]
    assert failures["at once"] > 0
    assert failures["later"] > 50


def feed_with(allocations, cluster, text):
    """Feed lines from 501 on with so many allocations; what they gave, and if it failed."""
    try:
        with failing_after(allocations):
            return [cluster.feed(text, first_line=501)], False
    except MemoryError:  # before anything was sent
        return [], True
    except FeedError as error:
        failure = error
    assert str(failure).startswith(f"{failure.applied} lines sent: ")
    assert failure.fed.lines == failure.applied
    with pytest.raises(RuntimeError, match="call finish first"):
        cluster.feed(text)
    return [failure.fed, finish(cluster)], True


def finish(cluster):
    """Finish, with ever more memory."""
    for allocations in range(1000):
        try:
            with failing_after(allocations):
                return cluster.finish()
        except MemoryError:
            pass
    raise AssertionError("it never finishes")


def test_shards_get_columns_only():
    """The bytes of a batch do not depend on how long lines are."""
    sizes = {}
    for note in ("", "x" * 1000):
        for name in ("{}", "ann{}"):
            made = [
                json.loads(lines.purchase(name.format(number), "5"))
                for number in range(1, 101)
            ]
            text = "\n".join(json.dumps({**event, "note": note}) for event in made)
            cluster = ClusterDetector(1, 50, shards=3, batch_events=30)
            assert cluster.feed(text) == Fed(100, [], [])
            sizes[note, name] = cluster.exchange.traffic.bytes["batch"]
            assert cluster.exchange.traffic.messages["batch"] == 3 * 4
    # A byte for the kind, and eight each for time, amount and both ids.
    assert sizes["", "{}"] == sizes["x" * 1000, "{}"] == 3 * 100 * 33
    # Offsets, one more than rows in each of two columns of four batches, and 492 letters.
    assert sizes["", "ann{}"] == sizes["x" * 1000, "ann{}"] == 3 * (100 * 33 + 2 * 4 * 8 + 492)


def test_the_last_line_of_what_stops_early():
    text = b"".join([b"\n", lines.befriend("1", "2"), b"x\n", b"\n", lines.befriend("2", "3")])
    cluster = ClusterDetector(1, 2)
    fed = cluster.feed(text, strict=True, log="a.json", first_line=5)
    assert (fed.lines, fed.rejected[0][:2]) == (3, ("a.json", 7))
    assert cluster.counts.befriends == 1
    assert cluster.feed(b"") == Fed(0, [], [])
    assert cluster.feed([]) == Fed(0, [], [])
    assert cluster.feed(b"\n\nx") == Detector(1, 2).feed(b"\n\nx")


def test_sums_beyond_128_bits():
    largest = "999999999999.999999"
    text = [lines.befriend("1", "2"), *[lines.purchase("1", largest)] * 400]
    text += [lines.purchase("1", 0), lines.purchase("2", largest)]
    expected = Detector(1, 1000, 0).feed(text)
    assert expected.flags[0].squares > 2**128
    for shards in (1, 2, 3):
        assert ClusterDetector(1, 1000, 0, shards=shards).feed(text) == expected


@pytest.mark.parametrize(
    ("given", "options", "error", "message"),
    [
        (b"", {"max_line": 0}, ValueError, "max_line"),
        (b"", {"max_rejected": 0}, ValueError, "max_rejected: 0 is not in"),
        ({"id": 1}, {}, TypeError, r"pass the event as a line, json.dumps\(event\)"),
        ([1], {}, TypeError, "expected bytes or str, got int"),
    ],
)
def test_wrong_use(given, options, error, message):
    cluster = ClusterDetector(1, 2)
    with pytest.raises(error, match=message):
        cluster.feed(given, **options)
    assert cluster.counts.events == 0


@contextmanager
def failing_read(error, place):
    """Raise an error when a line is decoded by `reread`, at the call of that number."""
    calls = count()

    def trace(frame, _event, _argument):
        if frame.f_code.co_name == "reread" and next(calls) == place:
            raise error

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("batch_events", [1, 3, 200])
def test_reading_fails(batch_events):
    again = b'{"\\u0061": 1e999}\n'  # read again in Python
    pair = lines.befriend("1", "2")
    bought = [lines.purchase(1 + n % 2, n) for n in range(9)]
    text = b"".join([pair, b"\n", *bought[:4], again, *bought[4:], b"x\n", again, pair])
    for place, applied in ((0, 6), (1, 13)):
        single = Detector(1, 5, 0)
        cluster = ClusterDetector(1, 5, 0, batch_events=batch_events)
        with failing_read(MemoryError(), place), pytest.raises(FeedError) as expected:
            single.feed(text)
        with failing_read(MemoryError(), place), pytest.raises(FeedError) as failed:
            cluster.feed(text)
        rest = cluster.finish()
        assert isinstance(rest, Fed)
        assert failed.value.applied == expected.value.applied == applied
        assert failed.value.fed.lines == applied
        assert failed.value.fed.flags + rest.flags == expected.value.fed.flags
        assert failed.value.fed.rejected == expected.value.fed.rejected
        assert len(failed.value.fed.rejected) == 2 * place
        assert cluster.counts == single.counts
        with failing_read(KeyboardInterrupt(), place), pytest.raises(KeyboardInterrupt):
            cluster.feed(text)
        cluster.finish()
        single.feed(b"".join(text.splitlines(keepends=True)[:applied]))
        check_same(cluster, single)


def read_all(text):
    """Return the columns of a text whose ids are not numbers, as arrays and bytes."""
    scanner = LineColumns(text, max_line=1000, log="", first_line=1, max_rejected=10)
    numbers, columns, adjusted, _places = scanner.read(1024)
    assert not numbers
    assert adjusted == (0, 0)
    kinds, times_us, users, friends, amounts_units = columns
    return (
        np.frombuffer(kinds, np.uint8),
        np.frombuffer(times_us, np.int64),
        users,
        friends,
        np.frombuffer(amounts_units, np.int64),
    )


def test_columns_of_texts_that_are_damaged():
    text = b"".join(
        lines.befriend(f"ä{n}", "b") + lines.purchase(f"ä{n}", n) for n in range(4)
    )
    kinds, times_us, users, friends, amounts_units = read_all(text)
    engine = ShardEngine(0, 1, 1, 2, 3, 1)
    engine.feed(0, kinds, times_us, users, friends, amounts_units, judged=True)
    assert engine.seq == int((kinds == PURCHASE).sum()) == 4
    refused = Counter()
    rng = Random(1)
    for _ in range(3000):
        damaged = [users, friends]
        which, place = rng.randrange(2), rng.randrange(1000)
        one = damaged[which]
        place %= len(one)
        cut = one[:place]
        changed = cut + bytes([rng.randrange(256)]) + one[place + 1 :]
        damaged[which] = rng.choice((cut, changed))
        fresh = ShardEngine(0, 1, 1, 2, 3, 1)
        try:
            fresh.feed(0, kinds, times_us, damaged[0], damaged[1], amounts_units, judged=True)
        except ValueError as error:
            refused[str(error).rpartition(": ")[2]] += 1
            assert fresh.seq == 0
        fresh.check()
    for reason in ("not UTF-8", "an offset is out of range"):
        assert refused[reason] > 0, refused
    assert sum(refused.values()) > 1000
