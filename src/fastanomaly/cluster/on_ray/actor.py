"""The process of a shard."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from fastanomaly._version import __version__
from fastanomaly.cluster.messages import Batch, Verdicts, receiver
from fastanomaly.cluster.shard import UnfinishedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastanomaly.cluster.exchange import MakeShard
    from fastanomaly.cluster.messages import Message
    from fastanomaly.cluster.shard import Shard
    from fastanomaly.snapshots.parts import StateFiles

_ROUNDS, _ROUND_SECONDS = 200, 0.01


class ShardActor:
    """A shard in a process of its own, which sends asks and answers to the others itself.

    Parameters
    ----------
    make_shard : callable
        Makes the shard of a number.
    number : int
        Its number.

    Notes
    -----
    Ray runs all calls on one event loop, so the shard is used by one thread. Messages to a
    process that ends are lost without an error: who misses verdicts calls `repeat`. A process
    that Ray has restarted ignores all messages until `begin` was called.
    """

    def __init__(self, make_shard: MakeShard, number: int) -> None:
        self._make_shard = make_shard
        self._number = number
        self._shard: Shard | None = None
        self._peers: Sequence[Any] = ()
        self._verdicts: list[Verdicts] = []
        self._failure: Exception | None = None
        self._news = asyncio.Event()
        self._takers = 0

    def __repr__(self) -> str:
        return f"shard {self._number}"

    async def version(self) -> str:
        """Return the version of fastanomaly on its machine."""
        return __version__

    async def process(self) -> int:
        """Return the number of its process."""
        return os.getpid()

    async def begin(self, peers: Sequence[Any], files: StateFiles | None, first: int) -> bool:
        """Make the shard, empty or of a saved state; messages before are forgotten.

        Parameters
        ----------
        peers : sequence
            The actors to which it will send messages, by number of the shard.
        files : StateFiles or None
            The saved state.
        first : int
            The number of the batch that it needs first.

        Returns
        -------
        bool
            True.
        """
        self._shard = None
        self._peers = peers
        self._verdicts.clear()
        self._failure = None
        shard = self._make_shard(self._number)
        if files is not None:
            shard.load(files, first)
        self._shard = shard
        return True

    async def receive(self, messages: Sequence[Message]) -> None:
        """Take messages, and send what follows from them; without any, go on after a failure.

        What fails is raised by `take`.
        """
        if self._shard is None:
            return
        if not messages:
            self._send(self._shard.resume)
        for message in messages:
            self._send(partial(self._shard.receive, message))

    async def repeat(self) -> int | None:
        """Send again what may have been lost.

        Returns the number of the next batch that it needs; None if it has not begun.
        """
        if self._shard is None:
            return None
        self._send(self._shard.repeat)
        return self._shard.next

    async def take(self) -> list[Verdicts]:
        """Wait until there are verdicts, and return them; or raise what has failed.

        A call that still waits when there is another one returns none.
        """
        self._takers += 1
        taker = self._takers
        self._news.set()
        while taker == self._takers and not self._verdicts and self._failure is None:
            self._news.clear()
            await self._news.wait()
        if taker != self._takers:
            return []
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        verdicts, self._verdicts = self._verdicts, []
        return verdicts

    async def call(self, batches: int, method: str, *arguments: Any) -> list[Any] | None:
        """Return what a method of the shard returns after so many batches, in a list.

        None if it lacks some, or what it must finish before. Calls may overtake each other,
        and a shard that was rebuilt asks once more for verdicts that have come already.
        """
        for _ in range(_ROUNDS):
            if self._shard is not None and self._shard.next == batches:
                with suppress(UnfinishedError):
                    return [getattr(self._shard, method)(*arguments)]
            await asyncio.sleep(_ROUND_SECONDS)
        return None

    def _send(self, work: Callable[[], list[Message]]) -> None:
        """Do some work, and send the messages that it returns."""
        try:
            messages = work()
        except Exception as error:
            self._failure = error
            self._news.set()
            return
        by_peer: dict[int, list[Message]] = {}
        for message in messages:
            if isinstance(message, Verdicts):
                self._verdicts.append(message)
                self._news.set()
            elif not isinstance(message, Batch):
                by_peer.setdefault(receiver(message), []).append(message)
        for to, sent in by_peer.items():
            self._peers[to].receive.remote(sent)
