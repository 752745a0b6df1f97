"""Exit statuses when a run has more than one problem, and other edge cases."""

import signal
import sys

import pytest
from cli.commandline import BATCH, FLAGS, STREAM, rows
from lines import befriend, purchase

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


def test_a_blank_first_line_beyond_the_limit_is_rejected(folder, run):
    (folder / "batch.json").write_bytes(b" " * 101 + b"\n" + befriend("a", "b"))
    options = ("--max-line", "100", "-D1", "-T2", "--rejects", "rejects.tsv")
    assert run("detect", *LOGS, "out.json", *options).status == 0
    assert [row[1:3] for row in rows(folder / "rejects.tsv")] == [(b"1", b"line_too_long")]
    (folder / "batch.json").write_bytes(b" " * 100 + b"\r\n" + BATCH)
    assert run("detect", *LOGS, "out.json", "--max-line", "100").status == 0
    assert (folder / "out.json").read_bytes() == FLAGS


@pytest.mark.parametrize(
    ("garbage", "status"), [(b"", 1), (b"garbage\n", 3)], ids=["done", "strict"]
)
def test_a_failed_summary_does_not_hide_another_status(folder, run, garbage, status):
    (folder / "stream.json").write_bytes(STREAM + garbage)
    options = ("--strict", "--summary-json", "/dev/full")
    ended = run("detect", *LOGS, "out.json", *options)
    assert ended.status == status
    assert "error: /dev/full: No space left on device" in ended.err
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


def test_simulate_refuses_compressed_logs(folder, run):
    for name in ("new.gz", "new.zst"):
        ended = run("simulate", "new.json", name, "--batch-events", "10")
        assert ended.status == 2
        assert f"{name}: outputs are written as plain text" in ended.err
        assert not (folder / "new.json").exists()


@pytest.mark.parametrize(
    ("cause", "status"),
    [(KeyboardInterrupt(), 130), (MemoryError(), 1)],
    ids=["interrupt", "memory"],
)
def test_a_failed_sweep_has_the_status_of_its_cause(monkeypatch, capsys, cause, status):
    def feed(*_, **__):
        raise FeedError("line 5: no more", None, 4) from cause

    monkeypatch.setattr(sweep, "run", feed)
    assert main(["sweep", "batch", "stream", "-D", "1", "-T", "2"]) == status
    err = capsys.readouterr().err
    assert ("stopped by SIGINT" in err) == (status == 130)
    assert ("line 5: no more" in err) == (status == 1)
