"""Fuzz the whole command against the reference, guided by coverage: see run_command.sh.

An input is a byte of options, the batch log, a line with a single "~", and the stream log.
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
    128: ["--round-amounts", "--time-unit", "s"],
}
ZIPPED, RESUMED, STRICT = 16, 32, 64
STATUSES = (0, 1, 2, 3, 4)
# In memory where the system allows it: a run writes thousands of small files a second.
FOLDER = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
BATCH, STREAM, OUT, REJECTS, KEPT = (
    FOLDER / name for name in ("batch.json", "stream.json", "out", "rejects", "kept")
)
ZIPPED_STREAM = FOLDER / "stream.json.gz"


def command(*args):
    """Run the command in this process; return its exit status and messages."""
    errors = io.StringIO()
    sys.stderr = errors
    status: int | str | None
    try:
        status = cli.main([str(arg) for arg in args])
    except SystemExit as stopped:
        status = stopped.code
    finally:
        sys.stderr = sys.__stderr__
    assert status in STATUSES, (status, errors.getvalue())
    return status, errors.getvalue()


def expected(batch, stream, bits):
    """Return output, rejects and status by the reference; None with invalid parameters."""
    try:
        result = reference.detect(
            batch,
            stream,
            degree=2 if bits & 4 else None,
            tracked=3 if bits & 8 else None,
            sigmas="0.5" if bits & 2 else "3",
            max_line=120 if bits & 1 else 1 << 20,
            round_amounts=bool(bits & 128),
            time_unit="s" if bits & 128 else None,
        )
    except reference.ParameterError:
        return None
    rejects = [(r.log, r.line, r.reason, r.raw) for r in result.rejects]
    return result.output, rejects, result.status


def written():
    """Return output and rejects as the command wrote them."""
    rejects = []
    for line in REJECTS.read_bytes().split(b"\n")[:-1]:
        path, number, reason, _, raw = line.split(b"\t", 4)
        log = os.path.basename(path).decode().split(".")[0]
        rejects.append((log, int(number), reason.decode(), raw))
    return OUT.read_bytes(), rejects


def run_input(data):
    """Run the command on one input."""
    bits, logs = (data[0], data[1:]) if data else (0, b"")
    batch, _, stream = logs.partition(b"~\n")
    options = ["--rejects", REJECTS]
    for bit, option in OPTIONS.items():
        options += option if bits & bit else []
    if any(log.startswith((b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd")) for log in (batch, stream)):
        return  # read as compressed data
    BATCH.write_bytes(batch)
    if bits & STRICT:
        STREAM.write_bytes(stream)
        wanted = expected(batch, stream, bits)
        status = command("detect", BATCH, STREAM, OUT, *options, "--strict")[0]
        assert status == (2 if wanted is None else 3 if wanted[1] else 0), status
    elif bits & ZIPPED:
        zipped = bytearray(gzip.compress(stream, 1))
        if bits & 128:  # damaged: any outcome will do, but the run must end
            zipped[bits * 7 % len(zipped)] ^= 1 + bits % 250
            ZIPPED_STREAM.write_bytes(zipped)
            command("detect", BATCH, ZIPPED_STREAM, OUT, *options)
            return
        ZIPPED_STREAM.write_bytes(zipped)
        compare(command("detect", BATCH, ZIPPED_STREAM, OUT, *options), batch, stream, bits)
    elif bits & RESUMED:
        shutil.rmtree(KEPT, ignore_errors=True)
        options += ["--checkpoint", KEPT, "--every", "3", "--follow", "--until-idle", "0.001"]
        # A followed line counts once its line end is written.
        half = stream.rfind(b"\n", 0, len(stream) // 2) + 1
        for known in (stream[:half], stream):
            STREAM.write_bytes(known)
            compare(command("detect", BATCH, STREAM, OUT, *options), batch, known, bits)
    else:
        STREAM.write_bytes(stream)
        compare(command("detect", BATCH, STREAM, OUT, *options), batch, stream, bits)


def compare(ended, batch, stream, bits):
    """Compare what the command did with the reference."""
    status, messages = ended
    wanted = expected(batch, stream, bits)
    assert status == (2 if wanted is None else wanted[2]), (status, messages)
    if wanted is not None:
        assert written() == wanted[:2]


if __name__ == "__main__":
    atheris.Setup(sys.argv, run_input)
    atheris.Fuzz()
