"""Reading a day ahead of whoever works on it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from monitor.core.decode.batch import Batch


def prefetch(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches; a thread reads the next one while the engine works on the one before."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch
