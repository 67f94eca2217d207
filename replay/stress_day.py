"""`brinkwatch stress` on a recorded day: its venue as it stood at a moment, and what shocks do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monitor.config import Config
from monitor.console import Console
from monitor.core.alerts.formatting import format_iso
from monitor.core.cascade.market_stress import ShockRow, SideStress
from monitor.core.cascade.system import CriticalShock
from monitor.core.engine import Engine
from monitor.core.settings import EngineSettings
from monitor.core.venue.stress_test import (
    LATENCY_S,
    SIDES,
    FactorRow,
    StressTest,
    SystemStress,
    VenueStress,
)
from monitor.errors import BrinkwatchError
from replay.day import Day
from replay.day.prefetch import prefetch
from replay.report.document import check_assets
from replay.report.stress import STRESS_ASSETS, stress_report
from replay.run import atomic_file
from replay.selection import check_selection
from replay.workers.shard_task import WINDOWS_PER_CLOSE_MAX

ROWS = 65_536
DEFAULT_SHOCKS = (-0.01, -0.02, -0.05, -0.1, -0.2, 0.01, 0.02, 0.05, 0.1, 0.2)
CURVE_SHOCKS = tuple(n / 400 for n in (*range(1, 21), *range(22, 42, 2), *range(44, 124, 4)))
"""Where curves are computed: each quarter of a per cent up to 5 %, then coarser, to 30 %."""
CURVES_MAX = 60
"""Markets with curves, those of the largest open notional."""
CURVES = ("price_after", "forced_notional", "r")


def stress_day(
    day: Day, config: Config, console: Console, at_ns: int | None, symbols: Sequence[str],
    shocks: Sequence[float], factors: Sequence[float], survives: Sequence[float],
    refill: float, report: Path | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Shock the venue of `day` as it stood at `at_ns` (None: at its end), and show what comes.
    `report`: an HTML file of it to write."""
    if report is not None:
        check_assets(STRESS_ASSETS)
    check_selection(day, frozenset(symbols), None, at_ns)
    with console.progress("reading up to the moment, records", day.record_count) as show:
        engine = engine_at(day, config.engine(), at_ns, show)
    test = StressTest(engine.venue, engine.stage.band_maker)
    stress = test.shock(shocks or DEFAULT_SHOCKS, survives, symbols, factors, refill)
    if not stress.markets:
        raise BrinkwatchError(
            "no market has open positions, a mark and a tier table at that moment: `brinkwatch "
            "replay` on the day says which records it lacks"
        )
    moment = day.span.last_ts if at_ns is None and day.span else at_ns or 0
    describe_stress(moment, stress, console)
    result = stress_object(moment, stress)
    if report is not None:
        html = stress_report(day.path.name, result, stress_curves(test, survives, symbols))
        with atomic_file(report) as file:
            file.write(html.encode())
        console.say(f"the report is in {report}")
    return result


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


def describe_deleveraged(side: SideStress, console: Console) -> None:
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


def describe_system(system: SystemStress, console: Console) -> None:
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


def stress_curves(
    test: StressTest, survives: Sequence[float], symbols: Sequence[str]
) -> dict[str, Any]:
    """What pictures need beside `stress_object`: `open_notional` by market; and of `markets`, those
    asked for (`symbols`; empty: all), at most `CURVES_MAX` of the largest open notional, by side
    the shocks, falling to rising, and for each share of the book what comes of each.
    """
    open_notional = test.open_notional()
    largest = sorted(symbols or open_notional, key=lambda name: (-open_notional[name], name))
    chosen = largest[:CURVES_MAX]
    shocks = [sign * shock for sign in (-1, 1) for shock in CURVE_SHOCKS]
    stressed, _ = test.shock_sides(shocks, survives, chosen)
    markets: dict[str, dict[str, Any]] = {}
    for side in stressed:
        rows = sorted(side.rows, key=lambda row: row.shock)
        curves = []
        for share in survives:
            mine = [row for row in rows if row.survives == share]
            values = {name: [_six_digits(getattr(row, name)) for row in mine] for name in CURVES}
            curves.append({"survives": share, **values})
        market = {"symbol": side.symbol, "mark": side.mark, "sides": {}}
        markets.setdefault(side.symbol, market)["sides"][side.side] = {
            "shocks": sorted({row.shock for row in rows}),
            "curves": curves,
        }
    return {"open_notional": open_notional, "markets": [markets[name] for name in chosen]}


def _six_digits(value: float | None) -> float | None:
    """More than a picture shows."""
    return None if value is None else float(f"{value:.6g}")


def row_object(row: ShockRow) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in ShockRow.__slots__}
    return {**values, "deleveraged": [one._asdict() for one in row.deleveraged]}


def _by_side(critical: Sequence[CriticalShock | None]) -> dict[str, float | None]:
    return {
        side: None if shock is None else _as_fraction(shock.shock, side)
        for side, shock in zip(SIDES, critical, strict=True)
    }


def _as_fraction(shock: float, side: str) -> float:
    return math.expm1(-shock if side == "down" else shock)


def _finite(length: float) -> float | None:
    return length if math.isfinite(length) else None
