"""Snapshots that are damaged, cut off by a kill, or for which memory runs out.

They give an error that names the file, or the snapshot before, but never another answer.
"""

import json
import os
import shutil
import signal
import time
import zlib
from collections import Counter
from random import Random

import numpy as np
import profiles
import pytest
from allocations import failing_after
from clusterlogs import buy, growing_log, rows
from deliveries import check_same, flags_bytes, shards_of

from fastanomaly import CheckpointError, Detector
from fastanomaly.cluster import ClusterDetector
from fastanomaly.snapshots.manifest import manifest_text
from fastanomaly.snapshots.parts import StateFiles

KILLS = profiles.current().kills
SHARDS = 2
NEXT = rows(*(buy(1 + n % 9, 9000 + n, 10 ** (1 + n % 5)) for n in range(60)))


def small_cluster(rows_of_log=150):
    """Return a cluster to which the first events of a log were fed."""
    columns = [column[:rows_of_log] for column in growing_log()]
    cluster = ClusterDetector(2, 5, "0.5", shards=SHARDS, batch_events=100)
    cluster.feed_columns(*columns)
    return cluster


def answers(detector):
    """Return what a cluster or a detector answers next, and its counts after that."""
    flags = flags_bytes(detector.feed_columns(*NEXT))
    for shard in [] if isinstance(detector, Detector) else shards_of(detector):
        shard.check()
    return flags, detector.counts


def loaders(path):
    """Yield what loads a snapshot: with as many shards, with others, as one process."""
    yield lambda: ClusterDetector.load(path)
    yield lambda: ClusterDetector.load(path, shards=3)
    yield lambda: Detector.load(path)


@pytest.fixture
def snapshot(tmp_path):
    """Return the folder of a snapshot, alone in its folder."""
    small_cluster().save(tmp_path / "kept")
    return tmp_path / "kept" / "snapshot-000000000001"


@pytest.fixture
def expected():
    return answers(small_cluster())


def check_refused_or_same(path, expected, name=""):
    """Check each way of loading; an error names the file. Returns how many were refused."""
    errors = []
    for loader in loaders(path):
        try:
            loaded = loader()
        except CheckpointError as error:
            errors.append(str(error))
        else:
            assert answers(loaded) == expected
    assert all(name in error for error in errors), errors
    return len(errors)


FILES = ("manifest.json", "shard-0000-of-0002", "shard-0001-of-0002")


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit(snapshot, expected, name):
    """The shard itself reads its whole file, others do not read `newest_us`.

    And of the second file, they only read the purchases.
    """
    path, rng = snapshot / name, Random(1)
    whole = path.read_bytes()
    places = range(len(whole)) if name == FILES[0] else rng.sample(range(len(whole)), 300)
    found = set()
    for place in [*places, *range(40)]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        found.add(check_refused_or_same(snapshot, expected, name))
        with pytest.raises(CheckpointError, match=name):
            ClusterDetector.load(snapshot)
    assert found == ({3} if name == FILES[0] else {1, 3})


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file(snapshot, expected, name):
    path = snapshot / name
    whole = path.read_bytes()
    lengths = Random(1).sample(range(len(whole)), 100)
    for length in (0, 1, 15, 16, 31, 32, len(whole) - 1, *lengths):
        path.write_bytes(whole[:length])
        assert check_refused_or_same(snapshot, expected, name) == 3
    path.write_bytes(whole + b"\0")
    assert check_refused_or_same(snapshot, expected, name) == 3


@pytest.mark.parametrize("name", FILES[1:])
def test_a_missing_file(snapshot, expected, name):
    (snapshot / name).unlink()
    assert check_refused_or_same(snapshot, expected, f"{name}: missing") == 3


def test_a_missing_manifest(snapshot, expected):
    (snapshot / "manifest.json").unlink()
    kept = snapshot.parent
    for path in (kept, snapshot):
        assert (
            check_refused_or_same(path, expected, "there is no snapshot in this folder") == 3
        )
    small_cluster().save(kept)
    assert [path.name for path in kept.iterdir()] == ["snapshot-000000000002"]
    assert check_refused_or_same(kept, expected) == 0


def test_files_that_are_swapped(snapshot, expected):
    """Of another shard, of another snapshot of the same state, or of a single detector."""
    first, second = (snapshot / name for name in FILES[1:])
    whole = first.read_bytes()
    shutil.copy(second, first)
    assert check_refused_or_same(snapshot, expected, "of another shard") == 3
    small_cluster().save(snapshot.parent)
    shutil.copy(snapshot.parent / "snapshot-000000000002" / first.name, first)
    assert check_refused_or_same(snapshot, expected, "not of this snapshot") == 3
    single = Detector(2, 5, "0.5")
    single.save(first)
    assert check_refused_or_same(snapshot, expected, "not of this snapshot") == 3
    first.write_bytes(whole)
    assert check_refused_or_same(snapshot, expected) == 0
    for load in (Detector.load, ClusterDetector.load):
        with pytest.raises(CheckpointError, match="the file of one shard: load the folder"):
            load(first)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("format", 2),
        ("shards", 0),
        ("shards", 3),
        ("shards", "2"),
        ("token", 5),
        ("files", []),
        ("files", [{"name": "../x", "bytes": 1}] * 2),
        ("state", {"seq": 1}),
        ("state", {"seq": -1, "flags": 0}),
        ("detector", {"degree": 2}),
        ("detector", 5),
    ],
)
def test_a_manifest_with_other_members(snapshot, expected, member, value):
    path = snapshot / "manifest.json"
    members = json.loads(path.read_bytes())
    path.write_bytes(manifest_text({**members, member: value}))
    assert check_refused_or_same(snapshot, expected, "manifest.json: ") == 3


def test_the_snapshot_before_is_read(tmp_path, expected):
    cluster = small_cluster()
    cluster.save(tmp_path)
    cluster.feed_columns(*NEXT)
    cluster.save(tmp_path)
    newest = tmp_path / "snapshot-000000000002" / FILES[1]
    damaged = bytearray(newest.read_bytes())
    damaged[50] ^= 1
    newest.write_bytes(damaged)
    notices = []
    loaded = ClusterDetector.load(tmp_path, notice=notices.append)
    (notice,) = notices
    assert str(newest) in notice
    assert "wrong checksum" in notice
    assert notice.endswith("; trying the snapshot before it")
    with pytest.warns(UserWarning, match="trying the snapshot before it"):
        assert answers(Detector.load(tmp_path)) == expected
    # The one that was whole is kept when the next is written, the damaged one is not.
    loaded.save(tmp_path)
    assert sorted(path.name[-1] for path in tmp_path.iterdir()) == ["1", "3"]
    assert answers(loaded) == expected
    loaded.save(tmp_path)
    assert sorted(path.name[-1] for path in tmp_path.iterdir()) == ["3", "4"]
    for path in tmp_path.glob("*/shard-0001-of-0002"):
        path.write_bytes(b"")
    with (
        pytest.warns(UserWarning, match=r"snapshot-000000000004.*trying the snapshot before"),
        pytest.raises(CheckpointError, match=r"snapshot-000000000003.*not a checkpoint"),
    ):
        ClusterDetector.load(tmp_path)


ITEM_BYTES = {"bytes": 1, "int32": 4, "int64": 8, "purchase": 24}


def arrays_of(path):
    """Return the header of a file, and its arrays by name."""
    data = path.read_bytes()
    length = int.from_bytes(data[24:32], "little")
    header, arrays = json.loads(data[32 : 32 + length]), {}
    for array in header["arrays"]:
        start = 32 + length + array["offset"]
        end = start + array["items"] * ITEM_BYTES[array["kind"]]
        arrays[array["name"]] = data[start:end]
    return header, arrays


def rewrite(path, **changed):
    """Write a file again with other arrays, and right checksums."""
    header, arrays = arrays_of(path)
    content, offset = b"", 0
    for array in header["arrays"]:
        data = changed.get(array["name"], arrays[array["name"]])
        array.update(items=len(data) // ITEM_BYTES[array["kind"]], offset=offset)
        content += data + bytes(-len(data) % 8) + zlib.crc32(data).to_bytes(8, "little")
        offset = len(content)
    text = json.dumps({**header, "arrays_bytes": offset}).encode()
    text += b" " * (-len(text) % 8)
    sizes = b"".join(n.to_bytes(w, "little") for n, w in ((1, 4), (zlib.crc32(text), 4)))
    length = len(text).to_bytes(8, "little")
    path.write_bytes(b"fastanomaly ckpt" + sizes + length + text + content)


def test_newest_times_that_no_events_have_made(snapshot, expected):
    """Each of them, whether the shard's own or another's, and whatever it is changed to."""
    path = snapshot / FILES[1]
    whole = path.read_bytes()
    newest = np.frombuffer(arrays_of(path)[1]["newest_us"], np.int64)
    messages = set()
    for uid in range(len(newest)):
        for value in {-(2**63), 0, 2**62} - {int(newest[uid])}:
            other = newest.copy()
            other[uid] = value
            rewrite(path, newest_us=other.tobytes())
            with pytest.raises(CheckpointError, match="impossible state") as caught:
                ClusterDetector.load(snapshot)
            messages.add("fit the recency log" in str(caught.value))
            path.write_bytes(whole)
    assert messages == {False, True}
    assert check_refused_or_same(snapshot, expected) == 0


def test_purchases_that_are_missing(snapshot, expected):
    path = snapshot / FILES[2]
    arrays = arrays_of(path)[1]
    rewrite(path)
    assert check_refused_or_same(snapshot, expected) == 0
    assert arrays["purchases"]
    rewrite(path, purchase_counts=bytes(len(arrays["purchase_counts"])), purchases=b"")
    assert check_refused_or_same(snapshot, expected, f"{FILES[2]}: altered: impossible") == 3


def test_purchases_of_another_shard(snapshot, expected):
    first, second = (snapshot / name for name in FILES[1:])
    of_first = arrays_of(first)[1]
    rewrite(second, **{name: of_first[name] for name in ("purchase_counts", "purchases")})
    assert check_refused_or_same(snapshot, expected, "are another shard's") == 3


@pytest.mark.parametrize("name", FILES[1:])
def test_altered_arrays_with_right_checksums(snapshot, name):
    """They are refused, or are a state that works."""
    path, rng = snapshot / name, Random(1)
    whole, arrays = path.read_bytes(), arrays_of(path)[1]
    counted = Counter()
    for array, data in arrays.items():
        for _ in range(40):
            altered = bytearray(data)
            place = rng.randrange(len(altered)) if altered else 0
            altered[place : place + rng.choice((1, 4, 8))] = rng.choice(
                (bytes(8), b"\xff" * 8, rng.randbytes(1), rng.randbytes(4), b"")
            )
            del altered[len(data) // 8 * 8 :]
            rewrite(path, **{array: bytes(altered)})
            for loader in loaders(snapshot):
                try:
                    answers(loader())
                    counted["works"] += 1
                except CheckpointError:
                    counted["refused"] += 1
        path.write_bytes(whole)
    assert counted["works"] > 50
    assert counted["refused"] > 300


@pytest.mark.parametrize("shards", [1, 2, 3])
def test_each_allocation_fails_in_turn(tmp_path, shards):
    saved = small_cluster(700)
    saved.save(tmp_path)
    (snapshot,) = tmp_path.iterdir()
    manifest = json.loads((snapshot / "manifest.json").read_bytes())
    names = tuple(str(snapshot / file["name"]) for file in manifest["files"])
    files = StateFiles(names, manifest["token"])
    cluster = ClusterDetector(2, 5, "0.5", shards=shards)
    cluster.feed_columns(*rows(buy(1, 1, 1)))
    before = cluster.counts
    shard = shards_of(cluster)[0]
    for allocations in range(10_000):
        try:
            with failing_after(allocations):
                shard.load(files)
            break
        except MemoryError:
            assert cluster.counts == before
            shard.check()
    assert allocations > 20
    cluster.exchange.load(files)
    counts = cluster.counts
    assert counts._replace(flags=0) == saved.counts._replace(flags=0)
    for shard in shards_of(cluster):
        shard.check()


def test_a_snapshot_that_cannot_be_written(tmp_path, expected):
    cluster = small_cluster()
    cluster.save(tmp_path / "kept")
    other = ClusterDetector(2, 5)
    other.feed_columns(*NEXT)
    for allocations in range(1000):
        try:
            with failing_after(allocations):
                other.save(tmp_path / "kept")
            break
        except MemoryError:
            names = [path.name for path in (tmp_path / "kept").iterdir()]
            assert names == ["snapshot-000000000001"]
            assert check_refused_or_same(tmp_path / "kept", expected) == 0
    assert allocations > 1
    if os.geteuid() != 0:
        (tmp_path / "kept").chmod(0o500)
        with pytest.raises(PermissionError):
            other.save(tmp_path / "kept")
        (tmp_path / "kept").chmod(0o700)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        other.save(tmp_path / "file" / "kept")


def test_kills_while_saving(tmp_path):
    """What is loaded then is one of the states that were being saved, the last or later."""
    rng, states = Random(1), []
    cluster = small_cluster()
    parts = [[column[n : n + 1] for column in NEXT] for n in range(60)]
    for part in [*parts, parts[0]]:
        states.append(cluster.counts)
        cluster.feed_columns(*part)
    reached = 0
    for kill in range(max(20, KILLS)):
        pid = os.fork()
        if pid == 0:
            try:
                cluster = small_cluster() if kill == 0 else ClusterDetector.load(tmp_path)
                cluster.save(tmp_path)
                for part in parts[states.index(cluster.counts) :]:
                    cluster.feed_columns(*part)
                    cluster.save(tmp_path)
            finally:
                os._exit(0)
        while kill == 0 and not list(tmp_path.glob("*/manifest.json")):
            time.sleep(0.001)
        time.sleep(rng.random() * 0.2)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        before, reached = reached, states.index(ClusterDetector.load(tmp_path).counts)
        assert reached >= before
        assert Detector.load(tmp_path).counts == states[reached]
    assert reached > 0
    check_same(ClusterDetector.load(tmp_path, shards=3), Detector.load(tmp_path))
