"""Friendships with times, splits and sorting, against the same events written as one log."""

import csv
import functools
import tempfile
from datetime import datetime
from pathlib import Path

import pytest
from cli.commandline import run_command
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples
from table_files.writing import line_of, write_csv, write_log, write_parquet

from fastanomaly import Tables, detect


@pytest.fixture
def run(tmp_path):
    return functools.partial(run_command, cwd=tmp_path)


HOURS = [f"2017-06-13 {hour:02}:00:00" for hour in range(10)]
USERS = st.sampled_from(["1", "2", "3", "4"])
PURCHASES = st.lists(
    st.fixed_dictionaries(
        {
            "user": USERS,
            "amount": st.sampled_from(["1", "2", "3", "50"]),
            "timestamp": st.sampled_from([*HOURS, *HOURS, "never"]),
        }
    ),
    min_size=1,
    max_size=30,
)
EDGES = st.lists(
    st.fixed_dictionaries(
        {
            "a": USERS,
            "b": USERS,
            "since": st.sampled_from([*HOURS, None]),
            "until": st.sampled_from([*HOURS, None, None]),
        }
    ),
    max_size=12,
)


def moment(text):
    """Return a time, or None if it is none."""
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None


def edits_of(edges):
    """Return time, kind and users of each beginning and end, in their order."""
    edits = []
    for edge in edges:
        since = moment(edge["since"]) or datetime.min
        until = moment(edge["until"]) or datetime.max
        if since >= until:
            continue
        edits.append((since, "befriend", edge["a"], edge["b"]))
        if until < datetime.max:
            edits.append((until, "unfriend", edge["a"], edge["b"]))
    return sorted(edits, key=lambda edit: (edit[0], edit[1] == "befriend"))


def merged(purchases, edges):
    """Return all events: each edit before the first purchase that is not earlier."""
    waiting = edits_of(edges)
    for row in purchases:
        time = moment(row["timestamp"])
        while waiting and time is not None and waiting[0][0] <= time:
            _, kind, user, friend = waiting.pop(0)
            yield {"kind": kind, "user": user, "friend": friend}
        if not_yet := [edit for edit in waiting if edit[0] == datetime.min]:
            for _, kind, user, friend in not_yet:
                yield {"kind": kind, "user": user, "friend": friend}
            waiting = waiting[len(not_yet) :]
        yield {"kind": "purchase", **row}
    for _, kind, user, friend in waiting:
        yield {"kind": kind, "user": user, "friend": friend}


def flags_of_log(folder, events, judged_from):
    """Return flags and counts of events, of which those from an index on are judged."""
    (folder / "past").write_bytes(b"".join(map(line_of, events[:judged_from])))
    (folder / "present").write_bytes(b"".join(map(line_of, events[judged_from:])))
    summary = detect(
        folder / "past", folder / "present", folder / "log.out", degree=2, tracked=3, sigmas=1
    )
    return (folder / "log.out").read_bytes(), summary


def flags_of_table(folder, inputs, **tables):
    options = Tables(friends=str(folder / "friends.csv"), **tables)
    batch, stream = inputs
    out = folder / "out"
    summary = detect(batch, stream, out, degree=2, tracked=3, sigmas=1, tables=options)
    return (folder / "out").read_bytes(), summary


def check_same(table, log):
    flags, summary = table
    expected, other = log
    assert flags == expected
    for count in ("purchases", "friendships", "users", "flags"):
        assert getattr(summary, count) == getattr(other, count), count


def valid(edges):
    return [edge for edge in edges if edge["a"] != edge["b"]]


def in_order(edge):
    since, until = moment(edge["since"]), moment(edge["until"])
    return since is None or until is None or since <= until


@given(purchases=PURCHASES, edges=EDGES, split=st.integers(0, 31))
@settings(max_examples=examples(15))
def test_friendships_begin_and_end_at_their_times(purchases, edges, split):
    edges = valid(edges)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_csv(folder / "friends.csv", edges or [dict.fromkeys(["a", "b", "since"])])
        write_parquet(folder / "sales.parquet", purchases)
        good = [edge for edge in edges if in_order(edge)]
        events = list(merged(purchases, good))
        rows = [i for i, event in enumerate(events) if event["kind"] == "purchase"]
        judged_from = rows[split] if split < len(rows) else len(events)
        table = flags_of_table(folder, (folder / "sales.parquet", None), split=split)
        check_same(table, flags_of_log(folder, events, judged_from))
        late = len(edges) - len(good) + (not edges)
        assert table[1].rejected["bad_timestamp"] - sum(
            moment(row["timestamp"]) is None for row in purchases
        ) == (late if edges else 0)


@given(purchases=PURCHASES, edges=EDGES, cut=st.integers(1, 29))
@settings(max_examples=examples(10))
def test_two_tables_are_as_one(purchases, edges, cut):
    edges = [edge for edge in valid(edges) if in_order(edge)]
    cut = min(cut, len(purchases) - 1)
    if not edges or cut < 1:
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_csv(folder / "friends.csv", edges)
        write_csv(folder / "sales.csv", purchases)
        write_csv(folder / "past.csv", purchases[:cut])
        write_parquet(folder / "present.parquet", purchases[cut:])
        one = flags_of_table(folder, (folder / "sales.csv", None), split=cut)
        two = flags_of_table(folder, (folder / "past.csv", folder / "present.parquet"))
        check_same(two, one)


@given(purchases=PURCHASES, hour=st.sampled_from(HOURS))
@settings(max_examples=examples(10))
def test_splitting_by_time(purchases, hour):
    late = [
        i
        for i, row in enumerate(purchases)
        if (moment(row["timestamp"]) or datetime.min) >= moment(hour)
    ]
    judged_from = late[0] if late else len(purchases)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_csv(folder / "friends.csv", [{"a": "1", "b": "2"}])
        write_csv(folder / "sales.csv", purchases)
        events = [{"kind": "purchase", **row} for row in purchases]
        events = [{"kind": "befriend", "user": "1", "friend": "2"}, *events]
        log = flags_of_log(folder, events, judged_from + 1)
        check_same(flags_of_table(folder, (folder / "sales.csv", None), split=hour), log)


@given(purchases=PURCHASES)
@settings(max_examples=examples(10))
def test_sorting(purchases):
    timed = sorted(purchases, key=lambda row: moment(row["timestamp"]) or datetime.min)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_csv(folder / "friends.csv", [{"a": "1", "b": "2"}, {"a": "2", "b": "3"}])
        write_csv(folder / "sales.csv", purchases)
        write_csv(folder / "sorted.csv", timed)
        expected = flags_of_table(folder, (folder / "sorted.csv", None))
        check_same(flags_of_table(folder, (folder / "sales.csv", None), sort=True), expected)


@pytest.mark.parametrize(
    ("split", "rows"),
    [("0.5", 5), ("50%", 5), (0.25, 2), ("99.9%", 9), ("0%", 0), (1.0, 10), (3, 3)],
)
@pytest.mark.parametrize("name", ["sales.csv", "sales.parquet"])
def test_splitting_by_rows_and_shares(tmp_path, name, split, rows):
    purchases = [
        {"user": "12"[i % 2], "amount": str(9**i), "timestamp": HOURS[i]} for i in range(10)
    ]
    write_csv(tmp_path / "friends.csv", [{"a": "1", "b": "2"}])
    write = write_csv if name.endswith("csv") else write_parquet
    write(tmp_path / name, purchases)
    events = [{"kind": "befriend", "user": "1", "friend": "2"}]
    events += [{"kind": "purchase", **row} for row in purchases]
    log = flags_of_log(tmp_path, events, rows + 1)
    check_same(flags_of_table(tmp_path, (tmp_path / name, None), split=split), log)
    assert log[1].flags == 10 - max(rows, 3)


def test_rejected_friendships_are_named(tmp_path):
    rows = [["a", "b", "since", "until"], ["1", "2", "soon", ""], ["1", "1", "", ""]]
    rows += [["", "2", "", ""], ["1", "3", HOURS[5], HOURS[2]], ["1", "4", HOURS[1], HOURS[1]]]
    with open(tmp_path / "friends.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    write_csv(tmp_path / "sales.csv", [{"user": "1", "amount": "1", "timestamp": HOURS[3]}])
    summary = detect(
        tmp_path / "sales.csv",
        None,
        tmp_path / "out",
        degree=2,
        tracked=3,
        rejects=tmp_path / "rejects",
        tables=Tables(friends=str(tmp_path / "friends.csv")),
    )
    found = [line.split("\t")[1:3] for line in (tmp_path / "rejects").read_text().splitlines()]
    assert found == [
        ["1", "bad_timestamp"],
        ["4", "bad_timestamp"],
        ["3", "bad_id"],
        ["2", "self_friendship"],
    ] or sorted(found) == [
        ["1", "bad_timestamp"],
        ["2", "self_friendship"],
        ["3", "missing_field"],
        ["4", "bad_timestamp"],
    ]
    assert summary.first_rejected == (
        f'{tmp_path / "friends.csv"}, row 1: bad_timestamp: column since, timestamp: "soon" '
        '(must be like "2017-06-13 11:33:02")'
    )


def test_a_friendship_that_ends_before_it_begins(run, tmp_path):
    """The row is named, and the run is one with valid events: its status is 0."""
    (tmp_path / "friends.csv").write_text(
        f"a,b,since,until\n1,2,{HOURS[1]},\n1,3,{HOURS[5]},{HOURS[2]}\n"
    )
    write_csv(
        tmp_path / "sales.csv",
        [
            {"user": user, "amount": amount, "timestamp": HOURS[3]}
            for user, amount in [("1", "1"), ("1", "1"), ("2", "9")]
        ],
    )
    words = ("detect", "sales.csv", "-o", "out", "--friends", "friends.csv", "-D2", "-T3")
    rejects = ("--rejects", "rejects")
    why = f'bad_timestamp: column until, timestamp: "{HOURS[2]}" (is before the friendship'
    for split in ((), ("--split", "0"), ("--split", "2"), ("--split", "1")):
        ended = run(*words, *rejects, *split)
        assert ended.status == 0, ended.err
        assert f'friends.csv, row 2: {why} begins, "{HOURS[5]}")' in ended.err
        assert b'"id":"2"' in (tmp_path / "out").read_bytes()
        rejected = (tmp_path / "rejects").read_text().splitlines()
        assert len(rejected) == 1
        assert rejected[0].startswith("friends.csv\t2\tbad_timestamp\ttimestamp: ")
        assert "(is before the friendship begins)" in rejected[0]
    strict = run(*words, "--strict")
    assert strict.status == 3
    assert "friends.csv, row 2: " in strict.err


def test_late_purchases_stay_where_they_are(tmp_path):
    purchases = [{"user": "1", "amount": "1", "timestamp": time} for time in HOURS[::-1]]
    write_csv(tmp_path / "friends.csv", [{"a": "1", "b": "2"}])
    write_csv(tmp_path / "sales.csv", purchases)
    write_log(tmp_path / "log", purchases)
    flags, _ = flags_of_table(tmp_path, (tmp_path / "sales.csv", None))
    assert flags == b""


@pytest.mark.parametrize(
    ("split", "why"),
    [
        ("20170613", "lies behind the last row; a number is a count of rows\n"),
        ("2017-06-14", "lies behind the last row\n"),
        ("100%", "lies behind the last row\n"),
    ],
)
def test_a_split_behind_the_last_row_is_said(run, tmp_path, split, why):
    rows = [{"user": "1", "amount": str(n), "timestamp": HOURS[n]} for n in range(1, 4)]
    write_csv(tmp_path / "sales.csv", rows)
    (tmp_path / "friends.csv").write_text(f"a,b,since\n1,2,\n1,3,{HOURS[9]}\n")
    words = ("sales.csv", "--friends", "friends.csv", "--split")
    for command in (("detect", "-o", "out", "-q", "-D2", "-T3"), ("sweep", "-D2", "-T3")):
        ended = run(*command, *words, split)
        assert ended.status == 0
        assert f"sales.csv (judged): nothing was judged: --split {split} {why}" in ended.err
        assert "nothing was judged" not in run(*command, *words, "2").err


def test_purchases_of_people_without_friends(run, tmp_path):
    rows = [{"user": "1", "amount": "9", "timestamp": time} for time in HOURS[:4]]
    write_csv(tmp_path / "a.csv", rows)
    write_csv(tmp_path / "b.csv", [{"kind": "purchase", **row} for row in rows])
    (tmp_path / "friends.csv").write_text("a,b\n1,2\n")
    said = ": nobody has friends, so nothing is flagged: give them with --friends\n"
    options = ("-o", "out", "-D2", "-T3")
    assert f": a.csv{said}" in run("detect", "a.csv", *options).err
    assert f": a.csv{said}" in run("detect", "a.csv", "--split", "2", *options).err
    assert f": a.csv and a.csv{said}" in run("sweep", "a.csv", "a.csv", *options[2:]).err
    for words in (["a.csv", "--friends", "friends.csv"], ["b.csv"], ["a.csv", "b.csv"]):
        ended = run("detect", *words, *options)
        assert ended.status == 0
        assert "nobody" not in ended.err


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_two_files_that_may_be_meant_as_one_table(run, tmp_path, suffix):
    row = {"user": "1", "amount": "9", "timestamp": HOURS[1]}
    for name in ("may", "june", "other/june"):
        path = tmp_path / f"sales/{name}{suffix}"
        path.parent.mkdir(exist_ok=True)
        write_csv(path, [row])
    write_parquet(tmp_path / "sales/june.parquet", [row])
    (tmp_path / "friends.csv").write_text("user,friend\n1,2\n")
    may, june = f"sales/may{suffix}", f"sales/june{suffix}"
    options = ("--friends", "friends.csv", "-D2", "-T3")
    said = (
        f"fastanomaly: {may} is history and {june} is judged; as one table they are a "
        f"pattern in quotes, such as 'sales/*{suffix}'\n"
    )
    assert run("detect", may, june, "-o", "out", "-q", *options).err == said
    assert said in run("sweep", may, june, *options).err
    for other in (f"sales/other/june{suffix}", "sales/june.parquet"):
        assert run("detect", may, other, "-o", "out", "-q", *options).err == ""


@pytest.mark.parametrize("since", ["", ",since"])
def test_only_rejected_friendships(run, tmp_path, since):
    wrong = ",soon" if since else ""
    (tmp_path / "friends.csv").write_text(f"user,friend{since}\n1,1{wrong}\n2,2{wrong}\n")
    write_csv(
        tmp_path / "sales.csv", [{"user": "1", "amount": "9", "timestamp": HOURS[1]}] * 2
    )
    words = ("sales.csv", "--friends", "friends.csv", "-D2", "-T3")
    for command in (("detect", "-o", "out"), ("sweep",)):
        ended = run(*command, *words)
        assert ended.status == 4
        assert "friends.csv: no valid event in 2 rows: such as friends.csv, row 1" in ended.err
        assert "(history)" not in ended.err
    swapped = ("--map", "timestamp=amount,amount=timestamp")
    ended = run("detect", "-o", "out", *words[:1], *words[3:], *swapped)
    assert "error: sales.csv (judged): no valid event in 2 rows" in ended.err
