"""What continues from a snapshot gives what the cluster gives that never stopped."""

import json
from collections import Counter
from functools import partial
from random import Random

import batches
import profiles
import pytest
from adjusting import adjusted, reading_of
from clusterlogs import befriend, buy, crowd, growing_log, rows
from deliveries import SeededExchange, check_same, flags_bytes, seeded_cluster, shards_of
from randomlogs import random_logs

from fastanomaly import CheckpointError, Detector
from fastanomaly.cli.main import main
from fastanomaly.cluster import ClusterDetector
from fastanomaly.snapshots.parts import StateFiles

LOGS = profiles.current().cluster_logs
CHUNK = 50
SHARDS = (1, 2, 3, 5)


def load(path, seed, **options):
    """Return a cluster, of what was saved, that a SeededExchange connects."""
    make_exchange = partial(SeededExchange, seed=seed)
    return ClusterDetector.load(path, make_exchange=make_exchange, **options)


def moved(rng, detector, path, seed):
    """Return what is loaded after saving: a cluster of any K, or a single process."""
    detector.save(path)
    if rng.random() < 0.3:
        return Detector.load(path)
    shards = None if rng.random() < 0.3 else rng.choice(SHARDS)
    return load(path, seed, shards=shards, batch_events=rng.choice((1, 20, 100)))


def check(detector, single):
    """Check that a cluster or a detector has applied and keeps what another detector does."""
    if isinstance(detector, Detector):
        batches.same_state(detector, single)
    else:
        check_same(detector, single)


def parts_of(rng, columns):
    """Return columns cut at random places, some parts of which may be empty."""
    count = len(columns[0])
    cuts = sorted(rng.randrange(count + 1) for _ in range(rng.choice((1, 2, 4))))
    pairs = zip([0, *cuts], [*cuts, count], strict=True)
    return [[column[start:end] for column in columns] for start, end in pairs]


def compare(folder, seed, columns, settings):
    """Compare one process with what is saved and loaded at random places."""
    rng = Random(seed)
    single = Detector(*settings)
    detector = seeded_cluster(seed, *settings, shards=rng.choice(SHARDS), batch_events=20)
    for number, part in enumerate(parts_of(rng, columns)):
        judge = number > 0 or rng.random() < 0.5
        expected = single.feed_columns(*part, judge=judge)
        found = detector.feed_columns(*part, judge=judge)
        assert flags_bytes(found) == flags_bytes(expected), seed
        check(detector, single)
        detector = moved(rng, detector, folder / f"{seed}-{number}", seed)
        check(detector, single)


@pytest.mark.parametrize("first_seed", range(0, LOGS, CHUNK))
def test_random_logs_that_are_cut(tmp_path, first_seed):
    for seed in range(first_seed, min(first_seed + CHUNK, LOGS)):
        logs = random_logs(seed)
        events = batches.events_of(logs.batch + logs.stream * 2, logs.max_line)
        if events:
            settings = logs.degree, logs.tracked, logs.sigmas
            compare(tmp_path, seed, batches.columns_of(events), settings)


@pytest.mark.parametrize("first_seed", range(0, LOGS, CHUNK))
def test_crowds_that_are_cut(tmp_path, first_seed):
    for seed in range(first_seed, min(first_seed + CHUNK, LOGS)):
        rng = Random(seed)
        columns = crowd(rng, rng.choice((4, 30, 300)), rng.choice((40, 400, 1000)))
        settings = rng.choice((1, 2, 3)), rng.choice((2, 3, 5, 20, 300)), 0
        compare(tmp_path, seed, columns, settings)


@pytest.mark.parametrize("tracked", [2, 30, 300])
def test_long_histories_and_hubs(tmp_path, tracked):
    columns = growing_log()
    for seed in range(5):
        compare(tmp_path, seed, columns, (2, tracked, 0))


def test_a_truncated_recency_log_and_late_purchases(tmp_path):
    """Of most users no purchase is in the log: `newest_us` is all that tells of them."""
    rng = Random(5)
    friends = [befriend(user, (user + step) % 300) for user in range(300) for step in (1, 7)]
    early = [buy(rng.randrange(300), number, number % 17) for number in range(3000)]
    many = [
        buy(300 + rng.randrange(50), 10**6 + number, number % 97) for number in range(67_000)
    ]
    late = [
        buy(
            rng.randrange(300), rng.choice((rng.randrange(4000), 2 * 10**6)), rng.randrange(99)
        )
        for _ in range(1500)
    ]
    start = len(friends) + len(early) + len(many)
    columns = rows(*friends, *early, *many, *late)
    before, after = (
        [column[part] for column in columns] for part in (slice(start), slice(start, None))
    )
    single = Detector(1, 20, 0)
    cluster = ClusterDetector(1, 20, 0, shards=3, batch_events=1000)
    for detector in (single, cluster):
        detector.feed_columns(*before, judge=False)
    cluster.save(tmp_path / "cluster")
    single.save(tmp_path / "single")
    expected = flags_bytes(single.feed_columns(*after))
    assert len(expected[0]) > 100 * 8
    for path, shards in (("cluster", 3), ("cluster", 2), ("cluster", 1), ("single", 4)):
        loaded = load(tmp_path / path, 1, shards=shards, batch_events=100)
        assert flags_bytes(loaded.feed_columns(*after)) == expected
        check_same(loaded, single)
    detector = Detector.load(tmp_path / "cluster")
    assert flags_bytes(detector.feed_columns(*after)) == expected
    batches.same_state(detector, single)


def small_cluster(shards=3, **options):
    """Return a cluster to which a few events were fed, and one process with the same."""
    columns = [column[:400] for column in growing_log()]
    cluster = ClusterDetector(2, 5, "0.5", shards=shards, batch_events=100, **options)
    single = Detector(2, 5, "0.5")
    for detector in (cluster, single):
        detector.feed_columns(*columns)
    return cluster, single


def test_what_is_in_the_folder(tmp_path):
    cluster, single = small_cluster()
    for number in (1, 2, 3, 4):
        cluster.save(tmp_path / "kept", run={"place": number})
        newest = tmp_path / "kept" / f"snapshot-{number:012}"
        files = [f"shard-{shard:04}-of-0003" for shard in range(3)]
        assert sorted(path.name for path in newest.iterdir()) == ["manifest.json", *files]
        older = [f"snapshot-{before:012}" for before in (number - 1,) if before]
        assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
            *older,
            newest.name,
        ]
        manifest = json.loads((newest / "manifest.json").read_bytes())
        assert manifest["number"] == number
        assert manifest["run"] == {"place": number}
        assert manifest["detector"] == {
            "degree": 2,
            "tracked": 5,
            "sigmas": "0.5",
            "method": "auto",
        }
        assert manifest["shards"] == 3
        assert manifest["state"]["seq"] == single.counts.purchases
        assert manifest["state"]["flags"] == single.counts.flags > 0
        for file in manifest["files"]:
            assert (newest / file["name"]).stat().st_size == file["bytes"]


def test_a_snapshot_by_its_own_name(tmp_path):
    cluster, single = small_cluster()
    cluster.save(tmp_path)
    cluster.feed_columns(*rows(buy(1, 9999, 5)))
    cluster.save(tmp_path)
    older = tmp_path / "snapshot-000000000001"
    check(Detector.load(older), single)
    check(ClusterDetector.load(older), single)
    assert ClusterDetector.load(tmp_path).counts == cluster.counts != single.counts


def test_only_its_own_file_is_read_with_the_same_shards(tmp_path):
    cluster, single = small_cluster()
    cluster.save(tmp_path)
    snapshot = tmp_path / "snapshot-000000000001"
    for number in range(3):
        others = [snapshot / f"shard-{n:04}-of-0003" for n in range(3) if n != number]
        for path in others:
            path.rename(path.with_suffix(".away"))
        shard = shards_of(cluster)[number]
        before = shard.counts()
        shard.load(files_of(snapshot))
        assert shard.counts() == before
        shard.check()
        for path in others:
            path.with_suffix(".away").rename(path)
    check_same(cluster, single)


def files_of(snapshot):
    """Return where a snapshot's files are, as shards are told."""
    manifest = json.loads((snapshot / "manifest.json").read_bytes())
    return StateFiles(
        tuple(str(snapshot / file["name"]) for file in manifest["files"]), manifest["token"]
    )


@pytest.mark.parametrize("shards", SHARDS)
def test_urls(tmp_path, shards):
    fsspec = pytest.importorskip("fsspec")
    cluster, single = small_cluster(shards)
    for base in (f"memory://shop/{shards}", f"file://{tmp_path}/kept", f"memory://{shards}"):
        for _ in range(3):
            cluster.save(base)
        check(Detector.load(base), single)
        check(ClusterDetector.load(base), single)
        check(load(base, 1, shards=3), single)
    assert len(list((tmp_path / "kept").iterdir())) == 2
    with pytest.raises(CheckpointError, match="shop: there is no snapshot"):
        Detector.load("memory://shop")
    fsspec.filesystem("memory").rm_file(f"/shop/{shards}/snapshot-000000000003/manifest.json")
    check(Detector.load(f"memory://shop/{shards}"), single)
    cluster.save(f"memory://shop/{shards}")
    names = fsspec.filesystem("memory").ls(f"/shop/{shards}", detail=False)
    assert sorted(names) == [f"/shop/{shards}/snapshot-{n:012}" for n in (2, 4)]


def test_the_file_of_a_detector_at_a_url(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    _, single = small_cluster()
    single.save(tmp_path / "state")
    fsspec.filesystem("memory").put_file(tmp_path / "state", "/states/one")
    check(Detector.load("memory://states/one"), single)
    check(ClusterDetector.load("memory://states/one", shards=3), single)
    with pytest.raises(FileNotFoundError):
        ClusterDetector.load("memory://states/none")


def test_a_checkpoint_of_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    logs = random_logs(3)
    (tmp_path / "batch.json").write_bytes(logs.batch)
    (tmp_path / "stream.json").write_bytes(logs.stream)
    options = ["-D", "2", "-T", "5", "--checkpoint", "kept", "--quiet"]
    assert main(["detect", "batch.json", "stream.json", "out", *options]) == 0
    (path,) = (tmp_path / "kept").glob("checkpoint-*")
    single, cluster = Detector.load(path), load(path, 3)
    assert cluster.exchange.shards == 2
    check_same(cluster, single)
    expected = single.feed(logs.stream, log="again")
    assert cluster.feed(logs.stream, log="again") == expected
    check_same(cluster, single)


def test_options_of_reading_and_their_counts_go_with_the_state(tmp_path):
    seen = Counter()
    for seed in range(LOGS // 4):
        logs, rng = random_logs(seed), Random(seed)
        settings, reading = (logs.degree, logs.tracked, logs.sigmas), reading_of(rng)
        single = Detector(*settings, **reading)
        detector = seeded_cluster(seed, *settings, shards=rng.choice(SHARDS), **reading)
        for number in range(3):
            log = adjusted(rng.choice((logs.batch, logs.stream)), reading, rng)
            options = {"max_line": logs.max_line, "first_line": number + 1}
            assert detector.feed(log, **options) == single.feed(log, **options), seed
            detector = moved(rng, detector, tmp_path / f"{seed}-{number}", seed)
            check(detector, single)
            for name in ("degree", "tracked", "sigmas", "round_amounts", "time_unit"):
                assert getattr(detector, name) == getattr(single, name), name
            seen[type(detector), *sorted(reading)] += 1
        seen["rounded"] += single.counts.rounded_amounts
        seen["cut"] += single.counts.cut_times
    assert len(seen) == 2 * 4 + 2
    assert min(seen["rounded"], seen["cut"]) > 20, seen


def test_a_time_that_shards_cannot_have(tmp_path):
    single = Detector(1, 5)
    single._engine.purchase(1, -(2**63), 5, False)  # outside the years 1 to 9999
    single.save(tmp_path / "state")
    with pytest.raises(CheckpointError, match=r"user 0 has a purchase at -2\^63"):
        ClusterDetector.load(tmp_path / "state", shards=1)


def test_flags_are_counted_on(tmp_path):
    cluster, single = small_cluster()
    columns = rows(*(buy(1, 9000 + n, 10 ** (1 + n % 5)) for n in range(50)))
    for number in range(3):
        cluster.save(tmp_path)
        cluster = ClusterDetector.load(tmp_path, shards=number + 1)
        for detector in (cluster, single):
            detector.feed_columns(*columns)
        assert cluster.counts.flags == single.counts.flags
    assert cluster.counts.flags > 0


def test_saving_waits_for_verdicts(tmp_path):
    cluster, single = small_cluster()
    cluster.exchange.send(
        cluster._sequencer.batch(rows(buy(1, 9999, 5)), 1, lambda table: table, judged=True)
    )
    with pytest.raises(RuntimeError, match="call finish first"):
        cluster.save(tmp_path)
    assert not list(tmp_path.iterdir())
    cluster._result = lambda found: found
    cluster.finish()
    cluster.save(tmp_path)
    assert ClusterDetector.load(tmp_path).counts.purchases == single.counts.purchases + 1
