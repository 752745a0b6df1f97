"""The run state in a checkpoint is refused unless a run can have written it."""

import contextlib
import copy
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from fastanomaly.runs.run_state import check_run_state

LOG = {"line": 3, "done": False, "position": [120, [64, 7], 120, 99]}
STATE = {
    "job": {"batch": "/batch", "rejects": "/rejects"},
    "done": False,
    "sources": [{"line": 9, "done": True, "position": None}, LOG],
    "flags_position": 10,
    "rejects_position": 20,
    "rejected": {"not_json": 2},
    "first_rejected": "a, line 2",
    "seconds": 0.5,
}


def members(value, path=()):
    """Yield the path to each value, at any depth."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, inner in items:
        yield (*path, name)
        if isinstance(inner, (dict, list)):
            yield from members(inner, (*path, name))


# The paths of the job are left out: any text is valid there.
STRUCTURE = [path for path in members(STATE) if path[0] != "job" or path == ("job",)]


def changed(path, value):
    """Return a copy of the state with one value replaced."""
    state = copy.deepcopy(STATE)
    parent: Any = state
    for name in path[:-1]:
        parent = parent[name]
    parent[path[-1]] = value
    return state


def test_a_valid_run_state_is_accepted():
    assert check_run_state(copy.deepcopy(STATE))._asdict() == STATE


@pytest.mark.parametrize("path", STRUCTURE, ids=str)
@pytest.mark.parametrize("value", [True, "1", {}, [], -1, 2**70, float("nan")], ids=str)
def test_a_wrong_value_is_refused(path, value):
    if (path, value) in [
        (("done",), True),
        (("sources", 0, "done"), True),
        (("sources", 1, "done"), True),
        (("rejected",), {}),
        (("job",), {}),
        (("first_rejected",), "1"),
    ]:
        check_run_state(changed(path, value))
    else:
        with pytest.raises(ValueError, match=r"."):
            check_run_state(changed(path, value))


@pytest.mark.parametrize("name", list(STATE))
def test_a_missing_member_is_refused(name):
    state = copy.deepcopy(STATE)
    del state[name]
    with pytest.raises(ValueError, match=name):
        check_run_state(state)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(path=st.sampled_from(STRUCTURE), value=json)
def test_any_value_is_refused_or_accepted_unchanged(path, value):
    for state in (changed(path, value), value):
        with contextlib.suppress(ValueError):
            assert check_run_state(state)._asdict() == state
