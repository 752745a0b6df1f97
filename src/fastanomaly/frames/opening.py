"""Opening a table, to read its rows once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from fastanomaly.errors import FeedError
from fastanomaly.frames.layout import Layout, frame_layout, kept_columns, open_frame
from fastanomaly.frames.result import FedFrame, fed_frame

if TYPE_CHECKING:
    from fastanomaly._core import FrameSource
    from fastanomaly.results import Flag
    from fastanomaly.rules.rejects import Rejected


class OpenTable(NamedTuple):
    """A table whose rows can be read.

    Attributes
    ----------
    source : FrameSource
        The rows.
    layout : Layout
        Where the fields are.
    keep : tuple of int
        The columns that flags keep.
    kept_types : list of (str, bytes)
        Their names and formats.
    sigmas : tuple of int
        k, for the flags as a table.
    """

    source: FrameSource
    layout: Layout
    keep: tuple[int, ...]
    kept_types: list[tuple[str, bytes]]
    sigmas: tuple[int, int]

    def fed(
        self,
        rows: int,
        flags: list[tuple[Flag, tuple[bytes | None, ...]]],
        rejected: list[Rejected],
    ) -> FedFrame:
        """Return the result of feeding it, also when it was closed; see `fed_frame`."""
        return fed_frame(rows, flags, rejected, self.sigmas, self.kept_types)


@contextmanager
def opened(
    frame: Any,
    columns: Mapping[str, str | None] | None,
    keep: Iterable[str],
    sigmas: tuple[int, int],
) -> Iterator[OpenTable]:
    """Open a table, and release it at the end of the context.

    Parameters
    ----------
    frame, columns, keep
        As for `Detector.feed_frame`.
    sigmas : tuple of int
        k as a fraction.

    Raises
    ------
    FeedError
        If it is a stream that has an error instead of a schema.
    TypeError, ValueError
        If it is no table, was read before, or has no columns for all fields.
    """
    try:
        source = open_frame(frame)
    except OSError as failure:
        fed = fed_frame(0, [], [], sigmas, [])
        raise FeedError(str(failure), fed, 0) from failure
    with source:
        names = source.names
        kept = kept_columns(names, keep)
        kept_types = [(names[index], source.kept_format(index)) for index in kept]
        layout = frame_layout(names, columns)
        yield OpenTable(source, layout, kept, kept_types, sigmas)
