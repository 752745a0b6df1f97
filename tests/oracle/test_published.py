"""The challenge's published logs, where they are at hand: the exact answers, to the byte."""

import pytest
from published import published

from fastanomaly.runs.detection import detect


@pytest.mark.parametrize("method", ["auto", "ball"])
@pytest.mark.parametrize("name", ["challenge_test_1", "real10k"])
def test_published_logs(name, method, tmp_path):
    folder = published(name)
    out = tmp_path / "flagged_purchases.json"
    summary = detect(folder / "batch_log.json", folder / "stream_log.json", out, method=method)
    expected = (folder / "flagged_purchases.json").read_bytes()
    # The published file of the one case lacks the last line end, which we always write.
    assert out.read_bytes() == expected.removesuffix(b"\n") + b"\n"
    assert summary.flags == out.read_bytes().count(b"\n")
    assert not summary.rejected
