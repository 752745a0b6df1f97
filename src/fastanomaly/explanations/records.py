"""An explanation as values for programs: a dict for JSON, and columns for NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastanomaly.formats.display import amount_text, time_text
from fastanomaly.rules.exact import UNITS, cents_text
from fastanomaly.rules.parameters import sigmas_text

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastanomaly.explanations.model import Explanation, Verdict


def as_dict(explanation: Explanation) -> dict[str, Any]:
    """Return everything as JSON can hold it: amounts and times are text."""
    decisive = set(explanation.decisive)
    return {
        **purchase_dict(explanation),
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


def purchase_dict(explanation: Explanation) -> dict[str, Any]:
    """Return the explained purchase and its verdict, without baseline and other settings."""
    e = explanation
    return {
        "user": e.user,
        "amount": amount_text(e.amount_units),
        "timestamp": None if e.time_us is None else time_text(e.time_us),
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


def as_columns(explanation: Explanation) -> dict[str, npt.NDArray[Any]]:
    """Return the baseline as NumPy arrays by name; see `Explanation.columns`."""
    import numpy as np  # noqa: PLC0415 - imported late: it slows the start

    baseline = explanation.baseline
    decisive = np.zeros(len(baseline), bool)
    decisive[explanation.decisive] = True
    return {
        "user": np.array([p.user for p in baseline], object),
        "degree": np.array([p.degree for p in baseline], np.int64),
        "path": np.array([" - ".join(p.path) for p in baseline], object),
        "timestamp": np.array([time_text(p.time_us) for p in baseline], object),
        "amount": np.array([p.amount_units / UNITS for p in baseline], np.float64),
        "decisive": decisive,
    }
