"""Tables as aligned text and as HTML."""

from __future__ import annotations

from collections.abc import Container, Sequence
from html import escape

SHOWN_ROWS = 10
"""The number of rows of a folded table that are always visible."""


def aligned(
    rows: Sequence[Sequence[str]], right: Container[int] = (), min_width: int = 0
) -> list[str]:
    """Return the rows as lines of text with columns of equal width, two spaces apart.

    Parameters
    ----------
    rows : sequence of sequences of str
        All of one length.
    right : container of int
        Indices of the columns that are aligned to the right.
    min_width : int, default 0
        The smallest width of a column, in characters.
    """
    widths = [max(min_width, *map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.rjust(width) if index in right else text.ljust(width)
            for index, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def html_table(
    caption: str,
    rows: Sequence[Sequence[str]],
    styles: Sequence[Sequence[str]] | None = None,
) -> str:
    """Return a table as HTML, with all texts escaped.

    Parameters
    ----------
    caption : str
    rows : sequence of sequences of str
        The first row has the column headings. If its first text is empty, the first column
        has the row headings.
    styles : sequence of sequences of str, optional
        CSS of the cells, a row for each row below the first, without row headings.
    """
    head, *body = rows
    heads = [f'<th scope="col">{escape(text)}</th>' if text else "<td></td>" for text in head]
    lines = []
    for index, row in enumerate(body):
        css = iter(styles[index] if styles is not None else ())
        lines.append(
            "".join(
                _cell(text, next(css, "")) if name else f'<th scope="row">{escape(text)}</th>'
                for name, text in zip(head, row, strict=True)
            )
        )
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{''.join(heads)}</tr></thead>"
        f"<tbody>{''.join(f'<tr>{line}</tr>' for line in lines)}</tbody></table>"
    )


def folded_table(
    caption: str,
    rows: Sequence[Sequence[str]],
    more: str,
    styles: Sequence[Sequence[str]] | None = None,
    shown: int = SHOWN_ROWS,
) -> str:
    """Return a table as HTML of which only the first rows are visible until it is opened.

    Parameters
    ----------
    caption, rows, styles
        See `html_table`.
    more : str
        What the rows are, for the line that opens the rest: ``40 more {more}``.
    shown : int, default 10
        The number of rows that are always visible, without the headings.
    """
    top, rest = rows[: shown + 1], rows[shown + 1 :]
    if not rest:
        return html_table(caption, rows, styles)
    summary = escape(f"{len(rest):,} more {more}")
    table = html_table(summary, [rows[0], *rest], styles and styles[shown:])
    return (
        f"{html_table(caption, top, styles and styles[:shown])}"
        f"<details><summary>{summary}</summary>{table}</details>"
    )


def _cell(text: str, css: str) -> str:
    style = f' style="{escape(css)}"' if css else ""
    return f"<td{style}>{escape(text)}</td>"
