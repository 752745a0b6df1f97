"""The output for the published logs of the challenge, byte for byte."""

import pytest
from published import published

from fastanomaly.runs.detection import detect


@pytest.mark.parametrize("method", ["auto", "ball"])
@pytest.mark.parametrize("name", ["challenge_test_1", "real10k"])
def test_published_logs_have_the_published_flags(name, method, tmp_path):
    folder = published(name)
    out = tmp_path / "flagged_purchases.json"
    summary = detect(folder / "batch_log.json", folder / "stream_log.json", out, method=method)
    expected = (folder / "flagged_purchases.json").read_bytes()
    # One of the published files has no line end after its last line.
    assert out.read_bytes() == expected.removesuffix(b"\n") + b"\n"
    assert summary.flags == out.read_bytes().count(b"\n")
    assert not summary.rejected
