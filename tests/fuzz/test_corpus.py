"""Compare the scanner with orjson on the fuzzer's corpus; run.sh does the fuzzing."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from fastanomaly._core import decode, scan

FOLDER = Path(__file__).parent
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
