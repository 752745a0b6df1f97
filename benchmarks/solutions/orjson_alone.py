"""A lower bound, not a solution: read both logs and decode every line with orjson.

Run it as `python -m benchmarks.solutions.orjson_alone BATCH STREAM OUT`.
"""

import sys

import orjson


def detect(batch: str, stream: str, out: str) -> None:
    """Decode the lines of both logs; judge nothing and write nothing to `out`."""
    decode = orjson.loads
    for path in (batch, stream):
        with open(path, "rb") as log:
            for line in log:
                try:
                    decode(line)
                except ValueError:
                    continue


if __name__ == "__main__":
    detect(*sys.argv[1:])
