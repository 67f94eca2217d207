"""What shocks do to a venue: tables and sentences for people, and plain values for programs."""

from __future__ import annotations

import math
from typing import Any

from monitor.console import Display
from monitor.core.alerts.formatting import format_iso
from monitor.core.cascade.market_stress import ShockRow, SideStress
from monitor.core.venue.stress_test import (
    LATENCY_S,
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
    head = [
        "shock",
        "book left",
        "forced",
        "mark after",
        "times the shock",
        "shortfall",
        "ADL",
        "R",
    ]
    for side in stress.markets:
        rows = [
            [
                f"{row.shock:+.1%}", f"{row.survives:.0%}", f"{row.forced_notional:,.0f}",
                "no book" if row.price_after is None else f"{row.price_after:.6g}",
                "" if row.multiplier is None else f"{row.multiplier:.2f}",
                f"{row.shortfall:,.0f}", f"{row.adl_notional:,.0f}",
                "" if row.r is None else f"{row.r:.2f}",
            ]
            for row in side.rows
        ]  # fmt: skip
        console.table(f"{side.symbol} at {side.mark:.6g}, {side.side}", head, rows)
        console.say(describe_critical(side))
    describe_system(stress.system, console)


def describe_system(system: SystemStress, console: Display) -> None:
    """All markets together."""
    rows = [
        [f"{r.shock:+.1%}", f"{r.survives:.0%}", f"{r.forced_notional:,.0f}", f"{r.pools:,}"]
        for r in system.factor
    ]
    if rows:
        console.table("all markets together", ["shock", "book left", "forced", "pools"], rows)
    shocks = [
        f"{side} none within 39 %" if critical is None
        else f"{-critical.shock if side == 'down' else critical.shock:+.2%} "
        f"(jumps {critical.length:.2%} further, {critical.pools:,} pools)"
        for side, critical in zip(("down", "up"), system.critical, strict=True)
    ]  # fmt: skip
    console.say(f"all markets together: R {system.r:.2f}; critical shock {'; '.join(shocks)}")
    for edge in system.edges[:5]:
        through = f"{edge.accounts:,} account" + ("s" if edge.accounts > 1 else "")
        console.say(
            f"  {edge.source} {edge.side} 1 % moves {edge.target} by {edge.k:.3f} %, "
            f"through {through}"
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
            "rows": [
                {name: getattr(row, name) for name in ShockRow.__slots__} for row in side.rows
            ],
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
        })  # fmt: skip
    system = stress.system
    shocks = zip(SIDES, system.critical, strict=True)
    return {
        "at": at_ns,
        "markets": markets,
        "system": {
            "r": system.r,
            "critical_factor_shock": {
                side: None if critical is None else _as_fraction(critical.shock, side)
                for side, critical in shocks
            },
            "edges": [
                {"from": e.source, "to": e.target, "k": e.k, "accounts": e.accounts, "side": e.side}
                for e in system.edges
            ],
            "factor_rows": [
                {name: getattr(row, name) for name in FactorRow.__slots__} for row in system.factor
            ],
        },
        "unknown": list(stress.unknown),
    }


def _as_fraction(shock: float, side: str) -> float:
    return math.expm1(-shock if side == "down" else shock)


def _finite(length: float) -> float | None:
    return length if math.isfinite(length) else None
