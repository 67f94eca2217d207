"""One integer for an account in a market: the key of a position's row.

Symbols take the low 24 bits, which leaves 39 bits for accounts. The functions work on Python
integers, on arrays and inside compiled code.
"""

from __future__ import annotations

from typing import Any

from numba.extending import register_jitable

SYMBOL_BITS = 24


@register_jitable
def pack_key(account: Any, symbol: Any) -> Any:
    """The key of account number `account` in market number `symbol`."""
    return (account << SYMBOL_BITS) | symbol


@register_jitable
def account_of(key: Any) -> Any:
    """The number of the account."""
    return key >> SYMBOL_BITS


@register_jitable
def symbol_of(key: Any) -> Any:
    """The number of the market."""
    return key & ((1 << SYMBOL_BITS) - 1)
