"""A shard: takes messages in any order, and returns those to send."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from fastanomaly._core import ShardEngine
from fastanomaly.cluster.messages import Answers, Asks, Batch, Traffic, Verdicts
from fastanomaly.cluster.pending import PendingVerdicts
from fastanomaly.cluster.work import ShardProgress, ShardWork
from fastanomaly.detector import thread_count
from fastanomaly.results import Counts
from fastanomaly.results.measures import Memory, Work
from fastanomaly.snapshots.parts import load_part, save_part

if TYPE_CHECKING:
    from fastanomaly.cluster.messages import Message
    from fastanomaly.detector import UserId
    from fastanomaly.snapshots.parts import StateFiles


class UnfinishedError(RuntimeError):
    """A shard still has verdicts or batches to finish."""


class Shard:
    """One of K shards: all users and friendships, but the purchases of some users only.

    Parameters
    ----------
    number, shards : int
        Its number, from 0, and K.
    degree, tracked : int
        D and T.
    sigmas : tuple of int
        k as (numerator, denominator).
    threads : int, str or "auto", default "auto"
        How many threads judge its purchases, the calling one included: 1 to 256, ``auto`` as
        many as the processors that this process may use. What it sends is the same whatever
        it is, and threads are only used if a batch has enough to judge for them.

    Notes
    -----
    It does not matter in which order messages arrive, nor whether they arrive twice: batches
    are applied in the order of their numbers, asks wait until the shard has reached their
    place, and what was done before is ignored. It is used by one thread at a time.
    """

    def __init__(
        self,
        number: int,
        shards: int,
        degree: int,
        tracked: int,
        sigmas: tuple[int, int],
        threads: int | str = "auto",
    ) -> None:
        self.number = number
        self.threads = thread_count(threads)
        """How many threads may judge."""
        self.ignored = 0
        """How many messages had arrived before."""
        self._sent = Traffic()
        self.waited = 0
        """The batches whose verdicts had to wait for answers."""
        self._shards = shards
        self._parameters = degree, tracked, *sigmas
        self._begin(ShardEngine(number, shards, *self._parameters), 0)

    def _begin(self, engine: ShardEngine, first: int) -> None:
        """Begin with a state, before the batch of a number and any other message."""
        engine.set_threads(self.threads)
        self._engine = engine
        self.next = first
        """The number of the next batch to be applied."""
        self._released = first  # the number of the first batch that may be asked about
        self._seqs: dict[int, int] = {}  # places of the batches from there on
        self._batches: dict[int, Batch] = {}
        self._asks: dict[tuple[int, int, int], Asks] = {}
        self._pending: dict[int, PendingVerdicts] = {}
        self._finished: dict[int, Verdicts] = {}
        self._outgoing: list[Message] = []

    def receive(self, message: Message) -> list[Message]:
        """Take a message, and do all that can be done now.

        Parameters
        ----------
        message : Batch, Asks or Answers
            Of this cluster.

        Returns
        -------
        list of Asks, Answers and Verdicts
            What to send: to the owner, to the asker, and to who sends the batches.

        Raises
        ------
        MemoryError
            The message is kept, and nothing is lost: `resume` continues.
        ValueError
            If a batch is not a valid part of the log, or a packet is damaged.
        """
        if isinstance(message, Batch):
            self._keep_batch(message)
        elif isinstance(message, Asks):
            self._keep_asks(message)
        elif isinstance(message, Answers):
            self._keep_answers(message)
        return self.resume()

    def resume(self) -> list[Message]:
        """Do all that can be done now, after a failure; see `receive`."""
        while batch := self._batches.get(self.next):
            self._apply(batch)
            del self._batches[batch.number]
        for key, asks in list(self._asks.items()):
            if asks.batch <= self.next:
                packet = self._engine.answer(asks.packet)
                self._outgoing.append(Answers(*asks[:-1], packet))
                del self._asks[key]
        for number, pending in list(self._pending.items()):
            if pending.complete:
                made = pending.finish(self._engine)
                if isinstance(made, Verdicts):
                    self._finish(made)
                    del self._pending[number]
                else:
                    self._outgoing += made
        outgoing, self._outgoing = self._outgoing, []
        return self._counted(outgoing)

    def repeat(self) -> list[Message]:
        """Return what was sent, but may have been lost.

        These are asks without answers, and verdicts on batches that may not be complete.
        """
        asks = [pending.asks() for pending in self._pending.values()]
        return self._counted([*self._finished.values(), *chain.from_iterable(asks)])

    def _counted(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            self._sent.count(message)
        return messages

    def _keep_batch(self, batch: Batch) -> None:
        if batch.number < self.next or batch.number in self._batches:
            self.ignored += 1
        else:
            self._batches[batch.number] = batch

    def _keep_asks(self, asks: Asks) -> None:
        key = asks.asker, asks.batch, asks.attempt
        if asks.batch < self._released or key in self._asks:
            self.ignored += 1  # the asker has finished that batch, or is answered soon
        else:
            self._asks[key] = asks

    def _keep_answers(self, answers: Answers) -> None:
        pending = self._pending.get(answers.batch)
        if pending is None or not pending.add(answers):
            self.ignored += 1

    def _apply(self, batch: Batch) -> None:
        """Judge and apply the next batch."""
        self._seqs[batch.number] = batch.seq
        self._release(batch.released)
        flags, open_verdicts, asks = self._engine.feed(
            batch.seq, *batch.columns, judged=batch.judged, adjusted=batch.adjusted
        )
        self.next += 1
        if open_verdicts is None:
            self._finish(Verdicts(self.number, batch.number, flags))
        else:
            pending = PendingVerdicts(self.number, batch.number, flags, open_verdicts, asks)
            self._pending[batch.number] = pending
            self.waited += 1
            self._outgoing += pending.asks()

    def _finish(self, verdicts: Verdicts) -> None:
        """Send verdicts, and keep them until the batch is complete."""
        self._finished[verdicts.batch] = verdicts
        self._outgoing.append(verdicts)

    def _release(self, number: int) -> None:
        """Forget what only asks about batches before that number need."""
        while self._released < number:
            del self._seqs[self._released]
            self._finished.pop(self._released, None)
            self._released += 1
        self._engine.release(self._seqs[number])

    def save(self, folder: str, header: dict[str, Any]) -> dict[str, Any]:
        """Write its state to its file of a snapshot.

        Parameters
        ----------
        folder : str
            The snapshot's folder, a path or URL.
        header : dict
            Members of the file's header, for JSON, among them ``token``.

        Returns
        -------
        dict
            For `snapshots.writing.write_snapshot`.

        Raises
        ------
        UnfinishedError
            If verdicts or batches are not finished.
        OSError
            If it cannot be written.
        """
        if self._pending or self._batches or self._outgoing:
            raise UnfinishedError(f"shard {self.number} has not finished: it cannot be saved")
        return save_part(self._engine, folder, self.number, self._shards, header)

    def load(self, files: StateFiles, first: int = 0) -> None:
        """Take what is its own of a saved state, and forget all else.

        Parameters
        ----------
        files : StateFiles
            Where it is.
        first : int, default 0
            The number of the batch that begins at the saved place.

        Raises
        ------
        CheckpointError
            If a file is missing, damaged, or not of this snapshot; nothing has changed.
        OSError, MemoryError
            Nothing has changed either.
        """
        engine = ShardEngine(self.number, self._shards, *self._parameters)
        load_part(engine, self.number, self._shards, files)
        self._begin(engine, first)

    def set_degree(self, degree: int) -> None:
        """Judge the purchases of the batches to come under another D."""
        self._engine.set_degree(degree)

    def counts(self) -> Counts:
        """Return its counts: without flags, and `kept` those of its own users."""
        return Counts(*self._engine.counts())

    def network(self, user: UserId) -> list[str]:
        """Return the ids of the users within D of a user, nearest first."""
        return self._engine.network(user)

    def sample_users(self, most: int) -> list[str]:
        """Return the ids of `most` users, evenly spread by first appearance."""
        return self._engine.sample_users(most)

    def latest(
        self, user: UserId, degree: int, tracked: int
    ) -> list[tuple[int, int, int, int]]:
        """Return the latest purchases of its own users in a network, newest first.

        Parameters
        ----------
        user : str or int
            Whose network.
        degree, tracked : int
            D, and how many at most.

        Returns
        -------
        list of tuple
            time_us, place in the log, uid and amount_units of each.
        """
        return self._engine.latest(user, degree, tracked)

    def paths(
        self, user: UserId, degree: int, uids: list[int]
    ) -> tuple[list[int], list[tuple[str, ...]]]:
        """Return the sizes of a network, and a path of friends to each of some members.

        Parameters
        ----------
        user : str or int
            Whose network.
        degree : int
            D.
        uids : list of int
            Users in the network.

        Returns
        -------
        sizes : list of int
            The number of users at distance 1, 2, ...
        paths : list of tuple of str
            The ids along a shortest path from the user to each of `uids`.
        """
        return self._engine.paths(user, degree, uids)

    def newest_us(self) -> int | None:
        """Return the newest timestamp of a purchase of any user, or None."""
        return self._engine.newest_us()

    def memory(self) -> Memory:
        """Return the bytes that its engine has allocated; messages kept are not counted.

        Purchases include those that were dropped, but may be asked for.
        """
        return Memory(*self._engine.memory())

    def work(self) -> ShardWork:
        """Return what judging and answering have cost so far."""
        judged, *others = self._engine.work()
        return ShardWork(Work(*judged), *others)

    def sent(self) -> Traffic:
        """Return the messages that it has sent."""
        return self._sent

    def progress(self) -> ShardProgress:
        """Return what it has done so far."""
        sent = self._sent
        asks, answers = (
            [kind for kind in sent.messages if kind.startswith(name)]
            for name in ("asks", "answers")
        )
        return ShardProgress(
            self.counts().events,
            self._engine.judged,
            sum(sent.messages[kind] for kind in asks),
            sum(sent.messages[kind] for kind in answers),
            sum(sent.bytes[kind] for kind in asks + answers),
            self.waited,
        )

    def evicted(self) -> int:
        """Return how many dropped purchases are kept, since they may be asked for."""
        return self._engine.evicted()[0]

    def check(self) -> None:
        """Raise AssertionError if its state contradicts itself; costs the whole state."""
        self._engine.check()
