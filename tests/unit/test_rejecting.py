"""Lines that are skipped or rejected cheaply: same reasons as orjson's, bounded memory."""

import contextlib
import gc

import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples
from property.test_scan import lines
from randomlogs import random_logs

from fastanomaly import Detector
from fastanomaly._core import (
    decode,
    end_of_lines,
    rejected_at_once,
    rows_of_rejects,
    syntax_fault,
)
from fastanomaly.rules.rejects import REASONS, Rejected, describe
from fastanomaly.rules.wrong_values import value_detail
from fastanomaly.runs.replay import MAX_REJECTED, FeedOptions, feed_blocks

PURCHASE = b'{"event_type":"purchase","timestamp":"2017-06-13 11:33:01","id":"1","amount":"5"}'

ENDS = [
    b"x", b"{", b"}", b"[", b"]", b'"', b'""', b"[]", b"{}", b"-", b"-0", b"01", b"1", b"1.",
    b"1e5", b"1e400", b"9" * 400, b"true", b"truex", b"tru", b"false", b"null", b"nul", b"+1",
    b".5", b"\xef\xbb\xbf{}", b"\xff", b"\xc3\xa9", b"\xed\xa0\x80", b"\xc0\x80",
    b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x00", b"\x0b", b"\x0c1", b"{'a':1}", b'{"a":1},',
    b'{"a":1', b'{"a":1}}', b'"a" "b"', b"[1],", b"1 2", b"\xc2\xa01", b"{} \r", b" \t{ \t}",
    b"NaN", b"Infinity", b"-Infinity",
]  # fmt: skip

CHEAP = [
    b"", b" \t\r", b"xx", b"{}", b"[]", b"12", b'""', b"[1,", b'{"a', b"\xff\xff", b"a,b,c",
    b"[x]", b'{"a":b}', b"{'a':'b'}", b'{"event_type":"purchase"', b'{"event_type":"refund"}',
    b'{"event_type":5}', b'{"event_type":"befriend"}', b'{"event_type":"befriend","id1":""}',
    PURCHASE[:-1], PURCHASE + b",", PURCHASE.replace(b"5", b"$5"),
    PURCHASE.replace(b"2017", b"17"), PURCHASE.replace(b'"1"', b'""'),
    PURCHASE.replace(b'"1"', b"1.5"), b'{"a":[]}', b'{"a":[1e999]}', b'{"a":{"b":"\\u00e9"}}',
    b'{"event_type":[]}', b'{"id":{},"id":1,"\xc3\xa9":"\xc3\xa9"}',
    PURCHASE.replace(b'"1"', b"[1]"), PURCHASE.replace(b'"5"', b'"5\xc3\xa9"'),
    PURCHASE.replace(b'"5"', b'"-5","more":[{}, 1] '),
]  # fmt: skip
DECLINED, BLANK = -4, -3


def reason_of(line):
    """Return the reason by which a line in a block is rejected, or None."""
    fed = Detector(1, 2).feed(PURCHASE + b"\n" + line + b"\n" + PURCHASE + b"\n")
    assert fed.lines == 3
    return fed.rejected[0].reason if fed.rejected else None


def expected(line):
    try:
        reference.parse_event(line)
    except reference.Reject as reject:
        return reject.reason
    return None


@pytest.mark.parametrize("line", ENDS, ids=repr)
def test_the_ends_of_a_line_decide_as_the_whole_line_does(line):
    assert reason_of(line) == expected(line)
    found = decode(line)
    assert isinstance(found, int)
    assert REASONS[found] == expected(line)


@given(
    st.lists(st.sampled_from([*ENDS, b" ", b"\t", b"\r", b":", b",", PURCHASE]), max_size=4)
)
def test_mixed_pieces_are_rejected_as_the_reference_does(pieces):
    line = b"".join(pieces).removesuffix(b"\r")
    if line.strip(b" \t\r"):
        assert reason_of(line) == expected(line)


@given(st.binary(min_size=1, max_size=6).filter(lambda b: b"\n" not in b))
def test_any_bytes_are_rejected_as_the_reference_does(line):
    line = line.removesuffix(b"\r")
    if line.strip(b" \t\r"):
        assert reason_of(line) == expected(line)


FAULTS = [
    (b"xx", 1, "unexpected character, expected a JSON value"),
    (b"{", 2, "unexpected end of data"),
    (b"{a:1}", 2, "unexpected character, expected a string key"),
    (b'{"a" 1}', 6, "unexpected character, expected ':' after key"),
    (b'{"a":1 "b"}', 8, "unexpected character, expected ',' or '}'"),
    (b"[1 2]", 4, "unexpected character, expected ',' or ']'"),
    (b'{"a":1,}', 7, "trailing comma is not allowed"),
    (b"{}}", 3, "unexpected content after document"),
    (b'"a\tb"', 3, "unexpected control character in string"),
    (b'"\\x"', 2, "invalid escaped sequence in string"),
    (b'"\\ud800"', 2, "no low surrogate in string"),
    (b'"\\ud800\\u0041"', 2, "invalid low surrogate in string"),
    (b'"\\udc00"', 2, "invalid high surrogate in string"),
    (b"01", 1, "number with leading zero is not allowed"),
    (b'{"a":-}', 7, "no digit after sign"),
    (b'{"a":1.}', 8, "no digit after decimal point"),
    (b'{"a":1e}', 8, "no digit after exponent sign"),
    (b'{"a":tru}', 6, "invalid literal, expected 'true'"),
    (b'{"a":fals}', 6, "invalid literal, expected 'false'"),
    (b'{"a":nil}', 6, "invalid literal, expected 'null'"),
    (b"[" * 1025 + b"]" * 1025, 1026, "depth limit exceeded"),
    (b"\xef\xbb\xbf{}", 1, "UTF-8 byte order mark (BOM) is not supported"),
    (b'{"\xc3\xa9":x}', 7, "unexpected character, expected a JSON value"),
    (b'{"a":"\xff"}', 7, "invalid start byte"),
    (b'{"a":"\xc3"}', 7, "invalid continuation byte"),
    (b'{"a":"\xf0\x9f\x98', 7, "unexpected end of data"),
]


@pytest.mark.parametrize(("line", "byte", "words"), FAULTS, ids=[case[2] for case in FAULTS])
def test_a_fault_is_named_with_its_byte(line, byte, words):
    assert syntax_fault(line).startswith(f"byte {byte}: {words}")
    reason = "invalid_utf8" if b"continuation" in words.encode() else reason_of(line)
    assert describe(line, reason) == syntax_fault(line)


@pytest.mark.parametrize("line", [b"{}", b" [1] ", b'"\xc3\xa9"', PURCHASE])
def test_json_has_no_fault(line):
    assert syntax_fault(line) == ""


@given(st.binary(max_size=8))
def test_faults_of_utf8_are_those_of_python(line):
    try:
        line.decode()
    except UnicodeDecodeError as error:
        detail = f"byte {error.start + 1}: {error.reason}"
    else:
        return
    assert syntax_fault(line).startswith(detail)


@settings(max_examples=examples(1000))
@given(st.one_of(lines(), st.binary(max_size=8)))
def test_lines_are_rejected_at_once_as_the_decoder_rejects_them(line):
    found = rejected_at_once(line)
    assert found in (DECLINED, decode(line))
    if decode(line) in (REASONS.index("not_json"), REASONS.index("not_an_object"), BLANK):
        assert found != DECLINED


@settings(max_examples=examples(1000))
@given(lines(), st.booleans(), st.integers(0, 5))
def test_options_are_respected(line, round_amounts, time_unit):
    found = rejected_at_once(line, round_amounts, time_unit)
    assert found in (DECLINED, decode(line, round_amounts, time_unit))


OPTIONS = [
    (b'"amount":"5.1234567"', {"round_amounts": True}),
    (b'"amount":"5.1234567","id":99999999999999999999999', {"round_amounts": True}),
    (b'"amount":5.1234567,"more":[]', {"round_amounts": True}),
    (b'"timestamp":1497353582,"more":[]', {"time_unit": "s"}),
    (b'"timestamp":1497353582,"id":99999999999999999999999', {"time_unit": "s"}),
    (b'"timestamp":"2017-06-13 11:33","more":[]', {"time_unit": "iso"}),
]


@pytest.mark.parametrize(("members", "options"), OPTIONS, ids=lambda value: str(value)[:40])
def test_what_options_accept_is_not_rejected(members, options):
    line = b'{"event_type":"purchase","timestamp":"2017-06-13 11:33:01","id":"1","amount":"5",'
    line += members + b"}"
    assert Detector(1, 2, **options).feed(line).rejected == []
    assert len(Detector(1, 2).feed(line).rejected) == 1


@pytest.mark.parametrize("line", CHEAP, ids=repr)
def test_cheap_input_is_rejected_without_the_decoder(line):
    assert rejected_at_once(line) == decode(line) != DECLINED


def row(rejected):
    """Return a row as rows_of_rejects writes it."""
    columns = [rejected.log, str(rejected.line), rejected.reason, rejected.detail]
    for plain, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        columns = [column.replace(plain, escaped) for column in columns]
    text = "".join(f"{column}\t" for column in columns)
    return text.encode("utf-8", "surrogateescape") + rejected.raw + b"\n"


@pytest.mark.parametrize("seed", range(30))
def test_rows_have_the_details_of_each_line(seed):
    logs = random_logs(f"rows {seed}")
    fed = Detector(1, 2).feed(logs.batch + b"\n" + logs.stream, log="a\tb\udcff\\")
    assert rows_of_rejects(fed.rejected, describe, value_detail) == b"".join(
        map(row, fed.rejected)
    )


@pytest.mark.parametrize(
    "line",
    [
        *CHEAP,
        b'{"event_type":"' + b"x" * 500 + b'"}',
        b'{"event_type":"Purchase"}',
        b'{"event_type":" befriend "}',
        b'{"event_type":"xxxxxxxx"}',
        b'{"event_type":"buy"}',
        b'{"event_type":"%b"}' % (b"x" * 78),
        b'{"event_type":"%b"}' % (b"x" * 79),
        '{"event_type":"\N{NO-BREAK SPACE}purchase"}'.encode(),
        '{"event_type":"\N{GREEK SMALL LETTER ALPHA}"}'.encode(),
        PURCHASE.replace(b'"2017-06-13 11:33:01"', b"1497353581"),
        b'"' + "\N{GREEK SMALL LETTER ALPHA}".encode() * 79 + b'"',
        b'"' + "\N{GREEK SMALL LETTER ALPHA}".encode() * 78 + b'"',
        b'{"event_type":"befriend","id1":null,"id2":1.5}',
        b'{"event_type":"purchase","timestamp":5,"id":true,"amount":null}',
        b'{"event_type":"purchase","timestamp":5,"id":"","amount":"\\u00e9"}',
        b'["\\t", "\t"]',
        b'{"event_type":"befriend","id1":"\xc3\xa9","id2":"\xc3\xa9", "more":[1,{"id2":5}] }',
        b'{"event_type":"unfriend" , "id1" : [ 1 ] , "id2" : {"a": "b"} }',
        b'{"event_type":"p\\u0075rchase"}',
        b'{"event_type":"purchase","\\u0069d":5,"timestamp":"x"}',
        b'["\\t"]',
    ],
    ids=lambda line: repr(line[:50]),
)
def test_a_row_has_the_detail_of_its_line(line):
    fed = Detector(1, 2).feed(PURCHASE + b"\n" + line + b"\n", log="log")
    expected_rows = b"".join(map(row, fed.rejected))
    assert rows_of_rejects(fed.rejected, describe, value_detail) == expected_rows


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize(
    "line", [b"", b"x", b"{", b'{"', b'{"id":', b'{"id":[', b'{"id":1,', b"[]"]
)
def test_a_line_with_another_reason_does_no_harm(line, reason):
    with contextlib.suppress(Exception):
        rows_of_rejects([("log", 1, reason, line)], describe, value_detail)


@pytest.mark.parametrize("wrong", [5, ("log", 1, "not_json"), ("log", "1", "not_json", b"x")])
def test_other_objects_are_no_rejected_lines(wrong):
    with pytest.raises(TypeError):
        rows_of_rejects([wrong], describe, value_detail)


@pytest.mark.parametrize(
    ("text", "start", "count", "end"),
    [(b"a\nb\nc", 0, 1, 2), (b"a\nb\nc", 2, 1, 4), (b"a\nb\nc", 0, 9, 5), (b"", 0, 1, 0)],
)
def test_the_end_of_some_lines(text, start, count, end):
    assert end_of_lines(memoryview(text), start, count) == end


def test_line_numbers_count_blank_and_rejected_lines():
    text = b"\n \nxx\n\n" + PURCHASE + b"\n\nyy\n\n\n{}\n" + PURCHASE + b"\n\n"
    fed = Detector(1, 2).feed(text, first_line=5)
    assert fed.lines == 12
    assert [r.line for r in fed.rejected] == [7, 11, 14]


@pytest.mark.parametrize("most", [1, 2, 3, 200])
def test_feeding_stops_after_the_most_rejected_lines(most):
    lines = [b"", b"xx", b"", PURCHASE, b"{}", b"", b"\xff"] * 300
    text = b"".join(line + b"\n" for line in lines)
    detector = Detector(1, 2)
    done = 0
    rejected = []
    while True:
        rest = b"".join(line + b"\n" for line in lines[done:])
        fed = detector.feed(rest, first_line=done + 1, max_rejected=most)
        rejected += fed.rejected
        done += fed.lines
        assert len(fed.rejected) <= most
        if len(fed.rejected) < most:
            break
        assert fed.rejected[-1].line == done
    whole = Detector(1, 2)
    assert rejected == whole.feed(text).rejected
    assert detector.counts == whole.counts
    assert done == len(lines)


@pytest.mark.parametrize("most", [0, -1])
def test_the_most_rejected_lines_are_at_least_one(most):
    with pytest.raises(ValueError, match="max_rejected"):
        Detector(1, 2).feed(b"", max_rejected=most)


def test_few_rejected_lines_are_alive_at_once():
    # 2 MiB of two-byte lines are 700,000 rejected lines.
    block = memoryview(b"xx\n" * 700_000)
    alive = []
    lines = 0
    for part in feed_blocks(Detector(1, 2), [block], 1, FeedOptions("log", True, 2**20)):
        lines += part.fed.lines
        alive.append(len(part.fed.rejected))
        if lines < 3 * MAX_REJECTED:
            gc.collect()
            assert sum(type(o) is Rejected for o in gc.get_objects()) <= 2 * MAX_REJECTED
        del part
    assert lines == 700_000
    assert max(alive) <= MAX_REJECTED
