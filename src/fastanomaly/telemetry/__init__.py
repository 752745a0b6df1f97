"""Messages and metrics."""
