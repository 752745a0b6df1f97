"""An explanation as a picture: the network by degree, and the amounts with the threshold.

Drawn by matplotlib, an extra. The colours are from Okabe and Ito's palette, which colour-blind
people can tell apart; every colour has a shape of its own as well. The user's configuration of
matplotlib (backend, matplotlibrc, style) has no effect.
"""

from __future__ import annotations

import io
import os
import sys
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import cos, hypot, pi, sin
from typing import TYPE_CHECKING, Any

from fastanomaly.errors import UsageError, installation
from fastanomaly.explanations.labels import Box, free_place, free_place_on
from fastanomaly.explanations.text import summary_lines
from fastanomaly.formats.display import escaped
from fastanomaly.rules.exact import UNITS
from fastanomaly.rules.parameters import sigmas_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from fastanomaly.explanations.model import Explanation

BLUE, ORANGE, RED, GREY = "#0072B2", "#E69F00", "#D55E00", "#999999"
_MAX_NAMES = 40
_NAME_LENGTH = 20
_TITLE_WIDTH = 110  # characters
_MARKER_RADIUS = 4.5  # points
_RING_SHIFTS = (0, 6, 10, 14, -16, -20, 20, -26)  # points; from a ring up to its label
_OWN_SETTINGS = {"backend", "backend_fallback", "interactive", "toolbar", "webagg.port"}


def draw(explanation: Explanation, path: str) -> None:
    """Draw an explanation into a file; see `Explanation.draw`."""
    from fastanomaly.sinks.files import write_replaced  # noqa: PLC0415 - imported late
    from fastanomaly.sinks.paths import output_error  # noqa: PLC0415

    form = os.path.splitext(path)[1].removeprefix(".").lower()
    with _default_matplotlib(path):
        figure = draw_figure(explanation)
        if form not in figure.canvas.get_supported_filetypes():
            raise UsageError(
                f"{path}: matplotlib does not know this format; use .svg, .png or .pdf"
            )
        drawn = io.BytesIO()
        try:
            figure.savefig(drawn, format=form)
        except OSError as error:
            raise output_error(path, error) from error
    write_replaced(path, drawn.getvalue())


@contextmanager
def _default_matplotlib(path: str) -> Iterator[None]:
    """Load matplotlib and use its own defaults, whatever the user's configuration says.

    The settings are global to matplotlib: other threads that draw meanwhile use them, too.
    """
    try:
        matplotlib = _load_matplotlib()
    except ModuleNotFoundError:
        raise UsageError(
            f"{path}: a picture needs matplotlib: {installation('picture')}"
        ) from None
    except ValueError as error:
        raise UsageError(f"{path}: matplotlib refuses its configuration: {error}") from error
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph ")  # no font has all characters
        warnings.filterwarnings("ignore", category=matplotlib.MatplotlibDeprecationWarning)
        defaults = dict(matplotlib.rcParamsDefault)
        for name in _OWN_SETTINGS:
            defaults.pop(name, None)
        with matplotlib.rc_context(defaults):
            yield


def _load_matplotlib() -> Any:
    """Import matplotlib, even if MPLBACKEND names a backend that it does not know."""
    backend = os.environ.pop("MPLBACKEND", None) if "matplotlib" not in sys.modules else None
    try:
        import matplotlib  # noqa: PLC0415 - an extra
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = backend  # for others, as the import would do
    return matplotlib


def draw_figure(explanation: Explanation) -> Figure:
    """Return an explanation as a figure of matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - an extra
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(12, 6.5), layout="constrained")
    FigureCanvasAgg(figure)  # the configured backend may need a display or a notebook
    network, amounts = figure.subplots(1, 2)
    positions = _draw_network(network, explanation)
    _draw_amounts(amounts, explanation)
    figure.suptitle(_title(explanation))
    figure.draw_without_rendering()  # fixes the positions
    _label(network, explanation, positions)
    return figure


def _title(explanation: Explanation) -> str:
    """Return the first line of the summary, on at most two lines."""
    text = summary_lines(explanation._replace(user=_short(explanation.user, 60)))[0]
    lines = textwrap.wrap(
        escaped(text), _TITLE_WIDTH, max_lines=2, placeholder=" \u2026", break_on_hyphens=False
    )
    return "\n".join(map(_matplotlib_text, lines))


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "\u2026"


def _matplotlib_text(text: str) -> str:
    """Escape text for matplotlib (``$`` starts a formula) and for XML (no control codes)."""
    return escaped(text).replace("$", r"\$")


def _draw_network(axes: Axes, explanation: Explanation) -> dict[str, tuple[float, float]]:
    """Draw a ring for each degree, with the buyers of the baseline and the paths to them.

    Returns the positions of the users.
    """
    buyers = {purchase.user for purchase in explanation.baseline}
    ring: dict[str, int] = {explanation.user: 0}
    edges: dict[tuple[str, str], None] = {}
    for purchase in explanation.baseline:
        for degree, user in enumerate(purchase.path):
            ring.setdefault(user, degree)
        edges |= dict.fromkeys(zip(purchase.path, purchase.path[1:], strict=False))
    positions = {explanation.user: (0.0, 0.0)}
    for degree in range(1, max(ring.values()) + 1):
        users = [user for user in ring if ring[user] == degree]
        for index, user in enumerate(users):
            angle = 2 * pi * (index + degree / 3) / len(users)
            positions[user] = (degree * cos(angle), degree * sin(angle))
    for degree in range(1, len(explanation.network) + 1):
        axes.plot(*_circle(degree), color=GREY, linewidth=0.6, linestyle=":")
    for one, other in edges:
        (x1, y1), (x2, y2) = positions[one], positions[other]
        axes.plot([x1, x2], [y1, y2], color=GREY, linewidth=0.8, zorder=1)
    for user, (x, y) in positions.items():
        marker, colour = ("o", BLUE) if user in buyers else ("s", GREY)
        if user == explanation.user:
            marker, colour = "*", RED
        axes.scatter([x], [y], marker=marker, color=colour, zorder=2, s=60)
    axes.scatter([], [], marker="*", color=RED, label="the buyer")
    axes.scatter([], [], marker="o", color=BLUE, label="made purchases it is compared with")
    axes.scatter([], [], marker="s", color=GREY, label="on the path to a buyer")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3, fontsize=8)
    axes.set_aspect("equal")
    axes.axis("off")
    return positions


def _label(
    axes: Axes, explanation: Explanation, positions: dict[str, tuple[float, float]]
) -> None:
    """Label the rings, and the users if they are few, where there is space.

    A name that is far from its marker gets a line to it; one without any space is left out.
    """
    axes.autoscale(False)
    radius = _MARKER_RADIUS * axes.figure.dpi / 72
    points = {user: tuple(axes.transData.transform(xy)) for user, xy in positions.items()}
    taken = [Box(x, y, x, y).grown(radius) for x, y in points.values()]
    inside = Box(*axes.get_window_extent().extents)
    for degree, count in enumerate(explanation.network, 1):
        text, size = _text(axes, f"degree {degree}: {count:,}")
        ring = [tuple(axes.transData.transform(xy)) for xy in _on_ring(degree)]
        shifts = [by * axes.figure.dpi / 72 for by in _RING_SHIFTS]
        points_near = [(x, y + by) for by in shifts for x, y in ring]
        _put(axes, text, free_place_on(size, points_near, taken, inside), taken)
    if len(positions) > _MAX_NAMES:
        return
    for user, point in points.items():
        text, size = _text(axes, _matplotlib_text(_short(user, _NAME_LENGTH)))
        box = free_place(size, point, taken, inside)
        _put(axes, text, box, taken)
        if box is not None:
            end = box.nearest(point)
            if hypot(end[0] - point[0], end[1] - point[1]) > 2 * radius:
                line = axes.transData.inverted().transform([point, end])
                axes.plot(*line.T, color=GREY, linewidth=0.4, zorder=1, in_layout=False)


def _text(axes: Axes, text: str) -> tuple[Text, tuple[float, float]]:
    """Return a new label, and its width and height in pixels."""
    label = axes.text(0, 0, text, fontsize=8, va="bottom", in_layout=False, zorder=3)
    label.set_bbox({"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 0.5})
    box = label.get_window_extent()
    return label, (box.width, box.height)


def _put(axes: Axes, label: Text, box: Box | None, taken: list[Box]) -> None:
    """Move a label to its place, or remove it if it has none."""
    if box is None:
        label.remove()
        return
    taken.append(box)
    x, y = axes.transData.inverted().transform((box.left, box.bottom))
    label.set_position((float(x), float(y)))


def _on_ring(degree: int) -> list[tuple[float, float]]:
    """Return places on a ring for its label, the best ones first: near the top."""
    turns = sorted(range(-30, 31), key=abs)
    return [(degree * sin(pi * i / 60), degree * cos(pi * i / 60)) for i in turns]


def _circle(radius: int) -> tuple[list[float], list[float]]:
    angles = [2 * pi * i / 120 for i in range(121)]
    return [radius * cos(a) for a in angles], [radius * sin(a) for a in angles]


def _draw_amounts(axes: Axes, explanation: Explanation) -> None:
    """Draw the amounts of the baseline, oldest first, then the explained one."""
    amounts = [p.amount_units / UNITS for p in reversed(explanation.baseline)]
    last = len(amounts) - 1
    decisive = [last - index for index in explanation.decisive]
    rest = [i for i in range(len(amounts)) if i not in set(decisive)]
    axes.scatter(rest, [amounts[i] for i in rest], color=BLUE, s=24, label="compared with")
    if decisive:
        axes.scatter(
            decisive,
            [amounts[i] for i in decisive],
            color=ORANGE,
            marker="D",
            s=24,
            label="removing these clears the flag",
        )
    axes.scatter(
        [len(amounts)],
        [explanation.amount_units / UNITS],
        color=RED,
        marker="*",
        s=160,
        label="this purchase",
    )
    own = explanation.verdict
    if own.mean_cents is not None:
        axes.axhline(own.mean_cents / 100, color=GREY, linewidth=1, label="mean")
    if explanation.threshold_units is not None:
        axes.axhline(
            explanation.threshold_units / UNITS,
            color=RED,
            linewidth=1,
            linestyle="--",
            label=f"mean + {sigmas_text(*explanation.sigmas)} sd",
        )
    axes.set_xlabel("latest purchases of the network, oldest first")
    axes.set_ylabel("amount")
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, fontsize=8
    )  # not over it
