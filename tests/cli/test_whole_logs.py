"""Logs that are one object as a whole, short and long: their shape and a remedy are named."""

import json

import pytest
from cli.commandline import BATCH, STREAM
from lines import parameters

LOGS = ("batch.json", "stream.json")
EVENTS = [json.loads(line) for line in (BATCH + STREAM).splitlines()[1:]]
NAMES = ["event_type", "timestamp", "id", "amount", "id1", "id2"]
PANDAS = 'to_json("log.json", orient="records", lines=True)'


def columns(events):
    """Return what pandas writes by default: an object of columns."""
    return {n: {str(i): e.get(n) for i, e in enumerate(events)} for n in NAMES}


SHAPES = {
    "columns": (columns, "one object of columns", PANDAS),
    "lists": (lambda e: {n: [x.get(n) for x in e] for n in NAMES}, "of columns", PANDAS),
    "rows": (lambda e: {str(i): x for i, x in enumerate(e)}, "one object of rows", PANDAS),
    "split": (lambda e: {"columns": NAMES, "data": [[*x] for x in e]}, "a table", PANDAS),
    "table": (lambda e: {"schema": {"fields": []}, "data": e}, "a table", PANDAS),
    "events": (lambda e: {"events": e}, "list of events", "jq -c '.events[]'"),
    "counted": (lambda e: {"n": 2, "v": "1", "my data": e}, "of events", "'.[\"my data\"][]'"),
}


@pytest.mark.parametrize("times", [1, 1000, 20_000], ids=["short", "long", "too long"])
@pytest.mark.parametrize(("shape", "named", "remedy"), SHAPES.values(), ids=SHAPES)
def test_one_object(folder, run, shape, named, remedy, times):
    text = json.dumps(shape(EVENTS * times)).encode() + b"\n"
    (folder / "stream.json").write_bytes(text)
    ended = run("detect", *LOGS, "out", "--quiet")
    assert (ended.status, named in ended.err, remedy in ended.err) == (4, True, True), (
        ended.err
    )
    for first, status in ((b"", 2), (parameters(3, 50), 4)):
        (folder / "batch.json").write_bytes(first + text)
        ended = run("detect", *LOGS, "out", "--quiet")
        assert (ended.status, named in ended.err, remedy in ended.err) == (status, True, True)


@pytest.mark.parametrize("times", [1, 1000])
def test_one_object_in_many_lines(folder, run, times):
    (folder / "stream.json").write_text(json.dumps({"events": EVENTS * times}, indent=1))
    ended = run("detect", *LOGS, "out", "--quiet")
    assert (ended.status, "jq -c '.events[]'" in ended.err) == (4, True), ended.err


@pytest.mark.parametrize("times", [1, 1000])
@pytest.mark.parametrize("between", ["", " "])
def test_several_objects_in_one_line(folder, run, between, times):
    (folder / "stream.json").write_text(between.join(map(json.dumps, EVENTS * times)))
    ended = run("detect", *LOGS, "out", "--quiet")
    named = "several objects in one line; write one object per line, with jq -c ."
    assert (ended.status, named in ended.err) == (4, True), ended.err


def test_lines_with_nested_values_are_not_taken_for_one_object(folder, run):
    lines = '{"type":"purchase", "items":[{"price":1}]}\n{"type":"purchase", "items":[]}\n'
    (folder / "stream.json").write_text(lines)
    ended = run("detect", *LOGS, "out")
    assert (ended.status, "without 'event_type'" in ended.err) == (4, True), ended.err
