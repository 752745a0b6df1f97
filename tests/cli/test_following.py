"""detect on logs that go on: pipes, FIFOs, growing files, rotation, truncation."""

import os
import signal
import time

import pytest
from cli.commandline import FLAGS, STREAM, wait_until

FOLLOW = ("--follow", "--until-idle", "1.5")


def flags(folder):
    path = folder / "out"
    return path.read_bytes() if path.exists() else b""


def wait_for_flags(folder, count):
    wait_until(lambda: flags(folder) == FLAGS * count, f"{count} flags")


def append(path, data):
    with path.open("ab") as log:
        log.write(data)


def finish(process, folder, count):
    assert process.wait(300) == 0, process.stderr.read()
    assert flags(folder) == FLAGS * count


def test_a_file_that_grows(folder, start):
    process = start("detect", "batch.json", "stream.json", "out", *FOLLOW)
    wait_for_flags(folder, 1)
    for count in (2, 3):
        append(folder / "stream.json", STREAM[:40])
        time.sleep(0.05)
        append(folder / "stream.json", STREAM[40:])
        wait_for_flags(folder, count)
    append(folder / "stream.json", STREAM[:-1])  # a last line without its end
    finish(process, folder, 4)


def test_rotation_by_rename(folder, start):
    log = folder / "stream.json"
    process = start("detect", "batch.json", "stream.json", "out", *FOLLOW)
    wait_for_flags(folder, 1)
    with log.open("ab", buffering=0) as writer:
        log.rename(folder / "stream.json.1")
        writer.write(STREAM)  # who writes does not know yet
        wait_for_flags(folder, 2)
        (folder / "fresh").write_bytes(STREAM)
        (folder / "fresh").rename(log)
        writer.write(STREAM)
    wait_for_flags(folder, 4)
    append(log, STREAM)
    finish(process, folder, 5)


def test_truncation(folder, start):
    process = start("detect", "batch.json", "stream.json", "out", *FOLLOW)
    append(folder / "stream.json", STREAM)
    wait_for_flags(folder, 2)
    (folder / "stream.json").write_bytes(STREAM)
    wait_for_flags(folder, 3)
    append(folder / "stream.json", STREAM)
    finish(process, folder, 4)


def test_a_file_that_is_still_to_come(folder, start):
    process = start("detect", "batch.json", "later.json", "out", "--follow")
    time.sleep(0.2)
    (folder / "later.json").write_bytes(STREAM)
    wait_for_flags(folder, 1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(300) == 143
    assert flags(folder) == FLAGS


def test_a_fifo_with_one_writer_after_the_other(folder, start):
    os.mkfifo(folder / "fifo")
    process = start("detect", "batch.json", "fifo", "out", *FOLLOW)
    for count in (1, 2, 3):
        with (folder / "fifo").open("wb", buffering=0) as fifo:
            fifo.write(STREAM + STREAM[:9])  # cut off: no part of the next writer's line
        wait_for_flags(folder, count)
        time.sleep(0.2)  # else the next one's lines may be read before this one's end is seen
    finish(process, folder, 3)
    assert b"3 lines rejected: not_json 3" in process.stderr.read()


def test_each_flag_is_written_at_once(folder, start):
    process = start("detect", "batch.json", "-", "-", "--quiet")
    for _ in range(5):
        process.stdin.write(STREAM)
        assert process.stdout.read(len(FLAGS)) == FLAGS
    process.stdin.close()
    assert process.wait(300) == 0


def test_a_pipe_that_falls_silent(folder, start):
    process = start("detect", "batch.json", "-", "out", "--until-idle", "0.5")
    process.stdin.write(STREAM)
    finish(process, folder, 1)


@pytest.mark.parametrize("seconds", ["0", "-1", "x", "nan", "inf"])
def test_how_long_is_idle(folder, run, seconds):
    ended = run("detect", "batch.json", "stream.json", "out", f"--until-idle={seconds}")
    assert (ended.status, f"{seconds!r} is not a number of seconds" in ended.err) == (2, True)


@pytest.mark.parametrize("path", ["-", "stream.json.gz"])
def test_what_cannot_be_followed(folder, run, path):
    ended = run("detect", "batch.json", path, "out", "--follow")
    assert (ended.status, f"{path}: only a plain file" in ended.err) == (2, True)


@pytest.mark.parametrize("rotation", ["rename", "truncate", "replace"])
def test_going_on_after_a_rotation_while_nobody_read(folder, start, rotation):
    log = folder / "stream.json"
    options = ("--checkpoint", "kept", *FOLLOW)
    process = start("detect", "batch.json", "stream.json", "out", *options)
    append(log, STREAM)
    wait_for_flags(folder, 2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(300) == 143
    append(log, STREAM)
    if rotation == "rename":
        log.rename(folder / "stream.json.1")
    elif rotation == "replace":
        log.unlink()
    log.write_bytes(STREAM)
    process = start("detect", "batch.json", "stream.json", "out", *options)
    finish(process, folder, 4 if rotation == "rename" else 3)
    err = process.stderr.read()
    assert (b"reading the present file from its beginning" in err) == (rotation != "rename")


def test_a_followed_run_is_never_finished(folder, start):
    options = ("--checkpoint", "kept", *FOLLOW)
    for count in (1, 2, 3):
        process = start("detect", "batch.json", "stream.json", "out", *options)
        finish(process, folder, count)
        append(folder / "stream.json", STREAM)
