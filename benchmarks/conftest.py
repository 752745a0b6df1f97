"""Simulated logs, made once, and the expected answers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import compare
from benchmarks.compare import Logs
from benchmarks.solutions import plain_python

Expected = Callable[[Logs, int], bytes]


@pytest.fixture(scope="session")
def ingest_logs(tmp_path_factory: pytest.TempPathFactory) -> Logs:
    """Return logs with 100,000 batch events."""
    folder = tmp_path_factory.mktemp("ingest")
    return compare.simulate(folder, ["--batch-events", "100000"])


@pytest.fixture(scope="session")
def sample_logs(tmp_path_factory: pytest.TempPathFactory) -> Logs:
    """Return logs like the published sample: 10,000 users, 500,000 and 1,000 events."""
    return compare.simulate(tmp_path_factory.mktemp("sample"), [])


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Expected:
    """Return a function: the flags of the plain Python solution for logs and a degree."""
    folder = tmp_path_factory.mktemp("expected")
    known: dict[tuple[Path, int], bytes] = {}

    def flagged(logs: Logs, degree: int) -> bytes:
        key = (logs.batch, degree)
        if key not in known:
            out = folder / f"{len(known)}.json"
            batch, stream = compare.with_degree(logs, degree, folder)
            plain_python.detect(str(batch), str(stream), str(out))
            known[key] = out.read_bytes()
        return known[key]

    return flagged
