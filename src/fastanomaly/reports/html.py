"""A report as one HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from fastanomaly.explanations.html import as_html
from fastanomaly.explanations.text import summary_lines
from fastanomaly.formats.display import amount_text, escaped, time_text
from fastanomaly.formats.tables import html_table
from fastanomaly.reports.charts import Chart, plotly_script, templates
from fastanomaly.rules.exact import UNITS, UNITS_PER_CENT, cents_text

if TYPE_CHECKING:
    from fastanomaly.explanations.model import Explanation

CHUNK = 64
"""The number of explanations compressed together; opening one decompresses the chunk."""

_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data: blob:; "
    "script-src {scripts}; style-src-elem {styles}; style-src-attr 'unsafe-inline'"
)
"""The content security policy: only the page's own scripts run, and nothing is requested.

Plotly sets style attributes, which cannot be listed by hash, and fills an empty style sheet.
"""


def report_page(
    title: str,
    subtitle: str,
    footer: str,
    figures: Iterable[tuple[str, str, str]],
    charts: Sequence[Chart],
    flags: Sequence[Explanation],
    noun: str,
) -> str:
    """Return the whole page.

    Parameters
    ----------
    title, subtitle, footer : str
        Plain text.
    figures : iterable of (name, value, remark)
        The headline figures.
    charts : sequence of Chart
        In the order of the page.
    flags : sequence of Explanation
        The flagged purchases.
    noun : {"line", "row"}
        What they are in their log or table.
    """
    parts = files("fastanomaly.reports") / "page"
    page = (parts / "page.html").read_text("utf-8")
    data = {
        "templates": templates(),
        "figures": {chart.name: chart.figure for chart in charts if chart.figure},
        "columns": _columns(flags, noun),
        "chunk": CHUNK,
    }
    style = (parts / "style.css").read_text("utf-8")
    library = plotly_script().replace("\r", "")
    script = (parts / "script.js").read_text("utf-8")
    values = {  # in the order of the page
        "policy": _POLICY.format(
            scripts=f"{_hash(library)} {_hash(script)}", styles=f"{_hash(style)} {_hash('')}"
        ),
        "title": escape(title),
        "style": style,
        "heading": escape(title),
        "subtitle": escape(subtitle),
        "figures": "".join(map(_figure, figures)),
        "noun": noun,
        "charts": "".join(_chart(chart) for chart in charts if chart.figure),
        "footer": escape(footer),
        "unused_styles": _unused_styles(library),
        "library": library,
        "data": _json(data),
        "chunks": "\n".join(_chunks(flags)),
        "script": script,
    }
    return _filled(page, values)


def _hash(text: str) -> str:
    """Return the text of a script or style as its policy lists it."""
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"


def _unused_styles(library: str) -> str:
    """Return placeholders for the style sheets of maps, so that Plotly does not add them.

    The policy would block them with a message. Plotly adds each unless its id is in the page.
    """
    ids = re.findall(r'getElementById\("([0-9a-f]{64})"\)', library)
    return "".join(f'<template id="{name}"></template>' for name in sorted(set(ids)))


def _filled(page: str, values: dict[str, str]) -> str:
    """Replace each ``{name}`` of the page once, in order; the values are not searched."""
    parts = []
    for name, value in values.items():
        head, mark, page = page.partition(f"{{{name}}}")
        assert mark, name
        parts += [head, value]
    return "".join([*parts, page])


def _json(value: Any) -> str:
    """Return JSON that is safe inside a script element: it cannot contain a tag."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _figure(figure: tuple[str, str, str]) -> str:
    name, value, remark = map(escape, figure)
    small = f" <small>{remark}</small>" if remark else ""
    return f"<div><dt>{name}</dt><dd>{value}{small}</dd></div>"


def _chart(chart: Chart) -> str:
    """Return a chart with its caption, and its data as a table for those who cannot see it."""
    title = f'<h2 id="{chart.name}-title">{escape(chart.title)}</h2>'
    table = html_table(chart.title, [chart.head, *chart.rows])
    return (
        f'<figure aria-labelledby="{chart.name}-title">{title}'
        f"<figcaption>{escape(chart.caption)}</figcaption>"
        f'<div class="chart" id="{chart.name}" role="img" '
        f'aria-label="{escape(chart.title)}: the table below has the same data"></div>'
        f"<details><summary>As a table</summary>"
        f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(chart.title)}">'
        f"{table}</div></details></figure>"
    )


def _columns(flags: Sequence[Explanation], noun: str) -> list[dict[str, Any]]:
    """Return the columns of the table of flags as text, with numeric keys to sort times."""
    times = [e.time_us or 0 for e in flags]
    return [
        _numbers("line", [str(e.line) for e in flags]) | {"title": noun},
        {
            "name": "time",
            "title": "time (UTC)",
            "number": False,
            "values": [time_text(time) for time in times],
            "keys": times,
        },
        {
            "name": "user",
            "title": "user",
            "number": False,
            "values": [escaped(e.user) for e in flags],
        },
        _amounts("amount", [e.amount_units for e in flags])
        | {"exact": [amount_text(e.amount_units) for e in flags]},
        _numbers("mean", [cents_text(e.verdict.mean_cents or 0) for e in flags]),
        _numbers("sd", [cents_text(e.verdict.sd_cents or 0) for e in flags]),
        _amounts("threshold", [e.threshold_units or 0 for e in flags]),
        _amounts("above", [e.above_units or 0 for e in flags]),
        _numbers("purchases", [str(e.verdict.n) for e in flags]),
    ]


def _numbers(name: str, values: list[str]) -> dict[str, Any]:
    return {"name": name, "title": name, "number": True, "values": values}


def _amounts(name: str, units: list[int]) -> dict[str, Any]:
    """Return a column of amounts with two decimals, sorted by all of their decimals."""
    return _numbers(name, [_two_decimals(amount) for amount in units]) | {"keys": units}


def _two_decimals(units: int) -> str:
    """Return an amount that is not negative with two decimals, rounded half to even."""
    cents, rest = divmod(units, UNITS_PER_CENT)
    half = UNITS_PER_CENT // 2
    if cents == 0 < rest <= half:
        return "<0.01"
    return cents_text(cents + (rest > half or (rest == half and cents % 2 == 1)))


def _chunks(flags: Sequence[Explanation]) -> Iterator[str]:
    """Generate the compressed explanations: most of them are never opened."""
    for number, start in enumerate(range(0, len(flags), CHUNK)):
        part = [_explanation(e) for e in flags[start : start + CHUNK]]
        data = base64.b64encode(zlib.compress(json.dumps(part).encode(), 9)).decode()
        yield f'<script type="text/plain" id="chunk{number}">{data}</script>'


def _explanation(explanation: Explanation) -> dict[str, Any]:
    """Return what the page shows of an explanation."""
    e = explanation
    return {
        "html": as_html(e),
        "label": ". ".join(summary_lines(e)),
        "amounts": [p.amount_units / UNITS for p in e.baseline],
        "decisive": e.decisive,
        "mean": (e.verdict.mean_cents or 0) / 100,
        "threshold": (e.threshold_units or 0) / UNITS,
        "amount": e.amount_units / UNITS,
    }
