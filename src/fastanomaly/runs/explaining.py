"""Explaining purchases of a stream log, each in the state just before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from fastanomaly._core import decode
from fastanomaly.convert import Number, Reading, TimeUnit, check_reading, several
from fastanomaly.detector import PURCHASE, Detector
from fastanomaly.errors import UsageError
from fastanomaly.explanations.model import Explanation
from fastanomaly.formats.display import amount_text
from fastanomaly.rules.parameters import (
    MAX_LINE,
    OTHER_DEGREES,
    OTHER_TRACKED,
    given_parameters,
    whole_number,
)
from fastanomaly.rules.rejects import REASONS, Rejected
from fastanomaly.runs.diagnosis import Diagnosis
from fastanomaly.runs.inputs import Inputs, Path, check_inputs
from fastanomaly.runs.replay import replay_logs, unchanged_files
from fastanomaly.sources.base import Place
from fastanomaly.tables.names import shown
from fastanomaly.tables.reading import Tables

if TYPE_CHECKING:
    from fastanomaly.sources.base import Source


def explain(
    batch: Path,
    stream: Path | None,
    *,
    tables: Tables | None = None,
    on_notice: Callable[[str], object] | None = None,
    line: int | None = None,
    flag: int | None = None,
    degree: int | str | None = None,
    tracked: int | str | None = None,
    sigmas: Number = 3,
    degrees: Iterable[int] | int = OTHER_DEGREES,
    other_tracked: Iterable[int] | int = OTHER_TRACKED,
    max_line: int = MAX_LINE,
    diagnosis: Diagnosis | None = None,
    round_amounts: bool = False,
    time_unit: TimeUnit | None = None,
) -> Explanation:
    """Explain one purchase of a stream log, given by its line or as a flag of `detect`.

    Parameters
    ----------
    batch, stream : str or path-like
        The logs; ``-`` for standard input (one of them, and only with `line`), ``.gz`` and
        ``.zst`` are decompressed. Tables as for `detect`.
    tables : Tables, optional
        How tables are read.
    on_notice : callable, optional
        Called with text that the operator should know, such as which columns were guessed.
    line : int, optional
        The purchase's line in the stream log or its row in the table, from 1.
    flag : int, optional
        Instead of a line, the number of the flag, from 1: `detect` flags the purchase as its
        `flag`-th at the same D, T and k. The logs are read twice.
    degree, tracked : int or str, optional
        D and T; by default from the first line of the batch log.
    sigmas : int, float, str or Decimal, default 3
        k, see `Detector`.
    degrees, other_tracked : iterable of int, or int
        Other D and T to judge the purchase at.
    max_line : int, default 2^20
        Length in bytes above which a line is rejected.
    diagnosis : Diagnosis, optional
        Filled with what the batch log looks like, see `Summary.diagnosis`.
    round_amounts : bool, default False
        Accept amounts with more than six decimals, and round them; see `Detector`.
    time_unit : {"s", "ms", "us", "ns", "iso"}, optional
        Accept timestamps that are numbers in this unit since 1970, and more forms of ISO 8601;
        see `Detector`.

    Returns
    -------
    Explanation

    Raises
    ------
    UsageError
        If not exactly one of `line` and `flag` is given, a parameter is out of range, a log
        cannot be opened, the line does not exist or is not a purchase, or fewer purchases
        are flagged.
    OSError
        If a log fails while it is read, or changes between the two readings.

    Notes
    -----
    Costs a replay of both logs up to the purchase, with `flag` two.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from fastanomaly import Simulation, explain, simulate
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     batch, stream = pathlib.Path(folder, "batch"), pathlib.Path(folder, "stream")
    ...     simulate(batch, stream, Simulation(users=100, batch_events=2000))
    ...     found = explain(batch, stream, flag=1)
    >>> found.anomalous, found.verdict.degree, found.verdict.tracked
    (True, 2, 50)
    """
    if (line is None) == (flag is None):
        raise UsageError("explain: give exactly one of line and flag")
    inputs = check_inputs(batch, stream, tables)
    given = given_parameters(degree, tracked)
    reading = check_reading(round_amounts, time_unit)

    def explain_line(number: int | Place) -> Explanation:
        return next(
            explain_lines(
                batch,
                stream,
                [number],
                tables=tables,
                on_notice=on_notice,
                degree=degree,
                tracked=tracked,
                sigmas=sigmas,
                degrees=degrees,
                other_tracked=other_tracked,
                max_line=max_line,
                diagnosis=diagnosis,
                round_amounts=round_amounts,
                time_unit=time_unit,
            )
        )

    if flag is None:
        if inputs.stream_table and len(inputs.files_of_stream()) > 1:
            raise UsageError(f"{inputs.stream}: has several files: name one, or give a flag")
        return explain_line(_check_number("line", line))
    flag = _check_number("flag", flag)
    with unchanged_files(inputs.files(), "explaining a flag"):
        return explain_line(_place_of_flag(inputs, flag, given, sigmas, max_line, reading))


def explain_lines(
    batch: Path,
    stream: Path | None,
    lines: Iterable[int | Place],
    *,
    tables: Tables | None = None,
    degree: int | str | None = None,
    tracked: int | str | None = None,
    sigmas: Number = 3,
    degrees: Iterable[int] | int = OTHER_DEGREES,
    other_tracked: Iterable[int] | int = OTHER_TRACKED,
    max_line: int = MAX_LINE,
    round_amounts: bool = False,
    time_unit: TimeUnit | None = None,
    threads: int | str = "auto",
    on_read: Callable[[Source], object] | None = None,
    on_notice: Callable[[str], object] | None = None,
    diagnosis: Diagnosis | None = None,
) -> Iterator[Explanation]:
    """Explain several purchases of a stream log, in one replay.

    Parameters
    ----------
    batch, stream : str or path-like
        The logs, or tables as for `detect`.
    lines : iterable of int or Place
        Lines of the stream log, ascending, from 1; or rows of a table, in the order in which
        they are read, as numbers or as places.
    tables : Tables, optional
        How tables are read.
    degree, tracked, sigmas, degrees, other_tracked, max_line, round_amounts, time_unit,
    diagnosis
        As for `explain`.
    threads : int or str, default "auto"
        How many threads judge on the way, see `Detector`.
    on_read : callable, optional
        Called with the log after each block read from it.
    on_notice : callable, optional
        As for `explain`.

    Yields
    ------
    Explanation
        One for each line.

    Raises
    ------
    UsageError
        If a parameter is out of range, a log cannot be opened, or a line does not exist or
        is not a purchase.
    OSError
        If a log fails while it is read.
    """
    inputs = check_inputs(batch, stream, tables)
    given = given_parameters(degree, tracked)
    reading = check_reading(round_amounts, time_unit)
    options: dict[str, Any] = {"threads": threads, **reading._asdict()}
    diagnosis = diagnosis or Diagnosis()
    wanted = _places(inputs, lines)
    if not wanted:
        return
    all_tracked = sorted(set(several("T", other_tracked)))
    others: dict[str, Any] = {"degrees": degrees, "other_tracked": all_tracked}
    detector: Detector
    own_tracked = explained = 0

    def begin(found: dict[str, int]) -> Detector:
        nonlocal detector, own_tracked
        own_tracked = found["T"]
        # The detector keeps as many purchases as the largest T needs.
        detector = Detector(found["D"], max([own_tracked, *all_tracked]), sigmas, **options)
        return detector

    for part in replay_logs(
        inputs,
        begin,
        reading=reading,
        given=given,
        max_line=max_line,
        stops=wanted,
        on_read=on_read,
        on_notice=on_notice,
        diagnosis=diagnosis,
    ):
        if part.before is None:
            continue
        log, line = place = wanted[explained]
        user, time_us, units = _purchase(part.before, place, inputs, reading, diagnosis)
        amount = amount_text(units)
        found = detector.explain(user, amount, tracked=own_tracked, **others)
        origin: dict[str, Any] = {"log": log, "line": line, "of_table": inputs.stream_table}
        yield found._replace(time_us=time_us, raw=part.before, **origin)
        explained += 1
        if explained == len(wanted):
            return
    raise _missing(inputs, wanted[explained])


def _places(inputs: Inputs, lines: Iterable[int | Place]) -> list[Place]:
    """Return lines and rows, given as numbers or as places, as places."""
    name = shown(inputs.stream)
    return [
        line if isinstance(line, Place) else Place(name, whole_number("line", line))
        for line in lines
    ]


def _missing(inputs: Inputs, place: Place) -> UsageError:
    noun = "row" if inputs.stream_table else "line"
    return UsageError(f"{place.log}: has no {noun} {place.row}")


def _check_number(name: str, number: int | None) -> int:
    whole = 0 if number is None else whole_number(name, number)
    if whole < 1:
        raise UsageError(f"{name}: must be 1 or more, got {number}")
    return whole


def _purchase(
    line: bytes, place: Place, inputs: Inputs, reading: Reading, diagnosis: Diagnosis
) -> tuple[str, int, int]:
    """Return user, time_us and amount_units of a purchase's line."""
    log, number = place
    event = decode(line, reading.round_amounts, reading.unit_code)
    if isinstance(event, tuple) and event[0] == PURCHASE:
        _, user, time_us, amount_units = event
        return str(user), int(time_us), int(amount_units)
    if isinstance(event, int) and event >= 0:
        why = f"rejected: {Rejected(log, number, REASONS[event], line).text}"
    else:
        shown = line[:80].decode(errors="backslashreplace").strip()
        shown = shown or "a blank line, or one that is too long"
        noun = "row" if inputs.stream_table else "line"
        why = f"{log}, {noun} {number}: not a purchase: {shown}"
    raise UsageError("\n".join([why, *diagnosis.faults()]))


def _place_of_flag(
    inputs: Inputs,
    flag: int,
    given: dict[str, int],
    sigmas: Number,
    max_line: int,
    reading: Reading,
) -> Place:
    """Return where the purchase is that is flagged as the `flag`-th."""
    count = 0
    diagnosis = Diagnosis()
    for part in replay_logs(
        inputs,
        lambda found: Detector(found["D"], found["T"], sigmas, **reading._asdict()),
        reading=reading,
        given=given,
        max_line=max_line,
        diagnosis=diagnosis,
    ):
        if count + len(part.fed.flags) >= flag:
            found = part.fed.flags[flag - count - 1]
            assert found.log is not None
            assert found.line is not None
            return Place(found.log, found.line)
        count += len(part.fed.flags)
    flagged = {0: "no purchase was", 1: "only 1 purchase was"}.get(
        count, f"only {count} purchases were"
    )
    why = "\n".join(
        [f"{shown(inputs.stream)}: no flag {flag}: {flagged} flagged", *diagnosis.faults()]
    )
    raise UsageError(why)
