"""A report on a run: one HTML file for people, with every flag explained."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastanomaly._version import __version__
from fastanomaly.convert import Number, TimeUnit, check_reading, several
from fastanomaly.explanations.model import Explanation
from fastanomaly.reports.charts import (
    Chart,
    amounts_and_thresholds,
    flags_over_time,
    network_sizes,
    other_settings,
    plotly,
    rejected_lines,
)
from fastanomaly.reports.html import report_page
from fastanomaly.rules.parameters import (
    MAX_LINE,
    OTHER_DEGREES,
    OTHER_TRACKED,
    check_threads,
    given_parameters,
)
from fastanomaly.runs.explaining import explain_lines
from fastanomaly.runs.inputs import Inputs, Path, check_inputs, read_parameters
from fastanomaly.runs.replay import unchanged_files
from fastanomaly.runs.summary import adjusted_text
from fastanomaly.sources.base import Place
from fastanomaly.sweeps.judging import sweep
from fastanomaly.sweeps.result import SweepResult
from fastanomaly.tables.reading import Tables

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastanomaly.detector import Detector
    from fastanomaly.results import Counts
    from fastanomaly.runs.diagnosis import Diagnosis
    from fastanomaly.sources.base import Source
    from fastanomaly.sweeps.grid import Cell

MAX_SAMPLE = 1000
"""The number of users whose networks are measured, at most."""

MAX_FRIENDS_VISITED = 5 * 10**8
"""The work of measuring networks, at most: some seconds, however large they are."""


def report(
    batch: Path,
    stream: Path | None,
    *,
    tables: Tables | None = None,
    degree: int | str | None = None,
    tracked: int | str | None = None,
    sigmas: Number = 3,
    degrees: Iterable[int] | int = OTHER_DEGREES,
    other_tracked: Iterable[int] | int = OTHER_TRACKED,
    max_line: int = MAX_LINE,
    round_amounts: bool = False,
    time_unit: TimeUnit | None = None,
    threads: int | str = "auto",
    title: str = "Unusual purchases",
    on_read: Callable[[Source], object] | None = None,
    on_notice: Callable[[str], object] | None = None,
    diagnosis: Diagnosis | None = None,
) -> str:
    """Replay two logs and return a report on the flags, as one HTML page that opens offline.

    Parameters
    ----------
    batch, stream : str or path-like
        The logs, or tables as for `detect`; they must be files, since they are read three
        times.
    tables : Tables, optional
        How tables are read.
    degree, tracked : int or str, optional
        D and T; by default from the first line of the batch log.
    sigmas : int, float, str or Decimal, default 3
        k, see `Detector`.
    degrees, other_tracked : iterable of int, or int
        Other D and T, for the heat map and for each explanation.
    max_line : int, default 2^20
        Length in bytes above which a line is rejected.
    round_amounts : bool, default False
        Accept amounts with more than six decimals, and round them; see `Detector`.
    time_unit : {"s", "ms", "us", "ns", "iso"}, optional
        Accept timestamps that are numbers in this unit since 1970, and more forms of ISO 8601;
        see `Detector`.
    threads : int, str or "auto", default "auto"
        How many threads judge, the calling one included; see `Detector`.
    title : str, default "Unusual purchases"
        The title of the page.
    on_read : callable, optional
        Called with the log after each block read from it.
    on_notice : callable, optional
        Called with text that the operator should know, such as which columns were guessed.
    diagnosis : Diagnosis, optional
        Filled with what the logs look like: pass an empty ``Diagnosis()``, and read its
        ``faults()`` afterwards.

    Returns
    -------
    str
        The page. Its size is that of Plotly, 5 MB, and about 2 kB for each flag at T = 50.

    Raises
    ------
    UsageError
        If a parameter is out of range, a log cannot be opened or is not a file, or plotly,
        an extra, is not installed.
    OSError
        If a log fails while it is read, or changes between two readings.

    Notes
    -----
    A log without a valid event is no error here: then ``diagnosis.faults()`` is not empty,
    and the command ends with status 4.

    Costs a sweep of the grid and a replay that explains each flag: about 3 ms for each flag
    with networks of some hundred users.
    """
    check_threads(threads)
    plotly()
    inputs = check_inputs(batch, stream, tables)
    reading: dict[str, Any] = check_reading(round_amounts, time_unit)._asdict()
    reading |= {"max_line": max_line, "on_read": on_read, "threads": threads, "tables": tables}
    with unchanged_files(inputs.files(), "a report"):
        own = read_parameters(inputs, given_parameters(degree, tracked), max_line)
        degrees = sorted({own["D"], *several("D", degrees)})
        other_tracked = sorted({own["T"], *several("T", other_tracked)})
        result = sweep(
            batch,
            stream,
            degrees=degrees,
            tracked=other_tracked,
            sigmas=[sigmas],
            on_notice=on_notice,
            diagnosis=diagnosis,
            **reading,
        )
        cell = result.cell(own["D"], own["T"], sigmas)
        reading |= {"degree": own["D"], "tracked": own["T"], "sigmas": sigmas}
        flags = list(
            explain_lines(
                batch,
                stream,
                _places(result, cell),
                degrees=degrees,
                other_tracked=other_tracked,
                **reading,
            )
        )
    setting = result.cells[cell]
    return report_page(
        title,
        _subtitle(inputs, setting),
        _rule(setting),
        _headline(result, cell, flags, inputs),
        _charts(result, cell, flags, inputs),
        flags,
        _noun(inputs),
    )


def _places(result: SweepResult, cell: int) -> list[Place]:
    """Return where the purchases are that a setting flags."""
    flagged = (result.flagged[row] for row in result.flag_row[result.flag_cell == cell])
    return [Place(flag.log, flag.line) for flag in flagged]


def _subtitle(inputs: Inputs, setting: Cell) -> str:
    read = inputs.stream if inputs.split else f"{inputs.stream} after {inputs.batch}"
    return f"{read}, at D = {setting.degree}, T = {setting.tracked}, k = {setting.sigmas}"


def _rule(setting: Cell) -> str:
    """Return the rule in words."""
    return (
        f"Made by fastanomaly {__version__}. A purchase is flagged if its amount is above "
        f"mean + {setting.sigmas} standard deviations of the latest {setting.tracked} "
        f"purchases made by users within {setting.degree} "
        f"step{'s' * (setting.degree > 1)} of friendship from the buyer."
    )


def _noun(inputs: Inputs) -> str:
    return "row" if inputs.stream_table else "line"


def _are_tables(inputs: Inputs) -> bool:
    return inputs.batch_table and inputs.stream_table


def _headline(
    result: SweepResult, cell: int, flags: list[Explanation], inputs: Inputs
) -> list[tuple[str, str, str]]:
    """Return name, value and remark of each of the headline figures."""
    counts = result.detector.counts
    rejected = "Rejected rows" if _are_tables(inputs) else "Rejected lines"
    share = len(flags) / max(result.purchases, 1)
    return [
        ("Purchases judged", f"{result.purchases:,}", ""),
        ("Flagged", f"{len(flags):,}", f"{share:.2%}"),
        (
            "No verdict",
            f"{result.purchases - int(result.compared[cell]):,}",
            "fewer than two purchases to compare with",
        ),
        ("Users", f"{counts.users:,}", ""),
        ("Friendships", f"{counts.friendships:,}", "at the end"),
        (rejected, f"{result.rejected.total():,}", _adjusted(counts)),
    ]


def _adjusted(counts: Counts) -> str:
    adjusted = adjusted_text(counts)
    return adjusted and f"and {adjusted}"


def _charts(
    result: SweepResult, cell: int, flags: list[Explanation], inputs: Inputs
) -> list[Chart]:
    """Return the charts in the order of the page."""
    detector = result.detector
    sample = detector.sample_users(MAX_SAMPLE)
    buyers = list(dict.fromkeys(e.user for e in flags))
    degrees = min(int(result.degree[-1]), OTHER_DEGREES[-1])
    return [
        flags_over_time(flags, _noun(inputs)),
        amounts_and_thresholds(flags, _noun(inputs)),
        other_settings(result, cell),
        network_sizes(
            _users_within(detector, sample, degrees),
            _users_within(detector, buyers, degrees),
            result.cells[cell].degree,
        ),
        rejected_lines(result.rejected, _are_tables(inputs)),
    ]


def _users_within(detector: Detector, users: list[str], degrees: int) -> npt.NDArray[np.int64]:
    """Count the users within 1, 2, ..., `degrees` of each of a sample of some users.

    Returns an array of shape (users measured, degrees).
    """
    sample = random.Random(0).sample(users, min(len(users), MAX_SAMPLE))
    sizes = np.zeros((len(sample), degrees), np.int64)
    limit = detector.work.friends_marked + MAX_FRIENDS_VISITED
    measured = 0
    for row, user in zip(sizes, sample, strict=True):
        by_distance = detector.network_sizes(user, degrees)
        row[: len(by_distance)] = by_distance
        measured += 1
        if detector.work.friends_marked > limit:
            break
    return sizes[:measured].cumsum(axis=1)
