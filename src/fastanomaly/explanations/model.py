"""The data of an explanation: the verdict on a purchase and what it was compared with.

Nothing is computed here. `compute` makes an explanation, and each output is a module of its
own: `records` (values for programs), `text`, `html`, `picture`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa


class BaselinePurchase(NamedTuple):
    """A purchase that the explained one was compared with.

    Attributes
    ----------
    path : tuple of str
        A shortest path of friends from the buyer of the explained purchase to the buyer of
        this one, both included.
    time_us : int
        Time in microseconds since 1970-01-01 UTC.
    amount_units : int
        Amount in units of 10^-6.
    """

    path: tuple[str, ...]
    time_us: int
    amount_units: int

    @property
    def user(self) -> str:
        """The buyer."""
        return self.path[-1]

    @property
    def degree(self) -> int:
        """The buyer's distance from the buyer of the explained purchase: 1 for a friend."""
        return len(self.path) - 1


class Verdict(NamedTuple):
    """The verdict on a purchase at one setting of D and T.

    Attributes
    ----------
    degree, tracked : int
        D and T.
    n : int
        Number of purchases it is compared with.
    mean_cents, sd_cents : int or None
        Their mean and standard deviation in cents, truncated; None if n is 0.
    anomalous : bool
        Whether the purchase is flagged.
    """

    degree: int
    tracked: int
    n: int
    mean_cents: int | None
    sd_cents: int | None
    anomalous: bool


class Explanation(NamedTuple):
    """Why a purchase is flagged or not; `str` gives it as text for people.

    Attributes
    ----------
    user : str
        The buyer.
    amount_units : int
        Amount in units of 10^-6.
    time_us : int or None
        Time in microseconds since 1970-01-01 UTC, if known.
    sigmas : tuple of two int
        k as a fraction: numerator and denominator.
    verdict : Verdict
        The verdict that is explained.
    threshold_units : int or None
        mean + k sd in units of 10^-6, rounded down; None if there are fewer than two
        purchases to compare with.
    network : list of int
        Number of users at each distance from the buyer, from 1 to D.
    baseline : list of BaselinePurchase
        The purchases it was compared with, newest first.
    decisive : list of int
        Indices into `baseline`: a smallest set of purchases without which the purchase would
        not be flagged (older purchases do not replace them). Empty if it is not flagged.
        If several sets have that size, one whose amounts are adjacent in sorted order.
    others : list of Verdict
        The verdicts at other settings, sorted by D, then T.
    log, line, raw : str, int and bytes, or None
        The log and line that the purchase comes from, and the text of that line.
    of_table : bool
        Whether `line` is the number of a row in a table.
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
    of_table: bool = False

    @property
    def anomalous(self) -> bool:
        """Whether the purchase is flagged."""
        return self.verdict.anomalous

    @property
    def above_units(self) -> int | None:
        """The amount minus the threshold in units of 10^-6, rounded up."""
        if self.threshold_units is None:
            return None
        return self.amount_units - self.threshold_units

    def __str__(self) -> str:
        return self.to_text()

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON can hold it: amounts and times are text."""
        from fastanomaly.explanations.records import as_dict  # noqa: PLC0415 - when used

        return as_dict(self)

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the baseline as NumPy arrays by name, one row for each purchase.

        ``user``, ``degree``, ``path`` (ids separated by `` - ``), ``timestamp`` (text, UTC),
        ``amount`` (the nearest double) and ``decisive``.
        """
        from fastanomaly.explanations.records import as_columns  # noqa: PLC0415

        return as_columns(self)

    def to_pandas(self) -> pd.DataFrame:
        """Return `columns` as a pandas data frame; needs pandas."""
        from fastanomaly.formats.export import data_frame  # noqa: PLC0415

        return data_frame(self.columns())

    def to_arrow(self) -> pa.Table:
        """Return `columns` as an Arrow table; needs pyarrow."""
        from fastanomaly.formats.export import arrow_table  # noqa: PLC0415

        return arrow_table(self.columns())

    def to_text(self) -> str:
        """Return everything as text for people."""
        from fastanomaly.explanations.text import as_text  # noqa: PLC0415

        return as_text(self)

    def _repr_html_(self) -> str:
        from fastanomaly.explanations.html import as_html  # noqa: PLC0415

        return as_html(self)

    def draw(self, path: str | os.PathLike[str]) -> None:
        """Draw the network by degree, and the amounts with their mean and threshold.

        Parameters
        ----------
        path : str or path-like
            The file to write; its suffix names the format: ``.svg``, ``.png``, ``.pdf``.

        Raises
        ------
        UsageError
            If matplotlib, an extra, is not installed or does not know the format.
        OutputError
            If the file cannot be written.
        """
        from fastanomaly.explanations.picture import draw  # noqa: PLC0415

        draw(self, os.fspath(path))
