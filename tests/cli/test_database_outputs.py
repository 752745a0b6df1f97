"""Flags as rows of a table in SQLite, DuckDB and PostgreSQL."""

import json
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from cli.commandline import PATIENCE, wait_until
from crash.longlogs import write_logs
from databases import KINDS, Place
from lines import befriend, parameters, purchase

from fastanomaly import detect
from fastanomaly.errors import OutputError, UsageError

LOGS = ("batch.json", "stream.json")
DETECT = ("detect", *LOGS)


@pytest.fixture(params=KINDS)
def place(request, tmp_path):
    """Return a new database."""
    return Place(request.param, tmp_path, request)


@pytest.fixture
def postgres(request, tmp_path):
    """Return a new database in PostgreSQL."""
    return Place("postgresql", tmp_path, request)


@pytest.fixture
def logs(tmp_path, monkeypatch):
    """Return a folder with long logs, which is the working folder."""
    write_logs(tmp_path, 1000, 6000)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def flags_of(log, k=3):
    """Return the row numbers of the flags of a log, by an output of lines."""
    detect("batch.json", log, "lines.json", sigmas=k)
    stream = Path(log).read_bytes().splitlines()
    found, row = [], 0
    for line in Path("lines.json").read_bytes().splitlines():
        values = json.loads(line)
        del values["mean"], values["sd"]
        row = next(i for i in range(row, len(stream)) if _is(stream[i], values)) + 1
        found.append((values["id"], row))
    return found


def _is(line, values):
    try:
        return json.loads(line) == values
    except ValueError:
        return False


def places(rows):
    return [(row[0], row[8]) for row in rows]


def test_a_table_has_the_flags_of_the_lines(logs, run, place):
    expected = flags_of("stream.json")
    assert run(*DETECT, place.name(), "-q").status == 0
    rows = place.flags()
    assert places(rows) == expected
    assert len(expected) > 50
    detect(*LOGS, "flags.csv")
    texts = [line.split(",") for line in Path("flags.csv").read_text().splitlines()[1:]]
    assert [(*row[3:8], str(row[8])) for row in rows] == [tuple(t[3:]) for t in texts]


def test_a_second_run_changes_nothing(logs, place):
    detect(*LOGS, place.name())
    before = place.flags()
    hidden = {"postgresql": "xmin, ctid", "sqlite": "rowid", "duckdb": "rowid"}[place.kind]
    versions = place.execute(f"SELECT {hidden} FROM flags ORDER BY row")
    detect(*LOGS, place.name())
    assert place.flags() == before
    assert place.execute(f"SELECT {hidden} FROM flags ORDER BY row") == versions


def test_another_k_leaves_what_is_still_right_and_other_logs_alone(logs, place):
    (logs / "other.json").symlink_to("stream.json")
    detect(*LOGS, place.name())
    detect("batch.json", "other.json", place.name())
    other = [row for row in place.flags() if row[7] == "other.json"]
    place.execute(
        "ALTER TABLE flags ADD COLUMN seen INTEGER",
        "UPDATE flags SET seen = 1",
        "UPDATE flags SET n = 77, excess = 1 WHERE row % 2 = 0",  # as of an older version
    )
    for k in ("4.5", "2", "1000000", "2"):
        detect(*LOGS, place.name(), sigmas=k)
        rows = place.flags()
        assert places(r for r in rows if r[7] == "stream.json") == flags_of("stream.json", k)
        assert places(rows[: len(other)]) == places(other)
    seen = dict(place.execute("SELECT row, seen FROM flags WHERE log = 'other.json'"))
    assert set(seen.values()) == {1}


def test_values_at_their_limits_are_exact(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    most = "999999999999.999999"
    odd = ["a\t\"b'", "\\N", "line\r\nend", "nul\0", "\U0001f71a", "  ", "%s $1"]
    times = ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59"]
    times += ["2017-06-13 11:33:01.5"] * (len(odd) - 2)
    texts = [json.dumps(user)[1:-1] for user in odd]
    batch = [befriend("bob", user) for user in texts]
    batch += [purchase("bob", x) for x in ("0", "0.000001", *["1.1"] * 40)]
    (tmp_path / LOGS[0]).write_bytes(b"".join([parameters(1, 99), *batch]))
    stream = [purchase(user, most, when) for user, when in zip(texts, times, strict=True)]
    (tmp_path / LOGS[1]).write_bytes(b"".join(stream))
    detect(*LOGS, place.name())
    detect(*LOGS, "flags.csv")
    rows = place.flags()
    if place.kind == "postgresql":
        odd = [user.replace("\0", "\u2400") for user in odd]
    assert [row[0] for row in rows] == odd
    assert {row[2] for row in rows} == {most}
    assert rows[2][1] == 1497353581_500000
    if place.kind == "sqlite":
        found = [row[0] for row in place.execute("SELECT timestamp FROM flags ORDER BY row")]
        assert found[:2] == ["0001-01-01T00:00:00.000000+23:59", times[1]]
    else:
        assert [row[1] for row in rows[:2]] == [-62135683140_000000, 253402387139_999999]


@pytest.mark.parametrize(
    "table",
    ['"Flags"', "a b", '"x"";DROP TABLE mine;--"', "100%25 $1", '"s.t"', "été", "sélect"],
)
def test_a_table_may_have_any_name(logs, run, place, table):
    place.execute("CREATE TABLE mine (x INTEGER)")
    assert run(*DETECT, place.name(f"table={table}"), "-q").status == 0
    name = table.replace("%25", "%")
    quoted = name if name.startswith('"') else f'"{name}"'
    assert len(place.flags(quoted)) > 50
    assert place.execute("SELECT count(*) FROM mine") == [(0,)]


def test_a_table_may_be_in_a_schema(logs, run, place):
    schema = "main" if place.kind == "sqlite" else "s"
    if place.kind != "sqlite":
        ended = run(*DETECT, place.name("table=s.flags"), "-q")
        assert (ended.status, "s" in ended.err) == (1, True)
        place.execute("CREATE SCHEMA s")
    assert run(*DETECT, place.name(f"table={schema}.flags"), "-q").status == 0
    assert len(place.flags(f"{schema}.flags")) > 50


# -- checkpoints, kills ----------------------------------------------------------------------


def test_without_checkpoints_all_flags_come_in_one_transaction(logs, start, place):
    """The run is stopped while it waits for the last line, after all flags but the last."""
    detect(*LOGS, place.name())
    expected = place.flags()
    place.execute("DELETE FROM flags WHERE row > 100", "UPDATE flags SET n = 7")
    before = place.flags()
    lines = (logs / "stream.json").read_bytes().splitlines(keepends=True)
    code = (
        "import os, sys\n"
        "from fastanomaly import detect\n"
        "def stop(run):\n"
        "    if run.summary.flags > 30: os.kill(os.getpid(), 9)\n"
        f"detect('batch.json', 'stream.json', {place.name()!r}, on_read=stop)\n"
    )
    assert len(lines) > 5000
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=PATIENCE)
    assert done.returncode == -9
    assert place.flags() == before
    detect(*LOGS, place.name())
    assert place.flags() == expected


def test_a_checkpoint_needs_the_rows_that_were_written_before_it(logs, run, place):
    options = ("--checkpoint", "kept", "--every", "1000", "-q")
    assert run(*DETECT, place.name(), *options).status == 0
    expected = place.flags()
    sorted((logs / "kept").glob("checkpoint-*"))[-1].unlink()  # as after a crash
    place.execute("DELETE FROM flags WHERE row < 3000")
    ended = run(*DETECT, place.name(), *options)
    assert (
        ended.status,
        "flags of this job, but the checkpoint was made after" in ended.err,
    ) == (2, True)
    place.execute("DROP TABLE flags")
    assert run(*DETECT, place.name(), *options).status == 2
    assert run(*DETECT, place.name(), *options, "--fresh").status == 0
    assert place.flags() == expected


def test_a_live_flag_can_be_read_at_once(logs, start, place):
    if place.kind == "duckdb":
        pytest.skip("DuckDB lets no other process read while one writes")
    process = start("detect", "batch.json", "-", place.name(), "-q")
    process.stdin.write((logs / "stream.json").read_bytes())
    expected = [row for _, row in flags_of("stream.json")]

    def rows():
        try:
            return [row for (row,) in place.execute('SELECT "row" FROM flags ORDER BY "row"')]
        except (psycopg.Error, OSError):
            return []

    wait_until(lambda: rows() == expected, "all flags")
    process.stdin.close()
    assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("what", ["server", "backend"])
def test_no_flag_is_lost_or_twice_when_postgresql_dies(logs, start, postgres, what):
    """The stream comes in three parts; PostgreSQL is killed before the second is written."""
    lines = (logs / "stream.json").read_bytes().splitlines(keepends=True)
    (logs / "live.json").write_bytes(b"".join(lines[:2000]))
    command = ("detect", "batch.json", "live.json", postgres.name(), "--follow", "-q")
    options = ("--checkpoint", "kept", "--every", "500")
    process = start(*command, *options)
    expected = flags_of("live.json")[-1]

    def has_written():
        try:
            return places(postgres.flags())[-1:] == [expected]
        except psycopg.errors.UndefinedTable:
            return False

    wait_until(has_written, "flags")
    if what == "server":
        postgres.server.kill()
    else:
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'fastanomaly'"
        )
    with (logs / "live.json").open("ab") as live:
        live.writelines(lines[2000:4000])
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, err
    assert b"?host=" in err
    assert b"Traceback" not in err
    if what == "server":
        postgres.server.start()
    with (logs / "live.json").open("ab") as live:
        live.writelines(lines[4000:])
    ended = start(*command, *options, "--until-idle", "0.3")
    assert ended.wait(PATIENCE) == 0
    assert places(postgres.flags()) == flags_of("live.json")
    assert len(postgres.flags()) > 50


# -- what is wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sqlite:x.db", "sqlite:x.db: expected ?table=NAME or ?query="),
        ("sqlite:x.db?table=a&query=b", "expected ?table=NAME or ?query="),
        ("sqlite:x.db?query=select 1", "flags need a table: ?table=NAME"),
        ("duckdb:x.db?table=a..b", "'a..b' is not a table's name"),
        ("duckdb:x.db?table=a.", "'a.' is not a table's name"),
        ('sqlite:x.db?table="a', "is not a table's name"),
        ("sqlite:x.db?table=a&tabel=b", "has no parameter 'tabel'"),
        ("sqlite:batch.json?table=a", "sqlite:batch.json?table=a: file is not a database"),
        ("duckdb:batch.json?table=a", "json?table=a: is not a database of DuckDB"),
        ("sqlite:no/x.db?table=a", "sqlite:no/x.db?table=a: unable to open database file"),
        ("duckdb:no/x.db?table=a", "No such file"),
        ("postgresql://u:hush@/d?host=/nowhere&table=a", "postgresql://u@/d?host=/nowhere&t"),
        ("postgresql://u:hush@?password=hush&host=/no&table=a", "postgresql://u@?host=/no&t"),
        ("postgresql://u:hu@sh@nowhere.invalid/d?table=a", "nowhere.invalid"),
        ("postgresql://u:hush/d?table=a", "expected postgresql://USER:PASSWORD@HOST/DATABASE"),
        ("postgres://u:hush@localhost:1/d?table=a&sslmode=hm", 'invalid sslmode value: "hm"'),
        ("postgres://u:hush@localhost:1/d?tabel=a", "expected ?table=NAME or ?query="),
        (
            "postgres://u:hush@localhost:1/d?table=a&tabel=b",
            'invalid URI query parameter: "tabel"',
        ),
    ],
)
def test_a_name_that_does_not_lead_to_a_table_is_an_error(folder, run, name, message):
    ended = run(*DETECT, name, "-q")
    assert ended.status in (1, 2)
    assert message in ended.err
    assert "hu" not in ended.err
    assert "sh@" not in ended.err


def test_a_password_is_used_and_kept_secret(logs, run, postgres):
    role = f"{postgres.database}_role"
    postgres.execute(
        f"CREATE ROLE {role} LOGIN PASSWORD 'hush@1%'", f"GRANT ALL ON SCHEMA public TO {role}"
    )
    with postgres.server.asking_for_passwords():
        url = f"postgresql://{role}:{{}}@/{postgres.database}?host={postgres.server.folder}&table=flags"
        ended = run(*DETECT, url.format("wr0ng"), "-q")
        assert (ended.status, "password authentication failed" in ended.err) == (1, True)
        assert "wr0ng" not in ended.err
        options = ("--checkpoint", "kept", "-q")
        for password in ("hush@1%25", "hush%401%25"):
            assert run(*DETECT, url.format(password), *options, "--fresh").status == 0
        ended = run(
            *DETECT, url.format("hush%401%25").replace("table=flags", "table=other"), *options
        )
    assert (ended.status, "out was" in ended.err, "hush" in ended.err) == (2, True, False)
    for path in (logs / "kept").glob("checkpoint-*"):
        assert b"hush" not in path.read_bytes()
    assert len(postgres.flags()) > 50


def test_a_role_that_may_only_change_rows_needs_no_more(logs, run, postgres):
    detect(*LOGS, postgres.name())
    expected = postgres.flags()
    role = f"{postgres.database}_role"
    postgres.execute(
        "DELETE FROM flags WHERE row % 2 = 0",
        f"CREATE ROLE {role} LOGIN",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON flags TO {role}",
    )
    url = postgres.server.url("table=flags", user=role, database=postgres.database)
    assert run(*DETECT, url, "-q").status == 0
    assert postgres.flags() == expected
    ended = run(*DETECT, url.replace("=flags", "=more"), "-q")
    assert (ended.status, "permission denied for schema public" in ended.err) == (1, True)


def test_another_table_of_that_name_is_left_alone(logs, place):
    for columns in ("x INTEGER", 'log TEXT, "row" BIGINT, "user" TEXT'):
        place.execute("DROP TABLE IF EXISTS flags", f"CREATE TABLE flags ({columns})")
        with pytest.raises(OutputError, match=r"table=flags: "):
            detect(*LOGS, place.name())
        assert place.execute("SELECT count(*) FROM flags") == [(0,)]


def test_rejected_lines_go_to_a_file(logs, place):
    with pytest.raises(UsageError, match="takes flags only; rejected lines go to a file"):
        detect(*LOGS, "out", rejects=place.name())


def test_no_plain_output_overwrites_a_database(logs, place):
    if place.kind == "postgresql":
        pytest.skip("a server's files are its own")
    detect(*LOGS, place.name())
    file = place.name().partition(":")[2].partition("?")[0]
    with pytest.raises(UsageError, match="is the same file as output"):
        detect(*LOGS, place.name(), rejects=file)
    assert len(place.flags()) > 50
