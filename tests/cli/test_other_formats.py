"""Logs in other formats: the message has the lines to write."""

import json

import pytest
from cli.commandline import BATCH, FLAGS, STREAM, rows
from lines import parameters

LOGS = ("batch.json", "stream.json")
EVENTS = [json.loads(line) for line in (BATCH + STREAM).splitlines()[1:]]

LINES = (
    '{"event_type":"purchase", "timestamp":"2017-06-13 11:33:01", "id":"1", "amount":"16.83"}',
    '{"event_type":"befriend", "timestamp":"2017-06-13 11:33:01", "id1":"1", "id2":"2"}',
)
OTHER_SHAPES = {
    "CSV": b"type,ts,id,amount\npurchase,2017-06-13 11:33:01,1,16.83\n",
    "Parquet": b"PAR1\x15\x04\x15\xff\nx\nPAR1",
    "XML": b'<?xml version="1.0"?>\n<events>\n</events>\n',
    "no event_type": b'{"type":"purchase","user":"1","price":"5"}\n',
    "other fields": b'{"event_type":"purchase","user":"1","price":"5"}\n',
    "arrays": b'["purchase", "2017", 1]\n',
}


@pytest.mark.parametrize("log", OTHER_SHAPES.values(), ids=OTHER_SHAPES)
def test_the_remedy_shows_the_lines_to_write(folder, run, log):
    (folder / "stream.json").write_bytes(log)
    ended = run("detect", *LOGS, "out")
    assert ended.status == 4
    assert all(line in ended.err for line in LINES), ended.err


def test_the_lines_to_write_are_valid(folder, run):
    (folder / "stream.json").write_text("".join(f"{line}\n" for line in LINES))
    ended = run("detect", *LOGS, "out", "--rejects", "rejects")
    assert (ended.status, rows(folder / "rejects")) == (0, [])


def test_a_log_of_pandas(folder, run):
    pandas = pytest.importorskip("pandas")
    columns = ["event_type", "timestamp", "id", "amount", "id1", "id2"]
    table = pandas.DataFrame(EVENTS[:-1], columns=columns)
    text = table.to_json(orient="records", lines=True)
    (folder / "batch.json").write_bytes(parameters(3, 50) + text.encode())
    ended = run("detect", *LOGS, "out", "--rejects", "rejects")
    assert (ended.status, rows(folder / "rejects")) == (0, [])
    assert (folder / "out").read_bytes() == FLAGS
