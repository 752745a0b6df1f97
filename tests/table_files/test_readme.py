"""README's section on tables does what it says."""

import re
import subprocess
import sys

import pytest
from checkout import ROOT
from cli.commandline import PATIENCE

README = ROOT / "README.md"
pytestmark = pytest.mark.skipif(not README.exists(), reason="not in a checkout: no README.md")


@pytest.fixture
def section(tmp_path):
    """Return the section; the files that it shows are in the folder of the test."""
    text = re.search(r"### Tables\n(.*?)\n##", README.read_text(), re.DOTALL)[1]
    for name, content in re.findall(r"\$ cat ((?:sales|friends).csv)\n([^$]*)", text):
        (tmp_path / name).write_text(content)
    return text


def test_the_command(section, tmp_path):
    [console] = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    written = ""
    for line in console.splitlines():
        if line.startswith("$ "):
            command = line.removeprefix("$ ")
            command = command.replace("fastanomaly", f"{sys.executable} -m fastanomaly", 1)
            written += f"{line}\n{run(['sh', '-c', command], tmp_path)}"
    assert written == console


def test_the_code(section, tmp_path):
    pytest.importorskip("pandas")
    [code] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    code += (
        "\nimport pyarrow\nprint(*(flag.user for flag in flags), len(pyarrow.table(flags)))"
    )
    assert run([sys.executable, "-c", code], tmp_path) == "bob 1\n"


def run(command, folder):
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return done.stdout + done.stderr
