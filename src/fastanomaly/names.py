"""Names of inputs and outputs: a path, ``-``, or ``scheme:rest`` for a registered scheme."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

STANDARD = "-"
"""The name of standard input and standard output."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):")


def registered(kinds: Mapping[str, str], name: str) -> Any:
    """Return the class registered for a name's scheme; for "" if the scheme has none.

    Parameters
    ----------
    kinds : mapping of str to str
        By scheme, ``module:class``; it is imported when it is needed.
    name : str
    """
    scheme = _SCHEME.match(name)
    home = kinds.get(scheme[1]) if scheme else None
    module, kind = (home or kinds[""]).split(":")
    return getattr(import_module(module), kind)
