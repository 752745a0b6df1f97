"""What the compiled module and the rules import: the part that import-linter cannot see."""

import ast
import re
import subprocess
import sys

import pytest
from unit.test_house import SOURCES

COMPILED = [SOURCES / "_core.pyx", *sorted(SOURCES.glob("engine/*.pxd"))]
RULES = [SOURCES / "errors.py", *sorted(SOURCES.glob("rules/*.py"))]
IMPORT = re.compile(r"^ *(?:from +([\w.]+) +import|import +([\w., ]+))", re.MULTILINE)


def python_imports(text):
    """Return the Python modules that Cython source imports, those of cimports left out."""
    return [
        name.split()[0]
        for source, names in IMPORT.findall(text)
        for name in (source or names).split(",")
    ]


def imported(text):
    """Return the modules that Python source imports, anywhere in it, for types as well."""
    modules = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules += [f"{node.module}.{alias.name}" for alias in node.names]
    return modules


def own(modules, *allowed):
    """Return those of this package that are not in one of the allowed modules."""
    return [
        name
        for name in modules
        if f"{name}.".startswith("fastanomaly.")
        and not f"{name}.".startswith(tuple(f"fastanomaly.{module}." for module in allowed))
    ]


@pytest.mark.skipif(not COMPILED[0].exists(), reason="not in a checkout: no Cython sources")
def test_the_engine_imports_only_the_rules():
    assert len(COMPILED) > 20
    modules = {path.name: python_imports(path.read_text()) for path in COMPILED}
    assert "fastanomaly.rules.rejects" in modules["decode.pxd"]
    wrong = {name: own(found, "rules") for name, found in modules.items()}
    assert not any(wrong.values()), wrong


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_rules_and_errors_do_not_import_the_engine(path):
    # The words for a line that is not JSON are the engine's: both use them.
    allowed = ["_core.syntax_fault"] if path.name == "rejects.py" else []
    assert own(imported(path.read_text()), "rules", "errors", *allowed) == []


def test_imports_are_found():
    cython = """
from fastanomaly.engine.types cimport (
    Event,
)
from fastanomaly.runs import run
import os, fastanomaly.convert as convert
cdef f():
    from fastanomaly.rules import exact
"""
    modules = python_imports(cython)
    assert modules == ["fastanomaly.runs", "os", "fastanomaly.convert", "fastanomaly.rules"]
    assert own(modules, "rules") == ["fastanomaly.runs", "fastanomaly.convert"]
    python = """
def f():
    from fastanomaly._core import Engine
    from fastanomaly import _core
"""
    assert own(imported(python), "rules") == ["fastanomaly._core.Engine", "fastanomaly._core"]
    assert own(["fastanomaly"], "rules") == ["fastanomaly"]
    assert own(["fastanomalyx", "numpy"], "rules") == []


NEEDED = """
_core _version convert detector errors names processors results times waiting
cli cli.detect cli.findings cli.main cli.options cli.parsing cli.progress cli.watch
formats formats.display
rules rules.exact rules.parameters rules.rejects
runs runs.detection runs.detectors runs.diagnosis runs.first_line runs.inputs runs.job
runs.replay runs.run runs.stopping runs.summary
sinks sinks.base sinks.files sinks.lines sinks.paths
sources sources.base sources.compressed sources.files sources.log
tables tables.names tables.reading
telemetry telemetry.messages
"""
"""The modules that a run over two plain logs needs; each costs about 1 % of its start."""

STARTING = """
import sys, typing

def fail(*arguments):
    raise AssertionError(f"a text was compiled as an annotation: {arguments[1:]}")

typing.ForwardRef.__init__ = fail
from fastanomaly.cli.main import main

assert main(["detect", "--quiet", *sys.argv[1:]]) == 0
print(*sorted(sys.modules))
"""


def test_the_command_starts_without_what_few_runs_need(tmp_path):
    for name, text in (("batch", '{"D":"2", "T":"50"}\n'), ("stream", "")):
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-P", "-c", STARTING, "batch", "stream", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.split()
    assert {name for name in loaded if name.startswith("fastanomaly.")} == {
        f"fastanomaly.{name}" for name in NEEDED.split()
    }
    assert set(loaded).isdisjoint(
        {"ast", "dataclasses", "datetime", "difflib", "inspect", "numpy", "orjson", "zlib"}
        | {"csv", "decimal", "duckdb", "psycopg", "pyarrow", "sqlite3", "urllib.parse"}
        | {"fractions", "locale", "tqdm", "unicodedata"}
    )
