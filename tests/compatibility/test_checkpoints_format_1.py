"""Checkpoints in format 1, as the first version wrote them, are read and resumed."""

import json
import shutil
import struct
import zlib
from pathlib import Path

import pytest

from fastanomaly import Detector, detect

DATA = Path(__file__).parent / "format_1"
START = struct.Struct("<16sIIQ")


def split(data):
    """The header of a checkpoint and the bytes of its arrays."""
    length = START.unpack_from(data)[3]
    return json.loads(data[START.size : START.size + length]), data[START.size + length :]


@pytest.fixture
def folder(tmp_path):
    """The files of a run that was stopped in its stream log, moved to another folder."""
    for name in ("batch.json", "stream.json"):
        shutil.copy(DATA / name, tmp_path)
    shutil.copy(DATA / "flagged_before.json", tmp_path / "flagged.json")
    shutil.copy(DATA / "rejects_before.tsv", tmp_path / "rejects.tsv")
    header, arrays = split((DATA / "checkpoint").read_bytes())
    job = header["run"]["job"]
    for name in ("batch", "stream", "out", "rejects"):
        job[name] = str(tmp_path / Path(job[name]).name)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    start = START.pack(b"fastanomaly ckpt", 1, zlib.crc32(text), len(text))
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "checkpoint-000000000007").write_bytes(start + text + arrays)
    return tmp_path


def without_details(rejects):
    """Return the rows of a rejects file without the words for people, which may change."""
    rows = [row.split(b"\t", 4) for row in rejects.read_bytes().split(b"\n")[:-1]]
    return [row[:3] + row[4:] for row in rows]


def test_a_run_is_resumed(folder, monkeypatch):
    monkeypatch.chdir(folder)
    notices = []
    summary = detect(
        "batch.json",
        "stream.json",
        "flagged.json",
        rejects="rejects.tsv",
        checkpoint="kept",
        on_notice=notices.append,
    )
    assert notices == []
    assert summary.first_rejected.startswith("batch.json, line 12: invalid_utf8")
    assert (folder / "flagged.json").read_bytes() == (DATA / "flagged.json").read_bytes()
    assert without_details(folder / "rejects.tsv") == without_details(DATA / "rejects.tsv")
    header, _arrays = split((folder / "kept" / "checkpoint-000000000008").read_bytes())
    before, _arrays = split((DATA / "checkpoint").read_bytes())
    assert header["run"].keys() == before["run"].keys()
    assert header["run"]["done"]
    assert header["run"]["logs"][1].keys() == before["run"]["logs"][1].keys()
    assert header["run"]["out_bytes"] == (DATA / "flagged.json").stat().st_size


def test_a_loaded_detector_saves_the_same_arrays(tmp_path):
    Detector.load(DATA / "checkpoint").save(tmp_path / "again")
    before, arrays_before = split((DATA / "checkpoint").read_bytes())
    after, arrays_after = split((tmp_path / "again").read_bytes())
    assert arrays_after == arrays_before
    assert after == {name: value for name, value in before.items() if name != "run"}
