"""What shocks do to a venue: tables and sentences for people, and plain values for programs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from monitor.console import Display
from monitor.core.alerts.formatting import format_iso
from monitor.core.cascade.graph.system import CriticalShock
from monitor.core.cascade.market_stress import ShockRow, SideStress
from monitor.core.margin.mark_response import LATENCY_S
from monitor.core.venue.answers.stress_test import (
    SIDES,
    FactorRow,
    SystemStress,
    VenueStress,
)


def describe_stress(at_ns: int, stress: VenueStress, console: Display) -> None:
    """For people: what is not known first, then a table and a sentence for each side."""
    for line in stress.unknown:
        console.say(f"not known: {line}")
    console.say(
        f"as of {format_iso(at_ns)}; a mark that follows its book is taken to do so for "
        f"{LATENCY_S:g} s"
    )
    console.say(
        "read each shock as a range: from the shock itself, where what is forced moves nothing, to "
        "the furthest of its rows"
    )
    head = [
        "shock",
        "book left",
        "forced",
        "mark after",
        "times the shock",
        "shortfall",
        "fund pays",
        "backstop",
        "ADL",
        "R",
    ]
    for side in stress.markets:
        rows = [
            [
                f"{row.shock:+.1%}", f"{row.survives:.0%}", f"{row.forced_notional:,.0f}",
                "no book" if row.price_after is None else f"{row.price_after:.6g}",
                "" if row.multiplier is None else f"{row.multiplier:.2f}",
                f"{row.shortfall:,.0f}", f"{row.fund_paid:,.0f}",
                f"{row.backstop_notional:,.0f}", f"{row.adl_notional:,.0f}",
                "" if row.r is None else f"{row.r:.2f}",
            ]
            for row in side.rows
        ]  # fmt: skip
        console.table(f"{side.symbol} at {side.mark:.6g}, {side.side}", head, rows)
        describe_deleveraged(side, console)
        console.say(describe_critical(side))
    describe_system(stress.system, console)


def describe_deleveraged(side: SideStress, console: Display) -> None:
    """Whose positions are closed against those that nobody takes, where that is the most."""
    row = max(side.rows, key=lambda row: row.adl_notional)
    if not row.deleveraged:
        return
    title = (
        f"{side.symbol} {row.shock:+.1%} with {row.survives:.0%} of the book: deleveraged, the "
        f"largest {len(row.deleveraged)}"
    )
    rows = [
        [f"{one.rank:,}", one.account, f"{one.quantity:.6g}", f"{one.notional:,.0f}"]
        for one in row.deleveraged
    ]
    console.table(title, ["rank", "account", "quantity", "notional"], rows)


def describe_system(system: SystemStress, console: Display) -> None:
    """All markets together."""
    rows = [
        [
            f"{r.shock:+.1%}",
            f"{r.survives:.0%}",
            f"{r.rounds[-1].forced_notional:,.0f}",
            f"{r.forced_notional:,.0f}",
            f"{r.pools:,}",
        ]
        for r in system.factor
    ]
    in_time = f"in {LATENCY_S:g} s"
    if rows:
        console.table(
            "all markets together", ["shock", "book left", in_time, "forced", "pools"], rows
        )
    shocks = [
        f"{side} none within 39 %" if critical is None
        else f"{-critical.shock if side == 'down' else critical.shock:+.2%} "
        f"(jumps {critical.length:.2%} further, {critical.pools:,} pools)"
        for side, critical in zip(SIDES, system.critical, strict=True)
    ]  # fmt: skip
    console.say(f"all markets together: R {system.r:.2f}; critical shock {'; '.join(shocks)}")
    carrying = sorted(system.edges, key=lambda edge: -edge.share)
    for edge in carrying[:5]:
        through = f"{edge.accounts:,} account" + ("s" if edge.accounts != 1 else "")
        index = f" ({edge.k_index:.3f} % through indices)" if edge.k_index > 0.0 else ""
        largest = f", the largest {edge.holders[0][0]}" if edge.holders else ""
        console.say(
            f"  {edge.source} {edge.side} 1 % moves {edge.target} by {edge.k:.3f} %{index}, "
            f"through {through}{largest}; it carries {edge.share:.0%} of R"
        )
    if system.branching_ratio is not None:
        console.say(
            f"of the last liquidations each set off {system.branching_ratio:.2f} others (what hits "
            "many accounts from outside looks the same)"
        )


def describe_critical(side: SideStress) -> str:
    """Where the market runs on by itself, for each share of the book."""
    parts = []
    for share, jump in side.critical:
        if jump is None:
            parts.append(f"none with {share:.0%} of the book")
        else:
            sign = -1 if side.side == "down" else 1
            prices = f"{jump.steps:,} liquidation price" + ("s" if jump.steps > 1 else "")
            parts.append(
                f"{sign * jump.shock:+.2%} with {share:.0%} of the book (jumps {jump.length:.2%} "
                f"further, past {prices})"
            )
    return f"critical shock {side.side}: " + "; ".join(parts)


def stress_object(at_ns: int, stress: VenueStress) -> dict[str, Any]:
    """What `brinkwatch stress --json` prints."""
    markets = []
    for side in stress.markets:
        first = side.critical[0][1]
        markets.append({
            "symbol": side.symbol, "mark": side.mark, "side": side.side,
            "rows": [row_object(row) for row in side.rows],
            "ranges": _ranges(side),
            "critical_shock": None if first is None else _as_fraction(first.shock, side.side),
            "jump": None if first is None else _finite(first.length),
            "critical": [
                {
                    "survives": share,
                    "shock": None if jump is None else _as_fraction(jump.shock, side.side),
                    "jump": None if jump is None else _finite(jump.length),
                    "prices_passed": None if jump is None else jump.steps,
                }
                for share, jump in side.critical
            ],
            "branching_ratio": stress.branching_ratios.get(side.symbol),
        })  # fmt: skip
    system = stress.system
    return {
        "at": at_ns,
        "markets": markets,
        "system": {
            "r": system.r,
            "r_accounts": system.r_accounts,
            "critical_factor_shock": _by_side(system.critical),
            "critical_market_shocks": {
                name: _by_side(critical) for name, critical in system.critical_markets.items()
            },
            "edges": [
                {
                    "from": e.source,
                    "to": e.target,
                    "k": e.k,
                    "k_accounts": e.k_accounts,
                    "k_index": e.k_index,
                    "accounts": e.accounts,
                    "side": e.side,
                    "share_of_r": e.share,
                    "holders": [{"account": name, "sends": amount} for name, amount in e.holders],
                }
                for e in system.edges
            ],
            "betas": system.betas,
            "factor_rows": [
                {name: getattr(row, name) for name in FactorRow.__slots__}
                | {"rounds": [round_._asdict() for round_ in row.rounds]}
                for row in system.factor
            ],
            "branching_ratio": system.branching_ratio,
        },
        "unknown": list(stress.unknown),
    }


def row_object(row: ShockRow) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in ShockRow.__slots__}
    return {**values, "deleveraged": [one._asdict() for one in row.deleveraged]}


def _by_side(critical: Sequence[CriticalShock | None]) -> dict[str, float | None]:
    return {
        side: None if shock is None else _as_fraction(shock.shock, side)
        for side, shock in zip(SIDES, critical, strict=True)
    }


def _ranges(side: SideStress) -> list[dict[str, float | None]]:
    """Of each shock the marks between which it comes to rest: `near`, where what is forced moves
    nothing, and `far`, the furthest of its rows; None: there is no book."""
    ranges = []
    for shock in dict.fromkeys(row.shock for row in side.rows):
        ends = [row.price_after for row in side.rows if row.shock == shock]
        there = [end for end in ends if end is not None]
        furthest = min if shock < 0 else max
        far = furthest(there) if len(there) == len(ends) else None
        ranges.append({"shock": shock, "near": side.mark * (1 + shock), "far": far})
    return ranges


def _as_fraction(shock: float, side: str) -> float:
    return math.expm1(-shock if side == "down" else shock)


def _finite(length: float) -> float | None:
    return length if math.isfinite(length) else None
