"""--time-unit in every command, in summaries and metrics, in checkpoints, and in Python."""

import json
import pickle
import time
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from lines import befriend, parameters

from fastanomaly import (
    PURCHASE,
    Detector,
    ParameterError,
    detect,
    explain,
    report,
    sweep,
)

START = 1_497_353_581  # 2017-06-13 11:33:01 UTC
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
LOGS = ("batch.json", "stream.json")


def purchase(user, amount, timestamp):
    return (
        f'{{"event_type":"purchase", "timestamp":{timestamp}, '
        f'"id": "{user}", "amount": "{amount}"}}\n'
    ).encode()


def flagged(timestamp):
    line = purchase(2, "1601.83", timestamp).removesuffix(b"}\n")
    return line + b', "mean": "29.10", "sd": "21.46"}\n'


def write_logs(folder, unit, late=0):
    """Write the published example with times in a unit; return the output."""
    times = [(START + second) * PER_SECOND[unit] for second in range(5)]
    # The last three by time are compared with, not the last three by line.
    batch = (
        parameters(1, 3)
        + purchase(1, "16.83", times[1])
        + purchase(1, "59.28", times[2])
        + purchase(1, "11.20", f'"{times[3]}"')
        + purchase(1, "999.99", times[0])
        + befriend(1, 2)
    )
    (folder / "batch.json").write_bytes(batch)
    (folder / "stream.json").write_bytes(
        purchase(2, "1601.83", times[4] + late) + purchase(3, "1", '"2017-06-13T11:33"')
    )
    return flagged(times[4] + late)


@pytest.fixture
def logs(tmp_path, monkeypatch):
    """The folder of the logs, the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("unit", PER_SECOND)
def test_numbers_count_in_the_unit_that_is_named(run, logs, unit):
    expected = write_logs(logs, unit)
    ended = run("detect", *LOGS, "out.json", "--rejects", "rejects.tsv")
    assert (logs / "out.json").read_bytes() == b""
    assert (logs / "rejects.tsv").read_bytes().count(b"\twrong_type\ttimestamp: ") == 4
    ended = run("detect", *LOGS, "out.json", "--time-unit", unit, "--rejects", "rejects.tsv")
    assert ended.status == 0
    assert (logs / "out.json").read_bytes() == expected
    assert (logs / "rejects.tsv").read_bytes() == b""
    assert "cut" not in ended.err
    result = sweep(*LOGS, degrees=[1], tracked=[3], time_unit=unit)
    assert b"".join(result.lines(0)) == expected
    found = explain(*LOGS, flag=1, time_unit=unit)
    assert found.time_us == (START + 4) * 10**6
    assert "999.99" not in report(*LOGS, time_unit=unit)


def test_what_is_finer_than_a_microsecond_is_cut_and_counted(run, logs):
    expected = write_logs(logs, "ns", late=999)
    options = ("--time-unit", "ns", "--summary-json", "s.json", "--metrics", "metrics")
    ended = run("detect", *LOGS, "out.json", *options)
    assert (logs / "out.json").read_bytes() == expected
    assert "1 time cut to microseconds" in ended.err
    assert json.loads((logs / "s.json").read_bytes())["cut_times"] == 1
    assert "fastanomaly_cut_times_total 1.0" in (logs / "metrics").read_text()
    for command, *more in (
        ("sweep", "-D1", "-T3"),
        ("explain", "--flag=1"),
        ("report", "-o", "r.html"),
    ):
        ended = run(command, *LOGS, "--time-unit", "ns", *more)
        assert ended.status == 0
        if command == "sweep":
            assert "1 time cut to microseconds" in ended.err
    assert "and 1 time cut to microseconds" in (logs / "r.html").read_text()


def test_iso_accepts_no_numbers(run, logs):
    write_logs(logs, "s")
    run("detect", *LOGS, "out.json", "--time-unit", "iso", "--rejects", "rejects.tsv")
    rejects = (logs / "rejects.tsv").read_bytes()
    reasons = [line.split(b"\t")[2] for line in rejects.splitlines()]
    assert sorted(reasons) == [b"bad_timestamp", *[b"wrong_type"] * 4]
    assert b"11:33" not in rejects


def test_a_number_beyond_all_years_names_the_unit_as_the_cause(run, logs):
    write_logs(logs, "ms")
    run("detect", *LOGS, "out.json", "--time-unit", "s", "--rejects", "rejects.tsv")
    rows = [line.split(b"\t", 4) for line in (logs / "rejects.tsv").read_bytes().splitlines()]
    numbers = [row for row in rows if b'"timestamp":"' not in row[4]]
    assert len(numbers) == 4
    for _, _, reason, detail, raw in numbers:
        assert reason == b"bad_timestamp"
        value = json.loads(raw)["timestamp"]
        words = (
            f"timestamp: {value} (is outside the years 1 to 9999 in the unit of --time-unit)"
        )
        assert detail == words.encode()
        (rejected,) = Detector(1, 2, time_unit="s").feed(raw).rejected
        assert rejected.detail == words


def test_a_unit_that_is_none_is_refused(run, logs):
    write_logs(logs, "s")
    ended = run("detect", *LOGS, "out.json", "--time-unit", "days")
    assert ended.status == 2
    assert "--time-unit" in ended.err
    for call in (
        lambda unit: Detector(1, 2, time_unit=unit),
        lambda unit: detect(*LOGS, "out", time_unit=unit),
        lambda unit: explain(*LOGS, line=1, time_unit=unit),
        lambda unit: sweep(*LOGS, degrees=[1], tracked=[2], time_unit=unit),
    ):
        for unit in ("days", 1, "S", ""):
            with pytest.raises(ParameterError, match=r"time_unit: .* is not one of s, ms, us"):
                call(unit)


def test_a_checkpoint_of_another_unit_is_another_job(run, logs):
    write_logs(logs, "s")
    job = ("detect", *LOGS, "out.json", "--checkpoint", "kept")
    assert run(*job, "--time-unit", "s").status == 0
    for options, message in (
        (("--time-unit", "ms"), "time-unit was s and is now ms"),
        ((), "time-unit was s and is now None"),
    ):
        ended = run(*job, *options)
        assert ended.status == 2
        assert f"another job: {message}" in ended.err
    assert "already done" in run(*job, "--time-unit", "s").err


def timed(detector, timestamp):
    """Return the time of a purchase in microseconds."""
    detector.befriend("buyer", "friend")
    detector.record("friend", 0, "2017-06-13 11:33:01")
    detector.record("friend", 0, "2017-06-13 11:33:01")
    return detector.purchase("buyer", 1, timestamp).time_us


@pytest.mark.parametrize(
    ("unit", "timestamp", "cut"),
    [
        ("s", START, 0),
        ("s", float(START), 0),
        ("s", f"{START}.000", 0),
        ("s", Decimal(START), 0),
        ("s", np.float64(START), 0),
        ("s", np.int64(START), 0),
        ("s", np.datetime64(START, "s"), 0),
        ("s", Decimal(f"{START}.0000009"), 1),
        ("ms", START * 10**3, 0),
        ("us", START * 10**6, 0),
        ("ns", START * 10**9, 0),
        ("ns", np.uint64(START * 10**9 + 999), 1),
        ("ns", "2017-06-13T11:33:01.000000999Z", 1),
        ("iso", START * 10**6, 0),
        ("iso", "2017-06-13T11:33:01.000000000Z", 0),
    ],
    ids=repr,
)
def test_the_detector_takes_numbers_in_its_unit(unit, timestamp, cut):
    detector = Detector(1, 2, time_unit=unit)
    assert timed(detector, timestamp) == START * 10**6
    assert detector.counts.cut_times == cut
    for again in (pickle.loads(pickle.dumps(detector)),):
        assert again.time_unit == unit
        assert again.counts == detector.counts


@pytest.mark.parametrize(
    ("unit", "timestamp", "error"),
    [
        ("s", START * 10**6, ValueError),
        ("s", 10**400, ValueError),
        ("s", float("nan"), ValueError),
        ("s", "yesterday", ValueError),
        ("s", True, TypeError),
        ("s", None, TypeError),
        ("iso", 1.5, TypeError),
        ("iso", START, ValueError),
        ("iso", str(START), ValueError),
        ("s", np.datetime64("NaT"), ValueError),
        ("ns", np.datetime64(1, "ns"), ValueError),
    ],
    ids=repr,
)
def test_what_is_no_time_in_the_unit_is_an_error(unit, timestamp, error):
    detector = Detector(1, 2, time_unit=unit)
    with pytest.raises(error, match="timestamp: "):
        detector.purchase("1", 1, timestamp)
    assert detector.counts.purchases == 0


def test_naming_microseconds_ends_all_doubt():
    detector = Detector(1, 2, time_unit="us")
    assert timed(detector, START) == START
    detector.feed_columns([PURCHASE], [START], [1], None, [1])
    columns: Any = ([PURCHASE], [START], [1], None, [1])
    with pytest.raises(ValueError, match=r"row 0: times_us: .* likely in seconds"):
        Detector(1, 2, time_unit="s").feed_columns(*columns)


def test_the_clock_of_python_is_accepted():
    detector = Detector(1, 2, time_unit="s")
    now = time.time()
    assert abs(timed(detector, now) - now * 10**6) <= 1
