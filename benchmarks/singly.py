"""Judge purchases one by one, each with its own time, both ways of searching beside.

Every load is a process of its own, since D and the method belong to a Detector: two loads
for each degree, one if nothing is to be judged by whole balls. A purchase is one call of
`Detector.purchase`, with one friendship edit before it. The times are those of the calls,
about a microsecond of Python included; the largest ones include what the system did
meanwhile.

The whole-ball way is dear, so it judges a sample: it gets the same events in the same
order, but only records the purchases that are not in the sample, and it stops when its
time is up. To see what a purchase of the sample was compared with, its buyer then makes
an unusual one, which is not timed: a buyer's own purchases do not count, so it meets the
same ones, and its flag holds their n, total and squares. Both ways must give the same.
"""

import gc
import resource
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.crowd import Crowd
from benchmarks.report import MAXRSS_BYTES, SPREAD_HEAD, Spread, progress, table
from fastanomaly import Detector, Flag

UNUSUAL_DOLLARS = 1_000_000


class Judged(NamedTuple):
    """What came of one load."""

    load_seconds: float
    loaded_bytes: int  # the process's peak memory, once loaded
    peak_bytes: int  # and in the end
    hub_friends: int
    memory: dict[str, int]  # what the detector itself tells, by part
    rows: npt.NDArray[np.int64]  # the purchases judged
    purchase_ns: npt.NDArray[np.int64]  # one for each of those
    edit_ns: npt.NDArray[np.int64]
    flags: list[tuple[Flag | None, Flag | None]]  # of the sample, and of what shows more


class Both(NamedTuple):
    """One degree, judged from both sides and by whole balls."""

    degree: int
    auto: Judged
    ball: Judged | None

    def wrong(self) -> int:
        """Count the purchases with other verdicts, of those that both ways judged."""
        assert self.ball is not None
        both = zip(self.auto.flags, self.ball.flags, strict=False)
        return sum(ours != theirs for ours, theirs in both)

    def auto_on_sample(self) -> npt.NDArray[np.int64]:
        """Return what auto took for the purchases that ball judged."""
        assert self.ball is not None
        return self.auto.purchase_ns[self.ball.rows]


class Plan(NamedTuple):
    """What is judged after the load."""

    tracked: int
    judge: int
    ball_sample: int
    ball_seconds: float

    def sample(self) -> npt.NDArray[np.int64]:
        """Return the rows of the purchases that both ways judge, evenly spread."""
        return np.unique(np.linspace(0, self.judge - 1, self.ball_sample).astype(np.int64))


def judge_degree(crowd: Crowd, plan: Plan, degree: int) -> Both:
    """Load and judge, from both sides and then by whole balls, each in a new process."""
    auto = in_new_process(crowd, plan, degree, "auto")
    ball = in_new_process(crowd, plan, degree, "ball") if plan.ball_sample else None
    return Both(degree, auto, ball)


def in_new_process(crowd: Crowd, plan: Plan, degree: int, method: str) -> Judged:
    """Load and judge in a process of its own, so that its peak memory is its own."""
    progress(f"{crowd.users:,} users, D = {degree}, {method}: loading and judging")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(load_and_judge, crowd, plan, degree, method).result()


def load_and_judge(crowd: Crowd, plan: Plan, degree: int, method: str) -> Judged:
    """Load the crowd, then judge its storm: all of it, or by whole balls the sample."""
    detector = Detector(degree, plan.tracked, method=method)
    started = time.perf_counter()
    hub_friends = crowd.load(detector)
    load_seconds = time.perf_counter() - started
    loaded = peak_bytes()
    memory: dict[str, int] = {}  # HERE: what `detector.memory()` tells, once it is there

    sample = plan.sample()
    storm = crowd.storm(plan.judge)
    asked = np.ones(plan.judge, bool)
    deadline = float("inf")
    if method == "ball":
        asked[:] = False
        asked[sample] = True
        deadline = time.perf_counter() + plan.ball_seconds
    in_sample = set(sample.tolist())
    flags: list[tuple[Flag | None, Flag | None]] = []
    purchase_ns: list[int] = []
    edit_ns: list[int] = []
    clock = time.perf_counter_ns
    gc.disable()
    for row, (befriend, user, friend, buyer, dollars, time_us, judged) in enumerate(
        zip(*storm, asked.tolist(), strict=True)
    ):
        edit = detector.befriend if befriend else detector.unfriend
        before = clock()
        edit(user, friend)
        edit_ns.append(clock() - before)
        if not judged:
            detector.record(buyer, dollars, time_us)
            continue
        before = clock()
        flag = detector.purchase(buyer, dollars, time_us)
        purchase_ns.append(clock() - before)
        if row in in_sample:
            flags.append((flag, detector.purchase(buyer, UNUSUAL_DOLLARS, time_us)))
            if time.perf_counter() > deadline:
                break
    return Judged(
        load_seconds,
        loaded,
        peak_bytes(),
        hub_friends,
        memory,
        np.flatnonzero(asked)[: len(purchase_ns)],
        np.array(purchase_ns),
        np.array(edit_ns),
        flags,
    )


def peak_bytes() -> int:
    """Return this process's peak memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_BYTES


def purchases_table(results: Iterable[Both]) -> str:
    """Return the table of judged purchases, by degree and method."""
    rows = [["D", "judged", *SPREAD_HEAD, "p99.9 / p50", "mean / auto's", "answers"]]
    for both in results:
        rows.append([str(both.degree), "auto, all", *costs(both.auto.purchase_ns), "", ""])
        if both.ball is None:
            continue
        ours = both.auto_on_sample()
        ratio = both.ball.purchase_ns.mean() / ours.mean()
        flagged = sum(unusual is not None for _, unusual in both.ball.flags)
        wrong = both.wrong()
        verdict = f"{wrong} differ" if wrong else f"equal, {flagged:,} flags seen"
        rows.append([str(both.degree), "auto, the sample", *costs(ours), "1.0", ""])
        rows.append(
            [
                str(both.degree),
                "ball, the sample",
                *costs(both.ball.purchase_ns),
                f"{ratio:,.1f}",
                verdict,
            ]
        )
    return table(rows, right=[0, *range(2, 10)])


def costs(ns: npt.NDArray[np.int64]) -> list[str]:
    """Return the cells of single times, and how far the slow ones are from the usual."""
    spread = Spread.of(ns)
    return [*spread.cells(), f"{spread.p999 / spread.p50:,.1f}"]


def edits_table(results: Iterable[Both]) -> str:
    """Return the table of the edits between purchases."""
    rows = [["D", *SPREAD_HEAD]]
    rows += [[str(both.degree), *Spread.of(both.auto.edit_ns).cells()] for both in results]
    return table(rows, right=range(7))


def loads_table(results: Sequence[Both]) -> str:
    """Return the table of loads and their memory."""
    rows = [["D", "method", "load s", "peak MB, loaded", "peak MB, in the end"]]
    for both in results:
        for method, one in (("auto", both.auto), ("ball", both.ball)):
            if one is not None:
                sizes = [f"{size / 1e6:,.0f}" for size in (one.loaded_bytes, one.peak_bytes)]
                rows.append([str(both.degree), method, f"{one.load_seconds:,.1f}", *sizes])
    return table(rows, right=[0, 2, 3, 4])


def memory_table(memory: dict[str, int]) -> str:
    """Return the table of what a detector holds, by part."""
    rows = [["part", "MB"], *([part, f"{size / 1e6:,.1f}"] for part, size in memory.items())]
    return table(rows, right=[1])
