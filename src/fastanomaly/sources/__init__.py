"""Where log lines come from: one module a kind."""
