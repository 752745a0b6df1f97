"""Replacing a file so that its name always stands for a whole one."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress

from fastanomaly.errors import OutputError
from fastanomaly.sinks.paths import irregular

_LONGEST_NAME = 200  # bytes; leaves room for what a temporary name adds
_TOKEN_BYTES = 8


def replace_file(path: str, write: Callable[[int], object], *, durable: bool = True) -> None:
    """Write a new file and give it the name of an existing one, or a new name.

    A symbolic link stays: the file that it leads to is replaced. The new file has the mode
    of the old one and, where permitted, its owner. It is written under a temporary name of
    its own, so several processes may replace one file.

    Parameters
    ----------
    path : str
        The file's name; ``NAME.TOKEN.new`` in the same folder is used in the meantime, with a
        random token. It remains if the process is killed.
    write : callable
        Writes the contents to a file descriptor.
    durable : bool, default True
        Have the file written to the disk before it gets its name.

    Raises
    ------
    OutputError
        If the path is a device, a FIFO, a folder or the like.
    OSError
        If it cannot be written; the previous file is unchanged. Names the path.
    """
    try:
        _replace_file(path, write, durable)
    except OutputError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error


def _replace_file(path: str, write: Callable[[int], object], durable: bool) -> None:
    if not os.path.basename(path):
        fault = errno.EISDIR if path else errno.ENOENT
        raise OSError(fault, os.strerror(fault))
    kind = irregular(path)
    if kind is not None:
        raise OutputError(f"{path}: is {kind}, not a regular file")
    target = os.path.realpath(path)
    try:
        old = os.stat(target)
    except FileNotFoundError:
        old = None
    folder, name = os.path.split(target)
    short = os.fsdecode(os.fsencode(name)[:_LONGEST_NAME])
    temporary = os.path.join(folder, f"{short}.{os.urandom(_TOKEN_BYTES).hex()}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, 0o666 if old is None else 0o600)
    try:
        try:
            write(fd)
            if old is not None:
                _keep_owner_and_mode(fd, old)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, target)
    except BaseException:
        with suppress(FileNotFoundError):  # an interrupt may come after the renaming
            os.unlink(temporary)
        raise
    if durable:
        flush_folder(folder)


def _keep_owner_and_mode(fd: int, old: os.stat_result) -> None:
    new = os.fstat(fd)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        with suppress(PermissionError):  # only root may give files away
            os.fchown(fd, old.st_uid, old.st_gid)
    os.fchmod(fd, stat.S_IMODE(old.st_mode) & 0o777)


def is_temporary(name: str, original: str) -> bool:
    """Return whether a name is that of a file left by a killed `replace_file`.

    Parameters
    ----------
    name : str
        A file's name, without its folder.
    original : str
        The name of the file that was to be replaced.
    """
    token = name.removeprefix(f"{original}.").removesuffix(".new")
    return name == f"{original}.{token}.new" and (
        len(token) == 2 * _TOKEN_BYTES and all(c in "0123456789abcdef" for c in token)
    )


def flush_folder(path: str) -> None:
    """Have the names in a folder written to the disk."""
    fd = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
