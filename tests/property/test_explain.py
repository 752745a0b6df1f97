"""Explanations beside the reference: baseline, shortest paths, what would make a flag fall."""

from fractions import Fraction
from itertools import combinations
from pathlib import Path

import hypothesis.strategies as st
import pytest
import reference
from hypothesis import HealthCheck, given, settings
from profiles import examples
from randomlogs import random_logs

from fastanomaly import Detector
from fastanomaly.errors import UsageError
from fastanomaly.explanations.model import smallest_removal
from fastanomaly.rules import exact as verdict
from fastanomaly.rules.exact import UNITS
from fastanomaly.runs.detection import detect
from fastanomaly.runs.explaining import explain_flag, explain_line, explain_lines

USERS = st.integers(1, 9)


@st.composite
def states(draw):
    """The same events in a detector and in the reference."""
    degree, tracked = draw(st.integers(1, 4)), draw(st.integers(2, 6))
    sigmas = draw(st.sampled_from(["0", "0.5", "1", "3"]))
    detector = Detector(degree, 12, sigmas)
    truth = reference.ReferenceDetector(degree, tracked, sigmas)
    for a, b in draw(st.lists(st.tuples(USERS, USERS), max_size=16)):
        if a != b:
            detector.befriend(a, b)
            truth.befriend(str(a), str(b))
    for a, b in draw(st.lists(st.tuples(USERS, USERS), max_size=3)):
        detector.unfriend(a, b)
        truth.unfriend(str(a), str(b))
    for user, amount, time in draw(
        st.lists(st.tuples(USERS, st.integers(0, 30), st.integers(0, 5)), max_size=24)
    ):
        detector.record(user, amount, time)
        truth.record(str(user), Fraction(amount), time)
    return detector, truth, tracked


def distance(truth, one, other):
    """Steps from friend to friend, by brute force."""
    for degree in range(1, 12):
        truth.degree, kept = degree, truth.degree
        found = other in truth.network(one)
        truth.degree = kept
        if found:
            return degree
    return None


@settings(deadline=None)
@given(state=states(), user=USERS, amount=st.integers(0, 60))
def test_all_of_it(state, user, amount):
    detector, truth, tracked = state
    user = str(user)
    found = detector.explain(user, amount, tracked=tracked, degrees=[1, 5], other_tracked=[2])
    window = truth.window(user)
    assert [(p.time_us, p.user, p.amount_units) for p in found.baseline] == [
        (time, who, int(units * UNITS)) for time, _, who, units in window
    ]
    for purchase in found.baseline:
        assert purchase.path[0] == user
        assert purchase.degree == distance(truth, user, purchase.user)
        for one, other in zip(purchase.path, purchase.path[1:], strict=False):
            assert other in truth.friends_of[one]
    flag = truth.judge(user, Fraction(amount))
    assert found.anomalous == (flag is not None)
    if flag is not None:
        assert found.verdict.n == flag.n
        assert verdict.cents_text(found.verdict.mean_cents) == flag.mean_text
        assert verdict.cents_text(found.verdict.sd_cents) == flag.sd_text
        assert found.threshold_units < amount * UNITS
    assert len(found.network) <= truth.degree
    assert sum(found.network) == len(truth.network(user))
    check_others(found, truth, user, Fraction(amount))
    check_decisive(found, truth, user, Fraction(amount))


def check_others(found, truth, user, amount):
    settings_of = (truth.degree, truth.tracked)
    assert settings_of in {(other.degree, other.tracked) for other in found.others}
    for other in found.others:
        truth.degree, truth.tracked = other.degree, other.tracked
        assert other.anomalous == (truth.judge(user, amount) is not None)
        assert other.n == len(truth.window(user))
    truth.degree, truth.tracked = settings_of


def falls(amounts, amount, numerator, denominator):
    n, total, squares = len(amounts), sum(amounts), sum(x * x for x in amounts)
    return not verdict.anomalous(n, total, squares, amount, numerator, denominator)


def check_decisive(found, truth, user, amount):
    amounts = [int(units * UNITS) for *_, units in truth.window(user)]
    rest = [x for i, x in enumerate(amounts) if i not in found.decisive]
    assert bool(found.decisive) == found.anomalous
    if found.anomalous:
        assert falls(rest, int(amount * UNITS), *found.sigmas)


@settings(deadline=None)
@given(
    amounts=st.lists(
        st.integers(0, 12) | st.integers(10**18 - 9, 10**18 - 1), min_size=2, max_size=8
    ),
    amount=st.integers(0, 40) | st.just(10**18 - 1),
    k=st.sampled_from([(0, 1), (1, 2), (1, 1), (2, 1), (3, 1)]),
)
def test_nothing_smaller_makes_a_flag_fall(amounts, amount, k):
    if falls(amounts, amount, *k):
        return
    decisive = smallest_removal(amounts, amount, *k)
    kept = [x for i, x in enumerate(amounts) if i not in decisive]
    assert falls(kept, amount, *k)
    for fewer in combinations(amounts, len(amounts) - len(decisive) + 1):
        assert not falls(fewer, amount, *k)


@settings(
    max_examples=examples(60),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 10**6))
def test_the_flags_of_random_logs(tmp_path, seed):
    logs = random_logs(seed)
    paths = [str(tmp_path / name) for name in ("batch", "stream", "out")]
    Path(paths[0]).write_bytes(logs.batch)
    Path(paths[1]).write_bytes(logs.stream)
    detect(*paths, sigmas=logs.sigmas, max_line=logs.max_line, **logs.options)
    truth = reference.detect(
        logs.batch, logs.stream, sigmas=logs.sigmas, max_line=logs.max_line, **logs.options
    )
    options = dict(logs.options, sigmas=logs.sigmas, max_line=logs.max_line)
    lines = [flag.line for flag in truth.flags]
    found = list(explain_lines(paths[0], paths[1], lines, **options)) if lines else []
    for number, (one, flag) in enumerate(zip(found, truth.flags, strict=True), 1):
        assert one.anomalous
        assert (one.user, one.verdict.n, one.line) == (flag.user, flag.n, flag.line)
        assert Fraction(one.amount_units, UNITS) == flag.amount
        assert verdict.cents_text(one.verdict.mean_cents) == flag.mean_text
        assert one.to_text()
        assert one.to_dict()["mean"] == flag.mean_text
        if number == len(found):
            assert explain_flag(*paths[:2], number, **options) == one
            assert explain_line(*paths[:2], flag.line, **options) == one
    with pytest.raises(UsageError, match="no flag"):
        explain_flag(*paths[:2], len(lines) + 1, **options)
