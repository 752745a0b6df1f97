"""Is this purchase unusual for this buyer's friends, right now? Exact and fast."""

from fastanomaly._version import __version__
from fastanomaly.detector import (
    BEFRIEND,
    PURCHASE,
    UNFRIEND,
    Detector,
)
from fastanomaly.results import (
    CheckpointError,
    ColumnFlags,
    Counts,
    Fed,
    FeedError,
    Flag,
    Latency,
    Memory,
    Work,
)
from fastanomaly.rules.parameters import ParameterError, UsageError
from fastanomaly.rules.rejects import REASONS, Rejected

__all__ = [
    "BEFRIEND",
    "PURCHASE",
    "REASONS",
    "UNFRIEND",
    "CheckpointError",
    "ColumnFlags",
    "Counts",
    "Detector",
    "Fed",
    "FeedError",
    "Flag",
    "Latency",
    "Memory",
    "ParameterError",
    "Rejected",
    "UsageError",
    "Work",
    "__version__",
]
