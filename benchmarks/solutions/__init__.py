"""The obvious alternatives: the same job with other libraries, for compare.py."""
