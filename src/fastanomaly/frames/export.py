"""Columns as the engine hands them to other libraries; see `_core.arrow_stream`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

ExportedColumn: TypeAlias = tuple[bytes, bytes, int, tuple[bytes | None, ...]]

_NO_NULLS = -1
_OFFSETS_MOST = 2**31 - 1
_VIEWS = {b"vu": b"u", b"vz": b"z"}


def numbers(name: str, form: str, values: Iterable[int | float]) -> ExportedColumn:
    """Return a column without nulls of int64 or double, such as times."""
    import numpy as np  # noqa: PLC0415 - imported late: it slows the start

    array = np.array(list(values), "<f8" if form == "g" else "<i8")
    return _ended(name), _ended(form), _NO_NULLS, (None, array.tobytes())


def decimals(name: str, digits: int, scale: int, values: Iterable[int]) -> ExportedColumn:
    """Return a column without nulls of decimals, from int64 in units of 10^-scale."""
    import numpy as np  # noqa: PLC0415

    low = np.array(list(values), "<i8")
    words = np.stack([low, low >> 63], axis=1)
    form = f"d:{digits},{scale}"
    return _ended(name), _ended(form), _NO_NULLS, (None, words.tobytes())


def texts(name: str, values: Iterable[str]) -> ExportedColumn:
    """Return a column without nulls of texts."""
    form, buffers = _joined(b"u", [value.encode() for value in values])
    return _ended(name), _ended(form), _NO_NULLS, (None, *buffers)


def kept(name: str, form: bytes, values: Sequence[bytes | None]) -> ExportedColumn:
    """Return a column of values of another table, from their bytes.

    Parameters
    ----------
    name : str
    form : bytes
        The Arrow format, ending in a NUL; not a nested one.
    values : sequence of bytes or None
        All of one length if the type has one; a bit is a byte of 0 or 1.
    """
    import numpy as np  # noqa: PLC0415

    form = form.rstrip(b"\0")
    if form == b"n":
        return _ended(name), _ended(form), len(values), ()
    present = np.array([value is not None for value in values], bool)
    nulls = len(values) - int(present.sum())
    valid = _bits(np, present)
    if form in {b"u", b"U", b"z", b"Z", b"vu", b"vz"}:
        form, buffers = _joined(_VIEWS.get(form, form), [value or b"" for value in values])
        return _ended(name), _ended(form), nulls, (valid, *buffers)
    width = max((len(value) for value in values if value is not None), default=0)
    joined = b"".join(bytes(width) if value is None else value for value in values)
    if form == b"b":
        joined = _bits(np, np.frombuffer(joined or bytes(len(values)), np.uint8))
    return _ended(name), _ended(form), nulls, (valid, joined)


def _joined(form: bytes, values: list[bytes]) -> tuple[bytes, tuple[bytes, bytes]]:
    """Return the format of texts or bytes, with offsets that are wide enough, and buffers."""
    import numpy as np  # noqa: PLC0415

    ends = np.cumsum([0, *map(len, values)], dtype=np.int64)
    if ends[-1] > _OFFSETS_MOST:
        form = form.upper()
    offsets = ends.astype("<i8" if form.isupper() else "<i4")
    return form, (offsets.tobytes(), b"".join(values))


def _bits(np: Any, flags: Any) -> bytes:
    bits: bytes = np.packbits(flags, bitorder="little").tobytes()
    return bits


def _ended(text: str | bytes) -> bytes:
    """Return a text as C has it."""
    return (text.encode() if isinstance(text, str) else text) + b"\0"
