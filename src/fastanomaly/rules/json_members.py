"""The text of a JSON object's members as written, where decoded values are not enough."""

import re
from typing import NamedTuple

# Patterns that few runs need: compiling them slows the start.
_TOKEN = rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]'
_NUMBER_AT = rb"\s*:\s*([-+.eE0-9]+)"


class Member(NamedTuple):
    """A member of an object: its name and its place in the line.

    It extends from ``start`` to ``end``, from one top-level comma or brace to the next, white
    space included; ``colon`` is the place of its colon.
    """

    name: str
    start: int
    colon: int
    end: int


def members(line: bytes) -> list[Member]:
    """Return the top-level members of a line that is one valid JSON object.

    Costs a step for each token of the line.
    """
    import orjson  # noqa: PLC0415 - imported late: it slows the start

    found: list[Member] = []
    name = b""
    depth = start = colon = 0
    for token in re.finditer(_TOKEN, line):
        text = token[0]
        if text in (b"{", b"["):
            depth += 1
            if depth == 1:
                start, colon = token.end(), 0
        elif depth == 1 and text == b":":
            colon = token.start()
        elif depth == 1 and text in (b",", b"}"):
            if colon:
                found.append(Member(orjson.loads(name), start, colon, token.start()))
            start, colon = token.end(), 0
            depth -= text == b"}"
        elif text in (b"}", b"]"):
            depth -= 1
        elif depth == 1 and not colon:
            name = text
    return found


def exact_number(line: bytes, name: str) -> str:
    """Return the JSON number in the top-level member `name` as it is written.

    The line is a valid object with such a member; if there are several, the last counts.
    """
    quoted = b'"%b"' % name.encode()
    place = line.find(quoted)
    # If the line has no escapes and the name occurs once, it is that member's.
    if b"\\" not in line and line.find(quoted, place + 1) < 0:
        match = re.match(_NUMBER_AT, line[place + len(quoted) :])
        assert match is not None
        return match[1].decode()
    return member_texts(line)[name]


def member_texts(line: bytes) -> dict[str, str]:
    """Return the values of an object's members by name, as they are written."""
    return {m.name: line[m.colon + 1 : m.end].decode().strip() for m in members(line)}
