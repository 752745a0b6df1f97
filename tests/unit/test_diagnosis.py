"""How Python programs learn that a log has no valid event."""

import pytest
from lines import parameters, purchase

from fastanomaly import Diagnosis, detect, explain, report, sweep

GOOD = purchase("1", "5")


@pytest.fixture
def logs(tmp_path):
    """Return the paths of a good batch log and of a stream log of CSV."""
    paths = tmp_path / "batch.json", tmp_path / "stream.json"
    paths[0].write_bytes(parameters(1, 5) + GOOD)
    paths[1].write_bytes(b"type,ts,id,amount\npurchase,2017-06-13 11:33:01,1,16.83\n")
    return paths


def detected(logs, diagnosis):
    assert diagnosis.faults() == []
    return detect(logs[0], logs[1], logs[0].parent / "out").diagnosis


def swept(logs, diagnosis):
    sweep(*logs, degrees=1, tracked=5, diagnosis=diagnosis)
    return diagnosis


def reported(logs, diagnosis):
    report(*logs, diagnosis=diagnosis)
    return diagnosis


RUNS = [detected, swept, reported]


@pytest.mark.parametrize("run", RUNS)
def test_a_log_without_a_valid_event_is_a_fault(logs, run):
    diagnosis = run(logs, Diagnosis())
    assert isinstance(diagnosis, Diagnosis)
    (fault,) = diagnosis.faults()
    assert fault.startswith(f"{logs[1]}: no valid event in 2 lines: it looks like CSV")
    assert diagnosis.hints() == []
    assert repr(diagnosis) == f"Diagnosis(faults=[{fault!r}], hints=[])"


@pytest.mark.parametrize("run", RUNS)
def test_good_logs_have_no_faults(logs, run):
    logs[1].write_bytes(GOOD)
    diagnosis = run(logs, Diagnosis())
    assert diagnosis.faults() == diagnosis.hints() == []
    assert repr(diagnosis) == "Diagnosis(faults=[], hints=[])"


@pytest.mark.parametrize("run", RUNS)
def test_hints_are_shown(logs, run):
    logs[1].write_bytes(GOOD + b"xx\n" * 3)
    diagnosis = run(logs, Diagnosis())
    assert diagnosis.faults() == []
    (hint,) = diagnosis.hints()
    assert "3 of 4 lines rejected as not_json" in hint
    assert repr(diagnosis) == f"Diagnosis(faults=[], hints=[{hint!r}])"


def test_explain_fills_a_diagnosis_too(logs):
    logs[1].write_bytes(GOOD)
    diagnosis = Diagnosis()
    explain(*logs, line=1, diagnosis=diagnosis)
    assert repr(diagnosis) == "Diagnosis(faults=[], hints=[])"


def test_a_summary_shows_its_diagnosis(logs):
    summary = detect(logs[0], logs[1], logs[0].parent / "out")
    assert f"diagnosis={summary.diagnosis!r}" in repr(summary)
    assert repr(Diagnosis()) == "Diagnosis(faults=[], hints=[])"
