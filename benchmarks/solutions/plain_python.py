"""Plain Python: a list of sets, and a breadth-first search level by level.

Run it as `python -m benchmarks.solutions.plain_python BATCH STREAM OUT`.
"""

from benchmarks.solutions import common


class SetGraph:
    """The friends of every user, in sets."""

    def __init__(self) -> None:
        self.friends: list[set[int]] = []

    def add_user(self, user: int) -> None:
        """Add a new user."""
        self.friends.append(set())

    def befriend(self, a: int, b: int) -> None:
        """Make two users friends."""
        self.friends[a].add(b)
        self.friends[b].add(a)

    def unfriend(self, a: int, b: int) -> None:
        """End a friendship."""
        self.friends[a].discard(b)
        self.friends[b].discard(a)

    def batch_log_done(self) -> None:
        """Do nothing: sets are always ready."""

    def network(self, user: int, degree: int) -> set[int]:
        """Return the users at distance 1 to `degree` from `user`."""
        friends = self.friends
        reached = {user}
        rim = reached
        for _ in range(degree):
            rim = set().union(*[friends[v] for v in rim]) - reached
            if not rim:
                break
            reached |= rim
        reached.discard(user)
        return reached


def detect(batch: str, stream: str, out: str) -> common.Phases:
    """Write the anomalous purchases of `stream` to `out`; return the time of each log."""
    return common.replay(SetGraph, batch, stream, out)


if __name__ == "__main__":
    common.main(detect)
