"""Why a purchase is flagged, or is not: its baseline, and what would have changed that."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from math import isqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from fastanomaly.convert import Number, exact_amount
from fastanomaly.errors import UsageError
from fastanomaly.rules import exact as verdict
from fastanomaly.rules.exact import UNITS, cents_text
from fastanomaly.rules.parameters import OTHER_DEGREES, OTHER_TRACKED, check_whole

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

    from fastanomaly.detector import Detector, UserId


class BaselinePurchase(NamedTuple):
    """A purchase that another one was compared with.

    Attributes
    ----------
    path : tuple of str
        From the buyer of the purchase explained to the buyer of this one: a shortest way
        from friend to friend, both ends included.
    time_us : int
        When, in microseconds since 1970-01-01 UTC.
    amount_units : int
        The amount in units of 10^-6.
    """

    path: tuple[str, ...]
    time_us: int
    amount_units: int

    @property
    def user(self) -> str:
        """Who bought."""
        return self.path[-1]

    @property
    def degree(self) -> int:
        """How far they are: 1 for a friend."""
        return len(self.path) - 1


class Verdict(NamedTuple):
    """What a setting makes of a purchase.

    Attributes
    ----------
    degree, tracked : int
        D and T.
    n : int
        How many purchases it is compared with.
    mean_cents, sd_cents : int or None
        Their mean and standard deviation in cents, truncated; None if there are none.
    anomalous : bool
        Whether it is flagged.
    """

    degree: int
    tracked: int
    n: int
    mean_cents: int | None
    sd_cents: int | None
    anomalous: bool


class Explanation(NamedTuple):
    """Why a purchase is flagged, or is not.

    Attributes
    ----------
    user : str
        The buyer.
    amount_units : int
        The amount in units of 10^-6.
    time_us : int or None
        When, in microseconds since 1970-01-01 UTC, if that is known.
    sigmas : tuple of two int
        k as a fraction.
    verdict : Verdict
        What is explained.
    threshold_units : int or None
        mean + k sd in units of 10^-6, rounded down; None without two purchases.
    network : list of int
        How many users there are at each distance, from 1 to D.
    baseline : list of BaselinePurchase
        What the purchase was compared with, newest first.
    decisive : list of int
        Indices into `baseline`: the smallest set without which the purchase would not be
        flagged, nothing taking its place; empty if it is not flagged. Of several such sets,
        one whose amounts stand side by side.
    others : list of Verdict
        What other settings make of it, by D and then T.
    log, line, raw : str, int and bytes, or None
        Where the purchase stands.
    """

    user: str
    amount_units: int
    time_us: int | None
    sigmas: tuple[int, int]
    verdict: Verdict
    threshold_units: int | None
    network: list[int]
    baseline: list[BaselinePurchase]
    decisive: list[int]
    others: list[Verdict]
    log: str | None = None
    line: int | None = None
    raw: bytes | None = None

    @property
    def anomalous(self) -> bool:
        """Whether the purchase is flagged."""
        return self.verdict.anomalous

    @property
    def above_units(self) -> int | None:
        """The amount less the threshold in units of 10^-6, rounded up."""
        if self.threshold_units is None:
            return None
        return self.amount_units - self.threshold_units

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON can hold it: amounts and times as text."""
        from fastanomaly.explanations.text import as_dict  # noqa: PLC0415 - when it is shown

        return as_dict(self)

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """The baseline as columns by name, a row a purchase: as NumPy arrays.

        ``user``, ``degree``, ``path`` (ids with a dash between them), ``timestamp`` (text,
        UTC), ``amount`` (the nearest double) and ``decisive``.
        """
        import numpy as np  # noqa: PLC0415 - most programs explain nothing

        from fastanomaly.explanations.text import time_text  # noqa: PLC0415

        baseline = self.baseline
        decisive = np.zeros(len(baseline), bool)
        decisive[self.decisive] = True
        return {
            "user": np.array([p.user for p in baseline], object),
            "degree": np.array([p.degree for p in baseline], np.int64),
            "path": np.array([" - ".join(p.path) for p in baseline], object),
            "timestamp": np.array([time_text(p.time_us) for p in baseline], object),
            "amount": np.array([p.amount_units / UNITS for p in baseline], np.float64),
            "decisive": decisive,
        }

    def to_pandas(self) -> pd.DataFrame:
        """`columns` as a pandas data frame, if pandas is installed."""
        from fastanomaly.export import data_frame  # noqa: PLC0415 - for those who ask

        return data_frame(self.columns())

    def to_arrow(self) -> pa.Table:
        """`columns` as an Arrow table, if pyarrow is installed."""
        from fastanomaly.export import arrow_table  # noqa: PLC0415

        return arrow_table(self.columns())

    def to_text(self) -> str:
        """All of it for people."""
        from fastanomaly.explanations.text import as_text  # noqa: PLC0415

        return as_text(self)

    def _repr_html_(self) -> str:
        from fastanomaly.explanations.text import as_html  # noqa: PLC0415

        return as_html(self)

    def draw(self, path: str | os.PathLike[str]) -> None:
        """Draw the network by degree, and the amounts beside mean and threshold.

        Parameters
        ----------
        path : str or path-like
            Its suffix says in what form: .svg, .png, .pdf.

        Raises
        ------
        UsageError
            If matplotlib, an extra, is not installed, or knows no such form.
        """
        from fastanomaly.explanations.picture import draw  # noqa: PLC0415

        draw(self, os.fspath(path))


def explain(
    detector: Detector,
    user: UserId,
    amount: Number,
    *,
    tracked: int | None = None,
    degrees: Iterable[int] = OTHER_DEGREES,
    other_tracked: Iterable[int] = OTHER_TRACKED,
    time_us: int | None = None,
) -> Explanation:
    """Explain the verdict on a purchase, were it made now; see `Detector.explain`."""
    units = exact_amount(amount)
    most = detector.tracked if tracked is None else check_whole("T", tracked)
    if most > detector.tracked:
        raise UsageError(f"T: {most} is above the detector's own, {detector.tracked}")
    numerator, denominator = detector.sigmas.as_integer_ratio()
    sizes, baseline = _latest(detector, user, detector.degree, most)
    amounts = [purchase.amount_units for purchase in baseline]
    own = _verdict(amounts, detector.degree, most, units, numerator, denominator)
    threshold = None
    if own.n >= 2:
        threshold = _threshold(*_sums(amounts), numerator, denominator)
    decisive = []
    if own.anomalous:
        decisive = smallest_removal(amounts, units, numerator, denominator)
    counts = sorted(
        {t for t in (check_whole("T", t) for t in other_tracked) if t <= detector.tracked}
        | {most}
    )
    others = []
    for degree in sorted({check_whole("D", d) for d in degrees} | {detector.degree}):
        amounts = detector._engine.latest_amounts(user, degree, counts[-1])
        others += [_verdict(amounts, degree, t, units, numerator, denominator) for t in counts]
    return Explanation(
        str(user),
        units,
        time_us,
        (numerator, denominator),
        own,
        threshold,
        sizes,
        baseline,
        decisive,
        others,
    )


def _latest(
    detector: Detector, user: UserId, degree: int, tracked: int
) -> tuple[list[int], list[BaselinePurchase]]:
    sizes, found = detector._engine.latest(user, degree, tracked)
    return sizes, [BaselinePurchase(*values) for values in found]


def _sums(amounts: Sequence[int]) -> tuple[int, int, int]:
    return len(amounts), sum(amounts), sum(x * x for x in amounts)


def _verdict(
    latest: Sequence[int],
    degree: int,
    tracked: int,
    amount_units: int,
    numerator: int,
    denominator: int,
) -> Verdict:
    n, total, squares = _sums(latest[:tracked])
    if n == 0:
        return Verdict(degree, tracked, 0, None, None, anomalous=False)
    return Verdict(
        degree,
        tracked,
        n,
        verdict.mean_cents(n, total),
        verdict.sd_cents(n, total, squares),
        verdict.anomalous(n, total, squares, amount_units, numerator, denominator),
    )


def _threshold(n: int, total: int, squares: int, numerator: int, denominator: int) -> int:
    """Mean + k sd, rounded down: floor((r s + sqrt(p^2 v)) / (r n)), k = p / r."""
    root = isqrt(numerator**2 * (n * squares - total * total))
    return (denominator * total + root) // (denominator * n)


def smallest_removal(
    amounts: Sequence[int], amount: int, numerator: int, denominator: int
) -> list[int]:
    """The fewest purchases without which the amount is no anomaly, as indices.

    Mean + k sd is convex in each of the purchases that are kept, so that among those to
    choose from the best to keep is the lowest or the highest: what goes stands side by side
    in the order of amounts. Each such run is tried, the shortest first, and looked at
    exactly where doubles leave a doubt. Costs n times the number that has to go.
    """
    import numpy as np  # noqa: PLC0415 - most programs explain nothing

    n = len(amounts)
    order = sorted(range(n), key=amounts.__getitem__)
    totals, squares = [0], [0]
    for i in order:
        totals.append(totals[-1] + amounts[i])
        squares.append(squares[-1] + amounts[i] ** 2)
    sums, sums_squares = np.array(totals, float), np.array(squares, float)
    k = numerator / denominator
    for gone in range(1, n + 1):
        kept = n - gone
        if kept < 2:  # then there is no verdict
            return sorted(order[:gone])
        # Doubles, rounded in favour of the fall, tell where it is worth looking exactly.
        total = sums[n] - sums[gone:] + sums[: kept + 1]
        square = kept * (sums_squares[n] - sums_squares[gone:] + sums_squares[: kept + 1])
        variance = np.maximum(square - total**2, 0) + 1e-13 * kept * sums_squares[n]
        reach = (total + k * np.sqrt(variance)) * (1 + 1e-12) + 1e-12 * sums[n]
        for start in np.flatnonzero(reach >= float(kept * amount)).tolist():
            end = start + gone
            if not verdict.anomalous(
                kept,
                totals[n] - totals[end] + totals[start],
                squares[n] - squares[end] + squares[start],
                amount,
                numerator,
                denominator,
            ):
                return sorted(order[start:end])
    return []


def amount_text(units: int) -> str:
    """An amount with two decimals, or as many as it needs."""
    sign, units = ("-", -units) if units < 0 else ("", units)
    if units % (UNITS // 100) == 0:
        return sign + cents_text(units // (UNITS // 100))
    return f"{sign}{units // UNITS}.{units % UNITS:06d}".rstrip("0")
