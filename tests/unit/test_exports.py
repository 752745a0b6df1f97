"""The public names: which there are, what they are, and what importing them costs."""

import importlib
import pkgutil
import re
import subprocess
import sys

import pytest
from checkout import ROOT, SOURCES

import fastanomaly

# A name added or removed here is a change of the API: it belongs in the changelog.
EXPORTED = {
    "__version__",
    # the detector
    "BEFRIEND",
    "PURCHASE",
    "UNFRIEND",
    "Detector",
    "REASONS",
    "Rejected",
    # what it returns
    "ColumnFlags",
    "Counts",
    "Diagnosis",
    "Explanation",
    "Fed",
    "FedFrame",
    "Flag",
    "FlagFrame",
    "Latency",
    "Memory",
    "Sharing",
    "Work",
    # whole runs
    "Simulation",
    "Summary",
    "SweepResult",
    "Tables",
    "detect",
    "explain",
    "report",
    "simulate",
    "sweep",
    # errors
    "CheckpointError",
    "FastanomalyError",
    "FeedError",
    "LogOpenError",
    "LogReadError",
    "OutputError",
    "ParameterError",
    "Stopped",
    "StrictError",
    "UsageError",
}
FUNCTIONS = ["detect", "explain", "report", "simulate", "sweep"]
HEAVY = ["numpy", "orjson", "tqdm", "fastanomaly._core"]


def python(code):
    """Run code in a new interpreter; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_exactly_these_names_are_exported():
    assert set(fastanomaly.__all__) == EXPORTED
    assert len(fastanomaly.__all__) == len(EXPORTED)
    assert set(dir(fastanomaly)) >= EXPORTED


@pytest.mark.parametrize("name", sorted(EXPORTED))
def test_each_name_resolves(name):
    assert getattr(fastanomaly, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fastanomaly.nothing


@pytest.mark.parametrize("first", ["modules", "names"])
def test_no_submodule_hides_an_exported_function(first):
    """Importing `package.name` binds the module as an attribute of the package."""
    steps = {
        "modules": "for module in modules: importlib.import_module(module)",
        "names": "for name in fastanomaly.__all__: getattr(fastanomaly, name)",
    }
    order = [steps.pop(first), *steps.values()]
    modules = [
        module.name
        for module in pkgutil.walk_packages(fastanomaly.__path__, "fastanomaly.")
        if not module.name.endswith("__main__")
    ]
    assert len(modules) > 30
    code = ["import importlib, fastanomaly", f"modules = {modules}", *order]
    code.append(f"print([callable(getattr(fastanomaly, name)) for name in {FUNCTIONS}])")
    assert python("\n".join(code)).split() == str([True] * len(FUNCTIONS)).split()


def test_importing_the_package_alone_is_cheap():
    code = f"import sys, fastanomaly; print([name for name in {HEAVY} if name in sys.modules])"
    assert python(code) == "[]\n"
    # The check itself works: the detector needs them.
    code = code.replace("; print", "; fastanomaly.Detector; print")
    assert "'fastanomaly._core'" in python(code)


def test_the_functions_are_those_of_their_modules():
    for name in FUNCTIONS:
        function = getattr(fastanomaly, name)
        assert getattr(importlib.import_module(function.__module__), name) is function


@pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="not in a checkout: no docs/")
def test_each_name_is_in_the_reference():
    pages = "\n".join(path.read_text() for path in ROOT.glob("docs/api*.md"))
    assert EXPORTED - {"__version__"} <= set(re.findall(r"\w+", pages)) | set(
        re.findall(r"class (\w+)", (SOURCES / "errors.py").read_text())
    )
