"""What feeding a table returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fastanomaly.frames.export import ExportedColumn, decimals, kept, numbers, texts
from fastanomaly.rules.exact import excess

if TYPE_CHECKING:
    from fastanomaly.results import Flag
    from fastanomaly.rules.rejects import Rejected

_OWN_NAMES = ("user", "timestamp", "amount", "n", "mean", "sd", "excess", "row")


class Kept(NamedTuple):
    """A column of the source whose values flags keep.

    Attributes
    ----------
    name : str
    form : bytes
        The Arrow format of its values, ending in a NUL.
    values : list of bytes or None
        That of each flag, as its bytes.
    """

    name: str
    form: bytes
    values: list[bytes | None]


class FlagFrame:
    """The flagged purchases of a table, in order, as a table.

    ``len(flags)`` is their number, and iteration yields each as a `Flag`: its `line` is the
    number of the row, and its `raw` the row as a line of a log.

    It has the Arrow PyCapsule interface, so that ``polars.DataFrame(flags)``,
    ``pyarrow.table(flags)``, ``pandas.DataFrame.from_arrow(flags)`` and
    ``duckdb.sql("from flags")`` work:

    | column | type | value |
    |---|---|---|
    | `user` | utf8 | the buyer |
    | `timestamp` | timestamp, microseconds, UTC | the time of the purchase |
    | `amount` | decimal(18, 6) | the exact amount |
    | `n` | int64 | how many purchases it was compared with |
    | `mean`, `sd` | decimal(20, 2) | their mean and standard deviation, truncated |
    | `excess` | float64 | the amount above mean + k sd, to the precision of a double |
    | `row` | int64 | the number of the row |

    The columns of the source that are kept follow. A name that is already there gets
    ``source_`` before it.
    """

    __slots__ = ("_flags", "_kept", "_sigmas")

    def __init__(
        self, flags: list[Flag], sigmas: tuple[int, int], kept: Sequence[Kept] = ()
    ) -> None:
        self._flags = flags
        self._sigmas = sigmas
        self._kept = kept

    def __len__(self) -> int:
        return len(self._flags)

    def __iter__(self) -> Iterator[Flag]:
        return iter(self._flags)

    def __repr__(self) -> str:
        return f"<FlagFrame of {len(self)} flags>"

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the flags as an Arrow stream of one batch, whatever schema is requested."""
        from fastanomaly._core import arrow_stream  # noqa: PLC0415

        return arrow_stream(len(self._flags), self._columns())

    def _columns(self) -> tuple[ExportedColumn, ...]:
        flags, sigmas = self._flags, self._sigmas
        columns = [
            texts("user", (flag.user for flag in flags)),
            numbers("timestamp", "tsu:UTC", (flag.time_us for flag in flags)),
            decimals("amount", 18, 6, (flag.amount_units for flag in flags)),
            numbers("n", "l", (flag.n for flag in flags)),
            decimals("mean", 20, 2, (flag.mean_cents for flag in flags)),
            decimals("sd", 20, 2, (flag.sd_cents for flag in flags)),
            numbers("excess", "g", (_excess(flag, sigmas) for flag in flags)),
            numbers("row", "l", (flag.line or 0 for flag in flags)),
        ]
        names = set(_OWN_NAMES)
        for column in self._kept:
            name = column.name
            while name in names:
                name = f"source_{name}"
            names.add(name)
            columns.append(kept(name, column.form, column.values))
        return tuple(columns)


def _excess(flag: Flag, sigmas: tuple[int, int]) -> float:
    return excess(flag.n, flag.total, flag.squares, flag.amount_units, *sigmas)


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


def fed_frame(
    rows: int,
    flags: list[tuple[Flag, tuple[bytes | None, ...]]],
    rejected: list[Rejected],
    sigmas: tuple[int, int],
    kept_types: list[tuple[str, bytes]],
) -> FedFrame:
    """Return the result of feeding a table.

    Parameters
    ----------
    rows : int
        How many rows were read.
    flags : list of (Flag, tuple of bytes or None)
        Each flag, and its values of the columns that are kept.
    rejected : list of Rejected
    sigmas : tuple of int
        k as a fraction.
    kept_types : list of (str, bytes)
        Name and Arrow format of the columns that are kept.
    """
    columns = [
        Kept(name, form, [values[index] for _, values in flags])
        for index, (name, form) in enumerate(kept_types)
    ]
    return FedFrame(rows, FlagFrame([flag for flag, _ in flags], sigmas, columns), rejected)
