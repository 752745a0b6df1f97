"""The scanner declines a line or agrees with the decoder, which uses orjson."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from profiles import examples
from randomlogs import random_logs

from fastanomaly import Detector
from fastanomaly._core import decode, scan, scan_text

TIMES = ["2017-06-13 11:33:01", "2017-06-13T11:33:01.25Z", "2017-02-29 11:33:01", "soon"]
EVENTS = [
    {"event_type": "purchase", "timestamp": TIMES[0], "id": "1", "amount": "16.83"},
    {"event_type": "befriend", "timestamp": TIMES[0], "id1": "1", "id2": "2"},
    {"event_type": "unfriend", "timestamp": TIMES[0], "id1": "ann@example.org", "id2": "2"},
]
SPACINGS = {
    "the challenge's": lambda event: (
        json.dumps(event).replace('e": ', 'e":').replace('p": ', 'p":')
    ),
    "compact": lambda event: json.dumps(event, separators=(",", ":")),
    "json.dumps": json.dumps,
}


@pytest.mark.parametrize("spacing", SPACINGS.values(), ids=SPACINGS)
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["event_type"])
def test_usual_lines_are_scanned(event, spacing):
    line = spacing(event).encode()
    assert scan(line) == decode(line)
    assert isinstance(scan(line), tuple)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": 7, "amount": 16},
        {"id": 0, "amount": 0.5},
        {"amount": "1e3", "note": "none", "count": -1.5e-7, "sure": True, "more": None},
        {"id": "x" * 1000},
        {"timestamp": "2017-06-13T11:33:01.123456+05:30"},
    ],
    ids=["integers", "zero", "more members", "long id", "offset"],
)
def test_unusual_plain_lines_are_scanned(changes):
    line = json.dumps(EVENTS[0] | changes).encode()
    assert isinstance(scan(line), tuple)
    assert scan(line) == decode(line)


numbers = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.from_regex(
        r"-?(0|[1-9][0-9]{0,19})(\.[0-9]{1,8})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
    ),
    st.from_regex(r"[-+.eE0-9]{1,8}", fullmatch=True),
)
texts = st.one_of(
    st.sampled_from([*TIMES, "purchase", "befriend", "unfriend", "1", "2", "02", "16.83", ""]),
    numbers,
    st.text(max_size=20),
)
strings = st.one_of(
    texts.map(json.dumps),
    texts.map(lambda text: json.dumps(text, ensure_ascii=False)),
    texts.map(lambda text: f'"{text}"'),
)
values = st.one_of(
    strings,
    numbers,
    st.sampled_from(["true", "false", "null", "nul", "{}", "[1]", '{"id": 1}']),
)
names = st.sampled_from(
    [
        "event_type",
        "timestamp",
        "id",
        "amount",
        "id1",
        "id2",
        "Id",
        "idx",
        "amounts",
        "i\\u0064",
    ]
)
blanks = st.sampled_from(["", "", " ", "  ", "\t", "\r", "\x0b"])


@st.composite
def lines(draw):
    """Draw lines that are similar to those that the scanner accepts."""
    kind = draw(st.sampled_from(EVENTS))
    members = [(name, json.dumps(value)) for name, value in kind.items()]
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(members)))
        members[place : place + draw(st.integers(0, 1))] = [(draw(names), draw(values))]
    members = draw(st.permutations(members))
    gap = lambda: draw(blanks)  # noqa: E731
    inner = f"{gap()},{gap()}".join(
        f'"{name}"{gap()}:{gap()}{value}' for name, value in members
    )
    line = f"{gap()}{{{gap()}{inner}{gap()}}}{gap()}".encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 9)) == 0 and line:
        place = draw(st.integers(0, len(line) - 1))
        cut = draw(st.integers(0, 2))
        line = line[:place] + draw(st.binary(max_size=2)) + line[place + cut :]
    return line.replace(b"\n", b"")


@settings(max_examples=examples(3000))
@given(lines())
@example(b'{"event_type":"befriend","id1":1,"id2":"1"}')
@example(b'{"event_type":"purchase","timestamp":"2017-06-13 11:33:01","id":-0,"amount":-0}')
@example(
    b'{"event_type":"purchase","timestamp":"2017-06-13 11:33:01","id":"1","amount":1e-400}'
)
def test_the_scanner_declines_or_agrees(line):
    found = scan(line)
    assert found is None or found == decode(line)


SPELLINGS = [
    *(json.dumps(event) for event in EVENTS),
    *(json.dumps(event, separators=(",", ":")) for event in EVENTS),
    '{"event_type":"purchase", "timestamp":"2017-06-14 18:46:40", "id": "409", "amount": "5"}',
    '{"amount":59.5,"id":12345678,"timestamp":"1969-12-31T23:59:59","event_type":"purchase"}',
    ' { "id1":8601,"event_type" : "befriend","id2": 27,"more":"same" } \r',
    '{"event_type":"unfriend","id2":"123456789012345","id1":"1234567890123456"}',
]
FILLER = b"\n" * 600  # behind every line is as much as a layout may read


@st.composite
def similar_lines(draw):
    """Draw lines that are laid out alike, but for a few changes."""
    chosen = draw(st.lists(st.sampled_from(SPELLINGS), min_size=1, max_size=3))
    drawn = []
    for _ in range(draw(st.integers(2, 8))):
        line = draw(st.sampled_from(chosen)).encode()
        for _ in range(draw(st.integers(0, 3))):
            place = draw(st.integers(0, len(line)))
            other = st.one_of(
                st.binary(max_size=2),
                st.from_regex(rb"[0-9.:-]{1,9}", fullmatch=True),
                st.sampled_from([b"0", b"1", b"9", b".", b'"', b"\r", b"\0", b" ", b"\xb0"]),
            )
            line = line[:place] + draw(other) + line[place + draw(st.integers(0, 3)) :]
        drawn.append(line.replace(b"\n", b""))
    return drawn


OTHER_VALUES = [
    "0",
    "00",
    "01",
    "7",
    "12345678",
    "123456789",
    "999999999999999",
    "1234567890123456",
    "123456789012345678",
    "1234567890123456789",
    "5.",
    "5.1",
    "5.123456",
    "5.1234567",
    ".5",
    "-1",
    "1e3",
    "12345678.5",
    "123456789.5",
    "0.5",
    "00.5",
    "5:1",
    "abc",
    "12¹",
    "2017-02-29T11:33:01",
    "2017-06-13T23:59:59",
    "2017-06-13T24:00:00",
    "2017-06-13T11:60:01",
    "2017-06-13T11:33:60",
    "2017-06-13T11:33:01Z",
    "2017-06-13T1a:33:01",
    "2017-06-13T11;33:01",
    "0000-01-01T00:00:00",
    "0001-01-01T00:00:00",
    "9999-12-31T23:59:59",
]


@pytest.mark.parametrize("line", SPELLINGS)
def test_other_values_in_lines_laid_out_alike_are_scanned_as_single_lines(line):
    drawn = [line]
    values = [v for name, v in json.loads(line).items() if name not in ("event_type", "more")]
    for value in map(str, values):
        for other in OTHER_VALUES:
            drawn += [line.replace(value, new, 1) for new in (other, other.replace("T", " "))]
            drawn.append(line)
    for round_amounts in (False, True):
        check_alike([one.encode() for one in drawn], 1000, round_amounts)


@settings(max_examples=examples(1000))
@given(similar_lines(), st.sampled_from([90, 1000]), st.booleans())
@example(
    [SPELLINGS[0].encode(), SPELLINGS[0].replace("2017-06-13 ", "\0" * 11).encode()],
    99,
    True,
)
def test_lines_laid_out_alike_are_scanned_as_single_lines(drawn, max_line, round_amounts):
    check_alike(drawn, max_line, round_amounts)


def check_alike(drawn, max_line, round_amounts):
    """Check that lines are scanned in a text as they are scanned one by one."""
    expected = []
    start = 0
    for number, line in enumerate(drawn, 1):
        text = line.removesuffix(b"\r")
        event = scan(text, round_amounts)
        if event is not None and len(text) <= max_line:
            expected.append((number, start, start + len(text), event))
        start += len(line) + 1
    text = b"\n".join(drawn) + b"\n"
    assert scan_text(text + FILLER, max_line, round_amounts) == expected
    assert scan_text(text, max_line, round_amounts) == expected
    assert scan_text(text + b"x" * 600, max_line, round_amounts) == expected


def large_text(seed):
    """Return a text that several threads scan in several parts, with dirty lines."""
    parts: list[bytes] = []
    while sum(map(len, parts)) < 300_000:
        logs = random_logs(f"{seed} {len(parts)}")
        parts += [logs.batch.rstrip(b"\n"), b"", logs.stream.rstrip(b"\n"), b"rubbish"]
    return b"\n".join(parts)


def outcome(detector, feeds):
    """Return the flags and rejects of all feeds, and the counts."""
    flags, rejected = [], []
    for fed in feeds:
        flags += [tuple(flag) for flag in fed.flags]
        rejected += [tuple(line) for line in fed.rejected]
    return flags, rejected, detector.counts


@pytest.mark.parametrize("seed", range(3))
def test_lines_scanned_ahead_give_the_same_as_single_lines(seed):
    text = large_text(seed)
    one, other = Detector(2, 5, 1), Detector(2, 5, 1)
    at_once = outcome(one, [one.feed(text)])
    single = outcome(
        other,
        [other.feed(line, first_line=n) for n, line in enumerate(text.split(b"\n"), 1)],
    )
    assert at_once == single
    assert len(at_once[0]) > 100
    assert len(at_once[1]) > 100
    one._check()


def test_strict_stops_while_lines_are_scanned_ahead():
    text = large_text("stop")
    first = Detector(2, 5).feed(text).rejected[0]
    for _ in range(20):
        fed = Detector(2, 5).feed(text, strict=True)
        assert fed.lines == first.line
        assert fed.rejected == [first]
