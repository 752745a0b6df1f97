"""fastanomaly report: the file and wrong use."""

import base64
import json
import os
import re
import zlib

import pytest
from cli.wronguse import check_refused
from lines import befriend, purchase

from fastanomaly import sweep
from fastanomaly.errors import LogReadError

pytest.importorskip("plotly", reason="a report needs the extra report")
from fastanomaly.reports.build import report

LOGS = ("report", "batch.json", "stream.json", "-o", "report.html")


def test_the_published_example(folder, run):
    ended = run(*LOGS, "--title", "Odd & unusual")
    assert (ended.status, ended.out) == (0, b"")
    assert ended.err == "fastanomaly: wrote report.html\n"
    page = (folder / "report.html").read_text()
    assert "<h1>Odd &amp; unusual</h1>" in page
    assert "stream.json after batch.json, at D = 3, T = 50, k = 3" in page
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    columns = {column["name"]: column["values"] for column in data["columns"]}
    assert columns == {
        "line": ["1"],
        "time": ["2017-06-13 11:33:02"],
        "user": ["2"],
        "amount": ["1601.83"],
        "mean": ["29.10"],
        "sd": ["21.46"],
        "threshold": ["93.49"],
        "above": ["1508.34"],
        "purchases": ["3"],
    }
    assert set(data["figures"]) == {"time", "amounts", "settings", "networks"}
    assert data["figures"]["settings"]["data"][0]["z"] == [[1] * 5] * 6
    chunk = re.search(r'id="chunk0">(.*?)</script>', page)[1]
    (why,) = json.loads(zlib.decompress(base64.b64decode(chunk)))
    assert why["amounts"] == [11.2, 59.28, 16.83]
    assert why["decisive"] == [0, 2]
    assert (why["mean"], why["threshold"], why["amount"]) == (29.10, 93.488003, 1601.83)
    assert "removing the 2 purchases marked * clears the flag" in why["html"]


def test_the_places_in_a_table_are_rows(folder, run):
    sales = "user,amount,timestamp\n"
    for second, amount in enumerate(("1", "2", "1", "99", "-5")):
        sales += f"{'bob' if amount == '99' else 'ann'},{amount},2017-06-13 11:33:0{second}\n"
    (folder / "sales.csv").write_text(sales)
    (folder / "friends.csv").write_text("user,friend\nann,bob\n")
    options = ("--friends", "friends.csv", "-D", "2", "-T", "50", "-o", "report.html")
    assert run("report", "sales.csv", *options).status == 0
    page = (folder / "report.html").read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    assert (data["columns"][0]["title"], data["columns"][0]["values"]) == ("row", ["4"])
    assert data["figures"]["amounts"]["data"][0]["text"] == ["row 4"]
    assert data["figures"]["time"]["layout"]["xaxis"]["title"]["text"] == "row"
    assert 'placeholder="user, row, time, amount"' in page
    assert "<dt>Rejected rows</dt><dd>1</dd>" in page
    assert ">Rows that are not valid events" in page


def test_own_and_other_settings(folder, run):
    ended = run(*LOGS, "-D", "2", "-T", "7", "--degrees", "4", "--other-tracked", "2,9")
    assert ended.status == 0, ended.err
    page = (folder / "report.html").read_text()
    heat = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])["figures"]["settings"]
    assert heat["data"][0]["x"] == ["T = 2", "T = 7", "T = 9"]
    assert heat["data"][0]["y"] == ["D = 2", "D = 4"]
    outline = heat["layout"]["shapes"][0]
    assert (outline["x0"], outline["x1"], outline["y0"], outline["y1"]) == (
        0.5,
        1.5,
        -0.5,
        0.5,
    )
    assert "<td>1 (this run)</td>" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-D", "0"), "D: '0'"),
        (("-k", "x"), "sigmas: 'x'"),
        (("--degrees", "6-1"), "--degrees: the range '6-1' is backwards"),
        (("-o", "stream.json"), "log stream.json"),
        (("--max-line", "0"), "--max-line: 0"),
    ],
)
def test_wrong_use(folder, run, options, message):
    check_refused(folder, run, [*LOGS, *options], message)


def test_logs_that_cannot_be_read_again(folder, run):
    ended = run("report", "-", "stream.json", "-o", "report.html", stdin=b"")
    assert (ended.status, "reads the logs more than once" in ended.err) == (2, True)


def test_a_log_that_is_not_there(run):
    ended = run(*LOGS)
    assert (ended.status, "batch.json: " in ended.err) == (2, True)


def test_an_output_that_cannot_be_written(folder, run):
    ended = run(*LOGS[:-1], "no/such/folder/report.html")
    assert (ended.status, "no/such/folder/report.html: No such file" in ended.err) == (1, True)


def test_amounts_of_zero_and_the_largest_parameters(folder, run):
    """A threshold of 0 cannot be on a logarithmic axis; D beyond the graph costs nothing."""
    batch = [befriend("b", "f"), *(purchase("f", 0) for _ in range(3))]
    (folder / "batch.json").write_bytes(b"".join(batch))
    (folder / "stream.json").write_bytes(purchase("b", "0.01") + purchase("b", "0"))
    ended = run(*LOGS, "-D", "2147483647", "-T", "2147483647")
    assert (ended.status, ended.err) == (0, "fastanomaly: wrote report.html\n")
    page = (folder / "report.html").read_text()
    figures = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])["figures"]
    assert figures["amounts"]["layout"]["xaxis"]["type"] == "linear"
    assert figures["settings"]["data"][0]["y"][-1] == "D = 2147483647"
    assert figures["networks"]["data"][0]["median"] == [1] * 6


@pytest.mark.parametrize("log", ["batch.json", "stream.json"])
@pytest.mark.parametrize(
    "command", [("report", "-o", "report.html"), ("explain", "--flag", "1")], ids=str
)
def test_a_pipe_is_refused(folder, run, log, command):
    """A pipe can be read only once."""
    (folder / log).unlink()
    os.mkfifo(folder / log)
    name, *options = command
    ended = run(name, "batch.json", "stream.json", *options)
    assert (ended.status, f"{log}: " in ended.err) == (2, True)
    assert "reads the logs more than once" in ended.err


@pytest.mark.parametrize(
    "change",
    [
        lambda log: log.write_bytes(purchase("2", "1.15")),
        lambda log: log.write_bytes(b""),
        lambda log: log.write_bytes(log.read_bytes() + befriend("8", "9")),
        lambda log: log.unlink(),
    ],
    ids=["replaced", "emptied", "longer", "deleted"],
)
@pytest.mark.parametrize("log", ["batch.json", "stream.json"])
def test_a_log_that_changes_while_it_is_read(folder, monkeypatch, log, change):
    def sweep_and_change(*args, **options):
        result = sweep(*args, **options)
        change(folder / log)
        return result

    monkeypatch.setattr("fastanomaly.reports.build.sweep", sweep_and_change)
    with pytest.raises(LogReadError, match=f"{log}: the log changed while"):
        report(folder / "batch.json", folder / "stream.json")


@pytest.mark.parametrize(
    ("times", "axis"),
    [
        ([f"11:33:01.{i:06}" for i in range(12)], "line of the stream log"),
        ([f"11:33:{i:02}" for i in range(12)], "time"),
        (["11:33:01"] * 12, "line of the stream log"),
    ],
)
def test_flags_by_time_where_time_has_a_scale(folder, run, times, axis):
    lines = [purchase("2", 10_000, f"2017-06-13 {time}") for time in times]
    (folder / "stream.json").write_bytes(b"".join(lines))
    assert run(*LOGS).status == 0
    page = (folder / "report.html").read_text()
    figures = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])["figures"]
    assert figures["time"]["layout"]["xaxis"]["title"]["text"] == axis
    assert sum(figures["time"]["data"][0]["y"]) == 12
