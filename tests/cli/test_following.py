"""detect on logs that are still written: pipes, FIFOs, growing files, log rotation."""

import os
import signal
import time

import pytest
from cli.commandline import FLAGS, STREAM
from cli.flags import flags, wait_for_flags
from cli.wronguse import check_refused

FOLLOW = ("--follow", "--until-idle", "1.5")


def append(path, data):
    with path.open("ab") as log:
        log.write(data)


def finish(process, folder, count):
    assert process.wait(300) == 0, process.stderr.read()
    assert flags(folder) == FLAGS * count


def test_a_growing_file_is_followed(folder, start):
    process = start("detect", "batch.json", "stream.json", "out", *FOLLOW)
    wait_for_flags(folder, 1)
    for count in (2, 3):
        append(folder / "stream.json", STREAM[:40])
        time.sleep(0.05)
        append(folder / "stream.json", STREAM[40:])
        wait_for_flags(folder, count)
    append(folder / "stream.json", STREAM[:-1])  # the last line is not finished
    finish(process, folder, 3)


def test_a_renamed_log_is_read_to_its_end_and_the_new_one_followed(folder, start):
    log = folder / "stream.json"
    process = start("detect", "batch.json", "stream.json", "out", *FOLLOW)
    wait_for_flags(folder, 1)
    with log.open("ab", buffering=0) as writer:
        log.rename(folder / "stream.json.1")
        writer.write(STREAM)  # the writer has not reopened the log yet
        wait_for_flags(folder, 2)
        (folder / "fresh").write_bytes(STREAM)
        (folder / "fresh").rename(log)
        writer.write(STREAM)
    wait_for_flags(folder, 4)
    append(log, STREAM)
    finish(process, folder, 5)


def test_a_truncated_log_is_read_from_its_start(folder, start):
    process = start("detect", "batch.json", "stream.json", "out", *FOLLOW)
    append(folder / "stream.json", STREAM)
    wait_for_flags(folder, 2)
    (folder / "stream.json").write_bytes(STREAM)
    wait_for_flags(folder, 3)
    append(folder / "stream.json", STREAM)
    finish(process, folder, 4)


def test_a_log_that_is_created_later_is_followed(folder, start):
    process = start("detect", "batch.json", "later.json", "out", "--follow")
    time.sleep(0.2)
    (folder / "later.json").write_bytes(STREAM)
    wait_for_flags(folder, 1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(300) == 143
    assert flags(folder) == FLAGS


def test_a_fifo_is_read_from_one_writer_after_another(folder, start):
    os.mkfifo(folder / "fifo")
    process = start("detect", "batch.json", "fifo", "out", *FOLLOW)
    for count in (1, 2, 3):
        with (folder / "fifo").open("wb", buffering=0) as fifo:
            fifo.write(STREAM + STREAM[:9])  # not joined with the next writer's line
        wait_for_flags(folder, count)
        time.sleep(0.2)  # the run must see the end before the next writer opens
    finish(process, folder, 3)
    assert b"3 lines rejected: not_json 3" in process.stderr.read()


def test_each_flag_is_written_immediately(folder, start):
    process = start("detect", "batch.json", "-", "-", "--quiet")
    for _ in range(5):
        process.stdin.write(STREAM)
        assert process.stdout.read(len(FLAGS)) == FLAGS
    process.stdin.close()
    assert process.wait(300) == 0


def test_an_idle_pipe_ends_the_run(folder, start):
    process = start("detect", "batch.json", "-", "out", "--until-idle", "0.5")
    process.stdin.write(STREAM)
    finish(process, folder, 1)


@pytest.mark.parametrize("seconds", ["0", "-1", "x", "nan", "inf"])
def test_invalid_idle_times_are_refused(folder, run, seconds):
    arguments = ("detect", "batch.json", "stream.json", "out", f"--until-idle={seconds}")
    check_refused(folder, run, arguments, f"{seconds!r} is not a number of seconds")


@pytest.mark.parametrize("path", ["-", "stream.json.gz"])
def test_only_plain_files_are_followed(folder, run, path):
    arguments = ("detect", "batch.json", path, "out", "--follow")
    check_refused(folder, run, arguments, f"{path}: only a plain file")


@pytest.mark.parametrize("rotation", ["rename", "truncate", "replace"])
def test_a_run_resumes_after_the_log_was_rotated(folder, start, rotation):
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


def test_a_followed_run_continues_when_it_is_repeated(folder, start):
    options = ("--checkpoint", "kept", *FOLLOW)
    for count in (1, 2, 3):
        process = start("detect", "batch.json", "stream.json", "out", *options)
        finish(process, folder, count)
        append(folder / "stream.json", STREAM)
