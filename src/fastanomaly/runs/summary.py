"""What a run did: counts, rejected lines, time; as an object and as JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from fastanomaly.formats.display import counted
from fastanomaly.runs.diagnosis import Diagnosis

if TYPE_CHECKING:
    from fastanomaly.cluster.detector import AnyDetector
    from fastanomaly.results import Counts


class Summary:
    """What a run did until it ended, and before it was resumed.

    Attributes
    ----------
    purchases, befriends, unfriends : int
        Valid events of both logs, by kind.
    flags : int
        Purchases flagged.
    users, friendships : int
        Known users and current friendships at the end.
    rounded_amounts : int
        Purchases whose amounts were rounded to six decimals.
    cut_times : int
        Purchases whose times were cut to microseconds.
    adjusted : list of str
        Which of the last two counts the run's options ask for.
    rejected : collections.Counter
        Rejected lines by reason.
    first_rejected : str or None
        The first of them: log, line, reason and detail.
    seconds : float
        Wall time of reading, judging and writing.
    diagnosis : Diagnosis
        What the logs look like, if one holds no valid event or most lines were rejected.
    done_before : bool
        Whether the checkpoint was of a finished run, so that nothing had to be done.
    """

    def __init__(self) -> None:
        self.purchases = 0
        self.befriends = 0
        self.unfriends = 0
        self.flags = 0
        self.users = 0
        self.friendships = 0
        self.rounded_amounts = 0
        self.cut_times = 0
        self.adjusted: list[str] = []
        self.rejected: Counter[str] = Counter()
        self.first_rejected: str | None = None
        self.seconds = 0.0
        self.diagnosis = Diagnosis()
        self.done_before = False

    def __repr__(self) -> str:
        return f"Summary({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"

    @property
    def events(self) -> int:
        """Valid events of all kinds."""
        return self.purchases + self.befriends + self.unfriends

    @property
    def events_per_second(self) -> float:
        """Valid events per second of wall time."""
        return self.events / self.seconds if self.seconds else 0.0

    def count(self, detector: AnyDetector) -> None:
        """Copy the counts of a detector."""
        for name, count in detector.counts._asdict().items():
            if name != "kept":
                setattr(self, name, count)


def adjusted_text(counts: Counts | Summary) -> str:
    """Return how many values were accepted only after they were adjusted, or no text."""
    parts = [
        (counts.rounded_amounts, "amount", "rounded to six decimals"),
        (counts.cut_times, "time", "cut to microseconds"),
    ]
    return ", ".join(f"{counted(n, what)} {how}" for n, what, how in parts if n)


def rejected_text(rejected: Counter[str]) -> str:
    """Return how many lines were rejected, by reason."""
    reasons = ", ".join(f"{reason} {n:,}" for reason, n in rejected.most_common())
    return f"{counted(rejected.total(), 'line')} rejected: {reasons}"


def summary_values(summary: Summary, **more: object) -> dict[str, Any]:
    """Return a summary as JSON values, with more members."""
    return {
        "events": summary.events,
        "purchases": summary.purchases,
        "befriends": summary.befriends,
        "unfriends": summary.unfriends,
        "flags": summary.flags,
        "users": summary.users,
        "friendships": summary.friendships,
        "rejected": dict(summary.rejected),
        **{name: getattr(summary, name) for name in summary.adjusted},
        "seconds": round(summary.seconds, 6),
        "events_per_second": round(summary.events_per_second),
        **more,
    }


def summary_json(values: dict[str, Any]) -> bytes:
    """Return the values as an indented JSON object with a line end."""
    import orjson  # noqa: PLC0415 - imported late: it slows the start

    return orjson.dumps(values, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
