"""Names of inputs and outputs: a path, ``-``, or ``scheme:rest`` for a registered scheme."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol

STANDARD = "-"
"""The name of standard input and standard output."""

SERVER_SCHEMES = ("postgresql", "postgres")
"""The schemes of databases that are servers; their names may have passwords."""

FILE_SCHEMES = ("duckdb", "sqlite")
"""The schemes of databases that are files, as in ``sqlite:shop.db?table=flags``."""

DATABASE_SUFFIXES = {
    ".db": "sqlite",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".duckdb": "duckdb",
}
"""By usual suffix of a database in a file, its scheme."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):")


COUNT_LIMIT = 2**62
"""Beyond every file's size and every count."""


class Endpoint(Protocol):
    """What a source and a sink have in common.

    Attributes
    ----------
    path : str
        Its name as given; messages, flags and rejected lines have it.
    """

    path: str

    def close(self) -> None:
        """Close it; calling it again does nothing."""
        ...

    @staticmethod
    def identity(path: str) -> str:
        """Return a name that is its own, whatever the working folder."""
        ...

    @staticmethod
    def check_position(position: object) -> None:
        """Check what a checkpoint claims to be from `snapshot`.

        Raises
        ------
        ValueError
            If it cannot have come from there.
        """
        ...


def check_count(name: str, value: object, least: int = 0) -> None:
    """Check a count or an offset that was stored in a checkpoint.

    Raises
    ------
    ValueError
        If it is not a whole number from `least` to below 2^62; names both.
    """
    if type(value) is not int or not least <= value < COUNT_LIMIT:
        raise ValueError(f"{name}: {value!r:.40}")


def scheme_of(name: str) -> str:
    """Return the scheme of a name such as ``scheme:rest``, "" if it has none."""
    scheme = _SCHEME.match(name)
    return scheme[1] if scheme else ""


def is_url(name: str) -> bool:
    """Return whether a name is a URL such as ``s3://bucket/table.parquet``."""
    scheme = _SCHEME.match(name)
    return scheme is not None and name.startswith("//", scheme.end())


def file_of(name: str) -> str:
    """Return the path of the file that a name leads to; names of no files unchanged."""
    if scheme_of(name) in FILE_SCHEMES:
        return name.partition(":")[2].partition("?")[0]
    return name


def registered(
    kinds: Mapping[str, str], name: str, suffixes: Mapping[str, str] | None = None
) -> Any:
    """Return the class registered for a name's scheme, else for its suffix, else for "".

    Parameters
    ----------
    kinds : mapping of str to str
        By scheme, ``module:class``; it is imported when it is needed.
    name : str
    suffixes : mapping of str to str, optional
        The same by suffix, for names without a registered scheme.
    """
    key = scheme_of(name)
    if key not in kinds:
        key = ""
    suffix = os.path.splitext(name)[1].lower()
    home = kinds[key] if key or not suffixes else suffixes.get(suffix, kinds[""])
    module, kind = home.split(":")
    return getattr(import_module(module), kind)
