"""Lines longer than the limit that have no end yet: stopped, left for later, or endless."""

import contextlib
import select
import signal
import threading
import time

import pytest
from cli.commandline import STREAM, rows, wait_until
from cli.flags import wait_for_flags
from cli.wronguse import check_refused

MIB = 1 << 20
KEPT = ("--rejects", "rejects", "--checkpoint", "kept")
FOLLOW = ("--follow", "--until-idle", "0.3")


def reach_size(path, size):
    """Wait until a file has more than so many bytes."""
    wait_until(lambda: path.exists() and path.stat().st_size > size, f"{size} bytes")


def end(process, signum=None):
    """Stop a run, or wait for its end; return its status and what it said."""
    if signum is not None:
        process.send_signal(signum)
    status = process.wait(300)
    return status, process.stderr.read().decode()


def numbers(path):
    """Return the line numbers and reasons in a rejects file."""
    return [(int(row[1]), row[2].decode()) for row in rows(path)]


# -- stopped -------------------------------------------------------------------------------


@pytest.mark.parametrize("rejects", [True, False])
def test_a_line_that_a_stop_interrupts_is_not_counted(folder, start, rejects):
    options = KEPT if rejects else KEPT[2:]
    process = start("detect", "batch.json", "-", "out", *options)
    process.stdin.write(STREAM + b"x\n" + b"y" * (4 * MIB))
    if rejects:
        reach_size(folder / "rejects", MIB)
    status, err = end(process, signal.SIGTERM)
    assert status == 143
    assert "1 line rejected: not_json 1" in err
    process = start("detect", "batch.json", "-", "out", *options)
    process.stdin.write(b"z\n")
    process.stdin.close()
    status, err = end(process)
    assert (status, "2 lines rejected: not_json 2" in err) == (0, True), err
    if rejects:
        assert numbers(folder / "rejects") == [(2, "not_json"), (3, "not_json")]


# -- left for the next run -----------------------------------------------------------------


@pytest.mark.parametrize("options", [KEPT, KEPT[2:], (*KEPT, "--max-line", "100")])
def test_a_long_line_without_end_is_left_for_the_next_run(folder, run, options):
    log = folder / "stream.json"
    line = b"y" * (3 * MIB)
    log.write_bytes(b"x\n" + STREAM + line)
    command = ("detect", "batch.json", "stream.json", "out", *options, *FOLLOW)
    ended = run(*command)
    assert (ended.status, "its 3145728 bytes are left for the next run" in ended.err) == (
        0,
        True,
    )
    assert "1 line rejected: not_json 1" in ended.err
    if "--rejects" in options:
        assert numbers(folder / "rejects") == [(1, "not_json")]
    log.write_bytes(log.read_bytes() + b"zzz\nw\n")
    for _ in range(2):
        ended = run(*command)
        assert (ended.status, "line end" in ended.err) == (0, False)
        assert "3 lines rejected: not_json 2, line_too_long 1" in ended.err
        if "--rejects" in options:
            found = [(1, "not_json"), (3, "line_too_long"), (4, "not_json")]
            assert numbers(folder / "rejects") == found
            assert rows(folder / "rejects")[1][4] == line + b"zzz"


def test_a_long_line_without_end_is_no_fault_in_a_strict_run(folder, run):
    log = folder / "stream.json"
    log.write_bytes(STREAM + b"y" * (2 * MIB))
    command = ("detect", "batch.json", "stream.json", "out", *KEPT, "--strict", *FOLLOW)
    assert run(*command).status == 0
    assert numbers(folder / "rejects") == []
    log.write_bytes(log.read_bytes() + b"\n")
    assert run(*command).status == 3
    assert numbers(folder / "rejects") == [(2, "line_too_long")]


# -- endless -------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [KEPT, (), ("--max-line", "1000000000")])
@pytest.mark.parametrize("arriving", [True, False])
def test_a_run_reports_its_health_within_a_line(folder, start, options, arriving):
    metrics = ("--metrics", "metrics") if options and arriving else ()
    process = start("detect", "batch.json", "-", "out", *options, *metrics)
    process.stdin.write(STREAM + b"y" * (2 * MIB))
    stop = threading.Event()

    def feed():
        while not stop.is_set():
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(b"y" * 65536)
            stop.wait(0.01)

    feeder = threading.Thread(target=feed)
    if arriving:
        feeder.start()
    try:
        wait_for_flags(folder, 1)
        for _ in range(2):
            process.send_signal(signal.SIGUSR1)
            assert select.select([process.stderr], [], [], 60)[0], "no health line"
            line = process.stderr.readline().decode()
            assert "health: events 7, " in line
            assert "log -, line 2, " in line
            assert "rejected" not in line
        if metrics:
            (folder / "metrics").unlink()
            wait_until((folder / "metrics").exists, "the metrics")
        status, err = end(process, signal.SIGTERM)
    finally:
        stop.set()
        if arriving:
            feeder.join()
    assert (status, "rejected" in err) == (143, False)


# -- without a next run --------------------------------------------------------------------


@pytest.mark.parametrize("length", [40, 3 * MIB])
def test_an_unfinished_line_without_a_checkpoint_is_not_left_for_a_next_run(
    folder, run, length
):
    (folder / "stream.json").write_bytes(STREAM + b"y" * length)
    ended = run("detect", "batch.json", "stream.json", "out", "--rejects", "rejects", *FOLLOW)
    assert (ended.status, rows(folder / "rejects")) == (0, [])
    assert f"line end yet: its {length} bytes are neither judged nor rejected" in ended.err
    assert "next run" not in ended.err


# -- a log that is never there -------------------------------------------------------------


def test_a_log_that_does_not_appear_ends_an_idle_run(folder, run):
    arguments = ("detect", "batch.json", "later.json", "out", *FOLLOW)
    check_refused(folder, run, arguments, "later.json: No such file")


def test_the_idle_time_begins_when_a_log_appears(folder, start):
    process = start("detect", "batch.json", "later.json", "out", "--follow", "--until-idle=3")
    time.sleep(1.7)
    (folder / "later.json").touch()
    time.sleep(1.7)
    (folder / "later.json").write_bytes(STREAM)
    wait_for_flags(folder, 1)
    assert end(process, signal.SIGTERM)[0] == 143
