"""What the engine says of a simulated venue: it gets the venue's records, as from any other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from detectors.arrays.types import Bool, Float64
from monitor.core.contract.events import TOPICS, Control
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.codec import decode
from monitor.core.engine import Engine
from monitor.core.settings import AccountSettings, EngineSettings
from monitor.core.venue.answers.stress_test import StressTest
from tests.bench.cascades.state import (
    FIRST_TRADER,
    LEVEL_TICKS,
    START_TICKS,
    UNITS_PER_USD,
    VAULTS,
)
from tests.bench.cascades.venue import SimulatedVenue

BEGIN_NS = 1_764_000_000_000_000_000
PRICE = 1_000.0
"""Ticks of a unit of price, so that markets begin at 100; a lot is then a tenth of a coin."""
LOTS = START_TICKS / PRICE / 10.0
LOOK_S = 15
"""The engine's bands, and a look at the venue, come every so many seconds."""
SHOWN_LEVELS = 20
"""Levels of the book that the venue publishes on each side: 1 %."""


class EngineView:
    """An engine that reads what `venue` publishes: rules, positions and deposits at once, marks,
    books and forced fills when `read` is called, which must be each `LOOK_S`: after a longer gap
    a record counts as one from the future. `terms`: what the markets' reference names beside the
    venue's own rules."""

    def __init__(
        self, venue: SimulatedVenue, isolated: Bool, names: Sequence[str], terms: Mapping[str, str]
    ) -> None:
        settings = EngineSettings(streams=(), accounts=AccountSettings(bands_every_s=LOOK_S))
        self._engine = Engine(settings, [])
        self._names = names
        self._offsets = dict.fromkeys(TOPICS, 0)
        self._send("reference", self._references(venue, terms) + self._positions(venue, isolated))
        self._send("collateral", self._deposits(venue, isolated))
        self._isolated = isolated
        self._quantity = venue.accounts.quantity.copy()
        self._deposit = self._all_deposits(venue)
        self._pass(0)

    def stress_test(self) -> StressTest:
        """The venue as it was when it was last read."""
        return StressTest(self._engine.venue, self._engine.stage.band_maker)

    def read(self, venue: SimulatedVenue, second: int) -> None:
        """The venue as it stands, which counts as the end of `second`."""
        market, marks, books = venue.market, [], []
        for c, name in enumerate(self._names):
            common = {"symbol": name, "ts": BEGIN_NS + second * SECOND_NS}
            price = {"mark": market.mark[c] / PRICE, "index": market.outside[c] / PRICE}
            marks.append({"kind": "mark", **common, **{k: f"{v:.6f}" for k, v in price.items()}})
            centre = int(market.fair[c]) // LEVEL_TICKS
            sides = {}
            for side, book, step in (("bids", market.bid[c], -1), ("asks", market.ask[c], 1)):
                levels = centre + step * np.arange(1, len(book))
                levels = levels[(levels > 0) & (levels < len(book))]
                levels = levels[book[levels] > 0][:SHOWN_LEVELS]
                sides[side] = [
                    [f"{level * LEVEL_TICKS / PRICE:.6f}", f"{book[level] / LOTS:.6f}"]
                    for level in levels.tolist()
                ]
            books.append({"kind": "book", **common, **sides})
        self._send_changes(venue, second)
        self._send("mark", marks)
        self._send("book", books)
        self._pass(second)

    def _send_changes(self, venue: SimulatedVenue, second: int) -> None:
        """Forced fills at the mark; what they really cost comes as an adjustment."""
        quantity, fills, moves = venue.accounts.quantity, [], []
        deposit = self._all_deposits(venue)
        changes = quantity - self._quantity
        changed = FIRST_TRADER + np.flatnonzero(changes[FIRST_TRADER:].any(axis=1))
        for row in changed.tolist():
            common = {"ts": BEGIN_NS + second * SECOND_NS, "account": f"a{row}"}
            gain = 0.0
            for c in np.flatnonzero(changes[row]).tolist():
                lots, mark = int(changes[row, c]), int(venue.market.mark[c])
                # The engine books the gain of what is closed; deposits here lack it until now.
                gain -= lots * (mark - float(venue.accounts.entry[row, c])) / UNITS_PER_USD
                fills.append({
                    "kind": "fill", **common, "symbol": self._names[c], "cause": "liquidation",
                    "side": "buy" if lots > 0 else "sell", "price": f"{mark / PRICE:.6f}",
                    "quantity": f"{abs(lots) / LOTS:.6f}", "liquidity": "taker",
                })  # fmt: skip
            amount = deposit[row] - self._deposit[row] - gain
            if quantity[row].any() and not self._isolated[row] and abs(amount) >= 1e-6:
                moves.append({
                    "kind": "collateral", **common, "cause": "adjustment",
                    "amount": f"{amount:.6f}",
                })  # fmt: skip
        self._quantity, self._deposit = quantity.copy(), deposit
        self._send("fill", fills)
        self._send("collateral", moves)

    def _send(self, kind: str, records: list[dict[str, Any]]) -> None:
        if not records:
            return
        raws = [json.dumps(record).encode() for record in records]
        first = self._offsets[kind]
        self._offsets[kind] += len(raws)
        offsets = np.arange(first, first + len(raws))
        batch = decode(kind, TOPICS[kind], 0, offsets, raws)
        if batch.refused:
            raise AssertionError(f"the engine refuses a simulated record: {batch.refused[0]}")
        self._engine.step(batch)

    def _pass(self, second: int) -> None:
        """All records up to the end of `second` have come."""
        until = BEGIN_NS + (second + 1) * SECOND_NS
        self._engine.control([
            Control(topic=topic, partition=0, offset=self._offsets[kind], ts=until)
            for kind, topic in TOPICS.items()
        ])  # fmt: skip

    def _references(self, venue: SimulatedVenue, terms: Mapping[str, str]) -> list[dict[str, Any]]:
        rules = venue.rules
        records: list[dict[str, Any]] = []
        for c, name in enumerate(self._names):
            tiers = [
                {"lower_bound": 0, "maintenance_rate": rules.rate[c]},
                {"lower_bound": rules.bound[c] / UNITS_PER_USD,
                 "maintenance_rate": rules.high_rate[c]},
            ]  # fmt: skip
            records.append({
                "kind": "reference", "about": "market", "ts": BEGIN_NS, "symbol": name,
                "regime": "hyperliquid", "tiers": tiers, "contract": {"type": "linear"}, **terms,
            })  # fmt: skip
        amount = f"{int(venue.accounts.cash[VAULTS]) / UNITS_PER_USD:.6f}"
        fund = {"about": "insurance_fund", "ts": BEGIN_NS, "amount": amount}
        return [*records, {"kind": "reference", **fund}]

    def _positions(self, venue: SimulatedVenue, isolated: Bool) -> list[dict[str, Any]]:
        accounts, records, deposits = venue.accounts, [], self._all_deposits(venue)
        for row in range(FIRST_TRADER, len(accounts.cash)):
            for c in np.flatnonzero(accounts.quantity[row]).tolist():
                record = {
                    "kind": "reference", "about": "position", "ts": BEGIN_NS,
                    "symbol": self._names[c], "account": f"a{row}",
                    "quantity": f"{accounts.quantity[row, c] / LOTS:.6f}",
                    "entry_price": f"{accounts.entry[row, c] / PRICE:.6f}",
                    "margin_mode": "isolated" if isolated[row] else "cross",
                }  # fmt: skip
                if isolated[row]:
                    record["isolated_margin"] = f"{deposits[row]:.6f}"
                records.append(record)
        return records

    def _deposits(self, venue: SimulatedVenue, isolated: Bool) -> list[dict[str, Any]]:
        deposits = self._all_deposits(venue)
        traders = FIRST_TRADER + np.flatnonzero(~isolated[FIRST_TRADER:])
        return [
            {"kind": "collateral", "ts": BEGIN_NS, "account": f"a{row}", "cause": "deposit",
             "amount": f"{deposits[row]:.6f}"}
            for row in traders.tolist()
        ]  # fmt: skip

    def _all_deposits(self, venue: SimulatedVenue) -> Float64:
        """By account, the money that stands behind positions beside their gains."""
        accounts = venue.accounts
        cost = np.sum(accounts.quantity * accounts.entry, axis=1)
        deposits: Float64 = (accounts.cash + cost) / UNITS_PER_USD
        return deposits
