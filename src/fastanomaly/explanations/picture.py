"""An explanation as a picture: the network by degree, and the amounts with the threshold.

Drawn by matplotlib, an extra. The colours are from Okabe and Ito's palette, which colour-blind
people can tell apart; every colour has a shape of its own as well.
"""

from __future__ import annotations

import os
import warnings
from math import cos, pi, sin
from typing import TYPE_CHECKING

from fastanomaly.errors import OutputError, UsageError
from fastanomaly.explanations.text import summary_lines
from fastanomaly.formats.display import escaped
from fastanomaly.rules.exact import UNITS
from fastanomaly.rules.parameters import sigmas_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fastanomaly.explanations.model import Explanation

BLUE, ORANGE, RED, GREY = "#0072B2", "#E69F00", "#D55E00", "#999999"
_MAX_NAMES = 40


def draw(explanation: Explanation, path: str) -> None:
    """Draw an explanation into a file; see `Explanation.draw`."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError:
        raise UsageError(
            f"{path}: a picture needs matplotlib: pip install 'fastanomaly[picture]'"
        ) from None
    figure = Figure(figsize=(12, 6.5), layout="constrained")
    suffix = os.path.splitext(path)[1].removeprefix(".").lower()
    if suffix not in figure.canvas.get_supported_filetypes():
        raise UsageError(
            f"{path}: matplotlib does not know this format; use .svg, .png or .pdf"
        )
    network, amounts = figure.subplots(1, 2)
    _draw_network(network, explanation)
    _draw_amounts(amounts, explanation)
    figure.suptitle(_matplotlib_text(summary_lines(explanation)[0]))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph ")  # no font has all characters
        try:
            figure.savefig(path)
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror}") from error


def _matplotlib_text(text: str) -> str:
    """Escape text for matplotlib (``$`` starts a formula) and for XML (no control codes)."""
    return escaped(text).replace("$", r"\$")


def _draw_network(axes: Axes, explanation: Explanation) -> None:
    """Draw a ring for each degree, with the buyers of the baseline and the paths to them."""
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
    for degree, count in enumerate(explanation.network, 1):
        axes.plot(*_circle(degree), color=GREY, linewidth=0.6, linestyle=":")
        axes.annotate(f"degree {degree}: {count:,}", (0, degree), ha="center", fontsize=8)
    for one, other in edges:
        (x1, y1), (x2, y2) = positions[one], positions[other]
        axes.plot([x1, x2], [y1, y2], color=GREY, linewidth=0.8, zorder=1)
    for user, (x, y) in positions.items():
        marker, colour = ("o", BLUE) if user in buyers else ("s", GREY)
        if user == explanation.user:
            marker, colour = "*", RED
        axes.scatter([x], [y], marker=marker, color=colour, zorder=2, s=60)
        if len(positions) <= _MAX_NAMES:
            axes.annotate(
                _matplotlib_text(user[:20]),
                (x, y),
                textcoords="offset points",
                xytext=(6, 4),
                fontsize=8,
            )
    axes.scatter([], [], marker="*", color=RED, label="the buyer")
    axes.scatter([], [], marker="o", color=BLUE, label="made purchases it is compared with")
    axes.scatter([], [], marker="s", color=GREY, label="on the path to a buyer")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, -0.08), ncols=3, fontsize=8)
    axes.set_aspect("equal")
    axes.axis("off")


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
    axes.legend(fontsize=8)
