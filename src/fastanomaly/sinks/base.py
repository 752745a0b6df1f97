"""What a sink of flags and rejected lines provides, and which class writes to which name.

A new sink is one file here and one line in `SINKS`; docs/extending.md shows one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from fastanomaly.names import Endpoint, registered

if TYPE_CHECKING:
    from fastanomaly.results import Flag
    from fastanomaly.rules.rejects import Rejected
    from fastanomaly.waiting import Waiter

SINKS = {
    "": "fastanomaly.sinks.lines:LineSink",
}
"""By scheme, what writes to a name such as ``scheme:rest``: module and class. "" is files."""


class Sink(Endpoint, Protocol):
    """Takes flags, or rejected lines, and encodes them.

    `__init__(path, waiter)` opens it, leaves what it holds as it is, and raises
    `OutputError` if it cannot be opened. Then a run calls `check_resume` and `resume` once,
    and after them the writing methods.
    """

    def __init__(self, path: str, waiter: Waiter | None = None) -> None: ...

    def check_resume(self, position: Any) -> None:
        """Check that what `resume` keeps is there; nothing changes.

        Raises
        ------
        UsageError
            If it is not.
        """
        ...

    def resume(self, position: Any) -> None:
        """Remove what was written after a position; everything if it is None."""
        ...

    def write_flags(self, flags: Sequence[Flag]) -> None:
        """Write flags in order; if it fails, the sink holds whole flags only.

        Raises
        ------
        OutputError
            If it fails.
        """
        ...

    def write_rejects(
        self, rejected: Sequence[Rejected], pieces: Iterable[bytes] | None = None
    ) -> None:
        """Write rejected lines; `pieces` are the text of a single one that is long.

        If `pieces` raise an exception, nothing of that line is kept.

        Raises
        ------
        OutputError
            If it fails.
        """
        ...

    def snapshot(self) -> Any:
        """Return the position after what has been written, for JSON."""
        ...

    def sync(self) -> None:
        """Make what has been written survive a crash of the machine.

        Called in a forked child, which must not change the sink otherwise.
        """
        ...

    def descriptors(self) -> Iterable[int]:
        """Return the file descriptors that `sync` needs: the forked child closes others."""
        ...


def sink_kind(path: str) -> type[Sink]:
    """Return the class that writes to a name."""
    kind: type[Sink] = registered(SINKS, path)
    return kind


def open_sink(path: str, waiter: Waiter | None = None) -> Sink:
    """Open the sink of that name.

    Raises
    ------
    OutputError
        If it cannot be opened; the message has the name.
    """
    return sink_kind(path)(path, waiter)
