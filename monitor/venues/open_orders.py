"""The open orders of a feed that names each order: when they were placed, and what is left."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(slots=True)
class OpenOrder:
    """An order that the feed has shown being placed."""

    placed_ts: int
    """ns UTC."""
    left: int
    """The quantity that is left, in the feed's own integer unit."""


class OpenOrders:
    """Open orders by the venue's id. Orders from before the recording are not among them."""

    def __init__(self) -> None:
        self._orders: dict[Hashable, OpenOrder] = {}

    def place(self, key: Hashable, ts: int, quantity: int) -> None:
        """Add an order."""
        self._orders[key] = OpenOrder(ts, quantity)

    def change(self, key: Hashable, left: int) -> int | None:
        """Set what is left of an order; by how much it shrank, None where it is not open."""
        order = self._orders.get(key)
        if order is None:
            return None
        shrank, order.left = order.left - left, left
        return shrank

    def reduce(self, key: Hashable, quantity: int) -> int | None:
        """Subtract `quantity` from an order, remove it when nothing is left; its `placed_ts`."""
        order = self._orders.get(key)
        if order is None:
            return None
        order.left -= quantity
        if order.left <= 0:
            del self._orders[key]
        return order.placed_ts

    def remove(self, key: Hashable) -> OpenOrder | None:
        """Remove an order, and return it as it was."""
        return self._orders.pop(key, None)
