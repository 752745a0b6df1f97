import gc
import os
import sys

# Nothing that is made while a program starts is garbage: looking for it would take longer
# than the rest of the start.
gc.disable()

# NumPy's linear algebra, which is not used here, starts threads when it is imported, and
# interrupts the process if it cannot.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

try:
    from fastanomaly.cli.main import main
except (ImportError, MemoryError, SystemError) as error:
    sys.exit(f"fastanomaly: error: {str(error) or 'out of memory'}")


def run() -> None:
    """Run the command line as this process's only work."""
    gc.freeze()
    gc.enable()
    status = main()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    # All is written: the system takes a large state back at once, Python piece by piece.
    os._exit(status)


if __name__ == "__main__":
    run()
