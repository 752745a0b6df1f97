"""What shards have done, and what judging has cost them, counted."""

from __future__ import annotations

from typing import NamedTuple

from fastanomaly.results.measures import Work


class ShardWork(NamedTuple):
    """What judging has cost a shard so far, by what it was done for.

    Attributes
    ----------
    searches : Work
        Of its own searches: to the end, or until other shards had to be asked.
    members_sorted : int
        Members of networks whose newest times were looked at, to find out whom to ask.
    answered : int
        Members and purchases that were looked at to answer other shards.
    finished : int
        Purchases that were looked at to finish verdicts with answers.
    asked_once, asked_twice : int
        The verdicts that needed one round of answers, or two; all others needed none.
    """

    searches: Work
    members_sorted: int
    answered: int
    finished: int
    asked_once: int
    asked_twice: int

    @property
    def total(self) -> int:
        """The sum of all that was looked at."""
        return sum(self.searches) + self.members_sorted + self.answered + self.finished


class ShardProgress(NamedTuple):
    """What a shard has done since its process has begun.

    Attributes
    ----------
    events : int
        Events applied, with those of the state it began with.
    judged : int
        Purchases of its own users that it has judged.
    asks, answers : int
        Messages sent.
    bytes : int
        What they carried.
    waited : int
        Batches whose verdicts had to wait for answers.
    """

    events: int
    judged: int
    asks: int
    answers: int
    bytes: int
    waited: int
