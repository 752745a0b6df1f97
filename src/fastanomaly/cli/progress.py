"""How far a log has been read: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastanomaly.sources.log import Log


class Progress:
    """A bar for each log; a context manager.

    Parameters
    ----------
    quiet : bool
        Show none.
    """

    def __init__(self, quiet: bool) -> None:
        self._shown = not quiet and sys.stderr is not None and sys.stderr.isatty()
        self._log: Log | None = None
        self._close: Callable[[], None] | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away."""
        if self._close is not None:
            self._close()

    def __call__(self, log: Log | None) -> None:
        """Take note that some of a log has been read."""
        if not self._shown or log is None:
            return
        if log is not self._log:
            from tqdm import tqdm  # noqa: PLC0415 - a tenth of a second

            if self._close is not None:
                self._close()
            self._log = log
            self._bar = tqdm(
                total=log.size, desc=log.path, unit="B", unit_scale=True, leave=False
            )
            self._close = self._bar.close
        self._bar.update(log.position - self._bar.n)
