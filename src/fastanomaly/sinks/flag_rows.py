"""Flags as rows of the table of flags."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastanomaly.convert import Number, exact_sigmas
from fastanomaly.formats.flag_row import FlagRow
from fastanomaly.rules.exact import excess

if TYPE_CHECKING:
    from fastanomaly.results import Flag


def log_text(log: str) -> str:
    """Return the name of a log as UTF-8 can hold it."""
    return os.fsencode(log).decode("utf-8", "backslashreplace")


def flag_rows(flags: Sequence[Flag], sigmas: Number) -> list[FlagRow]:
    """Return flags as rows of the table.

    Parameters
    ----------
    flags : sequence of Flag
    sigmas : int, float, str or Decimal
        k of the run.
    """
    k = exact_sigmas(sigmas)
    return [
        FlagRow(
            flag.user,
            flag.time_us,
            flag.amount_units,
            flag.n,
            flag.mean_cents,
            flag.sd_cents,
            excess(flag.n, flag.total, flag.squares, flag.amount_units, *k),
            log_text(flag.log or ""),
            flag.line or 0,
        )
        for flag in flags
    ]
