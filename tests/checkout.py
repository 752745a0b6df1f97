"""Where the project's files are."""

from pathlib import Path

import fastanomaly

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "src" / "fastanomaly"
if not SOURCES.is_dir():  # the tests of a wheel: it has the Python modules only
    SOURCES = Path(fastanomaly.__file__).parent
