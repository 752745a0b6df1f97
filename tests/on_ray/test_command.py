"""detect --cluster: the files of one process, checkpoints of both kinds, metrics, errors."""

import signal
import subprocess
import sys

import pytest
import ray
from cli.commandline import PATIENCE, wait_until
from cli.exposition import samples
from crash.longlogs import long_log
from lines import parameters

from fastanomaly import UsageError, detect

FASTANOMALY = (sys.executable, "-m", "fastanomaly")
COMMAND = (*FASTANOMALY, "detect", "batch.json", "-", "out")
TABLE = ("-D", "2", "-T", "20", "-k", "1", "--split", "0.5", "--quiet")
OUTPUTS = ("out", "rejects")
STREAM = [long_log(number, 3000) for number in (2, 3, 4)]


@pytest.fixture
def cluster(local_ray):
    """Return the options for a Ray that runs already."""
    return ("--cluster", ray.get_runtime_context().gcs_address, "--shards", "3")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "batch.json").write_bytes(parameters(3, 9) + long_log(1, 3000))
    return tmp_path


def run(folder, stream, *options):
    return subprocess.run(
        [*COMMAND, *options],
        cwd=folder,
        input=stream,
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )


def written(folder, stream, *options):
    """Return what a run that ends well has written."""
    ended = run(folder, stream, "--quiet", "--rejects", "rejects", *options)
    assert ended.returncode == 0, ended.stderr
    return [(folder / name).read_bytes() for name in OUTPUTS]


def summary(ended):
    """Return what follows the line that has the time, before which notices may stand."""
    _, done, after = ended.stderr.partition(b" done: ")
    assert done
    return after.splitlines()[1:]


@pytest.mark.parametrize("reading", [(), ("--round-amounts", "--time-unit", "iso")])
def test_outputs_metrics_and_summary(folder, cluster, reading):
    stream = b"".join(STREAM).replace(b'.00"', b'.0000001"')
    expected = written(folder, stream, *reading)
    ended = run(folder, stream, *reading, "--rejects", "rejects", "--metrics", "m", *cluster)
    assert ended.returncode == 0, ended.stderr
    assert [(folder / name).read_bytes() for name in OUTPUTS] == expected
    alone = run(folder, stream, *reading, "--rejects", "rejects")
    assert summary(ended) == summary(alone)
    found = samples((folder / "m").read_text())
    events = sum(found["fastanomaly_events_total", kind] for kind in ("purchase", "befriend"))
    events += found["fastanomaly_events_total", "unfriend"]
    for number in "012":
        assert found["fastanomaly_shard_events_total", number] == events > 5000
        assert found["fastanomaly_shard_memory_bytes", number] > 0
        assert found["fastanomaly_shard_judged_total", number] > 500
        assert ("fastanomaly_shard_lag_batches", number) in found
    assert found["fastanomaly_shard_asks_total", "0"] >= 0
    assert found["fastanomaly_state_bytes", "purchases"] > 0
    assert not any(name.startswith("fastanomaly_judging") for name, *_ in found)


def test_a_run_moves_between_one_process_and_clusters(folder, cluster):
    """The stream grows, and each run resumes from the checkpoint of the one before it."""
    expected = written(folder, b"".join(STREAM))
    kept = ("--checkpoint", "kept")
    wheres = [(), cluster, (*cluster[:3], "2"), (), cluster]
    whole = b"".join(STREAM)
    lines = whole.splitlines(keepends=True)
    (folder / "stream.json").write_bytes(b"")
    for number, where in enumerate(wheres, 1):
        end = len(lines) * number // len(wheres)
        (folder / "stream.json").write_bytes(b"".join(lines[:end]))
        options = ["--follow", "--until-idle", "0.5", "--rejects", "rejects", "-q"]
        command = [*COMMAND[:5], "stream.json", "out", *options, *kept, *where]
        subprocess.run(command, cwd=folder, check=True, timeout=PATIENCE)
        kinds = {path.name.split("-")[0] for path in (folder / "kept").iterdir()}
        assert kinds - {"lock"} == {"snapshot" if where else "checkpoint"}
    found = [(folder / name).read_bytes() for name in OUTPUTS]
    assert found[0] == expected[0]
    assert found[1] == expected[1].replace(b"-\t", b"stream.json\t")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal(folder, cluster, signum):
    """What was read is judged and written, and a snapshot."""
    expected = written(folder, STREAM[0])
    (folder / "rejects").unlink()
    options = ("--quiet", "--rejects", "rejects", "--checkpoint", "kept", *cluster)
    command = [*COMMAND, *options]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(STREAM[0])
        process.stdin.flush()
        rejects = folder / "rejects"
        wait_until(lambda: rejects.exists() and rejects.read_bytes() == expected[1], "rejects")
        process.send_signal(signum)
        assert process.wait(PATIENCE) == 128 + signum
    assert [(folder / name).read_bytes() for name in OUTPUTS] == expected
    assert list(folder.glob("kept/snapshot-*/manifest.json"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--shards", "2"), "--shards: has no effect without --cluster"),
        (("--cluster", "local", "--shards", "0"), "--shards: 0 is not in 1..1024"),
        (("--cluster", "local", "--shards", "two"), "--shards: expected a whole number"),
        (("--cluster", "127.0.0.1:1"), "127.0.0.1:1: cannot connect to Ray: "),
        (("--cluster", "here:there"), "here:there: cannot connect to Ray: "),
        (("--cluster", "here"), "here: cannot connect to Ray: "),
    ],
)
def test_wrong_options(folder, options, message):
    ended = run(folder, b"", *options)
    assert ended.returncode == 2
    assert message in ended.stderr.decode()
    assert not (folder / "out").exists()


def test_tables(folder, cluster):
    """One table with its history, from CSV to Parquet; then the same from a checkpoint."""
    pytest.importorskip("pyarrow")
    sizes = ("--users", "200", "--batch-events", "3000", "--stream-events", "3000", "-q")
    simulate = ("simulate", "-o", "events.csv", *sizes)
    for words in (simulate, ("detect", "events.csv", "-o", "one.csv", *TABLE)):
        subprocess.run([*FASTANOMALY, *words], cwd=folder, check=True)
    kept = ("--checkpoint", "kept", "--every", "1000")
    detect = ("detect", "events.csv", "-o", "two.csv", *TABLE, *kept, *cluster)
    subprocess.run([*FASTANOMALY, *detect], cwd=folder, check=True)
    assert (folder / "two.csv").read_bytes() == (folder / "one.csv").read_bytes()
    assert (folder / "one.csv").read_bytes().count(b"\n") > 10


def test_another_method_is_for_one_process(folder):
    logs = folder / "batch.json", "-", folder / "out"
    with pytest.raises(UsageError, match="method: 'ball' is not possible on a cluster"):
        detect(*logs, method="ball", cluster="local")
