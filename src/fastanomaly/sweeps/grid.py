"""Every setting of a grid of D, T and k in one replay: which purchases each would flag."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from fastanomaly.convert import Number, exact_sigmas
from fastanomaly.detector import Detector, Method
from fastanomaly.errors import ParameterError
from fastanomaly.results import flag_line
from fastanomaly.rules.parameters import MAX_LINE, check_whole, sigmas_text
from fastanomaly.runs.replay import replay_logs

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

    from fastanomaly.sources.base import Source

MOST_DEGREES = 1000
MOST_CELLS = 4096


class Cell(NamedTuple):
    """One setting of a grid.

    Attributes
    ----------
    degree, tracked : int
        D and T.
    sigmas : str
        k, as a decimal: ``3``, ``2.5``.
    """

    degree: int
    tracked: int
    sigmas: str

    @property
    def name(self) -> str:
        """The name of its file: ``D3_T50_k2.5``."""
        return f"D{self.degree}_T{self.tracked}_k{self.sigmas}"


class CellFlags(NamedTuple):
    """A purchase that some settings of a grid flag.

    Attributes
    ----------
    user : str
        The buyer.
    time_us : int
        When, in microseconds since 1970-01-01 UTC.
    amount_units : int
        The amount in units of 10^-6.
    cells : bytes
        An array of (cell, n, mean_cents, sd_cents), int64, a row for each setting.
    log, line, raw : str, int, bytes
        Where it stands, and the line itself.
    """

    user: str
    time_us: int
    amount_units: int
    cells: bytes
    log: str
    line: int
    raw: bytes


class GridDetector(Detector):
    """A detector that judges under every setting of a grid; its flags are `CellFlags`."""

    __slots__ = ()
    _flag_type = CellFlags

    def __init__(
        self,
        degrees: list[int],
        tracked: list[int],
        sigmas: list[tuple[int, int]],
        *,
        method: Method = "auto",
    ) -> None:
        super().__init__(degrees[-1], tracked[-1], method=method)
        self._engine.set_grid(degrees, tracked, sigmas)


class SweepResult:
    """What came of a grid; the columns are NumPy arrays with a row for each setting.

    Attributes
    ----------
    cells : list of Cell
        The settings: k changes first, then T, then D.
    degree, tracked : numpy.ndarray of int64, shape (cells,)
        D and T.
    sigmas : numpy.ndarray of float64, shape (cells,)
        k; `cells` has it exactly.
    flags : numpy.ndarray of int64, shape (cells,)
        Purchases flagged.
    compared : numpy.ndarray of int64, shape (cells,)
        Purchases judged whose network had two others at least.
    purchases : int
        Purchases judged.
    rejected : collections.Counter
        Lines rejected, by reason.
    flagged : list of CellFlags
        The purchases that some setting flags, in order.
    flag_row, flag_cell : numpy.ndarray of int64, shape (all flags,)
        Every flag of every setting: which of `flagged`, and which of `cells`.
    flag_n, flag_mean_cents, flag_sd_cents : numpy.ndarray of int64, shape (all flags,)
        What it was compared with.
    batch, stream : str
        The logs.
    detector : GridDetector
        The state after both of them.
    """

    def __init__(
        self,
        detector: GridDetector,
        batch: str,
        stream: str,
        cells: list[Cell],
        flagged: list[CellFlags],
        purchases: int,
        rejected: Counter[str],
    ) -> None:
        self.detector = detector
        self.batch, self.stream = batch, stream
        self.cells = cells
        self.degree = np.array([cell.degree for cell in cells], np.int64)
        self.tracked = np.array([cell.tracked for cell in cells], np.int64)
        self.sigmas = np.array([float(cell.sigmas) for cell in cells])
        self.flagged = flagged
        self.purchases = purchases
        self.rejected = rejected
        rows = np.frombuffer(b"".join(f.cells for f in flagged), np.int64).reshape(-1, 4)
        self.flag_cell, self.flag_n, self.flag_mean_cents, self.flag_sd_cents = rows.T
        self.flag_row = np.repeat(
            np.arange(len(flagged)), [len(f.cells) // 32 for f in flagged]
        )
        self.flags = np.bincount(self.flag_cell, minlength=len(cells))
        degrees = sorted(set(self.degree.tolist()))
        by_degree = dict(zip(degrees, detector._engine.compared(), strict=True))
        self.compared = np.array([by_degree[cell.degree] for cell in cells], np.int64)

    def __repr__(self) -> str:
        return f"SweepResult({len(self.cells)} settings, {self.purchases} purchases)"

    def cell(self, degree: int, tracked: int, sigmas: Number = 3) -> int:
        """The index of a setting.

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
        """The lines that `detect` writes at a setting, with line ends."""
        for i in np.flatnonzero(self.flag_cell == cell).tolist():
            line = self.flagged[self.flag_row[i]].raw
            mean, sd = int(self.flag_mean_cents[i]), int(self.flag_sd_cents[i])
            yield flag_line(line, mean, sd) + b"\n"

    def agreement(self) -> npt.NDArray[np.float64]:
        """How much each two settings agree, shape (cells, cells).

        The Jaccard index: purchases that both flag, of those that either does; 1 where
        neither flags any.
        """
        marks = np.zeros((len(self.flagged), len(self.cells)))
        marks[self.flag_row, self.flag_cell] = 1
        both = marks.T @ marks
        either = self.flags[:, None] + self.flags[None, :] - both
        return np.divide(both, either, out=np.ones_like(both), where=either > 0)

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """The columns by name, as they are written: with `share`, flags of the judged."""
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
        """`agreement` for each pair of settings, as columns."""
        first, second = np.triu_indices(len(self.cells), 1)
        names = ("degree", "tracked", "sigmas")
        values = (self.degree, self.tracked, self.sigmas)
        columns = {f"{n}_1": v[first] for n, v in zip(names, values, strict=True)}
        columns |= {f"{n}_2": v[second] for n, v in zip(names, values, strict=True)}
        return columns | {"agreement": self.agreement()[first, second]}

    def to_pandas(self) -> pd.DataFrame:
        """`columns` as a pandas data frame, if pandas is installed."""
        from fastanomaly.export import data_frame  # noqa: PLC0415 - for those who ask

        return data_frame(self.columns())

    def to_arrow(self) -> pa.Table:
        """`columns` as an Arrow table, if pyarrow is installed."""
        from fastanomaly.export import arrow_table  # noqa: PLC0415

        return arrow_table(self.columns())

    def _repr_html_(self) -> str:
        from fastanomaly.export import sweep_html  # noqa: PLC0415 - for notebooks

        return sweep_html(self)


def grid(
    degrees: Iterable[int], tracked: Iterable[int], sigmas: Iterable[Number]
) -> tuple[list[int], list[int], dict[str, tuple[int, int]], list[Cell]]:
    """The degrees, the T and the k of a grid, all ascending, and its cells; see `sweep`."""
    some_degrees = _ascending("D", degrees, lambda value: check_whole("D", value))
    some_tracked = _ascending("T", tracked, lambda value: check_whole("T", value))
    fractions = {sigmas_text(*k): k for k in map(exact_sigmas, sigmas)}
    fractions = dict(sorted(fractions.items(), key=lambda item: float(item[0])))
    if len(some_degrees) > MOST_DEGREES:
        raise ParameterError(f"D: {len(some_degrees)} of them, {MOST_DEGREES} at most")
    if not fractions:
        raise ParameterError("sigmas: none")
    cells = [Cell(d, t, k) for d in some_degrees for t in some_tracked for k in fractions]
    if len(cells) > MOST_CELLS:
        raise ParameterError(f"grid: {len(cells)} settings, {MOST_CELLS} at most")
    return some_degrees, some_tracked, fractions, cells


def sweep(
    batch: str | os.PathLike[str],
    stream: str | os.PathLike[str],
    *,
    degrees: Iterable[int],
    tracked: Iterable[int],
    sigmas: Iterable[Number] = (3,),
    max_line: int = MAX_LINE,
    method: Method = "auto",
    on_read: Callable[[Source], object] | None = None,
) -> SweepResult:
    """Judge a stream log's purchases under every setting of a grid, in one replay.

    Parameters
    ----------
    batch, stream : str or path-like
        The logs, as for `detect`; the batch log's own D and T do not count.
    degrees : iterable of int
        D: at most 1000 different ones.
    tracked : iterable of int
        T.
    sigmas : iterable of int, float, str or Decimal, default (3,)
        k. There may be 4096 settings in all.
    max_line : int, default 2^20
        The longest line looked at, in bytes.
    method : {"auto", "ball"}, default "auto"
        As for `Detector`.
    on_read : callable, optional
        Called with the log after each part read of it.

    Returns
    -------
    SweepResult
        Each setting has the flags of a `detect` of its own.

    Raises
    ------
    ParameterError
        If a parameter is out of range, or there are none or too many.
    UsageError
        If a log cannot be opened.
    OSError
        If a log fails while it is read.

    Notes
    -----
    A wider network goes on with the marks of the one within, and T purchases are the head
    of more: all of it costs little more than the dearest setting. Memory grows with the
    flags.
    """
    some_degrees, some_tracked, fractions, cells = grid(degrees, tracked, sigmas)
    detector = GridDetector(
        some_degrees, some_tracked, list(fractions.values()), method=method
    )
    flagged: list[CellFlags] = []
    rejected: Counter[str] = Counter()
    before = 0
    given = {"D": some_degrees[-1], "T": some_tracked[-1]}
    paths = os.fspath(batch), os.fspath(stream)
    for part in replay_logs(
        *paths, lambda _: detector, given=given, max_line=max_line, on_read=on_read
    ):
        rejected.update(r.reason for r in part.fed.rejected)
        flagged += cast(list[CellFlags], part.fed.flags)
        if not part.judged:
            before = detector.counts.purchases
    judged = detector.counts.purchases - before
    return SweepResult(detector, *paths, cells, flagged, judged, rejected)


def _ascending(name: str, values: Iterable[int], check: Any) -> list[int]:
    found = sorted({check(value) for value in values})
    if not found:
        raise ParameterError(f"{name}: none")
    return found
