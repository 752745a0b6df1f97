"""Fuzz the checkpoint reader, guided by coverage: see run_command.sh.

An input is a checkpoint. It is read as it is, and again with correct checksums, so that the
code behind them is reached. A state that is accepted must work.
"""

import io
import json
import os
import shutil
import sys
import tempfile
import zlib
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fastanomaly"]):
    from fastanomaly import CheckpointError, Detector
    from fastanomaly.cli import main as cli
    from fastanomaly.detector import read_detector

ITEM = {"int64": 8, "int32": 4, "bytes": 1, "purchase": 24}
START = 32
BATCH = b'{"D":"2","T":"3"}\n' + b'{"event_type":"befriend","id1":"a","id2":"b"}\n' * 2
STREAM = (
    b'{"event_type":"purchase","timestamp":"2017-06-13 11:33:01","id":"a","amount":"1"}\n' * 8
)
# One folder for all runs: a checkpoint names its job by the paths of the logs.
SHARED = "/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()
FOLDER = Path(SHARED, "fastanomaly-fuzz")
KEPT = FOLDER / "kept"


def prepare():
    """Write the job's logs."""
    FOLDER.mkdir(exist_ok=True)
    shutil.rmtree(KEPT, ignore_errors=True)
    (FOLDER / "batch.json").write_bytes(BATCH)
    (FOLDER / "stream.json").write_bytes(STREAM)
    (FOLDER / "out").write_bytes(b"")


def sealed(data):
    """Return the input with correct checksums, as far as it has the form of a checkpoint."""
    data = bytearray(data)
    length = int.from_bytes(data[24:32], "little")
    header = bytes(data[START : START + length])
    data[20:24] = zlib.crc32(header).to_bytes(4, "little")
    try:
        arrays = json.loads(header)["arrays"]
        places = [(START + length + a["offset"], a["items"], ITEM[a["kind"]]) for a in arrays]
    except (ValueError, KeyError, TypeError, RecursionError):
        return bytes(data)
    for start, items, width in places:
        if not isinstance(start, int) or not isinstance(items, int):
            continue
        end = start + items * width
        padded = end + -end % 8
        if 0 <= start <= end and padded + 8 <= len(data):
            data[end:padded] = bytes(padded - end)
            data[padded : padded + 8] = zlib.crc32(data[start:end]).to_bytes(8, "little")
    return bytes(data)


def read(data):
    """Read an input; if it is accepted, use the state, save it and read it again."""
    try:
        detector = read_detector("fuzzed", io.BytesIO(data))[0]
    except CheckpointError:
        return False
    detector._check()
    detector.feed(STREAM)
    detector.unfriend("a", "b")
    detector.befriend("a", "new")
    detector._check()
    path = FOLDER / "saved"
    detector.save(path)
    assert Detector.load(path).counts == detector.counts
    return True


def resume(data):
    """Start the command with this as its newest checkpoint."""
    KEPT.mkdir()
    (KEPT / "checkpoint-000000000007").write_bytes(data)
    errors = io.StringIO()
    sys.stderr = errors
    try:
        status = cli.main(command_line())
    finally:
        sys.stderr = sys.__stderr__
        shutil.rmtree(KEPT)
    assert status in (0, 2, 4), (status, errors.getvalue())


def command_line():
    """Return the arguments of the job whose checkpoints are in the corpus."""
    names = ("batch.json", "stream.json", "out")
    logs = [str(FOLDER / name) for name in names]
    return ["detect", *logs, "--checkpoint", str(KEPT), "--every", "4", "--quiet"]


def run_input(data):
    """Read one input both ways."""
    read(data)
    data = sealed(data)
    if read(data):
        resume(data)


if __name__ == "__main__":
    prepare()
    atheris.Setup(sys.argv, run_input)
    atheris.Fuzz()
