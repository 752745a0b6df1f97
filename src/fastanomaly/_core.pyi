from typing import TypeAlias

from _typeshed import ReadableBuffer as Buffer

FlagValues: TypeAlias = tuple[str, int, int, int, int, int, int, int]

def amount_units(text: str) -> int | None: ...
def time_us(text: str) -> int | None: ...
def fail_allocations_after(count: int) -> None: ...

class Engine:
    def __init__(
        self,
        degree: int,
        tracked: int,
        k_numerator: int,
        k_denominator: int,
        whole_balls: bool,
    ) -> None: ...
    def purchase(
        self, user: str | int, time_us: int, amount_units: int, judged: bool
    ) -> FlagValues | None: ...
    def befriend(self, user: str | int, friend: str | int) -> None: ...
    def unfriend(self, user: str | int, friend: str | int) -> None: ...
    def feed(
        self, data: Buffer, *, judged: bool, max_line: int, first_line: int, strict: bool
    ) -> tuple[
        int,
        list[tuple[int, int, int, FlagValues]],
        list[tuple[int, int, int, int]],
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
    def network(self, user: str | int) -> list[str]: ...
    def counts(self) -> tuple[int, int, int, int, int, int, int]: ...
    def memory(self) -> tuple[int, int, int, int, int, int]: ...
    def work(self) -> tuple[int, int, int]: ...
    def check(self) -> None: ...
