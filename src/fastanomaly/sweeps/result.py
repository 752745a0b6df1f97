"""The result of a sweep: what each setting of a grid flags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastanomaly.convert import Number, exact_sigmas
from fastanomaly.results import flag_line
from fastanomaly.rules.parameters import sigmas_text
from fastanomaly.sweeps.grid import Cell, Grid

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

    from fastanomaly.detector import Detector

_FLAG_BYTES = 4 * 8


class FlaggedPurchase(NamedTuple):
    """A purchase that at least one setting of a grid flags.

    Attributes
    ----------
    user : str
        The buyer.
    time_us : int
        Time in microseconds since 1970-01-01 UTC.
    amount_units : int
        Amount in units of 10^-6.
    cells : bytes
        An int64 array with a row (cell, n, mean_cents, sd_cents) for each setting that flags
        the purchase.
    log, line, raw : str, int, bytes
        The log and line that it comes from, and the text of that line.
    """

    user: str
    time_us: int
    amount_units: int
    cells: bytes
    log: str
    line: int
    raw: bytes


class SweepResult:
    """What each setting of a grid flags; columns are NumPy arrays with a row for each setting.

    Attributes
    ----------
    cells : list of Cell
        The settings: k changes first, then T, then D.
    degree, tracked : numpy.ndarray of int64, shape (cells,)
        D and T.
    sigmas : numpy.ndarray of float64, shape (cells,)
        k; `cells` has the exact values.
    flags : numpy.ndarray of int64, shape (cells,)
        Number of purchases flagged.
    compared : numpy.ndarray of int64, shape (cells,)
        Number of judged purchases with at least two purchases to compare with.
    purchases : int
        Number of purchases judged.
    rejected : collections.Counter
        Number of rejected lines by reason.
    flagged : list of FlaggedPurchase
        The purchases that at least one setting flags, in stream order.
    flag_row, flag_cell : numpy.ndarray of int64, shape (all flags,)
        For each flag of each setting, the index into `flagged` and the index into `cells`.
    flag_n, flag_mean_cents, flag_sd_cents : numpy.ndarray of int64, shape (all flags,)
        For each flag, the number of purchases compared with, their mean and their standard
        deviation.
    batch, stream : str
        Paths of the logs.
    detector : Detector
        The state after both logs.
    """

    def __init__(
        self,
        detector: Detector,
        batch: str,
        stream: str,
        grid: Grid,
        flagged: list[FlaggedPurchase],
        purchases: int,
        compared: Sequence[int],
        rejected: Counter[str],
    ) -> None:
        self.detector = detector
        self.batch, self.stream = batch, stream
        self.cells = cells = grid.cells
        self.degree = np.array([cell.degree for cell in cells], np.int64)
        self.tracked = np.array([cell.tracked for cell in cells], np.int64)
        self.sigmas = np.array([float(cell.sigmas) for cell in cells])
        self.flagged = flagged
        self.purchases = purchases
        self.rejected = rejected
        rows = np.frombuffer(b"".join(f.cells for f in flagged), np.int64).reshape(-1, 4)
        self.flag_cell, self.flag_n, self.flag_mean_cents, self.flag_sd_cents = rows.T
        self.flag_row = np.repeat(
            np.arange(len(flagged)), [len(f.cells) // _FLAG_BYTES for f in flagged]
        )
        self.flags = np.bincount(self.flag_cell, minlength=len(cells))
        by_degree = dict(zip(grid.degrees, compared, strict=True))
        self.compared = np.array([by_degree[cell.degree] for cell in cells], np.int64)

    def __repr__(self) -> str:
        return f"SweepResult({len(self.cells)} settings, {self.purchases} purchases)"

    def cell(self, degree: int, tracked: int, sigmas: Number = 3) -> int:
        """Return the index of a setting.

        Raises
        ------
        KeyError
            If the grid does not have it.
        """
        wanted = Cell(degree, tracked, sigmas_text(*exact_sigmas(sigmas)))
        if wanted not in self.cells:
            raise KeyError(f"{wanted.name}: not in the grid")
        return self.cells.index(wanted)

    def lines(self, cell: int) -> Iterator[bytes]:
        """Generate the lines that `detect` writes at a setting, with line ends."""
        for i in np.flatnonzero(self.flag_cell == cell).tolist():
            line = self.flagged[self.flag_row[i]].raw
            mean, sd = int(self.flag_mean_cents[i]), int(self.flag_sd_cents[i])
            yield flag_line(line, mean, sd) + b"\n"

    def agreement(self) -> npt.NDArray[np.float64]:
        """Return how much each two settings agree, shape (cells, cells).

        This is the Jaccard index: the number of purchases that both settings flag, divided
        by the number that at least one of them flags; 1 if neither flags any.
        """
        marks = np.zeros((len(self.flagged), len(self.cells)))
        marks[self.flag_row, self.flag_cell] = 1
        both = marks.T @ marks
        either = self.flags[:, None] + self.flags[None, :] - both
        return np.divide(both, either, out=np.ones_like(both), where=either > 0)

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the columns by name, with `share`: flags divided by purchases judged."""
        return {
            "degree": self.degree,
            "tracked": self.tracked,
            "sigmas": self.sigmas,
            "purchases": np.full(len(self.cells), self.purchases),
            "compared": self.compared,
            "flags": self.flags,
            "share": self.flags / max(self.purchases, 1),
        }

    def agreement_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return `agreement` as columns by name, with a row for each pair of settings."""
        first, second = np.triu_indices(len(self.cells), 1)
        names = ("degree", "tracked", "sigmas")
        values = (self.degree, self.tracked, self.sigmas)
        columns = {f"{n}_1": v[first] for n, v in zip(names, values, strict=True)}
        columns |= {f"{n}_2": v[second] for n, v in zip(names, values, strict=True)}
        return columns | {"agreement": self.agreement()[first, second]}

    def to_pandas(self) -> pd.DataFrame:
        """Return `columns` as a pandas data frame; needs pandas."""
        from fastanomaly.formats.export import data_frame  # noqa: PLC0415 - when used

        return data_frame(self.columns())

    def to_arrow(self) -> pa.Table:
        """Return `columns` as an Arrow table; needs pyarrow."""
        from fastanomaly.formats.export import arrow_table  # noqa: PLC0415

        return arrow_table(self.columns())

    def _repr_html_(self) -> str:
        from fastanomaly.sweeps.text import sweep_html  # noqa: PLC0415

        return sweep_html(self)
