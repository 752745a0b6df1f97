"""fastanomaly plan: machines, reasons, where numbers come from, and wrong use."""

import json
import re

import pytest
from checkout import ROOT

PAGE = ROOT / "docs" / "cluster.md"
LARGE = ("--users", "1e9", "--friends", "20", "--purchases", "10", "-T", "50", "-D", "3")


def test_one_machine_is_enough(run):
    ended = run("plan", "--users", "1e6", "-D", "2", "--rate", "15000")
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.decode().splitlines()
    assert lines[0] == "One machine is enough: one process, 3 threads to judge"
    assert "shard" not in ended.out.decode()
    assert any(line.startswith("  users ") and "counted" in line for line in lines)
    assert any(line.startswith("judge a purchase ") and "measured" in line for line in lines)
    assert any(line.startswith("memory of a machine ") and "assumed" in line for line in lines)


@pytest.mark.parametrize(
    ("options", "reasons"),
    [
        (("--rate", "1e3"), ["memory"]),
        (("--rate", "5e4"), ["memory", "judging"]),
        (("--rate", "1e3", "--may-fail", "1"), ["memory", "failures"]),
        (("--rate", "5e4", "--machine-memory", "2000"), ["judging"]),
        (("--rate", "5e4", "--judge-us", "5"), ["memory"]),
    ],
)
def test_reasons_for_a_cluster(run, options, reasons):
    found = json.loads(run("plan", *LARGE, *options, "--json").out)
    text = run("plan", *LARGE, *options).out.decode()
    first, *rest = text.splitlines()
    assert found["reasons"] == reasons
    assert re.findall("one process is not enough for (.*?):", text) == reasons
    assert first.startswith(
        f"A cluster: {found['machines']} machines, {found['shards']} shards"
    )
    bound = max(found["bounds"], key=found["bounds"].get)
    assert f"  K = {found['shards']} follows from {bound}: " in text
    assert found["spares"] == int("failures" in reasons)
    total = found["memory"].pop("total")
    assert total == pytest.approx(sum(found["memory"].values()))
    assert f"memory of a shard {'':12}{total / 1e9:.1f} GB".replace(" ", "") in text.replace(
        " ", ""
    )
    # Every number says where it comes from.
    table = text.split("\n\n")[1].splitlines()
    assert all(re.search(r"  [0-9].*?  \S", line) for line in table)
    assert max(map(len, rest)) <= 100


def test_numbers_with_exponents_are_the_same(run):
    plain = run("plan", "--users", "2000000", "--rate", "5000", "-D", "3")
    assert plain.status == 0
    assert run("plan", "--users", "2e6", "--rate", "5e3", "-D3").out == plain.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--users", "many"),
            "argument --users: expected a number such as 20 or 1e9, got 'many'",
        ),
        (("--users", "0"), "users: 0 is not in 1..2147483646"),
        (("--users", "1.5"), "users: expected a whole number, got 1.5"),
        (("--users", "9", "--friends", "20"), "friends: 20 is not in 0..8"),
        (("--users", "1e6", "-D", "0"), "D: '0' is not in 1..2147483647"),
        (("--users", "1e6", "-T", "x"), "T: expected a whole number, got 'x'"),
        (("--users", "1e6", "--rate", "nan"), "rate: nan is not in 0.001..1000000000000"),
        (("--users", "1e6", "--cores", "0"), "cores: 0 is not in 1..256"),
        (("--users", "2e9", "--machine-memory", "8"), "no number of shards fits: "),
        (("--users", "1e6", "--rate", "1e7"), "no number of shards is enough: "),
    ],
)
def test_wrong_values_and_what_is_impossible(run, options, message):
    ended = run("plan", *options)
    assert (ended.status, ended.out) == (2, b"")
    assert f"error: {message}" in ended.err


def test_users_must_be_given(run):
    ended = run("plan")
    assert ended.status == 2
    assert "the following arguments are required: --users" in ended.err


@pytest.mark.skipif(not PAGE.exists(), reason="not in a checkout: no docs/")
def test_the_page_has_the_real_output(run):
    shown = re.findall(
        r"```console\n\$ fastanomaly (plan [^\n]*)\n```\n\n```text\n(.*?)```",
        PAGE.read_text(),
        re.DOTALL,
    )
    assert len(shown) == 2
    for words, expected in shown:
        ended = run(*words.split())
        assert (ended.status, ended.out.decode()) == (0, expected)
