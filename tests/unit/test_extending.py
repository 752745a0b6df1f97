"""The source and the sink of docs/extending.md work as the page says, with checkpoints."""

import csv
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fastanomaly import UsageError, detect
from fastanomaly.sinks.base import SINKS
from fastanomaly.sources.base import SOURCES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "extending.md"
BATCH = b"""\
{"D":"1", "T":"5"}
{"event_type":"befriend", "id1": "ann", "id2": "bob"}
{"event_type":"purchase", "timestamp":"2017-06-13 11:33:01", "id": "ann", "amount": "16.83"}
{"event_type":"purchase", "timestamp":"2017-06-13 11:33:01", "id": "ann", "amount": "59.28"}
"""
# The purchases of bob that are far above those of ann, his friend, are flagged.
ROWS = [
    row
    for i in range(20)
    for row in (("bob", "500" if i % 2 else "12"), ("ann", str(10 + i % 3)), ("cho", "9"))
]


def blocks_of(page):
    """The page's code blocks by title."""
    found = re.findall(r'```python title="([^"]+)"\n(.*?)```', page, re.DOTALL)
    return dict(found)


@pytest.fixture
def code(tmp_path, monkeypatch):
    """The page's code, its modules importable and its schemes registered for one test."""
    if not PAGE.exists():
        pytest.skip("the documentation is not part of what is tested here")
    code = blocks_of(PAGE.read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("csv_source.py", "sqlite_sink.py"):
        (tmp_path / name).write_text(code[name])
    monkeypatch.setitem(SOURCES, "csv", "")  # to be set by the page and removed afterwards
    monkeypatch.setitem(SINKS, "rows", "")
    exec(code["register"], {})
    (tmp_path / "batch_log.json").write_bytes(BATCH)
    return code


def write_rows(rows):
    with open("purchases.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["timestamp", "user", "amount"])
        writer.writerows([f"2017-06-13 11:33:{i % 60:02}", *row] for i, row in enumerate(rows))


def expected_flags():
    """The flags of the same purchases in a log, by detect."""
    lines = [
        f'{{"event_type":"purchase", "timestamp":"2017-06-13 11:33:{i % 60:02}", '
        f'"id": "{user}", "amount": "{amount}"}}\n'
        for i, (user, amount) in enumerate(ROWS)
    ]
    Path("stream_log.json").write_text("".join(lines))
    summary = detect("batch_log.json", "stream_log.json", "flags.json")
    assert summary.flags > 5
    found = re.findall(
        r'"id": "(\w+)", "amount": "(\w+)", "mean": "([\d.]+)", "sd": "([\d.]+)"',
        Path("flags.json").read_text(),
    )
    return [(user, f"{amount}.00", mean, sd) for user, amount, mean, sd in found]


def flags_in_table():
    with closing(sqlite3.connect("flags.db")) as database:
        return database.execute("SELECT user, amount, mean, sd FROM flags").fetchall()


def test_the_page_runs(code):
    write_rows(ROWS)
    exec(code["use"], {})
    assert flags_in_table() == expected_flags()


def test_a_run_resumes_within_a_block(code):
    """After a checkpoint in the middle of a block, each flag is in the table once."""
    write_rows(ROWS)
    paths = ("batch_log.json", "csv:purchases.csv", "rows:flags.db")
    options: dict[str, Any] = {"checkpoint": "kept", "every": 10}
    detect(*paths, **options)
    checkpoints = sorted(Path("kept").glob("checkpoint-*"))
    assert len(checkpoints) == 2
    checkpoints[-1].unlink()  # as after a crash
    summary = detect(*paths, **options)
    assert not summary.done_before
    assert flags_in_table() == expected_flags()


def test_a_checkpoint_is_of_one_table(code):
    write_rows(ROWS)
    detect("batch_log.json", "csv:purchases.csv", "rows:flags.db", checkpoint="kept")
    with pytest.raises(UsageError, match="out was rows:"):
        detect("batch_log.json", "csv:purchases.csv", "flags.json", checkpoint="kept")


def test_an_unregistered_scheme_is_a_file_name(code):
    with pytest.raises(UsageError, match=r"^other:file: No such file"):
        detect("other:file", "stream_log.json", "flags.json", degree=1, tracked=2)
