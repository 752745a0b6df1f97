"""detect --checkpoint: resumed and finished runs, other jobs, damaged files."""

import gzip
import json
import os
import pickle
import signal
import zlib
from typing import Any

import numpy as np
import pytest
from cli.commandline import (
    BATCH,
    FLAGS,
    STREAM,
    file_size_limit,
    wait_until,
)
from cli.flags import wait_for_flags
from cli.wronguse import check_refused
from lines import befriend

from fastanomaly import CheckpointError, Detector

KEEP = ("--checkpoint", "kept")
LOGS = ("batch.json", "stream.json", "out")
MORE = STREAM + b"garbage\n" + STREAM * 2


def checkpoints(folder):
    return sorted(path for path in (folder / "kept").iterdir() if "checkpoint-" in path.name)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_finished_run_is_not_repeated(folder, run):
    run("detect", *LOGS, *KEEP)
    before = contents(folder)
    again = run("detect", *LOGS, *KEEP)
    assert again.status == 0
    assert "already done" in again.err
    assert "1 flagged" in again.err
    assert contents(folder) == before
    with (folder / "stream.json").open("ab") as stream:
        stream.write(STREAM)
    assert run("detect", *LOGS, *KEEP, "--fresh").status == 0
    assert (folder / "out").read_bytes() == FLAGS * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-D", "2"), "D was 3 and is now 2"),
        (("-T", "60"), "T was 50 and is now 60"),
        (("-k", "2"), "k was 3/1 and is now 2/1"),
        (("--max-line", "1000"), "max-line was 1048576 and is now 1000"),
        (("--rejects", "r"), "rejects was None and is now"),
    ],
    ids=["D", "T", "k", "max-line", "rejects"],
)
def test_checkpoints_of_another_job_are_refused(folder, run, options, message):
    run("detect", *LOGS, *KEEP)
    before = contents(folder)
    ended = run("detect", *LOGS, *KEEP, *options)
    assert ended.status == 2
    assert message in ended.err
    assert contents(folder) == before
    assert run("detect", *LOGS, *KEEP, *options, "--fresh").status == 0


def test_other_paths_of_the_same_files_are_the_same_job(folder, run):
    run("detect", *LOGS, *KEEP)
    (folder / "link").symlink_to("stream.json")
    ended = run("detect", "./batch.json", "link", "out", "-D", "3", "-k", "3.0", *KEEP)
    assert (ended.status, "already done" in ended.err) == (0, True)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_resumes(folder, start, run, signum):
    options = ("out", "--rejects", "rejects", "--summary-json", "summary", *KEEP)
    os.mkfifo(folder / "pipe")
    process = start("detect", "batch.json", "pipe", *options)
    with (folder / "pipe").open("wb", buffering=0) as pipe:
        pipe.write(MORE + b"half a line")
        wait_for_flags(folder, 3)
        process.send_signal(signum)
        assert process.wait(300) == 128 + signum
    assert len(checkpoints(folder)) >= 1
    process = start("detect", "batch.json", "pipe", *options)
    with (folder / "pipe").open("wb", buffering=0) as pipe:
        pipe.write(b"dirt\n" + STREAM)
    assert process.wait(300) == 0
    assert (folder / "out").read_bytes() == FLAGS * 4
    rejects = (folder / "rejects").read_bytes().splitlines()
    assert [row.split(b"\t")[1] for row in rejects] == [b"2", b"5"]
    assert b'"flags": 4' in (folder / "summary").read_bytes()
    assert b'"not_json": 2' in (folder / "summary").read_bytes()


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gz"])
def test_a_log_that_has_grown_is_resumed(folder, run, compressed):
    name = "stream.json.gz" if compressed else "stream.json"

    def write(data):
        (folder / name).write_bytes(gzip.compress(data) if compressed else data)

    write(MORE)
    ended = run("detect", "batch.json", name, "out", *KEEP, under=file_size_limit(10**6))
    assert ended.status == 0
    # As if the run had been killed before it wrote its last checkpoint.
    checkpoints(folder)[-1].unlink()
    write(MORE + STREAM)
    run("detect", "batch.json", name, "out", *KEEP, "--every", "2")
    assert (folder / "out").read_bytes() == FLAGS * 4


def test_a_different_log_is_refused(folder, run):
    (folder / "stream.json").write_bytes(MORE * 100)
    run("detect", *LOGS, *KEEP, "--every", "20")
    checkpoints(folder)[-1].unlink()
    out = (folder / "out").read_bytes()
    for data, message in ((b"", "0 bytes"), (MORE[::-1] * 100, "its text before byte")):
        (folder / "stream.json").write_bytes(data)
        ended = run("detect", *LOGS, *KEEP, "--every", "20")
        assert ended.status == 2
        assert "stream.json: not the log that was read before" in ended.err
        assert message in ended.err
        assert (folder / "out").read_bytes() == out


def test_a_truncated_output_is_refused(folder, run):
    (folder / "stream.json").write_bytes(MORE * 100)
    run("detect", *LOGS, *KEEP, "--every", "20")
    checkpoints(folder)[-1].unlink()
    (folder / "out").write_bytes(b"")
    ended = run("detect", *LOGS, *KEEP, "--every", "20")
    assert ended.status == 2
    assert "out: has 0 bytes, but" in ended.err


def invalid_run_state(data):
    """Return the file with an invalid run state and a correct checksum."""
    length = int.from_bytes(data[24:32], "little")
    text = data[32 : 32 + length].replace(b'"out_bytes":', b'"bytes_out":')
    crc = zlib.crc32(text).to_bytes(4, "little")
    return data[:20] + crc + data[24:32] + text + data[32 + length :]


DAMAGES = {
    "altered run state": invalid_run_state,
    "truncated": lambda data: data[:-9],
    "altered": lambda data: data[:-50] + bytes([data[-50] ^ 1]) + data[-49:],
    "altered header": lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:],
    "not a checkpoint": lambda data: b"PK" + data,
    "newer": lambda data: data[:16] + b"\x02" + data[17:],
    "empty": lambda data: b"",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_reported_and_skipped(folder, run, damage):
    (folder / "stream.json").write_bytes(MORE * 100)
    run("detect", *LOGS, *KEEP, "--every", "20")
    expected = (folder / "out").read_bytes()
    newest = checkpoints(folder)[-1]
    newest.write_bytes(DAMAGES[damage](newest.read_bytes()))
    ended = run("detect", *LOGS, *KEEP, "--every", "20")
    assert ended.status == 0
    assert f"kept/{newest.name}: " in ended.err
    assert (damage.split()[0] if damage != "empty" else "not a") in ended.err
    assert (folder / "out").read_bytes() == expected
    for path in checkpoints(folder):
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    ended = run("detect", *LOGS, *KEEP, "--every", "20")
    assert (ended.status, "all checkpoints are damaged" in ended.err) == (2, True)
    assert (folder / "out").read_bytes() == expected
    assert run("detect", *LOGS, *KEEP, "--fresh").status == 0


def test_a_folder_that_another_run_uses_is_refused(folder, start, run):
    process = start("detect", "batch.json", "-", "out", *KEEP)
    wait_until((folder / "out").exists, "the output")
    ended = run("detect", "batch.json", "stream.json", "other", *KEEP)
    assert (ended.status, "another run uses this folder" in ended.err) == (2, True)
    process.stdin.close()
    assert process.wait(300) == 0


def test_a_folder_that_cannot_be_created_is_an_error(folder, run):
    ended = run("detect", *LOGS, "--checkpoint", "batch.json/kept")
    assert ended.status == 1
    assert "batch.json/kept" in ended.err
    assert not (folder / "out").exists()


def test_a_url_is_for_clusters(folder, run):
    options = ("--checkpoint", "s3://bucket/kept")
    check_refused(folder, run, ("detect", *LOGS, *options), "s3://bucket/kept: checkpoints of")


def test_a_snapshot_that_was_not_finished_is_ignored(folder, run):
    """A cluster may have been killed while it wrote its first one."""
    unfinished = folder / "kept" / "snapshot-000000000001"
    unfinished.mkdir(parents=True)
    (unfinished / "shard-0000-of-0002").write_bytes(b"begun")
    assert run("detect", *LOGS, *KEEP).status == 0
    assert (folder / "out").read_bytes() == FLAGS
    assert not unfinished.exists()


def test_a_run_resumes_after_a_full_disk(folder, run):
    # The output fits, the checkpoint does not.
    (folder / "batch.json").write_bytes(
        BATCH + b"".join(befriend(i, i + 1) for i in range(999))
    )
    ended = run("detect", *LOGS, *KEEP, under=file_size_limit(2000))
    assert ended.status == 1
    assert "kept/checkpoint-000000000001: File too large" in ended.err
    assert (folder / "out").read_bytes() == FLAGS
    assert run("detect", *LOGS, *KEEP).status == 0
    assert (folder / "out").read_bytes() == FLAGS


@pytest.mark.parametrize("every", ["0", "-1", "x", "1.5", "0s", "s", "1e3"])
def test_invalid_intervals_are_refused(folder, run, every):
    check_refused(folder, run, ("detect", *LOGS, *KEEP, f"--every={every}"), repr(every))


def test_a_detector_loads_a_checkpoint(folder, run):
    run("detect", *LOGS, *KEEP)
    detector = Detector.load(checkpoints(folder)[-1])
    assert detector.counts[:4] == (4, 2, 1, 1)
    assert detector.network("2") == ["1"]
    detector.save(folder / "kept" / "checkpoint-000000000009")
    ended = run("detect", *LOGS, *KEEP)
    assert "holds a detector's state, but not a run's" in ended.err
    assert (ended.status, "already done" in ended.err) == (0, True)


def documented(path):
    """Return the header and the arrays of a file, read as docs/checkpoints.md describes."""
    data = path.read_bytes()
    length = int.from_bytes(data[24:32], "little")
    header = json.loads(data[32 : 32 + length])
    kinds: dict[str, Any] = {"int64": "<i8", "int32": "<i4", "bytes": "u1"}
    kinds["purchase"] = ("<i8", (3,))
    arrays = {}
    for entry in header["arrays"]:
        dtype = np.dtype(kinds[entry["kind"]])
        start = 32 + length + entry["offset"]
        size = dtype.itemsize * entry["items"]
        end = start + (size + 7) // 8 * 8
        assert zlib.crc32(data[start : start + size]) == int.from_bytes(
            data[end : end + 8], "little"
        )
        arrays[entry["name"]] = np.frombuffer(data[start : start + size], dtype)
    return header, arrays


def test_the_file_has_the_documented_layout(tmp_path):
    detector = Detector(2, 3)
    for user in ("7", "ann", "9"):
        detector.befriend("bob", user)
    for second in range(5):
        detector.record("ann", second, second * 10**6)
    detector.save(tmp_path / "state")
    header, arrays = documented(tmp_path / "state")
    assert header["detector"] == {"degree": 2, "tracked": 3, "sigmas": "3", "method": "auto"}
    assert header["counts"]["friendships"] == 3
    texts = arrays["user_texts"].tobytes()

    def text(start):
        length = int.from_bytes(texts[start : start + 4], "little")
        return texts[start + 4 : start + 4 + length].decode()

    names = arrays["user_names"].tolist()
    known = [str(name) if name >= 0 else text(~name) for name in names]
    assert known == ["bob", "7", "ann", "9"]
    assert arrays["friend_counts"].tolist() == [3, 0, 0, 0]
    assert sorted(arrays["friends"].tolist()) == [1, 2, 3]
    assert arrays["purchase_counts"].tolist() == [0, 0, 3, 0]
    assert arrays["purchases"].tolist() == [[s * 10**6, s, s * 10**6] for s in (4, 3, 2)]
    assert arrays["recency_users"].tolist() == [2] * 5
    assert arrays["recency_purchases"][:, 0].tolist() == [s * 10**6 for s in range(5)]


def test_a_file_with_any_byte_changed_or_missing_is_refused(tmp_path):
    detector = Detector(2, 3)
    detector.befriend("ann", 2)
    detector.record(2, 5, 7)
    path = tmp_path / "state"
    detector.save(path)
    data = path.read_bytes()
    for index in range(len(data)):
        path.write_bytes(data[:index] + bytes([data[index] ^ 0x41]) + data[index + 1 :])
        with pytest.raises(CheckpointError):
            Detector.load(path)
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(CheckpointError):
            Detector.load(path)


def test_saving_replaces_a_file(tmp_path):
    detector = Detector(2, 3)
    (tmp_path / "state").write_bytes(b"old")
    with pytest.raises(OSError, match="No such file"):
        detector.save(tmp_path / "missing" / "state")
    detector.save(tmp_path / "state")
    assert Detector.load(tmp_path / "state").counts == detector.counts
    assert os.listdir(tmp_path) == ["state"]
    assert pickle.loads(pickle.dumps(detector)).counts == detector.counts
