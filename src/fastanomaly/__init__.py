"""Is this purchase unusual for this buyer's friends, right now? Exact and fast."""

from __future__ import annotations

from importlib import import_module

from fastanomaly._version import __version__

TYPE_CHECKING = False  # that of typing, which the command imports when it is ready to
if TYPE_CHECKING:
    from typing import Any

    from fastanomaly.detector import BEFRIEND, PURCHASE, UNFRIEND, Detector
    from fastanomaly.errors import (
        CheckpointError,
        FastanomalyError,
        FeedError,
        LogOpenError,
        LogReadError,
        OutputError,
        ParameterError,
        Stopped,
        StrictError,
        UsageError,
    )
    from fastanomaly.explanations.model import Explanation
    from fastanomaly.frames.result import FedFrame, FlagFrame
    from fastanomaly.reports.build import report
    from fastanomaly.results import Counts, Fed, Flag
    from fastanomaly.results.columns import ColumnFlags
    from fastanomaly.results.measures import Latency, Memory, Sharing, Work
    from fastanomaly.rules.rejects import REASONS, Rejected
    from fastanomaly.runs.detection import detect
    from fastanomaly.runs.diagnosis import Diagnosis
    from fastanomaly.runs.explaining import explain
    from fastanomaly.runs.summary import Summary
    from fastanomaly.simulation import Simulation, simulate
    from fastanomaly.sweeps.judging import sweep
    from fastanomaly.sweeps.result import SweepResult
    from fastanomaly.tables.reading import Tables

_HOMES = {
    "detector": "BEFRIEND PURCHASE UNFRIEND Detector",
    "errors": "CheckpointError FastanomalyError FeedError LogOpenError LogReadError "
    "OutputError ParameterError Stopped StrictError UsageError",
    "explanations.model": "Explanation",
    "frames.result": "FedFrame FlagFrame",
    "reports.build": "report",
    "results": "Counts Fed Flag",
    "results.columns": "ColumnFlags",
    "results.measures": "Latency Memory Sharing Work",
    "rules.rejects": "REASONS Rejected",
    "runs.detection": "detect",
    "runs.diagnosis": "Diagnosis",
    "runs.explaining": "explain",
    "runs.summary": "Summary",
    "simulation": "Simulation simulate",
    "sweeps.judging": "sweep",
    "sweeps.result": "SweepResult",
    "tables.reading": "Tables",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "BEFRIEND",
    "PURCHASE",
    "REASONS",
    "UNFRIEND",
    "CheckpointError",
    "ColumnFlags",
    "Counts",
    "Detector",
    "Diagnosis",
    "Explanation",
    "FastanomalyError",
    "Fed",
    "FedFrame",
    "FeedError",
    "Flag",
    "FlagFrame",
    "Latency",
    "LogOpenError",
    "LogReadError",
    "Memory",
    "OutputError",
    "ParameterError",
    "Rejected",
    "Sharing",
    "Simulation",
    "Stopped",
    "StrictError",
    "Summary",
    "SweepResult",
    "Tables",
    "UsageError",
    "Work",
    "__version__",
    "detect",
    "explain",
    "report",
    "simulate",
    "sweep",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: starting the command needs few of them."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
