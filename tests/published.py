"""The published logs of the challenge and their exact answers, if they are available."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("FASTANOMALY_DATA", ROOT.parent / "shared" / "data"))


def published(name):
    """Return the folder of a published case; skip the test if it is missing."""
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"no published data: FASTANOMALY_DATA has no folder {name}")
    return folder
