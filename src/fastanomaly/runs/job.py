"""What a run is asked to do: its options, checked before anything is opened."""

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from fastanomaly.convert import Number, Reading, exact_sigmas
from fastanomaly.detector import Method
from fastanomaly.errors import UsageError
from fastanomaly.names import STANDARD
from fastanomaly.rules.parameters import (
    check_max_line,
    check_shards,
    check_threads,
    given_parameters,
)
from fastanomaly.runs.inputs import (
    Inputs,
    Path,
    is_same_source,
    json_text,
    source_identity,
)
from fastanomaly.sinks.base import flag_sink, reject_sink
from fastanomaly.sinks.paths import check_outputs, is_file_name


def _named(options: dict[str, Any]) -> dict[str, Any]:
    """Return options of reading by their names in the identity of a job."""
    return {name.replace("_", "-"): value for name, value in options.items()}


# An identity has only the options that are set: earlier versions had none.
_STRICT = {**_named(Reading()._asdict()), "tables": None}


class Job(NamedTuple):
    """A run's inputs, outputs and rules; see the parameters of `detect`.

    Attributes
    ----------
    inputs : Inputs
        What is read.
    given : dict
        D and T, if they do not come from the batch log.
    identity : dict
        What a checkpoint must have been made with to be resumed, for JSON.
    """

    inputs: Inputs
    out: str
    rejects: str | None
    given: dict[str, int]
    sigmas: Number
    reading: Reading
    method: Method
    threads: int | str
    cluster: str | None
    shards: int
    strict: bool
    max_line: int
    follow: bool
    until_idle: float | None
    identity: dict[str, Any]

    def differences(self, saved: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
        """Yield name, saved value and value of what another job has otherwise.

        `saved` is the identity of the other job, with D and T.
        """
        saved = _STRICT | saved
        for name, value in (_STRICT | self.identity | self.given).items():
            stored = saved.get(name)
            if name in ("batch", "stream"):
                same = is_same_source(self.inputs, name == "stream", stored)
            else:
                same = stored == value
            if not same:
                yield name, stored, value

    @property
    def outputs(self) -> list[str]:
        """The output and, if there is one, the file of rejects."""
        return [self.out] if self.rejects is None else [self.out, self.rejects]


def check_job(
    inputs: Inputs,
    out: Path,
    rejects: Path | None,
    *,
    degree: int | str | None,
    tracked: int | str | None,
    max_line: int,
    sigmas: Number,
    reading: Reading,
    threads: int | str,
    cluster: str | None,
    shards: int | str,
    **options: Any,
) -> Job:
    """Return the job, with its paths and parameters checked.

    Raises
    ------
    UsageError
        If an option is wrong, or an output would overwrite an input or another output.
    """
    out = os.fspath(out)
    max_line = check_max_line(max_line)
    check_threads(threads)
    if cluster is not None and options["method"] != "auto":
        raise UsageError(f"method: {options['method']!r} is not possible on a cluster")
    if inputs.batch == inputs.stream == STANDARD and not inputs.split:
        raise UsageError("-: standard input cannot be both logs")
    rejects = None if rejects is None else os.fspath(rejects)
    check_outputs(inputs.files(), [out] if rejects is None else [out, rejects])
    sources = [source_identity(inputs, index) for index in range(2)]
    target = flag_sink(out).identity(out)
    if not is_file_name(out) and target in sources:
        raise UsageError(f"{target}: output would overwrite an input")
    given = given_parameters(degree, tracked)
    identity = {
        "batch": sources[0],
        "stream": sources[1],
        "out": json_text(target),
        "rejects": json_text(rejects and reject_sink(rejects).identity(rejects)),
        "k": "/".join(map(str, exact_sigmas(sigmas))),
        "max-line": max_line,
        **_named(reading.options()),
    }
    if (stored := inputs.options()) is not None:
        identity["tables"] = stored
    return Job(
        inputs,
        out,
        rejects,
        given,
        sigmas=sigmas,
        reading=reading,
        threads=threads,
        cluster=cluster,
        shards=check_shards(shards),
        max_line=max_line,
        identity=identity,
        **options,
    )
