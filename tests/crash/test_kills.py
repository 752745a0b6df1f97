"""Kill runs at random moments and resume them: the outputs match an undisturbed run.

The profile sets the number of kills: 600 in nightly.
"""

import random
import subprocess
import sys
import time

import profiles
import pyarrow.parquet as pq
import pytest
from crash.longlogs import write_logs

COMMAND = (sys.executable, "-m", "fastanomaly", "detect", "batch.json", "stream.json")
PROFILE = profiles.current()
OPTIONS = ("--rejects", "rejects", "--quiet", "--checkpoint", "kept")


def outputs(folder, out="out"):
    """Return the rows of a Parquet file or the bytes of another one, and the rejects."""
    if out.endswith(".parquet"):
        flags = pq.read_table(folder / out).to_pylist()
    else:
        flags = (folder / out).read_bytes()
    return flags, (folder / "rejects").read_bytes()


@pytest.fixture(scope="module", params=["out", "out.csv", "out.parquet"])
def undisturbed(tmp_path_factory, request):
    """Return a folder with logs, an output's name, the outputs of a run, and its time."""
    folder, out = tmp_path_factory.mktemp("undisturbed"), request.param
    write_logs(folder, 4000, 16000)
    begun = time.monotonic()
    subprocess.run([*COMMAND, out, "--rejects", "rejects", "--quiet"], cwd=folder, check=True)
    seconds = time.monotonic() - begun
    assert all(len(data) > 100 for data in outputs(folder, out))
    return folder, out, outputs(folder, out), seconds


@pytest.mark.parametrize("every", ["300", "0.01s"])
def test_a_run_resumes_after_kills_at_random_moments(undisturbed, tmp_path, every):
    folder, out, expected, seconds = undisturbed
    most = PROFILE.kills_of_libraries if out.endswith(".parquet") else PROFILE.kills
    for name in ("batch.json", "stream.json"):
        (tmp_path / name).symlink_to(folder / name)
    command = [*COMMAND, out, *OPTIONS, "--every", every]
    choose = random.Random(every)
    kills = runs = resumed = 0
    while kills < most:
        runs += 1
        resumed += any((tmp_path / "kept").glob("checkpoint-*"))
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)
        try:
            _, err = process.communicate(timeout=choose.uniform(0.3, 2.5) * seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
            continue
        assert process.returncode == 0, err
        assert outputs(tmp_path, out) == expected
        for path in [*(tmp_path / "kept").iterdir(), tmp_path / out, tmp_path / "rejects"]:
            path.unlink()
    subprocess.run(command, cwd=tmp_path, check=True, timeout=300)
    assert outputs(tmp_path, out) == expected
    # A few may all come before the first checkpoint.
    assert resumed or most < 50
