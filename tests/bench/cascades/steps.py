"""The compiled steps of a simulated venue: quotes, marks, forced orders, takeover, deleveraging.

The rules are those that Hyperliquid publishes, executed order by order in a book of discrete
levels; none of the engine's formulas of margin or cascades is in here.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from tests.bench.cascades.state import FIRST_TRADER, LEVEL_TICKS, LEVELS, MAKERS, VAULTS

REFRESH_S = 3
"""Marks are refreshed, and accounts looked at, every so many seconds."""
PREMIUM_S = 150.0
PARTIAL_USD_UNITS = 1_000_000_000
"""100,000 dollars as money: above it a fifth of a position is sent first."""
FIRST_SHARE = 5
COOLDOWN_S = 30
BACKSTOP = 2.0 / 3.0
QUOTED_LEVELS = 1_200
"""Levels that makers quote on each side."""
EVEN_LEVELS = 100
"""Up to here (5 %) all levels are alike; beyond, their quantity falls as 1 / distance."""
ORDER_REACH = 0.1
"""A forced order goes no further than this from the mark (its limit); what is left waits."""
ONE_PERCENT_LEVELS = 20
WITHDRAWAL = 0.5
"""Part of what is too much that makers withdraw in a second."""
MOTION_S = 20.0

step = njit(cache=True, nogil=True)


@step
def quote(c, rules, market):  # type: ignore[no-untyped-def]
    """Makers of one market place, refill and withdraw around `fair`, one second's worth."""
    centre = int(market.fair[c]) // LEVEL_TICKS
    per_level = rules.depth[c] / ONE_PERCENT_LEVELS * market.share[c]
    for k in range(1, QUOTED_LEVELS + 1):
        target = per_level if k <= EVEN_LEVELS else per_level * EVEN_LEVELS / k
        for side in range(2):
            book = market.bid if side == 0 else market.ask
            wrong = market.ask if side == 0 else market.bid
            level = centre - k if side == 0 else centre + k
            if level < 1 or level >= LEVELS:
                continue
            wrong[c, level] = 0
            gap = int(target) - book[c, level]
            if gap > 0:
                book[c, level] += max(1, int(rules.resilience[c] * gap))
            elif gap < 0:
                book[c, level] -= max(1, int(WITHDRAWAL * -gap))
    market.bid[c, centre] = 0
    market.ask[c, centre] = 0


@step
def set_share(c, rules, market):  # type: ignore[no-untyped-def]
    """Makers withdraw as the price moves: none of the depth, up to all but `survives`."""
    moved = abs(math.log(market.fair[c] / market.fair_before[c]))
    market.fair_before[c] = market.fair[c]
    market.motion[c] += (moved - market.motion[c]) / MOTION_S
    hurry = 1.5 * (market.motion[c] / rules.turmoil[c] - 1.0 / 3.0)
    market.share[c] = rules.survives[c] ** min(max(hurry, 0.0), 1.0)


@step
def best_levels(c, market):  # type: ignore[no-untyped-def]
    """The best bid's and ask's levels, near the centre where makers quote."""
    bid = min(int(market.fair[c]) // LEVEL_TICKS, LEVELS - 1)
    ask = bid
    while bid > 0 and market.bid[c, bid] == 0:
        bid -= 1
    while ask < LEVELS - 1 and market.ask[c, ask] == 0:
        ask += 1
    return bid, ask


@step
def trade(c, a, lots, accounts, market):  # type: ignore[no-untyped-def]
    """Account a's market order; what the book does not take stays. Gives money traded.

    The price around which makers quote goes with the last price touched.
    """
    bid, ask = best_levels(c, market)
    sells = lots < 0
    level, left, money = bid if sells else ask, abs(lots), 0
    lowest = market.mark[c] * (1.0 - ORDER_REACH) / LEVEL_TICKS
    highest = market.mark[c] * (1.0 + ORDER_REACH) / LEVEL_TICKS
    while left > 0 and lowest < level < min(highest, LEVELS):
        book = market.bid if sells else market.ask
        size = min(left, book[c, level])
        if size > 0:
            price = level * LEVEL_TICKS
            book[c, level] -= size
            left -= size
            money += size * price
            move_position(c, a, MAKERS, -size if sells else size, price, accounts)
            market.last[c] = price
        if left > 0:
            level += -1 if sells else 1
    if money > 0:
        if sells:
            market.fair[c] = min(market.fair[c], market.last[c] + LEVEL_TICKS)
        else:
            market.fair[c] = max(market.fair[c], market.last[c] - LEVEL_TICKS)
    return money


@step
def move_position(c, a, b, lots, price, accounts):  # type: ignore[no-untyped-def]
    """a buys `lots` (negative: sells) from b at `price`."""
    for who, size in ((a, lots), (b, -lots)):
        before = accounts.quantity[who, c]
        after = before + size
        if before == 0 or (before > 0) != (after > 0):
            accounts.entry[who, c] = price
        elif (before > 0) == (size > 0):
            accounts.entry[who, c] += (price - accounts.entry[who, c]) * size / after
        accounts.quantity[who, c] = after
        accounts.cash[who] -= size * price


@step
def equity(a, accounts, price):  # type: ignore[no-untyped-def]
    total = accounts.cash[a]
    for c in range(len(price)):
        total += accounts.quantity[a, c] * price[c]
    return total


@step
def maintenance(a, accounts, price, rules):  # type: ignore[no-untyped-def]
    """Marginal rates: what lies above the bound pays the high one."""
    total = 0.0
    for c in range(len(price)):
        notional = float(abs(accounts.quantity[a, c]) * price[c])
        total += rules.rate[c] * notional
        total += (rules.high_rate[c] - rules.rate[c]) * max(0.0, notional - rules.bound[c])
    return total


@step
def set_marks(t, outside, market):  # type: ignore[no-untyped-def]
    """The median of oracle + average premium, median of bid, ask and last, and outside perps."""
    for c in range(len(outside)):
        bid, ask = best_levels(c, market)
        low, high = bid * LEVEL_TICKS, ask * LEVEL_TICKS
        gap = (low + high) / 2 - outside[c] - market.premium[c]
        market.premium[c] += gap * (1.0 - math.exp(-1.0 / PREMIUM_S))
        if t % REFRESH_S == 0:
            own = min(max(market.last[c], low), high)
            smooth = outside[c] + round(market.premium[c])
            market.previous_mark[c] = market.mark[c]
            middle = max(min(own, smooth), min(max(own, smooth), outside[c]))
            market.mark[c] = middle


@step
def deleverage(a, t, accounts, market, history):  # type: ignore[no-untyped-def]
    """Close all of an account's positions against the ranked other side, at the mark before."""
    for c in range(len(market.mark)):
        lots = accounts.quantity[a, c]
        if lots == 0:
            continue
        score = np.full(len(accounts.cash), -1.0)
        for b in range(FIRST_TRADER, len(accounts.cash)):
            size = accounts.quantity[b, c]
            if size * lots < 0:
                value = max(1.0, float(equity(b, accounts, market.mark)))
                leverage = abs(size) * market.mark[c] / value
                gain = market.mark[c] / accounts.entry[b, c]
                score[b] = leverage * (gain if size > 0 else 1.0 / gain)
        price = market.previous_mark[c]
        for b in np.argsort(-score):
            if accounts.quantity[a, c] == 0 or score[b] < 0.0:
                break
            left = accounts.quantity[a, c]
            size = min(abs(left), abs(accounts.quantity[b, c]))
            move_position(c, a, b, -size if left > 0 else size, price, accounts)
            history.deleveraged[t, c] += size * price
            history.adl_fills[t, c] += 1
        left = accounts.quantity[a, c]
        if left != 0:
            move_position(c, a, MAKERS, -left, price, accounts)
            history.deleveraged[t, c] += abs(left) * price
            history.adl_fills[t, c] += 1


@step
def take_over(a, t, accounts, market, rules, history):  # type: ignore[no-untyped-def]
    """The vaults take an account's positions at the mark, and the largest one's what is left."""
    largest, vault = -1, VAULTS
    for c in range(len(market.mark)):
        lots = accounts.quantity[a, c]
        if lots == 0:
            continue
        price = market.mark[c]
        history.taken[t, c] += abs(lots) * price
        if abs(lots) * price > largest:
            largest, vault = abs(lots) * price, VAULTS + rules.group[c]
        move_position(c, VAULTS + rules.group[c], a, lots, price, accounts)
    accounts.cash[vault] += accounts.cash[a]
    accounts.cash[a] = 0


@step
def send_orders(a, t, now, accounts, market, history):  # type: ignore[no-untyped-def]
    """Market orders for an account's positions: a fifth of large ones first, later the rest."""
    again = accounts.last_order[a] >= 0
    accounts.last_order[a] = now
    for c in range(len(market.mark)):
        lots = accounts.quantity[a, c]
        if lots == 0:
            continue
        if abs(lots) * market.mark[c] > PARTIAL_USD_UNITS and not again:
            lots = lots // FIRST_SHARE if lots > 0 else -(-lots // FIRST_SHARE)
        money = trade(c, a, -lots, accounts, market)
        if lots > 0:
            history.sold[t, c] += money
            history.low[t, c] = min(history.low[t, c], market.last[c])
        else:
            history.bought[t, c] += money
            history.high[t, c] = max(history.high[t, c], market.last[c])


@step
def charge_debt(a, accounts, rules):  # type: ignore[no-untyped-def]
    """An account without positions cannot owe: the first vault pays."""
    if accounts.cash[a] < 0 and not accounts.quantity[a].any():
        accounts.cash[VAULTS] += accounts.cash[a]
        accounts.cash[a] = 0


@step
def look_at_accounts(t, now, accounts, market, rules, history):  # type: ignore[no-untyped-def]
    """What the venue does at a refresh of the marks."""
    for a in range(FIRST_TRADER, len(accounts.cash)):
        if not accounts.quantity[a].any():
            continue
        value = equity(a, accounts, market.mark)
        need = maintenance(a, accounts, market.mark, rules)
        if value < 0:
            for c in range(len(market.mark)):
                history.taken[t, c] += abs(accounts.quantity[a, c]) * market.mark[c]
            deleverage(a, t, accounts, market, history)
        elif value < BACKSTOP * need:
            take_over(a, t, accounts, market, rules, history)
        elif value < need:
            last = accounts.last_order[a]
            if last < 0 or now - last >= COOLDOWN_S:
                send_orders(a, t, now, accounts, market, history)
        charge_debt(a, accounts, rules)
    for vault in range(VAULTS, FIRST_TRADER):
        if accounts.quantity[vault].any() and equity(vault, accounts, market.mark) < 0:
            deleverage(vault, t, accounts, market, history)


@step
def run_seconds(begin, outside, rules, accounts, market, history):  # type: ignore[no-untyped-def]
    """One row of `outside` (ticks, by market) a second, from the second `begin` on."""
    for t in range(len(outside)):
        now = begin + t
        for c in range(outside.shape[1]):
            # Makers go with the outside price at once; a displacement comes back slowly.
            market.fair[c] += outside[t, c] - market.outside[c]
            market.fair[c] += rules.resilience[c] * (outside[t, c] - market.fair[c])
            market.outside[c] = outside[t, c]
            set_share(c, rules, market)
            quote(c, rules, market)
            centre = int(market.fair[c]) // LEVEL_TICKS
            for k in range(1, ONE_PERCENT_LEVELS + 1):
                if centre - k > 0 and centre + k < LEVELS:
                    history.depth_bid[t, c] += market.bid[c, centre - k]
                    history.depth_ask[t, c] += market.ask[c, centre + k]
            bid, ask = best_levels(c, market)
            market.last[c] = min(max(market.last[c], bid * LEVEL_TICKS), ask * LEVEL_TICKS)
            history.low[t, c] = market.last[c]
            history.high[t, c] = market.last[c]
        set_marks(now, outside[t], market)
        if now % REFRESH_S == 0:
            look_at_accounts(t, now, accounts, market, rules, history)
        for c in range(outside.shape[1]):
            history.outside[t, c] = outside[t, c]
            history.mark[t, c] = market.mark[c]
