"""Flags as CSV, Parquet and Arrow files: the rows, and what becomes of files in every end."""

import csv
import json
import os
import signal
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cli.commandline import PATIENCE, file_size_limit, wait_until
from crash.longlogs import write_logs
from hypothesis import given
from hypothesis import strategies as st
from lines import befriend, parameters, purchase

from fastanomaly import detect
from fastanomaly.errors import StrictError
from fastanomaly.rules.exact import excess

LOGS = ("batch.json", "stream.json")
DETECT = ("detect", *LOGS)
FILES = ("out.csv", "out.parquet", "out.arrow", "OUT.FEATHER")
COLLECTED = FILES[1:]
NAMES = ["user", "timestamp", "amount", "n", "mean", "sd", "excess", "log", "row"]


def time_us(text):
    """Return a time as in ISO 8601, UTC if it has no offset, in microseconds since 1970."""
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def read_rows(path):
    """Return the rows of a table as tuples, times in microseconds, however it is stored."""
    if path.suffix.lower() == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            header, *texts = csv.reader(file)
        assert header == NAMES
        return [
            (
                row[0],
                time_us(row[1]),
                *map(Decimal, row[2:6]),
                float(row[6]),
                row[7],
                int(row[8]),
            )
            for row in texts
        ]
    if path.suffix.lower() == ".parquet":
        table = pq.read_table(path)
    else:
        table = pa.ipc.open_file(path).read_all()
    assert table.column_names == NAMES
    assert table.schema.field("timestamp").type == pa.timestamp("us", "UTC")
    times = table["timestamp"].cast(pa.int64())
    return [tuple(row.values()) for row in table.set_column(1, "t", times).to_pylist()]


def exact_excess(amount, window, k):
    """Return amount - mean - k sd of the purchases, from the definition with many digits."""
    with localcontext(prec=120):
        mean = sum(window) / len(window)
        variance = sum((x - mean) ** 2 for x in window) / len(window)
        return float(amount - mean - Decimal(k) * variance.sqrt())


@pytest.fixture
def logs(tmp_path):
    """Return a folder with long logs and the output for them, out.json."""
    write_logs(tmp_path, 1000, 6000)
    detect(*(tmp_path / name for name in (*LOGS, "out.json")))
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_a_table_has_the_flags_of_the_lines(logs, run, name):
    lines = (logs / "out.json").read_bytes().splitlines()
    stream = (logs / "stream.json").read_bytes().splitlines()
    assert run(*DETECT, name, "-q").status == 0
    rows = read_rows(logs / name)
    assert len(rows) == len(lines) > 50
    for row, line in zip(rows, lines, strict=True):
        values = json.loads(line)
        user, moment, amount, n, mean, sd, excess, log, number = row
        assert user == values["id"]
        assert moment == time_us(values["timestamp"])
        assert [amount, mean, sd] == [Decimal(values[x]) for x in ("amount", "mean", "sd")]
        assert (n <= 9, log) == (True, "stream.json")
        assert json.loads(stream[number - 1])["id"] == user
        assert line.startswith(stream[number - 1].rstrip(b"}"))
        assert float(amount - mean - 3 * sd) - 0.04 <= excess <= float(amount - mean - 3 * sd)
    assert {path.name for path in logs.iterdir()} == {*LOGS, "out.json", name}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("k", ["3", "0.125", "0"])
def test_values_at_their_limits_are_exact(tmp_path, name, k):
    most, window = "999999999999.999999", ["0", "0.000001", "0.000003", *["1.1"] * 37]
    odd = ['a,"b"', "line\r\nend", "\r", "nul\0", "\U0001f71a", "  ", "=1+1", '"']
    times = ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59"]
    times += ["2017-06-13 11:33:01.5"] * (len(odd) - 2)
    texts = [json.dumps(user)[1:-1] for user in odd]
    batch = [befriend("bob", user) for user in texts] + [purchase("bob", x) for x in window]
    (tmp_path / LOGS[0]).write_bytes(b"".join([parameters(1, 99), *batch]))
    stream = [purchase(user, most, when) for user, when in zip(texts, times, strict=True)]
    (tmp_path / LOGS[1]).write_bytes(b"".join(stream))
    detect(*(tmp_path / name for name in (*LOGS, name)), sigmas=k)
    excess = exact_excess(Decimal(most), list(map(Decimal, window)), k)
    assert [(row[0], row[1], row[2], row[6]) for row in read_rows(tmp_path / name)] == [
        (user, time_us(when), Decimal(most), excess)
        for user, when in zip(odd, times, strict=True)
    ]


@given(
    st.lists(st.integers(0, 10**18 - 1), min_size=2, max_size=9),
    st.integers(0, 10**18 - 1),
    st.integers(0, 10**9),
)
def test_the_excess_is_rounded_once(window, amount, thousandths):
    sums = len(window), sum(window), sum(x * x for x in window)
    purchases = [Decimal(x).scaleb(-6) for x in window]
    expected = exact_excess(Decimal(amount).scaleb(-6), purchases, Decimal(thousandths) / 1000)
    assert excess(*sums, amount, thousandths, 1000) == expected


def test_the_excess_of_what_is_barely_above_the_threshold_is_exact():
    # mean 1, sd 10^-6: the exact excess at k = 3 is 10^-6, in which all but it cancels out
    window = [999_999, 1_000_001]
    sums = 2, sum(window), sum(x * x for x in window)
    assert excess(*sums, 1_000_004, 3, 1) == 1e-6
    assert excess(*sums, 1_000_003, 3, 1) == 0


# -- ends of a run ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_a_full_disk_is_an_error_and_the_next_run_has_all(logs, run, name):
    flags = (logs / "out.json").read_bytes().count(b"\n")
    for size in (3000, 4000):
        ended = run(*DETECT, name, "-q", under=file_size_limit(size))
        assert (ended.status, name in ended.err) == (1, True)
        assert "File too large" in ended.err
        if (logs / name).exists():  # the flags before
            assert len(read_rows(logs / name)) < flags
    assert run(*DETECT, name, "-q").status == 0
    assert len(read_rows(logs / name)) == flags
    assert {path.name for path in logs.iterdir()} == {*LOGS, "out.json", name}


@pytest.mark.parametrize("name", FILES)
def test_a_run_that_fails_leaves_the_flags_before(logs, name):
    for log in LOGS:
        lines = (logs / log).read_bytes().splitlines(keepends=True)
        valid = [line for line in lines if b'", "' in line]
        (logs / log).write_bytes(b"".join(valid))
    (logs / "stream.json").write_bytes(b"".join([*valid[:3000], b"garbage\n", *valid[3000:]]))
    paths = [logs / name for name in (*LOGS, name)]
    detect(*paths)
    all_rows = read_rows(paths[2])
    with pytest.raises(StrictError, match=r"stream\.json, line 3001"):
        detect(*paths, strict=True)
    rows = read_rows(paths[2])
    assert 0 < len(rows) < len(all_rows)
    assert rows == [row for row in all_rows if row[8] <= 3000]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_a_followed_run_is_complete_after_a_stop_and_goes_on(logs, start, name, signum):
    """The stream comes in three parts, with an end of the run after each."""
    lines = (logs / "stream.json").read_bytes().splitlines(keepends=True)
    (logs / "live.json").touch()
    command = ("detect", "batch.json", "live.json", name, "--follow", "-q")
    options = ("--checkpoint", "kept", "--every", "1")
    for part in range(3):
        with (logs / "live.json").open("ab") as live:
            live.writelines(lines[part * 2000 : (part + 1) * 2000])
        known = checkpoints(logs)
        process = start(*command, *options)
        wait_until(lambda known=known: checkpoints(logs) > known, "a checkpoint")
        process.send_signal(signum)
        process.wait(PATIENCE)
        if signum == signal.SIGTERM:
            assert f"{name}.part" not in os.listdir(logs)
            read_rows(logs / name)
    ended = start(*command, *options, "--until-idle", "0.2")
    assert ended.wait(PATIENCE) == 0
    detect(*(logs / name for name in ("batch.json", "live.json", f"whole-{name}")))
    expected = [(*row[:7], row[8]) for row in read_rows(logs / f"whole-{name}")]
    assert [(*row[:7], row[8]) for row in read_rows(logs / name)] == expected
    assert len(expected) > 50


def checkpoints(folder):
    """Return the number of the newest checkpoint."""
    return max((path.name for path in (folder / "kept").glob("checkpoint-?????*")), default="")


# -- what is in the way ----------------------------------------------------------------------


@pytest.mark.parametrize("name", COLLECTED)
def test_only_a_regular_file_becomes_a_table(folder, run, name):
    os.mkfifo(folder / name)
    ended = run(*DETECT, name)
    assert (ended.status, f"{name}: is a FIFO, not a regular file" in ended.err) == (1, True)


@pytest.mark.parametrize("name", COLLECTED)
def test_a_file_of_another_kind_is_not_overwritten_by_the_part(folder, run, name):
    (folder / f"{name}.part").write_bytes(b"mine")
    ended = run(*DETECT, name)
    assert (ended.status, f"{name}.part: is in the way" in ended.err) == (1, True)
    assert (folder / f"{name}.part").read_bytes() == b"mine"


def test_a_csv_file_can_be_a_pipe(folder, start):
    os.mkfifo(folder / "out.csv")
    start(*DETECT, "out.csv", "-q")
    header, flag = (folder / "out.csv").read_bytes().splitlines()
    assert header.decode().split(",") == NAMES
    assert flag.startswith(b"2,2017-06-13T11:33:02.000000Z,1601.83,3,29.10,21.46,150")


@pytest.mark.parametrize("name", FILES)
def test_a_checkpoint_needs_the_rows_that_were_written_before_it(logs, run, name):
    options = ("--checkpoint", "kept", "--every", "1000", "-q")
    assert run(*DETECT, name, *options).status == 0
    sorted((logs / "kept").glob("checkpoint-*"))[-1].unlink()  # as after a crash
    os.rename(logs / name, logs / "away")
    (logs / name).write_bytes(b"user,other\n" * 20_000 if name == "out.csv" else b"")
    ended = run(*DETECT, name, *options)
    assert (ended.status, f"{name}: " in ended.err) == (2, True)
    assert "--fresh starts over" in ended.err
    os.rename(logs / "away", logs / name)
    expected = read_rows(logs / name)
    assert run(*DETECT, name, *options).status == 0
    assert read_rows(logs / name) == expected


def test_rejected_lines_are_written_as_ever_whatever_the_suffix(logs, run):
    for rejects in ("rejects", "rejects.csv"):
        assert run(*DETECT, "out.csv", "--rejects", rejects, "-q").status == 0
    assert (logs / "rejects.csv").read_bytes() == (logs / "rejects").read_bytes()
    assert read_rows(logs / "out.csv")
