"""fastanomaly detect: logs, parameters, flags, rejects, messages and wrong use."""

import contextlib
import gzip
import json
import os
import re
import subprocess
import sys
import termios
from functools import partial
from pathlib import Path

import pytest
import reference
from cli.commandline import (
    BATCH,
    COMMAND,
    FLAGS,
    PATIENCE,
    SANITIZED,
    SMALL_PARENT,
    STREAM,
    rows,
    run_command,
    zstd_module,
)
from cli.wronguse import check_refused
from lines import befriend, parameters, purchase
from randomlogs import random_logs

import fastanomaly

LOGS = ("batch.json", "stream.json")
EVENTS = BATCH.split(b"\n", 1)[1]  # the batch log without its first line
DIRTY = STREAM + b"garbage\n" + STREAM + b"[]\n"


# Flags


def test_the_published_example_is_flagged(folder, run):
    ended = run("detect", *LOGS, "out.json")
    assert ended.status == 0
    assert (folder / "out.json").read_bytes() == FLAGS
    assert ended.out == b""


def test_the_console_script_works(folder):
    script = Path(sys.executable).with_name("fastanomaly")
    assert script.exists()
    subprocess.run(
        [script, "detect", *LOGS, "out.json", "--quiet"],
        cwd=folder,
        check=True,
        timeout=PATIENCE,
    )
    assert (folder / "out.json").read_bytes() == FLAGS


@pytest.mark.parametrize("seed", range(12))
def test_random_logs_agree_with_the_reference(seed, tmp_path, run):
    logs = random_logs(seed)
    expected = reference.detect(logs.batch, logs.stream, **logs.arguments)
    (tmp_path / "batch").write_bytes(logs.batch)
    (tmp_path / "stream").write_bytes(logs.stream)
    ended = run("detect", "batch", "stream", "out", *logs.command_line, "--rejects=rejects")
    assert ended.status == 0
    assert (tmp_path / "out").read_bytes() == expected.output
    found = [
        (log, int(n), reason, raw) for log, n, reason, _, raw in rows(tmp_path / "rejects")
    ]
    assert found == [
        (r.log.encode(), r.line, r.reason.encode(), r.raw) for r in expected.rejects
    ]


def test_no_flags_leave_an_empty_file(folder, run):
    (folder / "stream.json").write_bytes(purchase(2, "29.10"))
    (folder / "out.json").write_bytes(b"from an earlier run\n")
    assert run("detect", *LOGS, "out.json").status == 0
    assert (folder / "out.json").read_bytes() == b""


@pytest.mark.parametrize(
    ("batch", "stream"),
    [
        (BATCH.replace(b"\n", b"\r\n"), STREAM.replace(b"\n", b"\r\n")),
        (b"\xef\xbb\xbf" + BATCH, b"\xef\xbb\xbf" + STREAM),
        (BATCH.replace(b"\n", b"\n\n \t\n\r\n"), b"\n\r\n" + STREAM + b"\n\n"),
        (b"\n \n\r\n" + BATCH, b" " + b"\n" + STREAM),
        (b"\xef\xbb\xbf\r\n" + BATCH, b"\xef\xbb\xbf\r\n" + STREAM),
        (BATCH.rstrip(b"\n"), STREAM.rstrip(b"\n")),
        (BATCH.rstrip(b"\n") + b"\r", STREAM.rstrip(b"\n") + b"\r"),
        (BATCH.rstrip(b"\n") + b"\n ", STREAM.rstrip(b"\n") + b"\n\t"),
    ],
    ids=[
        "crlf",
        "byte order mark",
        "blank lines",
        "blank first lines",
        "blank after a byte order mark",
        "no last line feed",
        "last is a carriage return",
        "last line is blank",
    ],
)
def test_line_ends_and_blank_lines_do_not_change_the_flags(folder, run, batch, stream):
    (folder / "batch.json").write_bytes(batch)
    (folder / "stream.json").write_bytes(stream)
    ended = run("detect", *LOGS, "out.json", "--rejects", "rejects.tsv")
    assert ended.status == 0
    assert (folder / "out.json").read_bytes() == FLAGS
    assert (folder / "rejects.tsv").read_bytes() == b""


def test_only_the_first_byte_order_mark_is_skipped(folder, run):
    bom = b"\xef\xbb\xbf"
    (folder / "stream.json").write_bytes(bom + bom + STREAM + bom + STREAM + STREAM)
    run("detect", *LOGS, "out.json", "--rejects", "rejects.tsv")
    assert (folder / "out.json").read_bytes() == FLAGS
    assert [(row[1], row[2], row[4]) for row in rows(folder / "rejects.tsv")] == [
        (b"1", b"not_json", bom + STREAM[:-1]),
        (b"2", b"not_json", bom + STREAM[:-1]),
    ]


def test_empty_logs_give_no_flags(folder, run):
    for name in LOGS:
        (folder / name).write_bytes(b"")
    assert run("detect", *LOGS, "out.json", "-D", "1", "-T", "2").status == 0
    assert (folder / "out.json").read_bytes() == b""


# D, T and k

NETWORK = (
    befriend("1", "2")
    + befriend("2", "3")
    + b"".join(purchase(2, amount) for amount in (10, 20, 30))
    + purchase(3, 100, "2017-06-13 11:33:03")
)


@pytest.mark.parametrize(
    ("options", "mean", "sd"),
    [
        ([], "25.00", "5.00"),
        (["-T", "3"], "20.00", "8.16"),
        (["--tracked", "3"], "20.00", "8.16"),
        (["-D", "2"], "65.00", "35.00"),
        (["--degree=2"], "65.00", "35.00"),
        (["-D", "02", "-T", "03"], "50.00", "35.59"),
        (["-D", "2147483647", "-T", "2147483647"], "40.00", "35.35"),
        (["-k", "1000"], "25.00", "5.00"),
    ],
    ids=["none", "T", "tracked", "D", "degree", "leading zeros", "largest", "k"],
)
def test_options_override_the_parameter_line(tmp_path, run, options, mean, sd):
    (tmp_path / "batch").write_bytes(b'{"D":"1", "T":2}\n' + NETWORK)
    (tmp_path / "stream").write_bytes(purchase(1, 9999))
    assert run("detect", "batch", "stream", "out", *options).status == 0
    (flag,) = map(json.loads, (tmp_path / "out").read_bytes().splitlines())
    assert (flag["mean"], flag["sd"]) == (mean, sd)


@pytest.mark.parametrize(
    ("sigmas", "amount", "flagged"),
    [
        ([], "40", False),
        ([], "40.000001", True),
        (["-k", "3.2"], "41", False),
        (["-k", "3.199"], "41", True),
        (["--sigmas", "0"], "25", False),
        (["--sigmas=.0"], "25.000001", True),
        (["-k", "1000000"], "5000025", False),
        (["-k", "1e6"], "5000025.000001", True),
    ],
    ids=lambda value: " ".join(value) or "default" if isinstance(value, list) else None,
)
def test_the_threshold_is_exact(tmp_path, run, sigmas, amount, flagged):
    (tmp_path / "batch").write_bytes(parameters(1, 2) + NETWORK)
    (tmp_path / "stream").write_bytes(purchase(1, amount))
    assert run("detect", "batch", "stream", "out", *sigmas).status == 0
    assert bool((tmp_path / "out").read_bytes()) is flagged


@pytest.mark.parametrize(
    ("first_line", "rejected"),
    [
        (b"", 0),
        (b'{"D":"0", "T":null}\n', 0),  # a parameter line whose values are not used
        (b'{"event_type":"befriend", "D":"9", "id1":"3", "id2":"1"}\n', 0),
        (b"{}\n", 1),
        (b"garbage\n", 1),
    ],
    ids=["missing", "invalid", "an event", "empty object", "garbage"],
)
def test_with_both_options_the_parameter_line_is_not_needed(folder, run, first_line, rejected):
    (folder / "batch.json").write_bytes(first_line + EVENTS)
    ended = run("detect", *LOGS, "out.json", "-D3", "-T50", "--rejects", "rejects.tsv")
    assert ended.status == 0
    assert (folder / "out.json").read_bytes() == FLAGS
    assert len(rows(folder / "rejects.tsv")) == rejected


def test_other_fields_of_the_parameter_line_are_ignored(folder, run):
    first_line = b'{"x":[1e400], "T":"50", "D":"nine", "D":3, "id":null}\n'
    (folder / "batch.json").write_bytes(first_line + EVENTS)
    assert run("detect", *LOGS, "out.json").status == 0
    assert (folder / "out.json").read_bytes() == FLAGS


def test_a_parameter_line_elsewhere_is_rejected(folder, run):
    line = b'{"D":"1", "T":"2"}'
    (folder / "batch.json").write_bytes(BATCH + line + b"\n")
    (folder / "stream.json").write_bytes(line + b"\n" + STREAM)
    assert run("detect", *LOGS, "out.json", "--rejects", "rejects.tsv").status == 0
    assert (folder / "out.json").read_bytes() == FLAGS
    assert rows(folder / "rejects.tsv") == [
        (b"batch.json", b"8", b"bad_event_type", b"event_type: missing", line),
        (b"stream.json", b"1", b"bad_event_type", b"event_type: missing", line),
    ]


def check_nothing_was_written(folder):
    """Check that the earlier output is unchanged and that there is no new file."""
    assert sorted(os.listdir(folder)) == ["batch.json", "out.json", "stream.json"]
    assert (folder / "out.json").read_bytes() == b"kept\n"


BAD_PARAMETERS = {
    "no parameter line": (b"", [], ["line 1", "D", "T"]),
    "no D": (b'{"T":"50"}\n', [], ["line 1", "D"]),
    "no T": (b'{"D":"3"}\n', [], ["line 1", "T"]),
    "after blank lines": (b'\n \r\n{"D":"0", "T":"50"}\n', [], ["line 3", "D", "'0'"]),
    "after a byte order mark": (
        b'\xef\xbb\xbf{"D":"3", "T":"1"}\r\n',
        [],
        ["line 1", "T", "'1'"],
    ),
    "D zero": (b'{"D":0, "T":"50"}\n', [], ["line 1", "D", "0"]),
    "D negative": (b'{"D":"-3", "T":"50"}\n', [], ["line 1", "D", "'-3'"]),
    "D plus sign": (b'{"D":"+3", "T":"50"}\n', [], ["line 1", "D", "'+3'"]),
    "D blank": (b'{"D":" 3", "T":"50"}\n', [], ["line 1", "D", "' 3'"]),
    "D empty": (b'{"D":"", "T":"50"}\n', [], ["line 1", "D", "''"]),
    "D word": (b'{"D":"nine", "T":"50"}\n', [], ["line 1", "D", "'nine'"]),
    "D Arabic digit": (
        b'{"D":"\xd9\xa3", "T":"50"}\n',
        [],
        ["line 1", "D", "\N{ARABIC-INDIC DIGIT THREE}"],
    ),
    "D fraction": (b'{"D":2.5, "T":"50"}\n', [], ["line 1", "D", "2.5"]),
    "D zero fraction": (b'{"D":3.0, "T":"50"}\n', [], ["line 1", "D", "3.0"]),
    "D true": (b'{"D":true, "T":"50"}\n', [], ["line 1", "D", "True"]),
    "D null": (b'{"D":null, "T":"50"}\n', [], ["line 1", "D", "None"]),
    "D array": (b'{"D":["3"], "T":"50"}\n', [], ["line 1", "D", "['3']"]),
    "D 2^31": (b'{"D":2147483648, "T":"50"}\n', [], ["line 1", "D", "2147483648"]),
    "T 2^31": (b'{"D":"3", "T":"2147483648"}\n', [], ["line 1", "T", "'2147483648'"]),
    "T 2^64": (b'{"D":"3", "T":18446744073709551616}\n', [], ["line 1", "T"]),
    "T long": (b'{"D":"3", "T":"%b"}\n' % (b"9" * 5000), [], ["line 1", "T", "'999"]),
    "T twice": (b'{"D":"3", "T":"x", "T":"y"}\n', [], ["line 1", "T", "'y'"]),
    "garbage": (b"garbage\n", [], ["line 1", "garbage"]),
    "string": (b'"D"\n', [], ["line 1", '"D"']),
    "unclosed": (b'{"D":"3", "T":"50"\n', [], ["line 1", "no parameter line"]),
    "not UTF-8": (b'{"D":"3", "T":"50", "x":"\xff"}\n', [], ["line 1", "no parameter line"]),
    "event type": (
        b'{"D":"3", "T":"50", "event_type":"x"}\n',
        [],
        ["line 1", "no parameter line"],
    ),
    "too long": (b'{"D":"3", "T":"50"}' + b" " * 99 + b"\n", ["--max-line=99"], ["line 1"]),
    "blank too long": (b" " * 5_000_000 + b"\n", [], ["line 1", "no parameter line"]),
    "D as option, no line": (b"", ["-D", "3"], ["line 1", "T"]),
    "D as option, no T": (b'{"D":"3"}\n', ["-D", "3"], ["line 1", "T"]),
    "D as option, bad T": (b'{"D":"3", "T":"1"}\n', ["-D", "3"], ["line 1", "T", "'1'"]),
}


@pytest.mark.parametrize(
    ("first_lines", "options", "named"), BAD_PARAMETERS.values(), ids=BAD_PARAMETERS
)
def test_bad_parameters_in_the_file_are_refused(folder, run, first_lines, options, named):
    (folder / "batch.json").write_bytes(first_lines + EVENTS)
    (folder / "out.json").write_bytes(b"kept\n")
    ended = run("detect", *LOGS, "out.json", "--rejects", "rejects.tsv", *options)
    assert ended.status == 2
    assert all(name in ended.err for name in ["error: batch.json", *named]), ended.err
    check_nothing_was_written(folder)


def test_an_empty_batch_log_has_no_parameters(folder, run):
    (folder / "batch.json").write_bytes(b"")
    (folder / "out.json").write_bytes(b"kept\n")
    ended = run("detect", *LOGS, "out.json")
    assert ended.status == 2
    assert "batch.json: no line but blank ones, and D and T not given" in ended.err
    check_nothing_was_written(folder)


@pytest.mark.parametrize(
    ("option", "value", "name"),
    [
        ("--degree", "0", "D"),
        ("--degree", "-1", "D"),
        ("--degree", "2.0", "D"),
        ("--degree", "1e3", "D"),
        ("--degree", "1_0", "D"),
        ("--degree", "2147483648", "D"),
        ("--degree", "", "D"),
        ("--tracked", "1", "T"),
        ("--tracked", " 5", "T"),
        ("--tracked", "many", "T"),
        ("--tracked", "9" * 5000, "T"),
        ("--sigmas", "-1", "sigmas"),
        ("--sigmas", "3.0001", "sigmas"),
        ("--sigmas", "1000000.001", "sigmas"),
        ("--sigmas", "nan", "sigmas"),
        ("--sigmas", "inf", "sigmas"),
        ("--sigmas", "", "sigmas"),
        ("--max-line", "0", "max-line"),
        ("--max-line", "-1", "max-line"),
        ("--max-line", "2147483648", "max-line"),
        ("--max-line", "long", "max-line"),
    ],
    ids=lambda text: text[:12],
)
def test_bad_parameters_in_options_are_refused(folder, run, option, value, name):
    (folder / "out.json").write_bytes(b"kept\n")
    ended = run("detect", *LOGS, "out.json", f"{option}={value}", "--rejects=rejects.tsv")
    assert ended.status == 2
    assert re.search(rf"error: .*{name}\b.*{re.escape(value[:9])}", ended.err), ended.err
    check_nothing_was_written(folder)


# Rejected lines


def test_the_rejects_file_has_every_rejected_line(folder, run):
    lines = (b"not\tJSON \\ at all\t", b"\xff\x00\r", b'{"event_type":"x\\ty\\u0000"}')
    (folder / "batch.json").write_bytes(BATCH + lines[0] + b"\r\n\n")
    (folder / "stream.json").write_bytes(
        lines[1] + b"\r\n" + STREAM + b"\n" + lines[2] + b"\n" + b"last"
    )
    ended = run("detect", *LOGS, "out.json", "--rejects", "rejects.tsv")
    assert ended.status == 0
    assert (folder / "out.json").read_bytes() == FLAGS
    found = rows(folder / "rejects.tsv")
    assert [(log, number, reason, raw) for log, number, reason, _, raw in found] == [
        (b"batch.json", b"8", b"not_json", lines[0]),
        (b"stream.json", b"1", b"invalid_utf8", lines[1]),
        (b"stream.json", b"4", b"bad_event_type", lines[2]),
        (b"stream.json", b"5", b"not_json", b"last"),
    ]
    # The detail is escaped: the JSON text's backslashes are doubled.
    assert found[2][3] == (
        rb'event_type: "x\\ty\\u0000" (must be purchase, befriend or unfriend)'
    )
    cut = subprocess.run(
        ["cut", "-f5-", "rejects.tsv"],
        cwd=folder,
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        check=True,
    )
    assert cut.stdout == b"".join(line + b"\n" for line in (*lines, b"last"))


def test_repaired_rejects_can_be_read_as_a_log(folder, run):
    (folder / "stream.json").write_bytes(STREAM.replace(b"purchase", b"Purchase"))
    run("detect", *LOGS, "out.json", "--rejects", "rejects.tsv")
    (row,) = rows(folder / "rejects.tsv")
    (folder / "stream.json").write_bytes(row[4].replace(b"Purchase", b"purchase"))
    run("detect", *LOGS, "out.json")
    assert (folder / "out.json").read_bytes() == FLAGS


def test_the_log_of_a_reject_is_its_path_as_given_and_escaped(folder, run):
    names = ("./a\tb", "sub/../c\\d\ne\rf")
    (folder / "sub").mkdir()
    for name in names:
        (folder / name).write_bytes(BATCH + b"garbage\n")
    ended = run("detect", *names, "out.json", "--rejects", "rejects.tsv")
    assert ended.status == 0
    logs = [row[0] for row in rows(folder / "rejects.tsv")]
    assert logs == [rb"./a\tb", rb"sub/../c\\d\ne\rf", rb"sub/../c\\d\ne\rf"]


def test_rejects_from_standard_input_to_standard_output(folder, run):
    ended = run(
        "detect", "batch.json", "-", "out.json", "--rejects", "-", "--quiet", stdin=DIRTY
    )
    assert ended.status == 0
    logs = [row.split(b"\t")[:3] for row in ended.out.splitlines()]
    assert logs == [[b"-", b"2", b"not_json"], [b"-", b"4", b"not_an_object"]]


def test_without_rejects_the_rejects_file_is_empty(folder, run):
    (folder / "rejects.tsv").write_bytes(b"from an earlier run\n")
    assert run("detect", *LOGS, "out.json", "--rejects", "rejects.tsv").status == 0
    assert (folder / "rejects.tsv").read_bytes() == b""


def test_strict_stops_at_the_first_rejected_line(folder, run):
    (folder / "stream.json").write_bytes(STREAM + b"\n" + b"garbage\n" + b"[]\n" + STREAM)
    ended = run("detect", *LOGS, "out.json", "--strict", "--rejects", "rejects.tsv")
    assert ended.status == 3
    assert "error: stream.json, line 3: not_json" in ended.err
    assert (folder / "out.json").read_bytes() == FLAGS
    assert [row[1:3] for row in rows(folder / "rejects.tsv")] == [(b"3", b"not_json")]


def test_strict_applies_to_the_batch_log(folder, run):
    (folder / "batch.json").write_bytes(BATCH + b'{"event_type":"purchase"}\n')
    ended = run("detect", *LOGS, "out.json", "--strict", "--quiet")
    assert ended.status == 3
    assert "error: batch.json, line 8: missing_field: timestamp: missing" in ended.err
    assert (folder / "out.json").read_bytes() == b""


def test_strict_succeeds_without_rejected_lines(folder, run):
    assert run("detect", *LOGS, "out.json", "--strict").status == 0
    assert (folder / "out.json").read_bytes() == FLAGS


@pytest.mark.parametrize(
    "line_end", [b"\n", b"\r\n", b"", b"\r"], ids=["lf", "crlf", "none", "cr"]
)
@pytest.mark.parametrize("excess", [0, 1, 2])
def test_max_line_does_not_count_the_line_end(folder, run, line_end, excess):
    line = STREAM[:-1] + b" " * excess
    (folder / "stream.json").write_bytes(line + line_end)
    limit = str(len(STREAM) - 1)
    run("detect", *LOGS, "out.json", "--max-line", limit, "--rejects", "rejects.tsv")
    if excess == 0:
        assert (folder / "out.json").read_bytes() == FLAGS
    else:
        (row,) = rows(folder / "rejects.tsv")
        assert (row[2], row[4]) == (b"line_too_long", line)


def test_blank_lines_beyond_the_limit_are_rejected(folder, run):
    blank = b" " * 120
    (folder / "stream.json").write_bytes(blank[:119] + b"\n" + blank + b"\n" + STREAM)
    run("detect", *LOGS, "out.json", "--max-line=119", "--rejects=rejects.tsv")
    assert [row[1:3] for row in rows(folder / "rejects.tsv")] == [(b"2", b"line_too_long")]
    assert (folder / "out.json").read_bytes() == FLAGS


# Messages and the summary


def test_the_summary_has_the_counts(folder, run):
    (folder / "stream.json").write_bytes(DIRTY)
    err = run("detect", *LOGS, "out.json").err
    assert "done: 8 events" in err
    assert "5 purchases, 2 befriends, 1 unfriend; 3 users, 1 friendship" in err
    assert "2 flagged" in err
    assert "2 lines rejected: not_json 1, not_an_object 1" in err
    assert "the first: stream.json, line 2: not_json" in err


def test_summary_json_has_the_counts(folder, run):
    (folder / "stream.json").write_bytes(DIRTY)
    run("detect", *LOGS, "out.json", "--summary-json", "summary.json", "--quiet")
    summary = json.loads((folder / "summary.json").read_bytes())
    assert summary.pop("seconds") > 0
    assert summary.pop("events_per_second") > 0
    assert summary.pop("peak_memory_bytes") > 1_000_000
    assert summary == {
        "ended": "done",
        "events": 8,
        "purchases": 5,
        "befriends": 2,
        "unfriends": 1,
        "flags": 2,
        "users": 3,
        "friendships": 1,
        "rejected": {"not_json": 1, "not_an_object": 1},
    }


def test_summary_json_is_written_by_a_failed_run(folder, run):
    (folder / "stream.json").write_bytes(DIRTY)
    options = ("--summary-json", "summary.json", "--quiet")
    assert run("detect", *LOGS, "out.json", "--strict", *options).status == 3
    summary = json.loads((folder / "summary.json").read_bytes())
    assert summary["ended"] == "stopped at a rejected line"
    assert (summary["flags"], summary["rejected"]) == (1, {"not_json": 1})


def test_summary_json_that_cannot_be_written_is_an_error(folder, run):
    ended = run("detect", *LOGS, "out.json", "--summary-json", "missing/summary.json")
    assert ended.status == 1
    assert "missing/summary.json" in ended.err
    assert not (folder / "out.json").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems report it differently")
def test_peak_memory_does_not_include_the_parent(folder):
    big = 300_000_000
    code = "import subprocess, sys; held = bytes([1]) * int(sys.argv[1]); "
    code += "sys.exit(subprocess.run(sys.argv[2:]).returncode)"
    parent = (*SMALL_PARENT, sys.executable, "-c", code, str(big))
    options = ("--summary-json", "summary.json", "--quiet")
    assert run_command("detect", *LOGS, "out", *options, cwd=folder, under=parent).status == 0
    summary = json.loads((folder / "summary.json").read_bytes())
    if not SANITIZED:
        assert summary["peak_memory_bytes"] < big / 2


def test_quiet_prints_nothing_unless_lines_are_rejected(folder, run):
    ended = run("detect", *LOGS, "out.json", "--quiet")
    assert (ended.out, ended.err) == (b"", "")
    (folder / "stream.json").write_bytes(DIRTY)
    err = run("detect", *LOGS, "out.json", "--quiet").err
    assert "2 lines rejected: not_json 1, not_an_object 1" in err
    assert "the first: stream.json, line 2: not_json" in err
    assert "events" not in err


def on_terminal(folder, *args):
    """Run detect with a terminal as its standard error; return what is shown there."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 100))  # a terminal of no rows gets no bar
    process = subprocess.Popen(
        [*COMMAND, "detect", *args],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    # Once the other side is closed, a read fails on Linux and returns nothing elsewhere.
    with contextlib.suppress(OSError):
        while piece := os.read(ours, 65536):
            shown += piece
    os.close(ours)
    assert process.wait(PATIENCE) == 0
    return shown.decode()


def test_the_progress_bar_is_shown_on_a_terminal_only(tmp_path, run):
    size = ("--users=1000", "--batch-events=100000", "--stream-events=1000")
    assert run("simulate", "batch", "stream", *size).status == 0
    shown = on_terminal(tmp_path, "batch", "stream", "out")
    assert re.search(r"batch: .*\d+%\|.*B/s", shown)
    assert re.search(r"stream: .*\d+%\|", shown)
    assert "\rfastanomaly: done: 101,000 events" in shown  # replaces the bar

    assert on_terminal(tmp_path, "batch", "stream", "out", "--quiet") == ""
    err = run("detect", "batch", "stream", "out").err
    assert "\r" not in err
    assert "%" not in err


# Compressed logs, standard input and output


def test_gzip_is_known_by_its_suffix(folder, run):
    # Two members make one log, as with `cat a.gz b.gz`.
    half = BATCH.index(b"\n", 200) - 7
    packed = gzip.compress(BATCH[:half]) + gzip.compress(BATCH[half:])
    (folder / "batch.json.gz").write_bytes(packed)
    (folder / "stream.GZ").write_bytes(gzip.compress(STREAM + b"garbage"))
    args = ("batch.json.gz", "stream.GZ", "out.json", "--rejects", "rejects.tsv")
    assert run("detect", *args).status == 0
    assert (folder / "out.json").read_bytes() == FLAGS
    assert [row[:2] for row in rows(folder / "rejects.tsv")] == [(b"stream.GZ", b"2")]


def test_zstd_is_known_by_its_suffix(folder, run):
    zstd = zstd_module()
    (folder / "batch.zst").write_bytes(zstd.compress(BATCH[:99]) + zstd.compress(BATCH[99:]))
    (folder / "stream.zstd").write_bytes(zstd.compress(STREAM))
    assert run("detect", "batch.zst", "stream.zstd", "out.json").status == 0
    assert (folder / "out.json").read_bytes() == FLAGS


def test_a_dash_is_standard_input_or_output(folder, run):
    ended = run("detect", "-", "stream.json", "-", stdin=BATCH)
    assert (ended.status, ended.out) == (0, FLAGS)
    ended = run("detect", "batch.json", "-", "-", stdin=STREAM)
    assert (ended.status, ended.out) == (0, FLAGS)
    with (folder / "batch.json").open("rb") as batch, (folder / "out").open("wb") as out:
        ended = run("detect", "-", "stream.json", "-", stdin=batch, stdout=out)
    assert (folder / "out").read_bytes() == FLAGS


def test_standard_input_cannot_be_both_logs(folder, run):
    ended = run("detect", "-", "-", "out.json", stdin=BATCH)
    assert ended.status == 2
    assert "standard input" in ended.err
    assert not (folder / "out.json").exists()


def test_standard_output_is_appended_to(folder, run):
    (folder / "out").write_bytes(b"before\n")
    with (folder / "out").open("ab") as out:
        run("detect", *LOGS, "-", "--quiet", stdout=out)
    assert (folder / "out").read_bytes() == b"before\n" + FLAGS


# Wrong use


def test_version_is_printed(run):
    ended = run("--version")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == f"fastanomaly {fastanomaly.__version__}\n".encode()


def test_help_names_the_options(run):
    ended = run("--help")
    assert ended.status == 0
    assert b"detect" in ended.out
    ended = run("detect", "--help")
    assert ended.status == 0
    options = ("-D", "-T", "-k", "--rejects", "--strict", "--max-line", "--quiet")
    assert all(option.encode() in ended.out for option in (*options, "--summary-json"))


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("detekt",),
        ("detect",),
        ("detect", "batch.json"),
        ("detect", *LOGS),
        ("detect", *LOGS, "out.json", "more"),
        ("detect", *LOGS, "out.json", "--unknown"),
        ("detect", *LOGS, "out.json", "-D"),
        ("detect", *LOGS, "out.json", "--rejects"),
        ("--unknown",),
    ],
    ids=" ".join,
)
def test_wrong_use(folder, run, args):
    check_refused(folder, run, args, "usage: fastanomaly")


# Outputs that would overwrite a log or each other


def check_logs_are_kept(folder, ended):
    """Check that a command was refused and that both logs are unchanged."""
    assert (folder / "batch.json").read_bytes() == BATCH
    assert (folder / "stream.json").read_bytes() == STREAM
    assert ended.status == 2
    assert "error: " in ended.err


@pytest.mark.parametrize("log", LOGS)
@pytest.mark.parametrize("how", ["same", "spelled", "symlink", "hardlink"])
@pytest.mark.parametrize("output", ["out", "--rejects"])
def test_an_output_that_is_a_log_is_refused(folder, run, log, how, output):
    path = log
    if how == "spelled":
        path = f"../{folder.name}//{log}"
    elif how == "symlink":
        path = "link"
        (folder / path).symlink_to(log)
    elif how == "hardlink":
        path = "link"
        os.link(folder / log, folder / path)
    args = (path,) if output == "out" else ("out.json", output, path)
    check_refused(folder, run, ["detect", *LOGS, *args], "error: ")


@pytest.mark.parametrize("output", ["out", "--rejects"])
def test_an_output_that_is_standard_input_is_refused(folder, run, output):
    args = ("batch.json",) if output == "out" else ("out.json", output, "batch.json")
    with (folder / "batch.json").open("rb") as batch:
        run = partial(run, stdin=batch)
        check_refused(folder, run, ["detect", "-", "stream.json", *args], "error: ")


@pytest.mark.parametrize("args", [("-",), ("out.json", "--rejects", "-")], ids=" ".join)
def test_standard_output_appended_to_a_log_is_refused(folder, run, args):
    # Otherwise the run would read its own output.
    with (folder / "stream.json").open("ab") as stream:
        run = partial(run, stdout=stream)
        check_refused(folder, run, ["detect", *LOGS, *args], "error: ")


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("how", ["same", "spelled", "symlink"])
def test_two_outputs_in_one_file_are_refused(folder, run, exists, how):
    path = {"same": "out.json", "spelled": "./out.json", "symlink": "link"}[how]
    if how == "symlink":
        (folder / path).symlink_to("out.json")
    if exists:
        (folder / "out.json").write_bytes(b"kept\n")
    check_logs_are_kept(folder, run("detect", *LOGS, "out.json", "--rejects", path))
    if exists:
        assert (folder / "out.json").read_bytes() == b"kept\n"


@pytest.mark.parametrize("path", ["stream.json", "./out.json", "rejects.tsv"])
def test_a_summary_in_a_file_that_is_in_use_is_refused(folder, run, path):
    outputs = ("out.json", "--rejects", "rejects.tsv", "--summary-json", path)
    check_refused(folder, run, ["detect", *LOGS, *outputs], "error: ")


def test_flags_and_rejects_on_standard_output_are_refused(folder, run):
    ended = run("detect", *LOGS, "-", "--rejects", "-")
    check_logs_are_kept(folder, ended)
    assert ended.out == b""


def test_one_file_may_be_both_logs(folder, run):
    (folder / "both").write_bytes(BATCH + STREAM)
    assert run("detect", "both", "both", "out.json").status == 0
    assert (folder / "out.json").read_bytes() == FLAGS
