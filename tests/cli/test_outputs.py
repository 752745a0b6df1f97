"""Outputs: all are checked before one is touched, and files are replaced with care."""

import os
import resource
import stat
import time

import pytest
from cli.commandline import FLAGS, file_size_limit

from fastanomaly import Detector, UsageError, detect
from fastanomaly.errors import OutputError
from fastanomaly.sinks.replacing import replace_file

DETECT = ("detect", "batch.json", "stream.json")


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


@pytest.mark.parametrize("target", ["batch.json", "stream.json", "out", "rejects", "link"])
def test_metrics_replace_no_other_file(folder, run, target):
    (folder / "link").symlink_to("stream.json")
    before = contents(folder)
    ended = run(*DETECT, "out", "--rejects", "rejects", "--metrics", target)
    assert (ended.status, target in ended.err) == (2, True)
    assert contents(folder) == before


def test_metrics_replace_no_irregular_file(folder, run):
    os.mkfifo(folder / "fifo")
    for target, kind in (("./fifo", "a FIFO"), ("/dev/null", "a device")):
        ended = run(*DETECT, "out", "--metrics", target)
        assert (ended.status, f"{target}: is {kind}" in ended.err) == (2, True)
    assert stat.S_ISFIFO((folder / "fifo").stat().st_mode)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert not (folder / "out").exists()


def test_metrics_are_not_written_before_the_parameters_are_checked(folder, run):
    (folder / "m.prom").write_bytes(b"kept")
    assert run(*DETECT, "out", "-D", "0", "--metrics", "m.prom").status == 2
    (folder / "batch.json").write_bytes(b"{}\n")
    assert run(*DETECT, "out", "--metrics", "m.prom").status == 2
    assert (folder / "m.prom").read_bytes() == b"kept"


def test_metrics_keep_a_link_and_the_mode_of_its_target(folder, run):
    (folder / "target").write_bytes(b"")
    (folder / "target").chmod(0o640)
    (folder / "m.prom").symlink_to("target")
    assert run(*DETECT, "out", "--metrics", "m.prom").status == 0
    assert (folder / "m.prom").is_symlink()
    assert b"fastanomaly_flags_total 1.0" in (folder / "target").read_bytes()
    assert stat.S_IMODE((folder / "target").stat().st_mode) == 0o640


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_a_file_opened_for_appending_is_not_wiped(folder, run, name):
    (folder / "link").symlink_to("/dev/stdout")
    log = folder / "all"
    log.write_bytes(b"kept\n")
    with log.open("ab") as file:
        assert run(*DETECT, name, stdout=file).status == 0
    assert log.read_bytes() == b"kept\n" + FLAGS


def test_standard_output_cannot_be_two_outputs(folder, run):
    ended = run(*DETECT, "-", "--rejects", "/dev/stdout")
    assert (ended.status, ended.out) == (2, b"")


@pytest.mark.parametrize(
    "arguments",
    [
        (*DETECT, "out.gz"),
        (*DETECT, "out", "--rejects", "r.zst"),
        (*DETECT, "out", "--every", "5"),
        (*DETECT, "out", "--fresh"),
        (*DETECT, "out", "--until-idle", "5"),
        ("report", "batch.json", "stream.json", "-o", "r"),
        ("simulate", "new", "new.gz"),
    ],
    ids=" ".join,
)
def test_an_option_or_name_without_effect_is_refused(folder, run, arguments):
    before = contents(folder)
    assert run(*arguments).status == 2
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["checkpoint-000000000001", "lock", "writing", "other"])
def test_no_output_is_in_the_folder_of_checkpoints(folder, run, monkeypatch, name):
    monkeypatch.chdir(folder)
    (folder / "link").symlink_to("kept")
    inside = f"link/{name}"
    message = f"{inside}: output would be in kept, the folder of checkpoints"
    for outputs in (
        [inside],
        ["out", "--rejects", inside],
        ["out", "--summary-json", inside],
        ["out", "--metrics", inside],
    ):
        for exist in (False, True):
            if exist:
                (folder / "kept").mkdir()
            ended = run(*DETECT, *outputs, "--checkpoint", "kept")
            assert (ended.status, message in ended.err) == (2, True)
            assert (folder / "kept").exists() == exist
        (folder / "kept").rmdir()
    (folder / "kept").mkdir()
    with pytest.raises(UsageError, match="output would be in kept"):
        detect(*DETECT[1:], inside, checkpoint="kept")


def test_a_checkpoint_folder_holds_nothing_needless_after_the_end(folder, run):
    kept = folder / "kept"
    kept.mkdir()
    (kept / "checkpoint-000000000007.0123456789abcdef.new").touch()  # of a killed run
    (kept / "checkpoint-000000000007.mine.new").touch()
    assert run(*DETECT, "out", "--checkpoint", "kept").status == 0
    names = {path.name for path in kept.iterdir()}
    assert names == {"checkpoint-000000000001", "checkpoint-000000000007.mine.new", "lock"}


def test_save_leaves_other_files_alone(tmp_path):
    path = tmp_path / "state"
    (tmp_path / "state.new").write_bytes(b"mine")
    detector = Detector(degree=2, tracked=5)
    detector.befriend("a", "b")
    detector.save(path)
    path.chmod(0o600)
    detector.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (tmp_path / "link").symlink_to("state")
    detector.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert Detector.load(path).network("a") == ["b"]
    assert (tmp_path / "state.new").read_bytes() == b"mine"
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("kind", ["fifo", "folder", "/dev/null", "/dev/stdout"])
def test_save_refuses_what_is_no_file(tmp_path, kind):
    path = tmp_path / kind
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(OutputError, match="not a regular file"):
        Detector(degree=2, tracked=5).save(path)
    assert not stat.S_ISREG(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("path", ["", "new/", "folder/"])
def test_save_needs_the_name_of_a_file(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="No such file" if path == "" else "Is a directory"):
        Detector(1, 2).save(path)
    assert [(p.name, p.is_dir()) for p in tmp_path.iterdir()] == [("folder", True)]


def test_two_that_replace_one_file_do_not_meet(tmp_path):
    path = str(tmp_path / "file")

    def outer(fd):
        replace_file(path, lambda inner: os.write(inner, b"inner"))
        assert (tmp_path / "file").read_bytes() == b"inner"
        os.write(fd, b"outer")

    replace_file(path, outer)
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"outer"


def test_a_checkpoint_without_descriptors_is_reported_and_tried_again(folder, start):
    """The limit is lowered to nothing while the run waits, and then raised again."""
    options = ("--checkpoint", "kept", "--every", "1")
    process = start("detect", "batch.json", "-", "out", *options)
    line = (folder / "stream.json").read_bytes()
    process.stdin.write(line)
    deadline = time.monotonic() + 60
    while not (folder / "out").exists() or (folder / "out").read_bytes() != FLAGS:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(1)
    old = resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (4, 1024))
    process.stdin.write(line)
    assert b"Too many open files" in process.stderr.readline()
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (min(old[0], 1024), 1024))
    process.stdin.write(line)
    process.stdin.close()
    assert process.wait(300) == 0
    assert (folder / "out").read_bytes() == 3 * FLAGS


def test_simulate_names_the_file_that_is_too_large(run):
    ended = run("simulate", "b", "s", under=file_size_limit(100_000))
    assert (ended.status, "b: File too large" in ended.err) == (1, True)


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_a_failed_print_is_not_a_success(run, option):
    with open("/dev/full", "wb") as full:
        assert run(option, stdout=full).status == 1


def test_commands_say_what_they_wrote(folder, run):
    ended = run("simulate", "b", "s", "--batch-events", "9")
    assert ended.err == "fastanomaly: wrote b\nfastanomaly: wrote s\n"
    assert run("simulate", "b", "s", "--batch-events", "9", "-q").err == ""
    sweep = ("sweep", "batch.json", "stream.json", "-D1", "-T2", "-o", "t.csv")
    assert "wrote t.csv" in run(*sweep).err
    assert run(*sweep, "-q").err == ""


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("detec", "b", "s", "o"), "did you mean detect?"),
        (("detect", "b", "s", "--trakced", "5"), "did you mean --tracked?"),
        (("detect", "--log-format", "jsn"), "did you mean json?"),
    ],
)
def test_a_typo_gets_a_suggestion(run, arguments, hint):
    ended = run(*arguments)
    assert (ended.status, hint in ended.err) == (2, True)


@pytest.mark.parametrize("command", ["detect", "sweep", "explain", "report", "simulate"])
def test_usage_is_that_of_the_command_and_help_has_examples(run, command):
    assert run(command, "--nonsense").err.startswith(f"usage: fastanomaly {command} ")
    assert run(command, "--help").out.count(b"\n  fastanomaly " + command.encode()) >= 2


def test_a_pattern_without_quotes_is_explained(run, tmp_path):
    names = ["april.csv", "june.csv", "may.csv"]
    for name in names:
        (tmp_path / name).write_bytes(b"kept")
    ended = run("detect", *names, "-o", "flags.json", "-D2", "-T50")
    assert (ended.status, ended.err) == (
        2,
        "fastanomaly: error: -o: the output is given twice: may.csv, flags.json; several "
        "files are one table as a pattern in quotes, such as '*.csv'\n",
    )
    assert all((tmp_path / name).read_bytes() == b"kept" for name in names)
    assert not (tmp_path / "flags.json").exists()
