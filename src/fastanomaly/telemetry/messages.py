"""Messages on standard error, for people as text or for programs as JSON lines."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

TEXT, JSON = "text", "json"
FORMATS = (TEXT, JSON)

_LEVELS = {"info": 20, "warning": 30, "error": 40}

_logger: logging.Logger | None = None  # None: plain text


def use_json() -> None:
    """Write JSON lines from now on, through the standard library's logging."""
    global _logger  # noqa: PLW0603 - a process has one standard error, too
    import logging  # noqa: PLC0415 - imported late: it slows the start
    import time  # noqa: PLC0415

    import orjson  # noqa: PLC0415

    class JsonLines(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            entry = {
                "time": self.formatTime(record),
                "level": record.levelname.lower(),
                "message": record.getMessage().encode("utf-8", "backslashreplace").decode(),
                **record.__dict__["values"],
            }
            return orjson.dumps(entry).decode()

    formatter = JsonLines()
    formatter.converter = time.gmtime
    formatter.default_time_format = "%Y-%m-%dT%H:%M:%S"
    formatter.default_msec_format = "%s.%03dZ"
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.raiseExceptions = False  # a lost message does not change what was done
    _logger = logging.getLogger("fastanomaly.command")
    _logger.propagate = False
    _logger.setLevel(logging.INFO)
    _logger.handlers = [handler]


def write_message(text: str, level: str = "info", **values: object) -> None:
    """Write a message.

    Parameters
    ----------
    text : str
        Lines for people, without the program's name.
    level : {"info", "warning", "error"}, default "info"
    **values
        Members of the JSON line, in addition to time, level and message.
    """
    if _logger is not None:
        _logger.log(_LEVELS[level], "%s", text, extra={"values": values})
        return
    head = "fastanomaly: error: " if level == "error" else "fastanomaly: "
    _print("\n".join(head + line for line in text.split("\n")))


def _print(text: str) -> None:
    """Write to standard error, unless it is closed or nobody reads it."""
    if sys.stderr is None:
        return  # print would use standard output
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        # A lost message changes neither what was done nor the exit status.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
