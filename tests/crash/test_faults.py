"""Fail at each system call that writes a checkpoint: no output is lost or repeated."""

import os
import shutil
import subprocess

import pytest
from cli.commandline import SANITIZED
from crash.longlogs import write_logs
from crash.test_kills import COMMAND, OPTIONS, outputs

pytestmark = [
    pytest.mark.skipif(
        SANITIZED, reason="the sanitizers and the faults would both be preloaded"
    ),
    pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs Linux's /proc"),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler: the package was installed as a wheel")
    path = tmp_path_factory.mktemp("faults") / "faults.so"
    source = os.path.join(os.path.dirname(__file__), "faults.c")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", path, source, "-ldl"],
        check=True,
    )
    return path


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    write_logs(folder, 300, 600)
    subprocess.run(
        [*COMMAND, "out", "--rejects", "rejects", "--quiet"], cwd=folder, check=True
    )
    return folder


@pytest.mark.parametrize("kind", ["fail", "tear", "kill", "after"])
def test_a_run_resumes_after_a_fault_at_any_call(library, logs, tmp_path, kind):
    expected = outputs(logs)
    command = [*COMMAND, "out", *OPTIONS, "--every", "250"]
    at = 0
    struck = True
    while struck:
        at += 1
        folder = tmp_path / str(at)
        folder.mkdir()
        for name in ("batch.json", "stream.json"):
            (folder / name).symlink_to(logs / name)
        faults = {"FAULT_AT": str(at), "FAULT_KIND": kind, "FAULT_MARK": str(folder / "mark")}
        first = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "LD_PRELOAD": str(library), **faults},
            stderr=subprocess.PIPE,
            check=False,
        )
        struck = (folder / "mark").exists()
        err = first.stderr.decode()
        assert "Traceback" not in err
        if kind == "fail":
            assert first.returncode in (0, 1)
            assert outputs(folder) == expected  # the run itself succeeds
            assert not struck or "No space left on device" in err
        again = subprocess.run(command, cwd=folder, stderr=subprocess.PIPE, check=False)
        assert again.returncode == 0, again.stderr
        assert outputs(folder) == expected, (at, kind)
        names = sorted(path.name for path in (folder / "kept").iterdir())
        assert not any(name.endswith(".new") for name in names)
    assert at > 10
