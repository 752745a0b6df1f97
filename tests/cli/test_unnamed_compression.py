"""Compressed logs that are recognised by their first bytes; zstd with a large window."""

import gzip

import pytest
from cli.commandline import FLAGS, STREAM, rows, zstd_module
from lines import befriend, purchase

LOGS = ("batch.json", "stream.json")


def compressed(kind, data):
    return gzip.compress(data) if kind == "gzip" else zstd_module().compress(data)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_compressed_log_is_recognised_without_its_suffix(folder, run, kind):
    for name in LOGS:
        (folder / name).write_bytes(compressed(kind, (folder / name).read_bytes()))
    ended = run("detect", *LOGS, "out")
    assert (ended.status, (folder / "out").read_bytes()) == (0, FLAGS)


def test_a_run_resumes_in_a_compressed_log_without_its_suffix(folder, run):
    stream = b"".join(purchase("2", amount) for amount in (900, 5, 1000, "x", 2000))
    (folder / "stream.json").write_bytes(gzip.compress(stream) + b"damage")
    kept = ("--checkpoint", "kept", "--every", "1")
    assert run("detect", *LOGS, "out", *kept).status == 1
    (folder / "stream.json").write_bytes(gzip.compress(stream))
    assert run("detect", *LOGS, "out", *kept).status == 0
    (folder / "plain.json").write_bytes(stream)
    assert run("detect", "batch.json", "plain.json", "plain").status == 0
    assert (folder / "out").read_bytes() == (folder / "plain").read_bytes()


def test_zstd_with_a_large_window(folder, run):
    zstd = zstd_module()
    options = {zstd.CompressionParameter.window_log: 28}
    # The size is left out of a stream's header, so that the window is not cut to it.
    packer = zstd.ZstdCompressor(options=options)
    data = packer.compress(befriend(1, 2)) + packer.flush(packer.FLUSH_FRAME)
    (folder / "stream.json.zst").write_bytes(data)
    ended = run("detect", "batch.json", "stream.json.zst", "out")
    assert (ended.status, "zstd -dc --long=31" in ended.err) == (1, True), ended.err


# -- plain text that begins like compressed data -------------------------------------------

GZIP, ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"


@pytest.mark.parametrize(
    "start",
    [
        GZIP,
        GZIP + b'{"event_type"}',
        GZIP + bytes(7) + b"text",
        GZIP + bytes(7) + b"{text}",
        GZIP + b"\x08" + bytes(6) + b"a name without an end",
        GZIP + b"\x04" + bytes(6) + b"\xff\xff",
        ZSTD,
        ZSTD + b"{text}",
        ZSTD + b"@" * 10,
        ZSTD + b" text" * 9,
        ZSTD + b"\xff" * 30,
    ],
)
def test_a_plain_log_may_begin_like_compressed_data(folder, run, start):
    stream = folder / "stream.json"
    stream.write_bytes(start + b"\n" + stream.read_bytes())
    ended = run("detect", *LOGS, "out", "--rejects", "rejects")
    assert (ended.status, (folder / "out").read_bytes()) == (0, FLAGS), ended.err
    ((_, number, _, _, line),) = rows(folder / "rejects")
    assert (number, line) == (b"1", start)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
@pytest.mark.parametrize("fault", ["damaged", "truncated"])
def test_later_damage_names_why_a_log_was_decompressed(folder, run, kind, fault):
    stream = b"".join(purchase("2", f"{n * 7919 % 100000}.31") for n in range(30000))
    data = compressed(kind, stream)
    half = len(data) // 2
    data = data[:half] + (bytes(99) + data[half + 99 :] if fault == "damaged" else b"")
    assert half > 20000
    (folder / "stream.json").write_bytes(data)
    ended = run("detect", *LOGS, "out")
    assert ended.status == 1
    assert f"taken as {kind} data because of its first bytes" in ended.err
    (folder / "s.gz").write_bytes(gzip.compress(stream)[:half])
    ended = run("detect", "batch.json", "s.gz", "out")
    assert (ended.status, "taken as" in ended.err) == (1, False)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_compressed_logs_without_suffix_may_be_empty_or_in_parts(folder, run, kind):
    data = b"".join(compressed(kind, part) for part in (b"", STREAM, b"", STREAM))
    (folder / "stream.json").write_bytes(data)
    ended = run("detect", *LOGS, "out")
    assert (ended.status, (folder / "out").read_bytes()) == (0, FLAGS * 2), ended.err
    (folder / "stream.json").write_bytes(compressed(kind, b""))
    assert run("detect", *LOGS, "out").status == 0


def test_zstd_with_a_large_window_without_suffix(folder, run):
    zstd = zstd_module()
    options = {zstd.CompressionParameter.window_log: 28}
    packer = zstd.ZstdCompressor(options=options)
    data = packer.compress(befriend(1, 2)) + packer.flush(packer.FLUSH_FRAME)
    (folder / "stream.json").write_bytes(data)
    ended = run("detect", *LOGS, "out")
    assert (ended.status, "zstd -dc --long=31" in ended.err) == (1, True), ended.err
