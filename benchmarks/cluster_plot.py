"""Draw the numbers of cluster_counts.py: memory of a shard, and bytes for a purchase, by K."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot as plt

COLORS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple")
MEMORY = {
    "users and judging": ("users", "ids", "scratch", "judges"),
    "friendships": ("friendships",),
    "recency log": ("recency",),
    "histories": ("purchases",),
}


def draw(numbers: dict[str, Any], picture: Path) -> None:
    """Draw two panels as SVG."""
    # Text as text and no date: a small file, always the same for the same numbers.
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "cluster", "font.size": 9}):
        figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4))
        draw_memory(left, numbers)
        draw_bytes(right, numbers)
        for field in (left, right):
            field.set_xlabel("shards, K")
            field.grid(alpha=0.3)
        figure.tight_layout()
        figure.savefig(picture, format="svg", metadata={"Date": None})


def draw_memory(field: plt.Axes, numbers: dict[str, Any]) -> None:
    """Draw what a shard has by purpose, and what one process has."""
    memory = {int(count): its for count, its in numbers["memory"].items()}
    shards = sorted(count for count in memory if count)
    parts = [
        [sum(memory[count][name] for name in names) / 1e6 for count in shards]
        for names in MEMORY.values()
    ]
    places = range(len(shards))
    field.stackplot(places, *parts, labels=MEMORY, colors=COLORS, alpha=0.7)
    alone = sum(memory[0].values()) / 1e6
    field.axhline(alone, color="black", linestyle=":", label="one process")
    field.set_xticks(places, [str(count) for count in shards])
    field.set_ylabel("MB of a shard")
    field.set_ylim(0, 1.3 * alone)
    field.legend(fontsize=8, ncols=2, frameon=False, loc="upper right")


def draw_bytes(field: plt.Axes, numbers: dict[str, Any]) -> None:
    """Draw the bytes of asks and answers for each purchase, a line for each D."""
    for degree in sorted({one["degree"] for one in numbers["counted"]}):
        its = [
            one for one in numbers["counted"] if one["degree"] == degree and one["shards"] > 1
        ]
        field.plot(
            [one["shards"] for one in its],
            [one["bytes"] / one["purchases"] for one in its],
            marker=".",
            color=COLORS[degree - 1],
            label=f"D = {degree}",
        )
    shards = sorted({one["shards"] for one in numbers["counted"] if one["shards"] > 1})
    field.set_xscale("log", base=2)
    field.set_xticks(shards, [str(count) for count in shards])
    field.set_ylim(bottom=0)
    field.set_ylabel("bytes of asks and answers a purchase")
    field.legend(frameon=False)
