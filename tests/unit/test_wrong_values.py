"""What is said of a value that is rejected, and of a line that is not JSON."""

import json
from fractions import Fraction

import pytest
import randomlogs
from hypothesis import given
from hypothesis import strategies as st

from fastanomaly import Detector
from fastanomaly._core import amount_units, syntax_fault, time_us
from fastanomaly.rules.wrong_values import value_detail, wrong_value

AMOUNTS = [
    ("50100000000000.83", "is too large: amounts are below 10^12"),
    ("1e12", "is too large: amounts are below 10^12"),
    ("1e99999999999999999999", "is too large: amounts are below 10^12"),
    ("999999999999.9999999", "has more than six decimals, and is too large when rounded"),
    ("9999999999999999995e-7", "has more than six decimals, and is too large when rounded"),
    ("999999999999.9999994", "has more than six decimals: --round-amounts rounds them"),
    ("1601.8312345", "has more than six decimals: --round-amounts rounds them"),
    ("25.049999999999997", "has more than six decimals: --round-amounts rounds them"),
    ("1e-7", "has more than six decimals: --round-amounts rounds them"),
    ("-5", "is negative"),
    ("-0.000001", "is negative"),
    ("$5", "has a currency sign"),
    ("5 \N{EURO SIGN}", "has a currency sign"),
    ("USD 5.00", "has the name of a currency"),
    ("5.00EUR", "has the name of a currency"),
    ("1,601.83", "has thousands separators"),
    ("1,234,567", "has thousands separators"),
    ("1 601.83", "has thousands separators"),
    ("1'601.83", "has thousands separators"),
    ("1_601", "has thousands separators"),
    ("1.601,83", "has thousands separators and a decimal comma"),
    ("1,601", "has a comma: neither thousands separators nor decimal commas are allowed"),
    ("1601,83", "has a decimal comma instead of a point"),
    ("16.8.3", "has more than one decimal point"),
    ("", "is empty"),
    (" 5", "has white space around it"),
    ("5\n", "has white space around it"),
    ("NaN", "is not a finite number"),
    ("-Infinity", "is not a finite number"),
    ("0x10", "is hexadecimal"),
    ("+-1", "has two signs"),
    ("1e", "has an exponent without digits"),
    ("1e1.5", "has an exponent that is not a whole number"),
    ("5%", "is a percentage"),
    ("(5.00)", "is in parentheses"),
    ("\N{MINUS SIGN}5", "is negative, with a minus sign that is not ASCII"),
    ("\N{ARABIC-INDIC DIGIT TWO}", "has digits that are not ASCII"),
    ("n/a", 'must be a decimal number like "16.83"'),
    (".", 'must be a decimal number like "16.83"'),
]
EPOCH = "is a number: --time-unit reads numbers of seconds since 1970 and of smaller units"
ZONE = "has the name of a time zone: write Z or an offset such as +02:00"
BEFORE = "is before the year 1: years are 0001 to 9999"
OFFSET = "has an offset that is not like +02, +0200 or +02:00"
TIMES = [
    ("2017-06-13", "is only a date: the time is missing"),
    ("0044-03-15 12:00:00 BC", BEFORE),
    ("0044-03-15 12:00:00.25+00 BC", BEFORE),
    ("0044-02-30 12:00:00+05:53:28 BC", BEFORE),
    ("12044-03-15 12:00:00 BC", BEFORE),
    ("0044-03-15 BC", BEFORE),
    ("20170613", "is only a date, without dashes: the time is missing"),
    ("2017-06", "is only a month: day and time are missing"),
    ("11:33:02", "is only a time: the date is missing"),
    ("2017-06-13 11:33", "has no seconds: --time-unit iso accepts that"),
    ("2017-06-13T11:33Z", "has no seconds: --time-unit iso accepts that"),
    ("2017-06-13 11", "has no minutes and seconds"),
    ("2017-06-13 11:33:60", "has second 60: leap seconds are not allowed"),
    ("2017-06-13 11:33:61", "has second 61: seconds are 00 to 59"),
    ("2017-06-13 11:60:00", "has minute 60: minutes are 00 to 59"),
    ("2017-06-13 24:00:00", "has hour 24: hours are 00 to 23"),
    ("2017-13-01 11:33:01", "has month 13: months are 01 to 12"),
    ("2017-00-10 11:33:01", "has month 00: months are 01 to 12"),
    ("2017-02-29 11:33:01", "has day 29: days of 2017-02 are 01 to 28"),
    ("2017-06-00 11:33:01", "has day 00: days of 2017-06 are 01 to 30"),
    ("0000-01-01 00:00:00", "has year 0000: years are 0001 to 9999"),
    ("2017/06/13 11:33:02", "has slashes: the date must be YYYY-MM-DD"),
    ("6/13/2017", "has slashes: the date must be YYYY-MM-DD"),
    ("13.06.2017 11:33:02", "has dots in the date, which must be YYYY-MM-DD"),
    ("13-06-2017 11:33:02", "has the year last: the date must be YYYY-MM-DD"),
    ("17-06-13 11:33:02", "has a year of two digits"),
    ("2017-W24-2", "has a week: the date must be YYYY-MM-DD"),
    ("2017-164T11:33:02", "has a day of the year: the date must be YYYY-MM-DD"),
    ("12017-06-13 11:33:02", "has a year that is not of four digits"),
    (
        "2017-06-13 11:33:02.123456789",
        "has 9 decimals of a second: --time-unit iso cuts all but 6",
    ),
    (
        "2017-06-13 11:33:02.1234567Z",
        "has 7 decimals of a second: --time-unit iso cuts all but 6",
    ),
    ("2017-06-13 11:33:02.", "has no digits after the point"),
    (
        "2017-06-13 11:33:02,5",
        "has a decimal comma: write a point before fractions of a second",
    ),
    ("2017-06-13 11:33:02 UTC", ZONE),
    ("2017-06-13 11:33:02 Europe/Berlin", ZONE),
    ("2017-06-13T11:33:02[Europe/Berlin]", ZONE),
    ("2017-06-13T11:33:02.5CET", ZONE),
    ("2017-06-13T11:33:02z", "has a lower-case z"),
    ("2017-06-13t11:33:02", "has a lower-case t"),
    ("2017-06-13 11:33:02 +02:00", "has a space before the offset"),
    ("2017-06-13 11:33:02+2", OFFSET),
    ("2017-06-13 11:33:02+02:0", OFFSET),
    ("2017-06-13 11:33:02+24:00", "has an offset beyond 23:59"),
    ("2017-06-13 11:33:02Z+01:00", "has something after Z"),
    ("2017-06-13 11:33:02 PM", "has AM or PM: hours are 00 to 23"),
    ("6-13-17 1:33 pm", "has AM or PM: hours are 00 to 23"),
    (
        "2017-06-13 11:33:02;",
        "has something after the seconds: only Z or an offset may follow",
    ),
    ("2017-06-13 11:33:02 ", "has white space around it"),
    ("\t2017-06-13 11:33:02", "has white space around it"),
    ("2017-06-13  11:33:02", "has more than one character before the time"),
    ("2017-06-13_11:33:02", "has neither a space nor T before the time"),
    ("2017-6-13 9:33:02", "needs two digits each"),
    ("20170613T113302Z", "has no dashes and colons"),
    ("Tue, 13 Jun 2017 11:33:02 GMT", "has names: the date must be YYYY-MM-DD"),
    ("1497353582", EPOCH),
    ("1497353582123", EPOCH),
    ("", "is empty"),
    ("now", 'must be like "2017-06-13 11:33:02"'),
    ("\N{ARABIC-INDIC DIGIT TWO}017-06-13 11:33:01", "has digits that are not ASCII"),
]
OTHERS = [
    ("timestamp", "1497353582", EPOCH),
    ("timestamp", "-1.5", EPOCH),
    ("timestamp", "null", "must be a string"),
    ("amount", "null", "must be a number or a string"),
    ("amount", "5e20", "is too large: amounts are below 10^12"),
    ("amount", "[5]", "must be a number or a string"),
    ("id", "1.5", "must be a string or a whole number"),
    ("id2", "true", "must be a string or a whole number"),
    ("event_type", "5", "must be a string"),
    ("event_type", '"Purchase"', 'must be "purchase", in lower case and without spaces'),
    ("event_type", '"befriend "', 'must be "befriend", in lower case and without spaces'),
    ("event_type", '"refund"', "must be purchase, befriend or unfriend"),
    ("event_type", '""', "must be purchase, befriend or unfriend"),
    ("timestamp", r'"2017-06-13\u0020"', "has white space around it"),
]
SYNTAX = [
    (b'{"a":1},', "byte 8: unexpected content after document (the line ends in a comma)"),
    (b'{"a":1} , ', "byte 9: unexpected content after document (the line ends in a comma)"),
    (b"{'a':1}", "(single quotes: JSON has double quotes)"),
    (b"{u'a':1}", "(Python's u'...': JSON has double quotes)"),
    (b"{\"a\":u'b'}", "(Python's u'...': JSON has double quotes)"),
    ("{“a”:1}".encode(), "(curly quotes: JSON has straight quotes)"),
    (b'{"a":None}', "(Python's None: JSON has null)"),
    (b'{"a":True}', "(Python's True and False: JSON has true and false)"),
    (b'{"a":NaN}', "(NaN is not JSON)"),
    (b"{", "byte 2: unexpected end of data (each line must be a whole object)"),
    (b"[", "(each line must be a whole object)"),
    (b"},", "(each line must be a whole object)"),
    (b'  "a": 1,', "(a part of an object: each line must be a whole one)"),
    (b'{"a":1}\r{"a":2}', "(a CR without LF does not end a line)"),
    (b'{"a":1} {"a":2}', "(more than one object in a line)"),
    ('{"a":1}'.encode("utf-16"), "byte 1: invalid start byte (UTF-16?)"),
    ('{"a":1}'.encode("utf-16-le"), "(a NUL: UTF-16?)"),
    (b"\x1f\x8b\x08\x00", "byte 2: invalid start byte (compressed data?)"),
    (b'{"a":1', "byte 7: unexpected end of data"),
]


@pytest.mark.parametrize(("text", "words"), AMOUNTS)
def test_an_amount_is_explained(text, words):
    assert amount_units(text) is None
    assert wrong_value("amount", json.dumps(text)) == words
    assert wrong_value("amount", json.dumps(text, ensure_ascii=False)) == words


@pytest.mark.parametrize(("text", "words"), TIMES)
def test_a_timestamp_is_explained(text, words):
    assert time_us(text) is None
    assert wrong_value("timestamp", json.dumps(text)) == words


@pytest.mark.parametrize(("name", "text", "words"), OTHERS)
def test_another_value_is_explained(name, text, words):
    assert wrong_value(name, text) == words
    shown = f" ({words})" if words else ""
    assert value_detail(name, text) == f"{name}: {text}{shown}"


@pytest.mark.parametrize(("line", "words"), SYNTAX)
def test_a_line_that_is_not_json_is_explained(line, words):
    assert syntax_fault(line).endswith(words)


def test_all_bad_values_of_the_random_logs_are_explained():
    for text in randomlogs.BAD_TIMESTAMPS:
        assert wrong_value("timestamp", json.dumps(text)), text
    for text in randomlogs.BAD_AMOUNTS:
        assert wrong_value("amount", text), text


@given(st.one_of(st.text(), st.from_regex(r"[-+$0-9.,eE ]{0,12}", fullmatch=True)))
def test_every_bad_amount_is_explained(text):
    if amount_units(text) is None:
        assert wrong_value("amount", json.dumps(text))


@given(
    st.one_of(st.text(), st.from_regex(r"[0-9]{4}[-/][-0-9: TZ+.,a-z]{0,20}", fullmatch=True))
)
def test_every_bad_timestamp_is_explained(text):
    if time_us(text) is None:
        assert wrong_value("timestamp", json.dumps(text))


@given(
    st.from_regex(
        r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,9})?([eE][-+]?[0-9]{1,2})?", fullmatch=True
    )
)
def test_the_reason_is_true(text):
    value = Fraction(text)
    words = wrong_value("amount", text)
    if amount_units(text) is not None:
        return
    if value < 0:
        assert words == "is negative"
    elif value >= 10**12:
        assert "too large" in words
    else:
        assert "six decimals" in words


@pytest.mark.parametrize(
    "unit", ["7", "7,", ".", " ", "1e", "7.", "a", "(", "\u2019", "2017-06-13 "]
)
@pytest.mark.parametrize("name", ["amount", "timestamp"])
def test_long_values_take_no_long_time(name, unit):
    text = json.dumps(unit * (2**20 // len(unit)), ensure_ascii=False)
    detail = value_detail(name, text)
    assert detail.startswith(f"{name}: {text[:77]}...")
    assert len(detail) < 200


def test_details_have_the_reason():
    lines = (
        b'{"event_type":"purchase","timestamp":"2017-06-13","id":"1","amount":"5"}\n'
        b'{"event_type":"purchase","timestamp":"2017-06-13 11:33:02","id":"1","amount":"$5"}\n'
        b'{"event_type":"purchase","timestamp":1497353582,"id":1.5,"amount":"5"}\n'
        b'{"event_type":"Purchase"}\n'
    )
    assert [rejected.detail for rejected in Detector(1, 2).feed(lines).rejected] == [
        'timestamp: "2017-06-13" (is only a date: the time is missing)',
        'amount: "$5" (has a currency sign)',
        f"timestamp: 1497353582 ({EPOCH}), id: 1.5 (must be a string or a whole number)",
        'event_type: "Purchase" (must be "purchase", in lower case and without spaces)',
    ]
