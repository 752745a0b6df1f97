"""What a run found out about its logs, as messages and as an exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastanomaly.runs.summary import rejected_text
from fastanomaly.telemetry.messages import write_message

if TYPE_CHECKING:
    from fastanomaly.runs.diagnosis import Diagnosis

NOTHING_VALID = 4
"""The exit status if a log with lines in it held no valid event."""


def write_rejected(diagnosis: Diagnosis) -> None:
    """Write how many lines were rejected, with an example of each common reason."""
    if diagnosis.rejected:
        examples = (f"such as {text}" for text in diagnosis.examples())
        write_message("\n".join([rejected_text(diagnosis.rejected), *examples]), "warning")


def write_findings(diagnosis: Diagnosis) -> int:
    """Write the hints and faults of a run that is done; return its exit status, 0 or 4."""
    for text in diagnosis.hints():
        write_message(text, "warning")
    status = 0
    for text in diagnosis.faults():
        status = NOTHING_VALID
        write_message(text, "error", status=status)
    return status
