"""How messages get to shards: the interface, and the way within one process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from fastanomaly.cluster.messages import Batch, Traffic, Verdicts, receiver

if TYPE_CHECKING:
    from fastanomaly.cluster.messages import Message
    from fastanomaly.cluster.shard import Shard
    from fastanomaly.snapshots.parts import StateFiles

MakeShard: TypeAlias = "Callable[[int], Shard]"
"""Makes the shard of a number; it can be pickled."""


class Exchange(Protocol):
    """Carries messages to shards and among them, and verdicts back.

    Messages may overtake each other or arrive twice, but none may be lost.
    """

    @property
    def traffic(self) -> Traffic:
        """What was sent."""

    @property
    def shards(self) -> int:
        """K."""

    def send(self, batch: Batch) -> None:
        """Send a batch to every shard, without waiting for it."""

    def poll(self) -> Sequence[Verdicts]:
        """Return verdicts that have arrived, perhaps none."""

    def wait(self) -> Sequence[Verdicts]:
        """Return verdicts, and wait until there are some."""

    def call(self, number: int, method: str, *arguments: object) -> Any:
        """Return what a method of a shard returns, such as its counts.

        All verdicts on all batches have been returned. The method changes nothing in the
        shard, since it may be called again if the answer is lost.
        """

    def call_all(self, method: str, *arguments: object) -> list[Any]:
        """Return what a method of each shard returns, in their order; see `call`."""

    def saved(self, files: StateFiles) -> None:
        """Note that what `Shard.save` has written is a whole snapshot to start from."""

    def load(self, files: StateFiles) -> None:
        """Have all shards read a state, see `Shard.load`; messages on their way are dropped.

        Batches are numbered from 0 again. If one fails, others may have read it: only `load`
        may be called then.
        """

    def close(self) -> None:
        """End the shards; nothing is called after that."""


class LocalExchange:
    """Shards in one process, which take messages in the order in which they were sent.

    Parameters
    ----------
    make_shard : callable
        Makes the shard of a number.
    shards : int
        K.
    """

    def __init__(self, make_shard: MakeShard, shards: int) -> None:
        self._sent = Traffic()  # of batches
        self._shards = [make_shard(number) for number in range(shards)]
        self._queue: deque[tuple[int, Message]] = deque()
        self._verdicts: list[Verdicts] = []
        self._failed: set[int] = set()

    @property
    def traffic(self) -> Traffic:
        """What was sent."""
        return self._sent.plus(self.call_all("sent"))

    @property
    def shards(self) -> int:
        """K."""
        return len(self._shards)

    def send(self, batch: Batch) -> None:
        """Queue a batch for every shard."""
        self._sent.count(batch, self.shards)
        for number in range(self.shards):
            self._post(number, batch)

    def poll(self) -> list[Verdicts]:
        """Deliver all messages, and return the verdicts.

        Raises what a shard raises; the next call resumes its work.
        """
        self._resume_failed()
        while self._queue:
            self._deliver(*self._queue.popleft())
        verdicts, self._verdicts = self._verdicts, []
        return verdicts

    def wait(self) -> list[Verdicts]:
        """Do the same, and raise RuntimeError if there are none."""
        verdicts = self.poll()
        if not verdicts:
            raise RuntimeError("no message is on its way, but verdicts are missing")
        return verdicts

    def call(self, number: int, method: str, *arguments: object) -> Any:
        """Return what a method of a shard returns."""
        return getattr(self._shards[number], method)(*arguments)

    def call_all(self, method: str, *arguments: object) -> list[Any]:
        """Call a method of one shard after another."""
        return [self.call(number, method, *arguments) for number in range(self.shards)]

    def saved(self, files: StateFiles) -> None:
        """Do nothing: shards in this process do not start again."""

    def load(self, files: StateFiles) -> None:
        """Have one shard after another read a state."""
        self._queue.clear()
        self._verdicts.clear()
        self._failed.clear()
        for shard in self._shards:
            shard.load(files)

    def close(self) -> None:
        """Free the shards."""
        self._shards.clear()
        self._queue.clear()

    def _post(self, to: int, message: Message) -> None:
        self._queue.append((to, message))

    def _deliver(self, to: int, message: Message) -> None:
        """Let a shard take a message, and post what it sends."""
        self._failed.add(to)
        self._route(self._shards[to].receive(message))
        self._failed.remove(to)

    def _resume_failed(self) -> None:
        for number in sorted(self._failed):
            self._route(self._shards[number].resume())
            self._failed.remove(number)

    def _route(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if isinstance(message, Verdicts):
                self._verdicts.append(message)
            elif not isinstance(message, Batch):
                self._post(receiver(message), message)
