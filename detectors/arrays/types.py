"""One name for each type of array: numpy's for Python's signatures, numba's for compiled ones.

Compiled names say the kind of number and the dimensions: `F2` is a two-dimensional array of
float64 in C order. An R before it means that it may be read-only, which accepts both. A signature
of scalars uses `FLOAT`, `INT`, `UINT` and `BOOL`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
UInt64 = NDArray[np.uint64]
Bool = NDArray[np.bool_]

FLOAT, INT, UINT, BOOL = types.float64, types.int64, types.uint64, types.boolean

F1, F2, F3 = types.float64[::1], types.float64[:, ::1], types.float64[:, :, ::1]
FLOAT32_1, FLOAT32_2 = types.float32[::1], types.float32[:, ::1]
I1, I2, I3 = types.int64[::1], types.int64[:, ::1], types.int64[:, :, ::1]
INT32_1 = types.int32[::1]
U1, UINT16_1 = types.uint64[::1], types.uint16[::1]
B1, B2 = types.boolean[::1], types.boolean[:, ::1]

RF1 = types.Array(types.float64, 1, "C", readonly=True)
RI1 = types.Array(types.int64, 1, "C", readonly=True)
RI2 = types.Array(types.int64, 2, "C", readonly=True)
RU1 = types.Array(types.uint64, 1, "C", readonly=True)
RBYTES = types.Array(types.uint8, 1, "C", readonly=True)

UNCALLED: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Options of helpers that only compiled loops call: they compile faster without an entry for
Python."""
