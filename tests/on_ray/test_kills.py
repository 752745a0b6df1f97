"""Kill shards and the command itself at random moments: the outputs are those of one process.

The profile sets the number of kills: 60 in nightly.
"""

import random
import signal
import subprocess
import sys
from pathlib import Path

import profiles
import pytest
import ray
from crash.longlogs import write_logs
from on_ray.rayclusters import kill

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/cmdline").exists(), reason="needs Linux's /proc"
)
COMMAND = (sys.executable, "-m", "fastanomaly", "detect", "batch.json", "stream.json", "out")
OPTIONS = ("--rejects", "rejects", "--quiet")
KILLS = profiles.current().ray_kills
PATIENCE = 300


def shard_processes():
    """Return the numbers of the processes that run shards."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::ShardActor"):
                found.append(int(path.parent.name))
        except OSError:  # it has ended
            continue
    return found


def outputs(folder):
    return (folder / "out").read_bytes(), (folder / "rejects").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return a folder with logs, and the outputs of one process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    write_logs(folder, 20_000, 60_000)
    subprocess.run([*COMMAND, *OPTIONS], cwd=folder, check=True)
    assert all(len(data) > 100 for data in outputs(folder))
    return folder, outputs(folder)


def link_logs(folder, target):
    for name in ("batch.json", "stream.json"):
        (target / name).symlink_to(folder / name)


def disturb(process, choose):
    """Kill shards, and perhaps the command, until it ends; return how many were killed."""
    kills = 0
    while True:
        try:
            process.wait(choose.uniform(0.2, 3))
        except subprocess.TimeoutExpired:
            shards = shard_processes()
            if choose.random() < 0.3:
                process.kill()
                process.wait()
                return kills + 1
            if shards:
                kill(choose.choice(shards))
                kills += 1
        else:
            return kills


@pytest.mark.usefixtures("local_ray")
def test_shards_and_the_command_are_killed(undisturbed, tmp_path):
    folder, expected = undisturbed
    choose = random.Random(KILLS)
    address = ray.get_runtime_context().gcs_address
    kills = rounds = resumed = 0
    while kills < KILLS:
        rounds += 1
        here = tmp_path / str(rounds)
        here.mkdir()
        link_logs(folder, here)
        cluster = ("--cluster", address, "--shards", "3")
        options = (*OPTIONS, *cluster, "--checkpoint", "kept", "--every", "0.3s")
        while True:
            resumed += any(here.glob("kept/snapshot-*/manifest.json"))
            process = subprocess.Popen([*COMMAND, *options], cwd=here)
            kills += disturb(process, choose)
            if process.returncode != -signal.SIGKILL:
                break
        assert process.returncode == 0
        assert outputs(here) == expected
    assert resumed or KILLS < 20  # a few may all come before the first snapshot
