"""How far a log has been read: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastanomaly.sources.base import Source


class ProgressBar:
    """A bar for each log in turn; a context manager.

    Parameters
    ----------
    quiet : bool
        Show none.
    """

    def __init__(self, quiet: bool) -> None:
        self._visible = not quiet and sys.stderr is not None and sys.stderr.isatty()
        self._source: Source | None = None
        self._close: Callable[[], None] | None = None

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the bar."""
        if self._close is not None:
            self._close()

    def __call__(self, source: Source | None) -> None:
        """Show how much of a log has been read."""
        if not self._visible or source is None:
            return
        progress = source.progress()
        if source is not self._source:
            from tqdm import tqdm  # noqa: PLC0415 - imported late: it takes 0.1 s

            if self._close is not None:
                self._close()
            self._source = source
            tqdm.monitor_interval = 0  # no thread: `miniters` does its work
            self._bar = tqdm(
                total=progress.total,
                desc=source.path,
                unit="B",
                unit_scale=True,
                leave=False,
                miniters=1,
            )
            self._close = self._bar.close
        self._bar.update(progress.done - self._bar.n)
