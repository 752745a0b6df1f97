"""The manifest of a snapshot: JSON that says what the snapshot is, with a checksum."""

from __future__ import annotations

import re
import zlib
from typing import Any

import orjson

from fastanomaly._version import __version__
from fastanomaly.errors import CheckpointError
from fastanomaly.names import check_count
from fastanomaly.rules.parameters import MAX_SHARDS
from fastanomaly.state_file import with_file_names, without_file_names

MANIFEST = "manifest.json"
FORMAT = 1

_START = re.compile(rb'\{\n  "crc32": "([0-9a-f]{8})",')


def shard_name(number: int, shards: int) -> str:
    """Return the name of a shard's file."""
    return f"shard-{number:04}-of-{shards:04}"


def manifest_text(members: dict[str, Any]) -> bytes:
    """Return a manifest with members for JSON; `parse_manifest` describes those needed."""
    content = {"fastanomaly": __version__, "format": FORMAT, **with_file_names(members)}
    rest = orjson.dumps(content, option=orjson.OPT_INDENT_2)[1:] + b"\n"
    return b'{\n  "crc32": "%08x",' % zlib.crc32(rest) + rest


def parse_manifest(name: str, text: bytes) -> dict[str, Any]:
    """Return the members of a manifest.

    Parameters
    ----------
    name : str
        Its name in errors.
    text : bytes
        The file.

    Returns
    -------
    dict
        Among others ``token``, text that no other snapshot has; ``detector`` with degree,
        tracked and sigmas; ``shards``; ``state``, as in the header of a detector's file; and
        ``files``, with ``name`` and ``bytes`` of each shard's file.

    Raises
    ------
    CheckpointError
        If it is damaged, or of a newer format.
    """
    start = _START.match(text)
    if start is None:
        raise CheckpointError(f"{name}: not a manifest of a snapshot")
    if zlib.crc32(text[start.end() :]) != int(start[1], 16):
        raise CheckpointError(f"{name}: truncated or altered: wrong checksum")
    try:
        members: dict[str, Any] = orjson.loads(text)
        version = members["format"]
        if version != FORMAT:
            raise CheckpointError(
                f"{name}: in format {version!r:.40}; this version reads format {FORMAT}"
            )
        _check(members)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        what = f"{type(error).__name__}: {error}"
        raise CheckpointError(f"{name}: altered: {what}") from error
    return without_file_names(members)


def _check(members: dict[str, Any]) -> None:
    """Raise ValueError, KeyError or TypeError unless needed members are what they should."""
    shards, token, files = members["shards"], members["token"], members["files"]
    check_count("shards", shards)
    if not 1 <= shards <= MAX_SHARDS:
        raise ValueError(f"shards: {shards}")
    if not isinstance(token, str):
        raise TypeError(f"token: {token!r:.40}")
    names = [shard_name(number, shards) for number in range(shards)]
    if [file["name"] for file in files] != names:
        raise ValueError("files: not one for each shard")
    for file in files:
        check_count("bytes", file["bytes"])
    for name in ("seq", "flags"):
        check_count(name, members["state"][name])
    for name in ("degree", "tracked", "sigmas"):
        members["detector"][name]
