"""The charts of a report, as Plotly figures: what they show, not yet in which colours.

Plotly, an extra, is chosen for its offline HTML, its looks and its upkeep. Traces name no
colours: those are the page's, light or dark, from Okabe and Ito's palette, which the
colour-blind can tell apart; the heat map is Cividis, made for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastanomaly.errors import UsageError
from fastanomaly.explanations.text import time_text
from fastanomaly.rules.exact import UNITS

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastanomaly.explanations.model import Explanation
    from fastanomaly.sweeps.grid import SweepResult

LIGHT = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9")
DARK = ("#56B4E9", "#E69F00", "#2FBF92", "#E39BC4", "#F0E442")
MOST_POINTS = 10_000
_BARS = 60


class Chart(NamedTuple):
    """A chart, and what it says in words and in a table.

    Attributes
    ----------
    name, title, caption : str
        Its id in the page, what it is about, and how to read it.
    figure : dict or None
        A Plotly figure; None if there is nothing to draw.
    head : list of str
        The columns of the table that says the same.
    rows : list of list of str
        Its rows.
    """

    name: str
    title: str
    caption: str
    figure: dict[str, Any] | None
    head: list[str]
    rows: list[list[str]]


def plotly() -> Any:
    """Plotly's graph objects.

    Raises
    ------
    UsageError
        If it is not installed.
    """
    try:
        import plotly.graph_objects as go  # noqa: PLC0415 - an extra
    except ImportError:
        raise UsageError("a report needs plotly: pip install 'fastanomaly[report]'") from None
    return go


def library() -> str:
    """Plotly's JavaScript."""
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - an extra

    return str(get_plotlyjs())


def templates() -> dict[str, Any]:
    """How charts look on a light and on a dark ground."""
    from plotly.io import templates as known  # noqa: PLC0415 - an extra

    found = {}
    for name, colours, ink, line in (
        ("light", LIGHT, "#1b1f24", "#d4d9e0"),
        ("dark", DARK, "#eceff3", "#3a424d"),
    ):
        template = known["plotly_white" if name == "light" else "plotly_dark"]
        looks = template.to_plotly_json()
        looks["layout"] |= {
            "colorway": colours,
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"color": ink, "family": "system-ui, sans-serif"},
            "shapedefaults": {"line": {"color": ink, "width": 2, "dash": "dot"}},
        }
        for axis in ("xaxis", "yaxis"):
            looks["layout"][axis] |= {"gridcolor": line, "linecolor": line}
        found[name] = looks
    return found


def _figure(traces: list[Any], **layout: Any) -> dict[str, Any]:
    """A figure without a template: the page has its own."""
    margin = {"t": 10, "r": 10, "b": 50, "l": 60}
    figure = plotly().Figure(traces, {"margin": margin, "template": "none", **layout})
    found: dict[str, Any] = figure.to_plotly_json()
    del found["layout"]["template"]
    return found


def flags_over_time(found: Sequence[Explanation]) -> Chart:
    """How many flags there are in each stretch of time, or of lines where time stands."""
    times = np.array([e.time_us for e in found], np.int64)
    first, last = (
        [time_text(int(end(times))) or "" for end in (min, max)] if found else ["", ""]
    )
    no_calendar = first.endswith("us") or last.endswith("us")
    short = len(times) > 0 and int(times.max()) - int(times.min()) < 10**6
    by_time = len(set(times.tolist())) >= 10 and not no_calendar and not short
    places = times if by_time else np.array([e.line for e in found], np.int64)
    edges = _edges(places)
    counts = np.histogram(places, edges)[0] if len(places) else np.zeros(0, np.int64)
    if by_time:
        starts = [time_text(int(edge)) or "" for edge in edges[:-1]]
        axis, caption = "time", "Flagged purchases by their timestamps, UTC."
    else:
        starts = [f"{int(edge):,}" for edge in edges[:-1]]
        axis = "line of the stream log"
        caption = (
            "Flagged purchases by their place in the stream log: their timestamps are too "
            "few, too near or too far apart for a scale of time."
        )
    figure = None
    if len(found):
        caption += f" From {first} to {last}."
        x = starts if by_time else [int(edge) for edge in edges[:-1]]
        bar = plotly().Bar(
            x=x,
            y=counts.tolist(),
            width=float(edges[1] - edges[0]) / (1000 if by_time else 1),
            offset=0,
            hovertemplate="from %{x}: %{y} flagged<extra></extra>",
        )
        figure = _figure(
            [bar],
            xaxis={"title": {"text": axis}, "type": "date" if by_time else "linear"},
            yaxis={
                "title": {"text": "flagged"},
                "rangemode": "tozero",
                "dtick": 1 if counts.max() <= 5 else None,
            },
        )
    rows = [[start, f"{n:,}"] for start, n in zip(starts, counts.tolist(), strict=True) if n]
    return Chart("time", "Flags over time", caption, figure, [f"from {axis}", "flagged"], rows)


def _edges(places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where stretches of equal length begin and end, each a whole number long."""
    if not len(places):
        return np.zeros(1, np.int64)
    first, last = int(places.min()), int(places.max())
    width = (last - first) // _BARS + 1
    count = (last - first) // width + 1
    return np.array([first + width * i for i in range(count + 1)], np.int64)


def amounts_beside_thresholds(found: Sequence[Explanation]) -> Chart:
    """Each flagged purchase: its threshold across, its amount up."""
    shown = sorted(range(len(found)), key=lambda i: -(found[i].above_units or 0))
    shown = sorted(shown[:MOST_POINTS])
    x = [(found[i].threshold_units or 0) / UNITS for i in shown]
    y = [found[i].amount_units / UNITS for i in shown]
    caption = (
        "Each point is a flagged purchase; the line is where amount and threshold are equal. "
        "Choose a point to open its explanation in the table below."
    )
    if len(found) > MOST_POINTS:
        caption += f" The {MOST_POINTS:,} that are farthest above are drawn."
    figure = None
    if shown:
        kind = "log" if min(x) > 0 else "linear"
        ends = [min(x), max(x)]
        points = plotly().Scatter(
            x=x,
            y=y,
            mode="markers",
            name="flagged",
            customdata=shown,
            marker={"size": 7, "opacity": 0.7 if len(shown) < 500 else 0.35},
            text=[f"line {found[i].line}" for i in shown],
            hovertemplate="%{text}: %{y:,.2f}, threshold %{x:,.2f}<extra></extra>",
        )
        equal = plotly().Scatter(
            x=ends,
            y=ends,
            mode="lines",
            name="amount = threshold",
            line={"dash": "dash"},
            hoverinfo="skip",
        )
        figure = _figure(
            [points, equal],
            xaxis={"title": {"text": "threshold"}, "type": kind},
            yaxis={"title": {"text": "amount"}, "type": kind},
            legend={"orientation": "h", "y": 1.12},
            hovermode="closest",
        )
    ratios = np.array([a / b for a, b in zip(y, x, strict=True) if b > 0])
    rows = []
    if len(ratios):
        rows = [
            [words, f"{value:,.2f}"]
            for words, value in zip(
                ("least", "a quarter are below", "half are below", "most"),
                np.quantile(ratios, [0, 0.25, 0.5, 1]).tolist(),
                strict=True,
            )
        ]
    return Chart(
        "amounts",
        "Amounts against thresholds",
        caption,
        figure,
        ["amount / threshold", "times"],
        rows,
    )


def settings(result: SweepResult, own: int) -> Chart:
    """How many purchases each D and T would flag, the run's own marked."""
    cell = result.cells[own]
    degrees = sorted(set(result.degree.tolist()))
    tracked = sorted(set(result.tracked.tolist()))
    counts = result.flags.reshape(len(degrees), len(tracked))
    agreement = result.agreement()[own].reshape(counts.shape) * 100
    heat = plotly().Heatmap(
        z=counts.tolist(),
        x=[f"T = {t}" for t in tracked],
        y=[f"D = {d}" for d in degrees],
        colorscale="Cividis",
        texttemplate="%{z:,}",
        customdata=agreement.tolist(),
        hovertemplate="%{y}, %{x}: %{z:,} flagged<br>agreement with this run "
        "%{customdata:.0f} %<extra></extra>",
        showscale=False,
    )
    column, row = tracked.index(cell.tracked), degrees.index(cell.degree)
    outline = {
        "type": "rect",
        "x0": column - 0.5,
        "x1": column + 0.5,
        "y0": row - 0.5,
        "y1": row + 0.5,
        "line": {"color": "#D55E00", "width": 4, "dash": "solid"},
    }
    rows = [
        [f"D = {d}", *(f"{n:,}" + " (this run)" * ((i, j) == (row, column)) for j, n in e)]
        for i, (d, e) in enumerate(zip(degrees, map(enumerate, counts.tolist()), strict=True))
    ]
    return Chart(
        "settings",
        "Other D and T",
        f"Purchases flagged at each setting, k = {cell.sigmas}; outlined: this run.",
        _figure(
            [heat],
            shapes=[outline],
            yaxis={"autorange": "reversed", "title": {"text": ""}},
            margin={"t": 10, "r": 10, "b": 40, "l": 70},
        ),
        ["", *(f"T = {t}" for t in tracked)],
        rows,
    )


def network_sizes(
    everybody: npt.NDArray[np.int64], buyers: npt.NDArray[np.int64], own_degree: int
) -> Chart:
    """How many users a network has, by degree: arrays of shape (users, degrees)."""
    traces, rows = [], []
    for name, sizes in (("users", everybody), ("buyers of flagged purchases", buyers)):
        if not len(sizes):
            continue
        low, first, middle, third, high = np.quantile(sizes, [0, 0.25, 0.5, 0.75, 1], axis=0)
        labels = [f"D = {d}" for d in range(1, sizes.shape[1] + 1)]
        traces.append(
            plotly().Box(
                x=labels,
                lowerfence=low.tolist(),
                q1=first.tolist(),
                median=middle.tolist(),
                q3=third.tolist(),
                upperfence=high.tolist(),
                name=name,
            )
        )
        rows += [
            [name, label, *(f"{value[i]:,.0f}" for value in (low, first, middle, third, high))]
            for i, label in enumerate(labels)
        ]
    figure = None
    if traces:
        figure = _figure(
            traces,
            boxmode="group",
            yaxis={"title": {"text": "users in the network"}, "rangemode": "tozero"},
            legend={"orientation": "h", "y": 1.12},
        )
    return Chart(
        "networks",
        "Network size by degree",
        f"At the end of the stream log, of {len(everybody):,} users and {len(buyers):,} "
        f"buyers; this run's D is {own_degree}. A box holds the middle half.",
        figure,
        ["of", "degree", "least", "quarter", "half", "three quarters", "most"],
        rows,
    )


def rejected_lines(rejected: Counter[str]) -> Chart:
    """How many lines were rejected, by reason."""
    ordered = rejected.most_common()
    figure = None
    if ordered:
        bar = plotly().Bar(
            x=[n for _, n in ordered],
            y=[reason for reason, _ in ordered],
            orientation="h",
            text=[f"{n:,}" for _, n in ordered],
            textposition="auto",
            hovertemplate="%{y}: %{x:,} lines<extra></extra>",
        )
        figure = _figure(
            [bar],
            xaxis={"title": {"text": "lines"}, "rangemode": "tozero"},
            yaxis={"autorange": "reversed", "title": {"text": ""}, "automargin": True},
        )
    return Chart(
        "rejected",
        "Rejected lines",
        "Lines of both logs that are no valid events, by reason; they changed nothing.",
        figure,
        ["reason", "lines"],
        [[reason, f"{n:,}"] for reason, n in ordered],
    )
