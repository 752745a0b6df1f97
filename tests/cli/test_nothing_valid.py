"""Logs without a valid event, or with most lines rejected: what they look like is said."""

import bz2
import gzip
import json
import lzma
import zipfile

import pytest
from cli.commandline import BATCH, FLAGS, STREAM, rows
from lines import parameters, purchase

LOGS = ("batch.json", "stream.json")
GIVEN = ("-D", "3", "-T", "50")
EVENTS = [json.loads(line) for line in BATCH.splitlines()[1:]]
LINES = BATCH.partition(b"\n")[2]
OTHER_NAMES = [{"type": e["event_type"], "user": "1", "price": 5} for e in EVENTS]

# By what it is: the log, and what the message has.
STRANGE = {
    "CSV": (b"type,ts,id,amount\npurchase,2017-06-13 11:33:01,1,16.83\n", ["CSV"]),
    "CSV with semicolons": (b"type;ts;id\npurchase;2017;1,5\n", ["CSV with semicolons"]),
    "tab-separated": (b"type\tts\tid\npurchase\t2017\t1\n", ["tab-separated values"]),
    "JSON array": (json.dumps(EVENTS).encode(), ["a JSON array", "jq -c '.[]'"]),
    "rows as arrays": (b'["purchase", "2017", 1]\n' * 3, ["JSON arrays", "as an object"]),
    "pretty-printed": (
        "\n".join(json.dumps(e, indent=2) for e in EVENTS).encode(),
        ["pretty-printed JSON", "jq -c ."],
    ),
    "commas": (LINES.replace(b"}\n", b"},\n"), ["lines that end in a comma", "sed"]),
    "curly quotes": (
        LINES.decode().replace('"', "\u201d").encode(),
        ["curly quotes", "straight quotes"],
    ),
    "Python": ("\n".join(map(repr, EVENTS)).encode(), ["Python dictionaries", "json.dumps"]),
    "Python 2": (
        "\n".join(repr(e).replace("'", "u'", 1) for e in EVENTS).encode(),
        ["Python dictionaries"],
    ),
    "lone CRs": (LINES.replace(b"\n", b"\r"), ["CR alone", "tr '\\r' '\\n'"]),
    "UTF-16": (LINES.decode().encode("utf-16"), ["UTF-16", "iconv"]),
    "UTF-16 without mark": (LINES.decode().encode("utf-16-be"), ["UTF-16", "iconv"]),
    "XML": (b'<?xml version="1.0"?>\n<events>\n</events>\n', ["XML"]),
    "Parquet": (b"PAR1\x15\x04\x15\xff\nx\nPAR1", ["Parquet"]),
    "bzip2": (bz2.compress(LINES), ["bzip2", "bzip2 -dc"]),
    "xz": (lzma.compress(LINES), ["xz data", "xz -dc"]),
    "Purchase": (
        LINES.replace(b'"purchase"', b'"Purchase"').replace(b"friend", b"Friend"),
        ["event_type", '"Purchase"', "lower case"],
    ),
    "other names": (
        "\n".join(map(json.dumps, OTHER_NAMES)).encode(),
        ["without 'event_type'", "'type', 'user', 'price'"],
    ),
    "other fields": (
        b'{"event_type":"purchase", "ts":"2017-06-13 11:33:01", "user":"1"}\n' * 3,
        ["timestamp: missing", "'event_type', 'ts', 'user'"],
    ),
    "after other text": (
        b"".join(b"Jun 13 host app[7]: " + line + b"\n" for line in LINES.splitlines()),
        ["JSON after other text"],
    ),
    "names without quotes": (
        b'{event_type:"befriend", id1:"1", id2:"2"}\n' * 3,
        ["names lack quotes"],
    ),
    "joined": (b"".join(LINES.splitlines()), ["several objects in one line", "jq -c ."]),
    "bad times": (
        LINES.replace(b"2017-06-13", b"13/06/2017").replace(b"friend", b"friendly"),
        ["no valid event in 6 lines", "line"],
    ),
    "garbage": (b"garbage\n", ["no valid event in 1 line: ", "line 1: not_json"]),
    "empty object": (b"{}\n", ["without 'event_type'", "none"]),
    "long lines": (b"x" * 2_000_000 + b"\n", ["no valid event in 1 line", "--max-line"]),
    "Latin-1": (b'{"event_type":"befriend", "id1":"\xe9", "id2":"1"}\n' * 2, ["not UTF-8"]),
}


@pytest.mark.parametrize(("log", "named"), STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize("which", LOGS)
def test_a_log_without_a_valid_event(folder, run, which, log, named):
    (folder / which).write_bytes(log)
    ended = run("detect", *LOGS, "out", "--rejects", "rejects", *GIVEN)
    assert ended.status == 4, ended.err
    message = [line for line in ended.err.splitlines() if f"error: {which}: no valid" in line]
    assert len(message) == 1, ended.err
    assert all(text in message[0] for text in named), message
    assert (folder / "out").read_bytes() == b""
    assert {row[0] for row in rows(folder / "rejects")} == {which.encode()}


def test_a_zip_archive(folder, run):
    with zipfile.ZipFile(folder / "stream.json", "w") as archive:
        archive.writestr("stream.json", STREAM)
    ended = run("detect", *LOGS, "out")
    assert (ended.status, "a zip archive" in ended.err) == (4, True)


@pytest.mark.parametrize("log", [b"", b"\n \r\n\t\n"], ids=["empty", "blank"])
@pytest.mark.parametrize("which", LOGS)
def test_a_log_without_lines_is_fine(folder, run, which, log):
    (folder / which).write_bytes(log)
    ended = run("detect", *LOGS, "out", *GIVEN)
    assert (ended.status, "error" in ended.err) == (0, False)


def test_a_batch_log_with_only_its_parameters_is_fine(folder, run):
    (folder / "batch.json").write_bytes(b"\n" + parameters(3, 50) + b"\n")
    assert run("detect", *LOGS, "out").status == 0


def test_one_valid_event_is_enough(folder, run):
    (folder / "stream.json").write_bytes(b"garbage\n" * 9 + STREAM)
    ended = run("detect", *LOGS, "out")
    assert (ended.status, (folder / "out").read_bytes()) == (0, FLAGS)
    assert "9 lines rejected" in ended.err
    assert "looks like" not in ended.err


def test_most_lines_rejected_for_one_reason(folder, run):
    lines = purchase("2", "1.15").replace(b"purchase", b"Purchase") * 10
    for count, hinted in ((9, True), (10, False)):
        (folder / "stream.json").write_bytes(lines + purchase("2", "1.15") * count)
        ended = run("detect", *LOGS, "out")
        assert ended.status == 0
        hint = (
            "10 of 19 lines rejected as bad_event_type: it looks like objects with event_type"
        )
        assert (hint in ended.err) == hinted


def test_lines_wrapped_in_an_array(folder, run):
    """The last event has no comma after it, so it is valid."""
    wrapped = b"[\n" + b",\n".join(LINES.splitlines() * 2) + b"\n]\n"
    (folder / "stream.json").write_bytes(wrapped)
    ended = run("detect", *LOGS, "out")
    assert (ended.status, "13 of 14 lines rejected as not_json" in ended.err) == (0, True)
    assert "it looks like a JSON array; write one object per line, with jq" in ended.err


def test_strict_wins(folder, run):
    (folder / "stream.json").write_bytes(b"garbage\n")
    assert run("detect", *LOGS, "out", "--strict").status == 3


def test_quiet_and_json_messages(folder, run):
    (folder / "stream.json").write_bytes(b"a,b\nc,d\n")
    ended = run("detect", *LOGS, "out", "--quiet")
    assert (ended.status, "looks like CSV" in ended.err) == (4, True)
    ended = run("detect", *LOGS, "out", "--log-format", "json")
    last = json.loads(ended.err.splitlines()[-1])
    assert (last["level"], last["status"], "CSV" in last["message"]) == ("error", 4, True)


def test_a_summary_that_cannot_be_written_is_an_io_error(folder, run):
    (folder / "stream.json").write_bytes(b"a,b\n")
    options = ("out", "--summary-json", "no folder/summary")
    assert run("detect", *LOGS, *options).status == 1


def test_the_other_commands(folder, run):
    (folder / "stream.json").write_bytes(b"a,b\nc,d\n")
    ended = run("sweep", *LOGS, "-D", "1", "-T", "2", "-o", "table.csv")
    assert (ended.status, "stream.json: no valid event" in ended.err) == (4, True)
    assert (folder / "table.csv").exists()
    ended = run("explain", *LOGS, "--flag", "1")
    assert (ended.status, "looks like CSV" in ended.err) == (2, True)
    (folder / "stream.json").write_bytes(STREAM)
    (folder / "batch.json").write_bytes(b"a,b\nc,d\n")
    ended = run("explain", *LOGS, "--line", "1", *GIVEN)
    assert (ended.status, "batch.json: no valid event" in ended.err) == (4, True)
    assert b"not flagged" in ended.out


def test_a_report(folder, run):
    pytest.importorskip("plotly")
    (folder / "stream.json").write_bytes(b"a,b\nc,d\n")
    ended = run("report", *LOGS, "-o", "report.html")
    assert (ended.status, "stream.json: no valid event" in ended.err) == (4, True)
    assert (folder / "report.html").exists()


# -- checkpoints -------------------------------------------------------------------------


KEPT = ("--checkpoint", "kept", "--every", "1", "--follow", "--until-idle", "0.05")


def test_a_resumed_run_counts_the_whole_log(folder, run):
    stream = folder / "stream.json"
    assert run("detect", *LOGS, "out", *KEPT).status == 0
    with stream.open("ab") as file:
        file.write(b"garbage\n" * 3)
    assert run("detect", *LOGS, "out", *KEPT).status == 0
    stream.write_bytes(b"a,b\n")
    assert run("detect", *LOGS, "out", *KEPT, "--fresh").status == 4
    with stream.open("ab") as file:
        file.write(b"c,d\n")
    ended = run("detect", *LOGS, "out", *KEPT)
    assert (ended.status, "no valid event in 2 lines" in ended.err) == (4, True)
    with stream.open("ab") as file:
        file.write(STREAM)
    assert run("detect", *LOGS, "out", *KEPT).status == 0


def test_a_run_that_was_done_before_has_its_status_again(folder, run):
    (folder / "batch.json").write_bytes(parameters(3, 50) + b"a,b\n")
    for message in ("done: 1 event ", "already done"):
        ended = run("detect", *LOGS, "out", "--checkpoint", "kept")
        assert (ended.status, message in ended.err) == (4, True)
        assert "batch.json: no valid event in 1 line" in ended.err


# -- logs in the wrong place ---------------------------------------------------------------


def test_swapped_logs(folder, run):
    ended = run("detect", *reversed(LOGS), "out", *GIVEN)
    assert ended.status == 0
    assert "batch.json, line 1: a parameter line belongs in the batch log" in ended.err
    assert "swapped" in ended.err
    ended = run("detect", *reversed(LOGS), "out")
    assert (ended.status, "swapped" in ended.err) == (2, True)


def test_a_second_parameter_line(folder, run):
    (folder / "batch.json").write_bytes(BATCH + parameters(1, 2))
    ended = run("detect", *LOGS, "out")
    assert (ended.status, "a parameter line counts only in the first line" in ended.err) == (
        0,
        True,
    )


def test_one_file_given_twice(folder, run):
    (folder / "link").symlink_to("batch.json")
    for name in ("batch.json", "link"):
        ended = run("detect", "batch.json", name, "out")
        assert ended.status == 0
        assert f"{name}: is also the batch log batch.json" in ended.err
    assert "is also the batch log" not in run("detect", *LOGS, "out").err
    ended = run("detect", "/dev/null", "/dev/null", "out", *GIVEN)
    assert "is also the batch log" not in ended.err


# -- parameter lines that are nearly right -------------------------------------------------


NEARLY = {
    "comma at the end": (b'{"D":"3","T":"50"},\n' + LINES, "ends in a comma"),
    "comma before the brace": (b'{"D":"3","T":"50",}\n' + LINES, "comma before the brace"),
    "single quotes": (b"{'D':'3', 'T':'50'}\n" + LINES, "single quotes"),
    "Python 2": (b"{u'D': u'3', u'T': u'50'}\n" + LINES, "single quotes"),
    "curly quotes": (
        "{\u201cD\u201d:\u201c3\u201d, \u201cT\u201d:\u201c50\u201d}\n".encode() + LINES,
        "curly quotes",
    ),
    "lower case": (b'{"d":"3", "t":"50"}\n' + LINES, "must be upper case"),
    "one in lower case": (b'{"D":"3", "t":"50"}\n' + LINES, "must be upper case"),
    "array": (b'[{"D":"3", "T":"50"}]\n' + LINES, "in an array"),
    "array with the events": (b'[{"D":"3", "T":"50"},\n' + LINES, "in an array"),
    "no quotes": (b"{D: 3, T: 50}\n" + LINES, "names lack quotes"),
    "unclosed": (b'{"D":"3", "T":"50"\n' + LINES, "closing brace is missing"),
    "event type": (b'{"D":3, "T":50, "event_type":"x"}\n' + LINES, "has an event_type"),
    "UTF-16": ((parameters(3, 50) + LINES).decode().encode("utf-16"), "UTF-16"),
    "second line": (
        LINES[: LINES.find(b"\n") + 1] + BATCH,
        "line 2 is the parameter line: it must be the first",
    ),
    "last line": (
        LINES * 100 + parameters(3, 50),
        "the last line is the parameter line: it must be the first",
    ),
    "event": (LINES, 'put a line such as {"D":"2", "T":"50"} before it'),
    "bzip2": (bz2.compress(BATCH), "bzip2 -dc"),
    "CSV": (b"a,b,c\n1,2,3\n", "CSV"),
    "a JSON array": (b"[\n" + b",\n".join(BATCH.splitlines()) + b"\n]\n", "a JSON array"),
}


@pytest.mark.parametrize(("log", "named"), NEARLY.values(), ids=NEARLY)
def test_a_parameter_line_that_is_nearly_right(folder, run, log, named):
    (folder / "batch.json").write_bytes(log)
    ended = run("detect", *LOGS, "out")
    assert (ended.status, named in ended.err) == (2, True), ended.err
    assert not (folder / "out").exists()


def test_a_compressed_log_on_standard_input_is_named(folder, run):
    ended = run("detect", "batch.json", "-", "out", stdin=gzip.compress(STREAM))
    assert (ended.status, "gzip data" in ended.err) == (4, True)
