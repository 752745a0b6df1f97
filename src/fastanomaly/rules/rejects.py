"""Why a line is rejected: the reasons, and a description for people.

The engine decides what is an event; it calls this module for lines that orjson refuses.
"""

import re
from typing import NamedTuple

REASONS = (
    "line_too_long",
    "invalid_utf8",
    "not_json",
    "not_an_object",
    "bad_event_type",
    "missing_field",
    "wrong_type",
    "bad_id",
    "bad_timestamp",
    "bad_amount",
    "self_friendship",
)
"""Why a line can be rejected, in the order of the checks."""

BAD_ROW = "bad_row"
"""Why else a row of a table can be: it has not as many values as there are columns."""

OTHER_UNIT = "is outside the years 1 to 9999 in the unit of --time-unit"
"""What is said of a number that is no timestamp; also in engine/reject_rows.pxd."""

_MOST_SHOWN = 80  # characters of a row
_INVALID_UTF8 = REASONS.index("invalid_utf8")
_NOT_JSON = REASONS.index("not_json")

# Patterns that few runs need: compiling them slows the start. A string without an end is
# matched too, so that each byte is visited once.
_STRING_OR_RUN = rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[-+.eE0-9]+'
_NUMBER = rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"

_FIELDS = {
    "purchase": ("timestamp", "id", "amount"),
    "befriend": ("id1", "id2"),
    "unfriend": ("id1", "id2"),
}


class Rejected(NamedTuple):
    """A rejected line: it is not a valid event.

    Attributes
    ----------
    log : str
        The name of its log, as given to `Detector.feed`.
    line : int
        Its number in the log, from 1.
    reason : str
        One of `REASONS`.
    raw : bytes
        The whole line, without its line end; empty if it was too long.
    """

    log: str
    line: int
    reason: str
    raw: bytes

    @property
    def detail(self) -> str:
        """A description of what is wrong: the field and its value."""
        return describe(self.raw, self.reason)

    @property
    def text(self) -> str:
        """Its place, the reason and the description."""
        return f"{self.log}, line {self.line}: {self.reason}: {self.detail}"


def reread(line: bytes) -> tuple[int, object]:
    """Decode a line that orjson refused, if it is JSON.

    orjson refuses numbers that no double can hold, but they are valid JSON.

    Returns
    -------
    tuple of int and object
        -1 and the decoded value, with every number replaced by 0;
        or the index of the reason in `REASONS`, and None.
    """
    import orjson  # noqa: PLC0415 - imported late: it slows the start

    try:
        line.decode()
    except UnicodeDecodeError:
        return _INVALID_UTF8, None
    number = re.compile(_NUMBER)
    tamed = re.sub(_STRING_OR_RUN, lambda m: b"0" if number.fullmatch(m[0]) else m[0], line)
    if tamed != line:
        try:
            return -1, orjson.loads(tamed)
        except orjson.JSONDecodeError:
            pass
    return _NOT_JSON, None


def describe(line: bytes, reason: str) -> str:
    """Return what is wrong with a line that was rejected for `reason`.

    engine/reject_rows.pxd writes the same details for most lines, more cheaply.
    """
    if reason == "line_too_long":
        return "longer than the limit"
    if reason == BAD_ROW:
        text = line.decode(errors="backslashreplace")
        return f"has not as many values as there are columns: {text[:_MOST_SHOWN]!r}"
    if reason in ("invalid_utf8", "not_json"):
        # The engine, which imports this module, finds it without slow exceptions.
        from fastanomaly._core import syntax_fault  # noqa: PLC0415

        return syntax_fault(line)
    import orjson  # noqa: PLC0415 - imported late: it slows the start

    from fastanomaly.rules.json_members import member_texts  # noqa: PLC0415
    from fastanomaly.rules.wrong_values import shortened, value_detail  # noqa: PLC0415

    if reason == "not_an_object":
        return f"is {shortened(line.decode().strip())}"
    texts = member_texts(line)
    if reason == "bad_event_type":
        if "event_type" not in texts:
            return "event_type: missing"
        return value_detail("event_type", texts["event_type"])
    fields = _FIELDS[orjson.loads(texts["event_type"])]
    if reason == "missing_field":
        return next(f"{name}: missing" for name in fields if name not in texts)
    if reason == "bad_id":
        return next(f"{name}: empty" for name in fields if texts.get(name) == '""')
    if reason == "self_friendship":
        return f"id1 and id2: {shortened(texts['id1'])}"
    if reason == "wrong_type":
        wrong = (name for name in fields if name in texts and not _typed(name, texts[name]))
        return ", ".join(value_detail(name, texts[name]) for name in wrong)
    name = reason.removeprefix("bad_")
    if name == "timestamp" and not texts[name].startswith('"'):
        # Numbers are read at all only if a unit is named.
        return f"timestamp: {shortened(texts[name])} ({OTHER_UNIT})"
    return value_detail(name, texts[name])


def _typed(name: str, text: str) -> bool:
    """Return whether a value has a type that the field may have."""
    if text.startswith('"'):
        return True
    if name == "amount":
        return text[0] in "-0123456789"
    return name != "timestamp" and text.removeprefix("-").isdigit()
