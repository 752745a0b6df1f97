"""Logs in other formats: the message has the lines to write, and README shows how."""

import csv
import json
import re
import subprocess
import sys

import pytest
from checkout import ROOT
from cli.commandline import BATCH, FLAGS, STREAM, rows
from lines import parameters

LOGS = ("batch.json", "stream.json")
EVENTS = [json.loads(line) for line in (BATCH + STREAM).splitlines()[1:]]
README = ROOT / "README.md"

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


# -- from CSV --------------------------------------------------------------------------


def from_csv():
    """Return the Python of README's section on CSV."""
    section = re.search(r"### From CSV\n(.*?)\n##", README.read_text(), re.DOTALL)
    return re.search(r"```python\n(.*?)```", section[1], re.DOTALL)[1]


def write_csv(path, events):
    """Write events with a column for every field."""
    columns = ["event_type", "timestamp", "id", "amount", "id1", "id2"]
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(events)


@pytest.mark.skipif(not README.exists(), reason="not in a checkout: no README.md")
def test_the_conversion_from_csv(folder, run):
    write_csv(folder / "events.csv", EVENTS[:-1])
    code = from_csv()
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)
    converted = (folder / "batch_log.json").read_bytes()
    assert list(map(json.loads, converted.splitlines()[1:])) == EVENTS[:-1]
    (folder / "batch.json").write_bytes(converted)
    assert run("detect", *LOGS, "out").status == 0
    assert (folder / "out").read_bytes() == FLAGS


def test_the_conversion_with_pandas(folder, run):
    pandas = pytest.importorskip("pandas")
    write_csv(folder / "events.csv", EVENTS[:-1])
    table = pandas.read_csv(folder / "events.csv", dtype=str)
    text = table.to_json(orient="records", lines=True)
    (folder / "batch.json").write_bytes(parameters(3, 50) + text.encode())
    ended = run("detect", *LOGS, "out", "--rejects", "rejects")
    assert (ended.status, rows(folder / "rejects")) == (0, [])
    assert (folder / "out").read_bytes() == FLAGS
