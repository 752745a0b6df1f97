from collections.abc import Callable
from typing import Any, Final, Self, TypeAlias, final

from _typeshed import ReadableBuffer as Buffer

from fastanomaly.rules.rejects import Rejected

# user, time_us, amount_units, n, total, squares, mean_cents, sd_cents
FlagValues: TypeAlias = tuple[str, int, int, int, int, int, int, int]

def amount_units(text: str, rounded: bool = False) -> int | None: ...
def time_us(text: str) -> int | None: ...
def time_us_in_unit(text: str, is_number: bool, time_unit: int) -> tuple[int, bool] | None: ...
def fail_allocations_after(count: int) -> None: ...
def share_all_batches(wanted: bool) -> None: ...

# An event: kind, user, and either time_us and amount_units, or friend.
def scan(
    line: bytes, round_amounts: bool = False, time_unit: int = 0
) -> tuple[int | str, ...] | None: ...
def scan_text(
    text: bytes, max_line: int, round_amounts: bool = False, time_unit: int = 0
) -> list[tuple[int, int, int, tuple[int | str, ...]]]: ...
def decode(
    line: bytes, round_amounts: bool = False, time_unit: int = 0
) -> tuple[int | str, ...] | int: ...
def rejected_at_once(line: bytes, round_amounts: bool = False, time_unit: int = 0) -> int: ...
def syntax_fault(line: bytes) -> str: ...
def rows_of_rejects(
    rejected: list[Any],
    describe: Callable[[bytes, str], str],
    value_detail: Callable[[str, str], str],
) -> bytes: ...
def check_columns(
    kinds: Buffer,
    times_us: Buffer,
    users: Buffer | list[str | int],
    friends: Buffer | list[str | int],
    amounts_units: Buffer,
) -> None: ...
def arrow_stream(
    rows: int, columns: tuple[tuple[bytes, bytes, int, tuple[bytes | None, ...]], ...]
) -> object: ...
def end_of_lines(data: Buffer, start: int, count: int) -> int: ...

@final
class FrameSource:
    def __new__(cls, *capsules: object) -> Self: ...
    @property
    def names(self) -> list[str]: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def kept_format(self, column: int) -> bytes: ...

@final
class Engine:
    def __new__(
        cls,
        degree: int,
        tracked: int,
        k_numerator: int,
        k_denominator: int,
        whole_balls: bool,
        round_amounts: bool = False,
        time_unit: int = 0,
    ) -> Self: ...
    def set_degree(self, degree: int) -> None: ...
    def set_sigmas(self, k_numerator: int, k_denominator: int) -> None: ...
    def set_whole_balls(self, whole_balls: bool) -> None: ...
    def set_grid(
        self, degrees: list[int], tracked: list[int], sigmas: list[tuple[int, int]]
    ) -> None: ...
    def compared(self) -> list[int]: ...
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
        data: Buffer,
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
        kinds: Buffer,
        times_us: Buffer,
        users: Buffer | list[str | int],
        friends: Buffer | list[str | int],
        amounts_units: Buffer,
        *,
        judged: bool,
    ) -> tuple[bytes, int, Exception | None]: ...
    def feed_frame(
        self,
        source: FrameSource,
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
    def arrays(self) -> list[tuple[str, str, int]]: ...
    def scalars(self) -> dict[str, int]: ...
    def save(self, fd: int) -> None: ...
    def load(self, scalars: dict[str, int], next_array: Callable[[], bytes]) -> None: ...
    def load_parts(
        self, parts: int, scalars: dict[str, int], next_array: Callable[[], bytes]
    ) -> None: ...
    def network(self, user: str | int) -> list[str]: ...
    def sample_users(self, most: int) -> list[str]: ...
    def latest(
        self, user: str | int, degree: int, tracked: int
    ) -> tuple[list[int], list[tuple[tuple[str, ...], int, int]]]: ...
    def latest_amounts(self, user: str | int, degree: int, tracked: int) -> list[int]: ...
    def counts(self) -> tuple[int, int, int, int, int, int, int, int, int]: ...
    def work(self) -> tuple[int, int, int, int]: ...
    def time_judging(self) -> None: ...
    def latencies(self) -> tuple[list[int], int]: ...
    def sharing(self) -> tuple[int, int, int, int, list[int], int]: ...
    def newest_us(self) -> int | None: ...
    def memory(self) -> tuple[int, int, int, int, int, int, int]: ...
    def check(self) -> None: ...

@final
class LineColumns:
    rejected: Final[list[Rejected]]
    def __new__(
        cls,
        data: Buffer,
        *,
        max_line: int,
        log: str,
        first_line: int,
        max_rejected: int,
        round_amounts: bool = False,
        time_unit: int = 0,
    ) -> Self: ...
    @property
    def lines(self) -> int: ...
    def read(
        self, most: int
    ) -> (
        tuple[bool, tuple[bytes, bytes, bytes, bytes, bytes], tuple[int, int], bytes] | None
    ): ...

@final
class FrameLines:
    def line(self, row: int) -> bytes: ...

@final
class FrameColumns:
    rejected: Final[list[Rejected]]
    def __new__(
        cls,
        source: FrameSource,
        columns: tuple[int, ...],
        kind: int,
        *,
        log: str,
        first_row: int,
        max_rejected: int,
        keep: tuple[int, ...] = (),
        round_amounts: bool = False,
        time_unit: int = 0,
    ) -> Self: ...
    @property
    def rows(self) -> int: ...
    def read(
        self, most: int
    ) -> (
        tuple[
            bool,
            tuple[bytes, bytes, bytes, bytes, bytes],
            tuple[int, int],
            bytes,
            int,
            FrameLines,
            list[tuple[bytes | None, ...]],
        ]
        | None
    ): ...

@final
class ShardEngine:
    def __new__(
        cls,
        number: int,
        shards: int,
        degree: int,
        tracked: int,
        k_numerator: int,
        k_denominator: int,
    ) -> Self: ...
    def feed(
        self,
        seq: int,
        kinds: Buffer,
        times_us: Buffer,
        users: Buffer | list[str | int],
        friends: Buffer | list[str | int],
        amounts_units: Buffer,
        *,
        judged: bool,
        adjusted: tuple[int, int] = (0, 0),
    ) -> tuple[bytes, bytes | None, list[bytes | None]]: ...
    def answer(self, asks: bytes) -> bytes: ...
    def finish(
        self, open: bytes, asks: list[bytes | None], answers: list[bytes | None]
    ) -> tuple[bytes, bytes | None, list[bytes | None]]: ...
    def release(self, seq: int) -> None: ...
    def arrays(self) -> list[tuple[str, str, int]]: ...
    def scalars(self) -> dict[str, int]: ...
    def save(self, fd: int) -> None: ...
    def load(self, scalars: dict[str, int], next_array: Callable[[], bytes]) -> None: ...
    def load_parts(
        self, parts: int, scalars: dict[str, int], next_array: Callable[[], bytes]
    ) -> None: ...
    def owner(self, uid: int) -> int: ...
    @property
    def seq(self) -> int: ...
    def counts(self) -> tuple[int, int, int, int, int, int, int, int, int]: ...
    def network(self, user: str | int) -> list[str]: ...
    def sample_users(self, most: int) -> list[str]: ...
    def latest(
        self, user: str | int, degree: int, tracked: int
    ) -> list[tuple[int, int, int, int]]: ...
    def paths(
        self, user: str | int, degree: int, uids: list[int]
    ) -> tuple[list[int], list[tuple[str, ...]]]: ...
    def newest_us(self) -> int | None: ...
    def memory(self) -> tuple[int, int, int, int, int, int, int]: ...
    def evicted(self) -> tuple[int, int]: ...
    def set_degree(self, degree: int) -> None: ...
    def work(self) -> tuple[tuple[int, int, int, int], int, int, int, int, int]: ...
    def check(self) -> None: ...

# Added by Cython:
__test__: dict[str, str]
__reduce_cython__: Callable[..., Any]
__setstate_cython__: Callable[..., Any]
