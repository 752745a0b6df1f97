"""fastanomaly explain: text, JSON, pictures and wrong use."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from cli.commandline import NO_STDOUT
from cli.wronguse import check_refused
from lines import befriend, purchase

from fastanomaly import UsageError, explain
from fastanomaly.cli.options import list_text, whole_numbers
from fastanomaly.rules.parameters import OTHER_DEGREES, OTHER_TRACKED

LOGS = ("explain", "batch.json", "stream.json")
TEXT = """\
user 2 spent 1601.83 at 2017-06-13 11:33:02 (stream.json, line 1): flagged
D = 3, T = 50, k = 3: 1 user in the network (1 at degree 1), 3 purchases to compare with
mean 29.10, sd 21.46, threshold 93.488003: the amount is 1508.341997 above the threshold
removing the 2 purchases marked * clears the flag; no smaller set does

compared with, newest first:
   degree  timestamp            amount  path
*       1  2017-06-13 11:33:01   11.20  2 - 1
        1  2017-06-13 11:33:01   59.28  2 - 1
*       1  2017-06-13 11:33:01   16.83  2 - 1

at other settings:
        T = 10   T = 50
D = 1  flagged  flagged
D = 3  flagged  flagged
"""


def test_the_published_example(folder, run):
    for which in (("--line", "1"), ("--flag", "1")):
        ended = run(*LOGS, *which, "--degrees", "1", "--other-tracked", "10")
        assert (ended.status, ended.out.decode(), ended.err) == (0, TEXT, "")


def test_the_function(folder):
    paths = folder / "batch.json", folder / "stream.json"
    found = explain(*paths, line=1, degree="2", tracked=7, sigmas="2.5")
    assert (found.log, found.line, found.amount_units) == (str(paths[1]), 1, 1_601_830_000)
    assert (found.verdict.degree, found.verdict.tracked, found.sigmas) == (2, 7, (5, 2))
    assert explain(*paths, flag=1, degree=2, tracked=7, sigmas=2.5) == found
    choices: list[dict[str, Any]] = [{}, {"line": 1, "flag": 1}]
    for wrong in choices:
        with pytest.raises(UsageError, match="explain: give exactly one of line and flag"):
            explain(*paths, **wrong)
    with pytest.raises(UsageError, match="line: must be 1 or more, got 0"):
        explain(Path("none"), Path("none"), line=0)


def test_lists_of_numbers():
    assert list_text(OTHER_DEGREES) == "1-6"
    assert list_text(OTHER_TRACKED) == "10,20,50,100,200"
    assert list_text([1, 2, 4, 5, 6, 9]) == "1,2,4-6,9"
    assert whole_numbers("--degrees", "1, 2,4 - 6,9") == [1, 2, 4, 5, 6, 9]


def test_json(folder, run):
    ended = run(*LOGS, "--line", "1", "--json")
    found = json.loads(ended.out)
    assert found["anomalous"] is True
    assert (found["mean"], found["sd"], found["threshold"]) == ("29.10", "21.46", "93.488003")
    assert [purchase["decisive"] for purchase in found["baseline"]] == [True, False, True]
    assert found["baseline"][0]["path"] == ["2", "1"]
    assert len(found["others"]) == 6 * 5


@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
def test_a_picture(folder, run, form):
    pytest.importorskip("matplotlib", reason="pictures need the extra picture")
    ended = run(*LOGS, "--line", "1", "--picture", f"why.{form}")
    assert ended.status == 0, ended.err
    picture = (folder / f"why.{form}").read_bytes()
    assert picture.startswith({"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[form])


def test_a_purchase_that_is_not_flagged(folder, run):
    with (folder / "stream.json").open("ab") as stream:
        stream.write(purchase("3", "5", "2017-06-13 11:33:03").replace(b"\n", b"\r\n"))
    ended = run(*LOGS, "--line", "2")
    assert ended.status == 0
    assert ended.out.decode().startswith(
        "user 3 spent 5.00 at 2017-06-13 11:33:03 (stream.json, line 2): not flagged\n"
        "D = 3, T = 50, k = 3: 0 users in the network, 0 purchases to compare with\n"
        "no verdict: fewer than two purchases to compare with\n"
    )


def test_a_flag_that_one_purchase_decides(folder, run):
    lines = [befriend("2", "1"), *(purchase("1", amount) for amount in (10, 12))]
    (folder / "batch.json").write_bytes(b"".join(lines))
    ended = run(*LOGS, "--line", "1", "-D", "1", "-T", "5")
    assert "removing the purchase marked * clears the flag\n" in ended.out.decode()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--line", "2"), "stream.json: has no line 2"),
        (("--line", "0"), "line: must be 1 or more, got 0"),
        (("--flag", "2"), "stream.json: no flag 2: only 1 purchase was flagged"),
        (("--flag", "0"), "flag: must be 1 or more, got 0"),
        (("--line", "1", "-D", "0"), "D: "),
        (("--line", "1", "--degrees", "x"), "--degrees: expected numbers up to"),
        (("--line", "1", "--other-tracked", "1"), "T: 1"),
        (("--line", "1", "--picture", "why.xyz"), "why.xyz: matplotlib does not know"),
        (("--line", "1", "--picture", "batch.json"), "log batch.json"),
        (("--line", "1", "--flag", "1"), "not allowed with"),
        ((), "one of the arguments --line --flag is required"),
    ],
)
def test_wrong_use(folder, run, options, message):
    check_refused(folder, run, [*LOGS, *options], message)


def test_standard_input(folder, run):
    batch = (folder / "batch.json").read_bytes()
    ended = run("explain", "-", "stream.json", "--line", "1", stdin=batch)
    assert (ended.status, b"flagged" in ended.out) == (0, True)
    ended = run("explain", "-", "stream.json", "--flag", "1", stdin=batch)
    assert ended.status == 2
    assert "-: explaining a flag reads the logs more than once" in ended.err


def test_a_line_without_a_purchase(folder, run):
    (folder / "stream.json").write_bytes(b"garbage\n")
    ended = run(*LOGS, "--line", "1")
    assert (ended.status, "rejected: stream.json, line 1: not_json: " in ended.err) == (
        2,
        True,
    )


EVIL = r"\u001b[31m\r\nred\u0007\u202e\ufffe"


def evil_logs(folder, name=EVIL):
    """Write a batch log in which a friend of the buyer has an id of control characters."""
    lines = [befriend("2", name), *(purchase(name, amount) for amount in (10, 11, 12))]
    (folder / "batch.json").write_bytes(b"".join(lines))


def test_ids_cannot_control_a_terminal(folder, run):
    evil_logs(folder)
    ended = run(*LOGS, "--line", "1", "-D", "1", "-T", "5")
    assert ended.status == 0
    text = ended.out.decode()
    assert text.replace("\n", "").isprintable()
    assert r"2 - \x1b[31m\r\nred\x07\u202e\ufffe" in text
    ended = run(*LOGS, "--line", "1", "-D", "1", "-T", "5", "--json")
    assert json.loads(ended.out)["baseline"][0]["user"] == json.loads(f'"{EVIL}"')


def test_a_picture_of_such_ids(folder, run):
    pytest.importorskip("matplotlib", reason="pictures need the extra picture")
    evil_logs(folder)
    ended = run(*LOGS, "--line", "1", "-D", "1", "-T", "5", "--picture", "why.svg")
    assert ended.status == 0, ended.err
    ElementTree.parse(folder / "why.svg")
    ended = run(*LOGS, "--line", "1", "-D1", "-T5", "--picture", "no folder/why.svg")
    assert (ended.status, "no folder/why.svg: No such file" in ended.err) == (1, True)


def test_an_output_with_fewer_characters(folder, run):
    evil_logs(folder, "\u65e5\u672c")
    under = ("env", "PYTHONIOENCODING=ascii")
    ended = run(*LOGS, "--line", "1", "-D", "1", "-T", "5", under=under)
    assert (ended.status, rb"2 - \u65e5\u672c" in ended.out) == (0, True)


@pytest.mark.parametrize("command", ["explain", "sweep"])
def test_a_closed_or_full_standard_output(folder, run, command):
    grid = ("--line", "1") if command == "explain" else ("-D", "1", "-T", "2")
    ended = run(command, *LOGS[1:], *grid, under=NO_STDOUT)
    assert (ended.status, "standard output is closed" in ended.err) == (1, True)
    with open("/dev/full", "wb") as full:
        ended = run(command, *LOGS[1:], *grid, stdout=full)
    assert (ended.status, "-: No space left on device" in ended.err) == (1, True)
