"""What was counted and measured: the data that plans are made from.

`python benchmarks/cluster_counts.py` prints these counts; docs/cluster.md has all of them.
"""

from __future__ import annotations

from typing import NamedTuple


class Counted(NamedTuple):
    """What judging costs a cluster, for each purchase.

    Attributes
    ----------
    bytes : float
        Of asks and answers.
    asked : float
        The part of the purchases for which other shards had to be asked.
    rounds : float
        Rounds of answers, on average.
    work : float
        What all shards looked at together, in proportion to one process.
    """

    bytes: float
    asked: float
    rounds: float
    work: float

    @property
    def bytes_if_asked(self) -> float:
        """The bytes for each purchase for which others were asked."""
        return self.bytes / self.asked if self.asked > 0 else 0.0


COUNTED_TRACKED = 50
"""T."""

COUNTED_SHARDS = (1, 2, 4, 8, 16, 32, 64)
"""K of the rows below, each twice the one before."""

COUNTED = {
    1: (
        Counted(0.0, 0.0, 0.0, 1.181),
        Counted(1000.6, 0.99938, 0.99988, 1.964),
        Counted(1732.2, 1.0, 1.01956, 2.11),
        Counted(2328.1, 1.0, 1.10254, 2.198),
        Counted(2863.3, 1.0, 1.2099, 2.31),
        Counted(3298.1, 1.0, 1.29157, 2.411),
        Counted(3656.8, 1.0, 1.34175, 2.481),
    ),
    2: (
        Counted(0.0, 0.0, 0.0, 1.008),
        Counted(586.9, 0.75143, 0.75143, 1.013),
        Counted(945.4, 0.75143, 0.75143, 1.013),
        Counted(1256.5, 0.75143, 0.75149, 1.013),
        Counted(1652.8, 0.75143, 0.75155, 1.014),
        Counted(2162.6, 0.75143, 0.75162, 1.015),
        Counted(2707.7, 0.75143, 0.75155, 1.015),
    ),
    3: (
        Counted(0.0, 0.0, 0.0, 1.001),
        Counted(0.3, 0.00044, 0.00044, 1.001),
        Counted(0.6, 0.00044, 0.00044, 1.002),
        Counted(0.8, 0.00044, 0.00044, 1.0),
        Counted(1.1, 0.00044, 0.00044, 1.001),
        Counted(1.5, 0.00044, 0.00044, 1.001),
        Counted(1.8, 0.00044, 0.00044, 1.001),
    ),
    4: (
        Counted(0.0, 0.0, 0.0, 1.002),
        Counted(0.0, 0.0, 0.0, 1.0),
        Counted(0.0, 0.0, 0.0, 1.0),
        Counted(0.0, 0.0, 0.0, 0.998),
        Counted(0.0, 0.0, 0.0, 1.001),
        Counted(0.0, 0.0, 0.0, 1.0),
        Counted(0.0, 0.0, 0.0, 1.0),
    ),
}
"""By D: at 10^6 users, with 20 friends and 10 purchases each, and a hub of a tenth of all."""

JUDGE_US = {
    10**4: (2.7, 5.0, 6.9, 8.0, 8.4),
    10**6: (9.61, 130.0, 127.0, 343.0, 482.0),
    10**7: (32.9, 782.0, 1056.0, 2535.0, 2810.0),
}
"""By users, for D = 1 to 5: microseconds to judge a purchase, measured, docs/benchmarks.md.

With 20 friends a user and a hub of a tenth of all users; at 10^4 users without hubs.
"""

BATCH_BYTES_PER_EVENT = 33
"""Of columns in which ids are numbers: a byte and four int64."""
