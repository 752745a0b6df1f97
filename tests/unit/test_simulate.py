"""Generated logs: their shape, their shares, and equal bytes for equal options."""

import argparse
import dataclasses
import hashlib
import json
import re
from collections import Counter
from datetime import datetime

import pytest
from reference import Reject, parse_event

from fastanomaly import simulation
from fastanomaly.cli import simulate as command
from fastanomaly.errors import OutputError, UsageError
from fastanomaly.simulation import DIRTY_LINES, Simulation, simulate

START = datetime(2017, 6, 14, 18, 46, 40)

PURCHASE = re.compile(
    rb'\{"event_type":"purchase", "timestamp":"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", '
    rb'"id": "\d+", "amount": "\d+\.\d\d"\}'
)
FRIENDSHIP = re.compile(
    rb'\{"event_type":"(befriend|unfriend)", '
    rb'"timestamp":"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "id1": "\d+", "id2": "\d+"\}'
)


@pytest.fixture
def logs(tmp_path):
    """A function from options to the bytes of the batch and the stream log."""

    def make(**options):
        options = {"users": 500, "batch_events": 20_000, "stream_events": 500} | options
        batch, stream = tmp_path / "batch_log.json", tmp_path / "stream_log.json"
        simulate(batch, stream, Simulation(**options))
        return batch.read_bytes(), stream.read_bytes()

    return make


def events(logs_made):
    """The events of both logs, as objects, without the parameter line."""
    batch, stream = logs_made
    lines = batch.splitlines()[1:] + stream.splitlines()
    return [json.loads(line) for line in lines]


def seconds(event):
    return (datetime.fromisoformat(event["timestamp"]) - START).total_seconds()


# Bytes


def test_equal_options_and_seeds_give_equal_bytes(logs):
    options = {"late_share": 0.1, "dirty_share": 0.1, "seed": 7}
    assert logs(**options) == logs(**options)


def test_another_seed_gives_other_bytes(logs):
    one, other = logs(seed=1), logs(seed=2)
    assert one[0] != other[0]
    assert one[1] != other[1]


@pytest.mark.parametrize("friendships", ["uniform", "heavy-tailed"])
@pytest.mark.parametrize("chunk", [1, 7, 1_000])
def test_the_chunk_size_does_not_change_the_logs(logs, monkeypatch, chunk, friendships):
    options = {
        "batch_events": 2_000,
        "friendships": friendships,
        "unfriend_share": 0.1,
        "late_share": 0.1,
        "dirty_share": 0.1,
        "rate": 3,
    }
    whole = logs(**options)
    monkeypatch.setattr(simulation, "CHUNK_LINES", chunk)
    assert logs(**options) == whole


@pytest.mark.parametrize(
    ("options", "digest"),
    [
        ({}, "4e4de3edccb6251e4c1cdfe92d51253e87d1821c3e60384b2dec5d4fe791fe08"),
        (
            {
                "friendships": "heavy-tailed",
                "late_share": 0.1,
                "dirty_share": 0.1,
                "rate": 7.3,
                "seed": 2**70,
            },
            "e80d36fadd24d5de203d30a6abe616f9d9a0b9bd8ebcda385813b1bb2b21375c",
        ),
    ],
)
def test_the_bytes_are_the_same_on_every_machine(logs, options, digest):
    assert hashlib.sha256(b"".join(logs(**options))).hexdigest() == digest


# Shape


def test_the_batch_log_begins_with_the_parameters(logs):
    batch, stream = logs(degree=3, tracked=20)
    assert batch.startswith(b'{"D":"3", "T":"20"}\n')
    assert b'"T"' not in stream


def test_every_line_has_the_shape_of_the_sample(logs):
    batch, stream = logs(late_share=0.1)
    lines = batch.splitlines()[1:] + stream.splitlines()
    assert batch.endswith(b"\n")
    assert stream.endswith(b"\n")
    assert all(PURCHASE.fullmatch(line) or FRIENDSHIP.fullmatch(line) for line in lines)


def test_every_line_of_a_clean_log_is_an_event(logs):
    batch, stream = logs(late_share=0.1, anomaly_share=0.1)
    for line in batch.splitlines()[1:] + stream.splitlines():
        parse_event(line)


def test_the_number_of_lines(logs):
    batch, stream = logs(batch_events=1_234, stream_events=56, dirty_share=0.2)
    assert batch.count(b"\n") == 1 + 1_234
    assert stream.count(b"\n") == 56


def test_empty_logs(logs):
    assert logs(batch_events=0, stream_events=0) == (b'{"D":"2", "T":"50"}\n', b"")


def test_the_default_is_the_published_samples_shape(tmp_path):
    batch, stream = tmp_path / "batch", tmp_path / "stream"
    simulate(batch, stream)
    lines = batch.read_bytes().splitlines()
    assert len(lines) == 500_001
    assert lines[0] == b'{"D":"2", "T":"50"}'
    assert b'"timestamp":"2017-06-14 18:46:40"' in lines[1]
    assert b'"timestamp":"2017-06-14 18:46:49"' in lines[-1]
    lines = stream.read_bytes().splitlines()
    assert len(lines) == 1_000
    assert all(b'"timestamp":"2017-06-14 18:46:50"' in line for line in lines)


def test_ids_are_those_of_the_users(logs):
    made = events(logs(users=5, unfriend_share=0.1))
    ids = {event[name] for event in made for name in ("id", "id1", "id2") if name in event}
    assert ids == {"0", "1", "2", "3", "4"}


@pytest.mark.parametrize("friendships", ["uniform", "heavy-tailed"])
@pytest.mark.parametrize("users", [2, 3, 2**31 - 1])
def test_nobody_befriends_themself(logs, users, friendships):
    made = events(logs(users=users, friendships=friendships))
    pairs = [(int(e["id1"]), int(e["id2"])) for e in made if "id1" in e]
    assert pairs
    assert all(one != other for one, other in pairs)
    assert all(0 <= user < users for pair in pairs for user in pair)


# Shares


def test_event_types_come_in_their_shares(logs):
    made = events(logs())
    counts = Counter(event["event_type"] for event in made)
    assert counts["purchase"] / len(made) == pytest.approx(0.80, abs=0.015)
    assert counts["befriend"] / len(made) == pytest.approx(0.19, abs=0.015)
    assert counts["unfriend"] / len(made) == pytest.approx(0.01, abs=0.005)


def test_event_shares_are_weights(logs):
    weights = {"purchase_share": 160, "befriend_share": 38, "unfriend_share": 2}
    assert logs(**weights) == logs()


@pytest.mark.parametrize("only", ["purchase", "befriend"])
def test_a_log_of_one_event_type(logs, only):
    shares = {f"{kind}_share": kind == only for kind in ("purchase", "befriend", "unfriend")}
    assert {event["event_type"] for event in events(logs(**shares))} == {only}


@pytest.mark.parametrize("unfriend_share", [0.01, 0.15, 0.6])
def test_unfriends_end_existing_friendships(logs, unfriend_share):
    made = events(logs(users=100_000, unfriend_share=unfriend_share))
    friendships = Counter()
    ended = 0
    for event in made:
        if event["event_type"] == "befriend":
            friendships[event["id1"], event["id2"]] += 1
        elif event["event_type"] == "unfriend":
            pair = event["id1"], event["id2"]
            assert friendships[pair] > 0
            friendships[pair] -= 1
            ended += 1
    assert ended > 0


def test_a_befriend_is_written_where_there_is_no_friendship_to_end(logs):
    made = events(logs(purchase_share=0, befriend_share=0, unfriend_share=1))
    kinds = [event["event_type"] for event in made]
    assert kinds[:4] == ["befriend", "unfriend", "befriend", "unfriend"]


def test_dirty_befriends_make_no_friendship(logs):
    batch, stream = logs(users=100_000, unfriend_share=0.3, dirty_share=0.5)
    friendships = set()
    for line in batch.splitlines()[1:] + stream.splitlines():
        if FRIENDSHIP.fullmatch(line):
            event = json.loads(line)
            pair = event["id1"], event["id2"]
            if event["event_type"] == "unfriend":
                assert pair in friendships
            elif pair[0] != pair[1]:
                friendships.add(pair)


def test_amounts_depend_on_the_buyer(logs):
    made = events(logs(users=20, anomaly_share=0))
    amounts = {}
    for event in made:
        if event["event_type"] == "purchase":
            amounts.setdefault(event["id"], []).append(float(event["amount"]))
    means = [sum(of_user) / len(of_user) for of_user in amounts.values()]
    assert min(means) > 9
    assert max(means) < 122
    assert max(means) - min(means) > 40
    # No usual amount is further from the buyer's mean than 3.5 spreads of 30.
    assert all(
        abs(amount - mean) < 110
        for of_user, mean in zip(amounts.values(), means, strict=True)
        for amount in of_user
    )


def test_means_depend_on_the_seed(logs):
    def first_mean(seed):
        made = events(logs(users=2, seed=seed, anomaly_share=0))
        amounts = [float(event["amount"]) for event in made if event.get("id") == "0"]
        return sum(amounts) / len(amounts)

    assert len({round(first_mean(seed)) for seed in range(4)}) > 1


@pytest.mark.parametrize("share", [0, 0.05, 1])
def test_unusual_purchases_come_in_their_share(logs, share):
    made = events(logs(anomaly_share=share))
    amounts = [float(e["amount"]) for e in made if e["event_type"] == "purchase"]
    assert min(amounts) >= 1
    # No usual amount is above 120 + 3.5 * 30.
    unusual = sum(amount > 225 for amount in amounts)
    assert unusual / len(amounts) == pytest.approx(share, abs=0.02 if 0 < share < 1 else 0.12)


def test_heavy_tailed_friendships_are_heavier(logs):
    def degrees(friendships):
        made = events(logs(users=5_000, friendships=friendships, purchase_share=0))
        friends = {}
        for event in made:
            if event["event_type"] == "befriend":
                friends.setdefault(event["id1"], set()).add(event["id2"])
                friends.setdefault(event["id2"], set()).add(event["id1"])
        return sorted(map(len, friends.values()))

    uniform, heavy = degrees("uniform"), degrees("heavy-tailed")
    assert heavy[-1] > 20 * uniform[-1]
    assert heavy[len(heavy) // 2] < uniform[len(uniform) // 2]


# Time


def test_timestamps_follow_the_rate_in_both_logs(logs):
    made = events(logs(batch_events=95, stream_events=10, rate=10))
    assert [seconds(event) for event in made] == [line // 10 for line in range(105)]


def test_a_rate_below_one_event_a_second(logs):
    made = events(logs(batch_events=3, stream_events=1, rate=0.25))
    assert [seconds(event) for event in made] == [0, 4, 8, 12]


def test_the_first_timestamp(logs):
    made = events(logs(batch_events=2, stream_events=1, rate=1, start="0999-12-31 23:59:59"))
    assert [event["timestamp"] for event in made] == [
        "0999-12-31 23:59:59",
        "1000-01-01 00:00:00",
        "1000-01-01 00:00:01",
    ]


@pytest.mark.parametrize("share", [0, 0.2, 1])
def test_late_purchases_come_in_their_share(logs, share):
    made = events(logs(late_share=share, rate=1e9))
    late = [seconds(event) for event in made if event["event_type"] == "purchase"]
    assert sum(delay < 0 for delay in late) / len(late) == pytest.approx(
        share, abs=0.02 if 0 < share < 1 else 0
    )
    assert min(late) >= -300
    assert all(seconds(event) == 0 for event in made if event["event_type"] != "purchase")


# Lines that are not events


def reason_of(line):
    if not line.strip(b" \t"):
        return "blank"
    try:
        parse_event(line)
    except Reject as reject:
        return reject.reason
    return "event"


@pytest.mark.parametrize("place", range(len(DIRTY_LINES)))
@pytest.mark.parametrize("noise", [b"\0" * 8, b"purchase", b"\r\t \r\t \r\t"])
def test_dirty_lines_are_rejected_for_their_reason(place, noise):
    reason, template = DIRTY_LINES[place]
    fields = {b"when": b"2017-06-14 18:46:40", b"id": 0, b"other": 1, b"noise": noise}
    assert reason_of(template % (fields | {b"amount": b"56.69"})) == reason


def test_dirty_lines_come_in_their_share_and_for_every_reason(logs):
    batch, stream = logs(dirty_share=0.2)
    lines = batch.split(b"\n")[1:-1] + stream.split(b"\n")[:-1]
    counts = Counter(map(reason_of, lines))
    dirty = len(lines) - counts["event"]
    assert dirty / len(lines) == pytest.approx(0.2, abs=0.02)
    expected = Counter(reason for reason, _ in DIRTY_LINES)
    assert set(counts) - {"event"} == set(expected)
    for reason, templates in expected.items():
        share = templates / len(DIRTY_LINES)
        assert counts[reason] / dirty == pytest.approx(share, rel=0.3)


def test_a_log_of_nothing_but_dirty_lines(logs):
    batch, stream = logs(dirty_share=1)
    lines = batch.split(b"\n")[1:-1] + stream.split(b"\n")[:-1]
    assert len(lines) == 20_500
    assert "event" not in set(map(reason_of, lines))


# Options


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("users", 1),
        ("users", 2**31),
        ("users", 2.0),
        ("users", True),
        ("users", "10"),
        ("batch_events", -1),
        ("stream_events", -1),
        ("degree", 0),
        ("degree", 2**31),
        ("tracked", 1),
        ("seed", -1),
        ("friendships", "scarce"),
        ("purchase_share", -0.1),
        ("befriend_share", float("nan")),
        ("unfriend_share", float("inf")),
        ("unfriend_share", 10**400),
        ("anomaly_share", 1.01),
        ("late_share", -0.01),
        ("dirty_share", float("nan")),
        ("rate", 0),
        ("rate", float("inf")),
        ("rate", 1e-300),
        ("start", "2017-06-14"),
        ("start", "2017-06-14T18:46:40"),
        ("start", "2017-02-29 00:00:00"),
        ("start", "9999-12-31 23:59:59"),
        ("start", None),
    ],
)
def test_a_wrong_option_is_named_with_its_value(name, value):
    with pytest.raises(ValueError, match=rf"{name}\b.*{re.escape(repr(value))}"):
        Simulation(**{name: value})


def test_no_event_type_at_all_is_refused():
    with pytest.raises(ValueError, match="purchase_share, befriend_share and unfriend_share"):
        Simulation(purchase_share=0, befriend_share=0, unfriend_share=0)


def test_late_purchases_need_time_before_the_start():
    Simulation(start="0001-01-01 00:00:00")
    with pytest.raises(ValueError, match="start"):
        Simulation(start="0001-01-01 00:04:59", late_share=0.1)


def test_the_last_second_of_the_calendar_can_be_used(logs):
    made = events(logs(batch_events=1, stream_events=1, start="9999-12-31 23:59:59"))
    assert {event["timestamp"] for event in made} == {"9999-12-31 23:59:59"}


def test_one_file_for_both_logs_is_refused_and_kept(tmp_path):
    log = tmp_path / "log"
    link = tmp_path / "link"
    link.symlink_to(log)
    for stream in (log, link):
        with pytest.raises(ValueError, match="same file"):
            simulate(log, stream)
    assert not log.exists()
    log.write_bytes(b"kept")
    for stream in (log, link):
        with pytest.raises(ValueError, match="same file"):
            simulate(log, stream)
    assert log.read_bytes() == b"kept"


def test_a_log_that_cannot_be_created_is_an_os_error(tmp_path):
    with pytest.raises(OutputError, match="missing/batch: No such file"):
        simulate(tmp_path / "missing" / "batch", tmp_path / "stream")


# The command


def parse(*arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(list(map(str, arguments)))


def test_the_command_has_every_option_and_its_default():
    args = vars(parse("BATCH", "STREAM"))
    assert args.pop("batch") == "BATCH"
    assert args.pop("stream") == "STREAM"
    assert args.pop("out") is None
    assert args.pop("quiet") is False
    assert args == dataclasses.asdict(Simulation())


def test_the_command_writes_what_the_function_writes(logs, tmp_path):
    batch, stream = tmp_path / "b", tmp_path / "s"
    args = parse(
        *(batch, stream, "--users", 50, "--batch-events", 300, "--stream-events", 30),
        *("-D", 3, "-T", 9, "--friendships", "heavy-tailed", "--purchase-share", 6),
        *("--befriend-share", 3, "--unfriend-share", 1, "--anomaly-share", 0.2),
        *("--late-share", 0.2, "--dirty-share", 0.2, "--rate", 2.5, "--seed", 5),
        *("--start", "2020-02-29 00:00:00"),
    )
    assert command.run(args) == 0
    assert (batch.read_bytes(), stream.read_bytes()) == logs(
        users=50,
        batch_events=300,
        stream_events=30,
        degree=3,
        tracked=9,
        friendships="heavy-tailed",
        purchase_share=6,
        befriend_share=3,
        unfriend_share=1,
        anomaly_share=0.2,
        late_share=0.2,
        dirty_share=0.2,
        rate=2.5,
        start="2020-02-29 00:00:00",
        seed=5,
    )


def test_the_command_explains_a_wrong_option(tmp_path):
    batch, stream = tmp_path / "batch", tmp_path / "stream"
    with pytest.raises(UsageError, match=r"users must be an integer from 2 .*, not 1"):
        command.run(parse(batch, stream, "--users", 1))
    assert not batch.exists()


def test_the_command_refuses_one_file_for_both_logs(tmp_path):
    with pytest.raises(UsageError, match="same file"):
        command.run(parse(tmp_path / "b", tmp_path / "b"))
    assert not (tmp_path / "b").exists()
