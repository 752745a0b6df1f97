"""The engine agrees with the reference on random logs: output, rejects and counts."""

import os

import profiles
import pytest
import reference
from randomlogs import random_logs

from fastanomaly.runs.detection import detect
from fastanomaly.runs.summary import Summary

LOGS = profiles.current().random_logs
CHUNK = 100


def replayed(logs, folder, method):
    """Return the output, rejects as (log, line, reason, raw) and the summary of a run."""
    paths = [folder / name for name in ("batch", "stream", "out", "rejects")]
    paths[0].write_bytes(logs.batch)
    paths[1].write_bytes(logs.stream)
    summary = Summary()
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
        for method in ("auto", "ball"):
            output, rejects, summary = replayed(logs, tmp_path, method)
            which = f"seed {seed}, method {method}"
            assert output == expected.output, which
            expected_rejects = [(r.log, r.line, r.reason, r.raw) for r in expected.rejects]
            assert rejects == expected_rejects, which
            counts = (summary.purchases, summary.befriends, summary.unfriends, summary.flags)
            assert counts == (*expected.counts.values(), len(expected.flags)), which
            assert bool(summary.diagnosis.faults()) == (expected.status == 4), which
