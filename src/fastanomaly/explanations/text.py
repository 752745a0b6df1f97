"""An explanation as text for people, and the sentences that the other outputs share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from fastanomaly.explanations.records import as_dict, purchase_dict
from fastanomaly.formats.display import amount_text, escaped
from fastanomaly.formats.tables import aligned

if TYPE_CHECKING:
    from fastanomaly.explanations.model import Explanation, Verdict


def path_text(path: Iterable[str]) -> str:
    """Return a path of friends for people."""
    return " - ".join(map(escaped, path))


def as_text(explanation: Explanation) -> str:
    """Return everything as text for people."""
    values = as_dict(explanation)
    lines = summary_lines(explanation)
    if values["baseline"]:
        rows = [["", "degree", "timestamp", "amount", "path"]]
        rows += [
            [
                "*" if purchase["decisive"] else "",
                str(purchase["degree"]),
                purchase["timestamp"],
                purchase["amount"],
                path_text(purchase["path"]),
            ]
            for purchase in values["baseline"]
        ]
        lines += ["", "compared with, newest first:", *aligned(rows, right=(1, 3))]
    settings = setting_rows(explanation)
    lines += ["", "at other settings:", *aligned(settings, right=range(1, len(settings[0])))]
    return "\n".join(line.rstrip() for line in lines)


def summary_lines(
    explanation: Explanation, escape: Callable[[str], str] = escaped
) -> list[str]:
    """Return the verdict and the reason for it in a few lines.

    Parameters
    ----------
    explanation : Explanation
    escape : callable, default `escaped`
        Makes ids and paths of logs safe to show.
    """
    e = explanation
    values = purchase_dict(e)
    time = "" if values["timestamp"] is None else f" at {values['timestamp']}"
    noun = "row" if e.of_table else "line"
    place = "" if e.line is None else f" ({escape(e.log or '')}, {noun} {e.line})"
    word = "flagged" if e.anomalous else "not flagged"
    lines = [f"user {escape(e.user)} spent {values['amount']}{time}{place}: {word}"]
    users = sum(e.network)
    by_degree = ", ".join(
        f"{count:,} at degree {degree}" for degree, count in enumerate(e.network, 1)
    )
    lines.append(
        f"D = {values['degree']}, T = {values['tracked']}, k = {values['sigmas']}: "
        f"{users:,} user{'' if users == 1 else 's'} in the network"
        + (f" ({by_degree})" if users else "")
        + f", {values['n']} purchase{'' if values['n'] == 1 else 's'} to compare with"
    )
    if e.threshold_units is None:
        lines.append("no verdict: fewer than two purchases to compare with")
        return lines
    side = "above" if e.amount_units > e.threshold_units else "below"
    lines.append(
        f"mean {values['mean']}, sd {values['sd']}, threshold {values['threshold']}: the "
        f"amount is {amount_text(abs(e.above_units or 0))} {side} the threshold"
    )
    if e.anomalous:
        lines.append(_removal_line(len(e.decisive)))
    return lines


def _removal_line(count: int) -> str:
    if count == 1:
        return "removing the purchase marked * clears the flag"
    return f"removing the {count} purchases marked * clears the flag; no smaller set does"


def setting_rows(explanation: Explanation) -> list[list[str]]:
    """Return the verdicts at other settings as a table: a row for each D, a column for each T.

    The first row and the first column have the headings.
    """
    tracked = sorted({other.tracked for other in explanation.others})
    rows = [["", *(f"T = {t}" for t in tracked)]]
    by_setting = {(other.degree, other.tracked): other for other in explanation.others}
    for degree in sorted({other.degree for other in explanation.others}):
        verdicts = [by_setting[degree, t] for t in tracked]
        rows.append([f"D = {degree}", *map(_verdict_word, verdicts)])
    return rows


def _verdict_word(verdict: Verdict) -> str:
    if verdict.n < 2:
        return "no verdict"
    return "flagged" if verdict.anomalous else "not flagged"
