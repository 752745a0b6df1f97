"""A report on a run: one HTML file for people, with every flag explained."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from fastanomaly._version import __version__
from fastanomaly.convert import Number
from fastanomaly.explanations.model import Explanation
from fastanomaly.reports.charts import (
    amounts_beside_thresholds,
    flags_over_time,
    network_sizes,
    plotly,
    rejected_lines,
    settings,
)
from fastanomaly.reports.html import report_page
from fastanomaly.rules.parameters import MAX_LINE, OTHER_DEGREES, OTHER_TRACKED
from fastanomaly.runs.explaining import explain_lines
from fastanomaly.runs.first_line import read_parameters
from fastanomaly.runs.replay import unchanged_files
from fastanomaly.sweeps.grid import SweepResult, sweep

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastanomaly.detector import Detector
    from fastanomaly.sources.base import Source

SAMPLE = 1000
"""Users whose networks are measured, at most."""

SAMPLE_LOOKS = 5 * 10**8
"""Friends looked at for that, at most: some seconds, however large the networks are."""


def report(
    batch: str | os.PathLike[str],
    stream: str | os.PathLike[str],
    *,
    degree: int | None = None,
    tracked: int | None = None,
    sigmas: Number = 3,
    degrees: Iterable[int] = OTHER_DEGREES,
    other_tracked: Iterable[int] = OTHER_TRACKED,
    max_line: int = MAX_LINE,
    title: str = "Unusual purchases",
    on_read: Callable[[Source], object] | None = None,
) -> str:
    """Replay two logs and tell what came of it, as one HTML page that opens offline.

    Parameters
    ----------
    batch, stream : str or path-like
        The logs; files, since they are read three times.
    degree, tracked : int, optional
        D and T; by default the batch log's.
    sigmas : int, float, str or Decimal, default 3
        k.
    degrees, other_tracked : iterable of int
        Other D and T, for the heat map and in each explanation.
    max_line : int, default 2^20
        The longest line looked at, in bytes.
    title : str
        What stands above the page.
    on_read : callable, optional
        Called with the log after each part read of it.

    Returns
    -------
    str
        The page. Its size is that of Plotly, 5 MB, and about 2 kB a flag at T = 50.

    Raises
    ------
    UsageError
        If a parameter or a log is not right, or plotly, an extra, is not installed.
    OSError
        If a log fails while it is read, or changes between two readings.

    Notes
    -----
    Costs a sweep of the grid, and a replay that explains each flag: some 3 ms each with
    networks of some hundred users.
    """
    plotly()
    paths = os.fspath(batch), os.fspath(stream)
    with unchanged_files(paths, "a report"):
        given = {name: v for name, v in (("D", degree), ("T", tracked)) if v is not None}
        own = read_parameters(paths[0], given, max_line)
        other_degrees = sorted({own["D"], *degrees})
        other_tracked = sorted({own["T"], *other_tracked})
        result = sweep(
            *paths,
            degrees=other_degrees,
            tracked=other_tracked,
            sigmas=[sigmas],
            max_line=max_line,
            on_read=on_read,
        )
        cell = result.cell(own["D"], own["T"], sigmas)
        rows = result.flag_row[result.flag_cell == cell].tolist()
        found: list[Explanation] = []
        if rows:
            found += explain_lines(
                *paths,
                [result.flagged[row].line for row in rows],
                degree=own["D"],
                tracked=own["T"],
                sigmas=sigmas,
                degrees=other_degrees,
                other_tracked=other_tracked,
                max_line=max_line,
                on_read=on_read,
            )
    everybody = result.detector.sample_users(SAMPLE)
    buyers = list(dict.fromkeys(e.user for e in found))
    most = min(other_degrees[-1], OTHER_DEGREES[-1])
    charts = [
        flags_over_time(found),
        amounts_beside_thresholds(found),
        settings(result, cell),
        network_sizes(
            _sizes(result.detector, everybody, most),
            _sizes(result.detector, buyers, most),
            own["D"],
        ),
        rejected_lines(result.rejected),
    ]
    name = result.cells[cell]
    return report_page(
        title,
        f"{paths[1]} after {paths[0]}, at D = {name.degree}, T = {name.tracked}, "
        f"k = {name.sigmas}",
        f"Made by fastanomaly {__version__}. A purchase is flagged if its amount is above "
        f"mean + {name.sigmas} standard deviations of the latest {name.tracked} purchases "
        f"made within {name.degree} step{'s' * (name.degree > 1)} of friends from its buyer.",
        _headline(result, cell, found),
        charts,
        found,
    )


def _sizes(detector: Detector, users: list[str], degrees: int) -> npt.NDArray[np.int64]:
    """How many users each one's network has, by degree; of some of them, in random order."""
    chosen = random.Random(0).sample(users, min(len(users), SAMPLE))
    found = np.zeros((len(chosen), degrees), np.int64)
    end = detector.work.friends_marked + SAMPLE_LOOKS
    measured = 0
    for row, user in zip(found, chosen, strict=True):
        sizes = detector._engine.latest(user, degrees, 1)[0]
        row[: len(sizes)] = sizes
        measured += 1
        if detector.work.friends_marked > end:
            break
    return found[:measured].cumsum(axis=1)


def _headline(
    result: SweepResult, cell: int, found: list[Explanation]
) -> list[tuple[str, str, str]]:
    """Name, value and remark of each of the headline figures."""
    counts = result.detector.counts
    share = len(found) / max(result.purchases, 1)
    return [
        ("Purchases judged", f"{result.purchases:,}", ""),
        ("Flagged", f"{len(found):,}", f"{share:.2%}"),
        (
            "Without a verdict",
            f"{result.purchases - int(result.compared[cell]):,}",
            "fewer than two others",
        ),
        ("Users", f"{counts.users:,}", ""),
        ("Friendships", f"{counts.friendships:,}", "at the end"),
        ("Lines rejected", f"{result.rejected.total():,}", ""),
    ]
