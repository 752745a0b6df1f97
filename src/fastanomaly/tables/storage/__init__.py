"""Where tables lie: local files, folders, patterns and URLs."""
