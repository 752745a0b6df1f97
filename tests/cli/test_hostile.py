"""fastanomaly detect under hostile conditions: extreme input, full disks, broken pipes."""

import contextlib
import gzip
import hashlib
import json
import os
import select
import socket
import time
import zlib

import pytest
import reference
from cli.commandline import (
    BATCH,
    FLAGS,
    NO_STDERR,
    NO_STDIN,
    NO_STDOUT,
    PATIENCE,
    SANITIZED,
    SMALL_PARENT,
    STREAM,
    check_manners,
    file_size_limit,
    rows,
    wait_until,
    zstd_module,
)
from lines import purchase
from randomlogs import random_logs

LOGS = ("batch.json", "stream.json")
MIB = 1 << 20
LIMIT = MIB  # the default of --max-line

needs_dev_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")


# Extreme input


def test_a_million_lines_of_garbage_are_rejected(folder, run):
    garbage = (b"garbage", b"[]", b"\xff", b"{}", b'{"event_type":"purchase"}')
    count = 1_000_000
    block = b"".join(line + b"\n" for line in garbage)
    (folder / "stream.json").write_bytes(block * (count // len(garbage)) + STREAM)
    options = ("--rejects", "rejects.tsv", "--summary-json", "summary.json")
    ended = run("detect", *LOGS, "out.json", *options, under=SMALL_PARENT)
    assert ended.status == 0
    assert (folder / "out.json").read_bytes() == FLAGS
    assert "1,000,000 lines rejected" in ended.err
    assert len(ended.err) < 2000
    summary = json.loads((folder / "summary.json").read_bytes())
    assert set(summary["rejected"].values()) == {count // len(garbage)}
    if not SANITIZED:
        assert summary["peak_memory_bytes"] < 64_000_000
    written = (folder / "rejects.tsv").read_bytes().split(b"\n")
    assert len(written) == count + 1
    assert written[-2].startswith(b"stream.json\t1000000\tmissing_field\t")
    raws = {(n % 5, row.split(b"\t", 4)[4]) for n, row in enumerate(written[:-1])}
    assert raws == set(enumerate(garbage))


def test_a_small_file_of_many_blank_lines_is_skipped(folder, run):
    with gzip.open(folder / "blank.gz", "wb") as log:
        for _ in range(32):
            log.write(b"\n" * MIB)
        log.write(STREAM)
    assert (folder / "blank.gz").stat().st_size < MIB
    options = ("--summary-json", "summary.json")
    ended = run("detect", LOGS[0], "blank.gz", "out.json", *options, under=SMALL_PARENT)
    assert ended.status == 0
    assert (folder / "out.json").read_bytes() == FLAGS
    summary = json.loads((folder / "summary.json").read_bytes())
    if not SANITIZED:
        assert summary["peak_memory_bytes"] < 64_000_000


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_a_line_of_100_megabytes_is_rejected(folder, run, line_end):
    # No read size is a multiple of the pattern's length, so a block out of order is noticed.
    pattern = bytes(range(256)).replace(b"\n", b"")
    length = 100_000_000
    line = (pattern * (length // len(pattern) + 1))[:length]
    stream, rejects = folder / "stream.json", folder / "rejects.tsv"
    with stream.open("wb") as log:
        log.writelines((STREAM, line, line_end, STREAM))
    options = ("--rejects", "rejects.tsv", "--summary-json", "summary.json")
    ended = run("detect", *LOGS, "out.json", *options, under=SMALL_PARENT)
    assert ended.status == 0
    assert (folder / "out.json").read_bytes() == FLAGS * 2
    with rejects.open("rb") as written:
        columns = written.read(100).split(b"\t", 4)[:4]
        assert columns[:3] == [b"stream.json", b"2", b"line_too_long"]
        written.seek(sum(map(len, columns)) + 4)
        assert (
            hashlib.file_digest(written, "md5").digest() == hashlib.md5(line + b"\n").digest()
        )
    summary = json.loads((folder / "summary.json").read_bytes())
    assert summary["rejected"] == {"line_too_long": 1}
    if not SANITIZED:
        assert summary["peak_memory_bytes"] < 64_000_000
    # Too large to keep.
    stream.unlink()
    rejects.unlink()


def test_a_long_line_is_skipped_without_a_rejects_file(folder, run):
    (folder / "stream.json").write_bytes(STREAM + b"x" * (5 * MIB) + b"\n" + STREAM)
    ended = run("detect", *LOGS, "out.json")
    assert (folder / "out.json").read_bytes() == FLAGS * 2
    assert "stream.json, line 2: line_too_long" in ended.err


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("length", [LIMIT - 1, LIMIT, LIMIT + 1, LIMIT + 2, 3 * LIMIT])
def test_only_lines_beyond_the_limit_are_rejected(folder, run, line_end, length):
    # A read has the same size, so line ends are before, at and after the end of a read.
    line = STREAM[:-1].ljust(length)
    (folder / "stream.json").write_bytes((line + line_end) * 2 + STREAM)
    run("detect", *LOGS, "out.json", "--rejects", "rejects.tsv")
    flag = FLAGS[:-1].ljust(length + len(FLAGS) - len(STREAM)) + b"\n"
    if length <= LIMIT:
        assert (folder / "out.json").read_bytes() == flag * 2 + FLAGS
        assert rows(folder / "rejects.tsv") == []
    else:
        assert (folder / "out.json").read_bytes() == FLAGS
        found = [(row[1], row[2], row[4]) for row in rows(folder / "rejects.tsv")]
        assert found == [(n, b"line_too_long", line) for n in (b"1", b"2")]


@pytest.mark.parametrize(
    "line",
    [
        b'"' + rb"\"" * (LIMIT // 2 - 1),  # each quote may start an unclosed string
        b'"' * (LIMIT - 1),
        rb"\\" * (LIMIT // 2),
        b'{"a":' * (LIMIT // 5),
        b"[" * LIMIT,
        b"9" * LIMIT,
        b"1e" * (LIMIT // 2),
        b"-" * LIMIT,
        b'{"":1e400,' * (LIMIT // 10),
        b"\x00" * LIMIT,
    ],
    ids=[
        "quotes",
        "strings",
        "backslashes",
        "objects",
        "arrays",
        "digits",
        "exponents",
        "signs",
        "members",
        "zeros",
    ],
)
def test_lines_that_are_hard_to_parse_are_rejected(folder, run, line):
    (folder / "stream.json").write_bytes(line + b"\n" + STREAM)
    options = ("--rejects", "rejects.tsv", "--quiet")
    ended = run("detect", *LOGS, "out.json", *options, patience=20)
    assert ended.status == 0
    assert (folder / "out.json").read_bytes() == FLAGS
    ((_, number, _, detail, raw),) = rows(folder / "rejects.tsv")
    assert (number, raw) == (b"1", line)
    assert len(detail) < 500
    assert len(ended.err) < 2000


def test_an_event_may_have_very_many_members(folder, run):
    many = b"".join(b'"%d": "\\"{", ' % n for n in range(50_000))
    line = b"{" + many + STREAM[1:-1].replace(b'"id"', b'"mean": 1, "id"') + b"\n"
    (folder / "stream.json").write_bytes(line)
    run("detect", *LOGS, "out.json")
    assert (folder / "out.json").read_bytes() == b"{" + many + FLAGS[1:]


# Damaged compressed logs


def gzip_cut_in_the_trailer(lines):
    return gzip.compress(lines)[:-5]


def gzip_cut_in_a_line(lines):
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(lines + STREAM[:40]) + packer.flush(zlib.Z_SYNC_FLUSH)
    return packed + packer.compress(os.urandom(5000)) + packer.flush()[:2000]


def gzip_cut_in_the_second_header(lines):
    return gzip.compress(lines) + gzip.compress(lines)[:6]


def gzip_with_a_wrong_checksum(lines):
    packed = bytearray(gzip.compress(lines))
    packed[-8] ^= 1
    return bytes(packed)


def gzip_with_a_wrong_length(lines):
    packed = bytearray(gzip.compress(lines))
    packed[-4] ^= 1
    return bytes(packed)


# A decompressor drops what it was given together with damaged data. So there is a large
# incompressible line between the flagged purchases and the damage.
PADDING = os.urandom(500_000).hex().encode() + b"\n"


def gzip_with_damaged_data(lines):
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(lines + PADDING) + packer.flush(zlib.Z_SYNC_FLUSH)
    return packed + b"\xff" * 1000  # an invalid block type


def gzip_with_other_bytes_after_it(lines):
    return gzip.compress(lines) + b"something else"


@pytest.mark.parametrize(
    "damaged",
    [
        gzip_cut_in_the_trailer,
        gzip_cut_in_a_line,
        gzip_cut_in_the_second_header,
        gzip_with_a_wrong_checksum,
        gzip_with_a_wrong_length,
        gzip_with_damaged_data,
        gzip_with_other_bytes_after_it,
    ],
)
def test_damaged_gzip_is_an_error(folder, run, damaged):
    (folder / "stream.json.gz").write_bytes(damaged(STREAM + STREAM))
    ended = run("detect", "batch.json", "stream.json.gz", "out.json")
    assert ended.status == 1
    assert "error: stream.json.gz: " in ended.err
    assert (folder / "out.json").read_bytes() == FLAGS * 2


def test_plain_text_with_a_gzip_suffix_is_an_error(folder, run):
    (folder / "stream.json.gz").write_bytes(STREAM)
    ended = run("detect", "batch.json", "stream.json.gz", "out.json")
    assert ended.status == 1
    assert "error: stream.json.gz: " in ended.err


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_an_empty_compressed_log_is_an_error(folder, run, suffix):
    if suffix == ".zst":
        zstd_module()
    (folder / f"stream{suffix}").write_bytes(b"")
    ended = run("detect", "batch.json", f"stream{suffix}", "out.json")
    assert ended.status == 1
    assert f"error: stream{suffix}: " in ended.err


def test_a_damaged_batch_log_is_an_error(folder, run):
    (folder / "batch.json.gz").write_bytes(gzip_cut_in_the_trailer(BATCH))
    ended = run("detect", "batch.json.gz", "stream.json", "out.json")
    assert ended.status == 1
    assert "error: batch.json.gz: " in ended.err
    assert (folder / "out.json").read_bytes() == b""


@pytest.mark.parametrize("damage", ["cut short", "cut in a line", "damaged", "continued"])
def test_damaged_zstd_is_an_error(folder, run, damage):
    zstd = zstd_module()
    whole = zstd.compress(STREAM * 2)
    packer = zstd.ZstdCompressor()
    part = packer.compress(STREAM * 2 + PADDING + STREAM[:40], mode=packer.FLUSH_BLOCK)
    data = {
        # A whole frame, then part of another.
        "cut short": whole + whole[:9],
        "cut in a line": part,
        "damaged": part + b"\xff" * 1000,
        "continued": whole + b"something else",
    }[damage]
    (folder / "stream.json.zst").write_bytes(data)
    ended = run("detect", "batch.json", "stream.json.zst", "out.json")
    assert ended.status == 1
    assert "error: stream.json.zst: " in ended.err
    assert (folder / "out.json").read_bytes() == FLAGS * 2


def test_a_compressed_log_cut_within_a_long_line_is_an_error(folder, run):
    packed = gzip.compress(STREAM + b"garbage\n" + b"x" * (5 * MIB))[:-8]
    (folder / "stream.json.gz").write_bytes(packed)
    args = ("batch.json", "stream.json.gz", "out.json", "--rejects", "rejects.tsv")
    ended = run("detect", *args)
    assert ended.status == 1
    assert "error: stream.json.gz: " in ended.err  # not the rejects file, which is fine
    assert (folder / "out.json").read_bytes() == FLAGS
    assert [row[4] for row in rows(folder / "rejects.tsv")] == [b"garbage"]


# Missing files and folders


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("kind", ["missing", "directory", "below a file", "name too long"])
def test_inputs_that_cannot_be_opened_are_refused(folder, run, place, kind):
    names = {
        "missing": "missing.json",
        "directory": "folder",
        "below a file": "batch.json/log",
        "name too long": "x" * 5000,
    }
    (folder / "folder").mkdir()
    args = [*LOGS, "out.json"]
    args[place] = names[kind]
    ended = run("detect", *args)
    assert ended.status == 2
    assert f"error: {names[kind]}: " in ended.err
    assert not (folder / "out.json").exists()


@pytest.mark.parametrize("option", [None, "--rejects", "--summary-json"])
@pytest.mark.parametrize("kind", ["directory", "missing folder", "below a file"])
def test_outputs_that_cannot_be_created_are_an_error(folder, run, option, kind):
    name = {
        "directory": "folder",
        "missing folder": "missing/file",
        "below a file": "batch.json/file",
    }[kind]
    (folder / "folder").mkdir()
    ended = run("detect", *LOGS, *([name] if option is None else ["out.json", option, name]))
    assert ended.status == 1
    assert name in ended.err.splitlines()[-1]


@pytest.mark.parametrize(
    "command",
    [
        ("report", "absent", "absent", "-o", "missing/file.html"),
        ("sweep", "absent", "absent", "-D1", "-T2", "-o", "missing/file.csv"),
        ("sweep", "absent", "absent", "-D1", "-T2", "--agreement", "missing/file.csv"),
        ("explain", "absent", "absent", "--line", "1", "--picture", "missing/file.svg"),
    ],
    ids=lambda command: f"{command[0]} {command[-2]}",
)
def test_a_missing_folder_is_reported_before_a_log_is_read(run, command):
    ended = run(*command)
    assert (ended.status, f"{command[-1]}: No such file" in ended.err) == (1, True)


def test_a_folder_that_is_a_file_or_a_loop_is_reported(folder, run):
    (folder / "loop").symlink_to("loop")
    for name, reason in [
        ("batch.json/file.csv", "Not a directory"),
        ("loop/file.csv", "Too many levels of symbolic links"),
    ]:
        ended = run("sweep", *LOGS, "-D1", "-T2", "--flags-dir", "flags", "-o", name)
        assert (ended.status, f"{name}: {reason}" in ended.err) == (1, True)
    assert not (folder / "flags").exists()


def test_an_output_is_kept_if_the_other_cannot_be_created(folder, run):
    (folder / "out.json").write_bytes(b"kept\n")
    assert run("detect", *LOGS, "out.json", "--rejects", "missing/file").status == 1
    assert (folder / "out.json").read_bytes() == b"kept\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root has every permission")
def test_missing_permissions_are_reported(folder, run):
    (folder / "out.json").write_bytes(b"kept\n")
    (folder / "out.json").chmod(0o400)
    ended = run("detect", *LOGS, "out.json")
    assert ended.status == 1
    assert "error: out.json: " in ended.err
    (folder / "stream.json").chmod(0)
    ended = run("detect", *LOGS, "new.json")
    assert ended.status == 2
    assert "error: stream.json: " in ended.err
    assert not (folder / "new.json").exists()


@pytest.mark.parametrize(
    "name",
    [b"a b", b"new\nline\ttab", b"back\\slash", b"\xff\xfe", b"-x"],
    ids=["space", "control characters", "backslash", "not UTF-8", "dash"],
)
def test_unusual_file_names_work(folder, run, name):
    batch, stream, out, rejects = (b"./" + name + end for end in (b"1", b"2", b"3", b"4"))
    try:
        (folder / os.fsdecode(batch)).write_bytes(BATCH)
    except OSError:
        pytest.skip("this file system does not allow such names")
    (folder / os.fsdecode(stream)).write_bytes(STREAM + b"garbage\n")
    options = (b"--rejects=" + rejects, b"--summary-json=" + name)
    ended = run("detect", batch, stream, out, *options)
    assert ended.status == 0, ended.err
    assert (folder / os.fsdecode(out)).read_bytes() == FLAGS
    ((log, *_),) = rows(folder / os.fsdecode(rejects))
    escaped = stream.replace(b"\\", rb"\\").replace(b"\n", rb"\n").replace(b"\t", rb"\t")
    assert log == escaped
    assert json.loads((folder / os.fsdecode(name)).read_bytes())["flags"] == 1
    assert run("detect", batch, b"./missing" + name, out).status == 2
    assert run("detect", batch, stream, b"missing/" + name).status == 1


def test_arguments_after_two_dashes_are_file_names(folder, run):
    (folder / "-D").write_bytes(STREAM)
    assert run("detect", "--", "batch.json", "-D", "--help").status == 0
    assert (folder / "--help").read_bytes() == FLAGS


# Full disks


@needs_dev_full
@pytest.mark.parametrize("option", [None, "--rejects", "--summary-json"])
def test_a_full_device_is_reported(folder, run, option):
    (folder / "stream.json").write_bytes(STREAM + b"garbage\n")
    full = "/dev/full"
    ended = run("detect", *LOGS, *([full] if option is None else ["out.json", option, full]))
    assert ended.status == 1
    assert "/dev/full" in ended.err.splitlines()[-1]
    assert "No space left" in ended.err
    if option is not None:
        assert (folder / "out.json").read_bytes() == FLAGS


@needs_dev_full
def test_a_full_standard_output_is_reported(folder, run):
    with open("/dev/full", "wb") as full:
        ended = run("detect", *LOGS, "-", stdout=full)
    assert ended.status == 1
    assert "error: -: " in ended.err
    assert "No space left" in ended.err


@needs_dev_full
def test_a_full_device_is_no_error_if_nothing_is_written(folder, run):
    (folder / "stream.json").write_bytes(purchase(2, "29.10"))
    assert run("detect", *LOGS, "/dev/full", "--rejects", "rejects.tsv").status == 0


@pytest.mark.parametrize(
    "size", [80 * len(FLAGS) + 50, 80 * len(FLAGS), 80 * len(FLAGS) - 1, 50, 0]
)
def test_a_full_disk_leaves_whole_flags(folder, run, size):
    (folder / "stream.json").write_bytes(STREAM * 1000)
    (folder / "out.json").write_bytes(b"old\n")
    ended = run("detect", *LOGS, "out.json", under=file_size_limit(size))
    assert ended.status == 1
    assert "error: out.json: " in ended.err
    assert (folder / "out.json").read_bytes() == FLAGS * (size // len(FLAGS))


def test_a_disk_that_fills_up_later_leaves_whole_flags(folder, run):
    # More than one read, so the first write succeeds.
    (folder / "stream.json").write_bytes(STREAM * 30_000)
    size = 3_000_000
    ended = run("detect", *LOGS, "out.json", under=file_size_limit(size))
    assert ended.status == 1
    assert (folder / "out.json").read_bytes() == FLAGS * (size // len(FLAGS))


def test_a_full_disk_leaves_whole_rejects(folder, run):
    (folder / "stream.json").write_bytes(STREAM + b"garbage\n" * 1000)
    ended = run(
        "detect", *LOGS, "out.json", "--rejects", "rejects.tsv", under=file_size_limit(10_000)
    )
    assert ended.status == 1
    assert "error: rejects.tsv: " in ended.err
    assert (folder / "out.json").read_bytes() == FLAGS
    found = rows(folder / "rejects.tsv")
    assert [int(row[1]) for row in found] == list(range(2, len(found) + 2))
    assert {row[4] for row in found} == {b"garbage"}
    assert (folder / "rejects.tsv").stat().st_size > 9_900


def test_a_full_disk_leaves_no_part_of_a_line_that_is_too_long(folder, run):
    (folder / "stream.json").write_bytes(b"garbage\n" + b"x" * (5 * MIB) + b"\n" + STREAM)
    limit = file_size_limit(3 * MIB)
    ended = run("detect", *LOGS, "out.json", "--rejects", "rejects.tsv", under=limit)
    assert ended.status == 1
    assert "error: rejects.tsv: " in ended.err
    assert [row[4] for row in rows(folder / "rejects.tsv")] == [b"garbage"]


# Pipes


@pytest.mark.parametrize("args", [("-",), ("out.json", "--rejects", "-")], ids=" ".join)
def test_standard_output_that_nobody_reads_is_reported(folder, run, args):
    (folder / "stream.json").write_bytes(STREAM + b"garbage\n")
    reader, writer = os.pipe()
    os.close(reader)
    ended = run("detect", *LOGS, *args, stdout=writer)
    os.close(writer)
    assert ended.status == 1
    assert "error: -: Broken pipe" in ended.err


def test_a_reader_that_closes_standard_output_is_reported(folder, start):
    process = start("detect", "batch.json", "-", "-")
    process.stdin.write(STREAM)
    assert read_until(process.stdout, len(FLAGS)) == FLAGS
    process.stdout.close()
    process.stdin.write(STREAM)
    assert process.wait(PATIENCE) == 1
    err = process.stderr.read().decode()
    check_manners(process.returncode, err)
    assert "error: -: Broken pipe" in err


def test_standard_error_that_nobody_reads_keeps_the_status(folder, start):
    reader, writer = os.pipe()
    os.close(reader)
    process = start("detect", "batch.json", "missing.json", "out", stderr=writer)
    os.close(writer)
    assert process.wait(PATIENCE) == 2


def test_closed_standard_input_fails_only_if_it_is_read(folder, run):
    ended = run("detect", "-", "stream.json", "out.json", under=NO_STDIN)
    assert ended.status == 2
    assert "error: -: " in ended.err
    ended = run("detect", "batch.json", "-", "out.json", under=NO_STDIN)
    assert ended.status == 2
    assert "error: -: " in ended.err
    assert not (folder / "out.json").exists()
    assert run("detect", *LOGS, "out.json", under=NO_STDIN).status == 0
    assert (folder / "out.json").read_bytes() == FLAGS


def test_closed_standard_output_fails_only_if_it_is_written(folder, run):
    ended = run("detect", *LOGS, "-", under=NO_STDOUT)
    assert ended.status == 1
    assert "error: -: " in ended.err
    assert run("detect", *LOGS, "out.json", under=NO_STDOUT).status == 0
    assert (folder / "out.json").read_bytes() == FLAGS


def test_with_standard_error_closed_messages_go_nowhere(folder, run):
    (folder / "stream.json").write_bytes(STREAM + b"garbage\n")
    # Messages must not go to the flags or to another file instead.
    ended = run("detect", *LOGS, "-", under=NO_STDERR)
    assert (ended.status, ended.out) == (0, FLAGS)
    ended = run("detect", "-", "stream.json", "out.json", stdin=BATCH, under=NO_STDERR)
    assert (ended.status, ended.out) == (0, b"")
    assert (folder / "out.json").read_bytes() == FLAGS
    ended = run("detect", *LOGS, "-", "--strict", under=NO_STDERR)
    assert (ended.status, ended.out) == (3, FLAGS)
    ended = run("detect", "missing.json", "stream.json", "out.json", under=NO_STDERR)
    assert (ended.status, ended.out) == (2, b"")


def read_until(pipe, length):
    """Read `length` bytes from a pipe that stays open."""
    data = b""
    while len(data) < length:
        ready, _, _ = select.select([pipe], [], [], PATIENCE)
        assert ready, f"no data after {data!r}"
        piece = os.read(pipe.fileno(), length - len(data))
        assert piece, f"pipe closed after {data!r}"
        data += piece
    return data


def test_flags_are_written_while_standard_input_is_open(folder, start):
    args = ("batch.json", "-", "-", "--rejects", "rejects.tsv", "--quiet")
    process = start("detect", *args)
    for _ in range(3):
        process.stdin.write(STREAM)
        assert read_until(process.stdout, len(FLAGS)) == FLAGS
    process.stdin.write(STREAM[:30])
    process.stdin.write(STREAM[30:] + b"garbage\n" + STREAM[:60])
    assert read_until(process.stdout, len(FLAGS)) == FLAGS
    process.stdin.write(STREAM[60:-1])
    process.stdin.close()
    assert read_until(process.stdout, len(FLAGS)) == FLAGS
    assert process.wait(PATIENCE) == 0
    assert [row[1] for row in rows(folder / "rejects.tsv")] == [b"5"]


def test_flags_are_written_while_a_compressed_log_is_open(folder, start):
    os.mkfifo(folder / "fifo.gz")
    process = start("detect", "batch.json", "fifo.gz", "-", "--quiet")
    packer = zlib.compressobj(wbits=31)
    with (folder / "fifo.gz").open("wb", buffering=0) as fifo:
        for _ in range(3):
            fifo.write(packer.compress(STREAM) + packer.flush(zlib.Z_SYNC_FLUSH))
            assert read_until(process.stdout, len(FLAGS)) == FLAGS
        fifo.write(packer.flush())
    assert process.wait(PATIENCE) == 0


def test_a_nonblocking_standard_input_is_read_to_its_end_or_reported(folder, start):
    # Another process that shares the pipe may have set it so. No data yet is no end of file.
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    process = start("detect", "batch.json", "-", "out", stdin=reader)
    os.close(reader)
    wait_until((folder / "out").exists, "the output")
    time.sleep(0.1)  # the run is about to read
    with contextlib.suppress(BrokenPipeError):
        os.write(writer, STREAM)
    os.close(writer)
    status = process.wait(PATIENCE)
    err = process.stderr.read().decode()
    check_manners(status, err)
    if status == 0:
        assert (folder / "out").read_bytes() == FLAGS
    else:
        assert (status, "error: -: " in err) == (1, True)


def feed_in_packets(start, log, size, *args, status=0):
    """Run with a log on standard input; each read gets `size` bytes."""
    try:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except (AttributeError, OSError):
        pytest.skip("needs Unix sockets that keep packets apart")
    with ours:
        with theirs:
            process = start("detect", *args, stdin=theirs)
        for place in range(0, len(log), size):
            ours.send(log[place : place + size])
    assert process.wait(PATIENCE) == status
    check_manners(status, process.stderr.read().decode())


@pytest.mark.parametrize("seed", [34, 118, 132, 4])  # the first three have a small max_line
def test_reads_of_one_byte_give_the_same_flags(tmp_path, start, seed):
    logs = random_logs(seed)
    expected = reference.detect(logs.batch, logs.stream, **logs.arguments)
    options = [*logs.command_line, "--rejects", "rejects"]
    (tmp_path / "batch").write_bytes(logs.batch)
    (tmp_path / "stream").write_bytes(logs.stream)
    for log, args in ((logs.batch, ("-", "stream")), (logs.stream, ("batch", "-"))):
        feed_in_packets(start, log, 1, *args, "out", *options, status=expected.status)
        assert (tmp_path / "out").read_bytes() == expected.output
        raws = [row[4] for row in rows(tmp_path / "rejects")]
        assert raws == [reject.raw for reject in expected.rejects]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 64, 1000])
def test_long_lines_in_reads_of_any_size(folder, start, size):
    # Carriage returns around the limit and around the ends of reads.
    limit = 12
    lines = [b"x" * length for length in (11, 12, 13, 14, 40)]
    lines += [line[:at] + b"\r" + line[at:] for line in lines for at in (1, -1)]
    lines += [line + b"\r" * returns for line in lines for returns in (1, 2, 3)]
    stream = b"".join(line + b"\n" for line in lines) + b"y" * 13 + b"\r"
    expected = reference.detect(b"", stream, degree=1, tracked=2, max_line=limit)
    (folder / "batch.json").write_bytes(b"")
    options = ("-D1", "-T2", "--max-line", str(limit), "--rejects", "rejects")
    feed_in_packets(start, stream, size, "batch.json", "-", "out", *options, status=4)
    found = [(int(row[1]), row[2].decode(), row[4]) for row in rows(folder / "rejects")]
    assert found == [(r.line, r.reason, r.raw) for r in expected.rejects]
