"""Draw the numbers of scale.py: the cost per judged purchase by number of users."""

import json
from pathlib import Path

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot as plt

LINES = {
    ("auto_ns", "p50"): ("auto, p50", "tab:blue", "-"),
    ("auto_ns", "p999"): ("auto, p99.9", "tab:blue", ":"),
    ("ball_ns", "p50"): ("ball, p50", "tab:red", "-"),
    ("ball_ns", "p999"): ("ball, p99.9", "tab:red", ":"),
}


def draw(numbers: Path, picture: Path) -> None:
    """Draw a panel per degree; of results for equal users and degree, the last counts."""
    with open(numbers) as lines:
        found = {(one["degree"], one["users"]): one for one in map(json.loads, lines)}
    degrees = sorted({degree for degree, _ in found})
    # Text as text and no date: a small file, always the same for the same numbers.
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "scale", "font.size": 9}):
        figure, fields = plt.subplots(
            1, len(degrees), sharey=True, squeeze=False, figsize=(2.1 * len(degrees) + 0.6, 3)
        )
        for degree, field in zip(degrees, fields[0], strict=True):
            draw_degree(field, [found[key] for key in sorted(found) if key[0] == degree])
            field.set_title(f"D = {degree}")
            field.set_xlabel("users")
        fields[0][0].set_ylabel("µs per judged purchase")
        handles, labels = fields[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncols=4, frameon=False)
        figure.tight_layout(rect=(0, 0.08, 1, 1))
        figure.savefig(picture, format="svg", metadata={"Date": None})


def draw_degree(field: plt.Axes, its: list[dict]) -> None:
    """Draw one degree's lines."""
    for (name, part), (label, color, style) in LINES.items():
        points = [(one["users"], one[name][part] / 1000) for one in its if name in one]
        users, costs = zip(*points, strict=True) if points else ((), ())
        field.loglog(users, costs, style, color=color, label=label, marker=".")
    field.grid(alpha=0.3)
