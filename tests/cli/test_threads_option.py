"""--threads of the commands that judge: answers, wrong values, checkpoints, metrics."""

import json
import socket

import pytest
from cli.commandline import run_command, wait_until
from cli.exposition import samples, samples_at
from cli.wronguse import check_refused

from fastanomaly import Detector, Simulation, simulate

LOGS = ("batch.json", "stream.json")
OUTPUTS = ("out", "--rejects", "rejects", "--summary-json", "summary")
STREAM_EVENTS = 30_000  # enough to judge that threads share it
NUMBERS = ("1", "2", "3", "auto")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return a folder with two larger logs, and the output of one thread."""
    folder = tmp_path_factory.mktemp("logs")
    simulate(
        folder / LOGS[0],
        folder / LOGS[1],
        Simulation(
            users=500,
            batch_events=20_000,
            stream_events=STREAM_EVENTS,
            degree=3,
            late_share=0.05,
            dirty_share=0.01,
            anomaly_share=0.02,
        ),
    )
    ended = run_command("detect", *LOGS, *OUTPUTS, "--threads", "1", cwd=folder)
    assert ended.status == 0, ended.err
    return folder


@pytest.fixture
def logs(written, tmp_path):
    """Return the test's folder, with links to those logs."""
    for name in LOGS:
        (tmp_path / name).symlink_to(written / name)
    return tmp_path


def summary(folder):
    """Return a summary without what differs from run to run."""
    values = json.loads((folder / "summary").read_bytes())
    for name in ("seconds", "events_per_second", "peak_memory_bytes"):
        del values[name]
    return values


def check_same(folder, other):
    """Check that two runs have written the same."""
    for name in ("out", "rejects"):
        assert (folder / name).read_bytes() == (other / name).read_bytes() != b""
    assert summary(folder) == summary(other)


# Answers


@pytest.mark.parametrize("number", [*NUMBERS, None])
def test_detect_writes_the_same(written, logs, run, number):
    options = () if number is None else ("--threads", number)
    ended = run("detect", *LOGS, *OUTPUTS, *options)
    assert ended.status == 0, ended.err
    check_same(logs, written)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_pipe_is_judged_the_same(written, logs, run, number):
    with (logs / "stream.json").open("rb") as stream:
        ended = run("detect", LOGS[0], "-", *OUTPUTS, "--threads", number, stdin=stream)
    assert ended.status == 0, ended.err
    assert (logs / "out").read_bytes() == (written / "out").read_bytes()


def test_sweep_writes_the_same(logs, run):
    results = []
    for number in NUMBERS:
        files = ("-o", "t.json", "--agreement", "a.json", "--flags-dir", f"flags{number}")
        ended = run("sweep", *LOGS, "-D", "1,3", "-T", "5,50", *files, "--threads", number)
        assert ended.status == 0, ended.err
        written = (logs / f"flags{number}").iterdir()
        flags = sorted((path.name, path.read_bytes()) for path in written)
        tables = [(logs / name).read_bytes() for name in ("t.json", "a.json")]
        results.append((ended.out, *tables, flags))
    assert len(results[0][3]) == 4
    assert all(result == results[0] for result in results)


def test_report_writes_the_same(logs, run):
    pytest.importorskip("plotly", reason="a report needs the extra report")
    pages = []
    options = ("report", *LOGS, "-o", "r.html", "-k", "25", "--degrees", "1")
    for number in ("1", "3"):
        ended = run(*options, "--threads", number)
        assert ended.status == 0, ended.err
        pages.append((logs / "r.html").read_bytes())
    assert pages[0] == pages[1]


# Wrong values

WRONG = [
    ("0", "--threads: '0' is not in 1..256"),
    ("257", "--threads: '257' is not in 1..256"),
    ("-1", "--threads: '-1' is neither a number nor 'auto'"),
    ("", "--threads: '' is neither a number nor 'auto'"),
    ("1.5", "--threads: '1.5' is neither a number nor 'auto'"),
    ("all", "--threads: 'all' is neither a number nor 'auto'"),
    ("9" * 5000, "is neither a number nor 'auto'"),
]


@pytest.mark.parametrize(("value", "message"), WRONG, ids=[value[:9] for value, _ in WRONG])
@pytest.mark.parametrize(
    "command",
    [
        ("detect", *LOGS, "out", "--rejects", "r", "--checkpoint", "kept", "--metrics", "m"),
        ("sweep", *LOGS, "-D", "1", "-T", "2", "-o", "t.csv", "--flags-dir", "flags"),
        ("report", *LOGS, "-o", "report.html"),
    ],
    ids=lambda command: command[0],
)
def test_wrong_values_are_refused_before_anything_is_opened(
    folder, run, command, value, message
):
    (folder / "stream.json").unlink()  # it would be an error, too
    check_refused(folder, run, (*command, f"--threads={value}"), message)


def test_it_needs_a_value_and_explain_has_no_such_option(folder, run):
    check_refused(folder, run, ("detect", *LOGS, "out", "--threads"), "--threads")
    explain = ("explain", *LOGS, "--line", "1", "--threads", "1")
    check_refused(folder, run, explain, "--threads")


# Checkpoints


@pytest.mark.parametrize(("first", "then"), [("3", "1"), ("1", "3"), ("2", "auto")])
def test_a_checkpoint_is_continued_with_another_number(written, logs, run, first, then):
    keep = ("--checkpoint", "kept", "--every", "7000")
    whole = (logs / "stream.json").read_bytes()
    (logs / "stream.json").unlink()
    (logs / "stream.json").write_bytes(whole[: len(whole) // 2])
    assert run("detect", *LOGS, *OUTPUTS, *keep, "--threads", first).status == 0
    # As if the run had been killed before it wrote its last checkpoint.
    sorted((logs / "kept").glob("checkpoint-*[0-9]"))[-1].unlink()
    assert len((logs / "out").read_bytes()) < len((written / "out").read_bytes())
    (logs / "stream.json").write_bytes(whole)
    ended = run("detect", *LOGS, *OUTPUTS, *keep, "--threads", then)
    assert ended.status == 0, ended.err
    check_same(logs, written)
    ended = run("detect", *LOGS, *OUTPUTS, *keep, "--threads", first)
    assert (ended.status, "already done" in ended.err) == (0, True)


# Metrics


def check_samples(found, purchases, threads):
    """Check the metrics of a run, given how many purchases were judged."""
    shared = found["fastanomaly_judgements_total", "shared"]
    in_turn = found["fastanomaly_judgements_total", "in_turn"]
    assert shared + in_turn == purchases
    assert (shared > 0) == (threads > 1)
    assert found["fastanomaly_judging_seconds_count",] == purchases
    assert found["fastanomaly_judging_seconds_bucket", "+Inf"] == purchases
    assert 0 < found["fastanomaly_judging_seconds_sum",] < 600
    assert 1 <= found["fastanomaly_busy_threads",] <= threads
    batches = found["fastanomaly_batch_events_count",]
    assert found["fastanomaly_batch_events_bucket", "+Inf"] == batches
    assert found["fastanomaly_batch_events_bucket", "1024.0"] == batches > 0
    assert STREAM_EVENTS * 0.98 < found["fastanomaly_batch_events_sum",] < STREAM_EVENTS
    buckets = [
        value for name, value in found.items() if name[0] == "fastanomaly_batch_events_bucket"
    ]
    assert buckets == sorted(buckets)
    assert len(buckets) == 12


@pytest.fixture(scope="module")
def judged(written):
    """Return the number of purchases in the stream log that are valid."""
    detector = Detector(1, 2)
    detector.feed((written / "batch.json").read_bytes(), judge=False)
    before = detector.counts.purchases
    detector.feed((written / "stream.json").read_bytes(), judge=False)
    return detector.counts.purchases - before


@pytest.mark.parametrize("threads", [1, 3])
def test_metrics_on_a_port(logs, start, judged, threads):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    options = ("--metrics", f"{port}", "--threads", f"{threads}")
    process = start("detect", LOGS[0], "-", "out", *options)
    rest = memoryview((logs / "stream.json").read_bytes())
    while rest:
        rest = rest[process.stdin.write(rest) :]

    def all_judged():
        name = "fastanomaly_judgements_total"
        metrics = samples_at(port)
        return metrics and metrics[name, "shared"] + metrics[name, "in_turn"] == judged

    wait_until(all_judged, "all judgements")
    check_samples(samples_at(port), judged, threads)
    process.stdin.close()
    assert process.wait(300) == 0


@pytest.mark.parametrize("threads", [1, 3])
def test_metrics_in_a_file(logs, run, judged, threads):
    options = ("--metrics", "metrics.prom", "--threads", f"{threads}")
    assert run("detect", *LOGS, *OUTPUTS, *options).status == 0
    check_samples(samples((logs / "metrics.prom").read_text()), judged, threads)
