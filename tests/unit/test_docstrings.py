"""Run the examples in docstrings."""

import doctest
import importlib
import pkgutil

import pytest

import fastanomaly

MODULES = [
    module.name
    for module in pkgutil.walk_packages(fastanomaly.__path__, "fastanomaly.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_detector_has_examples():
    assert doctest.testmod(importlib.import_module("fastanomaly.detector")).attempted >= 5
