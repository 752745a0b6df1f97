"""What a checkpoint says of a run, looked at before anything believes it."""

from __future__ import annotations

from types import NoneType
from typing import Any

from fastanomaly.sources.log import Place

_LIMIT = 2**62  # beyond what any file or count comes to


def check_note(noted: object) -> dict[str, Any]:
    """Return what `Run.note` gave, as it came back from a file.

    Raises
    ------
    ValueError
        If no run gave it; it names what is wrong.
    """
    if not isinstance(noted, dict):
        raise ValueError(f"run: {noted!r:.40}")
    job = _member(noted, "job", dict)
    _member(noted, "done", bool)
    logs = _member(noted, "logs", list)
    if len(logs) != 2:
        raise ValueError(f"logs: {len(logs)} of them")
    for log in logs:
        if not isinstance(log, dict):
            raise ValueError(f"logs: {log!r:.40}")
        _whole("line", _member(log, "line", int), 1)
        _member(log, "done", bool)
        if (place := _member(log, "place", list, NoneType)) is not None:
            _check_place(place)
    _whole("out_bytes", _member(noted, "out_bytes", int))
    kept = _member(noted, "rejects_bytes", int, NoneType)
    if kept is not None or job.get("rejects") is not None:
        _whole("rejects_bytes", kept)
    for count in _member(noted, "rejected", dict).values():
        _whole("rejected", count)
    _member(noted, "first_rejected", str, NoneType)
    if not 0 <= _member(noted, "seconds", int, float) < _LIMIT:
        raise ValueError(f"seconds: {noted['seconds']}")
    return noted


def _check_place(noted: list[Any]) -> None:
    if len(noted) != len(Place._fields):
        raise ValueError(f"place: {len(noted)} values")
    place = Place(*noted)
    if not isinstance(place.file, list) or len(place.file) != 2:
        raise ValueError(f"place: {place.file!r:.40}")
    for number in (place.offset, *place.file, place.tail_bytes, place.tail_crc):
        _whole("place", number)


def _member(parent: dict[str, Any], name: str, *kinds: type) -> Any:
    """Look up a member, which has to be of one of these kinds."""
    if name not in parent:
        raise ValueError(f"{name}: missing")
    if type(parent[name]) not in kinds:
        raise ValueError(f"{name}: {parent[name]!r:.40}")
    return parent[name]


def _whole(name: str, value: object, least: int = 0) -> None:
    if type(value) is not int or not least <= value < _LIMIT:
        raise ValueError(f"{name}: {value!r:.40}")
