"""Files at URLs, through fsspec: an extra, imported only for a URL."""

from __future__ import annotations

from typing import Any

from fastanomaly.errors import LogOpenError, UsageError, installation


def file_system(path: str) -> tuple[Any, str]:
    """Return what reads a URL, and the file's name there.

    Raises
    ------
    UsageError
        If fsspec or its driver for the scheme is not installed.
    """
    try:
        import fsspec  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        why = f"{path}: URLs need fsspec: {installation('remote')}"
        raise UsageError(why) from error
    try:
        system, name = fsspec.core.url_to_fs(path)
    except ImportError as error:  # says which package is missing
        raise UsageError(f"{path}: its driver is not installed: {error}") from error
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    return system, name


def expand_url(path: str) -> list[str]:
    """Return the URLs that a pattern stands for, sorted, or the URL itself.

    Raises
    ------
    LogOpenError
        If there is none, or they cannot be listed.
    UsageError
        If what reads it is not installed.
    """
    if path.startswith(("http:", "https:")) or not any(c in path for c in "*?["):
        return [path]
    system, name = file_system(path)
    try:
        found = sorted(system.glob(name))
    except Exception as error:  # each driver has its own kinds
        raise LogOpenError(f"{path}: {driver_reason(error)}") from error
    if not found:
        raise LogOpenError(f"{path}: no file matches")
    return [system.unstrip_protocol(name) for name in found]


def open_url(path: str) -> Any:
    """Open a file; it is read as a stream, or where a format needs it, in parts.

    Raises
    ------
    LogOpenError
        If it cannot be opened; the message has what the driver says.
    UsageError
        If what reads it is not installed.
    """
    system, name = file_system(path)
    try:
        return system.open(name, "rb")
    except Exception as error:  # each driver has its own kinds, such as of credentials
        raise LogOpenError(f"{path}: {driver_reason(error)}") from error


def driver_reason(error: Exception) -> str:
    """Return what a driver says; its type where that says more, as for missing credentials."""
    if isinstance(error, FileNotFoundError):
        return "No such file"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
