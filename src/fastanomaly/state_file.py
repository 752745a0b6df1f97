"""The file of a detector's state: plain arrays with checksums behind a header of JSON.

docs/checkpoints.md describes the layout. `fastanomaly.sinks.replacing` writes the files.
"""

from __future__ import annotations

import os
import struct
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from fastanomaly._version import __version__
from fastanomaly.errors import CheckpointError, ParameterError, UsageError
from fastanomaly.names import check_count

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from fastanomaly.engine_protocol import Saveable

MAGIC = b"fastanomaly ckpt"
FORMAT = 1

_START = struct.Struct("<16sIIQ")  # magic, format, the header's CRC-32 and length
_LARGEST_HEADER = 1 << 26
_ITEM_BYTES = {"int64": 8, "int32": 4, "bytes": 1, "purchase": 24}
_NEWEST = "newest_us"  # only in files of shards
_PURCHASES = ("purchase_counts", "purchases")

# What format 1 calls the members of a run's state, by their names in the program.
_RUN_NAMES = {
    "sources": "logs",
    "flags_position": "out_bytes",
    "rejects_position": "rejects_bytes",
}
_SOURCE_NAMES = {"position": "place"}


def write_state(fd: int, engine: Saveable, header: dict[str, Any]) -> None:
    """Write an engine's state.

    Parameters
    ----------
    fd : int
        File descriptor to write to.
    engine : Engine
        It does not change.
    header : dict
        Further members of the header, for JSON; ``run`` is the state of a run.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    header = with_file_names(header)
    arrays = []
    offset = 0
    for name, kind, items in engine.arrays():
        size = items * _ITEM_BYTES[kind]
        arrays.append({"name": name, "kind": kind, "items": items, "offset": offset})
        offset += _padded(size) + 8
    content = {
        "fastanomaly": __version__,
        **header,
        "state": engine.scalars(),
        "arrays": arrays,
        "arrays_bytes": offset,
    }
    text = orjson.dumps(content)
    text = text.ljust(_padded(len(text)))
    start = _START.pack(MAGIC, FORMAT, zlib.crc32(text), len(text)) + text
    write_all(fd, start)
    engine.save(fd)


def write_all(fd: int, data: bytes) -> None:
    """Write all bytes to a file descriptor; raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def read_header(name: str, file: BinaryIO) -> dict[str, Any]:
    """Read what precedes the arrays.

    Raises
    ------
    CheckpointError
        If it is not the beginning of a whole file of this format.
    """
    start = file.read(_START.size)
    if len(start) < _START.size or not start.startswith(MAGIC):
        raise CheckpointError(f"{name}: not a checkpoint of fastanomaly")
    _, version, crc, length = _START.unpack(start)
    if version != FORMAT:
        raise CheckpointError(
            f"{name}: written by {'a newer' if version > FORMAT else 'another'} fastanomaly, "
            f"in format {version}; this version reads format {FORMAT}"
        )
    text = file.read(min(length, _LARGEST_HEADER))
    if len(text) < length:
        raise CheckpointError(f"{name}: truncated in the header")
    if zlib.crc32(text) != crc:
        raise CheckpointError(f"{name}: altered: wrong checksum of the header")
    try:
        header: dict[str, Any] = orjson.loads(text)
        whole = file.tell() + _count(header["arrays_bytes"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{name}: altered: not a checkpoint's header") from error
    size = file.seek(0, os.SEEK_END)
    file.seek(_START.size + length)
    if size != whole:
        raise CheckpointError(
            f"{name}: {'truncated' if size < whole else 'altered'}: "
            f"{size} bytes instead of {whole}"
        )
    return without_file_names(header)


def read_state(
    name: str, file: BinaryIO, make: Callable[[dict[str, Any]], Saveable]
) -> dict[str, Any]:
    """Read a state into a new engine.

    Parameters
    ----------
    name : str
        The file's name in errors.
    file : binary file
        Open for reading, at its beginning.
    make : callable
        Makes an empty engine for a header.

    Returns
    -------
    dict
        The header.

    Raises
    ------
    CheckpointError
        If the file does not hold such a state.
    OSError
        If it cannot be read.
    """
    header = read_header(name, file)
    with _impossible(lambda: name):
        engine = make(header)
        rest = iter(_arrays(name, header, [array[:2] for array in engine.arrays()]))
        engine.load(header["state"], lambda: _read_array(name, file, next(rest)))
    return header


def read_parts(
    engine: Saveable,
    names: Sequence[str],
    open_file: Callable[[str], BinaryIO],
    check: Callable[[int, dict[str, Any]], object],
    **scalars: int,
) -> None:
    """Read a state whose purchases are spread over files into an empty engine.

    Parameters
    ----------
    engine : Saveable
        It takes those purchases that it keeps.
    names : sequence of str
        The files, by number of the shard that wrote them.
    open_file : callable
        Opens a file.
    check : callable
        Called with each number and header; raises CheckpointError.
    **scalars
        Values of the state that differ from those in the files.

    Raises
    ------
    CheckpointError, OSError
        As `read_state`; the engine must not be used then.
    """
    parts = _Parts(engine, names, open_file, check)
    arrays = parts.arrays()
    try:
        with _impossible(lambda: parts.name):
            state = {**parts.first_header()["state"], **scalars}
            engine.load_parts(len(names), state, lambda: next(arrays))
    finally:
        arrays.close()


class _Parts:
    """Reads files one after another: of the first all arrays, of others the purchases."""

    def __init__(
        self,
        engine: Saveable,
        names: Sequence[str],
        open_file: Callable[[str], BinaryIO],
        check: Callable[[int, dict[str, Any]], object],
    ) -> None:
        self.name = names[0]  # of the file that is being read
        self._names = names
        self._open = open_file
        self._check = check
        self._kinds = [array[:2] for array in engine.arrays() if array[0] != _NEWEST]

    def first_header(self) -> dict[str, Any]:
        with self._open(self.name) as file:
            return read_header(self.name, file)

    def arrays(self) -> Generator[bytes, None, None]:
        first: dict[str, Any] = {}
        for number, name in enumerate(self._names):
            self.name = name
            with self._open(name) as file:
                header = read_header(name, file)
                self._check(number, header)
                first = first or header
                kinds = [*self._kinds]
                if len(header["arrays"]) > len(kinds):
                    kinds.append((_NEWEST, "int64"))
                arrays = _arrays(name, header, kinds)
                if _common(header) != _common(first):
                    raise CheckpointError(f"{name}: not of the same state as {self._names[0]}")
                for array in arrays[: len(self._kinds)]:
                    if number == 0 or array["name"] in _PURCHASES:
                        yield _read_array(name, file, array)
                    else:
                        file.seek(_array_bytes(array), os.SEEK_CUR)


def _common(header: dict[str, Any]) -> tuple[Any, ...]:
    """Return what is the same in the headers of all shards."""
    items = [array["items"] for array in header["arrays"] if array["name"] != "purchases"]
    return header["state"], items


@contextmanager
def _impossible(name: Callable[[], str]) -> Iterator[None]:
    """Raise CheckpointError instead of what an altered file makes engines raise."""
    try:
        yield
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, UsageError) and not isinstance(error, ParameterError):
            raise
        what = f"{type(error).__name__}: {error}"
        raise CheckpointError(f"{name()}: altered: impossible state: {what}") from error


def _arrays(
    name: str, header: dict[str, Any], kinds: Sequence[tuple[str, str]]
) -> list[dict[str, Any]]:
    """Return the list of arrays, which must have these names and kinds."""
    arrays: list[dict[str, Any]] = header["arrays"]
    if [(array["name"], array["kind"]) for array in arrays] != kinds:
        raise CheckpointError(f"{name}: altered: other arrays than those of its format")
    _check_sizes(arrays, header["arrays_bytes"])
    return arrays


def _array_bytes(array: dict[str, Any]) -> int:
    """Return how many bytes an array has in the file, with its checksum."""
    return _padded(_count(array["items"]) * _ITEM_BYTES[array["kind"]]) + 8


def _check_sizes(arrays: list[dict[str, Any]], whole: int) -> None:
    """Check that arrays follow each other and have a whole size; raises ValueError.

    The file has that size: so an array is not larger than the file either.
    """
    offset = 0
    for array in arrays:
        if array["offset"] != offset:
            raise ValueError(f"offset of {array['name']}: {array['offset']!r:.40}")
        offset += _array_bytes(array)
    if offset != whole:
        raise ValueError(f"arrays of {offset} bytes instead of {whole}")


def _count(value: object) -> int:
    """Return a value, which must be a number of items or bytes."""
    check_count("size", value)
    assert isinstance(value, int)
    return value


def _read_array(name: str, file: BinaryIO, array: dict[str, Any]) -> bytes:
    """Read the next array."""
    size = array["items"] * _ITEM_BYTES[array["kind"]]
    data = file.read(size)
    padding = file.read(_padded(size) - size)
    crc = file.read(8)
    if len(data) < size or len(crc) < 8:
        raise CheckpointError(f"{name}: truncated in {array['name']}")
    if zlib.crc32(data) != int.from_bytes(crc, "little") or any(padding):
        raise CheckpointError(f"{name}: altered: wrong checksum of {array['name']}")
    return data


def _padded(size: int) -> int:
    """Round up to a multiple of eight."""
    return (size + 7) // 8 * 8


def name_in_file(name: str) -> str:
    """Return what a member of a run's state, or of a log's in it, is called in files."""
    return (_RUN_NAMES | _SOURCE_NAMES).get(name, name)


def with_file_names(members: dict[str, Any]) -> dict[str, Any]:
    """Return members of a header in which those of ``run`` have their names in files."""
    if "run" not in members:
        return members
    return {**members, "run": _run_renamed(members["run"], _RUN_NAMES, _SOURCE_NAMES)}


def without_file_names(members: dict[str, Any]) -> dict[str, Any]:
    """Undo `with_file_names`."""
    if not isinstance(members.get("run"), dict):
        return members
    names = map(_inverse, (_RUN_NAMES, _SOURCE_NAMES))
    return {**members, "run": _run_renamed(members["run"], *names)}


def _run_renamed(
    run: dict[str, Any], names: dict[str, str], source_names: dict[str, str]
) -> dict[str, Any]:
    """Return the state of a run with its members renamed."""
    run = _renamed(run, names)
    for sources in {"sources", "logs"} & set(names.values()):
        if isinstance(run.get(sources), list):
            run[sources] = [_renamed(source, source_names) for source in run[sources]]
    return run


def _renamed(members: Any, names: dict[str, str]) -> Any:
    """Return members with other names; one that has such a name already is dropped."""
    if not isinstance(members, dict):
        return members
    new_names = set(names.values())
    return {
        names.get(name, name): value
        for name, value in members.items()
        if name in names or name not in new_names
    }


def _inverse(names: dict[str, str]) -> dict[str, str]:
    return {new: old for old, new in names.items()}
