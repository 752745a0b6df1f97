"""The detector agrees with the reference after every operation."""

import pickle
import tempfile
from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from profiles import examples
from reference import ReferenceDetector

from fastanomaly import BEFRIEND, PURCHASE, UNFRIEND, Detector
from fastanomaly.times import FIRST_US, LAST_US

USERS = ["1", "2", "3", "4", "02", "-5", "999999999999999999", "1000000000000000000"]
USERS += ["ann", "bob@example.org", "\0", "é", "x" * 40]
NUMBERS = [1, 2, 3, 4, -5, 999999999999999999, 1000000000000000000]

users = st.sampled_from(USERS)
pairs = st.lists(users, min_size=2, max_size=2, unique=True)
times = st.integers(0, 8) | st.sampled_from([FIRST_US, LAST_US])
# With few values, windows are often constant and amounts equal the threshold; sums of the
# largest exceed 128 bits.
amounts = st.sampled_from([0, 1, 5 * 10**6, 10**7, 20 * 10**6, 10**18 - 1]) | st.integers(
    0, 10**18 - 1
)
rows = st.lists(
    st.tuples(
        st.sampled_from([PURCHASE, BEFRIEND, UNFRIEND]),
        times,
        st.lists(st.sampled_from(NUMBERS), min_size=2, max_size=2, unique=True),
        amounts,
    ),
    max_size=12,
)


def text_of(units):
    """Return an amount as in a log."""
    return f"{units // 10**6}.{units % 10**6:06d}"


class Machine(RuleBasedStateMachine):
    @initialize(
        degree=st.integers(1, 5) | st.just(2**31 - 1),
        tracked=st.integers(2, 6) | st.just(2**31 - 1),
        sigmas=st.sampled_from(["0", "0.5", "1", "2.125", "3"]),
        method=st.sampled_from(["auto", "auto", "ball"]),
    )
    def start(self, degree, tracked, sigmas, method):
        self.detector = Detector(degree, tracked, sigmas, method=method)
        self.reference = ReferenceDetector(degree, tracked, sigmas)
        self.flags = 0

    @rule(pair=pairs)
    def befriend(self, pair):
        self.detector.befriend(*pair)
        self.reference.befriend(*pair)

    @rule(pair=pairs)
    def unfriend(self, pair):
        self.detector.unfriend(*pair)
        self.reference.unfriend(*pair)

    @rule(how=st.sampled_from(["file", "pickle"]))
    def save_and_load(self, how):
        before = repr(self.detector), self.detector.method, self.detector.counts
        if how == "pickle":
            self.detector = pickle.loads(pickle.dumps(self.detector))
        else:
            with tempfile.TemporaryDirectory() as folder:
                self.detector.save(f"{folder}/state")
                self.detector = Detector.load(f"{folder}/state")
        assert (repr(self.detector), self.detector.method, self.detector.counts) == before

    @rule(user=users, amount=amounts, time=times)
    def record(self, user, amount, time):
        self.detector.record(user, text_of(amount), time)
        self.reference.record(user, Fraction(amount, 10**6), time)

    @rule(user=users, amount=amounts, time=times)
    def purchase(self, user, amount, time):
        flag = self.detector.purchase(user, text_of(amount), time)
        expected = self.reference.purchase(user, Fraction(amount, 10**6), time)
        assert (flag is None) == (expected is None)
        if flag is not None:
            self.flags += 1
            assert (flag.user, flag.time_us, flag.amount_units) == (user, time, amount)
            assert (flag.n, flag.mean, flag.sd) == (
                expected.n,
                expected.mean_text,
                expected.sd_text,
            )
            assert (flag.exact_mean, flag.exact_variance) == (
                expected.mean,
                expected.variance,
            )

    @rule(rows=rows, judge=st.booleans(), as_text=st.booleans())
    def columns(self, rows, judge, as_text):
        flags = self.detector.feed_columns(
            np.array([row[0] for row in rows], dtype=np.uint8),
            np.array([row[1] for row in rows], dtype=np.int64),
            [str(row[2][0]) if as_text else row[2][0] for row in rows],
            [str(row[2][1]) if as_text else row[2][1] for row in rows],
            np.array([row[3] for row in rows], dtype=np.int64),
            judge=judge,
        )
        expected = []
        for index, (kind, time, (user, friend), amount) in enumerate(rows):
            if kind == PURCHASE:
                purchase = (str(user), Fraction(amount, 10**6), time)
                if not judge:
                    self.reference.record(*purchase)
                elif flag := self.reference.purchase(*purchase):
                    expected.append((index, flag.n, flag.mean_text, flag.sd_text))
            elif kind == BEFRIEND:
                self.reference.befriend(str(user), str(friend))
            else:
                self.reference.unfriend(str(user), str(friend))
        self.flags += len(expected)
        assert [
            (row, n, f"{mean // 100}.{mean % 100:02d}", f"{sd // 100}.{sd % 100:02d}")
            for row, n, mean, sd in zip(
                flags.rows.tolist(),
                flags.n.tolist(),
                flags.mean_cents.tolist(),
                flags.sd_cents.tolist(),
                strict=True,
            )
        ] == expected

    @rule(user=users)
    def network(self, user):
        network = self.detector.network(user)
        assert len(network) == len(set(network))
        assert set(network) == self.reference.network(user)

    @invariant()
    def agrees(self):
        if not hasattr(self, "detector"):
            return
        self.detector._check()
        counts = self.detector.counts
        assert counts.purchases == self.reference.purchases
        assert counts.befriends == self.reference.befriends
        assert counts.unfriends == self.reference.unfriends
        assert counts.users == self.reference.users
        assert counts.friendships == self.reference.friendships
        assert counts.flags == self.flags


Machine.TestCase.settings = settings(max_examples=examples(150), stateful_step_count=40)
TestMachine = Machine.TestCase
