"""Help with and without a command, suggestions, and readers that go away."""

import os

import pytest
from cli.commandline import BATCH, STREAM

LOGS = ("batch.json", "stream.json")
COMMANDS = ["detect", "sweep", "explain", "report", "simulate", "plan"]


def test_without_a_command_the_commands_are_shown(run):
    ended = run()
    assert (ended.status, ended.out) == (2, b"")
    assert ended.err.encode() == run("--help").out
    assert all(f"\n    {command} " in ended.err for command in COMMANDS)


def test_help_is_a_command(run):
    assert run("help").out == run("--help").out
    for command in COMMANDS:
        ended = run("help", command)
        assert (ended.status, ended.out) == (0, run(command, "--help").out)
    ended = run("help", "detec")
    assert (ended.status, "did you mean detect?" in ended.err) == (2, True)


@pytest.mark.parametrize("command", [(), *[(command,) for command in COMMANDS]])
def test_help_names_nothing_that_is_unknown(run, command):
    assert b"published" not in run(*command, "--help").out


@pytest.mark.parametrize(
    ("arguments", "suggested"),
    [
        (("report", *LOGS, "-o", "r.html", "--rejects", "x"), None),
        (("report", *LOGS, "-o", "r.html", "--degree", "x"), None),
        (("report", *LOGS, "-o", "r.html", "--degres", "x"), "--degree"),
        (("detect", *LOGS, "out", "--rejcts", "x"), "--rejects"),
        (("detect", *LOGS, "out", "--sigams", "2"), "--sigmas"),
    ],
)
def test_suggestions_are_close(folder, run, arguments, suggested):
    ended = run(*arguments)
    assert ended.status == 2
    if suggested is None:
        assert "did you mean" not in ended.err
    else:
        assert f"did you mean {suggested}" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("explain", "--help"),
        ("explain", *LOGS, "--flag", "1"),
        ("explain", *LOGS, "--flag", "1", "--json"),
        ("sweep", *LOGS, "-D", "1,2", "-T", "2,50"),
        ("sweep", *LOGS, "-D", "1,2", "-T", "2,50", "--against", "1,2,3"),
    ],
    ids=" ".join,
)
def test_a_reader_that_went_away_is_no_news(folder, run, arguments):
    assert (folder / "batch.json").read_bytes() == BATCH
    assert (folder / "stream.json").read_bytes() == STREAM
    reader, writer = os.pipe()
    os.close(reader)
    ended = run(*arguments, stdout=writer)
    os.close(writer)
    assert (ended.status, ended.err) == (1, "")
