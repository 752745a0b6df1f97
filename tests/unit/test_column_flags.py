"""`ColumnFlags`: a named tuple of arrays whose length is the number of flags."""

import copy
import pickle

import numpy as np
import pytest

from fastanomaly import ColumnFlags

NAMES = ("rows", "n", "mean_cents", "sd_cents")


@pytest.fixture(params=[0, 1, 3, 4, 7])
def arrays(request):
    """Return four arrays of one length."""
    return [np.arange(request.param) + number for number in range(4)]


def equal(flags, arrays):
    """Return whether these are flags of these arrays."""
    return type(flags) is ColumnFlags and all(map(np.array_equal, tuple(flags), arrays))


def test_the_length_is_the_number_of_flags(arrays):
    flags = ColumnFlags(*arrays)
    assert len(flags) == len(arrays[0])
    assert bool(flags) == (len(arrays[0]) > 0)


def test_it_is_unpacked_and_indexed_as_a_tuple_of_four(arrays):
    flags = ColumnFlags(*arrays)
    rows, n, mean_cents, sd_cents = flags
    for found in (
        (rows, n, mean_cents, sd_cents),
        tuple(flags),
        list(flags),
        [*flags],
        [flags[index] for index in range(4)],
        [flags[index] for index in range(-4, 0)],
        flags[:],
        [getattr(flags, name) for name in NAMES],
        list(reversed(flags))[::-1],
        flags + (),  # noqa: RUF005 - of tuples
        np.array(flags),
        np.vstack(flags),
    ):
        assert len(found) == 4
        assert all(map(np.array_equal, found, arrays))
    first, *others = flags
    assert first is flags.rows
    assert len(others) == 3
    with pytest.raises(IndexError):
        _ = flags[4]  # type: ignore[misc]
    match flags:
        case ColumnFlags(rows, n, _, _):
            assert rows is arrays[0]
            assert n is arrays[1]
        case _:
            pytest.fail("no match")
    assert isinstance(flags, tuple)


def test_it_has_the_methods_of_named_tuples(arrays):
    flags = ColumnFlags(*arrays)
    assert flags._fields == NAMES
    assert list(flags._asdict()) == list(NAMES)
    assert all(map(np.array_equal, flags._asdict().values(), arrays))
    other = np.array([5])
    assert equal(flags._replace(n=other), [arrays[0], other, *arrays[2:]])
    assert equal(ColumnFlags._make(iter(arrays)), arrays)
    with pytest.raises(TypeError):
        ColumnFlags._make(arrays[:3])
    assert repr(flags).startswith(f"ColumnFlags(rows={arrays[0]!r}, n=")
    assert ColumnFlags(*arrays) == flags == tuple(arrays)
    assert not hasattr(flags, "__dict__")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_copies_are_equal(arrays, protocol):
    flags = ColumnFlags(*arrays)
    assert equal(pickle.loads(pickle.dumps(flags, protocol)), arrays)
    assert equal(copy.copy(flags), arrays)
    assert equal(copy.deepcopy(flags), arrays)
