"""Jobs over a batch log and a stream log."""
