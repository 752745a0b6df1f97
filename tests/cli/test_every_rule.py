"""Every rule about lines, ids, timestamps and amounts, and every exit status.

To be fast, one run has all examples of a rule, and each test checks one of them.
"""

import contextlib
import json
import os
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from cli.commandline import (
    BATCH,
    FLAGS,
    PATIENCE,
    STREAM,
    check_manners,
    rows,
    run_command,
    wait_until,
)
from cli.flags import wait_for_flags
from lines import befriend, purchase
from reference import REASONS

MAX_LINE = 4096
TIME = '"2017-06-13 11:33:01"'


def buys(timestamp=TIME, user='"1"', amount='"5.00"'):
    """Return a purchase as a line; the values are JSON."""
    return f'{{"event_type":"purchase","timestamp":{timestamp},"id":{user},"amount":{amount}}}'


def friends(one, other, kind="befriend"):
    """Return a befriend or unfriend as a line; the ids are JSON."""
    return f'{{"event_type":"{kind}", "id1":{one}, "id2":{other}}}'


def short_ids(cases):
    """Return a short test id for each case, from its first value."""
    return [case[0].strip('"')[:24] or "empty" for case in cases]


def run_on(folder, lines):
    """Run on these lines as the stream log; return rejects by line number, and the summary."""
    (folder / "batch").write_bytes(b'{"D":1,"T":2}')
    data = [line if isinstance(line, bytes) else line.encode() for line in lines]
    (folder / "stream").write_bytes(b"\n".join(data))
    options = ("--rejects", "rejects", "--summary-json", "summary")
    limit = ("--max-line", str(MAX_LINE))
    run_command("detect", "batch", "stream", "out", *options, *limit, cwd=folder)
    found = {int(row[1]): row for row in rows(folder / "rejects")}
    assert all(row[0] == b"stream" and row[4] == data[n - 1] for n, row in found.items())
    return found, json.loads((folder / "summary").read_bytes())


# Lines that are rejected: reason, line, and a part of the detail.

REJECTED = [
    ("line_too_long", " " * (MAX_LINE + 1), "limit"),
    ("line_too_long", buys() + " " * MAX_LINE, "limit"),
    ("line_too_long", b"\xff" * (MAX_LINE + 1), "limit"),
    ("invalid_utf8", b"\xff", "byte 1"),
    ("invalid_utf8", buys(user='"\xe9"').encode("latin-1"), "byte 66"),
    ("invalid_utf8", b'{"event_type":"\xc3"}', "byte 16"),
    ("invalid_utf8", b"\xc0\x80", "byte 1"),
    ("invalid_utf8", b'"\xed\xa0\x80"', "byte 2"),
    ("invalid_utf8", b"\xf4\x90\x80\x80", "byte 1"),
    ("invalid_utf8", b"garbage \x80", "byte 9"),
    ("not_json", "garbage", "byte 1"),
    ("not_json", "{", "byte"),
    ("not_json", buys()[:-1], "byte"),
    ("not_json", buys() + "}", "byte"),
    ("not_json", buys() + " x", "byte"),
    ("not_json", buys() + buys(), "byte"),
    ("not_json", buys() + " // no comments", "byte"),
    ("not_json", buys()[:-1] + ",}", "byte"),
    ("not_json", buys().replace('"', "'"), "byte"),
    ("not_json", buys(amount="NaN"), "byte"),
    ("not_json", buys(amount="Infinity"), "byte"),
    ("not_json", buys(amount="-Infinity"), "byte"),
    ("not_json", buys(amount="+5"), "byte"),
    ("not_json", buys(amount=".5"), "byte"),
    ("not_json", buys(amount="5."), "byte"),
    ("not_json", buys(amount="05"), "byte"),
    ("not_json", buys(amount="0x10"), "byte"),
    ("not_json", buys(amount="1_0"), "byte"),
    ("not_json", buys(user="02"), "byte"),
    ("not_json", buys(user='"a\tb"'), "byte"),
    ("not_json", buys(user='"a\x00b"'), "byte"),
    ("not_json", buys(user=r'"\x41"'), "byte"),
    ("not_json", buys(user=r'"\u12"'), "byte"),
    ("not_json", buys(user=r'"\ud800"'), "byte"),
    ("not_json", buys(user=r'"\udc00\ud800"'), "byte"),
    ("not_json", '{"x":' + "[" * 1024 + "]" * 1024 + "}", "byte"),
    ("not_json", "[" * 1025 + "]" * 1025, "byte"),
    ("not_json", "\ufeff" + buys(), "byte"),
    ("not_json", "\xa0" + buys(), "byte"),
    ("not_json", "\x0c" + buys(), "byte"),
    ("not_json", "\x00", "byte"),
    ("not_json", '"' + r"\"" * 500, "byte"),
    ("not_an_object", "[]", "[]"),
    ("not_an_object", "null", "null"),
    ("not_an_object", "true", "true"),
    ("not_an_object", "17", "17"),
    ("not_an_object", "1e400", "1e400"),
    ("not_an_object", '"purchase"', '"purchase"'),
    ("not_an_object", f"[{buys()}]", "[{"),
    ("not_an_object", "[" * 1024 + "]" * 1024, "[[["),
    ("bad_event_type", "{}", "event_type: missing"),
    ("bad_event_type", " { } ", "event_type: missing"),
    ("bad_event_type", '{"D":"3","T":"50"}', "event_type: missing"),
    ("bad_event_type", '{"Event_Type":"purchase"}', "event_type: missing"),
    ("bad_event_type", '{"event_type":""}', 'event_type: ""'),
    ("bad_event_type", '{"event_type":"refund"}', 'event_type: "refund"'),
    ("bad_event_type", buys().replace("purchase", "Purchase"), 'event_type: "Purchase"'),
    ("bad_event_type", buys().replace("purchase", "purchase "), 'event_type: "purchase "'),
    ("bad_event_type", '{"event_type":null}', "event_type: null"),
    ("bad_event_type", '{"event_type":5}', "event_type: 5"),
    ("bad_event_type", '{"event_type":["purchase"]}', 'event_type: ["purchase"]'),
    ("bad_event_type", buys()[:-1] + ',"event_type":1e400}', "event_type: 1e400"),
    ("missing_field", '{"event_type":"purchase"}', "timestamp: missing"),
    ("missing_field", buys().replace("timestamp", "Timestamp"), "timestamp: missing"),
    ("missing_field", buys().replace('"id"', '"user"'), "id: missing"),
    ("missing_field", buys().replace("amount", "price"), "amount: missing"),
    ("missing_field", friends(1, 2).replace("id1", "id"), "id1: missing"),
    ("missing_field", friends(1, 2).replace("id2", "id"), "id2: missing"),
    ("missing_field", friends(1, 2, "unfriend").replace("id2", "id"), "id2: missing"),
    ("wrong_type", buys(timestamp="null"), "timestamp: null"),
    ("wrong_type", buys(timestamp="1497353581"), "timestamp: 1497353581"),
    ("wrong_type", buys(timestamp="true"), "timestamp: true"),
    ("wrong_type", buys(timestamp=f"[{TIME}]"), f"timestamp: [{TIME}]"),
    ("wrong_type", buys(user="null"), "id: null"),
    ("wrong_type", buys(user="false"), "id: false"),
    ("wrong_type", buys(user="2.0"), "id: 2.0"),
    ("wrong_type", buys(user="1e3"), "id: 1e3"),
    ("wrong_type", buys(user="-0.0"), "id: -0.0"),
    ("wrong_type", buys(user="1e400"), "id: 1e400"),
    ("wrong_type", buys(user='{"id":"1"}'), 'id: {"id":"1"}'),
    ("wrong_type", buys(amount="null"), "amount: null"),
    ("wrong_type", buys(amount="true"), "amount: true"),
    ("wrong_type", buys(amount="[5]"), "amount: [5]"),
    ("wrong_type", buys(amount="{}"), "amount: {}"),
    ("wrong_type", friends("null", "2"), "id1: null"),
    ("wrong_type", friends("1", "2.5"), "id2: 2.5"),
    ("wrong_type", friends("[]", "2", "unfriend"), "id1: []"),
    ("bad_id", buys(user='""'), "id: empty"),
    ("bad_id", friends('""', "2"), "id1: empty"),
    ("bad_id", friends("1", '""'), "id2: empty"),
    ("bad_id", friends('""', '""', "unfriend"), "id1: empty"),
    ("bad_amount", buys(amount='""'), 'amount: ""'),
    ("bad_amount", buys(amount='"."'), 'amount: "."'),
    ("bad_amount", buys(amount="-1"), "amount: -1"),
    ("bad_amount", buys(amount='"-1"'), 'amount: "-1"'),
    ("bad_amount", buys(amount="-0.000001"), "amount: -0.000001"),
    ("bad_amount", buys(amount='"-.1"'), 'amount: "-.1"'),
    ("bad_amount", buys(amount="1000000000000"), "amount: 1000000000000"),
    ("bad_amount", buys(amount='"1e12"'), 'amount: "1e12"'),
    ("bad_amount", buys(amount="1E12"), "amount: 1E12"),
    ("bad_amount", buys(amount="18446744073709551616"), "amount: 18446744073709551616"),
    ("bad_amount", buys(amount="1e400"), "amount: 1e400"),
    ("bad_amount", buys(amount="1e99999999999999999999"), "amount: 1e9999"),
    ("bad_amount", buys(amount='"1e-7"'), 'amount: "1e-7"'),
    ("bad_amount", buys(amount="0.0000001"), "amount: 0.0000001"),
    ("bad_amount", buys(amount="1.0000001"), "amount: 1.0000001"),
    ("bad_amount", buys(amount="16.830000000000000001"), "amount: 16.830000000000000001"),
    ("bad_amount", buys(amount="999999999999.9999999"), "amount: 999999999999.9999999"),
    ("bad_amount", buys(amount='"NaN"'), 'amount: "NaN"'),
    ("bad_amount", buys(amount='"inf"'), 'amount: "inf"'),
    ("bad_amount", buys(amount='"Infinity"'), 'amount: "Infinity"'),
    ("bad_amount", buys(amount='" 1"'), 'amount: " 1"'),
    ("bad_amount", buys(amount='"1 "'), 'amount: "1 "'),
    ("bad_amount", buys(amount='"1,5"'), 'amount: "1,5"'),
    ("bad_amount", buys(amount='"1_0"'), 'amount: "1_0"'),
    ("bad_amount", buys(amount='"0x10"'), 'amount: "0x10"'),
    ("bad_amount", buys(amount='"1e"'), 'amount: "1e"'),
    ("bad_amount", buys(amount='"e5"'), 'amount: "e5"'),
    ("bad_amount", buys(amount='"1e1.5"'), 'amount: "1e1.5"'),
    ("bad_amount", buys(amount='"+-1"'), 'amount: "+-1"'),
    ("bad_amount", buys(amount='"$5"'), 'amount: "$5"'),
    ("bad_amount", buys(amount='"\N{ARABIC-INDIC DIGIT TWO}"'), "amount: "),
    ("bad_amount", buys(amount=r'"1\u0000"'), "amount: "),
    ("self_friendship", friends('"1"', '"1"'), 'id1 and id2: "1"'),
    # The reason is the first check that fails.
    ("line_too_long", b"\xff" + buys().encode() * 99, "limit"),
    ("invalid_utf8", b"[\xff", "byte 2"),
    ("wrong_type", buys("5", "null", "-1"), "timestamp: 5"),
    ("bad_timestamp", buys('"now"', "null", "-1"), 'timestamp: "now"'),
    ("wrong_type", buys(TIME, "null", "-1"), "id: null"),
    ("bad_id", buys(TIME, '""', "null"), "id: empty"),
    ("missing_field", '{"event_type":"befriend","id2":""}', "id1: missing"),
    ("bad_id", friends('""', "null"), "id1: empty"),
    ("wrong_type", friends("null", '""'), "id1: null"),
    # The last of two values with the same name counts.
    ("bad_id", buys()[:-1] + ',"id":""}', "id: empty"),
    ("bad_amount", buys()[:-1] + r',"\u0061mount":-2}', "amount: -2"),
    ("bad_event_type", buys()[:-1] + ',"event_type":"x"}', 'event_type: "x"'),
    # Other unusual values in the line do not change the reason.
    ("bad_event_type", '{"x":1e400,"event_type":"x"}', 'event_type: "x"'),
    ("bad_timestamp", buys('"now"', amount="1e400"), 'timestamp: "now"'),
    ("wrong_type", buys(user="9" * 30, amount="null"), "amount: null"),
    ("self_friendship", friends("9" * 30, f'"{"9" * 30}"'), f"id1 and id2: {'9' * 30}"),
]

BAD_TIMESTAMPS = [
    "",
    "now",
    "2017-06-13",
    "2017-06-13 11:33",
    "2017-06-13 11:33:60",
    "2017-06-30 23:59:60",
    "2017-06-13 24:00:00",
    "2017-06-13 11:60:00",
    "2017-02-29 11:33:01",
    "1900-02-29 11:33:01",
    "2017-04-31 11:33:01",
    "2017-13-01 11:33:01",
    "2017-00-10 11:33:01",
    "2017-06-00 11:33:01",
    "0000-01-01 00:00:00",
    "-0001-01-01 00:00:00",
    "10000-01-01 00:00:00",
    "2017-6-13 11:33:01",
    "17-06-13 11:33:01",
    "2017/06/13 11:33:01",
    "2017-06-13t11:33:01",
    "2017-06-13T11:33:01z",
    "2017-06-13_11:33:01",
    "2017-06-13  11:33:01",
    "2017-06-13 11:33:01 ",
    " 2017-06-13 11:33:01",
    "2017-06-13 11.33.01",
    "2017-06-13 11:33:01.",
    "2017-06-13 11:33:01,5",
    "2017-06-13 11:33:01.1234567",
    "2017-06-13 11:33:01.1e3",
    "2017-06-13 11:33:01+24:00",
    "2017-06-13 11:33:01+01:60",
    "2017-06-13 11:33:01+1",
    "2017-06-13 11:33:01+001",
    "2017-06-13 11:33:01+01:",
    "2017-06-13 11:33:01+01:0",
    "2017-06-13 11:33:01+01:00:00",
    "2017-06-13 11:33:01 +01:00",
    "2017-06-13 11:33:01Z+01:00",
    "2017-06-13 11:33:01ZZ",
    "2017-06-13 11:33:01 UTC",
    "2017-06-13 11:33:01\N{MINUS SIGN}01:00",
    "\N{ARABIC-INDIC DIGIT TWO}017-06-13 11:33:01",
    "20170613T113301Z",
    "2017-W24-2T11:33:01",
    "1497353581",
]
REJECTED += [
    ("bad_timestamp", buys(timestamp=f'"{text}"'), f'timestamp: "{text}"')
    for text in BAD_TIMESTAMPS
]


@pytest.fixture(scope="module")
def rejected(tmp_path_factory):
    """The rejects and the summary of a run on all lines of REJECTED."""
    return run_on(tmp_path_factory.mktemp("rejected"), [case[1] for case in REJECTED])


@pytest.mark.parametrize(
    "number",
    range(1, len(REJECTED) + 1),
    ids=[f"{number}-{case[0]}" for number, case in enumerate(REJECTED, 1)],
)
def test_invalid_lines_are_rejected_for_their_reason(rejected, number):
    reason, line, named = REJECTED[number - 1]
    row = rejected[0].get(number)
    assert row is not None, f"accepted: {line}"
    assert row[2].decode() == reason, line
    assert named in row[3].decode(), line


def test_every_reason_is_counted(rejected):
    found, summary = rejected
    reasons = [row[2].decode() for row in found.values()]
    assert summary["rejected"] == {reason: reasons.count(reason) for reason in set(reasons)}
    assert set(reasons) == set(REASONS)
    # A rejected line adds no user.
    assert (summary["events"], summary["users"]) == (0, 0)


# Lines that are accepted.

ACCEPTED = [
    buys(),
    " \t" + buys() + " \r\t",
    buys().replace(":", " : ").replace(" : 33 : 01", ":33:01").replace("11 ", "11"),
    buys() + " " * (MAX_LINE - len(buys())),
    '{"amount":0,"id":0,"timestamp":' + TIME + ',"event_type":"purchase"}',
    buys()[:-1] + ',"mean":null,"sd":[{}],"":"","\\ud83d\\ude00":1e400,"id3":""}',
    buys()[:-1] + ',"x":' + "[" * 1023 + "]" * 1023 + "}",
    buys()[:-1] + ',"x":"\x7f\u2028\ufeff\U0010ffff\ue000"}',
    buys()[:-1] + ',"x":' + "7" * 3000 + "}",
    r'{"\u0065vent_type":"\u0070urchase","timestamp":"2017-06-13 11\u003a33:01",'
    r'"id":"\u0000","amount":"\u0035"}',
    '{"event_type":null,' + buys()[1:],
    buys(user="null")[:-1] + ',"id":1}',
    friends("1", "2"),
    friends("1", "2"),
    friends("1", "2")[:-1] + ',"timestamp":"whenever"}',
    friends("1", "2")[:-1] + ',"timestamp":null,"id":"","amount":-1}',
    friends("1", "2", "unfriend"),
    friends("1", "2", "unfriend"),
    friends("1", "1", "unfriend"),
    friends('"never"', '"seen"', "unfriend"),
]


@pytest.fixture(scope="module")
def accepted(tmp_path_factory):
    """The rejects and the summary of a run on all lines of ACCEPTED."""
    return run_on(tmp_path_factory.mktemp("accepted"), ACCEPTED)


@pytest.mark.parametrize("number", range(1, len(ACCEPTED) + 1))
def test_valid_lines_are_accepted(accepted, number):
    assert accepted[0].get(number) is None, ACCEPTED[number - 1]


def test_accepted_lines_are_counted(accepted):
    summary = accepted[1]
    assert (summary["purchases"], summary["befriends"], summary["unfriends"]) == (12, 4, 4)
    # "1", "2", "0" and U+0000; an unfriend adds no user.
    assert (summary["users"], summary["friendships"]) == (4, 0)


# Ids: a befriend with two ids of one user is a self-friendship.

SAME_USER = [
    ("2", '"2"'),
    ("0", '"0"'),
    ("-0", '"0"'),
    ("-5", '"-5"'),
    ("999999999999999999", '"999999999999999999"'),
    ("1000000000000000000", '"1000000000000000000"'),
    ("9223372036854775807", '"9223372036854775807"'),
    ("9223372036854775808", '"9223372036854775808"'),
    ("-9223372036854775808", '"-9223372036854775808"'),
    ("-9223372036854775809", '"-9223372036854775809"'),
    ("18446744073709551615", '"18446744073709551615"'),
    ("18446744073709551616", '"18446744073709551616"'),
    ("123456789012345678901234567890", '"123456789012345678901234567890"'),
    ("7" * 1500, f'"{"7" * 1500}"'),
    ('"A"', r'"\u0041"'),
    ('"/"', r'"\/"'),
    ('"\U0001f600"', r'"\ud83d\ude00"'),
    ('"ann@example.org"', '"ann@example.org"'),
    ('"123e4567-e89b-12d3-a456-426614174000"', '"123e4567-e89b-12d3-a456-426614174000"'),
    (r'"\u0000"', r'"\u0000"'),
    ('" "', '" "'),
]
DIFFERENT_USERS = [
    ("2", '"02"'),
    ("2", '"2.0"'),
    ("2", '"+2"'),
    ("2", '" 2"'),
    ("2", '"2 "'),
    ("2", '"\\n2"'),
    ("2", '"\ufeff2"'),
    ("2", '"\N{ARABIC-INDIC DIGIT TWO}"'),
    ("0", '"-0"'),
    ("0", '"00"'),
    ("1000", '"1e3"'),
    ("9007199254740992", "9007199254740993"),
    ("18446744073709551616", "18446744073709551617"),
    ("123456789012345678901234567890", "123456789012345678901234567891"),
    ("7" * 1500, "7" * 1499 + "8"),
    ('"ann"', '"Ann"'),
    ('"ann"', '"ann "'),
    ('"\xe9"', '"e\u0301"'),
    ('"\N{ANGSTROM SIGN}"', '"\xc5"'),
    (r'"a\u0000b"', r'"a\u0000c"'),
    (r'"a\u0000"', '"a"'),
    ('"\U0001f600"', '"\U0001f601"'),
    ('"null"', '"NULL"'),
]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """The rejects and the summary of a run on befriends with all pairs of ids."""
    lines = [friends(*pair) for pair in SAME_USER + DIFFERENT_USERS]
    return run_on(tmp_path_factory.mktemp("pairs"), lines)


@pytest.mark.parametrize("number", range(1, len(SAME_USER) + 1), ids=short_ids(SAME_USER))
def test_ids_of_one_user_are_equal(pairs, number):
    row = pairs[0].get(number)
    assert row is not None, SAME_USER[number - 1]
    assert row[2] == b"self_friendship"


@pytest.mark.parametrize(
    "number", range(1, len(DIFFERENT_USERS) + 1), ids=short_ids(DIFFERENT_USERS)
)
def test_ids_of_different_users_differ(pairs, number):
    assert pairs[0].get(number + len(SAME_USER)) is None, DIFFERENT_USERS[number - 1]


# Amounts: flags of other purchases show which value was read.

AMOUNTS = [
    ("0", "0"),
    ("-0", "0"),
    ('"-0"', "0"),
    ('"+0.0"', "0"),
    ('"-0.000e-99"', "0"),
    ("0e999999999999999999999999", "0"),
    ("5", "5"),
    ('"5"', "5"),
    ('"+5"', "5"),
    ('"5."', "5"),
    ('".5"', "0.5"),
    ('"-.0"', "0"),
    ('"00016.83"', "16.83"),
    ("16.83", "16.83"),
    ('"16.83"', "16.83"),
    ("1.2340000000000000000000000000000000", "1.234"),
    ('"1.2340000000"', "1.234"),
    ("1e3", "1000"),
    ('"1E+3"', "1000"),
    ('"1e-2"', "0.01"),
    ("100000000000000000000e-20", "1"),
    ("0.00000000000000000001e22", "100"),
    ('".029e3"', "29"),
    ('"5.e1"', "50"),
    ("0.07", "0.07"),
    ("1.15", "1.15"),
    ("4503599627.370497", "4503599627.370497"),
    ("999999999999", "999999999999"),
    ("999999999999.999999", "999999999999.999999"),
    ('"999999999999.999999000"', "999999999999.999999"),
    ("9.99999999999999999e11", "999999999999.999999"),
    ("0.000001", "0.000001"),
    ("1e-6", "0.000001"),
]


MILLIONTH = Decimal("0.000001")
LARGEST_AMOUNT = Decimal("999999999999.999999")


@pytest.fixture(scope="module")
def flagged(tmp_path_factory):
    """The flagged users of a run with k = 0.

    For each amount, a friend makes two purchases of it, as spelled. Then "equal N" buys at the
    same amount, and "more N" at a millionth more.
    """
    folder = tmp_path_factory.mktemp("amounts")
    batch = [b'{"D":1,"T":2}\n']
    stream = []
    for number, (spelled, value) in enumerate(AMOUNTS):
        friend = f"friend {number}"
        batch += [buys(user=f'"{friend}"', amount=spelled).encode() + b"\n"] * 2
        batch += [befriend(f"equal {number}", friend), befriend(f"more {number}", friend)]
        stream.append(purchase(f"equal {number}", value))
        if Decimal(value) < LARGEST_AMOUNT:
            stream.append(purchase(f"more {number}", f"{Decimal(value) + MILLIONTH:f}"))
    (folder / "batch").write_bytes(b"".join(batch))
    (folder / "stream").write_bytes(b"".join(stream))
    ended = run_command("detect", "batch", "stream", "out", "-k0", "--strict", cwd=folder)
    assert ended.status == 0, ended.err
    return {json.loads(line)["id"] for line in (folder / "out").read_bytes().splitlines()}


@pytest.mark.parametrize("number", range(len(AMOUNTS)), ids=short_ids(AMOUNTS))
def test_amounts_are_read_exactly(flagged, number):
    spelled, value = AMOUNTS[number]
    assert f"equal {number}" not in flagged, f"{spelled} was read as less than {value}"
    if Decimal(value) < LARGEST_AMOUNT:
        assert f"more {number}" in flagged, f"{spelled} was read as more than {value}"


# Timestamps: the mean of the latest two purchases shows which instant was read.

TIMESTAMPS = [  # and the same instant in UTC
    ("2017-06-13 11:33:01", "2017-06-13 11:33:01"),
    ("2017-06-13T11:33:01", "2017-06-13 11:33:01"),
    ("2017-06-13T11:33:01Z", "2017-06-13 11:33:01"),
    ("2017-06-13 11:33:01Z", "2017-06-13 11:33:01"),
    ("2017-06-13 11:33:01.5", "2017-06-13 11:33:01.500000"),
    ("2017-06-13 11:33:01.000001", "2017-06-13 11:33:01.000001"),
    ("2017-06-13T11:33:01.123456Z", "2017-06-13 11:33:01.123456"),
    ("2017-06-13T11:33:01.120+02", "2017-06-13 09:33:01.120000"),
    ("2017-06-13 11:33:01+0200", "2017-06-13 09:33:01"),
    ("2017-06-13 11:33:01+02:00", "2017-06-13 09:33:01"),
    ("2017-06-13 11:33:01-02:30", "2017-06-13 14:03:01"),
    ("2017-06-13 11:33:01+00:00", "2017-06-13 11:33:01"),
    ("2017-06-13 11:33:01-00:00", "2017-06-13 11:33:01"),
    ("2017-06-13 00:00:00+23:59", "2017-06-12 00:01:00"),
    ("2017-12-31 23:59:59-23:59", "2018-01-01 23:58:59"),
    ("2017-06-13 23:59:59.999999", "2017-06-13 23:59:59.999999"),
    ("2016-02-29 23:59:59", "2016-02-29 23:59:59"),
    ("2000-02-29 00:00:00-01", "2000-02-29 01:00:00"),
    ("2017-03-01 00:00:00+01", "2017-02-28 23:00:00"),
    ("1969-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999"),
    ("1900-03-01 00:00:00", "1900-03-01 00:00:00"),
    ("0001-01-02 00:00:00", "0001-01-02 00:00:00"),
    ("9999-12-30 23:59:59", "9999-12-30 23:59:59"),
]
FAR = ("0001-01-01 00:00:00+23:59", "9999-12-31 23:59:59.999999-23:59")


@pytest.fixture(scope="module")
def latest(tmp_path_factory):
    """The mean of the latest two of three purchases, by buyer."""
    folder = tmp_path_factory.mktemp("timestamps")
    batch = [b'{"D":1,"T":2}\n']
    names = []
    for number, (spelled, instant) in enumerate(TIMESTAMPS):
        time = datetime.fromisoformat(instant).replace(tzinfo=UTC)
        before, after = ((time + timedelta(microseconds=n)).isoformat() for n in (-1, 1))
        # If later than `before`, the latest two are 1 and 4, else 2 and 4.
        low = [(1, spelled), (2, before), (4, after)]
        # If earlier than `after`, the latest two are 4 and 8.
        high = [(4, after), (8, after), (1, spelled)]
        # If equal to both others, the latest two are those read last, 2 and 4.
        equal = [(1, instant), (2, spelled), (4, instant)]
        for kind, bought in (("low", low), ("high", high), ("equal", equal)):
            name = f"{kind} {number}"
            names.append(name)
            batch.append(befriend(name, f"friend of {name}"))
            batch += [purchase(f"friend of {name}", *each) for each in bought]
    batch += [purchase("far", 1, time) for time in FAR]
    (folder / "batch").write_bytes(b"".join(batch))
    (folder / "stream").write_bytes(b"".join(purchase(name, 100) for name in names))
    ended = run_command("detect", "batch", "stream", "out", "--strict", cwd=folder)
    assert ended.status == 0, ended.err
    flags = map(json.loads, (folder / "out").read_bytes().splitlines())
    return {flag["id"]: flag["mean"] for flag in flags}


@pytest.mark.parametrize("number", range(len(TIMESTAMPS)), ids=short_ids(TIMESTAMPS))
def test_timestamps_are_read_as_their_instant(latest, number):
    assert latest[f"low {number}"] == "2.50", TIMESTAMPS[number]
    assert latest[f"high {number}"] == "6.00", TIMESTAMPS[number]
    assert latest[f"equal {number}"] == "3.00", TIMESTAMPS[number]


# Exit statuses

LOGS = ("batch.json", "stream.json")


@pytest.mark.parametrize(
    ("stream", "args", "status"),
    [
        (STREAM, (*LOGS, "out.json"), 0),
        (STREAM + b"garbage\n", (*LOGS, "out.json"), 0),
        (STREAM, (*LOGS, "missing/out.json"), 1),
        (STREAM, ("batch.json", "missing.json", "out.json"), 2),
        (STREAM, (*LOGS, "out.json", "--unknown"), 2),
        (STREAM, (*LOGS, "out.json", "-D0"), 2),
        (STREAM + b"garbage\n", (*LOGS, "out.json", "--strict"), 3),
    ],
    ids=["done", "rejects", "output", "input", "usage", "value", "strict"],
)
def test_each_ending_has_its_exit_status(folder, run, stream, args, status):
    (folder / "stream.json").write_bytes(stream)
    assert run("detect", *args).status == status


STOPS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


def check_stopped(process, signum, status):
    """Send a signal and check that the process is stopped by it."""
    process.send_signal(signum)
    assert process.wait(PATIENCE) == status
    err = process.stderr.read().decode()
    check_manners(process.returncode, err)
    assert f"stopped by {signum.name}" in err


@pytest.mark.parametrize(("signum", "status"), STOPS)
@pytest.mark.parametrize("source", ["pipe", "fifo"])
def test_stopped_while_waiting_for_the_stream_log(folder, start, signum, status, source):
    path = "-"
    if source == "fifo":
        path = "fifo"
        os.mkfifo(folder / path)
    process = start("detect", "batch.json", path, "out", "--summary-json", "summary")
    feed = process.stdin if path == "-" else (folder / path).open("wb", buffering=0)
    with contextlib.closing(feed):
        feed.write(STREAM * 2 + b"\n" + STREAM + STREAM[:50])
        wait_for_flags(folder, 3)
        check_stopped(process, signum, status)
    assert (folder / "out").read_bytes() == FLAGS * 3
    summary = json.loads((folder / "summary").read_bytes())
    assert (summary["ended"], summary["flags"]) == (f"stopped by {signum.name}", 3)


@pytest.mark.parametrize(("signum", "status"), STOPS)
def test_stopped_while_waiting_for_the_batch_log(folder, start, signum, status):
    process = start("detect", "-", "stream.json", "out", "--rejects", "rejects")
    process.stdin.write(BATCH + b"garbage\nhalf a line")
    rejects = folder / "rejects"
    wait_until(lambda: rejects.exists() and rejects.read_bytes(), "a reject")
    check_stopped(process, signum, status)
    assert (folder / "out").read_bytes() == b""
    assert [row[4] for row in rows(rejects)] == [b"garbage"]


@pytest.mark.parametrize(("signum", "status"), STOPS)
def test_stopped_within_a_line_that_is_too_long(folder, start, signum, status):
    process = start("detect", "batch.json", "-", "out", "--rejects", "rejects")
    process.stdin.write(STREAM + b"garbage\n")
    process.stdin.write(b"x" * 5_000_000)
    rejects = folder / "rejects"
    wait_until(lambda: rejects.exists() and len(rejects.read_bytes()) > 3_000_000, "a reject")
    check_stopped(process, signum, status)
    assert (folder / "out").read_bytes() == FLAGS
    assert [row[4] for row in rows(rejects)] == [b"garbage"]


@pytest.mark.parametrize(("signum", "status"), STOPS)
def test_stopped_while_judging(folder, start, signum, status):
    # An endless log: the run always has lines to read or judge.
    process = start("detect", "batch.json", "-", "out")
    feeder = subprocess.Popen(["yes", STREAM[:-1]], stdout=process.stdin)
    try:
        out = folder / "out"
        wait_until(lambda: out.exists() and len(out.read_bytes()) > 1_000_000, "many flags")
        check_stopped(process, signum, status)
    finally:
        feeder.kill()
        feeder.wait(PATIENCE)
    written = out.read_bytes()
    assert written == FLAGS * (len(written) // len(FLAGS))


@pytest.mark.parametrize(("signum", "status"), STOPS)
def test_stopped_while_waiting_for_a_writer_of_a_fifo(folder, start, signum, status):
    os.mkfifo(folder / "fifo")
    process = start("detect", "batch.json", "fifo", "out")
    wait_until((folder / "out").exists, "the output, created after the batch log is open")
    check_stopped(process, signum, status)
    assert (folder / "out").read_bytes() == b""
