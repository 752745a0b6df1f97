"""What shards are sent, and send: named tuples of numbers, arrays and bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias


class Batch(NamedTuple):
    """A part of the log, which every shard gets.

    Attributes
    ----------
    number : int
        Batches are numbered from 0, in the order of the log.
    seq : int
        The place where it begins: the number of purchases before it.
    released : int
        The first batch of which not all verdicts are known: no shard will ask about those
        before it.
    columns : tuple
        Kinds, times, users, friends and amounts, as `columns.event_columns` returns them; or
        both columns of ids as bytes, see engine/id_texts.pxd.
    judged : bool
        Whether its purchases are judged.
    adjusted : tuple of two int
        Of how many of its purchases the amount was rounded, and the time cut, see `Detector`.
    """

    number: int
    seq: int
    released: int
    columns: tuple[Any, Any, Any, Any, Any]
    judged: bool
    adjusted: tuple[int, int] = (0, 0)


class Asks(NamedTuple):
    """What a shard asks an owner about the purchases of a batch, all at once.

    Attributes
    ----------
    asker, owner : int
        The numbers of the shards.
    batch : int
        Asked is for histories as of the beginning of that batch.
    attempt : int
        0, or 1 where the first answers were too short.
    packet : bytes
        See engine/packet.pxd.
    """

    asker: int
    owner: int
    batch: int
    attempt: int
    packet: bytes


class Answers(NamedTuple):
    """The answers to `Asks`; the attributes are the same."""

    asker: int
    owner: int
    batch: int
    attempt: int
    packet: bytes


class Verdicts(NamedTuple):
    """All verdicts of a shard on the purchases of its users in a batch.

    Attributes
    ----------
    shard : int
        Its number.
    batch : int
        The number of the batch.
    flags : bytes
        An array of ShardFlag, see engine/packet.pxd, in any order: row of the batch, n, mean
        and sd in cents, and the sums.
    """

    shard: int
    batch: int
    flags: bytes


Message: TypeAlias = Batch | Asks | Answers | Verdicts


def receiver(message: Asks | Answers) -> int:
    """Return the number of the shard that a message is for."""
    return message.owner if isinstance(message, Asks) else message.asker


def payload_bytes(message: Message) -> int:
    """Return the bytes of what a message carries; ids that are not in an array as UTF-8."""
    if isinstance(message, Batch):
        return sum(map(_column_bytes, message.columns))
    if isinstance(message, Verdicts):
        return len(message.flags)
    return len(message.packet)


def _column_bytes(column: Any) -> int:
    if isinstance(column, list):
        return sum(len(str(value).encode()) for value in column)
    if isinstance(column, bytes):
        return len(column)
    return int(column.nbytes)


@dataclass
class Traffic:
    """Messages sent so far, and the bytes of what they carried, by kind of message.

    Kinds are ``batch``, which counts once for each shard, ``asks``, ``answers`` and
    ``verdicts``; ``asks again`` and ``answers again`` where the first were too short.
    """

    messages: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)

    def count(self, message: Message, copies: int = 1) -> None:
        """Count a message that is sent so many times."""
        name = type(message).__name__.lower()
        if isinstance(message, Asks | Answers) and message.attempt > 0:
            name += " again"
        self.messages[name] = self.messages.get(name, 0) + copies
        self.bytes[name] = self.bytes.get(name, 0) + copies * payload_bytes(message)

    def plus(self, others: Iterable[Traffic]) -> Traffic:
        """Return the sum of this and others."""
        total = Traffic(dict(self.messages), dict(self.bytes))
        for other in others:
            for name, count in other.messages.items():
                total.messages[name] = total.messages.get(name, 0) + count
                total.bytes[name] = total.bytes.get(name, 0) + other.bytes[name]
        return total
