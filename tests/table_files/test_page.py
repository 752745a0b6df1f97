"""The commands and the code of docs/tables.md do what the page says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cli.commandline import PATIENCE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tables.md"
NUMBERS = re.compile(r"(in )[\d.]+( s, )[\d,]+( a second, peak memory )\d+")


@pytest.fixture
def page(tmp_path):
    """Return the page's text; its files are in the folder of the test."""
    if not PAGE.exists():
        pytest.skip("the documentation is not part of what is tested here")
    text = PAGE.read_text()
    for name, content in re.findall(r'```text title="([^"]+)"\n(.*?)```', text, re.DOTALL):
        (tmp_path / name).write_text(content)
    return text


def test_the_commands(page, tmp_path):
    consoles = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    shown = "".join(consoles)
    written = ""
    for line in shown.splitlines():
        if not line.startswith("$ "):
            continue
        program = f"{sys.executable} -m fastanomaly"
        command = line.removeprefix("$ ").replace("fastanomaly", program, 1)
        done = subprocess.run(
            ["sh", "-c", f"{command} 2>&1"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        written += f"{line}\n" + NUMBERS.sub(r"\g<1>#\2#\3#", done.stdout)
    assert written == shown
    assert len(consoles) > 3


def test_the_code(page, tmp_path):
    [code] = re.findall(r'```python title="example.py"\n(.*?)```', page, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout == "1\n", done.stderr
