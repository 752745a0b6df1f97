"""How a run is doing: a bar on a terminal, metrics, and a line when SIGUSR1 asks."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from fastanomaly.cli.progress import ProgressBar
from fastanomaly.runs.summary import summary_values
from fastanomaly.telemetry.messages import write_message

if TYPE_CHECKING:
    from types import FrameType

    from fastanomaly.runs.run import Run
    from fastanomaly.telemetry.metrics import Metrics


class Watch:
    """Called with the run after each block of a log; a context manager.

    Parameters
    ----------
    quiet : bool
        Show no bar.
    metrics : str or None
        Address or file of the metrics, see `fastanomaly.telemetry.metrics`.
    """

    def __init__(self, quiet: bool, metrics: str | None) -> None:
        self._progress = ProgressBar(quiet)
        self._metrics: Metrics | None = None
        self._asked = False
        if metrics is not None:
            from fastanomaly.telemetry.metrics import Metrics  # noqa: PLC0415 - an extra

            self._metrics = Metrics(metrics)

    def __enter__(self) -> Watch:
        self._handler = signal.signal(signal.SIGUSR1, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGUSR1, self._handler)
        self._progress.close()
        if self._metrics is not None:
            self._metrics.close()

    def _ask(self, signum: int, frame: FrameType | None) -> None:
        self._asked = True

    def __call__(self, run: Run) -> None:
        """Update bar and metrics, and report if asked."""
        self._progress(run.current.source)
        if self._metrics is not None:
            self._metrics.update(run, now=run.ended)
        if self._asked:
            self._asked = False
            report_health(run)


def report_health(run: Run) -> None:
    """Write one line on how a run is doing."""
    values = summary_values(run.summary, log=run.current.path, line=run.current.line)
    newest_us = run.detector.newest_us
    if newest_us is not None:
        values["lag_seconds"] = round(time.time() - newest_us / 1e6, 3)
    checkpoints = run.checkpoints
    if checkpoints is not None:
        checkpoints.poll()
        if checkpoints.written_at is not None:
            age = time.time() - checkpoints.written_at
            values["checkpoint_age_seconds"] = round(age, 3)
    values["state_bytes"] = run.detector.memory().total
    texts = chain.from_iterable(_value_texts(*item) for item in values.items())
    write_message(f"health: {', '.join(texts)}", **values)


def _value_texts(name: str, value: object) -> Iterator[str]:
    """Yield a value with its name; of several values by name, each."""
    if not isinstance(value, dict):
        yield f"{name} {value}"
        return
    for part, count in value.items():
        yield f"{name} {part} {count}"
