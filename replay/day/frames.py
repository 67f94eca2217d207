"""Tables for analysis: real numbers instead of integers, timestamps, pandas frames."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from monitor.core.decode.batch import COLUMNS

TIMESTAMP = pa.timestamp("ns", "UTC")


def to_real_units(table: pa.Table, kind: str, exact: bool = False) -> pa.Table:
    """A table of `columns.schema(kind)` with real numbers instead of multiples of 1e-8 or 1e-6.

    `exact`: decimals of 8 or 6 places; otherwise doubles, which have about 16 digits.
    """
    times = {column.name for column in COLUMNS[kind] if column.type == "time"}
    columns = {}
    for field in table.schema:
        values = table.column(field.name).combine_chunks()
        scale = (field.metadata or {}).get(b"scale")
        if field.name in times:
            values = values.cast(TIMESTAMP)
        elif scale is not None:
            values = _divide(values, len(scale) - 1, exact)
        columns[field.name] = values
    return pa.table(columns)


def to_pandas(table: pa.Table) -> Any:
    """`table` as a pandas DataFrame; raises `ImportError` where pandas is not installed."""
    if find_spec("pandas") is None:
        raise ImportError("to_pandas() needs pandas: run `pip install pandas`, or use to_arrow()")
    return table.to_pandas()


def _divide(values: pa.Array, places: int, exact: bool) -> pa.Array:
    """int64 values, or lists of them, divided by 10 to the power `places`."""
    if isinstance(values, pa.ListArray):
        return pa.ListArray.from_arrays(values.offsets, _divide(values.values, places, exact))
    if not exact:
        return pc.divide(values.cast(pa.float64(), safe=False), 10.0**places)
    # Same digits, other scale: the decimal point moves without any arithmetic.
    integers = values.cast(pa.decimal128(19, 0))
    target = pa.decimal128(19, places)
    return pa.Array.from_buffers(target, len(values), integers.buffers(), offset=integers.offset)
