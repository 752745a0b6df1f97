"""Checkpoints of a run: when they are due, and how they are written and read."""
