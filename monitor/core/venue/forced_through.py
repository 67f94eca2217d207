"""Through whom a fall or a rise of one market forces its positions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from monitor.core.bands.maker import BandMaker

ACCOUNTS_SHOWN = 5
"""Accounts that are named."""


class ForcedThrough(NamedTuple):
    """The largest accounts with their shares of what is forced; and what of it goes through cross
    accounts that hold other markets: the share, how many they are, the market that most of it
    holds beside, and how many more they hold."""

    accounts: list[tuple[str, float]]
    share: float
    cross_accounts: int
    also: str
    also_more: int

    @classmethod
    def find(cls, maker: BandMaker, k: int, side: int, zones: int) -> ForcedThrough:
        """Of `zones` zones of one side of the market at place `k` of the last bands."""
        pools, units = maker.forced_pools(k, side, zones)
        positions, names = maker.pools.update(), maker.pools.market_names
        total = max(1, int(units.sum()))
        by_account: dict[str, int] = {}
        accounts = maker.account_names(pools)
        for name, amount in zip(accounts, units.tolist(), strict=True):
            by_account[name] = by_account.get(name, 0) + amount
        most = sorted(by_account.items(), key=lambda pair: (-pair[1], pair[0]))[:ACCOUNTS_SHOWN]
        length = positions.length[pools].astype(np.int64)
        owner = np.repeat(np.arange(len(pools)), length)
        begin = positions.start[pools] - (np.cumsum(length) - length)
        market = positions.market[begin[owner] + np.arange(len(owner))]
        beside = (market != maker.order[k]) & ~positions.isolated[pools[owner]]
        cross = np.unique(owner[beside])
        weights = units[owner[beside]].astype(np.float64)
        by_market = np.bincount(market[beside], weights, len(names))
        others = sorted(
            np.flatnonzero(by_market).tolist(), key=lambda m: (-float(by_market[m]), names[m])
        )
        return cls(
            [(name, amount / total) for name, amount in most],
            int(units[cross].sum()) / total, len(cross),
            names[others[0]] if others else "", max(0, len(others) - 1),
        )  # fmt: skip
