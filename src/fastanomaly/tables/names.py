"""Which names are those of tables, and which class reads each of them.

A new kind of table is one file in `kinds` and one line in `SCHEMES` or `SUFFIXES`.
"""

import os
import re

from fastanomaly.names import FILE_SCHEMES, SERVER_SCHEMES, is_url, scheme_of
from fastanomaly.sources.base import SOURCES

SCHEMES = dict.fromkeys(
    (*SERVER_SCHEMES, *FILE_SCHEMES), "fastanomaly.tables.kinds.databases:DatabaseTable"
)
"""By scheme, what reads a name such as ``scheme:rest``: module and class."""

FORMATS = {
    "csv": "fastanomaly.tables.kinds.text:TextTable",
    "tsv": "fastanomaly.tables.kinds.text:TabTable",
    "parquet": "fastanomaly.tables.kinds.parquet:ParquetTable",
    "arrow": "fastanomaly.tables.kinds.arrow:ArrowTable",
    "json": "fastanomaly.tables.kinds.objects:ObjectTable",
}
"""By format, what reads a file: module and class."""

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
"""By suffix, the format of a file that is a table in any case."""

JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
"""Those of files that are logs, unless something says that they are tables."""

COMPRESSED = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd", ".bz2": "bz2", ".lz4": "lz4"}
"""By suffix, how a file is compressed."""


def kind_of(path: str) -> str | None:
    """Return module and class of what reads a table of that name; None if it may be a log."""
    scheme = scheme_of(path)
    if scheme and scheme in SOURCES:
        return None
    return SCHEMES.get(scheme) or suffix_kind(path)


def is_database(path: str) -> bool:
    """Return whether a name has a scheme of its own, such as ``sqlite:file.db?table=t``."""
    return scheme_of(path) in SCHEMES


def suffix_kind(path: str, json: bool = False) -> str | None:
    """Return module and class of what reads a file, by its suffix or by those in a folder.

    Parameters
    ----------
    path : str
        The name of a file or a folder, a pattern, or a URL.
    json : bool, default False
        Whether files of JSON are tables.
    """
    if is_url(path):
        path = re.split("[?#]", path)[0]
    root, suffix = os.path.splitext(path.lower())
    if suffix in COMPRESSED:
        suffix = os.path.splitext(root)[1]
    if suffix in SUFFIXES:
        return FORMATS[SUFFIXES[suffix]]
    if suffix in JSON_SUFFIXES:
        return FORMATS["json"] if json else None
    if os.path.isdir(path):
        inner = (suffix_kind(name, json) for name in files_within(path))
        return next(filter(None, inner), None)
    return None


def files_within(folder: str) -> list[str]:
    """Return the files in a folder and in those within it, by name.

    Names that begin with "." or "_" are left out, as usual in folders of Parquet files.
    """
    found = []
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        found += [os.path.join(here, name) for name in files if name[0] not in "._"]
    return sorted(found)


def shown(name: str) -> str:
    """Return a name as messages, flags and checkpoints have it: without a password."""
    if scheme_of(name) not in SERVER_SCHEMES:
        return name
    from fastanomaly.databases.names import parse_name  # noqa: PLC0415 - few runs need it

    return parse_name(name).shown
