"""Compressed logs that are recognised by their first bytes; zstd with a large window."""

import gzip

import pytest
from cli.commandline import FLAGS, zstd_module
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
