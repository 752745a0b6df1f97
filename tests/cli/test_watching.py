"""fastanomaly detect: metrics, messages as JSON lines, the health line."""

import json
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from cli.commandline import STREAM, wait_until
from cli.exposition import samples, samples_at
from cli.flags import wait_for_flags

STREAMS = STREAM * 3 + b"garbage\n"


def check_samples(found):
    assert found["fastanomaly_events_total", "purchase"] == 6
    assert found["fastanomaly_events_total", "befriend"] == 2
    assert found["fastanomaly_events_total", "unfriend"] == 1
    assert found["fastanomaly_flags_total",] == 3
    assert found["fastanomaly_rejected_lines_total", "not_json"] == 1
    assert found["fastanomaly_judging_seconds_bucket", "+Inf"] == 3
    assert found["fastanomaly_judging_seconds_count",] == 3
    assert 0 < found["fastanomaly_judging_seconds_sum",] < 60
    assert found["fastanomaly_lag_seconds",] > 9 * 365 * 86400
    assert found["fastanomaly_users",] == 3
    assert found["fastanomaly_friendships",] == 1
    assert found["fastanomaly_purchases_kept",] == 6
    assert found["fastanomaly_state_bytes", "users"] > 0


def test_metrics_in_a_file(folder, run):
    (folder / "stream.json").write_bytes(STREAMS)
    options = ("--metrics", "metrics.prom", "--checkpoint", "kept")
    assert run("detect", "batch.json", "stream.json", "out", *options).status == 0
    found = samples((folder / "metrics.prom").read_text())
    check_samples(found)
    assert found["fastanomaly_checkpoints_total",] == 1
    assert 0 <= found["fastanomaly_checkpoint_age_seconds",] < 600
    assert found["fastanomaly_checkpoint_duration_seconds",] > 0


def test_metrics_on_a_port(folder, start):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    options = ("--metrics", f"{port}")
    process = start("detect", "batch.json", "-", "out", *options)
    process.stdin.write(STREAMS)

    wait_until(lambda: samples_at(port).get(("fastanomaly_flags_total",)) == 3, "flags")
    check_samples(samples_at(port))
    process.stdin.close()
    assert process.wait(300) == 0


@pytest.mark.parametrize("where", ["99999", "missing/metrics.prom"])
def test_metrics_that_cannot_be_written_are_an_error(folder, run, where):
    ended = run("detect", "batch.json", "stream.json", "out", "--metrics", where)
    assert ended.status in (1, 2)
    assert where in ended.err
    assert not (folder / "out").exists()


def test_without_prometheus_client_the_extra_is_named(folder):
    code = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "from fastanomaly.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = ("detect", "batch.json", "stream.json", "out", "--metrics", "metrics")
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, check=False
    )
    assert ended.returncode == 2
    install = f"{sys.executable} -m pip install 'fastanomaly[metrics]'"
    assert install.encode() in ended.stderr


def entries(err):
    return [json.loads(line) for line in err.splitlines()]


def test_messages_as_json_lines(folder, run):
    (folder / "stream.json").write_bytes(STREAMS)
    ended = run("detect", "batch.json", "stream.json", "out", "--log-format", "json")
    (entry,) = entries(ended.err)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"])
    assert (entry["level"], entry["ended"], entry["flags"]) == ("info", "done", 3)
    assert entry["rejected"] == {"not_json": 1}
    ended = run("detect", "missing.json", "stream.json", "out", "--log-format", "json")
    (entry,) = entries(ended.err)
    assert (entry["level"], entry["status"]) == ("error", 2)
    assert entry["message"] == "missing.json: No such file or directory"


@pytest.mark.parametrize("form", ["text", "json"])
def test_sigusr1_prints_a_health_line(folder, start, form):
    options = ("--log-format", form, "--checkpoint", "kept", "--every", "1")
    process = start("detect", "batch.json", "-", "out", *options)
    process.stdin.write(STREAMS)
    wait_for_flags(folder, 3)
    wait_until(lambda: any((folder / "kept").glob("checkpoint-*[0-9]")), "a checkpoint")
    time.sleep(0.5)  # until the process that wrote it has ended
    process.send_signal(signal.SIGUSR1)
    line = process.stderr.readline().decode()
    if form == "json":
        entry = json.loads(line)
        assert (entry["log"], entry["line"], entry["flags"]) == ("-", 5, 3)
        assert entry["state_bytes"] > 0
        assert entry["checkpoint_age_seconds"] >= 0
    else:
        assert line.startswith("fastanomaly: health: events 9, purchases 6, ")
        assert "line 5, lag_seconds " in line
    process.stdin.close()
    assert process.wait(300) == 0
