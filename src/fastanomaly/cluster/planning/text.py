"""A plan as text: what is needed and why, and for each number where it comes from."""

from __future__ import annotations

import math

from fastanomaly.cluster.planning.costs import (
    APPLY_US,
    BATCH_EVENTS,
    PURCHASE_SHARE,
    counted_at,
    judge_us,
)
from fastanomaly.cluster.planning.counted import (
    BATCH_BYTES_PER_EVENT,
    COUNTED,
    COUNTED_SHARDS,
    COUNTED_TRACKED,
    JUDGE_US,
)
from fastanomaly.cluster.planning.needs import GB
from fastanomaly.cluster.planning.plan import LOAD, ROUND_TRIP_US, USED_MEMORY, Plan
from fastanomaly.formats.tables import aligned

_MB = 1e6
_Row = tuple[str, str, str]


def plan_text(plan: Plan) -> str:
    """Return a plan as text."""
    lines = [*_answer(plan), ""]
    lines += aligned([*_memory(plan), *_times(plan), *_network(plan), *_latency(plan)], (1,))
    return "\n".join([*lines, "", *_notes(plan)])


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _size(size: float) -> str:
    """Return bytes as GB, or as MB if they are few."""
    return f"{size / GB:,.1f} GB" if size >= GB / 2 else f"{size / _MB:,.1f} MB"


def _answer(plan: Plan) -> list[str]:
    """Return what is needed, and why."""
    if plan.shards == 1:
        return [
            f"One machine is enough: one process, {_count(plan.threads, 'thread')} to judge",
        ]
    first = f"A cluster: {_count(plan.machines, 'machine')}, {plan.shards:,} shards"
    if plan.spares:
        first += f", and {_count(plan.spares, 'spare machine')}"
    return [first, *_why(plan), _bound(plan)]


def _why(plan: Plan) -> list[str]:
    """Return why one process is not enough, a line for each reason."""
    wanted = "no number of" if plan.alone_threads is None else f"{plan.alone_threads:,}"
    texts = {
        "memory": f"memory: it would need {_size(plan.alone.total)}, and may use "
        f"{_size(plan.memory_limit)}",
        "judging": f"judging: it would need {wanted} threads, and has "
        f"{_count(plan.machine.cores, 'core')}",
        "failures": f"failures: {_count(plan.needs.may_fail, 'machine')} may fail",
    }
    return [f"  one process is not enough for {texts[reason]}" for reason in plan.reasons]


def _bound(plan: Plan) -> str:
    """Return what K follows from."""
    parts = ", ".join(f"{name} needs {count:,}" for name, count in plan.bounds.items())
    most = max(plan.bounds.values())
    if most < plan.shards:
        return f"  K = {plan.shards} is the least: {parts}"
    name = max(plan.bounds, key=lambda bound: plan.bounds[bound])
    return f"  K = {plan.shards:,} follows from {name}: {parts}"


def _memory(plan: Plan) -> list[_Row]:
    """Return the rows of the memory."""
    memory, needs = plan.memory, plan.needs
    many = plan.shards_a_machine
    one = "a shard" if plan.shards > 1 else "the process"
    rows = [
        (
            "memory of a machine",
            _size(many * memory.total),
            f"{_count(many, 'shard')}; " * (plan.shards > 1)
            + f"may use {_size(plan.memory_limit)}: assumed, {USED_MEMORY:.0%}",
        ),
        (f"memory of {one}", _size(memory.total), "the sum of"),
        ("  users", _size(memory.users), f"counted at 10^6 users, x {needs.users:,}"),
        (
            "  friendships",
            _size(memory.friendships),
            f"counted at 10^6, x {needs.users:,} x {needs.friends:g}",
        ),
    ]
    kept = min(needs.purchases, needs.tracked)
    part = f" / {plan.shards:,}" if plan.shards > 1 else ""
    rows += [
        (
            "  histories",
            _size(memory.purchases),
            f"counted at 10^6, x {needs.users:,} x {kept:g}{part}",
        ),
        ("  recency log", _size(memory.recency), "counted, does not grow"),
        (
            "  judging",
            _size(memory.scratch + memory.judges),
            f"counted at 10^6, x {needs.users:,} x {_count(plan.threads, 'thread')}",
        ),
    ]
    if memory.evictions:
        rows.append(
            ("  evictions", _size(memory.evictions), "of batches on their way, full rings")
        )
    return rows


def _times(plan: Plan) -> list[_Row]:
    """Return the rows of the processor times."""
    needs = plan.needs
    largest = max(JUDGE_US)
    if needs.judge_us is not None:
        source = "given"
    elif needs.users > largest:
        source = f"measured at {largest:,} users, not extrapolated"
    else:
        source = "measured, docs/benchmarks.md, interpolated"
    where, of_shard = "the process", ""
    if plan.shards > 1:
        where, of_shard = "each shard", f"a shard has {plan.threads:,}; "
    return [
        ("apply an event", f"{APPLY_US:.2f} µs", f"measured at 10^6 users, on {where}"),
        ("judge a purchase", f"{judge_us(needs):,.1f} µs", source),
        (
            "  of all purchases",
            f"{plan.judging:,.2f} threads",
            f"assumed: {PURCHASE_SHARE:.0%} of {needs.rate:,.10g} events/s{_work(plan)}",
        ),
        ("busy, each thread", f"{plan.load:.0%}", f"{of_shard}at most {LOAD:.0%}: assumed"),
    ]


def _work(plan: Plan) -> str:
    """Return how much more is looked at than by one process."""
    if plan.shards == 1:
        return ""
    work = counted_at(plan.needs.degree, plan.shards).work
    return f"; counted: work x {work:.2f}"


def _network(plan: Plan) -> list[_Row]:
    """Return the rows of the network; none of one process."""
    if plan.shards == 1:
        return []
    needs = plan.needs
    asked = counted_at(needs.degree, plan.shards).asked
    far = plan.shards > max(COUNTED_SHARDS)
    where = f"K = {min(plan.shards, max(COUNTED_SHARDS))}{', extrapolated' if far else ''}"
    full = f"{plan.machine.network_gbit * GB / 8 / _MB:,.0f} MB/s"
    scaled = "" if needs.tracked == COUNTED_TRACKED else f", x T / {COUNTED_TRACKED}"
    return [
        (
            "batches to a shard",
            f"{plan.sequencer_bytes / plan.shards / _MB:,.1f} MB/s",
            f"counted: {BATCH_BYTES_PER_EVENT} bytes an event, ids are numbers",
        ),
        (
            "batches, all shards",
            f"{plan.sequencer_bytes / _MB:,.1f} MB/s",
            f"of {full}, at the sequencer",
        ),
        (
            "asks and answers",
            f"{plan.asked_bytes / _MB:,.1f} MB/s",
            f"counted at 10^6, D = {min(needs.degree, max(COUNTED))}, {where}: "
            f"{asked:.2%} ask{scaled}",
        ),
        (
            "  at most",
            f"{plan.most_asked_bytes / _MB:,.1f} MB/s",
            "if every purchase asked",
        ),
        (
            "network of a machine",
            f"{plan.machine_bytes / _MB:,.1f} MB/s",
            f"of {full}, at most {LOAD:.0%}: assumed",
        ),
    ]


def _latency(plan: Plan) -> list[_Row]:
    """Return the rows of the latency; none of one process, which waits for no batches."""
    if plan.shards == 1:
        return []
    return [
        (
            "a batch fills in",
            f"{plan.fill_us / 1000:,.2f} ms",
            f"{BATCH_EVENTS} events",
        ),
        ("and is worked on for", f"{plan.batch_us / 1000:,.2f} ms", "from the times above"),
        (
            "rounds of answers",
            f"{plan.rounds:.3f}",
            f"counted, on average; {ROUND_TRIP_US / 1000:g} ms each: assumed",
        ),
        (
            "to the flags",
            f"{plan.latency_us(plan.rounds) / 1000:,.2f} ms",
            f"from its first event; {plan.latency_us(2) / 1000:,.2f} ms with two rounds",
        ),
    ]


def _notes(plan: Plan) -> list[str]:
    """Return what should be known beside the numbers."""
    notes = []
    if plan.needs.judge_us is None:
        notes.append(
            "Judging depends on hubs most: measure it with your log, and give --judge-us."
        )
    if plan.spares:
        seconds = math.ceil(plan.memory.total / (plan.machine.network_gbit * GB / 8 * LOAD))
        notes.append(
            f"A spare must get a shard's state first: {seconds:,} s at {LOAD:.0%} of the "
            "network."
        )
    notes.append(
        "Times are of one core of an AMD EPYC. docs/cluster.md has the counts and formulas."
    )
    return notes
