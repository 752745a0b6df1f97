"""A report as one HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from fastanomaly.explanations.model import amount_text
from fastanomaly.explanations.text import summary_lines, time_text
from fastanomaly.export import html_table
from fastanomaly.reports.charts import Chart, library, templates
from fastanomaly.rules.exact import UNITS, cents_text

if TYPE_CHECKING:
    from fastanomaly.explanations.model import Explanation

CHUNK = 64
"""Explanations packed together: opening one unpacks as many."""


def report_page(
    title: str,
    subtitle: str,
    footer: str,
    figures: Iterable[tuple[str, str, str]],
    charts: Sequence[Chart],
    found: Sequence[Explanation],
) -> str:
    """The whole page.

    Parameters
    ----------
    title, subtitle, footer : str
        Plain text.
    figures : iterable of (name, value, remark)
        The headline figures.
    charts : sequence of Chart
        In the order in which they stand.
    found : sequence of Explanation
        The flagged purchases.
    """
    parts = files("fastanomaly.reports") / "page"
    page = (parts / "page.html").read_text("utf-8")
    data = {
        "templates": templates(),
        "figures": {chart.name: chart.figure for chart in charts if chart.figure},
        "columns": _columns(found),
        "chunk": CHUNK,
    }
    values = {  # in the order of the page
        "title": escape(title),
        "style": (parts / "style.css").read_text("utf-8"),
        "heading": escape(title),
        "subtitle": escape(subtitle),
        "figures": "".join(map(_figure, figures)),
        "charts": "".join(map(_chart, charts)),
        "footer": escape(footer),
        "library": library(),
        "data": _json(data),
        "chunks": "\n".join(_chunks(found)),
        "script": (parts / "script.js").read_text("utf-8"),
    }
    return _filled(page, values)


def _filled(page: str, values: dict[str, str]) -> str:
    """The page with its values put in, each once; what they hold is not looked into."""
    parts = []
    for name, value in values.items():
        head, mark, page = page.partition(f"{{{name}}}")
        assert mark, name
        parts += [head, value]
    return "".join([*parts, page])


def _json(value: Any) -> str:
    """JSON that may stand within a script: there is no tag in it."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _figure(figure: tuple[str, str, str]) -> str:
    name, value, remark = map(escape, figure)
    small = f" <small>{remark}</small>" if remark else ""
    return f"<div><dt>{name}</dt><dd>{value}{small}</dd></div>"


def _chart(chart: Chart) -> str:
    """A chart with its caption, and the same as a table for those who do not see it."""
    title = f'<h2 id="{chart.name}-title">{escape(chart.title)}</h2>'
    if chart.figure is None:
        return f'<figure>{title}<p class="empty">Nothing to show.</p></figure>'
    table = html_table(chart.title, [chart.head, *chart.rows])
    return (
        f'<figure aria-labelledby="{chart.name}-title">{title}'
        f"<figcaption>{escape(chart.caption)}</figcaption>"
        f'<div class="chart" id="{chart.name}" role="img" '
        f'aria-label="{escape(chart.title)}: the table below it says the same"></div>'
        f"<details><summary>As a table</summary>"
        f'<div class="scroll">{table}</div></details></figure>'
    )


def _columns(found: Sequence[Explanation]) -> list[dict[str, Any]]:
    """The columns of the table of flags, as text; with keys where text does not sort."""
    times = [e.time_us or 0 for e in found]
    return [
        {
            "name": "line",
            "title": "line",
            "number": True,
            "values": [str(e.line) for e in found],
        },
        {
            "name": "time",
            "title": "time (UTC)",
            "number": False,
            "values": [time_text(time) for time in times],
            "keys": times,
        },
        {"name": "user", "title": "user", "number": False, "values": [e.user for e in found]},
        _numbers("amount", [amount_text(e.amount_units) for e in found]),
        _numbers("mean", [cents_text(e.verdict.mean_cents or 0) for e in found]),
        _numbers("sd", [cents_text(e.verdict.sd_cents or 0) for e in found]),
        _numbers("threshold", [amount_text(e.threshold_units or 0) for e in found]),
        _numbers("above", [amount_text(e.above_units or 0) for e in found]),
        _numbers("purchases", [str(e.verdict.n) for e in found]),
    ]


def _numbers(name: str, values: list[str]) -> dict[str, Any]:
    return {"name": name, "title": name, "number": True, "values": values}


def _chunks(found: Sequence[Explanation]) -> Iterator[str]:
    """The explanations, packed: most are never opened."""
    for number, start in enumerate(range(0, len(found), CHUNK)):
        part = [_packed(e) for e in found[start : start + CHUNK]]
        data = base64.b64encode(zlib.compress(json.dumps(part).encode(), 9)).decode()
        yield f'<script type="text/plain" id="chunk{number}">{data}</script>'


def _packed(explanation: Explanation) -> dict[str, Any]:
    """What the page shows of an explanation."""
    e = explanation
    return {
        "html": e._repr_html_(),
        "label": ". ".join(summary_lines(e)),
        "amounts": [p.amount_units / UNITS for p in e.baseline],
        "decisive": e.decisive,
        "mean": (e.verdict.mean_cents or 0) / 100,
        "threshold": (e.threshold_units or 0) / UNITS,
        "amount": e.amount_units / UNITS,
    }
