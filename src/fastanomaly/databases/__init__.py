"""Databases that rows are read from and flags are written to: one module a kind."""
