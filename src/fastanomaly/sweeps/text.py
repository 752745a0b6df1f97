"""The result of a sweep as text and as HTML: tables of D and T, one for each k."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from fastanomaly.formats.tables import aligned, folded_table

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastanomaly.sweeps.result import SweepResult


class _Table(NamedTuple):
    """Values at one k: a row for each D, a column for each T."""

    sigmas: str
    degrees: list[int]
    tracked: list[int]
    values: list[list[int]]

    def rows(self, corner: str) -> list[list[str]]:
        """The values with headings, as texts."""
        head = [corner, *(f"T = {t}" for t in self.tracked)]
        return [
            head,
            *(
                [f"D = {d}", *(f"{value:,}" for value in row)]
                for d, row in zip(self.degrees, self.values, strict=True)
            ),
        ]


def sweep_text(result: SweepResult) -> str:
    """Return how many purchases each setting flags, as text."""
    lines = [f"{_judged(result)}; flagged purchases by D (rows) and T (columns):"]
    for table in _tables(result, result.flags):
        rows = table.rows(f"k = {table.sigmas}")
        lines += ["", *aligned(rows, right=range(1, len(rows[0])))]
    return "\n".join(lines)


def agreement_text(result: SweepResult, cell: int) -> str:
    """Return how much the other settings agree with one of them, in per cent, as text."""
    own = result.cells[cell]
    lines = [
        f"agreement with D = {own.degree}, T = {own.tracked}, k = {own.sigmas} in per cent"
        " (purchases flagged by both / purchases flagged by either):"
    ]
    per_cent = (result.agreement()[cell] * 100).round().astype(int)
    for table in _tables(result, per_cent):
        rows = table.rows(f"k = {table.sigmas}")
        lines += ["", *aligned(rows, right=range(1, len(rows[0])), min_width=8)]
    return "\n".join(lines)


def sweep_html(result: SweepResult) -> str:
    """Return how many purchases each setting flags, as HTML: shaded by that number."""
    most = max(int(result.flags.max()), 1)
    parts = [f"<p>{_judged(result)} under {len(result.cells)} settings</p>"]
    for table in _tables(result, result.flags):
        styles = [
            [
                f"background: rgba(0, 114, 178, {0.5 * count / most:.3f}); text-align: right"
                for count in row
            ]
            for row in table.values
        ]
        parts.append(
            folded_table(
                f"Purchases flagged, k = {table.sigmas}", table.rows(""), "degrees", styles
            )
        )
    return "".join(parts)


def _judged(result: SweepResult) -> str:
    return f"{result.purchases:,} purchase{'' if result.purchases == 1 else 's'} judged"


def _tables(result: SweepResult, values: npt.NDArray[Any]) -> Iterator[_Table]:
    """Arrange values, one for each setting, in a table for each k."""
    degrees = list(dict.fromkeys(cell.degree for cell in result.cells))
    tracked = list(dict.fromkeys(cell.tracked for cell in result.cells))
    sigmas = list(dict.fromkeys(cell.sigmas for cell in result.cells))
    by_setting = values.reshape(len(degrees), len(tracked), len(sigmas))
    for i, k in enumerate(sigmas):
        yield _Table(k, degrees, tracked, by_setting[:, :, i].tolist())
