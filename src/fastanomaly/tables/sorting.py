"""Sorting a table by time: its columns are held in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from fastanomaly.sources.base import Origin, Rows
from fastanomaly.tables.moments import times_us

if TYPE_CHECKING:
    from fastanomaly.convert import Reading

_ROWS = 1 << 15


def sorted_blocks(blocks: Iterator[Rows], reading: Reading) -> Iterator[Rows]:
    """Yield the rows of blocks in the order of their times.

    Rows of one time keep their order. Those without a valid time come first, with the rows
    that could not be read: they are rejected.
    """
    batches, times, numbers, which = [], [], [], []
    origins: list[Origin] = []
    rejected: list[tuple[int, Any]] = []
    for block in blocks:
        rejected += [(0, refused) for _, refused in block.rejected]
        if not len(block):
            continue
        if not origins or origins[-1] != block.origins[0]:
            origins.append(block.origins[0])
        batches.append(block.batch)
        times.append(times_us(block.batch["timestamp"], reading))
        own = block.numbers
        if own is None:
            own = np.arange(block.first, block.first + len(block))
        numbers.append(own)
        which.append(np.full(len(block), len(origins) - 1, np.int32))
    if not batches:
        if rejected:
            yield Rows(pa.RecordBatch.from_pylist([], pa.schema([])), [], rejected=rejected)
        return
    table = pa.Table.from_batches(_of_one_schema(batches))
    order = np.concatenate(times)
    del times, batches
    order = order.argsort(kind="stable")
    all_numbers, all_which = np.concatenate(numbers), np.concatenate(which)
    for start in range(0, len(order), _ROWS):
        part = order[start : start + _ROWS]
        batch = table.take(pa.array(part)).combine_chunks()
        [rows] = batch.to_batches() or [None]
        yield Rows(
            rows, origins, numbers=all_numbers[part], which=all_which[part], rejected=rejected
        )
        rejected = []


def _of_one_schema(batches: list[Any]) -> list[Any]:
    """Return batches whose columns have the same types: texts, where they differ."""
    from fastanomaly.tables.friends import texts  # noqa: PLC0415

    schemas = {batch.schema.remove_metadata() for batch in batches}
    if len(schemas) == 1:
        return batches
    names = batches[0].schema.names
    differs = {name for name in names if len({b.schema.field(name).type for b in batches}) > 1}
    return [
        pa.RecordBatch.from_arrays(
            [texts(batch[n]) if n in differs else batch[n] for n in names], names
        )
        for batch in batches
    ]
