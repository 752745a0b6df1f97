"""The verdict for amounts and k of any size: the engine's integers and Python's agree."""

from hypothesis import given
from hypothesis import strategies as st

from fastanomaly import Detector
from fastanomaly.rules.exact import anomalous, cents_text, mean_cents, sd_cents

LARGEST = 10**18 - 1
AMOUNTS = st.one_of(
    st.integers(0, LARGEST), st.integers(LARGEST - 10, LARGEST), st.integers(0, 10)
)


def text(units):
    return f"{units // 10**6}.{units % 10**6:06d}"


@given(
    st.lists(AMOUNTS, min_size=2, max_size=8),
    st.sampled_from([1, 40, 300]),
    AMOUNTS,
    st.one_of(st.integers(0, 10**9), st.integers(0, 5000)),
)
def test_the_verdict_is_that_of_python_integers(amounts, repeats, amount, thousandths):
    amounts = amounts * repeats
    detector = Detector(1, 5000, f"{thousandths // 1000}.{thousandths % 1000:03d}")
    detector.befriend("buyer", "friend")
    for second, units in enumerate(amounts):
        detector.record("friend", text(units), second * 10**6 + 10**15)
    flag = detector.purchase("buyer", text(amount), 2 * 10**15)
    sums = len(amounts), sum(amounts), sum(units * units for units in amounts)
    assert (flag is not None) == anomalous(*sums, amount, thousandths, 1000)
    if flag is not None:
        assert flag.mean == cents_text(mean_cents(*sums[:2]))
        assert flag.sd == cents_text(sd_cents(*sums))


@given(st.lists(st.integers(LARGEST - 1000, LARGEST - 10), min_size=2, max_size=4))
def test_one_unit_decides(amounts):
    """With k = 0 the threshold is the mean."""
    amounts = amounts * 80
    detector = Detector(1, 5000, 0)
    detector.befriend("buyer", "friend")
    for second, units in enumerate(amounts):
        detector.record("friend", text(units), second * 10**6 + 10**15)
    mean = sum(amounts) // len(amounts)
    assert detector.purchase("buyer", text(mean), 2 * 10**15) is None
    assert detector.purchase("buyer", text(mean + 1), 2 * 10**15) is not None
