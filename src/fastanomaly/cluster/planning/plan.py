"""The smallest cluster that holds a log and judges it in time, or one process if that does."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from fastanomaly.cluster.planning.costs import (
    APPLY_US,
    BATCH_EVENTS,
    PURCHASE_SHARE,
    StateMemory,
    apply_load,
    asked_bytes,
    batch_bytes,
    counted_at,
    judge_load,
    judge_us,
    most_asked_bytes,
    state_memory,
)
from fastanomaly.cluster.planning.needs import GB, Machine, Needs, check_machine, check_needs
from fastanomaly.errors import UsageError
from fastanomaly.rules.parameters import MAX_SHARDS

USED_MEMORY = 0.8
"""The part of a machine's memory that states may fill: the rest is for what grows."""

LOAD = 0.7
"""The part of the time that a thread or a network may be busy, so that queues stay short."""

ROUND_TRIP_US = 500.0
"""From a message to the answer, without what the answer costs."""

_BITS = 8
_GIGA = 1e9


class Plan(NamedTuple):
    """What is needed for a log.

    Attributes
    ----------
    needs : Needs
    machine : Machine
    shards : int
        K; 1 stands for one process, which is no cluster.
    machines : int
        How many, without spares.
    spares : int
        Machines that take over for those that fail.
    threads : int
        That judge in one process, or in each shard.
    reasons : list of str
        Why one process is not enough: ``memory``, ``judging``, ``failures``.
    alone_threads : int or None
        How many threads one process would need; None: applying alone takes too long.
    alone : StateMemory
        What one process with these threads would need, but no more than there are cores.
    bounds : dict of str to int
        The smallest K by itself for ``memory``, ``judging`` and ``network``.
    memory : StateMemory
        Of a shard, or of the process.
    """

    needs: Needs
    machine: Machine
    shards: int
    machines: int
    spares: int
    threads: int
    reasons: list[str]
    alone_threads: int | None
    alone: StateMemory
    bounds: dict[str, int]
    memory: StateMemory

    @property
    def shards_a_machine(self) -> int:
        """How many shards the fullest machine has."""
        return math.ceil(self.shards / self.machines)

    @property
    def memory_limit(self) -> float:
        """The bytes of a machine that may be used."""
        return memory_limit(self.machine)

    @property
    def judging(self) -> float:
        """How many threads judging keeps busy, of all shards together."""
        return judge_load(self.needs, self.shards)

    @property
    def load(self) -> float:
        """How busy each thread of a shard or of one process is; 1 is always."""
        return apply_load(self.needs) + self.judging / (self.shards * self.threads)

    @property
    def sequencer_bytes(self) -> float:
        """The bytes a second that go out to all shards."""
        return batch_bytes(self.needs) * self.shards

    @property
    def machine_bytes(self) -> float:
        """The bytes a second that the fullest machine gets, or sends, but for its batches."""
        return shard_bytes(self.needs, self.shards) * self.shards_a_machine

    @property
    def asked_bytes(self) -> float:
        """The bytes a second of asks and answers of all shards together."""
        return asked_bytes(self.needs, self.shards) * self._purchases

    @property
    def most_asked_bytes(self) -> float:
        """The same if every purchase had to ask."""
        return most_asked_bytes(self.needs, self.shards) * self._purchases

    @property
    def rounds(self) -> float:
        """How often a purchase waits for answers, on average; at most 2."""
        return counted_at(self.needs.degree, self.shards).rounds

    @property
    def fill_us(self) -> float:
        """How long a batch takes to fill."""
        return BATCH_EVENTS / self.needs.rate * 1e6

    @property
    def batch_us(self) -> float:
        """How long a shard works on a batch: its own purchases are judged, all applied."""
        return BATCH_EVENTS * self.load / self.needs.rate * 1e6

    def latency_us(self, rounds: float) -> float:
        """Return the time from the first event of a batch to its flags, in a cluster."""
        return self.fill_us + self.batch_us + (rounds + 1) * ROUND_TRIP_US

    @property
    def _purchases(self) -> float:
        return self.needs.rate * PURCHASE_SHARE

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers, for JSON; those of messages and latency of a cluster only."""
        cluster = {
            "batch_bytes_per_second": self.sequencer_bytes,
            "machine_bytes_per_second": self.machine_bytes,
            "asked_bytes_per_second": self.asked_bytes,
            "most_asked_bytes_per_second": self.most_asked_bytes,
            "rounds": self.rounds,
            "latency_us": self.latency_us(self.rounds),
            "most_latency_us": self.latency_us(2),
        }
        return {
            **self._asdict(),
            "needs": self.needs._asdict(),
            "machine": self.machine._asdict(),
            "alone": self.alone._asdict(),
            "memory": {**self.memory._asdict(), "total": self.memory.total},
            "memory_limit_bytes": self.memory_limit,
            "apply_us": APPLY_US,
            "judge_us": judge_us(self.needs),
            "judging": self.judging,
            "load": self.load,
            **(cluster if self.shards > 1 else {}),
        }


def memory_limit(machine: Machine) -> float:
    """Return the bytes of a machine that may be used."""
    return USED_MEMORY * machine.memory_gb * GB


def network_limit(machine: Machine) -> float:
    """Return the bytes a second that may go to a machine, or come from it."""
    return LOAD * machine.network_gbit * _GIGA / _BITS


def shard_bytes(needs: Needs, shards: int) -> float:
    """Return the bytes a second that one of K shards gets: batches, and asks and answers."""
    asked = asked_bytes(needs, shards) * needs.rate * PURCHASE_SHARE
    return batch_bytes(needs) + asked / shards


def plan_cluster(needs: Needs, machine: Machine | None = None) -> Plan:
    """Return the smallest cluster that is enough, or one process if that is.

    Parameters
    ----------
    needs : Needs
        The log.
    machine : Machine, optional
        What each machine has; by default 256 GB, 16 cores and 10 Gbit/s.

    Raises
    ------
    ParameterError
        If a value is out of range; the message has its name.
    UsageError
        If no number of shards up to 1,024 is enough; the message says why.

    Notes
    -----
    Costs at most a thousand evaluations of a formula. Memory is counted, times are measured
    on other machines or assumed: docs/cluster.md says which.

    Examples
    --------
    >>> from fastanomaly.cluster.planning import Needs, plan_cluster
    >>> needs = Needs(10**6, friends=20, purchases=10, tracked=50, degree=3, rate=1000)
    >>> plan = plan_cluster(needs)
    >>> plan.shards, plan.threads, plan.reasons
    (1, 1, [])
    """
    machine = machine or Machine()
    check_needs(needs)
    check_machine(machine)
    threads = _threads_needed(needs)
    alone = state_memory(needs, 1, min(threads or 1, machine.cores))
    reasons = _reasons(needs, machine, threads, alone)
    if not reasons and threads is not None:
        return Plan(needs, machine, 1, 1, 0, threads, [], threads, alone, {}, alone)
    return _clustered(needs, machine, reasons, threads, alone)


def _threads_needed(needs: Needs) -> int | None:
    """Return how many threads one process needs to judge in time, or None."""
    left = LOAD - apply_load(needs)
    return max(1, math.ceil(judge_load(needs, 1) / left)) if left > 0 else None


def _reasons(
    needs: Needs, machine: Machine, threads: int | None, alone: StateMemory
) -> list[str]:
    """Return why one process is not enough."""
    found = []
    if alone.total > memory_limit(machine):
        found.append("memory")
    if threads is None or threads > machine.cores:
        found.append("judging")
    if needs.may_fail > 0:
        found.append("failures")
    return found


def _clustered(
    needs: Needs,
    machine: Machine,
    reasons: list[str],
    threads: int | None,
    alone: StateMemory,
) -> Plan:
    """Return the plan of the smallest K; raises UsageError."""
    bounds = {
        "memory": _least_for_memory(needs, machine),
        "judging": _least_to_judge(needs, machine.cores),
        "network": _least_for_network(needs, machine),
    }
    shards = max(2, *bounds.values())
    shard_threads = _threads_of_shard(needs, shards)
    memory = state_memory(needs, shards, shard_threads)
    room = min(
        int(memory_limit(machine) / memory.total),
        int(network_limit(machine) / shard_bytes(needs, shards)),
        machine.cores // shard_threads,
    )
    _check_sequencer(needs, machine, shards)
    return Plan(
        needs,
        machine,
        shards,
        max(math.ceil(shards / room), 2 if needs.may_fail else 1),
        needs.may_fail,
        shard_threads,
        reasons,
        threads,
        alone,
        bounds,
        memory,
    )


def _threads_of_shard(needs: Needs, shards: int) -> int:
    """Return how many threads each of K shards needs to judge its part in time."""
    left = LOAD - apply_load(needs)
    return max(1, math.ceil(judge_load(needs, shards) / shards / left))


def _least_for_memory(needs: Needs, machine: Machine) -> int:
    """Return the smallest K with which a shard fits a machine, with the threads it needs."""
    limit = memory_limit(machine)
    late = apply_load(needs) >= LOAD  # that is reported by itself
    for shards in range(1, MAX_SHARDS + 1):
        threads = 1 if late else min(_threads_of_shard(needs, shards), machine.cores)
        if state_memory(needs, shards, threads).total <= limit:
            return shards
    parts = state_memory(needs, MAX_SHARDS)
    raise UsageError(
        f"no number of shards fits: users and friendships alone, which every shard has, need "
        f"{(parts.total - parts.purchases) / GB:,.1f} GB, and {limit / GB:,.1f} GB of a "
        f"machine may be used: --machine-memory {machine.memory_gb:g}"
    )


def _least_to_judge(needs: Needs, cores: int) -> int:
    """Return the smallest K whose shards, with a thread a core, keep up with the log."""
    left = LOAD - apply_load(needs)
    if left <= 0:
        raise UsageError(
            f"no number of shards is enough: every shard applies every event, {APPLY_US} µs "
            f"each, and may be busy for {LOAD:.0%} of the time: --rate {needs.rate:g}"
        )
    for shards in range(1, MAX_SHARDS + 1):
        if judge_load(needs, shards) / shards <= left * cores:
            return shards
    raise UsageError(
        f"no number of shards up to {MAX_SHARDS:,} is enough: judging a purchase takes "
        f"{judge_us(needs):,.1f} µs: --rate {needs.rate:g}"
    )


def _least_for_network(needs: Needs, machine: Machine) -> int:
    """Return the smallest K whose shards get no more than a machine's network carries."""
    for shards in range(2, MAX_SHARDS + 1):
        if shard_bytes(needs, shards) <= network_limit(machine):
            return shards
    raise _network_error("each shard gets", batch_bytes(needs), machine)


def _check_sequencer(needs: Needs, machine: Machine, shards: int) -> None:
    """Raise UsageError if the batches for all shards are too much for one machine to send."""
    sent = batch_bytes(needs) * shards
    if sent > network_limit(machine):
        raise _network_error(f"{shards:,} shards get", sent, machine)


def _network_error(who: str, size: float, machine: Machine) -> UsageError:
    return UsageError(
        f"the network is not enough: {who} batches of {size * _BITS / _GIGA:,.2f} Gbit/s, and "
        f"{LOAD:.0%} may be used: --network {machine.network_gbit:g}"
    )
