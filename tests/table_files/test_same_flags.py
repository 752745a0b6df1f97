"""The same events have the same flags and rejected rows, whatever kind of file they are in."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples
from table_files.writing import FORMATS, write_log

from fastanomaly import Tables, detect

GOOD_TIMES = [f"2017-06-13 11:{m:02}:{s:02}" for m in (1, 30) for s in (0, 1, 59)]
TIMES = st.sampled_from(
    [
        *(*GOOD_TIMES, *GOOD_TIMES, "2017-06-13T11:30:01.5Z", "2017-06-13 13:30:01+02:00"),
        *("", "yesterday", "2017-06-13", "1497353581", None, "2017-02-30 11:00:00"),
    ]
)
USERS = st.sampled_from(["1", "2", "3", "007", "7", "ann, b", 'q"uote', "é", "", None, "-3"])
AMOUNTS = st.sampled_from(
    [
        *("1", "2", "3.50", "900", "900.000001", "1e2", "123456789012.123456", "0.10"),
        *("", None, "-1", "$5", "1,5", "nan", "1e12", "0.0000001"),
    ]
)
KINDS = st.sampled_from(
    [
        "purchase",
        "purchase",
        "purchase",
        "befriend",
        "befriend",
        "unfriend",
        "Purchase",
        "",
        None,
    ]
)
PURCHASES = st.fixed_dictionaries({"user": USERS, "amount": AMOUNTS, "timestamp": TIMES})
EVENTS = st.fixed_dictionaries(
    {"kind": KINDS, "user": USERS, "friend": USERS, "amount": AMOUNTS, "timestamp": TIMES}
)


def outcome(folder, stream, name, **options):
    """Return flags and rejected rows of a run, without the name of the log."""
    (folder / "empty").write_bytes(b"")
    batch = folder / stream if options else folder / "empty"
    other = None if options else folder / stream
    summary = detect(
        batch,
        other,
        folder / f"{name}.out",
        rejects=folder / f"{name}.rejects",
        degree=2,
        tracked=3,
        sigmas=1,
        **options,
    )
    rejects = (folder / f"{name}.rejects").read_bytes().splitlines()
    return (
        (folder / f"{name}.out").read_bytes(),
        [line.split(b"\t", 1)[1] for line in rejects],
        (summary.purchases, summary.befriends, summary.unfriends, summary.flags),
    )


@pytest.mark.parametrize("name", FORMATS)
@given(rows=st.one_of(st.lists(PURCHASES, min_size=1), st.lists(EVENTS, min_size=1)))
@settings(max_examples=examples(10))
def test_flags_are_those_of_the_log(name, rows):
    columns = {field: field for field in rows[0]}
    if "json" in name:  # objects without a member do not tell that there is such a column
        rows = [*rows, dict.fromkeys(columns, "a")]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_log(folder / "log", rows)
        FORMATS[name](folder / name, rows)
        expected = outcome(folder, "log", "log")
        assert outcome(folder, name, "table", tables=Tables(columns)) == expected
