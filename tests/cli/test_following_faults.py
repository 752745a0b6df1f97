"""Followed logs that are links, cannot be opened for a while, or are not finished yet."""

import os
import signal
import subprocess
import sys

import pytest
from cli.commandline import FLAGS, STREAM, wait_until
from cli.flags import flags, wait_for_flags
from lines import purchase
from privileges import PERMISSIONS

FOLLOW = ("--follow", "--until-idle", "1")
KEPT = ("--follow", "--checkpoint", "kept")
OTHER = purchase("9", "7.00")  # makes no flag


@pytest.fixture
def permissions():
    """Return the prefix under which permissions hold, even for root."""
    check = [*PERMISSIONS, sys.executable, "-c", "pass"]
    if subprocess.run(check, check=False, capture_output=True).returncode != 0:
        pytest.skip("rights cannot be dropped here")
    return PERMISSIONS


def stop(process):
    """Stop a run; return what it wrote to standard error."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(300) == 143
    return process.stderr.read().decode()


def wait_for_message(process, text):
    """Read standard error until a text is in it; return what was read."""
    read = b""
    while text.encode() not in read:
        piece = os.read(process.stderr.fileno(), 4096)
        assert piece, read
        read += piece
    return read.decode()


def append(path, data):
    with path.open("ab") as log:
        log.write(data)


# -- links ---------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["same folder", "other folder"])
def test_a_link_may_lead_elsewhere_after_a_stop(folder, start, where):
    logs = folder / "logs" if where == "other folder" else folder
    logs.mkdir(exist_ok=True)
    (logs / "day-1").write_bytes(STREAM)
    link = folder / "cur.log"
    link.symlink_to(logs / "day-1")
    process = start("detect", "batch.json", "cur.log", "out", *KEPT)
    wait_for_flags(folder, 1)
    stop(process)
    append(logs / "day-1", STREAM)  # the rest of the old file is read first
    (logs / "day-2").write_bytes(STREAM)
    link.unlink()
    link.symlink_to(logs / "day-2")
    process = start("detect", "batch.json", "cur.log", "out", *KEPT)
    wait_for_flags(folder, 3)
    assert "beginning" not in stop(process)


def test_a_link_may_lead_elsewhere_during_a_run(folder, start):
    (folder / "day-1").write_bytes(STREAM)
    (folder / "day-2").write_bytes(STREAM)
    link = folder / "cur.log"
    link.symlink_to("day-1")
    process = start("detect", "batch.json", "cur.log", "out", *KEPT)
    wait_for_flags(folder, 1)
    link.unlink()
    link.symlink_to("day-2")
    wait_for_flags(folder, 2)
    stop(process)
    append(folder / "day-2", STREAM)
    process = start("detect", "batch.json", "cur.log", "out", *KEPT)
    wait_for_flags(folder, 3)
    stop(process)


def test_a_link_and_its_file_are_one_log(folder, start):
    (folder / "cur.log").symlink_to("stream.json")
    for count, name in enumerate(("cur.log", "stream.json", "./cur.log"), 1):
        process = start("detect", "batch.json", name, "out", *KEPT)
        wait_for_flags(folder, count)
        stop(process)
        append(folder / "stream.json", STREAM)


# -- files that cannot be opened -----------------------------------------------------------


def test_an_unreadable_next_file_is_waited_for(folder, start, permissions):
    log = folder / "stream.json"
    process = start("detect", "batch.json", "stream.json", "out", *KEPT, under=permissions)
    wait_for_flags(folder, 1)
    (folder / "next").write_bytes(STREAM)
    (folder / "next").chmod(0)
    (folder / "next").rename(log)
    err = wait_for_message(process, "trying again")
    assert "stream.json: cannot be opened: Permission denied; trying again" in err
    process.send_signal(signal.SIGUSR1)
    wait_for_message(process, "health: ")
    log.chmod(0o600)
    wait_for_flags(folder, 2)
    err = stop(process)
    assert "stream.json: could be opened now: continuing" in err
    assert "trying again" not in err


def test_an_unreadable_file_is_waited_for_at_the_start(folder, start, permissions):
    (folder / "stream.json").chmod(0)
    process = start("detect", "batch.json", "stream.json", "out", *KEPT, under=permissions)
    wait_for_message(process, "Permission denied; trying again")
    (folder / "stream.json").chmod(0o600)
    wait_for_flags(folder, 1)
    stop(process)


@pytest.mark.parametrize("fault", ["folder", "loop"])
def test_a_name_that_cannot_be_opened_is_tried_again(folder, start, fault):
    log = folder / "stream.json"
    process = start("detect", "batch.json", "stream.json", "out", *KEPT)
    wait_for_flags(folder, 1)
    log.unlink()
    if fault == "folder":
        log.mkdir()
    else:
        log.symlink_to("stream.json")
    wait_for_message(process, "cannot be opened")
    if fault == "folder":
        log.rmdir()
    else:
        log.unlink()
    log.write_bytes(STREAM)
    wait_for_flags(folder, 2)
    stop(process)


def test_a_rotation_without_a_descriptor_left_is_tried_again(folder, start):
    """The run has no descriptor for the next file until its limit is raised."""
    resource = pytest.importorskip("resource")
    if not hasattr(resource, "prlimit"):
        pytest.skip("the limits of another process cannot be set here")
    log = folder / "stream.json"
    process = start("detect", "batch.json", "stream.json", "out", *KEPT, "--every", "1")
    wait_for_flags(folder, 1)
    wait_until(lambda: list((folder / "kept").glob("checkpoint-*[0-9]")), "a checkpoint")
    limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    append(log, STREAM)  # a checkpoint is due after this line
    wait_for_flags(folder, 2)
    wait_for_message(process, "cannot be written: Too many open files")
    log.rename(folder / "stream.json.1")
    log.write_bytes(STREAM)
    wait_for_message(process, "stream.json: cannot be opened: Too many open files; trying")
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limits)
    wait_for_flags(folder, 3)
    stop(process)


# -- the beginning of a log ----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "fifo", "stdin"])
@pytest.mark.parametrize("begun", [b"", b"\xef", b"\xef\xbb", b"{"])
def test_a_run_reports_its_health_before_the_log_begins(folder, start, kind, begun):
    name = "-" if kind == "stdin" else "log"
    options = ["--checkpoint", "kept", "--every", "0.1s"]
    if kind == "file":
        (folder / "log").write_bytes(begun)
        options.append("--follow")
    elif kind == "fifo":
        os.mkfifo(folder / "log")
    writer = None
    process = start("detect", "batch.json", name, "out", *options)
    if kind == "stdin":
        process.stdin.write(begun)
        writer = process.stdin
    elif kind == "fifo":
        writer = (folder / "log").open("wb", buffering=0)
        writer.write(begun)
    wait_until((folder / "out").exists, "the output")
    wait_until(lambda: list((folder / "kept").glob("checkpoint-*[0-9]")), "a checkpoint")
    process.send_signal(signal.SIGUSR1)
    assert "log " in wait_for_message(process, ", line 1")
    rest = (b"\xef\xbb\xbf" + STREAM).removeprefix(begun)
    if begun == b"{":
        rest = STREAM.removeprefix(begun)
    if writer is None:
        append(folder / "log", rest)
    else:
        with writer:
            writer.write(rest)
            wait_for_flags(folder, 1)
    wait_for_flags(folder, 1)
    if kind == "file":
        stop(process)
    else:
        assert process.wait(300) == 0


# -- which file was read -------------------------------------------------------------------


def give_inode(folder, name, inode, data):
    """Write a file that gets the inode of a removed one; return whether that succeeded."""
    for number in range(200):
        path = folder / f"spare-{number}"
        path.write_bytes(b"")
        if path.stat().st_ino == inode:
            path.write_bytes(data)
            path.rename(folder / name)
            break
    for path in folder.glob("spare-*"):
        path.unlink()
    return (folder / name).exists()


def test_another_file_with_the_inode_of_the_log_is_not_read(folder, start):
    log = folder / "stream.json"
    log.write_bytes(STREAM + OTHER)
    process = start("detect", "batch.json", "stream.json", "out", *KEPT)
    wait_for_flags(folder, 1)
    stop(process)
    inode = log.stat().st_ino
    log.unlink()
    if not give_inode(folder, "stream.json.copy", inode, STREAM * 5):
        pytest.skip("this file system gives inode numbers of removed files to no new ones")
    log.write_bytes(STREAM)
    process = start("detect", "batch.json", "stream.json", "out", *KEPT)
    wait_for_message(process, "reading the present file from its beginning")
    append(log, OTHER)
    wait_for_flags(folder, 2)
    stop(process)


# -- lines that are not finished -----------------------------------------------------------


def test_an_unfinished_line_is_left_for_the_next_run(folder, start):
    log = folder / "stream.json"
    options = ("--rejects", "rejects", "--checkpoint", "kept", *FOLLOW)
    append(log, STREAM[:40])
    process = start("detect", "batch.json", "stream.json", "out", *options)
    assert process.wait(300) == 0
    message = b"stream.json: the last line has no line end yet: its 40 bytes are left"
    assert message in process.stderr.read()
    assert flags(folder) == FLAGS
    append(log, STREAM[40:])
    process = start("detect", "batch.json", "stream.json", "out", *options)
    assert process.wait(300) == 0
    assert b"line end" not in process.stderr.read()
    assert flags(folder) == FLAGS * 2
    assert (folder / "rejects").read_bytes() == b""


def test_the_rest_of_a_long_unfinished_line_is_no_line(folder, start):
    log = folder / "stream.json"
    options = ("--checkpoint", "kept", "--max-line", "200", "--rejects", "rejects", *FOLLOW)
    append(log, b"x" * 300)
    for rest in (STREAM, b""):
        process = start("detect", "batch.json", "stream.json", "out", *options)
        assert process.wait(300) == 0
        append(log, rest)
    assert flags(folder) == FLAGS
    rejects = (folder / "rejects").read_bytes()
    assert rejects.count(b"line_too_long") == rejects.count(b"\n")
