"""What a user would otherwise write: the same job with other libraries, for compare.py."""
