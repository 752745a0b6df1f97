"""Logs long enough to kill a run in: late purchases, edits, dirty lines, ties."""

import random

DIRTY = [b"garbage", b"{}", b"\xff\xfe", b'{"event_type":"befriend","id1":"1","id2":"1"}', b""]


def long_log(seed, lines, users=60):
    """Return a log with that many lines, without a parameter line."""
    choose = random.Random(seed)
    return b"".join(_line(choose, number, users) for number in range(lines))


def _line(choose, number, users):
    kind = choose.random()
    one, other = choose.sample(range(users), 2)
    if kind < 0.05:
        return choose.choice(DIRTY) + b"\n"
    if kind < 0.2:
        name = choose.choice(["befriend", "befriend", "unfriend"])
        return b'{"event_type":"%b", "id1":"%d", "id2":"user %d"}\n' % (
            name.encode(),
            one,
            other,
        )
    second = number // 3 - (choose.randrange(2000) if kind < 0.3 else 0)
    amount = choose.choice([10, 11, 12, 900]) + choose.random()
    who = choose.choice(["%d", "user %d"]) % one
    return (
        b'{"event_type":"purchase", "timestamp":"%d-01-%02dT%02d:%02d:%02d", "id": "%b", '
        b'"amount": "%.2f"}\n'
        % (
            2017 if second >= 0 else 2016,
            1 + abs(second) // 86400,
            abs(second) // 3600 % 24,
            abs(second) // 60 % 60,
            abs(second) % 60,
            who.encode(),
            amount,
        )
    )


def write_logs(folder, batch_lines, stream_lines, seed=1):
    """Write batch.json and stream.json."""
    (folder / "batch.json").write_bytes(b'{"D":"3", "T":"9"}\n' + long_log(seed, batch_lines))
    (folder / "stream.json").write_bytes(long_log(seed + 1, stream_lines))
