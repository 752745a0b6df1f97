"""Time single judged purchases, with both search methods.

The state is loaded once. Each degree and method then judges in a fork of that process, so
that all start from the same state. A purchase is one call of `Detector.purchase`, with one
friendship edit before it. Times are those of the calls, including about a microsecond of
Python; the largest ones include what the system did meanwhile, such as copying a page that
the fork writes to for the first time.

Whole balls are expensive, so that method judges a sample: it gets the same events in the
same order, but only records the purchases that are not in the sample, and stops at its time
limit. To see what a purchase of the sample was compared with, its buyer then makes an
unusual purchase, which is not timed: a buyer's own purchases do not count, so it is compared
with the same ones, and its flag has their n, sum and sum of squares. Both methods must agree.
"""

import gc
import resource
import time
from collections.abc import Iterable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.crowd import Crowd
from benchmarks.report import MAXRSS_BYTES, SPREAD_HEAD, Spread, progress, table
from fastanomaly import Counts, Detector, Flag, Memory
from fastanomaly.detector import Method

UNUSUAL_DOLLARS = 1_000_000


class Loaded(NamedTuple):
    """A loaded crowd, and what loading it took."""

    detector: Detector
    seconds: float
    peak_bytes: int  # of the process
    hub_friends: int
    memory: Memory
    counts: Counts


class Judged(NamedTuple):
    """The results of one method."""

    rows: npt.NDArray[np.int64]  # the purchases judged
    purchase_ns: npt.NDArray[np.int64]  # one for each of those
    edit_ns: npt.NDArray[np.int64]
    flags: list[tuple[Flag | None, Flag | None]]  # of the sample and of the probes


class Both(NamedTuple):
    """One degree, judged by search from both sides and by whole balls."""

    degree: int
    auto: Judged
    ball: Judged | None

    def wrong(self) -> int:
        """Count the purchases on which both methods, having judged them, disagree."""
        assert self.ball is not None
        both = zip(self.auto.flags, self.ball.flags, strict=False)
        return sum(ours != theirs for ours, theirs in both)

    def auto_on_sample(self) -> npt.NDArray[np.int64]:
        """Return the times of auto for the purchases that ball judged."""
        assert self.ball is not None
        return self.auto.purchase_ns[self.ball.rows]


class Plan(NamedTuple):
    """What to judge after the load."""

    tracked: int
    judge: int
    ball_sample: int
    ball_seconds: float

    def sample(self) -> npt.NDArray[np.int64]:
        """Return the rows of the purchases that both methods judge, evenly spread."""
        return np.unique(np.linspace(0, self.judge - 1, self.ball_sample).astype(np.int64))


def load(crowd: Crowd, tracked: int) -> Loaded:
    """Load the crowd into a new detector."""
    progress(f"{crowd.users:,} users: loading")
    detector = Detector(1, tracked)
    started = time.perf_counter()
    hub_friends = crowd.load(detector)
    seconds = time.perf_counter() - started
    return Loaded(
        detector, seconds, peak_bytes(), hub_friends, detector.memory(), detector.counts
    )


def judge_degree(loaded: Loaded, crowd: Crowd, plan: Plan, degree: int) -> Both:
    """Judge from both sides, then by whole balls, each from the loaded state."""
    auto = in_a_fork(loaded, crowd, plan, degree, "auto")
    ball = in_a_fork(loaded, crowd, plan, degree, "ball") if plan.ball_sample else None
    return Both(degree, auto, ball)


def in_a_fork(loaded: Loaded, crowd: Crowd, plan: Plan, degree: int, method: Method) -> Judged:
    """Judge in a fork of this process."""
    progress(f"{crowd.users:,} users, D = {degree}, {method}: judging")
    context = get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    work = (sending, loaded.detector, crowd, plan, degree, method)
    process = context.Process(target=send_judged, args=work)
    process.start()
    sending.close()
    judged: Judged = receiving.recv()
    process.join()
    return judged


def send_judged(
    sending: Connection,
    detector: Detector,
    crowd: Crowd,
    plan: Plan,
    degree: int,
    method: Method,
) -> None:
    """Judge, and send the results."""
    sending.send(judge(detector, crowd, plan, degree, method))


def judge(detector: Detector, crowd: Crowd, plan: Plan, degree: int, method: Method) -> Judged:
    """Judge the crowd's storm: all of it, or only the sample by whole balls."""
    detector.degree, detector.method = degree, method
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
    """Return the cells of single times, and the ratio of slow ones to the median."""
    spread = Spread.of(ns)
    return [*spread.cells(), f"{spread.p999 / spread.p50:,.1f}"]


def edits_table(results: Iterable[Both]) -> str:
    """Return the table of the edits between purchases."""
    rows = [["D", *SPREAD_HEAD]]
    rows += [[str(both.degree), *Spread.of(both.auto.edit_ns).cells()] for both in results]
    return table(rows, right=range(7))


def memory_table(loaded: Loaded) -> str:
    """Return the table of a detector's memory, by part."""
    memory, counts = loaded.memory, loaded.counts
    per = {
        "users": (counts.users, "a user"),
        "friendships": (2 * counts.friendships, "a friendship end"),
        "purchases": (counts.kept, "a kept purchase"),
    }
    rows = [["part", "MB", "bytes"]]
    for part, size in memory._asdict().items():
        count, what = per.get(part, (0, ""))
        rows.append(
            [part, f"{size / 1e6:,.1f}", f"{size / count:.1f} {what}" if count else ""]
        )
    rows.append(["total", f"{memory.total / 1e6:,.1f}", ""])
    rows.append(["the process at its peak", f"{loaded.peak_bytes / 1e6:,.1f}", ""])
    return table(rows, right=[1])
