"""How much each test does: the profiles that `--profile` chooses from.

A profile is a Hypothesis profile of the same name and the counts below. Tests read the
current one while they are collected.
"""

from dataclasses import dataclass
from math import ceil

from hypothesis import settings


@dataclass(frozen=True)
class Profile:
    """The counts of a profile."""

    random_logs: int  # logs that the engine and the reference both judge
    thread_counts: int  # how many of 1, 2, 3 and 8 threads each of them is judged with
    kills: int  # kills of each long crash test
    kills_of_libraries: int  # the same, where a run imports a library that takes long
    memory_limits: int  # limits of memory that a run is tried with
    layouts: int  # of four combinations of screens and colours
    cluster_logs: int  # logs of each kind that a cluster and one process both judge
    ray_logs: int  # the same, with shards on Ray, where a process starts for each shard
    ray_kills: int  # kills of their processes
    scale: float = 1  # factor on the number of Hypothesis examples


PROFILES = {
    "dev": Profile(
        random_logs=1000,
        thread_counts=2,
        kills=6,
        kills_of_libraries=3,
        memory_limits=8,
        layouts=2,
        cluster_logs=100,
        ray_logs=5,
        ray_kills=3,
        scale=0.5,
    ),
    "ci": Profile(
        random_logs=2000,
        thread_counts=2,
        kills=10,
        kills_of_libraries=4,
        memory_limits=12,
        layouts=2,
        cluster_logs=200,
        ray_logs=3,
        ray_kills=3,
    ),
    "nightly": Profile(
        random_logs=10_000,
        thread_counts=4,
        kills=600,
        kills_of_libraries=600,
        memory_limits=400,
        layouts=4,
        cluster_logs=5000,
        ray_logs=60,
        ray_kills=60,
        scale=10,
    ),
}
DEFAULT = "dev"


def register() -> None:
    """Register the Hypothesis profiles."""
    settings.register_profile("dev", deadline=None)
    # The same examples in every run: what fails in CI fails again at a desk.
    settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
    settings.register_profile("nightly", deadline=None, max_examples=1000, print_blob=True)


def current() -> Profile:
    """Return the profile that was chosen."""
    return PROFILES[settings.get_current_profile_name()]


def examples(count: int) -> int:
    """Return the `max_examples` of a test that takes `count` of them in ci."""
    return ceil(count * current().scale)
