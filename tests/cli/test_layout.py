"""The layout of the challenge: run.sh in the project, and in the grader's copy of it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ["run.sh", "scripts", "src", "setup.py", "pyproject.toml", "README.md", "LICENSE"]
PARTS += ["log_input", "log_output", "insight_testsuite"]

pytestmark = pytest.mark.skipif(
    not all((ROOT / part).exists() for part in PARTS),
    reason="not a checkout: there is no run.sh next to the tests",
)


@pytest.fixture
def project(tmp_path):
    """A copy of the project, with the same environment."""
    project = tmp_path / "a project"
    project.mkdir()
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, project / part)
    if (ROOT / ".venv").exists():
        (project / ".venv").symlink_to(ROOT / ".venv")
    (project / "log_output" / "flagged_purchases.json").unlink(missing_ok=True)
    return project


def run(*command, **options):
    arguments = [str(part) for part in command]
    return subprocess.run(arguments, check=False, capture_output=True, text=True, **options)


def test_run_sh_works_from_any_folder(project, tmp_path):
    done = run(project / "run.sh", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "flagged" in done.stderr
    flagged = (project / "log_output" / "flagged_purchases.json").read_text().splitlines()
    assert len(flagged) == 2
    assert all(line.endswith('"}') and '", "mean": "' in line for line in flagged)


def test_run_sh_passes_on_options_and_exit_statuses(project):
    assert run(project / "run.sh", "-D", "0").returncode == 2
    assert not (project / "log_output" / "flagged_purchases.json").exists()
    done = run(project / "run.sh", "--quiet", "-k", "1000")
    assert (done.returncode, done.stdout) == (0, "")
    assert (project / "log_output" / "flagged_purchases.json").read_bytes() == b""


def test_the_grader_can_run_its_copy(project):
    done = run("bash", project / "insight_testsuite" / "run_tests.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[PASS]: latest_three" in done.stdout
    assert done.stdout.endswith("2 passed, 0 failed\n")
    assert "setting up" not in done.stderr


def test_the_grader_reports_a_wrong_answer(project):
    tests = project / "insight_testsuite" / "tests"
    (tests / "latest_three" / "log_output" / "flagged_purchases.json").write_text("{}\n")
    done = run("bash", project / "insight_testsuite" / "run_tests.sh")
    assert done.returncode == 1
    assert "[FAIL]: latest_three" in done.stdout
    assert done.stdout.endswith("1 passed, 1 failed\n")


def test_run_sh_alone_reports_what_is_missing(tmp_path):
    shutil.copy(ROOT / "run.sh", tmp_path)
    done = run("bash", tmp_path / "run.sh")
    assert done.returncode == 1
    assert "no fastanomaly project" in done.stderr


@pytest.fixture
def checked(project):
    """The project, and how to run its script that looks for changes of the sources."""
    (project / ".venv").unlink(missing_ok=True)
    (project / ".venv" / "bin").mkdir(parents=True)
    python = project / ".venv" / "bin" / "python"
    # Its pip says that it was asked to install.
    python.write_text(
        '#!/bin/sh\nif [ "$1$2$3" = "-mpipinstall" ]; then echo installing >&2; fi\n'
    )
    python.chmod(0o755)
    script = project / "scripts" / "environment.sh"

    def messages():
        done = run("bash", script)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{python}\n"
        return done.stderr

    return project, messages


def test_sources_are_installed_when_they_have_changed(checked):
    project, messages = checked
    stamp = project / ".venv" / "installed-"
    source = project / "src" / "fastanomaly" / "names.py"
    new = source.with_name("new.py")
    kept = source.read_bytes()
    changes = [
        lambda: None,
        lambda: source.write_bytes(kept + b"\n"),
        lambda: source.write_bytes(kept),
        lambda: os.utime(shutil.copy2(project / "setup.py", source), (0, 0)),
        source.unlink,
        new.touch,
        lambda: new.rename(new.with_stem("newer")),
    ]
    expected = [True, True, True, True, True, False, False]
    for change, installs in zip(changes, expected, strict=True):
        change()
        assert ("installing" in messages()) is installs
        assert messages() == ""  # its checksum is the same
        since = stamp.stat().st_mtime_ns
        assert messages() == ""  # nothing has been touched
        assert stamp.stat().st_mtime_ns == since


def test_a_change_during_the_installation_is_noticed(checked):
    project, messages = checked
    python = project / ".venv" / "bin" / "python"
    python.write_text(python.read_text() + f'echo >>"{project}/setup.py"\n')
    assert "installing" in messages()
    assert "installing" in messages()
