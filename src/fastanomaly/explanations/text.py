"""An explanation as text, as HTML, and as what JSON can hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from html import escape
from typing import TYPE_CHECKING, Any
from unicodedata import bidirectional

from fastanomaly.explanations.model import amount_text
from fastanomaly.export import html_table
from fastanomaly.rules.exact import cents_text
from fastanomaly.rules.parameters import sigmas_text

if TYPE_CHECKING:
    from fastanomaly.explanations.model import Explanation, Verdict


def time_text(time_us: int | None) -> str | None:
    """A time as the logs have it, or microseconds where no calendar reaches."""
    if time_us is None:
        return None
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)
    except OverflowError:
        return f"{time_us} us"
    return moment.replace(tzinfo=None).isoformat(sep=" ")


def visible(text: str) -> str:
    """Text without characters that are not seen, or move or colour others: escaped."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode()
        for c in text
    )


def isolated(text: str) -> str:
    """The same for HTML: what reads from right to left does not reorder what is around it."""
    text = visible(text)
    if any(bidirectional(c) in {"R", "AL", "AN"} for c in text):
        return f"\u2068{text}\u2069"
    return text


def path_text(
    path: Iterable[str], between: str = " - ", name: Callable[[str], str] = visible
) -> str:
    """A path of friends for people."""
    return between.join(map(name, path))


def as_dict(explanation: Explanation) -> dict[str, Any]:
    """All of it as JSON can hold it: amounts and times as text."""
    decisive = set(explanation.decisive)
    return {
        **_facts(explanation),
        "baseline": [
            {
                "user": purchase.user,
                "degree": purchase.degree,
                "path": list(purchase.path),
                "timestamp": time_text(purchase.time_us),
                "amount": amount_text(purchase.amount_units),
                "decisive": index in decisive,
            }
            for index, purchase in enumerate(explanation.baseline)
        ],
        "others": [_verdict_dict(other) for other in explanation.others],
    }


def _facts(explanation: Explanation) -> dict[str, Any]:
    """What is said of the purchase itself."""
    e = explanation
    return {
        "user": e.user,
        "amount": amount_text(e.amount_units),
        "timestamp": time_text(e.time_us),
        "log": e.log,
        "line": e.line,
        "sigmas": sigmas_text(*e.sigmas),
        **_verdict_dict(e.verdict),
        "threshold": None if e.threshold_units is None else amount_text(e.threshold_units),
        "above": None if e.above_units is None else amount_text(e.above_units),
        "network": e.network,
    }


def _verdict_dict(verdict: Verdict) -> dict[str, Any]:
    known = verdict.mean_cents is not None and verdict.sd_cents is not None
    return {
        "degree": verdict.degree,
        "tracked": verdict.tracked,
        "n": verdict.n,
        "mean": cents_text(verdict.mean_cents or 0) if known else None,
        "sd": cents_text(verdict.sd_cents or 0) if known else None,
        "anomalous": verdict.anomalous,
    }


def summary_lines(explanation: Explanation, name: Callable[[str], str] = visible) -> list[str]:
    """What was found, in a few sentences."""
    e = explanation
    values = _facts(e)
    where = "" if e.line is None else f" ({name(e.log or '')}, line {e.line})"
    when = "" if values["timestamp"] is None else f" at {values['timestamp']}"
    word = "flagged" if values["anomalous"] else "not flagged"
    lines = [f"{name(e.user)} buys for {values['amount']}{when}{where}: {word}"]
    setting = f"D = {values['degree']}, T = {values['tracked']}, k = {values['sigmas']}"
    people = sum(values["network"])
    by_degree = ", ".join(
        f"{count:,} at degree {degree}" for degree, count in enumerate(values["network"], 1)
    )
    network = f"{people:,} in the network" + (f" ({by_degree})" if people else "")
    lines.append(f"{setting}: {network}; {values['n']} of their purchases count")
    if values["threshold"] is None:
        lines.append("fewer than two purchases: there is no verdict")
        return lines
    side = (
        "above" if explanation.amount_units > (explanation.threshold_units or 0) else "below"
    )
    distance = amount_text(abs(explanation.above_units or 0))
    lines.append(
        f"mean {values['mean']}, sd {values['sd']}, threshold {values['threshold']}: "
        f"the amount is {distance} {side} it"
    )
    if values["anomalous"]:
        count = len(explanation.decisive)
        lines.append(
            f"the flag falls without {count} of the {values['n']} purchases"
            f"{' (marked *)' if count else ''}, and not without fewer"
        )
    return lines


def as_text(explanation: Explanation) -> str:
    """All of it for people."""
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
        lines += ["", *_aligned(rows, right=(1, 3))]
    lines += ["", "at other settings:", *_aligned(_grid(explanation), right=range(1, 99))]
    return "\n".join(line.rstrip() for line in lines)


def _grid(explanation: Explanation) -> list[list[str]]:
    """The verdicts of other settings: a row for each D, a column for each T."""
    tracked = sorted({other.tracked for other in explanation.others})
    rows = [["", *(f"T = {t}" for t in tracked)]]
    by_setting = {(other.degree, other.tracked): other for other in explanation.others}
    for degree in sorted({other.degree for other in explanation.others}):
        verdicts = [by_setting[degree, t] for t in tracked]
        rows.append([f"D = {degree}", *map(_word, verdicts)])
    return rows


def _word(verdict: Verdict) -> str:
    if verdict.n < 2:
        return "no verdict"
    return "flagged" if verdict.anomalous else "not flagged"


def _aligned(rows: list[list[str]], right: Any = ()) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.rjust(width) if column in right else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def as_html(explanation: Explanation) -> str:
    """All of it as tables."""
    values = as_dict(explanation)
    parts = [f"<p>{escape(line)}</p>" for line in summary_lines(explanation, isolated)]
    rows = [["decisive", "degree", "timestamp", "amount", "path"]]
    for purchase in values["baseline"]:
        mark = "*" if purchase["decisive"] else ""
        path = path_text(purchase["path"], " – ", isolated)  # noqa: RUF001 - a dash between names
        rows.append(
            [mark, str(purchase["degree"]), purchase["timestamp"], purchase["amount"], path]
        )
    if len(rows) > 1:
        parts.append(html_table("The purchases it is compared with, newest first", rows))
    parts.append(html_table("At other settings", _grid(explanation)))
    return "".join(parts)
