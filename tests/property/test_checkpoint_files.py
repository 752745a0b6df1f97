"""Invalid state files with correct checksums are refused, or give a valid state."""

import io
import json
import struct
import tempfile
import zlib
from functools import cache
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import given, settings

from fastanomaly import CheckpointError, Detector
from fastanomaly.detector import read_detector

START = struct.Struct("<16sIIQ")
ITEM = {"int64": 8, "int32": 4, "bytes": 1, "purchase": 24}
EDGES = [0, 1, 2, 3, -1, -2, 127, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63), 10**18, 10**18 - 1]


@cache
def valid_state():
    """Return the header and the arrays of a state with a hub, a long ring and texts."""
    detector = Detector(2, 300)
    for friend in range(1, 80):  # a hub
        detector.befriend("hub", friend)
    detector.befriend("é", 2)
    detector.unfriend("hub", 3)
    for time in range(300):  # a long ring
        detector.record(2, time % 7, time * 10**6)
    for time in range(5):
        detector.record("é", time, 7)
    with tempfile.TemporaryDirectory() as folder:
        detector.save(f"{folder}/state")
        data = Path(f"{folder}/state").read_bytes()
    length = START.unpack_from(data)[3]
    header = json.loads(data[START.size : START.size + length])
    arrays = {}
    for entry in header["arrays"]:
        start = START.size + length + entry["offset"]
        arrays[entry["name"]] = data[start : start + ITEM[entry["kind"]] * entry["items"]]
    return header, arrays


def file_of(header, arrays):
    """Return the file of a header and arrays, with correct lengths and checksums."""
    body = b""
    entries = []
    for entry in header["arrays"]:
        data = arrays[entry["name"]]
        items = len(data) // ITEM.get(entry["kind"], 1)
        entries.append({**entry, "items": items, "offset": len(body)})
        data = data[: items * ITEM.get(entry["kind"], 1)]
        body += data + bytes(-len(data) % 8) + struct.pack("<Q", zlib.crc32(data))
    text = json.dumps({**header, "arrays": entries, "arrays_bytes": len(body)}).encode()
    text += b" " * (-len(text) % 8)
    return START.pack(b"fastanomaly ckpt", 1, zlib.crc32(text), len(text)) + text + body


def load(data):
    """Load a file: check that it is refused, or that its state is valid and can be used."""
    try:
        detector = read_detector("made up", io.BytesIO(data))[0]
    except CheckpointError:
        return None
    detector._check()
    for user in ("hub", "é", 2, 3):
        detector.purchase(user, 10**6, 10**15)
        detector.unfriend(user, "hub")
        detector.befriend(user, "new")
    detector._check()
    return detector


def test_a_valid_file_is_loaded():
    header, arrays = valid_state()
    detector = load(file_of(header, arrays))
    assert detector is not None
    assert detector.counts.kept == 308


numbers = st.sampled_from(EDGES) | st.integers(-(2**63), 2**63 - 1) | st.integers(0, 90)


@settings(deadline=None)
@given(data=st.data())
def test_changed_numbers_are_refused_or_valid(data):
    header, arrays = valid_state()
    arrays = dict(arrays)
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(sorted(arrays)))
        kind = {entry["name"]: entry["kind"] for entry in header["arrays"]}[name]
        width = {"int64": 8, "int32": 4, "bytes": 1, "purchase": 8}[kind]
        raw = bytearray(arrays[name])
        place = data.draw(st.integers(0, len(raw) // width - 1)) * width
        number = data.draw(numbers)
        raw[place : place + width] = (number % 2 ** (8 * width)).to_bytes(width, "little")
        arrays[name] = bytes(raw)
    load(file_of(header, arrays))


@settings(deadline=None)
@given(data=st.data())
def test_changed_lengths_are_refused_or_valid(data):
    header, arrays = valid_state()
    arrays = dict(arrays)
    name = data.draw(st.sampled_from(sorted(arrays)))
    change = data.draw(st.integers(-64, 64))
    raw = arrays[name]
    arrays[name] = raw[:change] if change < 0 else raw + raw[:change]
    load(file_of(header, arrays))


json_values = st.none() | st.booleans() | numbers | st.text(max_size=5) | st.floats()


@settings(deadline=None)
@given(data=st.data())
def test_changed_headers_are_refused_or_valid(data):
    header, arrays = valid_state()
    header = json.loads(json.dumps(header))
    where = data.draw(st.sampled_from(["state", "detector", "arrays", "top"]))
    if where == "arrays":
        entry = data.draw(st.sampled_from(header["arrays"]))
        entry[data.draw(st.sampled_from(["name", "kind"]))] = data.draw(json_values)
        arrays = {entry["name"]: b"" for entry in header["arrays"]} | arrays
    else:
        part = header if where == "top" else header[where]
        name = data.draw(st.sampled_from(sorted(set(part) - {"arrays"})))
        if data.draw(st.booleans()):
            part[name] = data.draw(json_values)
        else:
            del part[name]
    load(file_of(header, arrays))


@settings(deadline=None)
@given(data=st.binary(max_size=200), head=st.booleans())
def test_random_bytes_are_refused(data, head):
    start = START.pack(b"fastanomaly ckpt", 1, zlib.crc32(data), len(data)) if head else b""
    assert load(start + data) is None
