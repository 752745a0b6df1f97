"""Where flags and rejected lines go: one module a kind."""
