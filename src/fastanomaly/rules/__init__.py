"""What is valid, one value or line at a time, in plain Python."""
