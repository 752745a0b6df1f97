"""fastanomaly sweep: the table, the files and wrong use."""

import csv
import json

import pytest
from cli.wronguse import check_refused

GRID = ("sweep", "batch.json", "stream.json", "-D", "1-3", "-T", "2,50", "-k", "2,3")


def test_the_table_and_every_setting_in_a_file(folder, run):
    ended = run(*GRID, "--flags-dir", "flags", "--against", "3,50,3")
    assert ended.status == 0, ended.err
    table = ended.out.decode()
    assert table.startswith(
        "1 purchase judged; flagged purchases by D (rows) and T (columns):\n"
    )
    assert "k = 2  T = 2  T = 50\nD = 1      1       1\n" in table
    assert (
        "agreement with D = 3, T = 50, k = 3 in per cent (purchases flagged by both / "
        "purchases flagged by either):\n\n"
        "k = 2        T = 2    T = 50\n"
        "D = 1          100       100\n"
    ) in table
    names = sorted(path.name for path in (folder / "flags").iterdir())
    assert len(names) == 12
    assert names[0] == "D1_T2_k2.json"
    run("detect", "batch.json", "stream.json", "out", "-D", "2", "-T", "2")
    assert (folder / "flags/D2_T2_k3.json").read_bytes() == (folder / "out").read_bytes()


def test_the_columns_in_every_format(folder, run):
    pq = pytest.importorskip("pyarrow.parquet", reason="Parquet needs the extra arrow")
    for suffix in ("csv", "json", "parquet"):
        files = ("-o", f"t.{suffix}", "--agreement", f"a.{suffix}", "--quiet")
        ended = run(*GRID, *files)
        assert (ended.status, ended.out) == (0, b""), ended.err
    records = json.loads((folder / "t.json").read_bytes())
    assert len(records) == 12
    assert records[0] == {
        "degree": 1,
        "tracked": 2,
        "sigmas": 2.0,
        "purchases": 1,
        "compared": 1,
        "flags": 1,
        "share": 1.0,
    }
    assert pq.read_table(folder / "t.parquet").to_pylist() == records
    with (folder / "t.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [{k: float(v) for k, v in row.items()} for row in rows] == records
    assert len(json.loads((folder / "a.json").read_bytes())) == 12 * 11 // 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-D", "6-1"), "--degrees: the range '6-1' is backwards"),
        (("-D", "0-2"), "D: 0"),
        (("-D", "1-1001", "-T", "2"), "D: at most 1000 degrees, got 1001"),
        (("-T", "2,x"), "--tracked: expected numbers up to 2147483647 or"),
        (("-T", "1"), "T: 1"),
        (("-T", "2-2000"), "grid: at most 4096 settings, got 11994"),
        (("-T", "2-10002"), "--tracked: a range has at most 10000 numbers, got '2-10002'"),
        (("-k", "2,,3"), "sigmas: ''"),
        (("-o", "table.txt"), "table.txt: the suffix must be .csv, .json or .parquet"),
        (("-o", "stream.json"), "log stream.json"),
        (("--against", "9,50,3"), "--against: '9,50,3' is not a setting of the grid"),
        (("--max-line", "0"), "--max-line: 0"),
    ],
)
def test_wrong_use(folder, run, options, message):
    check_refused(folder, run, [*GRID, *options], message)


def test_rejected_lines_are_counted(folder, run):
    with (folder / "stream.json").open("ab") as stream:
        stream.write(b"garbage\n" + b"x" * 200 + b"\n")
    ended = run(*GRID, "--max-line", "150")
    assert ended.status == 0
    assert "2 lines rejected: not_json 1, line_too_long 1" in ended.err


def test_a_log_that_is_not_there(run):
    ended = run(*GRID)
    assert (ended.status, "batch.json: " in ended.err) == (2, True)


def test_a_table_that_a_setting_would_overwrite(folder, run):
    options = ("-o", "flags/D1_T2_k3.json", "--flags-dir", "flags")
    check_refused(folder, run, [*GRID, *options], "flags/D1_T2_k3.json: ")
