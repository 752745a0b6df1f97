"""pyarrow, which reads tables: an extra, imported when the first table is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastanomaly.errors import UsageError, installation

if TYPE_CHECKING:
    from types import ModuleType


def arrow(path: str, module: str = "pyarrow") -> Any:
    """Return pyarrow or one of its modules.

    Raises
    ------
    UsageError
        If it is not installed; the message names the table.
    """
    from importlib import import_module  # noqa: PLC0415 - needed for tables only

    try:
        found: ModuleType = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "pyarrow":
            raise
        why = f"{path}: tables need pyarrow: {installation('tables')}"
        raise UsageError(why) from error
    return found
