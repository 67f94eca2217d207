"""Bands as records of the topic `brinkwatch.bands`: one JSON object a market, and one of the venue.

Keys are sorted and there is no wall-clock time: two runs can be compared byte for byte. Zone z is
from 5z up to 5(z + 1) bps from the mark, below it for longs and above it for shorts. Notional is in
the quote currency, to the cent. Nothing here is computed unless somebody asks for records.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from detectors.arrays.types import Float64, Int64
from monitor.core.bands.cascades import MarketCascade, as_fraction
from monitor.core.bands.layout import BIN_WIDTH, EDGE_ZONES, LEVERAGE_EDGES, LEVERAGE_TIERS
from monitor.core.bands.market_bands import NEAR_FRACTION, MarketBands, VenueBands
from monitor.core.contract.fixed_point import MONEY_SCALE
from monitor.core.marks.touch_probability import HORIZONS_S, touch_chances

SIDES = ("long", "short")
MODES = ("cross", "isolated")
STAGE_NAMES = ("stressed", "held_back", "backstop", "bankrupt")
LEVERAGE_NAMES = tuple(
    f"{low:g}-{high:g}" if high else f"{low:g}+"
    for low, high in zip((0.0, *LEVERAGE_EDGES), (*LEVERAGE_EDGES, None), strict=True)
)
EDGES_PCT = tuple(round(float(edge) * BIN_WIDTH * 100, 6) for edge in EDGE_ZONES)


def band_records(bands: VenueBands) -> list[tuple[str, bytes]]:
    """Key (the symbol; "" for the venue) and value of every record, in the order of the symbols."""
    markets = [(market.symbol, market_record(bands.ts, market)) for market in bands.markets]
    encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
    return [(key, encode(rec).encode()) for key, rec in [("", venue_record(bands)), *markets]]


def venue_record(bands: VenueBands) -> dict[str, Any]:
    """What belongs to no single market: pools, and the cross accounts along a common factor."""
    moves = {}
    for name, by_zone in zip(("fall", "rise"), bands.by_factor, strict=True):
        zone = np.flatnonzero(by_zone)
        moves[name] = {"zone": zone.tolist(), "notional": _quote_amounts(by_zone[zone])}
    return {
        "kind": "bands",
        "ts": bands.ts,
        "symbol": None,
        "pools": bands.pools,
        "unknown_pools": bands.unknown,
        "assumed_margins": bands.assumed,
        "left_out": dict(bands.left_out),
        "collateral_outside": {
            "accounts": bands.collateral_outside[0],
            "sum": bands.collateral_outside[1] / MONEY_SCALE,
        },
        "printed_prices": {name: n for name, n in sorted(bands.printed_prices.items()) if n},
        "zone_bps": BIN_WIDTH * 1e4,
        "common_factor": moves,
    }


def market_record(ts: int, market: MarketBands) -> dict[str, Any]:
    """Everything about one market."""
    path = market.path
    return {
        "kind": "bands",
        "ts": ts,
        "symbol": market.symbol,
        "mark": market.mark,
        "mark_age_s": _number_or_none(market.mark_age_s),
        "market_price": market.market_price,
        "doubts": list(market.doubts),
        "at_market": _at_market(market.at_market),
        "regime": market.regime,
        "estimate": market.estimate is not None,
        "assumptions": market.estimate or {},
        "sigma": None if market.sigma is None else _round_six_digits(market.sigma),
        "grain_s": _round_six_digits(market.grain_s),
        "horizons_s": list(HORIZONS_S),
        "zone_bps": BIN_WIDTH * 1e4,
        "path": {
            "steps": list(path.steps),
            "first_share": float(path.first_share),
            "partial_above": None if path.partial_above is None else float(path.partial_above),
            "cooldown_s": path.cooldown_s,
            "adl": path.adl,
        },
        "cascade": _cascade(market.cascade),
        **{name: _side(market, side) for side, name in enumerate(SIDES)},
    }


def _cascade(cascade: MarketCascade | None) -> dict[str, Any] | None:
    """What a shock would set off, for each share of the book."""
    if cascade is None:
        return None
    sides = {}
    for side, name in enumerate(SIDES):
        rate, shock, jump, forced = cascade.sides[side].answers.T.tolist()
        sides[name] = {
            "r": [_number_or_none(value) for value in rate],
            "critical_shock": [None if s != s else as_fraction(s, side) for s in shock],
            "jump": [_number_or_none(value) for value in jump],
            "forced": [None if f != f else round(f, 2) for f in forced],
        }
    return {
        "survives": [_number_or_none(share) for share in cascade.survives],
        "kappa": _round_six_digits(cascade.kappa),
        "hour_move": _number_or_none(cascade.hour),
        **sides,
    }


def _at_market(market: MarketBands | None) -> dict[str, Any] | None:
    """What a market's own price would force, where its mark is in doubt."""
    if market is None:
        return None
    wanted = "nearest", "distance_pct"
    sides: dict[str, Any] = {}
    for side, name in enumerate(SIDES):
        record = _side(market, side)
        within = [{"pct": at["pct"], "forced": at["forced"]} for at in record["within"]]
        sides[name] = {**{key: record[key] for key in wanted}, "within": within}
    return {"price": market.mark, **sides}


def _side(market: MarketBands, side: int) -> dict[str, Any]:
    nearest = market.nearest_forced_price[side]
    distance = None if nearest is None else abs(nearest / market.mark - 1.0)
    forced_within = _quote_amounts(market.within[side])
    chances = _chances(market, side, np.concatenate(([distance or 0.0], EDGE_ZONES * BIN_WIDTH)))
    near = market.forced_near[side]
    zones, stages = market.zones[side], market.stages[side]
    return {
        "nearest": nearest,
        "distance_pct": None if distance is None else _round_six_digits(distance * 100),
        "chance": None if chances is None or nearest is None else chances[0],
        "within": [
            {
                "pct": pct,
                "forced": forced,
                "depth": _number_or_none(float(market.depth[side, edge])),
                "absorbed": _number_or_none(market.absorbed_share(side, edge)),
                "chance": None if chances is None else chances[edge + 1],
            }
            for edge, (pct, forced) in enumerate(zip(EDGES_PCT, forced_within, strict=True))
        ],
        "holders": [
            {
                "account": name,
                "notional": units / MONEY_SCALE,
                "share": _round_six_digits(units / MONEY_SCALE / near),
            }
            for name, units in market.top[side]
        ],
        "holders_within_pct": NEAR_FRACTION * 100,
        "zones": {
            "zone": zones.zone.tolist(),
            "mode": [MODES[g] for g in (zones.part // LEVERAGE_TIERS).tolist()],
            "leverage": [LEVERAGE_NAMES[g] for g in (zones.part % LEVERAGE_TIERS).tolist()],
            "notional": _quote_amounts(zones.units),
        },
        "stages": {
            "zone": stages.zone.tolist(),
            "stage": [STAGE_NAMES[s] for s in stages.part.tolist()],
            "notional": _quote_amounts(stages.units),
        },
    }


def _chances(market: MarketBands, side: int, distances: Float64) -> list[list[float]] | None:
    """By distance: the chance that the mark moves so far within each horizon; None: not known."""
    if market.sigma is None:
        return None
    sign = -1.0 if side == 0 else 1.0
    logs = np.log(np.maximum(1.0 + sign * distances, 1e-9))
    by_horizon = [
        touch_chances(logs, market.sigma, horizon, grain_s=market.grain_s) for horizon in HORIZONS_S
    ]
    return [[_round_six_digits(p[i]) for p in by_horizon] for i in range(len(distances))]


def _quote_amounts(units: Int64) -> list[float]:
    amounts: list[float] = np.round(units / MONEY_SCALE, 2).tolist()
    return amounts


def _number_or_none(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else _round_six_digits(value)


def _round_six_digits(value: float) -> float:
    """Six digits: what is published must not depend on the last bit of a logarithm."""
    return float(f"{value:.6g}")
