"""A grid of settings of D, T and k, and its limits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from fastanomaly.convert import Number, exact_sigmas, several, several_numbers
from fastanomaly.errors import ParameterError
from fastanomaly.rules.parameters import check_whole, sigmas_text

MAX_DEGREES = 1000
MAX_CELLS = 4096


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
        """The setting as part of a file's name: ``D3_T50_k2.5``."""
        return f"D{self.degree}_T{self.tracked}_k{self.sigmas}"


class Grid(NamedTuple):
    """All combinations of some D, T and k.

    Attributes
    ----------
    degrees, tracked : list of int
        D and T, ascending.
    sigmas : list of tuple of two int
        k as fractions, ascending.
    cells : list of Cell
        The settings: k changes first, then T, then D.
    """

    degrees: list[int]
    tracked: list[int]
    sigmas: list[tuple[int, int]]
    cells: list[Cell]


def check_grid(
    degrees: Iterable[int] | int,
    tracked: Iterable[int] | int,
    sigmas: Iterable[Number] | Number,
) -> Grid:
    """Return the grid of some D, T and k, each sorted and without duplicates.

    A single number stands for a list of one.

    Raises
    ------
    ParameterError
        If a value is out of range, or there are none or too many.
    """
    some_degrees = _ascending("D", degrees)
    some_tracked = _ascending("T", tracked)
    numbers: list[Number] = several_numbers(sigmas)
    by_text = {sigmas_text(*k): k for k in map(exact_sigmas, numbers)}
    by_text = dict(sorted(by_text.items(), key=lambda item: float(item[0])))
    if len(some_degrees) > MAX_DEGREES:
        raise ParameterError(f"D: at most {MAX_DEGREES} degrees, got {len(some_degrees)}")
    if not by_text:
        raise ParameterError("sigmas: no value given")
    cells = [Cell(d, t, k) for d in some_degrees for t in some_tracked for k in by_text]
    if len(cells) > MAX_CELLS:
        raise ParameterError(f"grid: at most {MAX_CELLS} settings, got {len(cells)}")
    return Grid(some_degrees, some_tracked, list(by_text.values()), cells)


def _ascending(name: str, values: Iterable[int] | int) -> list[int]:
    found = sorted({check_whole(name, value) for value in several(name, values)})
    if not found:
        raise ParameterError(f"{name}: no value given")
    return found
