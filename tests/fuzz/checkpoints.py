"""Coverage-guided fuzzing of the checkpoint reader: see run_command.sh.

An input is a checkpoint. It is read as it is, and again with all its checksums made right,
so that what they guard is reached; what is then accepted has to work.
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
    """Lay out the job's logs."""
    FOLDER.mkdir(exist_ok=True)
    shutil.rmtree(KEPT, ignore_errors=True)
    (FOLDER / "batch.json").write_bytes(BATCH)
    (FOLDER / "stream.json").write_bytes(STREAM)
    (FOLDER / "out").write_bytes(b"")


def sealed(data):
    """The same with right checksums, as far as it is a checkpoint at all."""
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
    """Read it; what is accepted goes on, and is saved and read again as the same."""
    try:
        detector = Detector.load_with_header("made up", io.BytesIO(data))[0]
    except CheckpointError:
        return False
    detector.check()
    detector.feed(STREAM)
    detector.unfriend("a", "b")
    detector.befriend("a", "new")
    detector.check()
    path = FOLDER / "saved"
    detector.save(path)
    assert Detector.load(path).counts == detector.counts
    return True


def go_on(data):
    """Start the command in a folder where this is the newest checkpoint."""
    KEPT.mkdir()
    (KEPT / "checkpoint-000000000007").write_bytes(data)
    sys.stderr = io.StringIO()
    try:
        status = cli.main(command_line())
    finally:
        told, sys.stderr = sys.stderr.getvalue(), sys.__stderr__
        shutil.rmtree(KEPT)
    assert status in (0, 2), (status, told)


def command_line():
    """The job whose checkpoints the corpus holds."""
    names = ("batch.json", "stream.json", "out")
    logs = [str(FOLDER / name) for name in names]
    return ["detect", *logs, "--checkpoint", str(KEPT), "--every", "4", "--quiet"]


def run_input(data):
    """Read one input both ways."""
    read(data)
    data = sealed(data)
    if read(data):
        go_on(data)


if __name__ == "__main__":
    prepare()
    atheris.Setup(sys.argv, run_input)
    atheris.Fuzz()
