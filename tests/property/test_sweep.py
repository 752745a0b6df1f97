"""Every setting of a sweep has the flags of a run at that setting.

The sweep is judged by any number of threads, which share all batches; the runs by one.
"""

from pathlib import Path

import hypothesis.strategies as st
import profiles
import pytest
from batches import THREADS, judged_by
from hypothesis import HealthCheck, given, settings
from randomlogs import random_logs

from fastanomaly import Simulation, detect, simulate, sweep

LOGS = profiles.current().random_logs // 50


def paths(folder):
    return [str(folder / name) for name in ("batch", "stream", "out")]


def check_every_cell(folder, result, **options):
    batch, stream, out = paths(folder)
    flags = 0
    for index, cell in enumerate(result.cells):
        with judged_by(1):
            summary = detect(
                batch,
                stream,
                out,
                degree=cell.degree,
                tracked=cell.tracked,
                sigmas=cell.sigmas,
                **options,
            )
        written = Path(out).read_bytes()
        assert b"".join(result.lines(index)) == written, cell
        assert result.flags[index] == summary.flags == written.count(b"\n")
        assert result.rejected == summary.rejected
        flags += summary.flags
    assert len(result.flag_cell) == flags


@settings(
    max_examples=LOGS,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    seed=st.integers(0, 10**6),
    degrees=st.sets(st.integers(1, 7) | st.just(2**31 - 1), min_size=1, max_size=3),
    tracked=st.sets(st.integers(2, 9) | st.just(2**31 - 1), min_size=1, max_size=3),
    sigmas=st.sets(st.sampled_from(["0", "0.5", "1", "2.125", "3"]), min_size=1, max_size=2),
    method=st.sampled_from(["auto", "ball"]),
    threads=st.sampled_from(THREADS),
)
def test_small_grids(tmp_path, seed, degrees, tracked, sigmas, method, threads):
    logs = random_logs(seed)
    batch, stream, _ = paths(tmp_path)
    Path(batch).write_bytes(logs.batch)
    Path(stream).write_bytes(logs.stream)
    with judged_by(threads):
        result = sweep(
            batch,
            stream,
            degrees=degrees,
            tracked=tracked,
            sigmas=sigmas,
            max_line=logs.max_line,
            method=method,
        )
    check_every_cell(tmp_path, result, max_line=logs.max_line)


@pytest.mark.parametrize("seed", range(3))
def test_a_large_grid(tmp_path, seed):
    """Late purchases, many equal timestamps, unfriends and dirty lines."""
    batch, stream, _ = paths(tmp_path)
    simulation = Simulation(
        users=(60, 400, 3000)[seed],
        batch_events=6000,
        stream_events=600,
        purchase_share=0.7,
        befriend_share=0.2,
        unfriend_share=0.1,
        late_share=0.1,
        anomaly_share=0.05,
        dirty_share=0.01,
        rate=20,
        friendships=("uniform", "heavy-tailed", "uniform")[seed],
        seed=seed,
    )
    simulate(Path(batch), Path(stream), simulation)
    with judged_by(seed + 1):
        result = sweep(
            batch,
            stream,
            degrees=range(1, 7),
            tracked=[10, 20, 50, 100, 200],
            sigmas=["0.5", "1.5", "2.125", "3"],
        )
    assert len(result.cells) == 120
    assert len(set(result.flags.tolist())) > 8  # the settings do differ
    check_every_cell(tmp_path, result)
