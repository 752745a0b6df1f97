"""Every exception that fastanomaly raises on purpose.

    FastanomalyError                  base class: catches all below but Stopped
     +-- UsageError (ValueError)      wrong use: nothing has been read or written
     |    +-- ParameterError          D, T, k or another parameter: missing or out of range
     |    +-- LogOpenError            a log that cannot be opened
     |    +-- CheckpointError         a checkpoint file that is damaged or not ours
     +-- LogReadError (OSError)       a log fails while it is read
     +-- OutputError (OSError)        an output cannot be created or written
     +-- FeedError                    a bulk call ended early; it has the results so far
     +-- StrictError                  a line was rejected in a strict run
     +-- ClusterError                 a shard is lost, or does not answer
    Stopped (BaseException)           SIGINT or SIGTERM, like KeyboardInterrupt

Errors in a single value passed to `Detector` are plain ValueError and TypeError. Messages
name the file, the line, the field and the value as far as they are known.
"""

from __future__ import annotations

import signal
import sys
from typing import Any


class FastanomalyError(Exception):
    """Base class of the exceptions below, except `Stopped`."""


class UsageError(FastanomalyError, ValueError):
    """A request that cannot be carried out; the message says what and why."""


class ParameterError(UsageError):
    """A missing parameter, or one that is out of range; the message names both."""


class LogOpenError(UsageError):
    """A log that cannot be opened; the message names the path."""


class CheckpointError(UsageError):
    """A checkpoint file that is damaged, of a newer format or not a checkpoint at all."""


class LogReadError(FastanomalyError, OSError):
    """A log that fails while it is read: an I/O error, or corrupt compressed data."""


class OutputError(FastanomalyError, OSError):
    """An output that cannot be created or written; the message names the path."""


class FeedError(FastanomalyError):
    """A bulk call ended early; the events before the failure have been applied.

    Attributes
    ----------
    fed : Fed or ColumnFlags
        What the call would have returned if the lines or rows had ended there.
    applied : int
        Number of lines or rows applied; continue with the next one.
    """

    def __init__(self, message: str, fed: Any, applied: int) -> None:
        super().__init__(message)
        self.fed = fed
        self.applied = applied


class StrictError(FastanomalyError):
    """A line was rejected in a strict run; the message names it."""


class ClusterError(FastanomalyError):
    """A shard of a cluster that is lost or does not answer; the message says which."""


class Stopped(BaseException):
    """SIGINT or SIGTERM arrived during a run.

    Attributes
    ----------
    exit_status : int
        128 + the signal's number.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_status = 128 + signum


def installation(extra: str) -> str:
    """Return the command that installs an extra for the Python that runs this.

    Where fastanomaly comes from does not matter: pip finds it installed.
    """
    import shlex  # noqa: PLC0415 - needed in few runs

    python = shlex.quote(sys.executable or "python3")
    return f"install it with: {python} -m pip install 'fastanomaly[{extra}]'"
