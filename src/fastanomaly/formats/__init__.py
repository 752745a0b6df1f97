"""Values, tables and columns as text, HTML and files."""
