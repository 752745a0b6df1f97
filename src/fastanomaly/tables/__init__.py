"""Tables as inputs: files, folders and databases, read as Arrow batches."""
