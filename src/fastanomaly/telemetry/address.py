"""Where metrics go: an address to serve them at, or a file."""

import re
from typing import NamedTuple

from fastanomaly.errors import UsageError

LOCAL = "127.0.0.1"

# Patterns that few runs need: compiling them slows the start.
_ADDRESS = r"(?:(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^/\s:\[\]]*)):)?(?P<port>[0-9]+)"
_NUMBER = r"[-+]?[0-9][0-9a-fA-FxX_.,]*"
_LARGEST_PORT = 65535
_HINT = "write a port (9100), HOST:PORT, [IPv6]:PORT or, for a file, its path (./NAME)"


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int


def parse_target(target: str) -> Address | None:
    """Return the address that a target names, or None if it is the path of a file.

    Whatever looks like a number or contains a colon is an address, unless it contains a
    slash: a slip in an address never makes a file of that name.

    Parameters
    ----------
    target : str
        ``PORT`` or ``:PORT`` (of this machine only), ``HOST:PORT``, ``[IPv6]:PORT``, or a
        path.

    Raises
    ------
    UsageError
        If it looks like an address but is none.
    """
    if match := re.fullmatch(_ADDRESS, target):
        digits = match["port"]
        if len(digits) > len(str(_LARGEST_PORT)) or not 0 < int(digits) <= _LARGEST_PORT:
            raise UsageError(
                f"--metrics: {target}: a port is a number from 1 to {_LARGEST_PORT}"
            )
        return Address(match["v6"] or match["host"] or LOCAL, int(digits))
    if "/" in target:
        return None
    if target in ("", "-") or ":" in target or _looks_like_number(target):
        raise UsageError(f"--metrics: {target!r} is not an address; {_HINT}")
    return None


def _looks_like_number(text: str) -> bool:
    if re.fullmatch(_NUMBER, text):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True
