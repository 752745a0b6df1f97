"""What a log looks like that is not newline-delimited JSON events, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from fastanomaly.rules.json_members import member_texts
from fastanomaly.rules.rejects import describe


class Look(NamedTuple):
    """What a log looks like, and what to do: two texts for people."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}"


SHAPE = (
    '{"event_type":"purchase", "timestamp":"2017-06-13 11:33:01", "id":"1", "amount":"16.83"} '
    'or {"event_type":"befriend", "timestamp":"2017-06-13 11:33:01", "id1":"1", "id2":"2"}'
)
"""One line of each form; unfriend has that of befriend."""

_DECOMPRESS = "decompress it first, with "
_CONVERT = f"convert it to one JSON object per line, such as {SHAPE}"

_MAGIC = (
    (b"\x1f\x8b\x08", "gzip data", f"name the file itself, or {_DECOMPRESS}gzip -dc"),
    (b"\x28\xb5\x2f\xfd", "zstd data", f"name the file itself, or {_DECOMPRESS}zstd -dc"),
    (b"BZh", "bzip2 data", f"{_DECOMPRESS}bzip2 -dc"),
    (b"\xfd7zXZ\0", "xz data", f"{_DECOMPRESS}xz -dc"),
    (b"\x04\x22\x4d\x18", "lz4 data", f"{_DECOMPRESS}lz4 -dc"),
    (b"PK\x03\x04", "a zip archive or a spreadsheet", f"unpack it, or {_CONVERT}"),
    (b"PAR1", "a Parquet file", _CONVERT),
    (b"Obj\x01", "an Avro file", _CONVERT),
    (b"ORC", "an ORC file", _CONVERT),
    (b"ARROW1", "an Arrow file", _CONVERT),
    (b"SQLite format 3\0", "an SQLite database", _CONVERT),
    (b"%PDF-", "a PDF file", _CONVERT),
)
_UTF16 = Look("UTF-16 text", "convert it to UTF-8, with iconv -f UTF-16 -t UTF-8")

_PANDAS = 'with df.to_json("log.json", orient="records", lines=True) from pandas'
_ONE_PER_LINE = f"write one object per line, {_PANDAS}"
_BEFORE = r'\s*\{\s*(?:"(?!event_type")[^"]*"\s*:\s*(?:"[^"]*"|[-+.\w]+)\s*,\s*)*'
_WHOLE_LOGS = (
    # a list of objects under a name, perhaps after other members
    (rf'{_BEFORE}"([^"\\]{{1,80}})"\s*:\s*\[\s*\{{', "one object with a list of events", ""),
    # orient="split" and orient="table"
    (r'\s*\{\s*"(?:columns|index)"\s*:\s*\[', "one object with a table", _ONE_PER_LINE),
    (r'\s*\{\s*"schema"\s*:\s*\{', "one object with a table", _ONE_PER_LINE),
    # orient="index"
    (r'\s*\{\s*"[^"]*"\s*:\s*\{\s*"event_type"', "one object of rows", _ONE_PER_LINE),
    # the default, and dict of lists
    (r'\s*\{\s*"[^"]*"\s*:\s*\{\s*"\d+"\s*:', "one object of columns", _ONE_PER_LINE),
    (r'\s*\{\s*"[^"]*"\s*:\s*\[\s*[-"0-9]', "one object of columns", _ONE_PER_LINE),
)
"""How logs begin that are one object as a whole: a pattern, the look and the remedy."""

_PARAMETERS = re.compile(r'\s*\{[^{}\[\]\n]*"[DT]"[^{}\[\]\n]*\}\s*\n')

_NAME = r'\s*"(?:[^"\\]|\\.)*"\s*:'
_MEMBER_LINE = re.compile(rf"{_NAME}.*")
_CURLY = re.compile("[\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb]")
_PYTHON = re.compile(r"\s*\{\s*[uUbB]?'[^']*'\s*:")
_XML = re.compile(r"\s*<[?!A-Za-z]")
_DELIMITERS = ((",", "CSV"), ("\t", "tab-separated values"), (";", "CSV with semicolons"))


def file_look(head: bytes) -> Look | None:
    """Return what the first bytes of a log say about its format; None for plain text.

    Parameters
    ----------
    head : bytes
        Up to some thousand bytes.
    """
    for magic, what, remedy in _MAGIC:
        if head.startswith(magic):
            return Look(what, remedy)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _UTF16
    start = head[:64]
    if len(start) >= 4 and any(
        start[i::2].count(0) * 2 >= len(start[i::2]) and not start[1 - i :: 2].count(0)
        for i in (0, 1)
    ):
        return _UTF16
    return _whole_look(head.decode(errors="replace"))


def _whole_look(start: str) -> Look | None:
    """Return what a log looks like that is one object as a whole, not one in each line."""
    if (parameters := _PARAMETERS.match(start)) is not None:
        start = start[parameters.end() :]
    if re.search(r"\n\{|\}\s*\{", start):
        return None
    for pattern, what, remedy in _WHOLE_LOGS:
        if (found := re.match(pattern, start)) is None:
            continue
        return Look(what, remedy or _members_remedy(found[1]))
    return None


def _members_remedy(name: str) -> str:
    """Return how to write the objects of the list `name` in lines."""
    plain = re.fullmatch("[A-Za-z_][A-Za-z_0-9]*", name)
    members = f".{name}[]" if plain else f'.["{name}"][]'
    return f"write one object per line, with jq -c '{members}'"


def text_look(head: bytes, lines: Sequence[bytes]) -> Look | None:
    """Return what a log of text looks like, from its beginning and some of its lines.

    Parameters
    ----------
    head : bytes
        The first bytes of the log; b"" if they are not known.
    lines : sequence of bytes
        Rejected lines, perhaps cut; none if they are long.

    Returns
    -------
    Look or None
        None if nothing is recognised.
    """
    texts = [line.decode(errors="replace").strip() for line in lines]
    if not texts and head:
        texts = [head.decode(errors="replace").strip().partition("\n")[0]]
    first = texts[0] if texts else ""
    if b"\r" in head.rstrip() and b"\n" not in head:
        return Look("lines that end in a CR alone", "convert them, with tr '\\r' '\\n'")
    start = head.decode(errors="replace").lstrip() or first
    if _XML.match(start):
        return Look("XML or HTML", _CONVERT)
    if start.startswith("[") or "[" in texts:
        return _array_look(start, texts)
    if start[:1] == "{" and (first == "{" or not start.partition("\n")[0].strip("{ \t\r")):
        return Look("pretty-printed JSON", "write each object in one line, with jq -c .")
    return _line_look(texts)


def _array_look(start: str, texts: Sequence[str]) -> Look | None:
    if len(start) > 1 and not start[1:].lstrip().startswith("{"):
        return Look("JSON arrays", f"write each event as an object, such as {SHAPE}")
    return Look("a JSON array", "write one object per line, with jq -c '.[]'")


_JOINED = Look("several objects in one line", "write one object per line, with jq -c .")


def _line_look(texts: Sequence[str]) -> Look | None:
    """Return what most of the lines look like."""
    kinds = (
        (
            lambda t: t.endswith("},"),
            "lines that end in a comma",
            "remove it, with sed 's/,$//'",
        ),
        (_PYTHON.match, "Python dictionaries", "write the lines with json.dumps"),
        (_is_curly, "JSON with curly quotes", 'replace them by straight quotes (")'),
        (_MEMBER_LINE.fullmatch, "pretty-printed JSON", "write each object in one line"),
        (
            lambda t: re.search(r"\}\s*\{", t),
            *_JOINED,
        ),
        (
            lambda t: re.match(r"[^\[{<][^{]*\{.*\}$", t),
            "JSON after other text",
            "remove what precedes the brace, with sed 's/^[^{]*//'",
        ),
        (
            lambda t: re.match(r"\{\s*[A-Za-z_]\w*\s*:", t),
            "objects whose names lack quotes",
            "write the names in double quotes",
        ),
    )
    for matches, what, remedy in kinds:
        if sum(bool(matches(text)) for text in texts) * 2 > len(texts):
            return Look(what, remedy)
    for delimiter, what in _DELIMITERS:
        counts = [text.count(delimiter) for text in texts if "{" not in text]
        if counts and min(counts) >= 1 and max(counts) <= 2 * min(counts):
            return Look(what, _CONVERT)
    return None


def _is_curly(text: str) -> bool:
    return bool(text.startswith("{") and _CURLY.search(text) and text.count('"') < 4)


def event_look(line: bytes, reason: str) -> Look | None:
    """Return what is wrong with a log of JSON objects, from one of its rejected lines."""
    if reason == "bad_event_type":
        texts = member_texts(line)
        if "event_type" not in texts:
            names = ", ".join(map(repr, list(texts)[:8])) or "none"
            return Look(
                f"objects without 'event_type' (their fields: {_cut(names)})",
                f"write {SHAPE}; unfriend is like befriend",
            )
        return Look(
            f"objects with event_type {_cut(texts['event_type'])}",
            "event_type must be purchase, befriend or unfriend, in lower case",
        )
    if reason == "missing_field":
        names = ", ".join(map(repr, list(member_texts(line))[:8]))
        return Look(
            f"objects with other fields ({describe(line, reason)}; they have {_cut(names)})",
            "a purchase needs timestamp, id and amount, a befriend or unfriend id1 and id2: "
            f"write {SHAPE}",
        )
    return None


def _cut(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:117]}..."
