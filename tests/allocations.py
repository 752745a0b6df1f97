"""Failing allocations of the engine."""

from contextlib import contextmanager

from fastanomaly._core import fail_allocations_after


@contextmanager
def failing_after(count):
    """Let every allocation after the next `count` fail."""
    fail_allocations_after(count)
    try:
        yield
    finally:
        fail_allocations_after(-1)
