"""Benchmarks: pytest-benchmark suites, and compare.py, which runs other solutions beside."""
