"""Tables as aligned text and as HTML."""

from __future__ import annotations

from collections.abc import Container, Sequence
from html import escape


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


def _cell(text: str, css: str) -> str:
    style = f' style="{escape(css)}"' if css else ""
    return f"<td{style}>{escape(text)}</td>"
