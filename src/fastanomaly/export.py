"""Columns to files, and the grid of a sweep as text and as HTML."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

from fastanomaly.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

    from fastanomaly.sweeps.grid import SweepResult

SUFFIXES = (".csv", ".json", ".parquet")


def check_suffix(path: str) -> str:
    """The suffix of a file of columns.

    Raises
    ------
    UsageError
        If it is none of `SUFFIXES`, or what it needs is not installed.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"{path}: the suffix is none of {', '.join(SUFFIXES)}")
    if suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401, PLC0415 - an extra
        except ImportError:
            raise UsageError(
                f"{path}: Parquet needs pyarrow: pip install 'fastanomaly[arrow]'"
            ) from None
    return suffix


def file_of(path: str, columns: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The contents of a file of columns, by its suffix: CSV, JSON records or Parquet."""
    return _WRITERS[check_suffix(path)](columns)


def data_frame(columns: Mapping[str, npt.NDArray[Any]]) -> pd.DataFrame:
    """Columns as a pandas data frame, if pandas is installed."""
    import pandas as pd  # noqa: PLC0415 - for those who have it

    return pd.DataFrame(dict(columns))


def arrow_table(columns: Mapping[str, npt.NDArray[Any]]) -> pa.Table:
    """Columns as an Arrow table, if pyarrow is installed."""
    import pyarrow as pa  # noqa: PLC0415 - for those who have it

    return pa.table(dict(columns))


def _csv(columns: Mapping[str, npt.NDArray[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
    return text.getvalue().encode()


def _json(columns: Mapping[str, npt.NDArray[Any]]) -> bytes:
    import orjson  # noqa: PLC0415 - not every run needs it

    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    lines = [orjson.dumps(dict(zip(columns, row, strict=True))) for row in rows]
    return b"[\n" + b",\n".join(lines) + b"\n]\n"


def _parquet(columns: Mapping[str, npt.NDArray[Any]]) -> bytes:
    import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

    sink = io.BytesIO()
    pq.write_table(arrow_table(columns), sink)
    return sink.getvalue()


_WRITERS: dict[str, Callable[[Mapping[str, npt.NDArray[Any]]], bytes]] = {
    ".csv": _csv,
    ".json": _json,
    ".parquet": _parquet,
}


def html_table(caption: str, rows: list[list[str]]) -> str:
    """A table as HTML; its first row is the head, and a column without one heads its rows."""
    head, *others = rows
    heads = [f'<th scope="col">{escape(text)}</th>' if text else "<td></td>" for text in head]
    body = [
        "".join(
            f"<td>{escape(text)}</td>" if name else f'<th scope="row">{escape(text)}</th>'
            for name, text in zip(head, row, strict=True)
        )
        for row in others
    ]
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{''.join(heads)}</tr></thead>"
        f"<tbody>{''.join(f'<tr>{row}</tr>' for row in body)}</tbody></table>"
    )


def sweep_text(result: SweepResult) -> str:
    """How many purchases each setting flags: a table of D and T for each k."""
    lines = [f"{_judged(result)}; flagged, by D (down) and T (across):"]
    for k, degrees, tracked, counts in _tables(result):
        rows = [[f"k = {k}", *(f"T = {t}" for t in tracked)]]
        rows += [
            [f"D = {d}", *(f"{count:,}" for count in row)]
            for d, row in zip(degrees, counts, strict=True)
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines.append("")
        for first, *others in rows:
            cells = [first.ljust(widths[0])]
            cells += [text.rjust(w) for text, w in zip(others, widths[1:], strict=True)]
            lines.append("  ".join(cells))
    return "\n".join(lines)


def agreement_text(result: SweepResult, cell: int) -> str:
    """How much the other settings agree with one of them, in per cent."""
    matrix = result.agreement()[cell]
    own = result.cells[cell]
    lines = [
        f"agreement with D = {own.degree}, T = {own.tracked}, k = {own.sigmas}, in per cent"
        " (purchases that both flag, of those that either does):"
    ]
    for k, degrees, tracked, rows in _tables(result, (matrix * 100).round().astype(int)):
        head = [f"k = {k}".ljust(8), *(f"T = {t}".rjust(8) for t in tracked)]
        lines += ["", "  ".join(head)]
        for degree, row in zip(degrees, rows, strict=True):
            cells = [f"D = {degree}".ljust(8), *(str(value).rjust(8) for value in row)]
            lines.append("  ".join(cells))
    return "\n".join(lines)


def sweep_html(result: SweepResult) -> str:
    """The same as HTML, shaded by the share of the purchases that are flagged."""
    most = max(int(result.flags.max()), 1)
    parts = [f"<p>{_judged(result)} under {len(result.cells)} settings</p>"]
    for k, degrees, tracked, counts in _tables(result):
        head = "".join(f'<th scope="col">T = {t}</th>' for t in tracked)
        parts.append(
            f"<table><caption>Purchases flagged, k = {escape(k)}</caption>"
            f"<thead><tr><td></td>{head}</tr></thead><tbody>"
        )
        for degree, row in zip(degrees, counts, strict=True):
            cells = "".join(
                f'<td style="background: rgba(0, 114, 178, {0.5 * count / most:.3f}); '
                f'text-align: right">{count:,}</td>'
                for count in row
            )
            parts.append(f'<tr><th scope="row">D = {degree}</th>{cells}</tr>')
        parts.append("</tbody></table>")
    return "".join(parts)


def _judged(result: SweepResult) -> str:
    """How many purchases, in words."""
    return f"{result.purchases:,} purchase{'' if result.purchases == 1 else 's'} judged"


def _tables(
    result: SweepResult, values: npt.NDArray[Any] | None = None
) -> Iterator[tuple[str, list[int], list[int], list[list[int]]]]:
    """A table for each k: k, the degrees, the T, and the values, a row for each degree."""
    cells = result.cells
    degrees = list(dict.fromkeys(cell.degree for cell in cells))
    tracked = list(dict.fromkeys(cell.tracked for cell in cells))
    sigmas = list(dict.fromkeys(cell.sigmas for cell in cells))
    shown = result.flags if values is None else values
    grid = shown.reshape(len(degrees), len(tracked), len(sigmas))
    for i, k in enumerate(sigmas):
        yield k, degrees, tracked, grid[:, :, i].tolist()
