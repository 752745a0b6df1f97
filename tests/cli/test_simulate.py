"""fastanomaly simulate: its outputs on the command line."""

import pytest

SIZE = ("--users", "30", "--batch-events", "900", "--stream-events", "300")


def test_one_table_is_written_and_read(run, tmp_path):
    ended = run("simulate", "-o", "events.parquet", *SIZE)
    assert (ended.status, ended.err) == (0, "fastanomaly: wrote events.parquet\n")
    detect = ("detect", "events.parquet", "-o", "one.csv", "--split", "900", "-D2", "-T50")
    assert run(*detect, "-q").status == 0
    assert run("simulate", "batch", "stream", *SIZE).status == 0
    assert run("detect", "batch", "stream", "two.csv", "-q").status == 0
    one, two = (
        [row.split(",")[:-2] for row in (tmp_path / name).read_text().splitlines()]
        for name in ("one.csv", "two.csv")
    )
    assert one == two
    assert len(one) > 1


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ((), "no output; usage: fastanomaly simulate BATCH STREAM, or "),
        (("batch",), "no output; usage: fastanomaly simulate BATCH STREAM, or "),
        (("b", "-o", "o"), "-o: the output is given twice: b, o"),
        (("b", "s", "-o", "o"), "-o: the output is given twice: b, s, o"),
    ],
)
def test_outputs_that_are_missing_or_too_many(run, tmp_path, outputs, message):
    ended = run("simulate", *outputs)
    assert ended.status == 2
    assert ended.err.startswith(f"fastanomaly: error: {message}")
    assert not list(tmp_path.iterdir())
