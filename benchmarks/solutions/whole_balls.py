"""fastanomaly with the simple search method, which marks the whole network.

Run it as `python -m benchmarks.solutions.whole_balls BATCH STREAM OUT`.
"""

from functools import partial

from benchmarks.solutions import common
from benchmarks.solutions.with_fastanomaly import detect

if __name__ == "__main__":
    common.main(partial(detect, method="ball"))
