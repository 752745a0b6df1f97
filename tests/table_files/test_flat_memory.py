"""Memory does not grow with the rows of a stream of batches or of a file.

A child process reads some rows, another one three times as many, and their peaks are compared.
So that this can fail, children that keep all batches are compared, too.
"""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet
import pytest
from cli.commandline import PATIENCE, SANITIZED

pytestmark = pytest.mark.skipif(SANITIZED, reason="a sanitizer needs much more memory")

ROWS = 1 << 18  # four of the batches that Parquet is read in; it needs memory for three
TIMES = 3
USERS, ID_BYTES = 500, 150
MOST_GROWTH = 30_000_000  # what is read twice more has 79 MB

PEAK = """
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) for line in status if "VmHWM" in line) * 1024)
"""

FEED = """
import sys
from fastanomaly import Detector
from table_files.test_flat_memory import batches, reader

rows, kept = int(sys.argv[1]), []

def stream():
    for batch in batches(rows):
        if sys.argv[2] == "keep":
            kept.append(batch)
        yield batch

fed = Detector(2, 5, threads=1).feed_frame(reader(stream()))
assert (fed.rows, len(fed.flags), fed.rejected) == (rows, 0, [])
"""

DETECT = """
import sys
from fastanomaly import Tables, detect
from fastanomaly.tables.inputs import OpenTable

rows, kept = int(sys.argv[1]), []
if sys.argv[2] == "keep":
    def keeping(self, skip=0, plain_blocks=OpenTable.plain_blocks):
        for block in plain_blocks(self, skip):
            kept.append(block)
            yield block
    OpenTable.plain_blocks = keeping
done = detect(sys.argv[3], None, "flags", degree=2, tracked=5, threads=1, tables=Tables())
assert (done.purchases, done.flags, done.rejected) == (rows, 0, {})
"""


def batches(rows, size=8192):
    """Yield purchases by a few users with long names, all of one amount."""
    names = pa.array([str(number) * (ID_BYTES // 3) for number in range(100, 100 + USERS)])
    amounts = pa.array([5.25] * size)
    for first in range(0, rows, size):
        numbers = np.arange(first, first + size)
        users = names.take(pa.array(numbers % USERS))
        times = pa.array(numbers, pa.timestamp("s"))
        yield pa.record_batch([users, amounts, times], ["user", "amount", "timestamp"])


def reader(parts):
    """Return batches as a stream."""
    first = next(parts)
    return pa.RecordBatchReader.from_batches(first.schema, itertools.chain([first], parts))


def write(path, rows):
    """Write batches as a file, each one as a row group of its own."""
    kinds = {
        ".csv": pa.csv.CSVWriter,
        ".parquet": lambda name, schema: pa.parquet.ParquetWriter(
            name, schema, use_dictionary=False, compression="none"
        ),
        ".arrow": pa.ipc.new_file,
        ".arrows": pa.ipc.new_stream,
    }
    parts = reader(batches(rows))
    with kinds[path.suffix](str(path), parts.schema) as file:
        for batch in parts:
            file.write_batch(batch)
    assert path.stat().st_size > rows * ID_BYTES


def growth(folder, code, keep, make_file=None):
    """Return how much higher the peak of the larger number of rows is."""
    peaks = []
    for rows in (ROWS, TIMES * ROWS):
        path = make_file(rows) if make_file else None
        done = subprocess.run(
            [sys.executable, "-P", "-c", code + PEAK, str(rows), keep, str(path)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            check=True,
            capture_output=True,
            timeout=PATIENCE,
        )
        peaks.append(int(done.stdout))
        if path:
            path.unlink()
    return peaks[1] - peaks[0]


@pytest.mark.parametrize(("keep", "flat"), [("", True), ("keep", False)])
def test_a_stream_of_batches_is_not_kept(tmp_path, keep, flat):
    assert (growth(tmp_path, FEED, keep) < MOST_GROWTH) == flat


@pytest.mark.parametrize(
    ("suffix", "keep", "flat"),
    [
        *((suffix, "", True) for suffix in ("csv", "parquet", "arrow", "arrows")),
        ("parquet", "keep", False),
    ],
)
def test_a_file_is_not_kept(tmp_path, suffix, keep, flat):
    def make_file(rows):
        path = tmp_path / f"sales.{suffix}"
        write(path, rows)
        return path

    assert (growth(tmp_path, DETECT, keep, make_file) < MOST_GROWTH) == flat
