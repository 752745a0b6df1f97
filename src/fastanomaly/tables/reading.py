"""How tables are read: what the options say, checked before anything is opened."""

import codecs
import os
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from fastanomaly._core import time_us_in_unit
from fastanomaly.convert import check_reading
from fastanomaly.errors import UsageError
from fastanomaly.formats.display import suggestion
from fastanomaly.names import COUNT_LIMIT, DATABASE_SUFFIXES, STANDARD
from fastanomaly.tables.names import FORMATS, kind_of, shown, suffix_kind

FIELDS = ("user", "amount", "timestamp", "kind", "friend")
"""The fields of an event; each may be mapped to a column."""

FRIEND_FIELDS = ("user", "friend", "since", "until")
"""The fields of an edge list."""

_NOTHING: Mapping[str, str] = MappingProxyType({})


class Tables(NamedTuple):
    """How tables are read; every member has a default.

    Attributes
    ----------
    columns : mapping of str to str
        Which column each field is: user, amount, timestamp, kind and friend. Those that are
        not named are guessed from the names of the columns.
    friends : str or None
        A table of friendships: two columns of users, and perhaps since and until.
    friend_columns : mapping of str to str
        Which of its columns is user, friend, since and until.
    split : str, int, float or None
        Where history ends and judging begins in a run with one table: a time such as
        ``2017-06-01``, a number of rows, or a share such as ``0.9`` or ``90%``. None: all
        purchases are judged.
    sort : bool
        Sort each table by time; it is then held in memory.
    format : str or None
        How inputs are read whose names do not tell it: csv, tsv, json, parquet or arrow.
    delimiter : str or None
        Between the values of a row of text; None: as the first line has it.
    encoding : str
        The encoding of texts.
    header : bool
        Whether the first row of a text has the names of the columns. Otherwise they are 1,
        2, 3, ...
    friends_header : bool
        The same for the table of friendships.
    decimal_comma : bool
        Amounts have a decimal comma.
    currency : bool
        Accept amounts with currency signs and thousands separators.
    """

    columns: Mapping[str, str] = _NOTHING
    friends: str | None = None
    friend_columns: Mapping[str, str] = _NOTHING
    split: str | int | float | None = None
    sort: bool = False
    format: str | None = None
    delimiter: str | None = None
    encoding: str = "utf-8"
    header: bool = True
    friends_header: bool = True
    decimal_comma: bool = False
    currency: bool = False

    def options(self) -> dict[str, Any]:
        """Return what differs from the defaults, as a checkpoint stores it."""
        values = self._asdict()
        given = {name: value for name, value in values.items() if value != _DEFAULTS[name]}
        return {name: _json(value) for name, value in given.items()}


_DEFAULTS = Tables()._asdict()


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return shown(value) if isinstance(value, str) else value


class Split(NamedTuple):
    """Where history ends: after so many rows, after a share of them, or at a time.

    Exactly one is not None.
    """

    rows: int | None = None
    share: Any = None
    time_us: int | None = None


def check_tables(tables: Tables) -> Tables:
    """Return how tables are read, with the options checked.

    Raises
    ------
    UsageError
        If an option is wrong; names it and its value.
    TypeError
        If `friends` is no name, but a frame, say.
    """
    if tables.friends is not None:
        tables = tables._replace(friends=check_name("friends", tables.friends))
    _check_fields("--map", tables.columns, FIELDS)
    _check_fields("--map-friends", tables.friend_columns, FRIEND_FIELDS)
    if tables.friend_columns and tables.friends is None:
        raise UsageError("--map-friends: has no effect without --friends")
    if tables.split is not None:
        parse_split(tables.split)
    if tables.format is not None and tables.format not in FORMATS:
        known = ", ".join(FORMATS)
        raise UsageError(f"--format: {tables.format!r} is none of {known}")
    delimiter = tables.delimiter
    if delimiter is not None and (len(delimiter) != 1 or not delimiter.isascii()):
        raise UsageError(f"--delimiter: {delimiter!r} is not one ASCII character")
    if delimiter is not None and delimiter in '"\r\n':
        raise UsageError(f"--delimiter: {delimiter!r} cannot be between values")
    _check_encoding(tables.encoding)
    return tables


def _check_encoding(encoding: str) -> None:
    text = "id,total\n1,2.50\n"
    try:
        written = text.encode(encoding)  # refuses codecs that are not of texts
        decoder = codecs.getincrementaldecoder(encoding)("replace")
        read = "".join(decoder.decode(bytes([byte])) for byte in written)
        read += decoder.decode(b"", True)
    except (LookupError, ValueError):
        raise UsageError(f"--encoding: {encoding!r} is not known") from None
    if read != text:  # such as punycode, which needs a whole text at once
        raise UsageError(f"--encoding: {encoding!r} is not an encoding of files")


def check_name(parameter: str, value: object) -> str:
    """Return the name of an input as text; raises TypeError, such as for a frame."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(
            f"{parameter}: expected the name of a file or of a table in a database, got "
            f"{type(value).__name__}: frames go to Detector.feed_frame"
        )
    return os.fspath(value)


def _check_fields(option: str, columns: Mapping[str, str], fields: tuple[str, ...]) -> None:
    for field in columns:
        if field not in fields:
            known = ", ".join(fields)
            raise UsageError(
                f"{option}: {field!r} is no field{suggestion(field, fields)}; write "
                f"FIELD=COLUMN, the fields being {known}"
            )


def parse_map(option: str, text: str) -> dict[str, str]:
    """Return the columns that ``user=customer_id,amount=total`` names.

    Raises
    ------
    UsageError
        If it is not of that form; names the option and the part.
    """
    columns: dict[str, str] = {}
    for part in text.split(","):
        field, equals, column = part.partition("=")
        field = field.strip()
        if not equals or not field or not column:
            raise UsageError(f"{option}: {part!r} is not FIELD=COLUMN")
        if field in columns:
            raise UsageError(f"{option}: {field} is given twice")
        columns[field] = column
    return columns


def parse_split(value: str | int | float) -> Split:
    """Return where a table is split.

    Raises
    ------
    UsageError
        If it is neither a time nor a number of rows nor a share.
    """
    text = str(value).strip()
    if re.fullmatch("[0-9]+", text) and int(text) < COUNT_LIMIT:
        return Split(rows=int(text))
    if share := re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)%|(0?\.[0-9]{1,9}|1\.0*)", text):
        from fractions import Fraction  # noqa: PLC0415 - imported late: it slows the start

        part = Fraction(share[1]) / 100 if share[1] else Fraction(share[2])
        if part <= 1:
            return Split(share=part)
    iso = check_reading(False, "iso").unit_code
    for time in (text, f"{text} 00:00:00"):
        if "-" in text and (found := time_us_in_unit(time, False, iso)) is not None:
            return Split(time_us=found[0])
    raise UsageError(
        f"--split: {text!r} is neither a time such as 2017-06-01 or "
        '"2017-06-01 12:00:00" nor a number of rows nor a share such as 0.9 or 90%'
    )


def table_kind(path: str, tables: Tables | None, alone: bool = False) -> str | None:
    """Return module and class of what reads an input as a table; None if it is a log.

    Parameters
    ----------
    path : str
    tables : Tables or None
    alone : bool, default False
        Whether it is a table in any case: the only input, or one of friendships.

    Raises
    ------
    UsageError
        If it is a table in any case, but of no known kind.
    """
    tables = tables or Tables()
    kind = kind_of(path)
    if kind is None and (alone or tables.columns):
        kind = suffix_kind(path, json=True)
    if kind is None and tables.format is not None and suffix_kind(path, json=True) is None:
        kind = FORMATS[tables.format]
    if kind is None and alone and os.path.isdir(path):
        raise UsageError(f"{path}: no table is in this folder")
    if kind is None and alone:
        what = "standard input" if path == STANDARD else path
        scheme = DATABASE_SUFFIXES.get(os.path.splitext(path)[1].lower())
        raise UsageError(
            f"{what}: the name does not tell what kind of table it is: "
            + (f"write {scheme}:{path}?table=NAME, or " if scheme else "")
            + f"give --format, one of {', '.join(FORMATS)}"
        )
    return kind
