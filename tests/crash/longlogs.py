"""Generate logs that take long enough to be killed, with all kinds of lines."""

import random

from lines import befriend, parameters, purchase

DIRTY = [b"garbage", b"{}", b"\xff\xfe", b'{"event_type":"befriend","id1":"1","id2":"1"}', b""]


def long_log(seed, lines, users=60):
    """Return a log without a parameter line."""
    choose = random.Random(seed)
    return b"".join(_line(choose, number, users) for number in range(lines))


def _line(choose, number, users):
    kind = choose.random()
    one, other = choose.sample(range(users), 2)
    if kind < 0.05:
        return choose.choice(DIRTY) + b"\n"
    if kind < 0.2:
        name = choose.choice([b"befriend", b"befriend", b"unfriend"])
        return befriend(one, f"user {other}").replace(b"befriend", name)
    second = number // 3 - (choose.randrange(2000) if kind < 0.3 else 0)
    amount = choose.choice([10, 11, 12, 900]) + choose.random()
    user = choose.choice(["%d", "user %d"]) % one
    year = 2017 if second >= 0 else 2016
    days, second = divmod(abs(second), 86400)
    time = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return purchase(user, f"{amount:.2f}", f"{year}-01-{1 + days:02d}T{time}")


def write_logs(folder, batch_lines, stream_lines, seed=1):
    """Write batch.json and stream.json."""
    (folder / "batch.json").write_bytes(parameters(3, 9) + long_log(seed, batch_lines))
    (folder / "stream.json").write_bytes(long_log(seed + 1, stream_lines))
