"""No market is blind: prices times 10^k and quantities times 10^-k leave every figure as it is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from monitor.core.bands.market_bands import MarketBands
from tests.core.test_shard import at, closed, values
from tests.core.venue.test_state import deposit, leverage, run, table

WINDOWS = 4
_SCALED = {"price": 1, "mark": 1, "index": 1, "last": 1, "entry_price": 1}
_INVERSE = {"quantity": -1, "open_interest": -1}


def _day(seed: int) -> list[dict[str, Any]]:
    """A market around 5 with orders, cancels, fills, books, marks, positions and leverage."""
    rng = np.random.default_rng(seed)

    def price(low: float = 4.9, high: float = 5.1) -> str:
        return f"{rng.uniform(low, high):.4f}"

    def quantity() -> str:
        return f"{rng.uniform(10, 9000):.1f}"

    def side() -> str:
        return str(rng.choice(["buy", "sell"]))

    records: list[dict[str, Any]] = []
    for second in range(WINDOWS):
        best, step = rng.uniform(4.95, 5.0), 0.0013
        for _ in range(3):
            moment = second + float(rng.uniform(0, 0.999))
            ladders = {
                name: [[f"{best + sign * step * (i + 1):.4f}", quantity()] for i in range(8)]
                for name, sign in (("bids", -1), ("asks", 1))
            }
            records.append({"kind": "book", "at": moment, **ladders})
        for i in range(12):
            moment = second + float(rng.uniform(0, 0.999))
            near = price(best - 0.005, best + 0.005)
            common = {"at": moment, "account": f"a{i % 3}", "side": side(), "quantity": quantity()}
            records.append({"kind": "order", "price": near, "action": "new", **common})
            records.append({"kind": "cancel", "price": near, **common})
            records.append({"kind": "fill", "price": near, "liquidity": "taker", **common})
        mark = {"mark": price(4.97, 5.0), "index": price(4.97, 5.0), "open_interest": quantity()}
        records.append({"kind": "mark", "at": second + 0.5, **mark})
    for record in records:
        record["symbol"] = "SOL"
    own = [deposit(f"a{i}", 900 * (i + 1)) for i in range(3)]
    return [table(), *own, leverage("a1", 7, "isolated"), *records]


def _scale(record: dict[str, Any], k: int) -> dict[str, Any]:
    def times(text: str, power: int) -> str:
        return f"{Decimal(text).scaleb(power * k):f}"

    out = dict(record)
    for name, power in (_SCALED | _INVERSE).items():
        if name in out:
            out[name] = times(out[name], power)
    for name in ("bids", "asks"):
        if name in out:
            out[name] = [[times(p, 1), times(q, -1)] for p, q in out[name]]
    return out


def _features(records: list[dict[str, Any]]) -> list[dict[str, float]]:
    public = [r for r in records if r["kind"] in ("order", "cancel", "fill", "book", "mark")]
    timed = [{**r, "ts": at(r["at"])} for r in public]
    parts = closed(sorted(timed, key=lambda r: r["ts"]), WINDOWS)
    return [values(parts, second, "SOL") for second in range(WINDOWS)]


def _bands(records: list[dict[str, Any]]) -> MarketBands:
    (market,) = run(records)[1][-1].markets
    return market


@pytest.mark.parametrize("seed", [1, 2])
def test_features_and_bands_do_not_depend_on_the_unit_of_a_market(seed: int) -> None:
    day = _day(seed)
    plain, plain_bands = _features(day), _bands(day)
    assert plain[2]["cancels_near"] > 0
    assert plain[2]["depth_10bps_bid"] > 0
    assert plain_bands.within.any()
    for k in range(-12, 7):
        scaled = [_scale(record, k) for record in day]
        for before, after in zip(plain, _features(scaled), strict=True):
            before = before | {"open_interest": before["open_interest"] / 10.0**k}
            assert after == pytest.approx(before, rel=1e-7, abs=1e-7), k
        bands = _bands(scaled)
        assert bands.mark == pytest.approx(plain_bands.mark * 10.0**k, rel=1e-12)
        assert bands.depth == pytest.approx(plain_bands.depth, rel=1e-9, nan_ok=True)
        for cells, before_cells in zip(bands.zones, plain_bands.zones, strict=True):
            assert cells.zone.tolist() == before_cells.zone.tolist(), k
            assert cells.units == pytest.approx(before_cells.units, abs=5)
