"""Benchmarks: pytest-benchmark suites, and scripts such as compare.py."""
