"""The flags in the output of a run that has not ended."""

from cli.commandline import FLAGS, wait_until


def flags(folder):
    """Return what is in the output so far."""
    path = folder / "out"
    return path.read_bytes() if path.exists() else b""


def wait_for_flags(folder, count):
    """Wait until the output is `count` flags of the published example."""
    wait_until(lambda: flags(folder) == FLAGS * count, f"{count} flags")
