"""What a checkpoint says of a run is believed only if a run can have said it."""

import contextlib
import copy

import hypothesis.strategies as st
import pytest
from hypothesis import given

from fastanomaly.runs.run_state import check_note

LOG = {"line": 3, "done": False, "place": [120, [64, 7], 120, 99]}
NOTE = {
    "job": {"batch": "/batch", "rejects": "/rejects"},
    "done": False,
    "logs": [{"line": 9, "done": True, "place": None}, LOG],
    "out_bytes": 10,
    "rejects_bytes": 20,
    "rejected": {"not_json": 2},
    "first_rejected": "a, line 2",
    "seconds": 0.5,
}


def members(value, path=()):
    """The path to everything inside."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, inner in items:
        yield (*path, name)
        if isinstance(inner, (dict, list)):
            yield from members(inner, (*path, name))


# Any text will do for the names and the words in it.
STRUCTURE = [path for path in members(NOTE) if path[0] != "job" or path == ("job",)]


def changed(path, value):
    note = copy.deepcopy(NOTE)
    parent = note
    for name in path[:-1]:
        parent = parent[name]
    parent[path[-1]] = value
    return note


def test_what_a_run_says_is_returned():
    assert check_note(copy.deepcopy(NOTE)) == NOTE


@pytest.mark.parametrize("path", STRUCTURE, ids=str)
@pytest.mark.parametrize("value", [True, "1", {}, [], -1, 2**70, float("nan")], ids=str)
def test_one_thing_changed(path, value):
    if (path, value) in [
        (("done",), True),
        (("logs", 0, "done"), True),
        (("logs", 1, "done"), True),
        (("rejected",), {}),
        (("job",), {}),
        (("first_rejected",), "1"),
    ]:
        check_note(changed(path, value))
    else:
        with pytest.raises(ValueError, match=r"."):
            check_note(changed(path, value))


@pytest.mark.parametrize("name", list(NOTE))
def test_a_member_missing(name):
    note = copy.deepcopy(NOTE)
    del note[name]
    with pytest.raises(ValueError, match=name):
        check_note(note)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(path=st.sampled_from(STRUCTURE), value=json)
def test_anything_else_is_refused_or_sound(path, value):
    for note in (changed(path, value), value):
        with contextlib.suppress(ValueError):
            assert check_note(note) == note
