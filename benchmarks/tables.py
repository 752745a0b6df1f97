"""Measure reading files and databases into a detector, compared with lines: history only.

Run it as `python benchmarks/tables.py`; it prints a Markdown table on standard output: the
processor time of a row with one thread, the rows a second on one core, and how many times as
fast as newline-delimited JSON that is. Each run opens its input, reads all simulated events
and applies them, as `detect` does. Runs are interleaved in rounds, so that other work on the
machine affects all inputs alike, and the best round of each counts. All runs must have the
same counts. The processor time of the server of PostgreSQL is shown, too.
"""

import argparse
import csv
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import duckdb
import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # when run as a script
sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "tests"))

from postgres import Server

from benchmarks.report import conditions, positive, progress, table
from fastanomaly import Simulation, Summary, Tables, detect, simulate

LINES = "newline-delimited JSON"
FILES = {
    LINES: "events.json",
    "CSV": "events.csv",
    "Parquet": "events.parquet",
    "Arrow": "events.arrow",
}
COLUMNS = ("event_type", "timestamp", "user", "friend", "amount")


class Spent(NamedTuple):
    """Processor time in seconds: of this process, and of a server."""

    here: float
    server: float


def fill_duckdb(folder: Path) -> None:
    """Make a database of the events."""
    with duckdb.connect(str(folder / "events.duckdb")) as shop:
        events = folder / FILES["Parquet"]
        shop.execute(f"CREATE TABLE events AS SELECT * FROM '{events}'")


def fill_sqlite(folder: Path) -> None:
    """Make a database of the events; SQLite has no times and no decimals, so texts."""
    with closing(sqlite3.connect(folder / "events.sqlite")) as shop, shop:
        types = ", ".join(f"{name} TEXT" for name in COLUMNS)
        shop.execute(f"CREATE TABLE events ({types})")
        with open(folder / FILES["CSV"], newline="") as file:
            rows = csv.reader(file)
            next(rows)
            values = ([value or None for value in row] for row in rows)
            shop.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", values)


def fill_postgresql(folder: Path, url: str) -> None:
    """Make a table of the events."""
    with psycopg.connect(url, options="-c timezone=UTC") as shop, shop.cursor() as cursor:
        cursor.execute(
            'CREATE TABLE events (event_type text, timestamp timestamptz, "user" text, '
            "friend text, amount numeric(18, 2))"
        )
        into = cursor.copy("COPY events FROM STDIN (FORMAT csv, HEADER)")
        with into as copy, open(folder / FILES["CSV"], "rb") as file:
            while piece := file.read(1 << 20):
                copy.write(piece)
    with psycopg.connect(url, autocommit=True) as shop:
        shop.execute("VACUUM ANALYZE events")  # not a part of the first run


@contextmanager
def inputs(folder: Path, simulation: Simulation) -> Iterator[tuple[dict[str, str], Server]]:
    """Make the same events as inputs of all kinds; yield their names, and the server."""
    for name in FILES.values():
        progress(f"writing {name}")
        simulate(folder / name, None, simulation)
    with closing(Server()) as server:
        progress("filling the databases")
        fill_duckdb(folder)
        fill_sqlite(folder)
        fill_postgresql(folder, server.url())
        names = {kind: str(folder / name) for kind, name in FILES.items()}
        names["DuckDB"] = f"duckdb:{folder}/events.duckdb?table=events"
        names["SQLite"] = f"sqlite:{folder}/events.sqlite?table=events"
        names["PostgreSQL"] = server.url("table=events")
        yield names, server


def served_seconds(server: Server) -> float:
    """Return how long the processes have run that served connections and have ended."""
    time.sleep(0.1)  # until the server has noticed their end
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def run(kind: str, name: str, rows: int, folder: Path) -> Summary:
    """Read an input as history; return the summary."""
    out = folder / "flags"
    if kind == LINES:
        return detect(name, os.devnull, out, degree=2, tracked=50, threads=1)
    tables = Tables(split=rows)
    return detect(name, None, out, degree=2, tracked=50, threads=1, tables=tables)


def measure(simulation: Simulation, repeat: int) -> dict[str, Spent]:
    """Return the best processor time for each input."""
    best: dict[str, Spent] = {}
    found = set()
    with (
        tempfile.TemporaryDirectory() as name,
        inputs(Path(name), simulation) as (names, server),
    ):
        for number in range(repeat):
            for kind, path in names.items():
                before, start = served_seconds(server), time.process_time()
                done = run(kind, path, simulation.batch_events, Path(name))
                here = time.process_time() - start
                spent = Spent(here, served_seconds(server) - before)
                best[kind] = min(best.get(kind, spent), spent)
                found.add((done.purchases, done.befriends, done.unfriends, done.users))
                progress(f"round {number + 1}: {kind}: {spent.here:.2f} s")
    if len(found) != 1 or sum(next(iter(found))[:3]) != simulation.batch_events:
        raise SystemExit(f"the inputs differ: {found}")
    return best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=positive, default=2_000_000)
    parser.add_argument("--users", type=positive, default=100_000)
    parser.add_argument("--repeat", type=positive, default=3)
    args = parser.parse_args()
    best = measure(
        Simulation(users=args.users, batch_events=args.events, stream_events=0), args.repeat
    )
    rows = [
        [
            kind,
            f"{spent.here / args.events * 1e9:,.0f}",
            f"{args.events / spent.here / 1e6:.1f}",
            f"{best[LINES].here / spent.here:.2f}",
            f"{spent.server / args.events * 1e9:,.0f}" if kind == "PostgreSQL" else "",
        ]
        for kind, spent in best.items()
    ]
    heads = [
        "input",
        "ns a row",
        "million rows/s",
        "times as fast as lines",
        "ns in the server",
    ]
    packages = ["fastanomaly", "pyarrow", "duckdb", "psycopg"]
    print(f"{args.events:,} events, {args.users:,} users. {conditions(packages)}\n")
    print(table([heads, *rows], range(1, 5)))


if __name__ == "__main__":
    main()
