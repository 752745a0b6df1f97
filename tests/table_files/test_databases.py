"""Tables and queries of SQLite, DuckDB and PostgreSQL as inputs."""

import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cli.commandline import run_command
from databases import KINDS, Place
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples
from table_files.test_same_flags import EVENTS, PURCHASES, outcome
from table_files.writing import write_log

from fastanomaly import detect
from fastanomaly.errors import LogOpenError, LogReadError, UsageError
from fastanomaly.tables.reading import Tables

ORDERED = "query=SELECT * FROM events ORDER BY nr"
BOUGHT = {"user": "customer", "amount": "total", "timestamp": "at"}


@pytest.fixture(params=KINDS)
def place(request, tmp_path, monkeypatch):
    """Return a new database; its folder is the working folder."""
    monkeypatch.chdir(tmp_path)
    return Place(request.param, tmp_path, request)


@pytest.fixture
def postgres(request, tmp_path, monkeypatch):
    """Return a new database in PostgreSQL."""
    monkeypatch.chdir(tmp_path)
    return Place("postgresql", tmp_path, request)


def purchases(count):
    """Return purchases of friends, some of them large."""
    return [
        {
            "customer": f"{n % 7:03}",
            "total": f"{900 if n % 97 == 96 else 10 + n % 5}.{n % 100:02}",
            "at": f"2017-06-{1 + n // 1440 % 28:02} {n // 60 % 24:02}:{n % 60:02}:00",
        }
        for n in range(count)
    ]


def write_friends():
    pairs = [{"user": f"{a:03}", "friend": f"{b:03}"} for a in range(7) for b in range(a)]
    write_log(Path("friends"), [{"kind": "befriend", **pair} for pair in pairs])


def judged(stream, out="out", **options):
    """Return the lines of the flags of a stream after the friendships."""
    settings: dict[str, Any] = {"degree": 1, "tracked": 50, "tables": Tables(BOUGHT)} | options
    detect("friends", stream, out, **settings)
    return Path(out).read_bytes().splitlines()


def of_log(rows):
    """Return the same of the rows as a log."""
    fields = [{field: row[name] for field, name in BOUGHT.items()} for row in rows]
    write_log(Path("log"), fields)
    return judged("log", "log.out", tables=None)


@given(rows=st.one_of(st.lists(PURCHASES, min_size=1), st.lists(EVENTS, min_size=1)))
@settings(
    max_examples=examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_flags_are_those_of_the_log(place, tmp_path, rows):
    columns = {field: field for field in rows[0]}
    place.write(rows)
    write_log(tmp_path / "log", rows)
    expected = outcome(tmp_path, "log", "log")
    (tmp_path / "empty").write_bytes(b"")

    class Folder:
        """A folder in which one name is that of the query."""

        def __truediv__(self, name):
            return place.name(ORDERED) if name == "query" else tmp_path / name

    assert outcome(Folder(), "query", "table", tables=Tables(columns)) == expected


TYPES = {
    "sqlite": [
        {"customer": "INTEGER", "total": "TEXT", "at": "TEXT"},
        {"customer": "TEXT", "total": "NUMERIC", "at": "TEXT"},
    ],
    "duckdb": [
        {"customer": "BIGINT", "total": "DECIMAL(10, 4)", "at": "TIMESTAMP"},
        {"customer": "HUGEINT", "total": "DOUBLE", "at": "TIMESTAMPTZ"},
        {"customer": "TEXT", "total": "FLOAT", "at": "TIMESTAMP_MS"},
    ],
    "postgresql": [
        {"customer": "bigint", "total": "numeric", "at": "timestamptz"},
        {"customer": "smallint", "total": "numeric(30, 10)", "at": "timestamp(0)"},
        {"customer": "varchar(9)", "total": "double precision", "at": "timestamptz"},
        {"customer": "text", "total": "real", "at": "timestamp"},
    ],
}


@pytest.mark.parametrize("number", range(4))
def test_columns_of_every_type_are_read_exactly(place, number):
    if number >= len(TYPES[place.kind]):
        pytest.skip("this database has fewer types to try")
    types = TYPES[place.kind][number]
    rows = purchases(2000)
    if types["customer"].lower() in ("text", "varchar(9)"):
        stored = rows
    else:
        rows = [{**row, "customer": str(int(row["customer"]))} for row in rows]
        stored = [{**row, "customer": int(row["customer"])} for row in rows]
    if place.kind == "duckdb":
        stored = [{**row, "total": Decimal(row["total"])} for row in stored]
    place.write(stored, types)
    pairs = [{"user": f"{a}", "friend": f"{b}"} for a in range(7) for b in range(a)]
    padded = [{k: v.zfill(3) for k, v in pair.items()} for pair in pairs]
    edges = [{"kind": "befriend", **pair} for pair in pairs + padded]
    write_log(Path("friends"), edges)
    expected = [json.loads(line) for line in of_log(rows)]
    found = [json.loads(line) for line in judged(place.name(ORDERED))]
    assert len(expected) > 10
    for one, other in zip(found, expected, strict=True):
        assert Decimal(one.pop("amount")) == Decimal(other.pop("amount"))
        assert one.pop("timestamp")[:19].replace("T", " ") == other.pop("timestamp")
        assert one == other


def test_dates_and_times_with_zones_are_taken_as_they_are(postgres):
    rows = purchases(300)
    types = {"customer": "text", "total": "numeric", "at": "date"}
    write_friends()
    postgres.write(rows, types)
    days = [{**row, "at": f"{row['at'][:10]} 00:00:00"} for row in rows]
    assert judged(postgres.name(ORDERED)) == of_log(days)
    postgres.execute(f"ALTER DATABASE {postgres.database} SET TimeZone = 'Asia/Kolkata'")
    postgres.write(
        [{**row, "at": f"{row['at']}+02"} for row in rows], {**types, "at": "timestamptz"}
    )
    shifted = [{**row, "at": f"{row['at']}+02:00"} for row in rows]
    found = [json.loads(line) for line in judged(postgres.name(ORDERED))]
    expected = [json.loads(line) for line in of_log(shifted)]
    assert len(found) == len(expected) > 1
    assert [row["mean"] for row in found] == [row["mean"] for row in expected]


def test_what_is_no_event_is_a_rejected_row(place):
    rows = purchases(300)
    rows[40]["total"], rows[50]["at"], rows[60]["customer"] = "-5", "infinity", None
    rows[70]["total"] = "NaN"
    write_friends()
    types = dict.fromkeys(BOUGHT.values(), "TEXT")
    if place.kind == "postgresql":
        types |= {"total": "double precision", "at": "timestamptz"}
    place.write(rows, types)
    judged(place.name(ORDERED), rejects="rejects")
    rejects = [line.split("\t") for line in Path("rejects").read_text().splitlines()]
    assert [(line[1], line[2]) for line in rejects] == [
        ("41", "bad_amount"),
        ("51", "bad_timestamp"),
        ("61", "missing_field"),
        ("71", "bad_amount"),
    ]


def test_a_table_and_a_query_in_every_spelling(place):
    rows = purchases(500)
    write_friends()
    place.write(rows)
    expected = judged(place.name(ORDERED))
    assert len(expected) > 3
    assert judged(place.name("table=events")) == expected  # in the order they were inserted
    for query in (
        "query=SELECT * FROM events WHERE customer||'+%00&' LIKE '%+%00&' ORDER BY nr;",
        "query=SELECT * FROM events ORDER BY nr -- a comment",
        "query=SELECT%20*%20FROM%20events%20WHERE%20'+'='%2B'ORDER%20BY%20nr",
        "query=WITH e AS (SELECT * FROM events) SELECT * FROM e ORDER BY nr",
    ):
        assert judged(place.name(query)) == expected


def test_a_run_resumes_within_a_query(place):
    rows = purchases(3000)
    write_friends()
    place.write(rows)
    options: dict[str, Any] = {"checkpoint": "kept", "every": 500}
    expected = judged(place.name(ORDERED), **options)
    assert len(expected) > 20
    for _ in range(2):
        sorted(Path("kept").glob("checkpoint-*"))[-1].unlink()  # as after a crash
        assert judged(place.name(ORDERED), **options) == expected


def test_flags_may_go_into_the_database_that_is_read(place):
    rows = purchases(3000)
    write_friends()
    place.write(rows)
    source = place.name(ORDERED)
    lines = judged(source)
    tables = Tables(BOUGHT)
    options: dict[str, Any] = {"degree": 1, "tracked": 50, "tables": tables}
    options["checkpoint"] = "kept"
    if place.kind == "duckdb":
        with pytest.raises(OSError, match="is read by this process: flags need another file"):
            detect("friends", source, place.name(), **options)
        return
    detect("friends", source, place.name(), every=500, **options)
    assert [row[0] for row in place.flags()] == [json.loads(line)["id"] for line in lines]
    with pytest.raises(UsageError, match="output would overwrite an input"):
        detect("friends", place.name("table=events"), place.name("table=events"))


def test_a_password_of_an_input_is_kept_secret(postgres):
    place = postgres
    rows = purchases(500)
    rows[7]["total"] = "wrong"
    place.write(rows)
    write_friends()
    source = place.name(ORDERED).replace("postgres@", "postgres:hush@")
    arguments = ("friends", source, "flags.csv", "-D1", "-T50", "--rejects", "rejects")
    more = ("--map", "user=customer,amount=total,timestamp=at", "--checkpoint", "kept")
    ended = run_command("detect", *arguments, *more, cwd=".")
    assert ended.status == 0
    written = [Path("flags.csv"), Path("rejects"), *Path("kept").glob("checkpoint-*")]
    for text in (ended.err.encode(), *(path.read_bytes() for path in written)):
        assert b"hush" not in text
    assert b"postgresql://postgres@/" in Path("rejects").read_bytes()
    for wrong in (("--map", "user=no"), ("--friends", "x.csv", "--split", "0.5"), ()):
        ended = run_command("detect", *arguments[:-2], *wrong, cwd=".")
        assert (ended.status, "hush" in ended.err) == (2, False), ended.err


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("table=nothing", "nothing"),
        ("query=SELECT no FROM events", "no"),
        ("query=SELEC", "syntax error"),
        ("query=DELETE FROM events RETURNING nr", ""),
    ],
)
def test_a_wrong_query_is_an_error(place, parameters, message):
    place.write(purchases(3))
    write_friends()
    with pytest.raises(LogOpenError, match=f"^{place.kind}:.*: .*{message}"):
        judged(place.name(parameters))
    assert place.execute("SELECT count(*) FROM events") == [(3,)]


def test_a_file_that_is_missing_is_not_created(place):
    write_friends()
    if place.kind == "postgresql":
        pytest.skip("a server has no file")
    with pytest.raises(LogOpenError, match=rf"^{place.kind}:missing.db\?table=t: "):
        judged(f"{place.kind}:missing.db?table=t")
    assert not Path("missing.db").exists()


def test_an_error_in_the_middle_of_a_query_keeps_what_was_judged(postgres):
    write_friends()
    query = (
        "query=SELECT lpad((n % 7)::text, 3, '0') AS customer, now() AS at, "
        "CASE WHEN n % 97 = 96 THEN 900 ELSE 10 + n % 5 END + 0 / (100001 - n) AS total "
        "FROM generate_series(1, 150000) n"
    )
    with pytest.raises(LogReadError, match=r"after row [1-9][0-9]+: division by zero"):
        judged(postgres.name(query))
    assert len(Path("out").read_bytes().splitlines()) > 100


def test_memory_does_not_grow_with_the_rows(postgres, tmp_path):
    postgres.execute("CREATE TABLE none (x int)")
    (tmp_path / "none").write_bytes(b"")
    peaks = []
    for rows in (100_000, 1_000_000):
        query = (
            "query=SELECT n % 1000 AS id, 10 AS amount, now() AS timestamp "
            f"FROM generate_series(1, {rows}) AS n"
        )
        arguments = ("none", postgres.name(query), "out", "-D1", "-T5", "-q")
        ended = run_command("detect", *arguments, "--summary-json", "s.json", cwd=tmp_path)
        assert ended.status in (0, 4), ended.err
        summary = json.loads(Path("s.json").read_bytes())
        assert summary["purchases"] == rows
        peaks.append(summary["peak_memory_bytes"])
    assert peaks[1] < peaks[0] + (50 << 20)
    shutil.rmtree(tmp_path / "kept", ignore_errors=True)


@pytest.mark.parametrize("others", [[7, 8], ["ann", 8], [None, 8], [2.0, b"\xff"]])
def test_a_float_is_no_id_whatever_the_rows_around_it(request, tmp_path, monkeypatch, others):
    monkeypatch.chdir(tmp_path)
    place = Place("sqlite", tmp_path, request)
    at = {"at": "2017-06-13 11:33:02"}
    users = [1, 2.5, *others]
    rows = [{"customer": user, "total": "1", **at} for user in users]
    place.write(rows, dict.fromkeys(BOUGHT.values(), ""))
    Path("friends").write_bytes(b"")
    judged(place.name(ORDERED), rejects="rejects")
    found = [line.split("\t")[1:4] for line in Path("rejects").read_text().splitlines()]
    why = "id: {} (must be a string or a whole number)"
    assert found[0] == ["2", "wrong_type", why.format("2.5")]
    assert (
        found[1:2]
        == {
            7: [],
            "ann": [],
            None: [["3", "missing_field", "id: missing"]],
            2.0: [["3", "wrong_type", why.format("2.0")]],
        }[others[0]]
    )
    judged(place.name(ORDERED), checkpoint="kept", every=1, rejects="again")
    sorted(Path("kept").glob("checkpoint-*"))[-1].unlink()
    judged(place.name(ORDERED), checkpoint="kept", every=1, rejects="again")
    assert Path("again").read_text() == Path("rejects").read_text()


def test_a_float_that_an_event_does_not_need(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = Place("sqlite", tmp_path, request)
    bought = {"kind": "purchase", "user": 1, "friend": 2.5, "amount": "1"}
    met = {"kind": "befriend", "user": 1, "friend": 2, "amount": None}
    rows = [{**row, "timestamp": "2017-06-13 11:33:02"} for row in (bought, met)]
    rows.append({**rows[1], "friend": 3.5})
    place.write(rows, dict.fromkeys(rows[0], ""))
    Path("log").write_bytes(b"")
    name = place.name(ORDERED)
    summary = detect("log", name, "out", degree=1, tracked=5, rejects="rejects")
    assert (summary.purchases, summary.befriends) == (1, 1)
    assert "\t3\twrong_type\tid2: 3.5 (" in Path("rejects").read_text()
    friends = Tables(friends=place.name("query=SELECT user, friend FROM events"))
    Path("sales.csv").write_text("user,amount,timestamp\n1,1,2017-06-13 11:33:02\n")
    detect("sales.csv", None, "out", degree=1, tracked=5, tables=friends, rejects="rejects")
    lines = Path("rejects").read_text().splitlines()
    assert [line.split("\t")[1:3] for line in lines] == [
        ["1", "wrong_type"],
        ["3", "wrong_type"],
    ]
