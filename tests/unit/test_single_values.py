"""Where several D, T or k are expected: a single number, or a text."""

from typing import Any

import numpy as np
import pytest

from fastanomaly import (
    Detector,
    ParameterError,
    Simulation,
    explain,
    report,
    simulate,
    sweep,
)


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    paths = folder / "batch", folder / "stream"
    simulate(*paths, Simulation(users=20, batch_events=200, degree=2, tracked=20))
    return paths


@pytest.mark.parametrize("kind", [int, np.int64, np.array])
def test_a_single_number_is_a_list_of_one(logs, kind):
    one = sweep(*logs, degrees=kind(2), tracked=kind(20), sigmas=kind(1))
    many = sweep(*logs, degrees=[2], tracked=[20], sigmas=[1])
    assert one.cells == many.cells
    assert one.flagged == many.flagged != []
    detector = many.detector
    assert detector.explain("1", 5, degrees=kind(3), other_tracked=kind(10)).others == (
        detector.explain("1", 5, degrees=[3], other_tracked=[10]).others
    )
    assert explain(
        *logs, flag=1, sigmas=1, degrees=kind(3), other_tracked=kind(10)
    ).others == (explain(*logs, flag=1, sigmas=1, degrees=[3], other_tracked=[10]).others)
    assert report(*logs, sigmas=1, degrees=kind(3), other_tracked=kind(10)) == (
        report(*logs, sigmas=1, degrees=[3], other_tracked=[10])
    )


@pytest.mark.parametrize("sigmas", ["2.5", 2.5, np.float64(2.5)])
def test_a_single_k_may_be_a_text(logs, sigmas):
    assert [c.sigmas for c in sweep(*logs, degrees=1, tracked=2, sigmas=sigmas).cells] == [
        "2.5"
    ]


@pytest.mark.parametrize("text", ["1-2", "12", "1,2", ""])
def test_a_text_is_refused(logs, text):
    detector = Detector(1, 5)
    calls: dict[Any, str] = {
        lambda: sweep(*logs, degrees=text, tracked=5): "D",
        lambda: sweep(*logs, degrees=1, tracked=text): "T",
        lambda: detector.explain("1", 5, degrees=text): "D",
        lambda: detector.explain("1", 5, other_tracked=text): "T",
        lambda: explain(*logs, line=1, degrees=text): "D",
        lambda: report(*logs, degrees=text): "D",
        lambda: report(*logs, other_tracked=text): "T",
    }
    for call, name in calls.items():
        message = (
            rf"{name}: expected integers, such as \[1, 2\] or range\(1, 3\), got the text"
        )
        with pytest.raises(ParameterError, match=f"{message} '{text}'"):
            call()


@pytest.mark.parametrize("wrong", [1.5, None, True, object()])
def test_other_single_values_are_named(logs, wrong):
    with pytest.raises(ParameterError, match=r"^D: expected a whole number, got"):
        sweep(*logs, degrees=wrong, tracked=5)
    with pytest.raises(ParameterError, match=r"^sigmas: "):
        sweep(*logs, degrees=1, tracked=5, sigmas="1-2")
