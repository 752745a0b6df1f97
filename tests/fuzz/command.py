"""Coverage-guided fuzzing of the whole command, beside the reference: see run_command.sh.

An input is a byte of options, the batch log, a line of a single "~", and the stream log.
"""

import gzip
import io
import os
import shutil
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fastanomaly"]):
    from fastanomaly.cli import main as cli

import reference

OPTIONS = {  # by bit of the first byte
    1: ["--max-line", "120"],
    2: ["-k", "0.5"],
    4: ["-D", "2"],
    8: ["-T", "3"],
}
ZIPPED, RESUMED, STRICT = 16, 32, 64
STATUSES = (0, 1, 2, 3)
# In memory, where the system has a place there: thousands of small files a second.
FOLDER = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
BATCH, STREAM, OUT, REJECTS, KEPT = (
    FOLDER / name for name in ("batch.json", "stream.json", "out", "rejects", "kept")
)
ZIPPED_STREAM = FOLDER / "stream.json.gz"


def command(*args):
    """Run the command in this process: its exit status; nothing may be raised."""
    sys.stderr = io.StringIO()
    try:
        status = cli.main([str(arg) for arg in args])
    except SystemExit as ended:
        status = ended.code
    finally:
        told, sys.stderr = sys.stderr.getvalue(), sys.__stderr__
    assert status in STATUSES, (status, told)
    return status, told


def expected(batch, stream, bits):
    """Output and rejects as the reference has them, or None where parameters are bad."""
    try:
        result = reference.detect(
            batch,
            stream,
            degree=2 if bits & 4 else None,
            tracked=3 if bits & 8 else None,
            sigmas="0.5" if bits & 2 else "3",
            max_line=120 if bits & 1 else 1 << 20,
        )
    except reference.ParameterError:
        return None
    return result.output, [(r.log, r.line, r.reason, r.raw) for r in result.rejects]


def written():
    """Output and rejects as the command wrote them."""
    rejects = []
    for line in REJECTS.read_bytes().split(b"\n")[:-1]:
        log, number, reason, _, raw = line.split(b"\t", 4)
        log = os.path.basename(log).decode().split(".")[0]
        rejects.append((log, int(number), reason.decode(), raw))
    return OUT.read_bytes(), rejects


def run_input(data):
    """Run the command on one input."""
    bits, logs = (data[0], data[1:]) if data else (0, b"")
    batch, _, stream = logs.partition(b"~\n")
    options = ["--rejects", REJECTS]
    for bit, option in OPTIONS.items():
        options += option if bits & bit else []
    BATCH.write_bytes(batch)
    if bits & STRICT:
        STREAM.write_bytes(stream)
        wanted = expected(batch, stream, bits)
        status = command("detect", BATCH, STREAM, OUT, *options, "--strict")[0]
        assert status == (2 if wanted is None else 3 if wanted[1] else 0), status
    elif bits & ZIPPED:
        zipped = bytearray(gzip.compress(stream, 1))
        if bits & 128:  # damaged: whatever comes of it, it comes to an end
            zipped[bits * 7 % len(zipped)] ^= 1 + bits % 250
            ZIPPED_STREAM.write_bytes(zipped)
            command("detect", BATCH, ZIPPED_STREAM, OUT, *options)
            return
        ZIPPED_STREAM.write_bytes(zipped)
        judge(command("detect", BATCH, ZIPPED_STREAM, OUT, *options), batch, stream, bits)
    elif bits & RESUMED:
        shutil.rmtree(KEPT, ignore_errors=True)
        options += ["--checkpoint", KEPT, "--every", "3", "--follow", "--until-idle", "0.001"]
        # A line that is followed counts when its line end has come.
        half = stream.rfind(b"\n", 0, len(stream) // 2) + 1
        for known in (stream[:half], stream):
            STREAM.write_bytes(known)
            judge(command("detect", BATCH, STREAM, OUT, *options), batch, known, bits)
    else:
        STREAM.write_bytes(stream)
        judge(command("detect", BATCH, STREAM, OUT, *options), batch, stream, bits)


def judge(ended, batch, stream, bits):
    """Hold what the command did against the reference."""
    status, told = ended
    wanted = expected(batch, stream, bits)
    assert status == (2 if wanted is None else 0), (status, told)
    if wanted is not None:
        assert written() == wanted


if __name__ == "__main__":
    atheris.Setup(sys.argv, run_input)
    atheris.Fuzz()
