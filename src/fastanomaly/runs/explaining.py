"""Explanations of purchases that stand in a log: the state as it was before each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from fastanomaly._core import decode
from fastanomaly.convert import Number
from fastanomaly.detector import PURCHASE, Detector
from fastanomaly.errors import UsageError
from fastanomaly.explanations.model import Explanation
from fastanomaly.explanations.model import explain as explain_purchase
from fastanomaly.rules.exact import UNITS
from fastanomaly.rules.parameters import MAX_LINE, OTHER_DEGREES, OTHER_TRACKED
from fastanomaly.runs.replay import replay_logs, unchanged_files

if TYPE_CHECKING:
    from fastanomaly.sources.base import Source


def explain_lines(
    batch: str,
    stream: str,
    lines: Iterable[int],
    *,
    degree: int | None = None,
    tracked: int | None = None,
    sigmas: Number = 3,
    degrees: Iterable[int] = OTHER_DEGREES,
    other_tracked: Iterable[int] = OTHER_TRACKED,
    max_line: int = MAX_LINE,
    on_read: Callable[[Source], object] | None = None,
) -> Iterator[Explanation]:
    """Explain purchases of a stream log, in one replay.

    Parameters
    ----------
    batch, stream : str
        Paths of the logs.
    lines : iterable of int
        Ascending numbers of lines of the stream log, from 1.
    degree, tracked : int, optional
        D and T; by default the batch log's.
    sigmas : int, float, str or Decimal, default 3
        k.
    degrees, other_tracked : iterable of int
        Other D and T at which each is judged as well.
    max_line : int, default 2^20
        The longest line looked at, in bytes.
    on_read : callable, optional
        Called with the log after each part read of it.

    Raises
    ------
    UsageError
        If a parameter or a log is not right, or a line holds no purchase.
    OSError
        If a log fails while it is read.
    """
    kept: list[tuple[Detector, int]] = []
    others = sorted(set(other_tracked))

    def begin(found: dict[str, int]) -> Detector:
        # Other T are judged as well: as many purchases are kept as the largest needs.
        most = max([found["T"], *others])
        kept.append((Detector(found["D"], most, sigmas), found["T"]))
        return kept[0][0]

    given = {name: v for name, v in (("D", degree), ("T", tracked)) if v is not None}
    wanted = list(lines)
    place = 0
    for part in replay_logs(
        batch, stream, begin, given=given, max_line=max_line, stops=wanted, on_read=on_read
    ):
        if part.before is None:
            continue
        event = decode(part.before)
        where = f"{stream}, line {wanted[place]}"
        if not isinstance(event, tuple) or event[0] != PURCHASE:
            raise UsageError(f"{where}: no purchase: {part.before[:80]!r}")
        _, user, time_us, units = event
        detector, own = kept[0]
        amount = f"{int(units) // UNITS}.{int(units) % UNITS:06d}"
        found = explain_purchase(
            detector,
            str(user),
            amount,
            tracked=own,
            degrees=degrees,
            other_tracked=others,
            time_us=int(time_us),
        )
        yield found._replace(log=stream, line=wanted[place], raw=part.before)
        place += 1
        if place == len(wanted):
            return
    raise UsageError(f"{stream}: has no line {wanted[place]}")


def explain(
    batch: str,
    stream: str,
    *,
    line: int | None = None,
    flag: int | None = None,
    **options: Any,
) -> Explanation:
    """Explain one purchase of a stream log.

    Parameters
    ----------
    batch, stream : str
        Paths of the logs.
    line : int, optional
        The purchase's line of the stream log, from 1.
    flag : int, optional
        Instead of a line: the number, from 1, of a purchase that `detect` flags at these
        settings. Reads the logs twice.
    **options
        As for `explain_lines`.

    Raises
    ------
    UsageError
        If a parameter or a log is not right, if the line holds no purchase or there are
        fewer flags, or unless exactly one of `line` and `flag` is given.
    OSError
        If a log fails while it is read.
    """
    if (line is None) == (flag is None):
        raise UsageError("explain: exactly one of line and flag is needed")
    return (
        explain_line(batch, stream, line, **options)
        if line is not None
        else explain_flag(batch, stream, flag or 0, **options)
    )


def explain_line(batch: str, stream: str, line: int, **options: Any) -> Explanation:
    """Explain the purchase at a line of the stream log; see `explain_lines`."""
    if line < 1:
        raise UsageError(f"line: {line} is not 1 or more")
    return next(explain_lines(batch, stream, [line], **options))


def explain_flag(batch: str, stream: str, flag: int, **options: Any) -> Explanation:
    """Explain a flag of `detect` at these settings, by its number, from 1; two replays."""
    if flag < 1:
        raise UsageError(f"flag: {flag} is not 1 or more")
    with unchanged_files((batch, stream), "--flag"):
        return explain_line(batch, stream, _line_of(flag, batch, stream, options), **options)


def _line_of(flag: int, batch: str, stream: str, options: dict[str, Any]) -> int:
    """The line of the stream log that a flag is of."""
    count = 0
    given = {
        name: options[option]
        for name, option in (("D", "degree"), ("T", "tracked"))
        if options.get(option) is not None
    }
    sigmas = options.get("sigmas", 3)
    parts = replay_logs(
        batch,
        stream,
        lambda found: Detector(found["D"], found["T"], sigmas),
        given=given,
        max_line=options.get("max_line", MAX_LINE),
    )
    for part in parts:
        if count + len(part.fed.flags) >= flag:
            line = part.fed.flags[flag - count - 1].line
            assert line is not None
            return line
        count += len(part.fed.flags)
    raise UsageError(f"{stream}: {count} flagged, and no flag {flag}")
