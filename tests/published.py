"""The published logs, where they are at hand: the challenge's own, with exact answers."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("FASTANOMALY_DATA", ROOT.parent / "shared" / "data"))


def published(name):
    """The folder of a published case; skips the test where it is not there."""
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"the published data is not there: no folder {name} in FASTANOMALY_DATA")
    return folder
