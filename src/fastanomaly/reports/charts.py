"""The charts of a report as Plotly figures, without colours.

Plotly, an extra, writes interactive HTML that works offline. The page sets the colours, for
light or dark mode, from Okabe and Ito's palette, which colour-blind people can tell apart;
the heat map goes from white to blue, so that its numbers are black in every cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastanomaly.errors import UsageError, installation
from fastanomaly.formats.display import time_text
from fastanomaly.rules.exact import UNITS

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastanomaly.explanations.model import Explanation
    from fastanomaly.sweeps.result import SweepResult

LIGHT = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9")
DARK = ("#56B4E9", "#E69F00", "#2FBF92", "#E39BC4", "#F0E442")
HEAT = [[0, "#f2f7fb"], [1, "#56B4E9"]]
MAX_POINTS = 10_000
_MAX_BARS = 60


class Chart(NamedTuple):
    """A chart with a caption, and a table of the same data.

    Attributes
    ----------
    name : str
        The id of the chart in the page.
    title, caption : str
        What the chart shows, and how to read it.
    figure : dict or None
        A Plotly figure; None if there is nothing to draw.
    head : list of str
        The headings of the table.
    rows : list of list of str
        The rows of the table.
    """

    name: str
    title: str
    caption: str
    figure: dict[str, Any] | None
    head: list[str]
    rows: list[list[str]]


def plotly() -> Any:
    """Import Plotly's graph objects.

    Raises
    ------
    UsageError
        If Plotly is not installed.
    """
    try:
        import plotly.graph_objects as go  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise UsageError(f"a report needs plotly: {installation('report')}") from None
    return go


def plotly_script() -> str:
    """Return Plotly's JavaScript."""
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - an extra

    return str(get_plotlyjs())


def templates() -> dict[str, Any]:
    """Return the Plotly templates for light and for dark mode."""
    from plotly.io import templates as known  # noqa: PLC0415 - an extra

    found = {}
    for name, colours, ink, line, ground in (
        ("light", LIGHT, "#1b1f24", "#d4d9e0", "#ffffff"),
        ("dark", DARK, "#eceff3", "#3a424d", "#14171c"),
    ):
        template = known["plotly_white" if name == "light" else "plotly_dark"]
        values = template.to_plotly_json()
        values["layout"] |= {
            "colorway": colours,
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"color": ink, "family": "system-ui, sans-serif"},
            "shapedefaults": {"line": {"color": ink, "width": 2, "dash": "dot"}},
        }
        values["data"]["bar"][0]["insidetextfont"] = {"color": ground}
        for axis in ("xaxis", "yaxis"):
            values["layout"][axis] |= {
                "gridcolor": line,
                "linecolor": line,
                "automargin": True,
            }
        found[name] = values
    return found


def _figure(traces: list[Any], **layout: Any) -> dict[str, Any]:
    """Return a figure without a template: the page sets one."""
    margin = {"t": 10, "r": 10, "b": 50, "l": 60}
    common = {"margin": margin, "template": "none", "showlegend": False}  # see script.js
    figure = plotly().Figure(traces, common | layout)
    found: dict[str, Any] = figure.to_plotly_json()
    del found["layout"]["template"]
    return found


def flags_over_time(flags: Sequence[Explanation], noun: str) -> Chart:
    """Show the number of flags by time, or by line or row if a time axis cannot show them."""
    by_time = _by_time(flags)
    positions = _times(flags) if by_time else np.array([e.line for e in flags], np.int64)
    edges = _edges(positions)
    counts = np.histogram(positions, edges)[0]
    starts = [time_text(int(e)) if by_time else f"{int(e):,}" for e in edges[:-1]]
    place = "line of the stream log" if noun == "line" else "row"
    axis = "time" if by_time else place
    caption = (
        "Flagged purchases by timestamp, UTC."
        if by_time
        else f"Flagged purchases by {place}: there are too few timestamps, or they are too "
        "close or too far apart, for a time axis."
    )
    figure = None
    if len(flags):
        times = _times(flags)
        caption += f" From {time_text(int(times.min()))} to {time_text(int(times.max()))}."
        bar = plotly().Bar(
            x=starts if by_time else edges[:-1].tolist(),
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


def _times(flags: Sequence[Explanation]) -> npt.NDArray[np.int64]:
    return np.array([e.time_us for e in flags], np.int64)


def _by_time(flags: Sequence[Explanation]) -> bool:
    """Return whether a time axis can show the flags.

    It needs at least ten timestamps, over at least a second, in the years 1 to 9999.
    """
    times = _times(flags)
    if len(set(times.tolist())) < 10 or int(times.max()) - int(times.min()) < 10**6:
        return False
    return not any(time_text(int(end)).endswith("us") for end in (times.min(), times.max()))


def _edges(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the edges of the bars of a histogram, all of one whole width."""
    if not len(values):
        return np.zeros(1, np.int64)
    first, last = int(values.min()), int(values.max())
    width = (last - first) // _MAX_BARS + 1
    count = (last - first) // width + 1
    return np.array([first + width * i for i in range(count + 1)], np.int64)


def amounts_and_thresholds(flags: Sequence[Explanation], noun: str) -> Chart:
    """Show each flagged purchase as a point: threshold on the x axis, amount on the y axis."""
    drawn = sorted(range(len(flags)), key=lambda i: -(flags[i].above_units or 0))
    drawn = sorted(drawn[:MAX_POINTS])
    x = [(flags[i].threshold_units or 0) / UNITS for i in drawn]
    y = [flags[i].amount_units / UNITS for i in drawn]
    caption = (
        "Each point is a flagged purchase; on the line, amount and threshold are equal. "
        "Click a point to open its explanation in the table above."
    )
    if len(flags) > MAX_POINTS:
        caption += f" Only the {MAX_POINTS:,} farthest above the threshold are shown."
    figure = None
    if drawn:
        kind = "log" if min(x) > 0 else "linear"
        ends = [min(x), max(x)]
        points = plotly().Scatter(
            x=x,
            y=y,
            mode="markers",
            name="flagged",
            customdata=drawn,
            marker={"size": 7, "opacity": 0.7 if len(drawn) < 500 else 0.35},
            text=[f"{noun} {flags[i].line}" for i in drawn],
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
            hovermode="closest",
        )
    return Chart(
        "amounts",
        "Amounts against thresholds",
        caption,
        figure,
        ["amount / threshold", "ratio"],
        _ratio_rows([a / b for a, b in zip(y, x, strict=True) if b > 0]),
    )


def _ratio_rows(ratios: list[float]) -> list[list[str]]:
    if not ratios:
        return []
    quantiles = np.quantile(np.array(ratios), [0, 0.25, 0.5, 1]).tolist()
    names = ("minimum", "lower quartile", "median", "maximum")
    return [[name, f"{value:,.2f}"] for name, value in zip(names, quantiles, strict=True)]


def other_settings(result: SweepResult, own: int) -> Chart:
    """Show how many purchases each D and T flags, with the run's own setting outlined."""
    cell = result.cells[own]
    degrees = sorted(set(result.degree.tolist()))
    tracked = sorted(set(result.tracked.tolist()))
    counts = result.flags.reshape(len(degrees), len(tracked))
    agreement = result.agreement()[own].reshape(counts.shape) * 100
    heat = plotly().Heatmap(
        z=counts.tolist(),
        x=[f"T = {t}" for t in tracked],
        y=[f"D = {d}" for d in degrees],
        colorscale=HEAT,
        zmin=int(counts.min()),
        zmax=max(int(counts.max()), int(counts.min()) + 1),
        texttemplate="%{z:,}",
        textfont={"color": "#14171c"},
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
        "line": {"color": "#14171c", "width": 3, "dash": "solid"},
    }
    rows = [
        [f"D = {d}", *(f"{n:,}" + " (this run)" * ((i, j) == (row, column)) for j, n in e)]
        for i, (d, e) in enumerate(zip(degrees, map(enumerate, counts.tolist()), strict=True))
    ]
    return Chart(
        "settings",
        "Other D and T",
        f"Purchases flagged at each setting, k = {cell.sigmas}; outlined: this run's setting.",
        _figure(
            [heat],
            shapes=[outline],
            xaxis=_numbered("tracked purchases T", "T", tracked),
            yaxis=_numbered("degree D", "D", degrees) | {"autorange": "reversed"},
        ),
        ["", *(f"T = {t}" for t in tracked)],
        rows,
    )


def _numbered(title: str, name: str, numbers: list[int]) -> dict[str, Any]:
    """Return an axis of settings such as ``T = 50``, with labels short enough for a phone."""
    return {
        "title": {"text": title},
        "tickmode": "array",
        "tickvals": [f"{name} = {number}" for number in numbers],
        "ticktext": [str(number) for number in numbers],
        "tickangle": 0,
    }


def network_sizes(
    users: npt.NDArray[np.int64], buyers: npt.NDArray[np.int64], own_degree: int
) -> Chart:
    """Show the sizes of networks by degree, given as arrays of shape (users, degrees)."""
    traces, rows = [], []
    for name, sizes in (("users", users), ("buyers of flagged purchases", buyers)):
        if not len(sizes):
            continue
        low, first, middle, third, high = np.quantile(sizes, [0, 0.25, 0.5, 0.75, 1], axis=0)
        labels = [f"D = {d}" for d in range(1, sizes.shape[1] + 1)]
        traces.append(
            plotly().Box(
                x=[str(d) for d in range(1, sizes.shape[1] + 1)],
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
            xaxis={"title": {"text": "degree D"}, "type": "category"},
            yaxis={"title": {"text": "users in the network"}, "rangemode": "tozero"},
        )
    return Chart(
        "networks",
        "Network size by degree",
        f"Network sizes of {len(users):,} users and {len(buyers):,} buyers at the end of the "
        f"stream log; D = {own_degree} in this run. A box spans the middle half of them.",
        figure,
        [
            "group",
            "degree",
            "minimum",
            "lower quartile",
            "median",
            "upper quartile",
            "maximum",
        ],
        rows,
    )


def rejected_lines(rejected: Counter[str], tables: bool) -> Chart:
    """Show how many lines were rejected, by reason; of two tables, how many rows."""
    nouns, those = ("rows", "Rows") if tables else ("lines", "Lines of both logs")
    ordered = rejected.most_common()
    figure = None
    if ordered:
        bar = plotly().Bar(
            x=[n for _, n in ordered],
            y=[reason for reason, _ in ordered],
            orientation="h",
            text=[f"{n:,}" for _, n in ordered],
            textposition="auto",
            textangle=0,
            hovertemplate=f"%{{y}}: %{{x:,}} {nouns}<extra></extra>",
        )
        figure = _figure(
            [bar],
            xaxis={"title": {"text": nouns}, "rangemode": "tozero"},
            yaxis={"autorange": "reversed", "title": {"text": ""}, "automargin": True},
        )
    return Chart(
        "rejected",
        f"Rejected {nouns}",
        f"{those} that are not valid events, by reason; they changed nothing.",
        figure,
        ["reason", nouns],
        [[reason, f"{n:,}"] for reason, n in ordered],
    )
