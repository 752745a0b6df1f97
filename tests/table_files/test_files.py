"""Files of tables: suffixes, compression, encodings, several files, URLs, errors."""

import bz2
import functools
import gzip
import http.server
import json
import re
import resource
import subprocess
import sys
import threading
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from cli.commandline import COMMAND, PATIENCE, SANITIZED, run_command
from table_files.writing import write_csv, write_parquet

from fastanomaly import Tables, detect, explain, sweep

ROWS = [
    {"customer_id": user, "total": total, "paid_at": f"2017-06-13 11:33:{second:02}"}
    for second, (user, total) in enumerate(
        [("ann", "16.83"), ("ann", "59.28"), ("ann", "11.20"), ("bob", "1601.83")]
    )
]
FRIENDS = "id1,id2\nann,bob\n"
FLAG = (
    b'{"event_type":"purchase", "timestamp":"2017-06-13 11:33:03", "id":"bob", '
    b'"amount":"1601.83", "mean": "29.10", "sd": "21.46"}\n'
)
OPTIONS = ("-D", "2", "-T", "50", "--friends", "friends.csv", "-q")
GUESSED = "guessed --map user=customer_id,amount=total,timestamp=paid_at"


@pytest.fixture
def run(tmp_path):
    (tmp_path / "friends.csv").write_text(FRIENDS)
    return functools.partial(run_command, cwd=tmp_path)


def text(rows, delimiter=","):
    return "".join(
        f"{delimiter.join(values)}\n" for values in [rows[0], *(r.values() for r in rows)]
    )


def flags(run, tmp_path, *words):
    ended = run("detect", *words, "-o", "out", *OPTIONS)
    assert ended.status == 0, ended.err
    return (tmp_path / "out").read_bytes()


CONTENTS = {
    "semicolons.csv": (text(ROWS, ";").encode(), ()),
    "bars.csv": (text(ROWS, "|").encode(), ()),
    "carets.csv": (text(ROWS, "^").encode(), ("--delimiter", "^")),
    "tabs.tsv": (text(ROWS, "\t").encode(), ()),
    "bom.csv": (b"\xef\xbb\xbf" + text(ROWS).encode(), ()),
    "crlf.csv": (text(ROWS).replace("\n", "\r\n").encode(), ()),
    "utf16.csv": (text(ROWS).encode("utf-16"), ("--encoding", "utf-16")),
    "compressed.csv.gz": (gzip.compress(text(ROWS).encode()), ()),
    "compressed.csv.bz2": (bz2.compress(text(ROWS).encode()), ()),
    "export.txt": (text(ROWS).encode(), ("--format", "csv")),
    "bare.csv": (
        text(ROWS).split("\n", 1)[1].encode(),
        ("--no-header", "--map", "user=1,amount=2,timestamp=3"),
    ),
    "objects.json": (json.dumps(ROWS).encode(), ()),
    "lines.jsonl": ("".join(f"{json.dumps(row)}\n" for row in ROWS).encode(), ()),
    "lines.jsonl.gz": (
        gzip.compress("".join(f"{json.dumps(r)}\n" for r in ROWS).encode()),
        (),
    ),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_texts(run, tmp_path, name):
    content, options = CONTENTS[name]
    (tmp_path / name).write_bytes(content)
    if "--encoding" in options:
        (tmp_path / "friends.csv").write_text(FRIENDS, encoding=options[1])
    assert flags(run, tmp_path, name, *options) == FLAG


def test_standard_input(run, tmp_path):
    ended = run(
        "detect", "-", "-o", "out", *OPTIONS, "--format", "csv", stdin=text(ROWS).encode()
    )
    assert ended.status == 0, ended.err
    assert (tmp_path / "out").read_bytes() == FLAG


def test_another_encoding(run, tmp_path):
    rows = [
        {**row, "customer_id": row["customer_id"].replace("bob", "b\xf6b")} for row in ROWS
    ]
    (tmp_path / "latin.csv").write_bytes(text(rows).encode("latin-1"))
    (tmp_path / "friends.csv").write_text("id1,id2\nann,b\xf6b\n", encoding="latin-1")
    expected = FLAG.replace(b"bob", "b\xf6b".encode())
    assert flags(run, tmp_path, "latin.csv", "--encoding", "latin-1") == expected
    ended = run("detect", "latin.csv", "-o", "out", *OPTIONS, "--rejects", "rejects")
    rejects = (tmp_path / "rejects").read_bytes()
    assert b"\t4\tinvalid_utf8\t" in rejects, ended.err


@pytest.mark.parametrize("name", ["parts", "parts/*.csv", "parts/**/*.csv"])
def test_several_files_are_one_table(run, tmp_path, name):
    (tmp_path / "parts").mkdir()
    for number, row in enumerate(ROWS):
        write_csv(tmp_path / "parts" / f"part-{number}.csv", [row])
    (tmp_path / "parts" / "_SUCCESS").write_text("")
    assert flags(run, tmp_path, name) == FLAG
    (tmp_path / "parts" / "part-2.csv").write_text("customer_id,total,paid_at\nann,x,y\n")
    ended = run("detect", name, "-o", "out", *OPTIONS)
    assert "parts/part-2.csv, row 1: bad_timestamp: column paid_at, timestamp: " in ended.err
    (tmp_path / "parts" / "part-3.csv").write_text("customer,total,paid_at\nann,1,y\n")
    ended = run("detect", name, "-o", "out", *OPTIONS)
    assert ended.status == 1
    assert "part-3.csv: has no column 'customer_id', as the first file has: " in ended.err


@pytest.mark.parametrize("size", [0, 1])
def test_files_without_columns_among_several(run, tmp_path, size):
    folder = tmp_path / "sales"
    folder.mkdir()
    for name in ("0.csv", "2.csv", "4.csv"):
        (folder / name).write_text("\n" * size)
    write_csv(folder / "1.csv", ROWS[:2])
    write_csv(folder / "3.csv", ROWS[2:])
    assert flags(run, tmp_path, "sales") == FLAG
    assert flags(run, tmp_path, "sales", "--split", "0.5") == FLAG
    (folder / "5.csv").write_text("customer_id,paid_at\n")
    ended = run("detect", "sales", "-o", "out", *OPTIONS)
    assert ended.status == 1
    assert "5.csv: has no column 'total', as the first file has: sales/1.csv" in ended.err


def test_two_tables_and_mixed_inputs(run, tmp_path):
    write_csv(tmp_path / "past.csv", ROWS[:2])
    write_parquet(tmp_path / "present.parquet", ROWS[2:])
    for words in (
        ["past.csv", "present.parquet", "out"],
        ["past.csv", "present.parquet", "-o", "out"],
    ):
        assert run("detect", *words, *OPTIONS).status == 0
        assert (tmp_path / "out").read_bytes() == FLAG
    lines = b'{"D":"2", "T":"50"}\n{"event_type":"befriend", "id1":"ann", "id2":"bob"}\n'
    (tmp_path / "log").write_bytes(lines)
    write_csv(tmp_path / "all.csv", ROWS)
    assert run("detect", "log", "all.csv", "out").status == 0
    assert (tmp_path / "out").read_bytes() == FLAG


AMOUNTS = {
    "$1,601.83": (["--currency"], "--currency"),
    "1601.83 EUR": (["--currency"], "--currency"),
    "1'601.83": (["--currency"], "--currency"),
    "1601,83": (["--decimal-comma"], "--decimal-comma"),
    "1.601,83 \u20ac": (["--currency", "--decimal-comma"], "--currency"),
}


@pytest.mark.parametrize("written", AMOUNTS)
def test_amounts_as_people_write_them(run, tmp_path, written):
    options, named = AMOUNTS[written]
    rows = [{**row, "total": row["total"].replace(".", ",")} for row in ROWS]
    rows = rows if "--decimal-comma" in options else ROWS
    write_csv(tmp_path / "sales.csv", [*rows[:3], {**rows[3], "total": written}])
    assert flags(run, tmp_path, "sales.csv", *options) == FLAG
    if "--decimal-comma" not in options or "." not in written:
        ended = run("detect", "sales.csv", "-o", "out", *OPTIONS)
        assert "column total, amount: " in ended.err
        assert f": {named} accepts that)" in ended.err


def test_a_point_is_not_taken_for_a_decimal_comma(run, tmp_path):
    write_csv(tmp_path / "sales.csv", [{**ROWS[0], "total": "1.234"}, *ROWS[1:]])
    ended = run("detect", "sales.csv", "-o", "out", *OPTIONS, "--decimal-comma")
    assert ended.status == 4
    why = "(has a point: with --decimal-comma it may only separate thousands)"
    assert f'sales.csv, row 1: bad_amount: column total, amount: "1.234" {why}' in ended.err


def test_rows_with_a_wrong_number_of_values(run, tmp_path):
    good = text(ROWS).splitlines()
    bad = [good[0], good[1], "a,b", *good[2:4], "", '"x\ny",1,2,3,4', good[4], "end"]
    (tmp_path / "sales.csv").write_text("\n".join(bad) + "\n")
    ended = run("detect", "sales.csv", "-o", "out", *OPTIONS, "--rejects", "rejects")
    assert ended.status == 0, ended.err
    assert (tmp_path / "out").read_bytes() == FLAG
    rejects = [line.split(b"\t") for line in (tmp_path / "rejects").read_bytes().splitlines()]
    assert [fields[1:3] for fields in rejects if len(fields) > 3] == [
        [b"2", b"bad_row"],
        [b"5", b"bad_row"],
        [b"7", b"bad_row"],
    ]
    assert "sales.csv, row 2: bad_row: " in ended.err
    strict = run("detect", "sales.csv", "-o", "out", *OPTIONS, "--strict")
    assert strict.status == 3
    assert "sales.csv, row 2: bad_row: " in strict.err


ERRORS = {
    "no file": (["no.csv"], "no.csv: No such file or directory"),
    "no match": (["x*.csv"], "x*.csv: no file matches"),
    "no kind": (
        ["friends"],
        "friends: the name does not tell what kind of table it is: give --format",
    ),
    "SQLite": (["shop.db"], "write sqlite:shop.db?table=NAME, or give --format, one of csv"),
    "DuckDB": (["a.duckdb"], "write duckdb:a.duckdb?table=NAME, or give --format, one of csv"),
    "no SQLite": (["sqlite:a.db?table=b"], "sqlite:a.db?table=b: no such file\n"),
    "SQLite, slashes": (
        ["sqlite:///a.db?table=b"],
        "no such file: write sqlite:a.db for a file in this folder",
    ),
    "not Parquet": (["x.parquet"], "x.parquet: not a Parquet file: "),
    "not Arrow": (["x.arrow"], "x.arrow: not an Arrow file: "),
    "not JSON": (["x.jsonl"], "x.jsonl: is neither objects nor an array of objects in JSON"),
    "UTF-16": (["utf16.csv"], "utf16.csv: is not text in UTF-8: give --encoding utf-16"),
    "ambiguous": (
        ["two.csv"],
        "two.csv: the amount may be total or price: say which, such as --map amount=total; "
        "its columns are user, total, price, date",
    ),
    "none": (
        ["none.csv"],
        "none.csv: no column looks like the amount: say which it is, with --map "
        "amount=COLUMN; its columns are user, date",
    ),
    "empty": (["empty.csv"], "empty.csv: is empty: it has no columns"),
    "no output": (
        ["sales.csv"],
        "no output; usage: fastanomaly detect BATCH STREAM OUT",
    ),
    "split": (["sales.csv", "--split", "soon"], "--split: 'soon' is neither a time such as"),
    "map": (["sales.csv", "--map", "usr=a"], "--map: 'usr' is no field, did you mean user?"),
    "form": (["sales.csv", "--map", "user"], "--map: 'user' is not FIELD=COLUMN"),
    "encoding": (["sales.csv", "--encoding", "x"], "--encoding: 'x' is not known"),
    "no stream": (
        ["sales.csv", "--encoding", "punycode"],
        "--encoding: 'punycode' is not an encoding of files",
    ),
    "no text": (["sales.csv", "--encoding", "rot13"], "--encoding: 'rot13' is not known"),
    "delimiter": (["sales.csv", "--delimiter", '"'], """--delimiter: '"' cannot be between"""),
    "folder": (["nothing"], "error: nothing: no table is in this folder"),
    "twice": (
        ["twice.csv"],
        "twice.csv: has more than one column 'amount', which is the amount",
    ),
    "driver": (["s3://b/x.csv"], "error: s3://b/x.csv: its driver is not installed: "),
    "both": (
        ["sqlite:x.db?table=t&query=q"],
        "error: sqlite:x.db?table=t&query=q: expected ?table=NAME or ?query=",
    ),
    "D and T": (["sales.csv"], "sales.csv: a table has no line of parameters: give -D and -T"),
    "overwriting": (["sales.csv"], "sales.csv: output would overwrite input log sales.csv"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(run, tmp_path, case):
    write_csv(tmp_path / "sales.csv", ROWS)
    for name in ("x.parquet", "x.arrow", "x.jsonl", "friends", "shop.db", "a.duckdb"):
        (tmp_path / name).write_text("something else")
    (tmp_path / "utf16.csv").write_bytes(text(ROWS).encode("utf-16"))
    (tmp_path / "two.csv").write_text("user,total,price,date\n")
    (tmp_path / "none.csv").write_text("user,date\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "twice.csv").write_text("user,amount,amount,timestamp\n")
    words, message = ERRORS[case]
    out = {"no output": [], "overwriting": ["-o", "sales.csv"]}.get(case, ["-o", "out"])
    options = [] if case == "D and T" else ["-D", "2", "-T", "50"]
    ended = run("detect", *words, *out, *options)
    assert ended.status == 2, ended.err
    assert message in ended.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("function", [detect, sweep, explain])
def test_frames_are_no_inputs(tmp_path, function):
    out = (tmp_path / "out",) if function is detect else ()
    more: dict[str, Any] = {"line": 1} if function is explain else {}
    more |= {"degrees": [2], "tracked": [5]} if function is sweep else {}
    frame = pa.table({"user": ["ann"]})
    for names, tables in (((frame, None), None), (("a.csv", None), Tables(friends=frame))):
        with pytest.raises(TypeError, match="got Table: frames go to "):
            function(*names, *out, tables=tables, **more)


def test_friends_may_be_a_path(tmp_path):
    write_csv(tmp_path / "sales.csv", ROWS)
    (tmp_path / "friends.csv").write_text("user,friend\nann,bob\n")
    tables = Tables(friends=tmp_path / "friends.csv")
    paths = tmp_path / "sales.csv", None, tmp_path / "out"
    assert detect(*paths, degree=2, tracked=50, tables=tables).befriends == 1


def test_an_explanation_names_the_row(run, tmp_path):
    write_csv(tmp_path / "sales.csv", ROWS)
    ended = run("explain", "sales.csv", "--flag", "1", *OPTIONS)
    assert b" (sales.csv, row 4): flagged\n" in ended.out


def test_a_quote_that_is_not_closed(run, tmp_path):
    more = 'ann,"1.00,2017-06-13 11:33:09\n' + "ann,1.00,2017-06-13 11:33:09\n" * 80_000
    (tmp_path / "sales.csv").write_text(text(ROWS) + more)
    ended = run("detect", "sales.csv", "-o", "out", *OPTIONS)
    assert ended.status == 1
    assert "an opening quote has no closing one" in ended.err


def test_friendships_whose_kind_the_name_does_not_tell(run, tmp_path):
    write_csv(tmp_path / "sales.csv", ROWS)
    words = ("detect", "sales.csv", "-o", "out", "-D2", "-T2", "--friends", "friends")
    for options in ((), ("--format", "csv")):
        ended = run(*words, *options)
        assert ended.status == 2
        assert "error: friends: friendships must be in a database or in files" in ended.err


REFUSED = {
    "out.csv.bz2": "outputs are written as plain text, not compressed",
    "s3://bucket/out.csv": "outputs are files or tables in databases, not URLs",
    "out.TSV": "flags are not written as .TSV: use .csv, .parquet or .arrow for a table",
    "out.arrows": "flags are not written as .arrows: ",
    "flags.db": "flags are not written as a file of this kind: use "
    "sqlite:flags.db?table=flags for a table in a database",
    "flags.sqlite": "flags are not written as a file of this kind: use sqlite:flags.sqlite?",
    "Flags.SQLITE3": "flags are not written as a file of this kind: use sqlite:Flags.SQLITE3?",
    "flags.duckdb": "flags are not written as a file of this kind: use duckdb:flags.duckdb?",
}


@pytest.mark.parametrize("out", REFUSED)
def test_outputs_that_would_not_be_what_their_names_say(run, tmp_path, out):
    write_csv(tmp_path / "sales.csv", ROWS)
    before = sorted(tmp_path.iterdir())
    ended = run("detect", "sales.csv", "-o", out, *OPTIONS)
    assert ended.status == 2
    assert f"error: {out}: {REFUSED[out]}" in ended.err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("out", "start"), [("out.pq", b"PAR1"), ("out.ipc", b"ARROW1"), ("out.txt", b"{")]
)
def test_suffixes_of_outputs(run, tmp_path, out, start):
    write_csv(tmp_path / "sales.csv", ROWS)
    assert run("detect", "sales.csv", "-o", out, *OPTIONS).status == 0
    assert (tmp_path / out).read_bytes().startswith(start)


LEFT_OPEN = {
    "in the last column": 'ann,1.00,2017-06-13 11:33:08,"a\n',
    "in another column": 'ann,1.00,"2017-06-13 11:33:08,a\n',
    "at the end": 'ann,1.00,2017-06-13 11:33:08,"',
}


@pytest.mark.parametrize("place", LEFT_OPEN)
def test_a_quote_that_is_not_closed_near_the_end(run, tmp_path, place):
    """The rows after it are not taken for the value of one column."""
    rows = [row | {"note": '5"'} for row in ROWS]
    rest = "bob,1.00,2017-06-13 11:33:09,b\n" * (place != "at the end")
    (tmp_path / "sales.csv").write_text(text(rows) + LEFT_OPEN[place] + rest)
    ended = run("detect", "sales.csv", "-o", "out", *OPTIONS)
    assert ended.status == 1
    assert "sales.csv, after row 4: an opening quote has no closing one" in ended.err
    assert (tmp_path / "out").read_bytes() == FLAG


def test_rows_that_are_not_utf_8(run, tmp_path):
    """Whatever their number of values, they are rejected with the bytes of the file."""
    stray = b"\xff", b"\xc3", b"\xf4\x8f\xbe\x80\xff", b"\xe4\xb8"
    bad = [b"%b,1.00" % one for one in stray]
    bad += [b"%b,1.00,2017-06-13 11:33:00" % one for one in stray]
    head, *rows = text(ROWS).encode().splitlines()
    good = b"\xf4\x8f\xbe\x80,1.00,2017-06-13 11:33:01"
    (tmp_path / "sales.csv").write_bytes(b"\n".join([head, good, *bad, *rows, stray[0]]))
    ended = run("detect", "sales.csv", "-o", "out", *OPTIONS, "--rejects", "rejects")
    assert ended.status == 0, ended.err
    assert (tmp_path / "out").read_bytes() == FLAG
    rejects = [line.split(b"\t") for line in (tmp_path / "rejects").read_bytes().splitlines()]
    reasons = [b"bad_row"] * 4 + [b"invalid_utf8"] * 4 + [b"bad_row"]
    assert [fields[2] for fields in rejects] == reasons
    assert [int(fields[1]) for fields in rejects] == [*range(2, 10), 14]
    assert [fields[4] for fields in rejects[:4]] == bad[:4]
    assert all(b'"id":"%b"' % one in r[4] for one, r in zip(stray, rejects[4:], strict=False))
    assert rejects[8][4] == stray[0]


@pytest.mark.parametrize(
    ("name", "wrong", "row"),
    [
        ("rows.jsonl", b"\xf6 ", 0),
        ("rows.jsonl", b"\x81", 4),  # the first byte of two, at the end
        ("rows.json", b"\xf6 ", 0),
        ("rows.json", b"\x81", 3),
    ],
)
def test_objects_that_are_not_in_their_encoding(run, tmp_path, name, wrong, row):
    lines = [json.dumps(row) for row in ROWS]
    content = "\n".join(lines) + "\n" if name.endswith("l") else f"[{','.join(lines)}]"
    (tmp_path / name).write_bytes(content.replace("]", "").encode() + wrong)
    ended = run("detect", name, "-o", "out", *OPTIONS, "--encoding", "shift_jis")
    assert ended.status == 1
    assert f"error: {name}, after row {row}: 'shift_jis' codec can't decode" in ended.err


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_header_alone_is_a_table_without_rows(run, tmp_path, end):
    (tmp_path / "sales.csv").write_text(f"user,amount,timestamp{end}", newline="")
    assert flags(run, tmp_path, "sales.csv") == b""


@pytest.mark.parametrize("missing", ["pyarrow", "fsspec"])
def test_without_the_library_the_command_to_install_it_is_named(tmp_path, missing):
    write_csv(tmp_path / "sales.csv", ROWS)
    name = "sales.csv" if missing == "pyarrow" else "memory://sales.csv"
    extra = "tables" if missing == "pyarrow" else "remote"
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from fastanomaly.cli.main import main\n"
        f"sys.exit(main(['detect', {name!r}, '-o', 'out', '-D2', '-T2']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    install = f"install it with: {sys.executable} -m pip install 'fastanomaly[{extra}]'\n"
    assert done.stderr.endswith(install)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Writes nothing on standard error."""

    def log_message(self, *_):
        """Write nothing."""


@pytest.fixture
def server(tmp_path):
    """Serve the folder of the test; yields the address."""
    handler = functools.partial(Handler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["sales.csv", "sales.csv.gz", "sales.jsonl"])
def test_a_url(run, tmp_path, server, name):
    content = text(ROWS).encode()
    if name.endswith("gz"):
        content = gzip.compress(content)
    if name.endswith("jsonl"):
        content = "".join(f"{json.dumps(row)}\n" for row in ROWS).encode()
    (tmp_path / name).write_bytes(content)
    assert flags(run, tmp_path, f"{server}/{name}") == FLAG
    ended = run("detect", f"{server}/other.csv", "-o", "out", *OPTIONS)
    assert ended.status == 2
    assert f"{server}/other.csv: " in ended.err


def test_a_missing_driver_is_named(run):
    ended = run("detect", "s3://bucket/sales.csv", "-o", "out", *OPTIONS)
    assert ended.status == 2
    assert "s3://bucket/sales.csv: " in ended.err
    assert re.search("its driver is not installed: .*s3fs", ended.err)


@pytest.mark.parametrize("every", ["1", "2"])
@pytest.mark.parametrize("name", ["sales.csv", "sales.parquet"])
def test_a_run_resumes_where_it_was_stopped(run, tmp_path, name, every):
    """A run that was killed after a checkpoint goes on there, to the same flags."""
    rows = [{**row, "customer_id": f"{row['customer_id']}"} for row in ROWS * 5]
    (write_csv if name.endswith("csv") else write_parquet)(tmp_path / name, rows)
    friends = "a,b,since,until\nann,bob,2017-06-13 11:33:02,\nann,cho,,2017-06-13 11:33:01\n"
    (tmp_path / "friends.csv").write_text(friends)
    whole = run("detect", name, "-o", "whole", *OPTIONS, "--split", "6")
    assert whole.status == 0, whole.err
    kept = ("--checkpoint", "kept", "--every", every)
    killed = run_killed(tmp_path, name, *kept)
    assert killed == 9
    ended = run("detect", name, "-o", "out", *OPTIONS, "--split", "6", *kept)
    assert ended.status == 0, ended.err
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes() != b""
    other = run("detect", name, "-o", "out", *OPTIONS, "--split", "7", *kept)
    assert other.status == 2
    assert "holds a checkpoint of another job: tables was" in other.err


def run_killed(folder, name, *words):
    """Kill a run after some checkpoints; return the signal."""
    code = (
        "import os, sys\n"
        "from fastanomaly.runs.checkpoints.forked import ForkedCheckpoints as Checkpoints\n"
        "begin, count = Checkpoints.begin, []\n"
        "def begin_and_die(self, *args):\n"
        "    begin(self, *args)\n"
        "    self.wait()\n"
        "    count.append(1)\n"
        "    if len(count) == 8 // int(sys.argv[-1]):\n"
        "        os.kill(os.getpid(), 9)\n"
        "Checkpoints.begin = begin_and_die\n"
        "from fastanomaly.cli.main import main\n"
        "main()\n"
    )
    arguments = ["detect", name, "-o", "out", *OPTIONS, "--split", "6", *words]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, check=False, timeout=PATIENCE
    )
    return -done.returncode


def write_large(path, rows):
    """Write a table of CSV in pieces."""
    schema = pa.schema([(name, pa.string()) for name in (*ROWS[0], "note")])
    with pyarrow.csv.CSVWriter(str(path), schema) as file:
        for start in range(0, rows, 50_000):
            numbers = range(start, start + 50_000)
            columns = [
                [str(number % 500) for number in numbers],
                [f"{number * 7919 % 100003}.25" for number in numbers],
                [
                    f"2017-06-{1 + number // 86400:02} 11:33:{number % 60:02}"
                    for number in numbers
                ],
                [f"note {number * 104729:x}" for number in numbers],
            ]
            file.write_table(pa.table(columns, schema=schema))


def limit_addresses(limit):
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


@pytest.mark.skipif(SANITIZED, reason="a sanitizer needs terabytes of addresses")
def test_a_limit_of_memory_is_an_error_or_enough(tmp_path):
    write_large(tmp_path / "sales.csv", 200_000)
    words = (*COMMAND, "detect", "sales.csv", "-o", "out", "-D", "2", "-T", "5", "-q")
    for limit in (250_000_000, 400_000_000, 4_000_000_000):
        done = subprocess.run(
            words,
            cwd=tmp_path,
            preexec_fn=functools.partial(limit_addresses, limit),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
