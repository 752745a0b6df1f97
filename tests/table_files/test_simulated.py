"""Simulated tables: the events of the simulated logs, which have the same flags."""

import json

import pyarrow as pa
import pyarrow.parquet
import pytest

from fastanomaly import (
    OutputError,
    Simulation,
    Tables,
    UsageError,
    detect,
    simulate,
    simulation,
)

OPTIONS = Simulation(
    users=60,
    batch_events=3_000,
    stream_events=700,
    unfriend_share=0.05,
    anomaly_share=0.05,
    late_share=0.1,
    rate=20,
)
TABLES = ["csv", "tsv", "parquet", "pq", "arrow", "arrows", "feather", "ipc"]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """Flags and counts of the logs."""
    folder = tmp_path_factory.mktemp("logs")
    simulate(folder / "batch.json", folder / "stream.json", OPTIONS)
    found = outcome(folder, "batch.json", "stream.json")
    assert len(found[0]) > 10
    assert found[1].rejected == {}
    return found


def outcome(folder, batch, stream=None, **options):
    """Return the flagged purchases and the summary of a run."""
    stream = stream and folder / stream
    summary = detect(
        *(folder / batch, stream, folder / "flags"),
        degree=OPTIONS.degree,
        tracked=OPTIONS.tracked,
        **options,
    )
    flags = map(json.loads, (folder / "flags").read_bytes().splitlines())
    return list(flags), summary


def counts(summary):
    """Return what does not depend on how fast a run was."""
    return (summary.purchases, summary.befriends, summary.unfriends, summary.flags)


@pytest.mark.parametrize("suffix", [*TABLES, "json"])
def test_one_table_has_the_flags_of_both_logs(tmp_path, expected, suffix):
    name = f"events.{suffix}"
    simulate(tmp_path / name, None, OPTIONS)
    tables = Tables(split=OPTIONS.batch_events)
    flags, summary = outcome(tmp_path, name, tables=tables)
    assert flags == expected[0]
    assert counts(summary) == counts(expected[1])


@pytest.mark.parametrize(("batch", "stream"), [("b.csv", "s.parquet"), ("b.arrow", "s.json")])
def test_two_files_have_the_flags_of_the_logs(tmp_path, expected, batch, stream):
    simulate(tmp_path / batch, tmp_path / stream, OPTIONS)
    flags, summary = outcome(tmp_path, batch, stream)
    assert flags == expected[0]
    assert counts(summary) == counts(expected[1])


def test_one_file_of_lines_has_the_lines_of_both_logs(tmp_path):
    one, batch, stream = (tmp_path / name for name in ("one", "batch", "stream"))
    simulate(one, None, OPTIONS)
    simulate(batch, stream, OPTIONS)
    _parameters, events = batch.read_bytes().split(b"\n", 1)
    assert one.read_bytes() == events + stream.read_bytes()


@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow"])
def test_chunks_are_written_one_by_one(tmp_path, monkeypatch, suffix):
    simulate(tmp_path / f"whole.{suffix}", None, OPTIONS)
    monkeypatch.setattr(simulation, "CHUNK_LINES", 7)
    simulate(tmp_path / f"small.{suffix}", None, OPTIONS)
    whole, small = (
        (tmp_path / f"{name}.{suffix}").read_bytes()
        if suffix == "csv"
        else rows(tmp_path / f"{name}.{suffix}")
        for name in ("whole", "small")
    )
    assert whole == small


def rows(path):
    if path.suffix == ".parquet":
        return pa.parquet.read_table(path).to_pylist()
    with pa.ipc.open_file(str(path)) as file:
        return file.read_all().to_pylist()


def test_the_columns_of_a_table(tmp_path):
    simulate(tmp_path / "t.parquet", None, OPTIONS)
    table = pa.parquet.read_table(tmp_path / "t.parquet")
    assert {field.name: str(field.type) for field in table.schema} == {
        "event_type": "string",
        "timestamp": "timestamp[us, tz=UTC]",
        "user": "string",
        "friend": "string",
        "amount": "decimal128(18, 2)",
    }
    for row in table.to_pylist():
        bought = row["event_type"] == "purchase"
        assert (row["friend"] is None, row["amount"] is None) == (bought, not bought)


def test_csv_is_plain_text(tmp_path):
    simulate(tmp_path / "t.csv", None, Simulation(batch_events=2, stream_events=0))
    assert (tmp_path / "t.csv").read_text() == (
        "event_type,timestamp,user,friend,amount\n"
        "purchase,2017-06-14 18:46:40,409,,59.53\n"
        "befriend,2017-06-14 18:46:40,8601,27,\n"
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_of_no_events_has_its_columns(tmp_path, suffix):
    name = f"none.{suffix}"
    simulate(tmp_path / name, None, Simulation(batch_events=0, stream_events=0))
    assert outcome(tmp_path, name)[0] == []


def test_a_table_cannot_have_dirty_lines(tmp_path):
    table = tmp_path / "t.csv"
    for batch, stream in ((table, None), (tmp_path / "log", table)):
        with pytest.raises(UsageError, match=r"t\.csv: .*dirty_share is 0\.5"):
            simulate(batch, stream, Simulation(dirty_share=0.5))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_that_cannot_be_written_is_named(tmp_path, suffix):
    path = tmp_path / "none" / f"t.{suffix}"
    with pytest.raises(OutputError, match=f"none/t.{suffix}: No such file"):
        simulate(path, None, OPTIONS)


def test_events_are_not_written_to_databases(tmp_path):
    path = f"sqlite:{tmp_path}/t.db?table=events"
    with pytest.raises(UsageError, match="table=events: events are written to files, not"):
        simulate(path, None, OPTIONS)
    assert not list(tmp_path.iterdir())


def test_a_table_is_replaced_when_it_is_complete(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    path.write_bytes(b"kept")
    monkeypatch.setattr(simulation, "CHUNK_LINES", 1_000)
    parts = iter(range(2))

    class EndedError(Exception):
        pass

    def kinds(self, words):
        if next(parts, None) is None:
            raise EndedError
        return original(self, words)

    original = simulation._Generator._kinds
    monkeypatch.setattr(simulation._Generator, "_kinds", kinds)
    with pytest.raises(EndedError):
        simulate(path, None, OPTIONS)
    assert path.read_bytes() == b"kept"
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]
