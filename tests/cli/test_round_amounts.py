"""--round-amounts in every command, in summaries and metrics, and in checkpoints."""

import json
import pickle
from decimal import Decimal

import pytest
from lines import befriend, parameters

from fastanomaly import Detector, detect, explain, report, sweep

NOISE = "25.049999999999997"


def purchase(user, amount, second):
    return (
        f'{{"event_type":"purchase", "timestamp":"2017-06-13 11:33:{second:02}", '
        f'"id": "{user}", "amount": {amount}}}\n'
    ).encode()


BATCH = (
    parameters(1, 5)
    + befriend(1, 2)
    + purchase(1, NOISE, 1)
    + purchase(1, "25.050000000000004", 2)
    + purchase(1, "25.1", 3)
)
STREAM = purchase(2, "1601.8300000000002", 4) + purchase(2, "1", 5) + purchase(3, "1e13", 6)
FLAGGED = (
    b'{"event_type":"purchase", "timestamp":"2017-06-13 11:33:04", "id": "2", '
    b'"amount": 1601.8300000000002, "mean": "25.06", "sd": "0.02"}\n'
)
LOGS = ("batch.json", "stream.json")


@pytest.fixture
def logs(tmp_path, monkeypatch):
    """The folder of two logs with float noise, the working directory."""
    (tmp_path / "batch.json").write_bytes(BATCH)
    (tmp_path / "stream.json").write_bytes(STREAM)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_amounts_with_noise_are_rejected_by_default(run, logs):
    ended = run("detect", *LOGS, "out.json", "--summary-json", "summary.json", cwd=logs)
    assert ended.status == 0
    assert (logs / "out.json").read_bytes() == b""
    summary = json.loads((logs / "summary.json").read_bytes())
    assert summary["rejected"] == {"bad_amount": 4}
    assert "rounded_amounts" not in summary
    assert "rounded" not in ended.err.split("lines rejected")[0]
    (logs / "stream.json").write_bytes(STREAM[-1:])
    options = ("--round-amounts", "--summary-json", "summary.json", "-D1", "-T5")
    assert run("detect", "stream.json", "stream.json.gone", "out.json", *options).status == 2
    assert run("detect", "/dev/null", "stream.json", "out.json", *options).status in (0, 4)
    assert json.loads((logs / "summary.json").read_bytes())["rounded_amounts"] == 0


def test_detect_rounds_and_counts(run, logs):
    ended = run(
        "detect",
        *LOGS,
        "out.json",
        "--round-amounts",
        "--summary-json",
        "summary.json",
        "--metrics",
        "metrics",
        cwd=logs,
    )
    assert ended.status == 0
    assert (logs / "out.json").read_bytes() == FLAGGED
    assert "3 amounts rounded to six decimals" in ended.err
    summary = json.loads((logs / "summary.json").read_bytes())
    assert summary["rejected"] == {"bad_amount": 1}
    assert summary["rounded_amounts"] == 3
    assert "fastanomaly_rounded_amounts_total 3.0" in (logs / "metrics").read_text()


def test_the_other_commands_round(run, logs):
    ended = run("sweep", *LOGS, "-D1", "-T5", "--round-amounts", "--flags-dir=f", cwd=logs)
    assert ended.status == 0
    assert (logs / "f" / "D1_T5_k3.json").read_bytes() == FLAGGED
    assert "3 amounts rounded to six decimals" in ended.err
    for which in ("--flag=1", "--line=1"):
        ended = run("explain", *LOGS, which, "--round-amounts", cwd=logs)
        assert ended.status == 0
        assert "1601.83" in ended.out.decode()
    ended = run("report", *LOGS, "-o", "r.html", "--round-amounts", cwd=logs)
    assert ended.status == 0
    assert "and 3 amounts rounded to six decimals" in (logs / "r.html").read_text()


def test_the_functions_round(logs):
    assert detect(*LOGS, "out", round_amounts=True).rounded_amounts == 3
    result = sweep(*LOGS, degrees=[1], tracked=[5], round_amounts=True)
    assert result.flags.tolist() == [1]
    assert result.detector.counts.rounded_amounts == 3
    assert explain(*LOGS, flag=1, round_amounts=True).amount_units == 1_601_830_000
    assert "and 3 amounts rounded" in report(*LOGS, round_amounts=True)


@pytest.mark.parametrize(
    "amount", [25.049999999999997, NOISE, Decimal(NOISE), float("2.5049999999999997e1")]
)
def test_the_detector_rounds(amount):
    strict = Detector(1, 5)
    with pytest.raises(ValueError, match=r"six decimals \(round_amounts=True rounds it\)"):
        strict.record("1", amount, 0)
    assert not strict.round_amounts
    detector = Detector(1, 5, round_amounts=True)
    detector.record("1", amount, 0)
    detector.record("1", "25.05", 0)
    detector.befriend("1", "2")
    assert detector.explain("2", amount).amount_units == 25_050_000
    flag = detector.purchase("2", 1601.8300000000002, 1)
    assert str(flag.amount) == "1601.83"
    assert [p.amount_units for p in detector.explain("2", 1).baseline] == [25_050_000] * 2
    assert detector.counts.rounded_amounts == 2
    for wrong in (-0.000001, 1e12, 999999999999.9999995, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="amount: "):
            detector.record("1", wrong, 0)
    assert detector.counts.rounded_amounts == 2


def test_a_saved_detector_keeps_option_and_count(tmp_path):
    detector = Detector(1, 5, round_amounts=True)
    detector.record("1", NOISE, 0)
    detector.save(tmp_path / "state")
    for loaded in (Detector.load(tmp_path / "state"), pickle.loads(pickle.dumps(detector))):
        assert loaded.round_amounts
        assert loaded.counts == detector.counts
        loaded.record("1", NOISE, 0)
        assert loaded.counts.rounded_amounts == 2


def test_a_checkpoint_of_the_other_rule_is_another_job(run, logs):
    job = ("detect", *LOGS, "out.json", "--checkpoint", "kept")
    assert run(*job, "--round-amounts", cwd=logs).status == 0
    ended = run(*job, cwd=logs)
    assert ended.status == 2
    assert "another job: round-amounts was True and is now False" in ended.err
    ended = run(*job, "--round-amounts", cwd=logs)
    assert ended.status == 0
    assert "3 amounts rounded" in ended.err
    assert run(*job, "--fresh", cwd=logs).status == 0
    ended = run(*job, "--round-amounts", cwd=logs)
    assert ended.status == 2
    assert "another job: round-amounts was False and is now True" in ended.err
