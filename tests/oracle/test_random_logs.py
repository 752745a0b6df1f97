"""The engine agrees with the reference on random logs: output, rejects and counts.

Each log is judged with both methods and several numbers of threads, which share all batches.
"""

import os

import batches
import profiles
import pytest
import reference
from batches import METHODS, THREADS, judged_by
from randomlogs import random_logs

from fastanomaly import Detector
from fastanomaly.runs.detection import detect
from fastanomaly.runs.summary import Summary

LOGS = profiles.current().random_logs
CHUNK = 100


def ways(seed):
    """Return (method, threads) of the runs on a log: both methods, and all counts in turn."""
    every = [
        (METHODS[(number + seed) % 2], THREADS[number % len(THREADS)])
        for number in range(seed // 2, seed // 2 + len(THREADS))
    ]
    return every[: profiles.current().thread_counts]


def replayed(logs, folder, method, threads):
    """Return the output, rejects as (log, line, reason, raw) and the summary of a run."""
    paths = [folder / name for name in ("batch", "stream", "out", "rejects")]
    paths[0].write_bytes(logs.batch)
    paths[1].write_bytes(logs.stream)
    summary = Summary()
    with judged_by(threads):
        detect(
            *map(str, paths[:3]),
            rejects=str(paths[3]),
            method=method,
            summary=summary,
            **logs.arguments,
        )
    rejects = []
    for line in paths[3].read_bytes().split(b"\n")[:-1]:
        log, number, reason, _, raw = line.split(b"\t", 4)
        rejects.append((os.path.basename(log).decode(), int(number), reason.decode(), raw))
    return paths[2].read_bytes(), rejects, summary


@pytest.mark.parametrize("first_seed", range(0, LOGS, CHUNK))
def test_agrees_with_the_reference(first_seed, tmp_path):
    for seed in range(first_seed, min(first_seed + CHUNK, LOGS)):
        logs = random_logs(seed)
        expected = reference.detect(logs.batch, logs.stream, **logs.arguments)
        for method, threads in ways(seed):
            output, rejects, summary = replayed(logs, tmp_path, method, threads)
            which = f"seed {seed}, method {method}, {threads} threads"
            assert output == expected.output, which
            expected_rejects = [(r.log, r.line, r.reason, r.raw) for r in expected.rejects]
            assert rejects == expected_rejects, which
            counts = (summary.purchases, summary.befriends, summary.unfriends, summary.flags)
            assert counts == (*expected.counts.values(), len(expected.flags)), which
            assert bool(summary.diagnosis.faults()) == (expected.status == 4), which


@pytest.mark.parametrize("first_seed", range(0, LOGS // 10, CHUNK))
def test_columns_agree_with_the_reference(first_seed):
    for seed in range(first_seed, first_seed + CHUNK):
        logs = random_logs(seed)
        settings = logs.degree, logs.tracked, logs.sigmas
        before = batches.events_of(logs.batch, logs.max_line)
        events = batches.events_of(logs.stream, logs.max_line)
        simple, single = reference.ReferenceDetector(*settings), Detector(*settings, threads=1)
        batches.apply_reference(simple, before, judge=False)
        batches.apply_each(single, before, judge=False)
        expected = batches.apply_each(single, events)
        assert batches.exact(expected) == batches.apply_reference(simple, events), seed
        for method, threads in ways(seed):
            detector = Detector(*settings, method=method, threads=threads)
            batches.apply_each(detector, before, judge=False)
            with batches.all_shared():
                flags = batches.apply_columns(detector, events)
            assert flags == batches.without_sums(expected), (seed, method, threads)
            batches.same_state(detector, single)
