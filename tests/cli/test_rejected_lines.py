"""What the commands say about rejected lines, and about times in a doubtful unit."""

import pytest
from cli.commandline import STREAM
from lines import befriend, parameters, purchase

LOGS = ("batch.json", "stream.json")
WRONG = [
    purchase("1", "$5"),
    purchase("1", "16.8312345"),
    purchase("1", "1.5", "2017-06-13"),
    befriend("1", "1"),
]
EXAMPLES = (
    'stream.json, line 2: bad_amount: amount: "$5" (has a currency sign)',
    'stream.json, line 4: bad_timestamp: timestamp: "2017-06-13" (is only a date: the time is '
    "missing)",
    'stream.json, line 5: self_friendship: id1 and id2: "1"',
)


@pytest.fixture
def wrong(folder):
    """Return the folder, with rejected lines in the stream log."""
    (folder / "stream.json").write_bytes(STREAM.split(b"\n")[0] + b"\n" + b"".join(WRONG))
    return folder


@pytest.mark.usefixtures("wrong")
def test_detect_shows_a_line_of_each_common_reason(run):
    ended = run("detect", *LOGS, "out.json")
    first, *others = EXAMPLES
    counts = "4 lines rejected: bad_amount 2, bad_timestamp 1, self_friendship 1"
    lines = [counts, f"the first: {first}", *(f"also: {text}" for text in others)]
    assert ended.status == 0
    assert ended.err.endswith("".join(f"fastanomaly: {line}\n" for line in lines))


@pytest.mark.usefixtures("wrong")
@pytest.mark.parametrize(
    "command",
    [("sweep", *LOGS, "-D", "1", "-T", "50"), ("report", *LOGS, "-o", "r.html")],
    ids=["sweep", "report"],
)
def test_commands_without_a_summary_show_them_too(run, command):
    ended = run(*command)
    assert (ended.status, "4 lines rejected: bad_amount 2" in ended.err) == (0, True)
    for text in EXAMPLES:
        assert f"such as {text}\n" in ended.err


def test_explain_shows_the_lines_rejected_before_the_purchase(folder, run):
    stream = (folder / "stream.json").read_bytes()
    (folder / "stream.json").write_bytes(WRONG[0] + stream)
    ended = run("explain", *LOGS, "--line", "2")
    assert ended.status == 0
    assert "1 line rejected: bad_amount 1" in ended.err
    assert 'such as stream.json, line 1: bad_amount: amount: "$5"' in ended.err


@pytest.mark.usefixtures("wrong")
def test_explain_says_why_a_line_is_no_purchase(run):
    for line, why in zip((2, 4, 5), EXAMPLES, strict=True):
        ended = run("explain", *LOGS, "--line", str(line))
        assert (ended.status, ended.err) == (2, f"fastanomaly: error: rejected: {why}\n")


def test_explain_shows_a_line_of_another_kind(folder, run):
    (folder / "stream.json").write_bytes(befriend("1", "2") + b"\n")
    ended = run("explain", *LOGS, "--line", "1")
    text = '{"event_type":"befriend", "id1":"1", "id2":"2"}'
    assert (ended.status, f"stream.json, line 1: not a purchase: {text}\n" in ended.err) == (
        2,
        True,
    )
    ended = run("explain", *LOGS, "--line", "2")
    assert (ended.status, "line 2: not a purchase: a blank line" in ended.err) == (2, True)


@pytest.mark.parametrize(
    ("unit", "time", "doubted"),
    [
        ("s", 1_497_353_581, ""),
        ("ms", 1_497_353_581_000, ""),
        ("ms", 1_497_353_581, "1970-01-18 07:55:53.581000"),
        ("us", 1_497_353_581, "1970-01-01 00:24:57.353581"),
        ("ns", 1_497_353_581, "1970-01-01 00:00:01.497353"),
        ("iso", None, ""),
    ],
)
def test_a_unit_that_is_likely_too_fine_is_doubted(folder, run, unit, time, doubted):
    if time is not None:
        line = b'{"event_type":"purchase", "timestamp":%d, "id":"1", "amount":"2.5"}\n' % time
        (folder / "batch.json").write_bytes(parameters(1, 50) + line)
        (folder / "stream.json").write_bytes(line)
    for command in ("detect", *LOGS, "out.json"), ("sweep", *LOGS, "-D", "1", "-T", "9"):
        ended = run(*command, "--time-unit", unit)
        hint = f"the latest purchase is of {doubted}: check --time-unit {unit}"
        assert (ended.status, "check --time-unit" in ended.err) == (0, doubted != "")
        assert not doubted or hint in ended.err
