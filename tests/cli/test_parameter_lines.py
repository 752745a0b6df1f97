"""First lines without D and T: the message ends with what to do."""

import bz2
import io
import lzma
import zipfile

import pytest
from cli.commandline import BATCH

LOGS = ("batch.json", "stream.json")
EVENTS = BATCH.partition(b"\n")[2]
USUAL = 'write {"D":"2", "T":"50"}'

# The first line, options, and how the message ends.
WRONG = {
    "words": (
        b"D=2 T=10",
        (),
        'write {"D":"2", "T":"10"} as the first line, or give -D and -T',
    ),
    "words with commas": (
        b"d: 4, t: 20",
        (),
        'write {"D":"4", "T":"20"} as the first line, or give -D and -T',
    ),
    "long names": (
        b'{"degree":2,"tracked":10}',
        (),
        'write {"D":"2", "T":"10"} as the first line, or give -D and -T',
    ),
    "no value": (
        b'{"D":"3", "T":}',
        (),
        'write {"D":"3", "T":"50"} as the first line, or give -D and -T',
    ),
    "no T": (b'{"D":3}', (), 'write {"D":"3", "T":"50"} as the first line, or give -T'),
    "no D": (b'{"T":"9"}', (), 'write {"D":"2", "T":"9"} as the first line, or give -D'),
    "unclosed": (
        b'{"D":"3"',
        (),
        'write {"D":"3", "T":"50"} as the first line, or give -D and -T',
    ),
    "bad D": (
        b'{"D":"x", "T":"9"}',
        (),
        'write {"D":"2", "T":"9"} as the first line, or give -D',
    ),
    "garbage": (b"garbage", (), f"{USUAL} as the first line, or give -D and -T"),
    "object": (b'{"a":1}', ("-D", "3"), f"{USUAL} as the first line, or give -T"),
    "event": (b"", (), "or give -D and -T; or check that the two logs are not swapped"),
}


@pytest.mark.parametrize(("first", "options", "end"), WRONG.values(), ids=WRONG)
def test_a_wrong_first_line(folder, run, first, options, end):
    (folder / "batch.json").write_bytes(first + b"\n" + EVENTS)
    ended = run("detect", *LOGS, "out", *options)
    assert (ended.status, ended.err.rstrip().endswith(end)) == (2, True), ended.err


@pytest.mark.parametrize("log", [b"", b"\n \n"], ids=["empty", "blank"])
def test_a_log_without_lines(folder, run, log):
    (folder / "batch.json").write_bytes(log)
    ended = run("detect", *LOGS, "out")
    end = f"D and T not given: {USUAL} as the first line, or give -D and -T\n"
    assert (ended.status, ended.err.endswith(end)) == (2, True), ended.err


def zipped(data):
    """Return data as a zip archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("batch.json", data)
    return file.getvalue()


BINARY = {
    "bzip2": (bz2.compress(BATCH), "the log looks like bzip2 data; decompress"),
    "xz": (lzma.compress(BATCH), "the log looks like xz data; decompress"),
    "zip": (zipped(BATCH), "the log looks like a zip archive or a spreadsheet; unpack"),
    "Parquet": (
        b"PAR1\x15\x04\x15\xff\nx\nPAR1",
        "the log looks like a Parquet file; convert",
    ),
    "UTF-16": (BATCH.decode().encode("utf-16"), "the log looks like UTF-16 text; convert"),
}


@pytest.mark.parametrize(("log", "look"), BINARY.values(), ids=BINARY)
def test_bytes_of_another_format_are_not_shown(folder, run, log, look):
    (folder / "batch.json").write_bytes(log)
    ended = run("detect", *LOGS, "out")
    assert ended.status == 2
    start = "batch.json, line 1: no parameter line, D and T not given: "
    assert f"{start}{look}" in ended.err, ended.err
