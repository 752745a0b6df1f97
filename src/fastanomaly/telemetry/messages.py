"""What the command tells people, and programs, on standard error: text, or JSON lines."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

TEXT, JSON = "text", "json"
FORMATS = (TEXT, JSON)

_logger: logging.Logger | None = None  # none: plain text


def use_json() -> None:
    """Turn to JSON lines, by the standard library's logging."""
    global _logger  # noqa: PLW0603 - standard error is one for the process, too
    import logging  # noqa: PLC0415 - most runs write text

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

    import time  # noqa: PLC0415

    formatter = JsonLines()
    formatter.converter = time.gmtime
    formatter.default_time_format = "%Y-%m-%dT%H:%M:%S"
    formatter.default_msec_format = "%s.%03dZ"
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.raiseExceptions = False  # what cannot be said does not change what was done
    _logger = logging.getLogger("fastanomaly.command")
    _logger.propagate = False
    _logger.setLevel(logging.INFO)
    _logger.handlers = [handler]


def say(text: str, level: str = "info", **values: object) -> None:
    """Tell something: the text for people, with values beside it for programs.

    Parameters
    ----------
    text : str
        Lines, without the program's name.
    level : {"info", "warning", "error"}, default "info"
    **values
        What JSON is to hold beside time, level and message.
    """
    if _logger is not None:
        _logger.log(
            {"info": 20, "warning": 30, "error": 40}[level],
            "%s",
            text,
            extra={"values": values},
        )
        return
    head = "fastanomaly: error: " if level == "error" else "fastanomaly: "
    _print("\n".join(head + line for line in text.split("\n")))


def _print(text: str) -> None:
    """Write to standard error, if it is open and somebody listens."""
    if sys.stderr is None:
        return  # print would turn to standard output
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        # What cannot be said does not change what was done, nor the exit status.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
