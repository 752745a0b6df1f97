"""The commands and the code of docs/databases.md do what the page says."""

import re
import subprocess
import sys
from contextlib import closing

import duckdb
import pytest
from checkout import ROOT
from cli.commandline import PATIENCE
from databases import Place

PAGE = ROOT / "docs" / "databases.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="not in a checkout: no docs/")
SQLITE3 = (
    f"{sys.executable} -c 'import sqlite3, sys; "
    "rows = sqlite3.connect(sys.argv[1]).execute(sys.argv[2]); "
    'print("\\n".join("|".join(map(str, row)) for row in rows))\''
)


def code(title):
    [found] = re.findall(rf'```python title="{title}"\n(.*?)```', PAGE.read_text(), re.DOTALL)
    return found


def run(command, folder):
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return done.stdout + done.stderr


def test_the_commands(tmp_path):
    make = code("make.py")
    in_duckdb = make.replace("sqlite3", "duckdb").replace("shop.db", "shop.duckdb")
    for program in (make, in_duckdb):
        assert run([sys.executable, "-c", program], tmp_path) == ""
    consoles = re.findall(r"```console\n(.*?)```", PAGE.read_text(), re.DOTALL)
    written = ""
    for line in "".join(consoles).splitlines():
        if line.startswith("$ "):
            command = line.removeprefix("$ ")
            command = command.replace("fastanomaly", f"{sys.executable} -m fastanomaly", 1)
            command = re.sub("^sqlite3 ", lambda _: f"{SQLITE3} ", command)
            written += f"{line}\n{run(['sh', '-c', command], tmp_path)}"
    assert written == "".join(consoles)
    assert (tmp_path / "flags.csv").exists()
    with closing(duckdb.connect(tmp_path / "flags.duckdb")) as flags:
        found = flags.sql('SELECT "user", amount::TEXT, mean::TEXT FROM flags').fetchall()
    assert found == [("bob", "1601.830000", "29.10")]


def test_the_code(tmp_path, request):
    place = Place("postgresql", tmp_path, request)
    place.execute(
        "CREATE TABLE sales (customer_id text, total numeric, paid_at timestamptz)",
        "CREATE TABLE friends (a text, b text)",
        "INSERT INTO friends VALUES ('ann', 'bob')",
        "INSERT INTO sales SELECT 'ann', 10 + n % 3, now() FROM generate_series(1, 20) n",
        "INSERT INTO sales VALUES ('bob', 99.5, now())",
    )
    lines = code("postgres.py")
    assert len(lines.partition("\n\n")[2].splitlines()) <= 3  # besides the import
    name = place.name("table={}")
    lines = lines.replace("postgresql://localhost/shop?table={}", name)
    assert run([sys.executable, "-c", lines], tmp_path) == ""
    assert [row[:1] + row[2:3] for row in place.flags()] == [("bob", "99.50")]
