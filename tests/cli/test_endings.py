"""How a run ends when more than one thing happens, and what it leaves alone."""

import signal
import sys

import pytest
from cli.commandline import BATCH, FLAGS, STREAM, befriend, purchase, rows

from fastanomaly import FeedError
from fastanomaly.cli import sweep
from fastanomaly.cli.main import main

LOGS = ("batch.json", "stream.json")
IGNORING_SIGINT = (
    sys.executable,
    "-c",
    "import os, signal, sys\n"
    "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    "os.execv(sys.argv[1], sys.argv[1:])\n",
)


def test_a_blank_first_line_beyond_the_limit_is_too_long(folder, run):
    (folder / "batch.json").write_bytes(b" " * 101 + b"\n" + befriend("a", "b"))
    options = ("--max-line", "100", "-D1", "-T2", "--rejects", "rejects.tsv")
    assert run("detect", *LOGS, "out.json", *options).status == 0
    assert [row[1:3] for row in rows(folder / "rejects.tsv")] == [(b"1", b"line_too_long")]
    (folder / "batch.json").write_bytes(b" " * 100 + b"\r\n" + BATCH)
    assert run("detect", *LOGS, "out.json", "--max-line", "100").status == 0
    assert (folder / "out.json").read_bytes() == FLAGS


@pytest.mark.parametrize(("garbage", "status"), [(b"", 1), (b"garbage\n", 3)])
def test_a_summary_that_fails_hides_no_other_status(folder, run, garbage, status):
    (folder / "stream.json").write_bytes(STREAM + garbage)
    options = ("--strict", "--summary-json", "no folder/summary.json")
    ended = run("detect", *LOGS, "out.json", *options)
    assert ended.status == status
    assert "error: no folder/summary.json: No such file" in ended.err
    assert (folder / "out.json").read_bytes() == FLAGS


def test_an_ignored_interrupt_stays_ignored(folder, start):
    process = start("detect", "batch.json", "-", "-", under=IGNORING_SIGINT)
    process.stdin.write(STREAM)
    assert process.stdout.readline() == FLAGS
    process.send_signal(signal.SIGINT)
    process.stdin.write(purchase("2", "1601.83"))
    assert process.stdout.readline() == FLAGS
    process.stdin.close()
    assert process.wait() == 0


def test_simulate_writes_plain_text_alone(folder, run):
    for name in ("new.gz", "new.zst"):
        ended = run("simulate", "new.json", name, "--batch-events", "10")
        assert ended.status == 2
        assert f"{name}: logs are written as plain text" in ended.err
        assert not (folder / "new.json").exists()


@pytest.mark.parametrize(("cause", "status"), [(KeyboardInterrupt(), 130), (MemoryError(), 1)])
def test_a_bulk_call_that_ends_early(monkeypatch, capsys, cause, status):
    """An interrupt in the middle of a judgement is an interrupt, and no fault."""

    def feed(*_, **__):
        raise FeedError("line 5: no more", None, 4) from cause

    monkeypatch.setattr(sweep, "run", feed)
    assert main(["sweep", "batch", "stream", "-D", "1", "-T", "2"]) == status
    said = capsys.readouterr().err
    assert ("stopped by SIGINT" in said) == (status == 130)
    assert ("line 5: no more" in said) == (status == 1)
