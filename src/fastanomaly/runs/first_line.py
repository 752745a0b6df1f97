"""The batch log's first line: D and T, unless both are given otherwise."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from fastanomaly.errors import ParameterError
from fastanomaly.rules.parameters import (
    check_whole,
    complete_line,
    parameter_fault,
    parameter_line,
)
from fastanomaly.sources.base import Block, Lines, LongLine, Rows

_BLANK = b" \t\r\n"
_EMPTY_LINES = rb"(?:\r?\n)++"
_HEAD = 4096
_NAMED = rb'"[DT]"'


def take_parameters(
    path: str, blocks: Iterator[Block], given: Mapping[str, int], max_line: int
) -> tuple[Iterator[Block], int, dict[str, int]]:
    """Take D and T from a log's first line that is not blank.

    Parameters
    ----------
    path : str
        The log's name in errors.
    blocks : iterator of blocks
        The log.
    given : mapping
        D or T, if given otherwise: they win over the log's.
    max_line : int
        A longer line holds no parameters.

    Returns
    -------
    tuple of iterator, int and dict
        The blocks from the first event on, the number of its line, and D and T.

    Raises
    ------
    ParameterError
        If a parameter is missing or out of range; names the log, the line and the value.
    """
    known = dict(given)
    rest, number = _skip_blank_lines(blocks, max_line)
    line = b"" if isinstance(rest, LongLine) else _first_line(memoryview(rest))
    found = parameter_line(line) if len(line.removesuffix(b"\r")) <= max_line else None
    missing = [name for name in ("D", "T") if name not in known]
    if found is None and missing:
        if not line.strip(_BLANK) and not isinstance(rest, LongLine):
            raise ParameterError(
                f"{path}: no line but blank ones, and {' and '.join(missing)} not given: "
                f"{_advice(b'', {}, missing)}"
            )
        start = next(rest.pieces, b"") if isinstance(rest, LongLine) else rest
        raise ParameterError(
            f"{path}, line {number}: no parameter line, {' and '.join(missing)} not given: "
            f"{_why_absent(path, line, start, number, missing)}"
        )
    for name in missing:
        assert found is not None
        try:
            if name not in found:
                raise ParameterError(f"{name}: missing")
            known[name] = check_whole(name, found[name])
        except ParameterError as error:
            why = _advice(line, found, [name])
            raise ParameterError(f"{path}, line {number}: {error}: {why}") from None
    if found is not None:
        assert not isinstance(rest, LongLine)
        rest = rest[len(line) + 1 :]
        number += 1
    return chain([rest] if rest else [], blocks), number, known


def _advice(line: bytes, found: Mapping[str, object], missing: Sequence[str]) -> str:
    """Return what is wrong with a first line, if it is known, and what to do.

    Parameters
    ----------
    line : bytes
    found : mapping
        Its parameters, which are kept if they are valid.
    missing : sequence of str
        D, T or both.
    """
    options = " and ".join(f"-{name}" for name in missing)
    write = parameter_fault(line) or f"write {complete_line(found)}"
    return f"{write} as the first line, or give {options}"


def _why_absent(
    path: str, line: bytes, block: bytes | memoryview, number: int, missing: Sequence[str]
) -> str:
    """Return what is in the place of the parameter line, and what to do.

    The text of the line is shown, unless the log is known to be in another format.

    Parameters
    ----------
    path : str
    line : bytes
        The first line that is not blank.
    block : bytes or memoryview
        What was read, from this line on.
    number : int
        The number of this line.
    missing : sequence of str
        D, T or both.
    """
    from fastanomaly.rules.recognition import file_look  # noqa: PLC0415 - needed in few runs

    head = bytes(block[:_HEAD])
    if (look := file_look(head)) is not None:
        return f"the log looks like {look.what}; {look.remedy}"
    text = (line or head).strip(_BLANK)[:80].decode(errors="backslashreplace")
    why = _why_text_absent(path, line, head, number)
    return f"{text!r}: {why or _advice(line, {}, missing)}"


def _why_text_absent(path: str, line: bytes, head: bytes, number: int) -> str:
    """Return why a log of text has no parameter line there; "" if its first line shows it."""
    from fastanomaly.rules.recognition import text_look  # noqa: PLC0415 - needed in few runs

    if parameter_fault(line):
        return ""
    lines = head.split(b"\n")
    for place, other in enumerate(lines[1:], number + 1):
        if re.search(_NAMED, other) and parameter_line(other) is not None:
            return f"line {place} is the parameter line: it must be the first"
    if _last_line_has_parameters(path):
        return "the last line is the parameter line: it must be the first"
    if (look := text_look(head, [text for text in lines[:4] if text])) is not None:
        return f"the log looks like {look.what}; {look.remedy}"
    if b'"event_type"' in line:
        return (
            f"it is an event: put a line such as {complete_line({})} before it, or give -D "
            "and -T; or check that the two logs are not swapped"
        )
    return ""


def _last_line_has_parameters(path: str) -> bool:
    """Return whether the last line of a file is a parameter line."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _HEAD))
            lines = file.read(_HEAD).rstrip(_BLANK).split(b"\n")
    except OSError:
        return False
    return re.search(_NAMED, lines[-1]) is not None and parameter_line(lines[-1]) is not None


def _skip_blank_lines(blocks: Iterator[Block], max_line: int) -> tuple[Lines, int]:
    """Return what was read from the first line on that is not blank, and its number."""
    number = 1
    for block in blocks:
        assert not isinstance(block, Rows)
        if isinstance(block, LongLine):
            return block, number
        view = memoryview(block)
        while view:
            if empty := re.match(_EMPTY_LINES, view):  # all at once: there may be millions
                number += empty[0].count(b"\n")
                view = view[empty.end() :]
                continue
            line = _first_line(view)
            if line.strip(_BLANK) or len(line.removesuffix(b"\r")) > max_line:
                return view, number
            view = view[len(line) + 1 :]
            number += 1
    return b"", number


def _first_line(block: memoryview) -> bytes:
    """Return the first line without its LF."""
    size = 256
    while (line := bytes(block[:size])).find(b"\n") < 0 and size < len(block):
        size *= 2
    return line.split(b"\n", 1)[0]
