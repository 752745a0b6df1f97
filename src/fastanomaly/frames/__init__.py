"""Tables of other libraries in, flags as tables out."""
