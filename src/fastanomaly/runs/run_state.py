"""The state of a run, without its detector: what a checkpoint stores, checked when read."""

from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple

from fastanomaly.names import COUNT_LIMIT, check_count
from fastanomaly.runs.inputs import stored_inputs
from fastanomaly.sinks.base import flag_sink, reject_sink

if TYPE_CHECKING:
    from fastanomaly.sinks.base import Sink


class RunState(NamedTuple):
    """The state of a run, as JSON values.

    Attributes
    ----------
    job : dict
        What distinguishes the job from others.
    done : bool
        Whether both logs have been read to their ends.
    sources : list of dict
        Of the batch log and the stream log: line, done and position, valid events and
        rejected lines by reason.
    flags_position, rejects_position : JSON value
        What the sinks held; None if there is no sink for rejected lines.
    rejected : dict of str to int
        Rejected lines by reason.
    first_rejected : str or None
    seconds : float
        Wall time so far.
    """

    job: dict[str, Any]
    done: bool
    sources: list[dict[str, Any]]
    flags_position: Any
    rejects_position: Any
    rejected: dict[str, int]
    first_rejected: str | None
    seconds: float


def check_run_state(value: object) -> RunState:
    """Return the state of a run that was read from a file.

    Raises
    ------
    ValueError
        If no run has stored it; the message says what is wrong.
    """
    if not isinstance(value, dict):
        raise ValueError(f"run: {value!r:.40}")
    job = _member(value, "job", dict)
    _member(value, "done", bool)
    sources = _member(value, "sources", list)
    if len(sources) != 2:
        raise ValueError(f"sources: expected 2, got {len(sources)}")
    inputs = stored_inputs(job)
    for index, source in enumerate(sources):
        if not isinstance(source, dict):
            raise ValueError(f"sources: {source!r:.40}")
        check_count("line", _member(source, "line", int), 1)
        _member(source, "done", bool)
        if "events" in source:  # earlier versions do not store it
            check_count("events", source["events"])
            for count in _member(source, "rejected", dict).values():
                check_count("rejected", count)
        if "position" not in source:
            raise ValueError("position: missing")
        if source["position"] is not None:
            inputs.source(index).check_position(source["position"])
    out, rejects = str(job.get("out")), job.get("rejects")
    _check_position(value, "flags_position", flag_sink(out))
    if rejects is not None or value.get("rejects_position", "") is not None:
        _check_position(value, "rejects_position", reject_sink(str(rejects)))
    for count in _member(value, "rejected", dict).values():
        check_count("rejected", count)
    _member(value, "first_rejected", str, NoneType)
    if not 0 <= _member(value, "seconds", int, float) < COUNT_LIMIT:
        raise ValueError(f"seconds: {value['seconds']}")
    return RunState(**{name: value[name] for name in RunState._fields})


def _member(parent: dict[str, Any], name: str, *kinds: type) -> Any:
    """Return a member, which must have one of these types."""
    if name not in parent:
        raise ValueError(f"{name}: missing")
    if type(parent[name]) not in kinds:
        raise ValueError(f"{name}: {parent[name]!r:.40}")
    return parent[name]


def _check_position(parent: dict[str, Any], name: str, sink: "type[Sink]") -> None:
    """Check a member that a sink's `snapshot` returned."""
    if name not in parent:
        raise ValueError(f"{name}: missing")
    try:
        sink.check_position(parent[name])
    except ValueError as error:
        raise ValueError(f"{name}: {parent[name]!r:.40}") from error
