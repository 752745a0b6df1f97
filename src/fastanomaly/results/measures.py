"""What a detector measures of itself: work, times, threads and memory."""

from typing import NamedTuple


class Work(NamedTuple):
    """What a detector's searches have cost so far.

    Attributes
    ----------
    steps_walked : int
        Purchases visited in the recency log, and friends visited to decide whether their
        buyers are in the network.
    friends_marked : int
        Friends visited to mark networks.
    members_merged : int
        Members of networks whose purchases had to be merged.
    purchases_merged : int
        Their purchases that were read for that.
    """

    steps_walked: int
    friends_marked: int
    members_merged: int
    purchases_merged: int


class Latency(NamedTuple):
    """A histogram of how long the timed judgements took.

    Attributes
    ----------
    bounds : list of float
        The upper bounds of the buckets in seconds, ascending; the last is infinite.
    counts : list of int
        How many judgements are in each bucket.
    seconds : float
        The total time.
    """

    bounds: list[float]
    counts: list[int]
    seconds: float


def latency_of(counts: list[int], total_ns: int) -> Latency:
    """Return a histogram whose buckets end at 1 us, 2 us, 4 us, ..."""
    bounds = [2**i / 1e6 for i in range(len(counts) - 1)]
    return Latency([*bounds, float("inf")], counts, total_ns / 1e9)


class Sharing(NamedTuple):
    """How judgements were shared among threads, and how large the batches were.

    The events of the bulk calls are judged in batches, as many events as have been read, up
    to 1,024; of small ones the calling thread judges each purchase in turn.

    Attributes
    ----------
    busy : int
        How many threads judged purchases of the last batch.
    judgements : int
        Purchases that were judged and then recorded, those of single calls included.
    shared : int
        Those of them that several threads shared.
    seconds : float
        The time that judging the shared ones took, from the first to the last of a batch.
    bounds : list of int
        The largest numbers of events of the buckets of batches: 1, 2, 4, ... 1,024.
    batches : list of int
        How many judged batches are in each bucket.
    events : int
        The events in all of them.
    """

    busy: int
    judgements: int
    shared: int
    seconds: float
    bounds: list[int]
    batches: list[int]
    events: int


def sharing_of(
    busy: int, judgements: int, shared: int, shared_ns: int, batches: list[int], events: int
) -> Sharing:
    """Return counts of sharing whose buckets of batches end at 1, 2, 4, ... events."""
    bounds = [2**i for i in range(len(batches))]
    return Sharing(busy, judgements, shared, shared_ns / 1e9, bounds, batches, events)


class Memory(NamedTuple):
    """The bytes that a detector has allocated, by purpose.

    Attributes
    ----------
    users : int
        Tables and arrays with an entry for each user.
    ids : int
        The texts of ids that are not plain decimal numbers of up to 18 digits.
    friendships : int
        Lists of friends; each friendship is in two.
    purchases : int
        Purchases stored for later verdicts.
    recency : int
        The recency log: the newest purchases of all users.
    scratch : int
        Buffers that searches and bulk calls reuse.
    judges : int
        Buffers of the judges of further threads: at most 16 bytes a user for each, and their
        windows and queues.
    """

    users: int
    ids: int
    friendships: int
    purchases: int
    recency: int
    scratch: int
    judges: int

    @property
    def total(self) -> int:
        """Their sum."""
        return (
            self.users
            + self.ids
            + self.friendships
            + self.purchases
            + self.recency
            + self.scratch
            + self.judges
        )
