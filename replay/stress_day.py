"""`brinkwatch stress` on a recorded day: its venue as it stood at a moment, and what shocks do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from monitor.config import Config
from monitor.console import Console
from monitor.core.alerts.formatting import format_iso
from monitor.core.cascade.market_stress import ShockRow, SideStress
from monitor.core.engine import Engine
from monitor.core.margin.mark_response import LATENCY_S
from monitor.core.settings import EngineSettings
from monitor.core.venue.stress_test import (
    SIDES,
    FactorRow,
    StressTest,
    SystemStress,
    VenueStress,
)
from monitor.errors import BrinkwatchError
from replay.day import Day
from replay.day.prefetch import prefetch
from replay.selection import check_selection
from replay.workers.shard_task import WINDOWS_PER_CLOSE_MAX

ROWS = 65_536
DEFAULT_SHOCKS = (-0.01, -0.02, -0.05, -0.1, -0.2, 0.01, 0.02, 0.05, 0.1, 0.2)


def stress_day(
    day: Day, config: Config, console: Console, at_ns: int | None, symbols: Sequence[str],
    shocks: Sequence[float], factors: Sequence[float], survives: Sequence[float],
) -> dict[str, Any]:  # fmt: skip
    """Shock the venue of `day` as it stood at `at_ns` (None: at its end), and show what comes."""
    check_selection(day, frozenset(symbols), None, at_ns)
    with console.progress("reading up to the moment, records", day.record_count) as show:
        engine = engine_at(day, config.engine(), at_ns, show)
    stress = StressTest(engine.venue, engine.stage.band_maker).shock(
        shocks or DEFAULT_SHOCKS, survives, symbols, factors
    )
    if not stress.markets:
        raise BrinkwatchError(
            "no market has open positions, a mark and a tier table at that moment: `brinkwatch "
            "replay` on the day says which records it lacks"
        )
    moment = day.span.last_ts if at_ns is None and day.span else at_ns or 0
    describe_stress(moment, stress, console)
    return stress_object(moment, stress)


def engine_at(day: Day, settings: EngineSettings, at_ns: int | None, show: Any) -> Engine:
    """The engine when everything up to `at_ns` (None: the day's end) has been read, and nothing
    later. It judges nothing: the accounts, marks and books need no detectors.
    """
    bare = settings.model_copy(update={"streams": ()})
    engine = Engine(bare, [], day.partition_count, WINDOWS_PER_CLOSE_MAX)
    engine.control(day.controls(settings.accounts.bands_interval_ns, settings.topics))
    records = 0
    for batch in prefetch(day.batches(ROWS)):
        records += len(batch) + len(batch.refused)
        show(records)
        engine.step(batch if at_ns is None else batch.select_rows(batch.numbers["ts"] <= at_ns))
        if at_ns is not None and engine.passed_ns > at_ns:
            break
    engine.finish()
    return engine


def describe_stress(at_ns: int, stress: VenueStress, console: Console) -> None:
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


def describe_system(system: SystemStress, console: Console) -> None:
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
