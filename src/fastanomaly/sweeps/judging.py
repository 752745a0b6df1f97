"""Judging a stream log at every setting of a grid, in one replay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

from fastanomaly.convert import Number, Reading, TimeUnit, check_reading
from fastanomaly.detector import Detector, Method
from fastanomaly.rules.parameters import MAX_LINE
from fastanomaly.runs.inputs import Path, check_inputs
from fastanomaly.runs.replay import replay_logs
from fastanomaly.sweeps.grid import Grid, check_grid
from fastanomaly.sweeps.result import FlaggedPurchase, SweepResult
from fastanomaly.tables.reading import Tables

if TYPE_CHECKING:
    from fastanomaly.runs.diagnosis import Diagnosis
    from fastanomaly.sources.base import Source


class GridDetector(Detector):
    """A detector that judges at every setting of a grid; its flags are `FlaggedPurchase`."""

    __slots__ = ()
    _flag_type = FlaggedPurchase

    def __init__(
        self,
        grid: Grid,
        *,
        method: Method = "auto",
        reading: Reading | None = None,
        threads: int | str = "auto",
    ) -> None:
        super().__init__(
            grid.degrees[-1],
            grid.tracked[-1],
            method=method,
            threads=threads,
            **(reading or Reading())._asdict(),
        )
        self._engine.set_grid(grid.degrees, grid.tracked, grid.sigmas)

    def compared(self) -> list[int]:
        """Count, for each D, the judged purchases with two or more to compare with."""
        return self._engine.compared()


def sweep(
    batch: Path,
    stream: Path | None,
    *,
    tables: Tables | None = None,
    degrees: Iterable[int] | int,
    tracked: Iterable[int] | int,
    sigmas: Iterable[Number] | Number = (3,),
    max_line: int = MAX_LINE,
    method: Method = "auto",
    round_amounts: bool = False,
    time_unit: TimeUnit | None = None,
    threads: int | str = "auto",
    on_read: Callable[[Source], object] | None = None,
    on_notice: Callable[[str], object] | None = None,
    diagnosis: Diagnosis | None = None,
) -> SweepResult:
    """Judge the purchases of a stream log at every setting of a grid, in one replay.

    Parameters
    ----------
    batch, stream : str or path-like
        The logs or tables, as for `detect`; D and T in the batch log are ignored.
    tables : Tables, optional
        How tables are read.
    degrees : iterable of int, or int
        D, at most 1000 different ones.
    tracked : iterable of int, or int
        T.
    sigmas : iterable of int, float, str or Decimal, or one of them, default (3,)
        k. There may be 4096 settings in all.
    max_line : int, default 2^20
        Length in bytes above which a line is rejected.
    method : {"auto", "ball"}, default "auto"
        As for `Detector`.
    round_amounts : bool, default False
        Accept amounts with more than six decimals, and round them; see `Detector`.
    time_unit : {"s", "ms", "us", "ns", "iso"}, optional
        Accept timestamps that are numbers in this unit since 1970, and more forms of ISO 8601;
        see `Detector`.
    threads : int, str or "auto", default "auto"
        How many threads judge, the calling one included; see `Detector`.
    on_read : callable, optional
        Called with the log after each block read from it.
    on_notice : callable, optional
        Called with text that the operator should know, such as which columns were guessed.
    diagnosis : Diagnosis, optional
        Filled with what the logs look like: pass an empty ``Diagnosis()``, and read its
        ``faults()`` afterwards.

    Returns
    -------
    SweepResult
        Each setting has exactly the flags that `detect` has at that setting.

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
    A log without a valid event is no error here: then ``diagnosis.faults()`` is not empty,
    and the command ends with status 4.

    A wider network reuses the marks of a narrower one, and the latest T purchases are the
    first of the latest T + 1: a sweep costs little more than its most expensive setting.
    Memory grows with the number of flags.
    """
    grid = check_grid(degrees, tracked, sigmas)
    inputs = check_inputs(batch, stream, tables)
    read_as = check_reading(round_amounts, time_unit)
    detector = GridDetector(
        grid,
        method=method,
        reading=read_as,
        threads=threads,
    )
    flagged: list[FlaggedPurchase] = []
    rejected: Counter[str] = Counter()
    before = 0
    given = {"D": grid.degrees[-1], "T": grid.tracked[-1]}
    for part in replay_logs(
        inputs,
        lambda _: detector,
        reading=read_as,
        given=given,
        max_line=max_line,
        on_read=on_read,
        on_notice=on_notice,
        diagnosis=diagnosis,
    ):
        rejected.update(r.reason for r in part.fed.rejected)
        flagged += cast(list[FlaggedPurchase], part.fed.flags)
        if not part.judged:
            before = detector.counts.purchases
    purchases = detector.counts.purchases - before
    return SweepResult(
        detector, *inputs.names, grid, flagged, purchases, detector.compared(), rejected
    )
