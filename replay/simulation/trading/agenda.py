"""What is yet to come at the simulated venue: a list for each coming second of a market, and a heap
for the present second of the market that has its turn."""

from __future__ import annotations

from typing import Any

from numba import njit

from detectors.arrays.types import UNCALLED
from monitor.core.contract.units import SECOND_NS
from replay.simulation.trading.state import AHEAD_S, HEAP_DUE, HEAP_ROW, HEAP_SIZE


@njit(nogil=True, **UNCALLED)
def copy_entry(v: Any, to: Any, of: Any) -> None:
    """Copy one entry of the heap over another."""
    v.heap[to, HEAP_DUE] = v.heap[of, HEAP_DUE]
    v.heap[to, HEAP_ROW] = v.heap[of, HEAP_ROW]


@njit(nogil=True, **UNCALLED)
def push_heap(v: Any, due: Any, row: Any) -> None:
    """Add to the present second."""
    at = v.counts[HEAP_SIZE]
    v.counts[HEAP_SIZE] += 1
    while at > 0:
        above = (at - 1) // 2
        if v.heap[above, HEAP_DUE] <= due:
            break
        copy_entry(v, at, above)
        at = above
    v.heap[at, HEAP_DUE], v.heap[at, HEAP_ROW] = due, row


@njit(nogil=True, **UNCALLED)
def pop_heap(v: Any) -> Any:
    """The row that is due first, taken out."""
    row = v.heap[0, HEAP_ROW]
    v.counts[HEAP_SIZE] -= 1
    size = v.counts[HEAP_SIZE]
    due, last = v.heap[size, HEAP_DUE], v.heap[size, HEAP_ROW]
    at = 0
    while 2 * at + 1 < size:
        below = 2 * at + 1
        if below + 1 < size and v.heap[below + 1, HEAP_DUE] < v.heap[below, HEAP_DUE]:
            below += 1
        if due <= v.heap[below, HEAP_DUE]:
            break
        copy_entry(v, at, below)
        at = below
    v.heap[at, HEAP_DUE], v.heap[at, HEAP_ROW] = due, last
    return row


@njit(nogil=True, **UNCALLED)
def enter(v: Any, row: Any, until: Any) -> None:
    """Put what is due at `due` of its row into the agenda; `until`: the present second's end."""
    order = v.pool[row]
    if order.due < until:
        order.queued = 0
        push_heap(v, order.due, row)
        return
    ahead = min((order.due - until) // SECOND_NS, AHEAD_S - 2)
    slot = (until // SECOND_NS + ahead) % AHEAD_S
    order.queued = v.lists[order.market, slot]
    v.lists[order.market, slot] = row
