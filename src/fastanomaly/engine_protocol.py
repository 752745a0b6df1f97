"""What `Detector` and clusters need of an engine; the compiled ones are in `_core`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from fastanomaly._core import FlagValues
    from fastanomaly.rules.rejects import Rejected


class Saveable(Protocol):
    """What can be written to the file of a state, and read from it."""

    def arrays(self) -> Sequence[tuple[str, str, int]]: ...

    def scalars(self) -> dict[str, int]: ...

    def save(self, fd: int) -> None: ...

    def load(self, scalars: dict[str, int], next_array: Callable[[], bytes]) -> None: ...

    def load_parts(
        self, parts: int, scalars: dict[str, int], next_array: Callable[[], bytes]
    ) -> None: ...


class Engine(Saveable, Protocol):
    """Applies events to a state and judges purchases.

    An engine is used by one thread at a time: a second call raises RuntimeError. User ids
    are str or int, amounts in units of 10^-6, times in microseconds since 1970-01-01 UTC.
    """

    def set_degree(self, degree: int) -> None: ...

    def set_sigmas(self, k_numerator: int, k_denominator: int) -> None: ...

    def set_whole_balls(self, whole_balls: bool) -> None: ...

    def set_threads(self, threads: int) -> None: ...

    def purchase(
        self,
        user: str | int,
        time_us: int,
        amount_units: int,
        judged: bool,
        adjusted: int = 0,
    ) -> FlagValues | None: ...

    def befriend(self, user: str | int, friend: str | int) -> None: ...

    def unfriend(self, user: str | int, friend: str | int) -> None: ...

    def feed(
        self,
        data: Any,
        *,
        judged: bool,
        max_line: int,
        log: str,
        first_line: int,
        max_rejected: int,
    ) -> tuple[
        int,
        list[tuple[int, int, int, FlagValues]],
        list[Rejected],
        BaseException | None,
    ]: ...

    def feed_columns(
        self,
        kinds: Any,
        times_us: Any,
        users: Any,
        friends: Any,
        amounts_units: Any,
        *,
        judged: bool,
    ) -> tuple[bytes, int, Exception | None]: ...

    def feed_frame(
        self,
        source: Any,
        columns: tuple[int, ...],
        kind: int,
        *,
        judged: bool,
        log: str,
        first_row: int,
        max_rejected: int,
        keep: tuple[int, ...] = (),
    ) -> tuple[
        int,
        list[tuple[int, bytes, FlagValues, tuple[bytes | None, ...]]],
        list[Rejected],
        BaseException | None,
    ]: ...

    def latest(
        self, user: str | int, degree: int, tracked: int
    ) -> tuple[list[int], list[tuple[tuple[str, ...], int, int]]]: ...

    def latest_amounts(self, user: str | int, degree: int, tracked: int) -> list[int]: ...

    def network(self, user: str | int) -> list[str]: ...

    def sample_users(self, most: int) -> list[str]: ...

    def set_grid(
        self, degrees: list[int], tracked: list[int], sigmas: list[tuple[int, int]]
    ) -> None: ...

    def compared(self) -> list[int]: ...

    def counts(self) -> tuple[int, int, int, int, int, int, int, int, int]: ...

    def work(self) -> tuple[int, int, int, int]: ...

    def memory(self) -> tuple[int, int, int, int, int, int, int]: ...

    def time_judging(self) -> None: ...

    def latencies(self) -> tuple[list[int], int]: ...

    def sharing(self) -> tuple[int, int, int, int, list[int], int]: ...

    def newest_us(self) -> int | None: ...

    def check(self) -> None: ...
