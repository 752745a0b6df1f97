"""Many settings of D, T and k in one replay."""
