"""The computation of an explanation: baseline, threshold, smallest removal, other verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isqrt
from typing import Protocol

from fastanomaly.convert import several
from fastanomaly.errors import UsageError
from fastanomaly.explanations.model import BaselinePurchase, Explanation, Verdict
from fastanomaly.rules import exact
from fastanomaly.rules.parameters import OTHER_DEGREES, OTHER_TRACKED, check_whole


class PurchaseSearch(Protocol):
    """The two searches that an explanation needs; the compiled engine has them."""

    def latest(
        self, user: str | int, degree: int, tracked: int
    ) -> tuple[list[int], list[tuple[tuple[str, ...], int, int]]]:
        """Find the latest purchases of a network, newest first.

        Returns the number of users at each distance, and path, time_us and amount_units of
        each purchase.
        """

    def latest_amounts(self, user: str | int, degree: int, tracked: int) -> list[int]:
        """Find the amounts of the latest purchases of a network, newest first."""


def explain(
    search: PurchaseSearch,
    user: str | int,
    units: int,
    *,
    degree: int,
    tracked: int,
    max_tracked: int,
    sigmas: tuple[int, int],
    degrees: Iterable[int] | int = OTHER_DEGREES,
    other_tracked: Iterable[int] | int = OTHER_TRACKED,
) -> Explanation:
    """Explain what the verdict on a purchase would be now; see `Detector.explain`.

    Parameters
    ----------
    search : PurchaseSearch
        Finds the latest purchases.
    user : str or int
        The buyer.
    units : int
        Its amount in units of 10^-6.
    degree, tracked : int
        D and T.
    max_tracked : int
        How many purchases of each user `search` keeps: the largest possible T.
    sigmas : tuple of two int
        k as a fraction: numerator and denominator.
    degrees, other_tracked : iterable of int, or int
        Other D and T to judge the purchase at; T above `max_tracked` are left out.

    Raises
    ------
    TypeError, ValueError
        If the id is not valid, or D or T is out of range.
    """
    tracked = check_whole("T", tracked)
    if tracked > max_tracked:
        raise UsageError(f"T: {tracked} is more than the detector's own, {max_tracked}")
    network, latest = search.latest(user, degree, tracked)
    baseline = [BaselinePurchase(*values) for values in latest]
    amounts = [purchase.amount_units for purchase in baseline]
    own = _verdict(amounts, degree, tracked, units, sigmas)
    all_tracked = sorted(
        {
            t
            for t in (check_whole("T", t) for t in several("T", other_tracked))
            if t <= max_tracked
        }
        | {tracked}
    )
    others = []
    for other in sorted({check_whole("D", d) for d in several("D", degrees)} | {degree}):
        found = search.latest_amounts(user, other, all_tracked[-1])
        others += [_verdict(found, other, t, units, sigmas) for t in all_tracked]
    return Explanation(
        user=str(user),
        amount_units=units,
        time_us=None,
        sigmas=sigmas,
        verdict=own,
        threshold_units=_threshold(amounts, sigmas) if own.n >= 2 else None,
        network=network,
        baseline=baseline,
        decisive=smallest_removal(amounts, units, sigmas) if own.anomalous else [],
        others=others,
    )


def _sums(amounts: Sequence[int]) -> tuple[int, int, int]:
    """Number of amounts, their sum and the sum of their squares."""
    return len(amounts), sum(amounts), sum(x * x for x in amounts)


def _verdict(
    latest: Sequence[int],
    degree: int,
    tracked: int,
    amount_units: int,
    sigmas: tuple[int, int],
) -> Verdict:
    n, total, squares = _sums(latest[:tracked])
    if n == 0:
        return Verdict(degree, tracked, 0, None, None, anomalous=False)
    return Verdict(
        degree,
        tracked,
        n,
        exact.mean_cents(n, total),
        exact.sd_cents(n, total, squares),
        exact.anomalous(n, total, squares, amount_units, *sigmas),
    )


def _threshold(amounts: Sequence[int], sigmas: tuple[int, int]) -> int:
    """Mean + k sd, rounded down: floor((r s + sqrt(p^2 v)) / (r n)), k = p / r."""
    n, total, squares = _sums(amounts)
    numerator, denominator = sigmas
    root = isqrt(numerator**2 * (n * squares - total * total))
    return (denominator * total + root) // (denominator * n)


def smallest_removal(
    amounts: Sequence[int], amount_units: int, sigmas: tuple[int, int]
) -> list[int]:
    """Return the fewest purchases without which an amount would not be anomalous.

    Parameters
    ----------
    amounts : sequence of int
        The amounts that it is compared with, in units of 10^-6.
    amount_units : int
        The amount in units of 10^-6.
    sigmas : tuple of two int
        k as a fraction.

    Returns
    -------
    list of int
        Indices into `amounts`, ascending.

    Notes
    -----
    mean + k sd is convex in each remaining amount. Where one more amount is to remain, the
    best choice is therefore the lowest or the highest, and the removed ones are adjacent in
    sorted order. All such runs are tried, the shortest first: in doubles, and exactly where
    doubles cannot exclude that the flag is cleared. Costs n times the number removed.
    """
    import numpy as np  # noqa: PLC0415 - imported late: it slows the start

    n = len(amounts)
    order = sorted(range(n), key=amounts.__getitem__)
    totals, squares = [0], [0]  # of the first i amounts in sorted order
    for i in order:
        totals.append(totals[-1] + amounts[i])
        squares.append(squares[-1] + amounts[i] ** 2)
    near_totals, near_squares = np.array(totals, float), np.array(squares, float)
    k = sigmas[0] / sigmas[1]
    for removed in range(1, n + 1):
        left = n - removed
        if left < 2:  # too few for a verdict
            return sorted(order[:removed])
        # An upper bound of left * (mean + k sd) for each run of `removed` amounts: the
        # margins exceed what rounding can lose.
        total = near_totals[n] - near_totals[removed:] + near_totals[: left + 1]
        square = left * (near_squares[n] - near_squares[removed:] + near_squares[: left + 1])
        variance = np.maximum(square - total**2, 0) + 1e-13 * left * near_squares[n]
        bound = (total + k * np.sqrt(variance)) * (1 + 1e-12) + 1e-12 * near_totals[n]
        for start in np.flatnonzero(bound >= float(left * amount_units)).tolist():
            end = start + removed
            if not exact.anomalous(
                left,
                totals[n] - totals[end] + totals[start],
                squares[n] - squares[end] + squares[start],
                amount_units,
                *sigmas,
            ):
                return sorted(order[start:end])
    return []
