"""How many processors a process may use: its affinity, and the quota of its cgroups."""

import os
import subprocess
import sys

import pytest

from fastanomaly import Detector, processors
from fastanomaly.processors import available_processors

COUNT = "from fastanomaly.processors import available_processors as count; print(count())"


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Return a function that puts this process into a control group with limits.

    It takes the text of /proc/self/cgroup, and the files of the groups by their paths.
    """
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    monkeypatch.setattr(processors, "_PROC_CGROUP", str(tmp_path / "cgroup"))
    monkeypatch.setattr(processors, "_CGROUPS", str(tmp_path / "sys"))

    def limit(cgroup, files):
        (tmp_path / "cgroup").write_text(cgroup)
        for name, text in files.items():
            path = tmp_path / "sys" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return limit


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_the_affinity_counts():
    first = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, {{{first}}})\n{COUNT}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_auto_is_the_number_of_processors():
    first = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, {{{first}}})\n"
        "from fastanomaly import Detector; print(Detector(1, 2).threads)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"
    assert Detector(1, 2).threads == available_processors()


def test_it_is_at_least_one_and_no_more_than_there_are():
    assert 1 <= available_processors() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000", 64),
        ("400000 100000", 4),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("1000 100000", 1),
        ("9900000 100000", 64),
    ],
)
def test_version_2(groups, quota, expected):
    groups("0::/box\n", {"box/cpu.max": f"{quota}\n"})
    assert available_processors() == expected


def test_the_smallest_quota_of_version_2_on_the_way_up_counts(groups):
    files = {
        "outer/inner/box/cpu.max": "max 100000\n",
        "outer/inner/cpu.max": "800000 100000\n",
        "outer/cpu.max": "300000 100000\n",
    }
    groups("0::/outer/inner/box\n", files)
    assert available_processors() == 3


def test_a_quota_at_the_root_counts(groups):
    """As in a container with a namespace of its own: its group is the root."""
    groups("0::/\n", {"cpu.max": "200000 100000\n"})
    assert available_processors() == 2


def test_a_group_whose_name_is_not_text(groups, tmp_path):
    groups("", {os.fsdecode(b"b\xff/cpu.max"): "200000 100000\n"})
    (tmp_path / "cgroup").write_bytes(b"0::/b\xff\n")
    assert available_processors() == 2


@pytest.mark.parametrize(
    ("quota", "period", "expected"),
    [("-1", "100000", 64), ("250000", "100000", 3), ("20000", "100000", 1), ("0", "1", 64)],
)
def test_version_1(groups, quota, period, expected):
    cgroup = "12:memory:/other\n4:cpu,cpuacct:/box\n1:name=systemd:/other\n"
    files = {"cpu/box/cpu.cfs_quota_us": quota, "cpu/box/cpu.cfs_period_us": period}
    groups(cgroup, files)
    assert available_processors() == expected


def test_quotas_of_other_groups_do_not_count(groups):
    cgroup = "4:cpu:/box\n3:cpuset:/box2\n0::/box3\n"
    one = {"cpu.cfs_quota_us": "100000", "cpu.cfs_period_us": "100000"}
    files = {f"cpu/box2/{name}": text for name, text in one.items()}
    groups(cgroup, {**files, "box/cpu.max": "100000 100000"})
    assert available_processors() == 64


@pytest.mark.parametrize("text", ["", "100000", "many 100000", "100000 0"])
def test_files_that_cannot_be_read_or_are_odd_are_no_limit(groups, text):
    groups("0::/box\n", {"box/cpu.max": text})
    assert available_processors() == 64
    groups("0::/missing\n", {})
    assert available_processors() == 64


@pytest.mark.parametrize("text", ["", "\n", "odd\n", "4:cpu\n", "0::/../elsewhere\n"])
def test_an_odd_list_of_groups_is_no_limit(groups, text):
    groups(text, {})
    assert available_processors() == 64


def test_without_control_groups_the_affinity_counts(groups):
    assert available_processors() == 64


def test_without_affinity_all_processors_count(groups, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert available_processors() == os.cpu_count()
