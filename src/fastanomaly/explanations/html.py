"""An explanation as HTML, for notebooks and reports."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from fastanomaly.explanations.records import as_dict
from fastanomaly.explanations.text import setting_rows, summary_lines
from fastanomaly.formats.display import isolated
from fastanomaly.formats.tables import SHOWN_ROWS, folded_table

if TYPE_CHECKING:
    from fastanomaly.explanations.model import Explanation


def as_html(explanation: Explanation) -> str:
    """Return everything as paragraphs and tables."""
    parts = [f"<p>{escape(line)}</p>" for line in summary_lines(explanation, isolated)]
    rows = [["decisive", "degree", "timestamp", "amount", "path"]]
    rows += [
        [
            "*" if purchase["decisive"] else "",
            str(purchase["degree"]),
            purchase["timestamp"],
            purchase["amount"],
            " – ".join(map(isolated, purchase["path"])),  # noqa: RUF001 - an en dash
        ]
        for purchase in as_dict(explanation)["baseline"]
    ]
    if len(rows) > 1:
        marked = sum(row[0] == "*" for row in rows[1 + SHOWN_ROWS :])
        more = f"purchases, {marked} of them marked *" if marked else "purchases"
        table = folded_table("Purchases it is compared with, newest first", rows, more)
        parts.append(f'<div class="baseline">{table}</div>')
    parts.append(folded_table("At other settings", setting_rows(explanation), "degrees"))
    return "".join(parts)
