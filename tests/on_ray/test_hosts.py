"""Shards on three hosts: one is cut off and comes back, and one is killed."""

import subprocess
import sys
import time
from threading import Timer

import profiles
import pytest
from crash.longlogs import long_log
from lines import parameters
from on_ray.hosts import ENVIRONMENT, Hosts, reason_against

DETECT = (sys.executable, "-m", "fastanomaly", "detect", "batch.json", "-", "out", "--quiet")
BLOCKS = 40
BLOCK_LINES = 500


@pytest.fixture(scope="module")
def hosts():
    if reason := reason_against():
        pytest.skip(reason)
    with Hosts(3) as hosts:
        yield hosts


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """Return a folder with history, the blocks of a stream, and the flags of one process."""
    folder = tmp_path_factory.mktemp("logs")
    (folder / "batch.json").write_bytes(parameters(2, 20) + long_log(1, 5000))
    blocks = [long_log(2 + number, BLOCK_LINES) for number in range(BLOCKS)]
    subprocess.run(DETECT, cwd=folder, input=b"".join(blocks), check=True)
    flags = (folder / "out").read_bytes()
    assert flags.count(b"\n") > 100
    return folder, blocks, flags


def run_disturbed(hosts, logs, *options, at):
    """Run on the hosts, and call `at[number]` before the block of that number."""
    folder, blocks, flags = logs
    cluster = ("--cluster", hosts.address, "--shards", "3")
    process = subprocess.Popen(
        hosts.command(1, *DETECT, *cluster, *options),
        cwd=folder,
        stdin=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert process.stdin is not None
    for number, block in enumerate(blocks):
        at.get(number, int)()
        process.stdin.write(block)
        process.stdin.flush()
        time.sleep(0.05)
    process.stdin.close()
    assert process.wait(200) == 0
    assert (folder / "out").read_bytes() == flags


def cut_off_for(hosts, seconds):
    """Return what cuts a host off, and connects it again after some seconds."""

    def cut_off():
        hosts.cut_off(2)
        Timer(seconds, lambda: hosts.cut_off(2, False)).start()

    return cut_off


def test_a_host_is_cut_off_and_comes_back(hosts, logs):
    run_disturbed(hosts, logs, at={12: cut_off_for(hosts, 8)})


@pytest.mark.skipif(
    profiles.current() is not profiles.PROFILES["nightly"],
    reason="Ray takes a minute to give a host up: in the nightly profile",
)
def test_a_host_is_cut_off_until_it_is_given_up(hosts, logs):
    run_disturbed(hosts, logs, at={12: cut_off_for(hosts, 90)})
    time.sleep(30)  # it may not be connected again yet
    hosts.kill(2)
    hosts.start_ray(2)


def test_a_host_is_killed(hosts, logs):
    run_disturbed(hosts, logs, "--checkpoint", "kept", at={20: lambda: hosts.kill(3)})
