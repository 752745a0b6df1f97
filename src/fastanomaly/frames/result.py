"""What feeding a table returns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fastanomaly.results import Flag
    from fastanomaly.rules.rejects import Rejected


class FlagFrame:
    """The flagged purchases of a table, in order.

    ``len(flags)`` is their number, and iteration yields each as a `Flag`: its `line` is the
    number of the row, and its `raw` the row as a line of a log.
    """

    __slots__ = ("_flags",)

    def __init__(self, flags: list[Flag]) -> None:
        self._flags = flags

    def __len__(self) -> int:
        return len(self._flags)

    def __iter__(self) -> Iterator[Flag]:
        return iter(self._flags)

    def __repr__(self) -> str:
        return f"<FlagFrame of {len(self)} flags>"


class FedFrame(NamedTuple):
    """The result of feeding a table.

    Attributes
    ----------
    rows : int
        How many rows were read.
    flags : FlagFrame
        The purchases flagged, in order.
    rejected : list of Rejected
        The rows that are not valid events, in order: `line` is the number of the row, and
        `raw` the row as a line of a log.
    """

    rows: int
    flags: FlagFrame
    rejected: list[Rejected]
