"""Messages between this process and the actors of Ray that run the shards."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import uuid4

import ray
from ray.exceptions import (
    ActorHandleNotFoundError,
    GetTimeoutError,
    ObjectLostError,
    RayActorError,
    RayTaskError,
)

from fastanomaly._version import __version__
from fastanomaly.cluster.messages import Traffic, payload_bytes
from fastanomaly.cluster.on_ray.actor import ShardActor
from fastanomaly.cluster.on_ray.kept import KeptBatches
from fastanomaly.errors import ClusterError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastanomaly.cluster.exchange import MakeShard
    from fastanomaly.cluster.messages import Batch, Verdicts
    from fastanomaly.snapshots.parts import StateFiles

LOST_AFTER_SECONDS = 300.0
KEPT_BYTES = 1 << 28
_QUIET_SECONDS = 2.0  # without any verdict: what was sent may be lost
_RETRY_SECONDS = 0.1
_PATIENT_SECONDS = 15.0  # until the operator is told what is waited for
_SHIPMENT_BYTES = 256 * 1024
_GONE = RayActorError, ObjectLostError  # large answers stay on a machine until they are read
_INLINE_BYTES = 64 * 1024  # Ray sends small values with the call, without its object store


class RayExchange:
    """Shards that run as actors of Ray, to which this process is connected.

    Parameters
    ----------
    make_shard : callable
        Makes the shard of a number.
    shards : int
        K.
    processors : int, default 1
        How many processors of the cluster each shard takes.
    lost_after : float, default 300
        How many seconds a shard may give no sign before it is taken for lost.
    on_notice : callable, optional
        Called with text that the operator should know, such as that a shard has restarted.

    Raises
    ------
    UsageError
        If a machine of the cluster has another version of fastanomaly.
    ClusterError
        If the cluster has no room for all shards within `lost_after` seconds.

    Notes
    -----
    Shards send asks and answers to each other, and verdicts come here. Ray restarts the
    process of a shard that ends, perhaps on another machine; the shard then gets the batches
    again that it needs. If nothing arrives for two seconds, all send again what may be lost.
    """

    def __init__(
        self,
        make_shard: MakeShard,
        shards: int,
        *,
        processors: int = 1,
        lost_after: float = LOST_AFTER_SECONDS,
        on_notice: Callable[[str], object] | None = None,
    ) -> None:
        self._processors = processors
        self._lost_after = lost_after
        self._on_notice = on_notice or (lambda text: None)
        self._kept = KeptBatches(KEPT_BYTES)
        self._files: StateFiles | None = None
        self._unsent: list[Batch] = []
        self._unsent_bytes = 0
        self._batches_sent = Traffic()
        self._lost: str | None = None
        self._failed: set[int] = set()
        self._restarts: Counter[int] = Counter()  # since the last verdict
        self._arrived: list[Verdicts] = []
        run = uuid4().hex[:8]
        self._actors: list[Any] = [
            ray.remote(ShardActor)
            .options(
                name=f"fastanomaly {run} shard {number} of {shards}",
                num_cpus=processors,
                max_restarts=-1,
                max_task_retries=0,
                scheduling_strategy="SPREAD",
            )
            .remote(make_shard, number)
            for number in range(shards)
        ]
        self._check_versions()
        self._begin_all()
        self._takes = {actor.take.remote(): n for n, actor in enumerate(self._actors)}

    @property
    def shards(self) -> int:
        """K."""
        return len(self._actors)

    @property
    def traffic(self) -> Traffic:
        """What was sent, without what processes have sent that have ended since."""
        return self._batches_sent.plus(self.call_all("sent"))

    def close(self) -> None:
        """End the shards, if they have not ended with the connection to Ray."""
        self._lost = "the shards have been closed"
        if ray.is_initialized():
            with suppress(ActorHandleNotFoundError):  # of another connection
                for actor in self._actors:
                    ray.kill(actor)

    # -- sending and receiving -----------------------------------------------------------

    def send(self, batch: Batch) -> None:
        """Send a batch to every shard; small ones are sent together."""
        self._kept.add(batch)
        self._unsent.append(batch)
        self._unsent_bytes += payload_bytes(batch)
        if self._unsent_bytes >= _SHIPMENT_BYTES:
            self._ship_unsent()

    def poll(self) -> list[Verdicts]:
        """Return verdicts that have arrived, perhaps none; raises what a shard raises."""
        self._check_lost()
        self._resume_failed()
        return [] if self._unsent else self._kept.news(self._collect(0))

    def wait(self) -> list[Verdicts]:
        """Send all batches, and wait for verdicts.

        Raises what a shard raises; ClusterError if there are none for too long. Those that
        came before do not count: shards repeat them whenever another one restarts.
        """
        self._check_lost()
        self._ship_unsent()
        self._resume_failed()
        lost_at = time.monotonic() + self._lost_after
        self._restarts.clear()
        while True:
            arrived = self._collect(_QUIET_SECONDS)
            if verdicts := self._kept.news(arrived):
                return verdicts
            if time.monotonic() > lost_at:
                self._give_up(f"no verdict for {self._lost_after:g} s{self._restarted()}")
            if not arrived:
                for number in range(self.shards):
                    self._renew(number)

    def call(self, number: int, method: str, *arguments: object) -> Any:
        """Return what a method of a shard returns."""
        return self._call([number], method, arguments)[0]

    def call_all(self, method: str, *arguments: object) -> list[Any]:
        """Call a method of all shards at the same time."""
        return self._call(range(self.shards), method, arguments)

    def saved(self, files: StateFiles) -> None:
        """Note a snapshot from which shards can begin: batches before are forgotten."""
        self._files = files
        self._kept.saved()

    def load(self, files: StateFiles) -> None:
        """Have all shards read a state at the same time."""
        self._files = files
        self._kept.restart()
        self._begin_all()

    def _ship_unsent(self) -> None:
        """Send the batches that wait to every shard."""
        if not self._unsent:
            return
        for batch in self._unsent:
            self._batches_sent.count(batch, self.shards)
        self._ship(self._unsent, self._actors)
        self._unsent = []
        self._unsent_bytes = 0

    @staticmethod
    def _ship(batches: list[Batch], actors: Sequence[Any]) -> None:
        size = sum(map(payload_bytes, batches))
        shipment = batches if size <= _INLINE_BYTES else ray.put(batches)
        for actor in actors:
            actor.receive.remote(shipment)

    def _resume_failed(self) -> None:
        """Let shards go on that have raised."""
        while self._failed:
            self._actors[self._failed.pop()].receive.remote([])

    def _collect(self, seconds: float) -> list[Verdicts]:
        """Return the verdicts that have arrived; waits for the first ones.

        Raises what a shard raises; verdicts that have arrived are returned next time.
        """
        ready, _ = ray.wait(list(self._takes), num_returns=1, timeout=seconds)
        if ready:
            ready, _ = ray.wait(list(self._takes), num_returns=len(self._takes), timeout=0)
        for take in ready:
            number = self._takes.pop(take)
            try:
                self._arrived += ray.get(take)
            except _GONE:
                self._recover(number)
            except RayTaskError as error:
                self._failed.add(number)
                self._take(number)
                raise error.cause from error
            if number not in self._takes.values():
                self._take(number)
        verdicts, self._arrived = self._arrived, []
        return verdicts

    def _take(self, number: int) -> None:
        """Ask a shard for its next verdicts."""
        self._takes[self._actors[number].take.remote()] = number

    # -- shards that begin, restart or lose messages -------------------------------------

    def _check_versions(self) -> None:
        """Wait until all shards have a process, with this version of fastanomaly."""
        for number, actor in enumerate(self._actors):
            version = self._persist(number, actor.version.remote)
            if version != __version__:
                raise UsageError(
                    f"{self._name(number)}: fastanomaly {version} is installed there, and "
                    f"{__version__} here"
                )

    def _begin_all(self) -> None:
        """Let all shards begin, at the same time."""
        calls = [actor.begin.remote(*self._beginning()) for actor in self._actors]
        for number, begun in enumerate(self._values(calls)):
            if begun is None:
                self._begin(number)

    def _begin(self, number: int) -> None:
        """Let a shard begin that has no state."""
        if self._kept.start is None:
            self._give_up(
                f"{self._name(number)}: is lost, and was sent more than "
                f"{KEPT_BYTES / 1e6:,.0f} MB since the last snapshot: take snapshots more "
                "often, see --checkpoint and --every"
            )
        self._persist(number, partial(self._actors[number].begin.remote, *self._beginning()))

    def _beginning(self) -> tuple[list[Any], StateFiles | None, int]:
        """Return the arguments of `ShardActor.begin`."""
        return self._actors, self._files, self._kept.start or 0

    def _recover(self, number: int) -> None:
        """Bring a shard back whose process could not be reached; the others repeat asks."""
        self._renew(number)
        for other, actor in enumerate(self._actors):
            if other != number:
                actor.repeat.remote()

    def _renew(self, number: int) -> None:
        """Let a shard repeat what may be lost, and send it the batches that it lacks."""
        actor = self._actors[number]
        self._take(number)  # the call before may have been lost
        first = self._persist(number, actor.repeat.remote)
        if first is None:
            self._begin(number)
            first = self._kept.start
            self._restarts[number] += 1
            self._on_notice(f"{self._name(number)}: has restarted")
        for batches in self._kept.since(first, _SHIPMENT_BYTES):
            self._ship(batches, [actor])

    def _persist(self, number: int, call: Callable[[], Any]) -> Any:
        """Call a shard until it answers; raises ClusterError if that takes too long."""
        now = time.monotonic()
        lost_at, told_at = now + self._lost_after, now + _PATIENT_SECONDS
        reason = ""
        answer = call()
        while True:
            now = time.monotonic()
            try:
                return _result(answer, max(min(told_at, lost_at) - now, 0))
            except _GONE as error:
                reason = str(error).partition("\n")[0]
                time.sleep(_RETRY_SECONDS)
                answer = call()
            except GetTimeoutError:
                if now >= told_at:
                    self._on_notice(
                        f"{self._name(number)}: no answer yet: {self._room(reason)}"
                    )
                    told_at = inf
            if now >= lost_at:
                silent = f"does not answer for {self._lost_after:g} s"
                self._give_up(f"{self._name(number)}: {silent}: {self._room(reason)}")

    def _call(
        self, numbers: Sequence[int], method: str, arguments: tuple[object, ...]
    ) -> list[Any]:
        """Return what a method of shards returns once they have applied all batches."""
        self._check_lost()
        batches = self._kept.end
        lost_at = time.monotonic() + self._lost_after
        calls = [
            partial(self._actors[number].call.remote, batches, method, *arguments)
            for number in numbers
        ]
        first_values = self._values([call() for call in calls])
        found = []
        for number, call, first in zip(numbers, calls, first_values, strict=True):
            values = first
            while values is None:
                if time.monotonic() > lost_at:
                    self._give_up(f"{self._name(number)}: lacks batches")
                self._recover(number)
                values = self._persist(number, call)
            found += values
        return found

    def _values(self, calls: Sequence[Any]) -> list[Any]:
        """Return the results of calls, None for each process that has ended meanwhile.

        Raises what a shard has raised, but not before all have ended: none works on.
        """
        found: list[Any] = []
        failure: Exception | None = None
        for call in calls:
            value = None
            try:
                value = _result(call, self._lost_after)
            except (*_GONE, GetTimeoutError):
                pass
            except Exception as error:
                failure = failure or error
            found.append(value)
        if failure is not None:
            raise failure
        return found

    def _give_up(self, message: str) -> NoReturn:
        """Raise ClusterError, and do so again at once if more is asked for."""
        self._lost = message
        raise ClusterError(message)

    def _check_lost(self) -> None:
        if self._lost is not None:
            raise ClusterError(self._lost)

    def _name(self, number: int) -> str:
        return f"shard {number} of {self.shards}"

    def _restarted(self) -> str:
        """Return text on the shards that have restarted since the last verdict."""
        return "".join(
            f"; {self._name(number)} has restarted {count} times meanwhile"
            for number, count in sorted(self._restarts.items())
        )

    def _room(self, reason: str) -> str:
        """Return why a process may not answer: a reason that Ray has given, or no room."""
        found = ray.cluster_resources().get("CPU", 0)  # type: ignore[no-untyped-call]
        if reason and found >= self.shards * self._processors:
            return reason
        return f"the cluster has {found:g} processors, and each shard takes {self._processors}"


def _result(call: Any, seconds: float) -> Any:
    """Return the result of a call of an actor; raises what the actor has raised."""
    try:
        return ray.get(call, timeout=seconds)
    except RayTaskError as error:
        raise error.cause from error
