"""Checkpoints with correct checksums and impossible contents are damaged ones."""

import json
import struct
import zlib

import pytest
from cli.commandline import FLAGS, STREAM

from fastanomaly import CheckpointError, Detector

START = struct.Struct("<16sIIQ")
JOB = ("detect", "batch.json", "stream.json", "out", "--checkpoint", "kept", "--every", "2")
HUGE = (2**40, 2**62, 2**64 - 1, 2**31, -1, -(2**40), 1.5, True, None, "7", [])


def altered(path, change):
    """Change the header of a checkpoint; its checksum is right."""
    data = path.read_bytes()
    length = START.unpack_from(data)[3]
    header = json.loads(data[START.size : START.size + length])
    change(header)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    start = START.pack(b"fastanomaly ckpt", 1, zlib.crc32(text), len(text))
    path.write_bytes(start + text + data[START.size + length :])


@pytest.fixture
def newest(folder, run):
    """Return the newest of two checkpoints of a run."""
    (folder / "stream.json").write_bytes(STREAM * 5)
    assert run(*JOB).status == 0
    return max(path for path in (folder / "kept").iterdir() if path.name != "lock")


def check_skipped(folder, run, newest, message):
    """Check that the checkpoint before it is resumed."""
    ended = run(*JOB)
    assert ended.status == 0, ended.err
    assert f"kept/{newest.name}: altered: " in ended.err
    assert message in ended.err
    assert "trying the checkpoint before it" in ended.err
    assert (folder / "out").read_bytes() == FLAGS * 5


@pytest.mark.parametrize("member", ["items", "offset"])
def test_an_array_of_an_impossible_size_is_damage(folder, run, newest, member):
    def change(header):
        header["arrays"][0][member] = 2**40

    altered(newest, change)
    check_skipped(folder, run, newest, "impossible state")


@pytest.mark.parametrize("value", HUGE, ids=str)
@pytest.mark.parametrize("member", ["items", "offset"])
@pytest.mark.parametrize("index", range(8))
def test_an_impossible_size_of_any_array_is_refused(tmp_path, index, member, value):
    detector = Detector(2, 3)
    detector.befriend("ann", "bob")
    detector.record("ann", 0, 5)
    detector.save(tmp_path / "state")

    def change(header):
        header["arrays"][index][member] = value

    altered(tmp_path / "state", change)
    with pytest.raises(CheckpointError):
        Detector.load(tmp_path / "state")


@pytest.mark.parametrize("value", [2**40, -1, 1.5, None, [], "1e400"], ids=str)
@pytest.mark.parametrize(
    "path", [("arrays_bytes",), ("detector", "degree"), ("detector", "tracked")], ids=".".join
)
def test_an_absurd_number_is_refused(tmp_path, path, value):
    Detector(2, 3).save(tmp_path / "state")

    def change(header):
        *parents, name = path
        for parent in parents:
            header = header[parent]
        header[name] = value

    altered(tmp_path / "state", change)
    with pytest.raises(CheckpointError):
        Detector.load(tmp_path / "state")


RENAMED = [
    ((), "logs", "sources"),
    ((), "out_bytes", "flags_position"),
    ((), "rejects_bytes", "rejects_position"),
    (("logs", 1), "place", "position"),
]


@pytest.mark.parametrize(("path", "in_file", "own"), RENAMED, ids=str)
def test_names_of_the_program_mean_nothing_in_a_file(folder, run, newest, path, in_file, own):
    """A member is read under its name in the format only, and errors have that name."""

    def add(header):
        parent = header["run"]
        for name in path:
            parent = parent[name]
        parent[own] = "of no meaning"

    altered(newest, add)
    ended = run(*JOB)
    assert (ended.status, "already done" in ended.err) == (0, True)
    assert "altered" not in ended.err

    def remove(header):
        parent = header["run"]
        for name in path:
            parent = parent[name]
        del parent[in_file]

    altered(newest, remove)
    check_skipped(folder, run, newest, f"{in_file}: missing")


@pytest.mark.parametrize("name", ["out_bytes", "logs"])
def test_an_error_has_the_name_in_the_file(folder, run, newest, name):
    altered(newest, lambda header: header["run"].update({name: -5}))
    check_skipped(folder, run, newest, f"{name}: -5")
