"""Folders of files, local or at a URL, in which a name always stands for a whole file."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from fastanomaly.names import is_url
from fastanomaly.sinks.replacing import flush_folder, replace_file
from fastanomaly.tables.storage.remote import driver_reason, file_system

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Folder(Protocol):
    """A folder; each method raises OSError if it cannot be done.

    Attributes
    ----------
    path : str
        Its path or URL.
    """

    path: str

    def child(self, name: str) -> Folder:
        """Return a folder in this one, whether it exists or not."""

    def file(self, name: str) -> str:
        """Return the path or URL of a file in this one."""

    def exists(self) -> bool:
        """Return whether there is such a folder; at URLs, one with a file in it."""

    def names(self) -> list[str]:
        """Return the names of files and folders in it; none if it does not exist."""

    def create(self) -> None:
        """Create it, unless it exists or folders need not be created."""

    def write(self, name: str, write: Callable[[int], object]) -> int:
        """Write a file, which gets its name once it is whole and durable.

        Parameters
        ----------
        name : str
            Its name in the folder.
        write : callable
            Writes the content to a file descriptor.

        Returns
        -------
        int
            The file's bytes.
        """

    def remove(self, first: str) -> None:
        """Remove it and the files in it, that of a name first."""


def open_folder(path: str) -> Folder:
    """Return the folder that a path or a URL stands for, whether it exists or not.

    Raises
    ------
    UsageError
        If fsspec or its driver for the URL is not installed.
    """
    system, name = _located(path)
    if system is None:
        return LocalFolder(os.path.abspath(name))
    return RemoteFolder(path, system, name)


def open_file(path: str) -> BinaryIO:
    """Open a file at a path or a URL for reading.

    Raises
    ------
    OSError
        If it cannot be opened.
    UsageError
        See `open_folder`.
    """
    system, name = _located(path)
    if system is None:
        return open(name, "rb")
    with _driver_errors(path):
        file: BinaryIO = system.open(name, "rb")
        return file


def _located(path: str) -> tuple[Any, str]:
    """Return what reads a URL, or None for a local file, and the name there."""
    if not is_url(path):
        return None, path
    system, name = file_system(path)
    protocols = (system.protocol,) if isinstance(system.protocol, str) else system.protocol
    return (None if "file" in protocols else system), name


class LocalFolder:
    """A folder of this machine, see `Folder`."""

    def __init__(self, path: str) -> None:
        self.path = path

    def child(self, name: str) -> LocalFolder:
        """Return a folder in this one."""
        return LocalFolder(self.file(name))

    def file(self, name: str) -> str:
        """Return the path of a file in this one."""
        return os.path.join(self.path, name)

    def exists(self) -> bool:
        """Return whether there is such a folder."""
        return os.path.isdir(self.path)

    def names(self) -> list[str]:
        """Return the names of files and folders in it."""
        try:
            return os.listdir(self.path)
        except FileNotFoundError:
            return []

    def create(self) -> None:
        """Create it, and have its name written to the disk."""
        if not self.exists():
            os.makedirs(self.path, exist_ok=True)
            flush_folder(os.path.dirname(self.path))

    def write(self, name: str, write: Callable[[int], object]) -> int:
        """Write a file."""
        path = self.file(name)
        replace_file(path, write)
        return os.stat(path).st_size

    def remove(self, first: str) -> None:
        """Remove it and the files in it."""
        with suppress(FileNotFoundError):
            os.unlink(self.file(first))
        shutil.rmtree(self.path)


class RemoteFolder:
    """A folder at a URL, through fsspec, see `Folder`.

    Object stores have no folders: one exists as long as there is a file in it. There, a file
    is put as a whole or not at all.
    """

    def __init__(self, path: str, system: Any, name: str) -> None:
        self.path = path
        self._system = system
        self._name = name

    def child(self, name: str) -> RemoteFolder:
        """Return a folder in this one."""
        return RemoteFolder(self.file(name), self._system, _joined(self._name, name))

    def file(self, name: str) -> str:
        """Return the URL of a file in this one."""
        return _joined(self.path, name)

    def exists(self) -> bool:
        """Return whether there is such a folder."""
        with _driver_errors(self.path):
            self._system.invalidate_cache()
            return bool(self._system.isdir(self._name))

    def names(self) -> list[str]:
        """Return the names of files and folders in it."""
        with _driver_errors(self.path):
            self._system.invalidate_cache()
            try:
                found = self._system.ls(self._name, detail=False)
            except FileNotFoundError:
                return []
        names = (path.rstrip("/").rpartition("/")[2] for path in found)
        own = self._name.rstrip("/").rpartition("/")[2]
        return [name for name in names if name != own]

    def create(self) -> None:
        """Create it, where there are folders."""
        with _driver_errors(self.path):
            self._system.makedirs(self._name, exist_ok=True)

    def write(self, name: str, write: Callable[[int], object]) -> int:
        """Write a file here, then put it there."""
        with tempfile.NamedTemporaryFile() as file:
            write(file.fileno())
            with _driver_errors(self.file(name)):
                self._system.put_file(file.name, _joined(self._name, name))
            return os.fstat(file.fileno()).st_size

    def remove(self, first: str) -> None:
        """Remove it and the files in it."""
        with _driver_errors(self.path):
            with suppress(FileNotFoundError):
                self._system.rm_file(_joined(self._name, first))
            self._system.invalidate_cache()
            with suppress(FileNotFoundError):  # it had no other file
                self._system.rm(self._name, recursive=True)


def _joined(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}"


@contextmanager
def _driver_errors(path: str) -> Iterator[None]:
    """Raise OSError instead of what else a driver may raise."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # each driver has its own kinds, such as of credentials
        raise OSError(f"{path}: {driver_reason(error)}") from error
