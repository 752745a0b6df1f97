"""Columns, which are NumPy arrays by name, to files and to other libraries.

A format of files is a function from columns to bytes in `_WRITERS`, by its suffix.
"""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING, Any

from fastanomaly.errors import UsageError, installation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa


def check_suffix(path: str) -> str:
    """Return the suffix of a file of columns: ``.csv``, ``.json`` or ``.parquet``.

    Raises
    ------
    UsageError
        If the suffix is another one, or the library for the format is not installed.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _WRITERS:
        *others, last = _WRITERS
        raise UsageError(f"{path}: the suffix must be {', '.join(others)} or {last}")
    if suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401, PLC0415 - an extra
        except ModuleNotFoundError:
            raise UsageError(
                f"{path}: Parquet needs pyarrow: {installation('arrow')}"
            ) from None
    return suffix


def file_contents(path: str, columns: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Return columns as the contents of a file; its suffix names the format.

    Raises
    ------
    UsageError
        As for `check_suffix`.
    """
    return _WRITERS[check_suffix(path)](columns)


def data_frame(columns: Mapping[str, npt.NDArray[Any]]) -> pd.DataFrame:
    """Return columns as a pandas data frame; needs pandas."""
    import pandas as pd  # noqa: PLC0415 - optional

    return pd.DataFrame(dict(columns))


def arrow_table(columns: Mapping[str, npt.NDArray[Any]]) -> pa.Table:
    """Return columns as an Arrow table; needs pyarrow."""
    import pyarrow as pa  # noqa: PLC0415 - optional

    return pa.table(dict(columns))


def _csv(columns: Mapping[str, npt.NDArray[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
    return text.getvalue().encode()


def _json(columns: Mapping[str, npt.NDArray[Any]]) -> bytes:
    import orjson  # noqa: PLC0415 - imported late: it slows the start

    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    lines = [orjson.dumps(dict(zip(columns, row, strict=True))) for row in rows]
    return b"[\n" + b",\n".join(lines) + b"\n]\n"


def _parquet(columns: Mapping[str, npt.NDArray[Any]]) -> bytes:
    import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

    sink = io.BytesIO()
    pq.write_table(arrow_table(columns), sink)
    return sink.getvalue()


_WRITERS: dict[str, Callable[[Mapping[str, npt.NDArray[Any]]], bytes]] = {
    ".csv": _csv,
    ".json": _json,
    ".parquet": _parquet,
}
