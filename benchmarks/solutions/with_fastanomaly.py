"""The Python API of fastanomaly, for the time of each log; compare.py runs the command.

Run it as `python -m benchmarks.solutions.with_fastanomaly BATCH STREAM OUT`.
"""

import json
import time

from benchmarks.solutions import common
from fastanomaly import Detector
from fastanomaly.detector import Method


def detect(batch: str, stream: str, out: str, method: Method = "auto") -> common.Phases:
    """Write the anomalous purchases of `stream` to `out`; return the time of each log."""
    started = time.perf_counter()
    with open(batch, "rb") as log:
        parameters = json.loads(log.readline())
        detector = Detector(parameters["D"], parameters["T"], method=method)
        detector.feed(log.read(), judge=False)
    before = detector.counts.purchases
    loaded = time.perf_counter()
    with open(stream, "rb") as log, open(out, "wb") as flagged:
        flagged.writelines(flag.to_line() + b"\n" for flag in detector.feed(log.read()).flags)
    judged = time.perf_counter()
    return common.Phases(loaded - started, judged - loaded, detector.counts.purchases - before)


if __name__ == "__main__":
    common.main(detect)
