"""Compare the scanner with orjson on the fuzzer's corpus; run.sh does the fuzzing.

The corpus is also a log, which any number of threads judges like the reference.
"""

import ctypes
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import reference
from batches import METHODS, THREADS, judged_by

from fastanomaly import PURCHASE, detect
from fastanomaly._core import decode, scan

FOLDER = Path(__file__).parent
CENT = (
    b'{"event_type":"purchase", "timestamp":"2017-06-13 11:33:01", "id":"friend", '
    b'"amount":"0.01"}'
)
CORPUS = FOLDER.joinpath("corpus.txt").read_bytes().split(b"\n")


def test_the_scanner_declines_or_agrees():
    accepted = 0
    for line in CORPUS:
        for variant in (
            line,
            line.removesuffix(b"\r"),
            line.replace(b"purchase", b"befriend"),
        ):
            found = scan(variant)
            assert found is None or found == decode(variant), variant
            accepted += found is not None
    assert accepted > 20


class OracleEvent(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_int32),
        ("time_us", ctypes.c_int64),
        ("amount_units", ctypes.c_int64),
        ("user", ctypes.c_void_p),
        ("friend", ctypes.c_void_p),
        ("user_length", ctypes.c_int64),
        ("friend_length", ctypes.c_int64),
    )


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler for the oracle")
def test_the_oracle_of_the_fuzzer_is_right(tmp_path):
    """Check what the oracle takes for an event; the scanner must decline all other lines."""
    library = tmp_path / "oracle.so"
    source = FOLDER / "oracle.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    oracle = ctypes.CDLL(str(library)).oracle
    oracle.argtypes = (ctypes.c_char_p, ctypes.c_int64, ctypes.POINTER(OracleEvent))
    accepted = 0
    for line in CORPUS:
        event, start = OracleEvent(), ctypes.create_string_buffer(line, len(line) + 1)
        if not oracle(start, len(line), event):
            assert scan(line) is None, line
            continue
        accepted += 1
        user = ctypes.string_at(event.user, event.user_length).decode()
        if event.kind == 0:
            assert decode(line) == (event.kind, user, event.time_us, event.amount_units), line
        else:
            friend = ctypes.string_at(event.friend, event.friend_length).decode()
            assert decode(line) == (event.kind, user, friend), line
    assert accepted > 20


def corpus_log():
    """Return the corpus as a log in which buyers have a friend, who buys for a cent."""
    lines = []
    for line in CORPUS:
        event = decode(line)
        if isinstance(event, tuple) and event[0] == PURCHASE:
            names = json.dumps({"event_type": "befriend", "id1": event[1], "id2": "friend"})
            lines += [names.encode(), CENT]
        lines += [line, line.replace(b"purchase", b"befriend"), line]
    return b"\n".join(lines) + b"\n"


@pytest.mark.parametrize("method", METHODS)
def test_the_corpus_as_a_log(tmp_path, method):
    log = corpus_log()
    paths = [str(tmp_path / name) for name in ("batch", "stream", "out", "rejects")]
    for path in paths[:2]:
        Path(path).write_bytes(b'{"D":"3", "T":"9"}\n' + log)
    expected = reference.detect(*(Path(path).read_bytes() for path in paths[:2]), sigmas="0")
    assert len(expected.flags) > 5
    for threads in THREADS:
        with judged_by(threads):
            detect(*paths[:3], rejects=paths[3], sigmas=0, method=method)
        assert Path(paths[2]).read_bytes() == expected.output
        rejects = Path(paths[3]).read_bytes().split(b"\n")[:-1]
        found = [(int(row.split(b"\t")[1]), row.split(b"\t", 4)[4]) for row in rejects]
        assert found == [(rejected.line, rejected.raw) for rejected in expected.rejects]
