"""An explanation as a picture: the network by degree, and the amounts beside the threshold.

Drawn by matplotlib, an extra. The colours are Okabe and Ito's, which the colour-blind can
tell apart; what they say is said by shape as well.
"""

from __future__ import annotations

import os
import warnings
from math import cos, pi, sin
from typing import TYPE_CHECKING

from fastanomaly.errors import OutputError, UsageError
from fastanomaly.explanations.text import summary_lines, visible
from fastanomaly.rules.exact import UNITS
from fastanomaly.rules.parameters import sigmas_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fastanomaly.explanations.model import Explanation

BLUE, ORANGE, RED, GREY = "#0072B2", "#E69F00", "#D55E00", "#999999"
_MOST_NAMES = 40


def draw(explanation: Explanation, path: str) -> None:
    """Draw it into a file, whose suffix says in what form."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError:
        raise UsageError(
            f"{path}: pictures need matplotlib: pip install 'fastanomaly[picture]'"
        ) from None
    figure = Figure(figsize=(12, 6.5), layout="constrained")
    form = os.path.splitext(path)[1].removeprefix(".").lower()
    if form not in figure.canvas.get_supported_filetypes():
        raise UsageError(f"{path}: no form of picture that matplotlib knows, such as .svg")
    network, amounts = figure.subplots(1, 2)
    _draw_network(network, explanation)
    _draw_amounts(amounts, explanation)
    figure.suptitle(_plain(summary_lines(explanation)[0]))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph ")  # a font need not have every script
        try:
            figure.savefig(path)
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror}") from error


def _plain(text: str) -> str:
    """Text that matplotlib does not take for mathematics, and XML may hold."""
    return visible(text).replace("$", r"\$")


def _draw_network(axes: Axes, explanation: Explanation) -> None:
    """Draw a ring for each degree, with the baseline's buyers and who leads to them."""
    buyers = {purchase.user for purchase in explanation.baseline}
    ring: dict[str, int] = {explanation.user: 0}
    edges: dict[tuple[str, str], None] = {}
    for purchase in explanation.baseline:
        for degree, user in enumerate(purchase.path):
            ring.setdefault(user, degree)
        edges |= dict.fromkeys(zip(purchase.path, purchase.path[1:], strict=False))
    places = {explanation.user: (0.0, 0.0)}
    for degree in range(1, max(ring.values()) + 1):
        users = [user for user in ring if ring[user] == degree]
        for index, user in enumerate(users):
            angle = 2 * pi * (index + degree / 3) / len(users)
            places[user] = (degree * cos(angle), degree * sin(angle))
    for degree, count in enumerate(explanation.network, 1):
        axes.plot(*_circle(degree), color=GREY, linewidth=0.6, linestyle=":")
        axes.annotate(f"degree {degree}: {count:,}", (0, degree), ha="center", fontsize=8)
    for one, other in edges:
        (x1, y1), (x2, y2) = places[one], places[other]
        axes.plot([x1, x2], [y1, y2], color=GREY, linewidth=0.8, zorder=1)
    for user, (x, y) in places.items():
        marker, colour = ("o", BLUE) if user in buyers else ("s", GREY)
        if user == explanation.user:
            marker, colour = "*", RED
        axes.scatter([x], [y], marker=marker, color=colour, zorder=2, s=60)
        if len(places) <= _MOST_NAMES:
            axes.annotate(
                _plain(user[:20]),
                (x, y),
                textcoords="offset points",
                xytext=(6, 4),
                fontsize=8,
            )
    axes.scatter([], [], marker="*", color=RED, label="the buyer")
    axes.scatter([], [], marker="o", color=BLUE, label="made purchases that count")
    axes.scatter([], [], marker="s", color=GREY, label="friends on the way there")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, -0.08), ncols=3, fontsize=8)
    axes.set_aspect("equal")
    axes.axis("off")


def _circle(radius: int) -> tuple[list[float], list[float]]:
    angles = [2 * pi * i / 120 for i in range(121)]
    return [radius * cos(a) for a in angles], [radius * sin(a) for a in angles]


def _draw_amounts(axes: Axes, explanation: Explanation) -> None:
    """Draw the amounts of the baseline, oldest first, and the one that is explained."""
    amounts = [p.amount_units / UNITS for p in reversed(explanation.baseline)]
    last = len(amounts) - 1
    decisive = [last - index for index in explanation.decisive]
    kept = [i for i in range(len(amounts)) if i not in set(decisive)]
    axes.scatter(kept, [amounts[i] for i in kept], color=BLUE, s=24, label="compared with")
    if decisive:
        axes.scatter(
            decisive,
            [amounts[i] for i in decisive],
            color=ORANGE,
            marker="D",
            s=24,
            label="without these, no flag",
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
    axes.set_xlabel("the latest purchases of the network, oldest first")
    axes.set_ylabel("amount")
    axes.legend(fontsize=8)
