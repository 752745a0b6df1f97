"""Checks of output paths before anything is read or written."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import sys
from collections.abc import Collection, Sequence

from fastanomaly.errors import OutputError, UsageError
from fastanomaly.names import STANDARD, file_of, scheme_of
from fastanomaly.sinks.base import SINKS

_DESCRIPTOR = re.compile("/(?:dev|proc/self)/fd/([0-9]{1,9})")
_STANDARD_FDS = {STANDARD: 1, "/dev/stdout": 1, "/dev/stderr": 2}
_MOST_LINKS = 40
_COMPRESSED = (".gz", ".zst", ".zstd", ".bz2", ".lz4", ".xz")
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
}


def output_error(path: str, error: OSError | ValueError) -> OutputError:
    """Return an error that names the path and the reason."""
    return OutputError(f"{path}: {(isinstance(error, OSError) and error.strerror) or error}")


def open_descriptor(path: str) -> int | None:
    """Return the open file descriptor that a name stands for, or None.

    Such names are ``-`` and ``/dev/stdout`` (1), ``/dev/stderr`` (2) and ``/dev/fd/N``, and
    symbolic links to them. Opening them anew would truncate or overwrite a file that the
    shell has opened for appending.
    """
    for _ in range(_MOST_LINKS):
        if path in _STANDARD_FDS:
            return _STANDARD_FDS[path]
        if match := _DESCRIPTOR.fullmatch(path):
            return int(match[1])
        try:
            path = os.path.join(os.path.dirname(path), os.readlink(path))
        except (OSError, ValueError):
            break
    return None


def irregular(path: str) -> str | None:
    """Return what a path leads to if it cannot be replaced, such as "a device"; or None.

    A regular file can be replaced, and so can a path where nothing is yet.
    """
    if path != STANDARD and open_descriptor(path) is not None:
        return "an open file"
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    return None if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "not a file")


def check_outputs(
    inputs: Sequence[str], outputs: Sequence[str | None], replaced: Collection[str | None] = ()
) -> None:
    """Check all outputs of a command before any of them is touched.

    Every command calls this once with all files that it will write.

    Parameters
    ----------
    inputs : sequence of str
        The logs that are read.
    outputs : sequence of str or None
        The outputs; None where an optional one is not asked for.
    replaced : collection of str or None
        Those among the outputs that are replaced by a new file again and again.

    Raises
    ------
    UsageError
        If an output would overwrite an input or another output, has a suffix of compressed
        files, or is to be replaced but is not a regular file. Names the path.
    OutputError
        If an output cannot be written or is a folder, or its folder does not exist.
    """
    paths = [path for path in outputs if path is not None]
    check_clashes(inputs, paths)
    for path in paths:
        if is_file_name(path):
            _check_output(path, path in replaced)


def check_clashes(inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Check that no output overwrites an input or another output.

    Raises
    ------
    UsageError
        Names both paths.
    """
    files = [path for path in outputs if is_file_name(path)]
    databases = [path for path in outputs if not is_file_name(path)]
    for i, path in enumerate(files):
        for log in inputs:
            if _same_file(path, file_of(log), other_is_output=False):
                raise UsageError(f"{path}: output would overwrite input log {log}")
        for other in databases + files[:i]:
            if _same_file(path, file_of(other), other_is_output=True):
                raise UsageError(f"{path}: is the same file as output {other}")


def check_not_within(folder: str, outputs: Sequence[str | None], what: str) -> None:
    """Check that no output is in a folder whose files something else writes and removes.

    Raises
    ------
    UsageError
        Names the path, the folder and `what` it is.
    """
    real = os.path.realpath(folder)
    for path in outputs:
        if path is None or (not is_file_name(path) and file_of(path) == path):
            continue
        file = os.path.realpath(file_of(path))
        if real in (os.path.dirname(file), file):
            raise UsageError(f"{path}: output would be in {folder}, {what}")


def check_folder(path: str) -> None:
    """Check that the folder of an output exists, before the work rather than after it.

    Raises
    ------
    OutputError
        As opening the output would.
    """
    try:
        os.stat(os.path.join(os.path.dirname(path) or os.curdir, ""))
    except (OSError, ValueError) as error:
        raise output_error(path, error) from error


def is_file_name(path: str) -> bool:
    """Return whether a name is that of a file, not of a sink with a scheme of its own."""
    return not scheme_of(path) or scheme_of(path) not in SINKS


def _check_output(path: str, is_replaced: bool) -> None:
    if path.lower().endswith(_COMPRESSED):
        raise UsageError(
            f"{path}: outputs are written as plain text, not compressed; leave out "
            f"{os.path.splitext(path)[1]}, or write to - and pipe it to a compressor"
        )
    if scheme_of(path) and "://" in path and not os.path.isdir(os.path.dirname(path)):
        raise UsageError(f"{path}: outputs are files or tables in databases, not URLs")
    fd = open_descriptor(path)
    try:
        if fd is not None and not is_replaced:
            if fd == 1 and sys.stdout is None:
                raise OutputError(f"{path}: standard output is closed")
            if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
                raise UsageError(f"{path}: is open for reading only")
            return
        kind = irregular(path)
        if kind == "a folder":
            raise OutputError(f"{path}: {os.strerror(errno.EISDIR)}")
        if is_replaced and kind is not None:
            raise UsageError(f"{path}: is {kind}, not a regular file")
        if kind is None:
            check_folder(os.path.realpath(path) if os.path.islink(path) else path)
        if os.path.exists(path) and not _is_writable(path):
            raise OutputError(f"{path}: Permission denied")
    except (OutputError, UsageError):
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise output_error(path, error) from error


def _same_file(output: str, other: str, other_is_output: bool) -> bool:
    """Return whether an output and another path are one regular file, or will be."""
    fd = open_descriptor(output)
    if other_is_output and fd is not None and fd == open_descriptor(other):
        return True
    try:
        here, there = _stat(output, 1), _stat(other, 1 if other_is_output else 0)
    except (OSError, ValueError):
        # One does not exist yet: they are the same if their names lead to one place.
        return STANDARD not in (output, other) and (
            os.path.realpath(output) == os.path.realpath(other)
        )
    return stat.S_ISREG(here.st_mode) and os.path.samestat(here, there)


def _stat(path: str, standard_fd: int) -> os.stat_result:
    return os.fstat(standard_fd) if path == STANDARD else os.stat(path)


def _is_writable(path: str) -> bool:
    """Return whether the process may write to a file or into a folder."""
    effective = os.access in os.supports_effective_ids
    return os.access(path, os.W_OK, effective_ids=effective)
