"""The formats of tables in files: one module each."""
