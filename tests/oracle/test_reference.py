"""The reference on cases that can be checked by hand."""

import sys
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar

import pytest
import reference
from cli.commandline import BATCH as EXAMPLE_BATCH
from cli.commandline import FLAGS as EXAMPLE_FLAGS
from cli.commandline import STREAM as EXAMPLE_STREAM
from lines import befriend
from published import published
from randomlogs import random_logs
from reference import (
    REASONS,
    ParameterError,
    ReferenceDetector,
    Reject,
    detect,
    parse_amount,
    parse_event,
    parse_timestamp,
)

DAY = 86400 * 10**6
LARGEST = Fraction(10**18 - 1, 10**6)


def detector_with(amounts, degree=1, tracked=50, sigmas=3):
    """Return a detector in which the buyer "b" has one friend "f" with these purchases."""
    detector = ReferenceDetector(degree, tracked, sigmas)
    detector.befriend("b", "f")
    for amount in amounts:
        detector.record("f", Fraction(amount), 0)
    return detector


def purchase_line(user="b", amount='"1.00"', timestamp="2017-06-13 11:33:01"):
    """Return a purchase without line end; the amount is JSON."""
    return (
        f'{{"event_type":"purchase", "timestamp":"{timestamp}", '
        f'"id": "{user}", "amount": {amount}}}'
    ).encode()


def reason_of(line, max_line=1 << 20):
    """Return why a line is rejected; None if it is an event."""
    try:
        parse_event(line, max_line)
    except Reject as reject:
        return reject.reason
    return None


# The published cases


def test_published_example():
    result = detect(EXAMPLE_BATCH, EXAMPLE_STREAM)
    assert result.output == EXAMPLE_FLAGS
    (flag,) = result.flags
    assert (flag.line, flag.user, flag.n) == (1, "2", 3)
    assert flag.amount == Fraction("1601.83")
    assert flag.mean == Fraction("87.31") / 3
    assert result.rejects == []
    assert result.counts == {"purchases": 4, "befriends": 2, "unfriends": 1}


def published_logs(name):
    """Return the two logs and the flagged purchases of a published case."""
    folder = published(name)
    files = ("batch_log.json", "stream_log.json", "flagged_purchases.json")
    return [(folder / file).read_bytes() for file in files]


def test_published_challenge_test_1():
    batch, stream, flagged = published_logs("challenge_test_1")
    output = detect(batch, stream).output
    assert output.splitlines() == flagged.splitlines()  # one has no last LF


def test_published_real10k():
    batch, stream, flagged = published_logs("real10k")
    result = detect(batch, stream)
    assert result.output == flagged
    assert result.rejects == []
    events = len(batch.splitlines()) - 1 + len(stream.splitlines())
    assert sum(result.counts.values()) == events


# The verdict


def test_a_verdict_needs_two_purchases():
    assert detector_with([]).judge("b", LARGEST) is None
    assert detector_with([1]).judge("b", LARGEST) is None
    assert detector_with([1, 1]).judge("b", LARGEST).n == 2


def test_an_unknown_user_has_no_network():
    detector = detector_with([1, 1])
    assert detector.network("nobody") == set()
    assert detector.judge("nobody", LARGEST) is None


def test_equality_at_the_threshold_is_not_anomalous():
    # mean 15, sd 5, threshold 30
    detector = detector_with([10, 20])
    assert detector.judge("b", Fraction(30)) is None
    assert detector.judge("b", Fraction("30.000001")).sd_text == "5.00"
    assert detector.judge("b", Fraction("29.999999")) is None


def test_above_a_constant_window_is_anomalous():
    # sd 0: any amount above the mean is anomalous, the mean itself is not
    detector = detector_with(["16.83"] * 7)
    assert detector.judge("b", Fraction("16.83")) is None
    assert detector.judge("b", Fraction("16.82")) is None
    flag = detector.judge("b", Fraction("16.830001"))
    assert (flag.mean_text, flag.sd_text) == ("16.83", "0.00")


def test_an_irrational_threshold():
    # mean 1/3, sd sqrt(2)/3: threshold 1/3 + sqrt(2) = 1.74754689...
    detector = detector_with([0, 0, 1])
    assert detector.judge("b", Fraction("1.747546")) is None
    flag = detector.judge("b", Fraction("1.747547"))
    assert (flag.mean_text, flag.sd_text) == ("0.33", "0.47")
    assert flag.variance == Fraction(2, 9)


@pytest.mark.parametrize(
    ("sigmas", "equal", "above"),
    [
        ("0", "15", "15.000001"),
        (0, "15", "15.000001"),
        ("0.5", "17.5", "17.500001"),
        ("2.125", "25.625", "25.625001"),
        (Decimal("2.125"), "25.625", "25.625001"),
        (Fraction(17, 8), "25.625", "25.625001"),
        ("0.001", "15.005", "15.005001"),
        ("1000000", "5000015", "5000015.000001"),
    ],
)
def test_the_threshold_depends_on_sigmas(sigmas, equal, above):
    detector = detector_with([10, 20], sigmas=sigmas)
    assert detector.judge("b", Fraction(equal)) is None
    assert detector.judge("b", Fraction(above)) is not None


@pytest.mark.parametrize(
    "sigmas", ["", "-1", "3.0001", "1000000.001", "nan", "1/2", " 3", "3e0", 2.5, True, None]
)
def test_invalid_sigmas_are_refused(sigmas):
    with pytest.raises(ParameterError):
        ReferenceDetector(1, 2, sigmas)


@pytest.mark.parametrize("sigmas", [Decimal("NaN"), Decimal("Infinity"), Fraction(1, 3), -1])
def test_invalid_exact_sigmas_are_refused(sigmas):
    with pytest.raises(ParameterError):
        ReferenceDetector(1, 2, sigmas)


@pytest.mark.parametrize(
    ("amounts", "mean_text", "sd_text"),
    [
        (["3.46732", "3.46732"], "3.46", "0.00"),
        (["29.1", "29.1"], "29.10", "0.00"),
        (["0.009999", "0.009999"], "0.00", "0.00"),
        (["0.999999", "0.999999"], "0.99", "0.00"),
        (["0", "0.02"], "0.01", "0.01"),  # an sd of exactly one cent
        (["0", "0.019999"], "0.00", "0.00"),  # mean and sd 0.0099995
        (["0", "199.999999"], "99.99", "99.99"),
        (["1", "2", "3"], "2.00", "0.81"),  # sd 0.816...
    ],
)
def test_mean_and_sd_are_truncated(amounts, mean_text, sd_text):
    flag = detector_with(amounts).judge("b", Fraction(1000))
    assert (flag.mean_text, flag.sd_text) == (mean_text, sd_text)


def test_the_largest_amounts():
    flag = detector_with([LARGEST - Fraction(1, 10**6)] * 2).judge("b", LARGEST)
    assert (flag.mean_text, flag.sd_text) == ("999999999999.99", "0.00")
    flag = detector_with([0, LARGEST], sigmas="0.5").judge("b", LARGEST)
    assert (flag.mean_text, flag.sd_text) == ("499999999999.99", "499999999999.99")
    # with k = 1 the threshold is the largest amount itself
    assert detector_with([0, LARGEST], sigmas=1).judge("b", LARGEST) is None


def test_a_flagged_purchase_is_recorded():
    detector = detector_with([10, 20])
    detector.befriend("b", "c")
    assert detector.purchase("b", Fraction(1000), 0) is not None
    # the network of c is b, which now has one purchase; one more makes two
    assert detector.purchase("c", Fraction(10**6), 0) is None
    detector.record("b", Fraction(1000), 0)
    assert detector.judge("c", Fraction(1001)).mean == 1000


def test_purchases_of_the_buyer_do_not_count():
    detector = detector_with([10, 20], degree=3)
    detector.befriend("f", "g")
    detector.befriend("g", "b")
    for _ in range(5):
        detector.record("b", Fraction(500), 0)
    assert detector.network("b") == {"f", "g"}
    assert detector.judge("b", Fraction(31)).n == 2


# The latest T


def amounts_seen(detector, user="b"):
    return [int(amount) for _time, _seq, _user, amount in detector.window(user)]


def test_only_the_latest_purchases_count():
    detector = detector_with([1, 2, 3, 4, 5], tracked=3)
    assert amounts_seen(detector) == [5, 4, 3]


def test_late_purchases_are_ordered_by_timestamp():
    detector = detector_with([], tracked=3)
    for amount, time in ((1, 10), (2, 20), (3, 30), (4, 15), (5, 5), (6, 25)):
        detector.record("f", Fraction(amount), time)
    assert amounts_seen(detector) == [3, 6, 2]


def test_equal_timestamps_are_ordered_as_read():
    detector = detector_with([], tracked=2)
    detector.befriend("b", "g")
    for amount, user, time in ((1, "g", 7), (2, "f", 7), (3, "g", 7), (4, "f", 6)):
        detector.record(user, Fraction(amount), time)
    assert amounts_seen(detector) == [3, 2]
    assert detector.window("b") == [(7, 2, "g", 3), (7, 1, "f", 2)]


def test_an_older_purchase_counts_again_after_an_unfriend():
    detector = detector_with([1, 2], tracked=2)
    detector.befriend("b", "g")
    detector.record("g", Fraction(3), 0)
    detector.record("g", Fraction(4), 0)
    assert amounts_seen(detector) == [4, 3]
    detector.unfriend("g", "b")
    assert amounts_seen(detector) == [2, 1]


def test_the_batch_log_is_read_before_the_stream_log():
    batch = b'{"D":1,"T":2}\n' + b"".join(
        [
            befriend("b", "f"),
            purchase_line("f", "10") + b"\n",
            purchase_line("f", "10") + b"\n",
        ]
    )
    stream = purchase_line("f", "0") + b"\n" + purchase_line("b", "6")
    # three equal timestamps: the latest two are the second 10 and 0, mean 5, sd 5
    result = detect(batch, stream, sigmas="0")
    assert result.output.endswith(b'"amount": 6, "mean": "5.00", "sd": "5.00"}\n')


# The network


@pytest.mark.parametrize(
    ("degree", "expected"),
    [(1, "b"), (2, "bc"), (3, "bcd"), (4, "bcde"), (5, "bcde"), (2**31 - 1, "bcde")],
)
def test_degrees_along_a_chain(degree, expected):
    detector = ReferenceDetector(degree, 2)
    for a, b in ("ab", "bc", "cd", "de", "xy"):
        detector.befriend(a, b)
    assert detector.network("a") == set(expected)


def test_distance_is_the_shortest_path():
    detector = ReferenceDetector(2, 2)
    for a, b in ("ab", "bc", "cd", "de", "ea"):
        detector.befriend(a, b)
    assert detector.network("a") == set("bcde")
    detector.unfriend("a", "e")
    assert detector.network("a") == set("bc")


def test_friendships_are_mutual_and_unique():
    detector = ReferenceDetector(1, 2)
    detector.befriend("a", "b")
    detector.befriend("b", "a")
    detector.befriend("a", "b")
    assert (detector.users, detector.friendships, detector.befriends) == (2, 1, 3)
    detector.unfriend("b", "a")
    detector.unfriend("b", "a")
    assert (detector.users, detector.friendships, detector.unfriends) == (2, 0, 2)
    assert detector.network("a") == detector.network("b") == set()


def test_an_unfriend_adds_no_user():
    detector = ReferenceDetector(1, 2)
    detector.unfriend("a", "b")
    detector.unfriend("a", "a")
    assert (detector.users, detector.unfriends) == (0, 2)
    detector.record("a", Fraction(1), 0)
    detector.unfriend("a", "b")
    detector.unfriend("a", "a")
    assert (detector.users, detector.purchases) == (1, 1)


def test_a_self_friendship_is_rejected():
    with pytest.raises(Reject, match="self_friendship"):
        ReferenceDetector(1, 2).befriend("a", "a")


# Amounts and timestamps


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("16.83", "16.83"),
        ("0", "0"),
        ("-0", "0"),
        ("-.0", "0"),
        ("-0.000e5", "0"),
        ("0e99999999999999999999999", "0"),
        ("0e-99999999999999999999999", "0"),
        ("+5", "5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("5.e2", "500"),
        ("007", "7"),
        ("1.2340000000", "1.234"),
        ("1e3", "1000"),
        ("1E+03", "1000"),
        ("1e00000000000000000000003", "1000"),
        ("1234567e-6", "1.234567"),
        ("1000e-9", "0.000001"),
        ("0.000000000000000000001e21", "1"),
        ("999999999999.999999", "999999999999.999999"),
        ("0.999999999999999999e12", "999999999999.999999"),
        ("9.99999999999e11", "999999999999"),
        ("1" + "0" * 6000 + "e-6000", "1"),
        ("0." + "0" * 6000 + "1e6001", "1"),
        ("0" * 6000 + "1." + "0" * 6000, "1"),
    ],
)
def test_amounts_are_exact(text, value):
    assert parse_amount(text) == Fraction(value)


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "+", "e5", ".e5", "1e", "1e+", "1e1.5", "--1", "+-1", "1 ", " 1", "1\n"),
        *("-1", "-0.000001", "-1e-7", "1e12", "1000000000000", "999999999999.9999999"),
        *("1e-7", "0.0000001", "16.830000000000000001", "1e400", "1e-400"),
        *("1e99999999999999999999", "1e-99999999999999999999", "1e" + "9" * 5000),
        *("NaN", "nan", "inf", "Infinity", "-Infinity", "1_000", "1,5", "1,000", "0x10", "$5"),
        *("\N{ARABIC-INDIC DIGIT TWO}", "1\N{FULLWIDTH DIGIT TWO}", "1\x00", "9" * 5000),
    ],
)
def test_bad_amounts_are_rejected(text):
    with pytest.raises(Reject, match="bad_amount"):
        parse_amount(text)


@pytest.mark.parametrize(
    ("text", "time_us"),
    [
        ("1970-01-01 00:00:00", 0),
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01 00:00:00.000001", 1),
        ("1970-01-01 00:00:00.1", 100_000),
        ("1970-01-01 00:00:00.123456Z", 123_456),
        ("1969-12-31 23:59:59.999999", -1),
        ("1970-01-02 00:00:00", DAY),
        ("1970-01-01 01:00:00+01", 0),
        ("1970-01-01 01:30:00+0130", 0),
        ("1970-01-01T01:30:00+01:30", 0),
        ("1969-12-31 22:30:00-01:30", 0),
        ("1970-01-01 00:00:00-00:00", 0),
        ("1970-01-01 23:59:00.5+23:59", 500_000),
        ("2000-02-29 00:00:00", 11_016 * DAY),
        ("2017-06-13 11:33:01", 1_497_353_581_000_000),
        ("0001-01-01 00:00:00", -719_162 * DAY),
        ("0001-01-01T00:00:00+23:59", -719_162 * DAY - 86_340_000_000),
        ("9999-12-31 23:59:59.999999", 2_932_897 * DAY - 1),
        ("9999-12-31 23:59:59.999999-23:59", 2_932_897 * DAY - 1 + 86_340_000_000),
    ],
)
def test_timestamps_are_microseconds(text, time_us):
    assert parse_timestamp(text) == time_us


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2017-06-13", "2017-06-13 ", "2017-06-13 11:33", "1497353581"),
        *("2017-06-13 11:33:60", "2017-06-13 11:60:01", "2017-06-13 24:00:00"),
        *("2017-02-29 11:33:01", "1900-02-29 11:33:01", "2017-06-31 11:33:01"),
        *("2017-13-01 11:33:01", "2017-00-01 11:33:01", "2017-06-00 11:33:01"),
        *("0000-01-01 00:00:00", "10000-01-01 00:00:00", "-2017-06-13 11:33:01"),
        *("2017-6-13 11:33:01", "17-06-13 11:33:01", "2017-06-13 1:33:01"),
        *("2017/06/13 11:33:01", "20170613T113301Z", "2017-06-13_11:33:01"),
        *("2017-06-13t11:33:01", "2017-06-13T11:33:01z", "2017-06-13  11:33:01"),
        *(" 2017-06-13 11:33:01", "2017-06-13 11:33:01 ", "2017-06-13 11:33:01\n"),
        *("2017-06-13 11:33:01.", "2017-06-13 11:33:01.1234567", "2017-06-13 11:33:01,5"),
        *("2017-06-13 11:33:01.Z", "2017-06-13 11:33:01 Z", "2017-06-13 11:33:01ZZ"),
        *("2017-06-13 11:33:01+24:00", "2017-06-13 11:33:01-24", "2017-06-13 11:33:01+0160"),
        *("2017-06-13 11:33:01+1", "2017-06-13 11:33:01+01:", "2017-06-13 11:33:01+01:0"),
        *("2017-06-13 11:33:01+010", "2017-06-13 11:33:01 +01:00", "2017-06-13 11:33:01+"),
        *("2017-06-13 11:33:01Z+01:00", "2017-06-13 11:33:01\N{MINUS SIGN}01:00"),
        *("\N{ARABIC-INDIC DIGIT TWO}017-06-13 11:33:01", "2017-06-13\x0011:33:01"),
    ],
)
def test_bad_timestamps_are_rejected(text):
    with pytest.raises(Reject, match="bad_timestamp"):
        parse_timestamp(text)


def test_two_spellings_of_an_instant_are_equal_timestamps():
    batch = (
        b'{"D":1,"T":2}\n'
        + befriend("b", "f")
        + b"\n".join(
            purchase_line("f", amount, timestamp)
            for amount, timestamp in (
                ("1", "2017-06-13 11:33:01"),
                ("2", "2017-06-13T13:33:01.000+02:00"),
                ("3", "2017-06-13 05:03:01-0630"),
            )
        )
    )
    result = detect(batch, purchase_line("b", "100"))
    assert result.flags[0].mean == Fraction("2.5")


# Ids


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ('"2"', "2"),
        ("2", "2"),
        ("-2", "-2"),
        ("0", "0"),
        ("-0", "0"),
        ('"-0"', "-0"),
        ('"02"', "02"),
        ('" 2"', " 2"),
        ('"2.0"', "2.0"),
        ('"a\\u0000b"', "a\x00b"),
        ('"\\u00e9"', "\N{LATIN SMALL LETTER E WITH ACUTE}"),
        ('"e\\u0301"', "e\u0301"),
        ('"\\ud83d\\uDE00"', "\N{GRINNING FACE}"),
        ('"\\"\\\\\\/\\b"', '"\\/\b'),
        ("18446744073709551616", "18446744073709551616"),
        ("7" * 5000, "7" * 5000),
    ],
)
def test_ids_are_texts(text, user):
    line = f'{{"event_type":"unfriend","id1":{text},"id2":"x"}}'.encode()
    event = parse_event(line)
    assert event == ("unfriend", user, "x")
    assert type(event[1]) is str


@pytest.mark.parametrize(
    "text", ["2.0", "1e3", "-0.0", "null", "true", "false", "[]", "{}", '["2"]']
)
def test_ids_of_the_wrong_type_are_rejected(text):
    line = f'{{"event_type":"unfriend","id1":{text},"id2":"x"}}'.encode()
    assert reason_of(line) == "wrong_type"


# Lines to events


def test_valid_lines_are_events():
    line = b'{"amount":"1e3", "x":[{}], "id":5, "event_type":"purchase", "id1":null, '
    line += b'"timestamp":"1970-01-01 00:00:01"}'
    assert parse_event(line) == ("purchase", "5", Fraction(1000), 10**6)
    line = b' {"id2":"b","id1":"a","event_type":"befriend","timestamp":"last week"}\t'
    assert parse_event(line) == ("befriend", "a", "b")
    line = b'{"event_type":"unfriend","id1":"a","id2":"a"}'
    assert parse_event(line) == ("unfriend", "a", "a")


def test_the_last_of_two_values_with_the_same_name_counts():
    line = b'{"id1":null,"event_type":5,"\\u0069d1":"a","id2":"b","id2":"c",'
    line += b'"event_type":"bef\\u0072iend"}'
    assert parse_event(line) == ("befriend", "a", "c")
    line = b'{"event_type":"befriend","id1":"a","id2":"b","id2":null}'
    assert reason_of(line) == "wrong_type"


P = '"event_type":"purchase"'
STAMP = '"timestamp":"2017-06-13 11:33:01"'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("garbage", "not_json"),
        ("", "not_json"),
        ("{", "not_json"),
        ("{}}", "not_json"),
        ("{} {}", "not_json"),
        ("{'a':1}", "not_json"),
        ('{"a":1,}', "not_json"),
        ('{"a":01}', "not_json"),
        ('{"a":1.}', "not_json"),
        ('{"a":.5}', "not_json"),
        ('{"a":+5}', "not_json"),
        ('{"a":NaN}', "not_json"),
        ('{"a":Infinity}', "not_json"),
        ('{"a":-Infinity}', "not_json"),
        ("NaN", "not_json"),
        ('{"a":"\x1f"}', "not_json"),
        ('{"a":"\t"}', "not_json"),
        ('{"a":"\\x41"}', "not_json"),
        ('{"a":"\\u+041"}', "not_json"),
        ('{"a":"\\ud800"}', "not_json"),
        ('{"a":"\\ude00\\ud83d"}', "not_json"),
        ('{"a":["\\ud83dx"]}', "not_json"),
        ('{"a":{"b":[{"\\udfff":1}]}}', "not_json"),
        ('{"a":"\\ud800","a":"b"}', "not_json"),
        ('"\\ud800"', "not_json"),
        ("{} // comment", "not_json"),
        ("\x0c{}", "not_json"),
        ("\N{NO-BREAK SPACE}{}", "not_json"),
        ("\ufeff{}", "not_json"),
        ("{}\x00", "not_json"),
        ("[]", "not_an_object"),
        ("null", "not_an_object"),
        ("5", "not_an_object"),
        ("1e400", "not_an_object"),
        ('"purchase"', "not_an_object"),
        ('[{"a":"\\ud83d\\ude00"}]', "not_an_object"),
        ("{}", "bad_event_type"),
        ('{"D":"2", "T":"50"}', "bad_event_type"),
        ('{"event_type":"Purchase"}', "bad_event_type"),
        ('{"event_type":"purchase "}', "bad_event_type"),
        ('{"event_type":""}', "bad_event_type"),
        ('{"event_type":null}', "bad_event_type"),
        ('{"event_type":1}', "bad_event_type"),
        ('{"event_type":["purchase"]}', "bad_event_type"),
        ('{"event_type":{"purchase":1}}', "bad_event_type"),
        # all checks of a field come before the next field
        (f"{{{P}}}", "missing_field"),
        (f'{{{P},"id":"","amount":"x"}}', "missing_field"),
        (f'{{{P},"timestamp":null}}', "wrong_type"),
        (f'{{{P},"timestamp":1497353581,"id":"","amount":"x"}}', "wrong_type"),
        (f'{{{P},"timestamp":"x"}}', "bad_timestamp"),
        (f'{{{P},"timestamp":"x","id":"","amount":"x"}}', "bad_timestamp"),
        (f"{{{P},{STAMP}}}", "missing_field"),
        (f'{{{P},{STAMP},"amount":"x"}}', "missing_field"),
        (f'{{{P},{STAMP},"id":1.5,"amount":"x"}}', "wrong_type"),
        (f'{{{P},{STAMP},"id":"","amount":"x"}}', "bad_id"),
        (f'{{{P},{STAMP},"id":""}}', "bad_id"),
        (f'{{{P},{STAMP},"id":"a"}}', "missing_field"),
        (f'{{{P},{STAMP},"id":"a","amount":null}}', "wrong_type"),
        (f'{{{P},{STAMP},"id":"a","amount":true}}', "wrong_type"),
        (f'{{{P},{STAMP},"id":"a","amount":[1]}}', "wrong_type"),
        (f'{{{P},{STAMP},"id":"a","amount":""}}', "bad_amount"),
        (f'{{{P},{STAMP},"id":"a","amount":"NaN"}}', "bad_amount"),
        (f'{{{P},{STAMP},"id":"a","amount":-1}}', "bad_amount"),
        (f'{{{P},{STAMP},"id":"a","amount":1e400}}', "bad_amount"),
        (f'{{{P},{STAMP},"id":"a","amount":1e-400}}', "bad_amount"),
        (f'{{{P},{STAMP},"id":"a","amount":{"9" * 5000}}}', "bad_amount"),
        (f'{{{P},{STAMP},"id":"a","amount":16.830000000000000001}}', "bad_amount"),
        (f'{{{P},{STAMP},"id":"a","amount":-0}}', None),
        (f'{{{P},{STAMP},"id":"a","amount":-0.0e-7}}', None),
        (f'{{{P},{STAMP},"id":"a","amount":5,"x":1e400,"y":{"9" * 5000}}}', None),
        ('{"event_type":"befriend"}', "missing_field"),
        ('{"event_type":"befriend","id2":""}', "missing_field"),
        ('{"event_type":"befriend","id1":null}', "wrong_type"),
        ('{"event_type":"befriend","id1":"","id2":null}', "bad_id"),
        ('{"event_type":"befriend","id1":"a"}', "missing_field"),
        ('{"event_type":"befriend","id1":"a","id2":false}', "wrong_type"),
        ('{"event_type":"befriend","id1":"a","id2":""}', "bad_id"),
        ('{"event_type":"befriend","id1":"","id2":""}', "bad_id"),
        ('{"event_type":"befriend","id1":"2","id2":2}', "self_friendship"),
        ('{"event_type":"befriend","id1":-0,"id2":"0"}', "self_friendship"),
        ('{"event_type":"befriend","id1":"2","id2":"02"}', None),
        ('{"event_type":"unfriend","id1":"2"}', "missing_field"),
        ('{"event_type":"unfriend","id1":"2","id2":2}', None),
    ],
    ids=lambda text: text and text.replace(P, "purchase").replace(STAMP, "time")[:40],
)
def test_lines_are_rejected_for_the_first_reason(line, reason):
    assert reason_of(line.encode()) == reason


@pytest.mark.parametrize(
    "piece", [b"\xff", b"\x80", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"]
)
def test_invalid_utf8_comes_before_json(piece):
    assert reason_of(b"garbage" + piece) == "invalid_utf8"
    assert reason_of(b'{"a":"' + piece + b'"}') == "invalid_utf8"


def test_the_length_limit_comes_before_everything():
    line = b'{"event_type":"unfriend","id1":"a","id2":"b"}'
    assert reason_of(line, len(line)) is None
    assert reason_of(line, len(line) - 1) == "line_too_long"
    assert reason_of(b"\xff" * 10, 9) == "line_too_long"
    assert reason_of(b"\xff" * 10, 10) == "invalid_utf8"


@pytest.mark.parametrize("limit", [50, 200, 1000])
def test_the_limit_on_nesting(limit):
    def event(opening, closing, count):
        value = opening * count + b"1" + closing * count
        return b'{"event_type":"unfriend","id1":"a","id2":"b","x":' + value + b"}"

    def recurse(depth):
        return judge() if depth == 0 else recurse(depth - 1)

    def judge():
        for opening, closing in ((b"[", b"]"), (b'{"a":', b"}"), (b' [ 1, {"[" : ', b"}]")):
            per_count = opening.count(b"{") + opening.count(b"[") - opening.count(b'"["')
            assert reason_of(event(opening, closing, 1023 // per_count)) is None
            assert reason_of(event(opening, closing, 1024 // per_count + 1)) == "not_json"
        assert reason_of(b"[" * 1024 + b"]" * 1024) == "not_an_object"
        assert reason_of(b"[" * 1025 + b"]" * 1025) == "not_json"
        assert reason_of(b"[" * 100_000) == "not_json"
        assert reason_of(b'["' + b"[" * 5000 + b'\\"{"]') == "not_an_object"
        assert reason_of(b"[" + b"[{}]," * 5000 + b"[]]") == "not_an_object"

    # also if the caller has little left of Python's recursion limit
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before + limit)
    try:
        recurse(limit)
        assert sys.getrecursionlimit() == before + limit
    finally:
        sys.setrecursionlimit(before)


# Logs: lines, parameters, rejects


FRIENDS = befriend("b", "f").rstrip()
BATCH = b"\n".join([b'{"D":"1", "T":"5"}', FRIENDS, purchase_line("f"), purchase_line("f")])
HIGH = purchase_line("b", '"9.00"')
NEW = b', "mean": "1.00", "sd": "0.00"}'
FLAGGED = HIGH[:-1] + NEW + b"\n"


def test_no_flags_give_an_empty_output():
    result = detect(BATCH, purchase_line("b"))
    assert (result.output, result.flags, result.rejects) == (b"", [], [])
    assert detect(BATCH, b"").output == b""
    assert detect(BATCH + HIGH, b"").output == b""


def test_line_ends_and_blank_lines_are_not_part_of_events():
    stream = b"\r\n  \t\n" + HIGH + b"\r\n\r\r\n" + HIGH + b"\n\n" + HIGH + b"\r"
    batch = b"\xef\xbb\xbf\n \r\n" + BATCH.replace(b"\n", b"\r\n\r\n") + b"\r\n"
    result = detect(batch, stream)
    assert result.output == FLAGGED * 3
    assert [flag.line for flag in result.flags] == [3, 5, 7]
    assert result.rejects == []


@pytest.mark.parametrize("line", [b"\x0b", b"\x0c", b"\x00", b"\xc2\xa0", b" \x1c \t"])
def test_other_white_space_is_not_blank(line):
    assert detect(BATCH, line).rejects[0].reason == "not_json"


def test_a_byte_order_mark_is_skipped_once():
    bom = b"\xef\xbb\xbf"
    result = detect(bom + BATCH, bom + HIGH + b"\n" + bom + HIGH)
    assert result.output == FLAGGED
    (reject,) = result.rejects
    assert (reject.log, reject.line, reject.reason) == ("stream", 2, "not_json")
    assert reject.raw == bom + HIGH
    assert detect(BATCH, bom + bom + HIGH).rejects[0].raw == bom + HIGH
    assert detect(BATCH, bom + b"\n" + HIGH).output == FLAGGED


def test_only_one_cr_is_part_of_the_line_end():
    result = detect(BATCH, HIGH + b"\r\r\n" + b"garbage\r\r\n" + b"garbage\r")
    assert result.output == HIGH[:-1] + NEW + b"\r\n"
    assert [reject.raw for reject in result.rejects] == [b"garbage\r", b"garbage"]


def test_rejects_do_not_change_the_state_and_have_line_numbers():
    bad = [b"garbage", purchase_line("f", '"-1"'), b'{"D":"2", "T":"50"}', FRIENDS + b"\xff"]
    batch = b"\n\n" + BATCH + b"\n" + b"\n".join(bad) + b"\n"
    stream = b"\n".join([bad[1], HIGH, b"", FRIENDS.replace(b'"f"', b'"b"'), HIGH])
    result = detect(batch, stream)
    assert result.output == FLAGGED * 2
    assert [(r.log, r.line, r.reason) for r in result.rejects] == [
        ("batch", 7, "not_json"),
        ("batch", 8, "bad_amount"),
        ("batch", 9, "bad_event_type"),
        ("batch", 10, "invalid_utf8"),
        ("stream", 1, "bad_amount"),
        ("stream", 4, "self_friendship"),
    ]
    assert [reject.raw for reject in result.rejects[:4]] == bad
    assert result.counts == {"purchases": 4, "befriends": 1, "unfriends": 0}


def test_line_limit_does_not_count_the_line_end():
    limit = max(len(line) for line in (*BATCH.split(b"\n"), HIGH))
    result = detect(BATCH, HIGH + b"\r\n" + HIGH + b"\r\r\n" + HIGH + b" ", max_line=limit)
    assert result.output == FLAGGED
    assert [reject.reason for reject in result.rejects] == ["line_too_long"] * 2
    assert result.rejects[0].raw == HIGH + b"\r"


def test_the_default_line_limit_is_one_mebibyte():
    just_fits = HIGH + b" " * (2**20 - len(HIGH))
    result = detect(BATCH, just_fits + b"\n" + just_fits + b" \n")
    assert result.output == HIGH[:-1] + NEW + just_fits[len(HIGH) :] + b"\n"
    assert [reject.reason for reject in result.rejects] == ["line_too_long"]


def test_a_blank_line_beyond_the_limit_is_too_long():
    rejects = detect(BATCH, b" " * 2**20 + b"\n" + b" " * (2**20 + 1) + b"\n" + HIGH).rejects
    assert [(reject.line, reject.reason) for reject in rejects] == [(2, "line_too_long")]


def parameters_of(first_line, **options):
    """Return D and T in force with this first line, found by judging, and the rejects."""
    friends = b"".join(befriend(n, n + 1) for n in range(9))
    purchases = b"".join(purchase_line(str(n), "1") + b"\n" for n in range(1, 10))
    result = detect(first_line + b"\n" + friends + purchases * 9, b"", **options)
    assert result.counts["befriends"] == 9
    rejects = [reject.reason for reject in result.rejects]
    stream = purchase_line("0", "2")
    flags = detect(first_line + b"\n" + friends + purchases, stream, **options).flags
    by_degree = flags[0].n
    flags = detect(first_line + b"\n" + friends + purchases * 100, stream, **options).flags
    return by_degree, flags[0].n, rejects


@pytest.mark.parametrize(
    ("first_line", "options", "expected"),
    [
        (b'{"D":"2", "T":"50"}', {}, (2, 50, [])),
        (b'{"D":2,"T":50}', {}, (2, 50, [])),
        (b' { "T" : "0050" , "D" : "02" , "note" : [1.5] } ', {}, (2, 50, [])),
        (b'{"D":"0000000000000002","T":"%s50"}' % (b"0" * 5000), {}, (2, 50, [])),
        (b'{"D":null,"T":9,"T":"50","\\u0044":2}', {}, (2, 50, [])),
        (b"\n \t\r\n\r\n" + b'{"D":"2", "T":"50"}', {}, (2, 50, [])),
        (b'{"D":"2147483647", "T":"50"}', {}, (9, 50, [])),
        (b'{"D":3,"T":2147483647}', {}, (3, 300, [])),
        (b'{"D":"2", "T":"50"}', {"degree": 4}, (4, 50, [])),
        (b'{"D":"2", "T":"50"}', {"tracked": 60}, (2, 60, [])),
        (b'{"D":"2", "T":"50"}', {"degree": 4, "tracked": 60}, (4, 60, [])),
        (b'{"T":"50"}', {"degree": 4}, (4, 50, [])),
        (b'{"D":"two", "T":"50"}', {"degree": 4}, (4, 50, [])),
        (b'{"D":0,"T":null}', {"degree": 4, "tracked": 60}, (4, 60, [])),
        (b'{"T":[]}', {"degree": 4, "tracked": 60}, (4, 60, [])),
        (b"", {"degree": 4, "tracked": 60}, (4, 60, [])),
        (b"garbage", {"degree": 4, "tracked": 60}, (4, 60, ["not_json"])),
        (b"{}", {"degree": 4, "tracked": 60}, (4, 60, ["bad_event_type"])),
        (b'{"d":1}', {"degree": 4, "tracked": 60}, (4, 60, ["bad_event_type"])),
        (
            b'{"D":"2","T":"50"}\n{"D":"2","T":"50"}',
            {"degree": 4, "tracked": 60},
            (4, 60, ["bad_event_type"]),
        ),
        (
            b'{"event_type":null,"D":"2","T":"50"}',
            {"degree": 4, "tracked": 60},
            (4, 60, ["bad_event_type"]),
        ),
    ],
)
def test_options_override_the_parameter_line(first_line, options, expected):
    assert parameters_of(first_line, **options) == expected


def test_without_parameter_line_the_first_line_is_an_event():
    result = detect(FRIENDS, b"", degree=1, tracked=2)
    assert result.counts["befriends"] == 1
    assert detect(b"", b"", degree=1, tracked=2).counts["befriends"] == 0
    line = b'{"event_type":"befriend","id1":"b","id2":"f","D":"1","T":"2"}'
    assert detect(line, b"", degree=1, tracked=2).counts["befriends"] == 1


@pytest.mark.parametrize(
    ("first_line", "options"),
    [
        (b"", {}),
        (b"garbage\n" + b'{"D":1,"T":2}', {}),
        (b"[]", {}),
        (b'{"D":1,"T":2}\xff', {}),
        (b'{"event_type":"befriend","id1":"b","id2":"f","D":"1","T":"2"}', {}),
        (b'{"D":1}', {}),
        (b'{"T":2}', {}),
        (b'{"D":1}', {"degree": 1}),
        (b'{"T":2}', {"tracked": 2}),
        (FRIENDS, {"degree": 1}),
        (b'{"D":0,"T":2}', {}),
        (b'{"D":-0,"T":2}', {}),
        (b'{"D":-1,"T":2}', {}),
        (b'{"D":2147483648,"T":2}', {}),
        (b'{"D":1,"T":1}', {}),
        (b'{"D":1,"T":2147483648}', {}),
        (b'{"D":1,"T":' + b"9" * 5000 + b"}", {}),
        (b'{"D":"","T":2}', {}),
        (b'{"D":" 1","T":2}', {}),
        (b'{"D":"+1","T":2}', {}),
        (b'{"D":"1.0","T":2}', {}),
        (b'{"D":1.0,"T":2}', {}),
        (b'{"D":1e0,"T":2}', {}),
        (b'{"D":true,"T":2}', {}),
        (b'{"D":null,"T":2}', {}),
        (b'{"D":[1],"T":2}', {}),
        ('{"D":"\N{ARABIC-INDIC DIGIT TWO}","T":2}'.encode(), {}),
        (b'{"D":1,"T":2,"T":"x"}', {}),
        (b'{"D":1,"T":2}', {"degree": 0}),
        (b'{"D":1,"T":2}', {"degree": True}),
        (b'{"D":1,"T":2}', {"tracked": 1}),
        (b'{"D":1,"T":2}', {"tracked": 2**31}),
        (b'{"D":1,"T":2}', {"degree": "1"}),
        (b'{"D":1,"T":2}', {"sigmas": "-1"}),
        (b'{"D":1,"T":2}', {"max_line": 12}),
    ],
)
def test_bad_parameters_are_refused(first_line, options):
    with pytest.raises(ParameterError):
        detect(first_line, b"", **options)


# The output's bytes


# The text between the braces, before and after; EVENT is the members of a valid event.
OLD_STATISTICS = {
    "none": (b"EVENT", b"EVENT"),
    "blanks": (b" EVENT\t", b" EVENT\t"),
    "nested": (b'EVENT, "x": {"mean": 1, "sd": [2]}', b'EVENT, "x": {"mean": 1, "sd": [2]}'),
    "in a string": (b'EVENT, "x": "}, \\"mean\\": {"', b'EVENT, "x": "}, \\"mean\\": {"'),
    "similar names": (b'EVENT,"MEAN":1,"mean ":2', b'EVENT,"MEAN":1,"mean ":2'),
    "first": (b'"mean": "1", EVENT', b" EVENT"),
    "first with blanks": (b' "mean" :\t"1" ,EVENT', b"EVENT"),
    "last": (b'EVENT, "mean": "1"', b"EVENT"),
    "last with blanks": (b'EVENT , "mean": "1" ', b"EVENT "),
    "middle": (b'"x":1, "sd": 2, EVENT', b'"x":1, EVENT'),
    "both": (b'EVENT, "mean": "29.10", "sd": "21.46"', b"EVENT"),
    "several": (b'"sd":1,"mean":{"a":[1,{"b":","}]},"sd":"}",EVENT,"sd":[[],{}]', b"EVENT"),
    "escaped": (b'"m\\u0065an":1,EVENT,"\\u0073\\u0064":2', b"EVENT"),
    "after a backslash": (b'"x":"\\\\","mean":1,EVENT', b'"x":"\\\\",EVENT'),
    "not ASCII": (b'EVENT,"x":"\xc3\xa9","mean":"\xe2\x82\xac"', b'EVENT,"x":"\xc3\xa9"'),
}


@pytest.mark.parametrize(("inside", "expected"), OLD_STATISTICS.values(), ids=OLD_STATISTICS)
@pytest.mark.parametrize(
    ("before", "after"), [(b"", b""), (b"\t ", b" \r\t")], ids=["plain", "padded"]
)
def test_existing_mean_and_sd_are_replaced(inside, expected, before, after):
    def line(text, ending):
        return before + b"{" + text.replace(b"EVENT", HIGH[1:-1]) + ending + after

    output = line(expected, NEW) + b"\n"
    assert detect(BATCH, line(inside, b"}")).output == output
    # an output line as input gives the same output line
    assert detect(BATCH, output).output == output


# The random logs


def replay(logs):
    return detect(logs.batch, logs.stream, **logs.arguments)


class CountingDetector(ReferenceDetector):
    """Counts the situations that random logs should have."""

    seen: ClassVar = Counter()
    newest_us = None

    def record(self, user, amount, time_us):
        if self.newest_us is not None:
            self.seen["late"] += time_us < self.newest_us
            self.seen["same timestamp"] += time_us == self.newest_us
        self.newest_us = max(time_us, self.newest_us or time_us)
        super().record(user, amount, time_us)

    def befriend(self, a, b):
        self.seen["befriended again"] += b in self.friends_of.get(a, ())
        super().befriend(a, b)

    def unfriend(self, a, b):
        self.seen["unfriended"] += b in self.friends_of.get(a, ())
        self.seen["self-unfriend"] += a == b
        self.seen["unfriend, unknown"] += a not in self.friends_of
        super().unfriend(a, b)

    def judge(self, user, amount):
        flag = super().judge(user, amount)
        purchases = sum(len(self.purchases_of.get(u, ())) for u in self.network(user))
        self.seen["more than T"] += purchases > self.tracked
        amounts = [purchase[3] for purchase in self.window(user)]
        if len(amounts) < 2:
            self.seen["n < 2"] += 1
            return flag
        mean = sum(amounts) / len(amounts)
        variance = sum(x * x for x in amounts) / len(amounts) - mean**2
        if amount >= mean and (amount - mean) ** 2 == self.sigmas**2 * variance:
            assert flag is None
            self.seen["equal, constant" if variance == 0 else "equal"] += 1
        below = amount - Fraction(1, 10**6)
        if flag is not None and super().judge(user, below) is None:
            self.seen["flagged by a millionth"] += 1
        return flag


def test_random_logs_have_every_situation(monkeypatch):
    seen = Counter()
    monkeypatch.setattr(CountingDetector, "seen", seen)
    monkeypatch.setattr(reference, "ReferenceDetector", CountingDetector)
    for seed in range(300):
        logs = random_logs(seed)
        result = replay(logs)
        seen.update(reject.reason for reject in result.rejects)
        seen["flagged"] += len(result.flags)
        seen["n >= 8"] += any(flag.n >= 8 for flag in result.flags)
        for flag in result.flags:
            line = logs.stream.split(b"\n")[flag.line - 1]
            seen["had a mean"] += b'"mean"' in line
        seen["CRLF"] += b"\r\n" in logs.stream
        seen["blank lines"] += b"\n\n" in logs.batch
        seen["no last LF"] += not logs.stream.endswith(b"\n")
        seen["byte order mark"] += logs.batch.startswith(b"\xef\xbb\xbf")
        seen[f"{len(logs.options)} options"] += 1
        seen["no parameter line"] += b'"D"' not in logs.batch[:200]
        seen["small line limit"] += logs.max_line < 1000
    wanted = {
        **dict.fromkeys(REASONS, 15),
        **dict.fromkeys(("flagged", "late", "same timestamp", "more than T", "n < 2"), 300),
        **dict.fromkeys(("equal, constant", "befriended again", "unfriended"), 100),
        **dict.fromkeys(("equal", "flagged by a millionth", "n >= 8", "had a mean"), 20),
        **dict.fromkeys(("self-unfriend", "unfriend, unknown"), 20),
        **dict.fromkeys(("CRLF", "blank lines", "no last LF", "byte order mark"), 10),
        **dict.fromkeys(("0 options", "1 options", "2 options"), 10),
        **dict.fromkeys(("no parameter line", "small line limit"), 10),
    }
    assert {what: seen[what] for what in wanted if seen[what] < wanted[what]} == {}


def test_equal_seeds_give_equal_logs():
    for seed in range(20):
        assert random_logs(seed) == random_logs(seed)
    assert random_logs(1) != random_logs(2)
