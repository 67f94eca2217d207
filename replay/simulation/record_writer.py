"""Writes the simulated rows and arrays of each kind as records."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE, format_decimal
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import ABSENT, Int64, Ladder, TextColumn, number_columns
from replay.simulation.accounts import SimulatedPositions
from replay.simulation.incidents.disturbances import Disturbances
from replay.simulation.log import Fields, SimulatedLog, enum_code, identifiers
from replay.simulation.market import (
    LEVELS,
    Float64,
    Population,
    Rng,
    Rows,
    SimulatedMarkets,
    Stretch,
)
from replay.simulation.order_flow import ORDER, TAKER_ID

MAKER_FEE, TAKER_FEE, MAKER_REBATE = 0.00015, 0.00045, -0.00003
"""Fees as shares of the notional; market makers get a rebate."""
IOC_SHARE = 0.5
"""Share of takers whose orders have a limit price; the others are market orders."""
REDUCE_ONLY_SHARE = 0.1
PLACED_TS_SHARE, DETAIL_SHARE = 0.3, 0.7
"""Share of cancels with the time when the order was placed; with its side and price."""
LEVEL_NOTIONAL = 4_000_000.0
"""Notional of one level of the book where a market has all orders of the venue, quote currency."""
SOURCES = ("alpha", "beta", "gamma")
"""Invented venues from which the index is computed."""
FUNDING_RATE = 1.25e-5
"""An hour, where the mark equals the index."""
_REASONS = ("user", "expired", "self_trade", "post_only")
_REASON_SHARES = (0.93, 0.03, 0.01, 0.03)

FILL = np.dtype(
    [("ts", "i8"), ("trade", "i8"), ("id", "i8"), ("symbol", "i4"), ("account", "i4"),
     ("side", "i1"), ("price", "i8"), ("quantity", "i8"), ("fee", "i8"), ("maker", "?")]
)  # fmt: skip
CANCEL = np.dtype(
    [("ts", "i8"), ("placed_ts", "i8"), ("id", "i8"), ("symbol", "i4"), ("account", "i4"),
     ("side", "i1"), ("price", "i8"), ("quantity", "i8")]
)  # fmt: skip
CELL = np.dtype([("ts", "i8"), ("second", "i8"), ("symbol", "i8")])


class RecordWriter:
    """Writes the records of one stretch after the other to the log."""

    def __init__(
        self, log: SimulatedLog, rng: Rng, markets: SimulatedMarkets, population: Population
    ) -> None:
        self._log, self._rng = log, rng
        self._markets, self._population = markets, population
        self._symbol_partition = log.partition_of(markets.names)
        self._account_partition = log.partition_of(population.names)
        self._is_maker = np.zeros(len(population.names), bool)
        self._is_maker[population.makers] = True
        count = len(markets.names)
        self._phase = rng.integers(SECOND_NS, size=(2, count))
        self.funding_rate: Float64 = FUNDING_RATE + 1e-5 * rng.standard_normal(count)
        self.disturbed = Disturbances.usual(0, 1, count)
        """What incidents change in the stretch that is written."""

    def write(self, kind: str, rows: Rows, build: Callable[[Rows], Fields] | None = None) -> None:
        """Write rows, with `ts` and `symbol`, to the partitions of their keys.

        What rows and contract call alike is written as it is; `build` gives the other columns.
        """
        markets, population = self._markets.text, self._population.text
        names = rows.dtype.names or ()
        numbers = [c.name for c in number_columns(kind) if c.name in names]
        texts = {"symbol": markets} | ({"account": population} if "account" in names else {})

        def fields(mine: Rows) -> Fields:
            out: Fields = {name: mine[name] for name in numbers}
            for name, text in texts.items():
                codes = mine[name].astype(np.int64)  # -1: absent
                out[name] = TextColumn(text.buffer, text.start, text.length, codes)
            return out | build(mine) if build else out

        silent, delay_ns = self.disturbed.of_records(kind, rows["ts"], rows["symbol"])
        if silent.any():
            rows, delay_ns = rows[~silent], delay_ns[~silent]
        if kind == "collateral":
            partition = self._account_partition[rows["account"]]
        else:
            partition = self._symbol_partition[rows["symbol"]]
        self._log.write_rows(kind, rows, partition, delay_ns, fields)

    def write_orders(self, placed: Rows, met: Rows) -> None:
        """Write the orders placed, and the orders of the takers who meet resting ones."""
        taking = np.zeros(len(met), ORDER)
        taking["ts"], taking["id"], taking["replaces"] = met["fill_ts"], met["id"] + TAKER_ID, -1
        taking["symbol"], taking["account"] = met["symbol"], met["taker"]
        taking["side"], taking["quantity"] = -met["side"], met["filled"]
        market = self._rng.random(len(met)) >= IOC_SHARE
        taking["price"] = np.where(market, ABSENT, met["price"])
        self.write("order", np.concatenate([placed, taking]), self._order_fields)

    def _order_fields(self, rows: Rows) -> Fields:
        new, replace = (enum_code("order", "action", action) for action in ("new", "replace"))
        reduces = self._rng.random(len(rows)) < REDUCE_ONLY_SHARE
        return {
            "order_id": identifiers("o", rows["id"]),
            "replaces": identifiers("o", rows["replaces"]),
            "action": np.where(rows["replaces"] < 0, new, replace),
            "reduce_only": np.where(reduces, 1, ABSENT),
        }

    def write_cancels(self, over: Rows) -> None:
        """Write the cancels of the orders that ended; a replaced order has none."""
        ended = over[~over["replaced"]]
        rows = np.zeros(len(ended), CANCEL)
        for name in ("id", "symbol", "account", "side", "price"):
            rows[name] = ended[name]
        rows["placed_ts"], rows["ts"] = ended["ts"], ended["end"]
        rows["quantity"] = ended["quantity"] - ended["filled"]
        self.write("cancel", rows, self._cancel_fields)

    def _cancel_fields(self, rows: Rows) -> Fields:
        detail = self._rng.random(len(rows)) < DETAIL_SHARE
        placed = self._rng.random(len(rows)) < PLACED_TS_SHARE
        codes = np.array([enum_code("cancel", "reason", reason) for reason in _REASONS])
        return {
            "order_id": identifiers("o", rows["id"]),
            "side": np.where(detail, rows["side"], ABSENT),
            "price": np.where(detail, rows["price"], ABSENT),
            "placed_ts": np.where(placed, rows["placed_ts"], ABSENT),
            "reason": self._rng.choice(codes, len(rows), p=_REASON_SHARES),
        }

    def write_fills(self, met: Rows, positions: SimulatedPositions) -> None:
        """Write both sides of each trade, the taker's first, and add them to `positions`."""
        rows: Rows = np.zeros((len(met), 2), FILL)
        same = {"ts": "fill_ts", "trade": "id", "symbol": "symbol", "price": "price"}
        for name, source in (same | {"quantity": "filled"}).items():
            rows[name] = met[source][:, None]
        rows["id"] = np.stack([met["id"] + TAKER_ID, met["id"]], axis=1)
        rows["account"] = np.stack([met["taker"], met["account"]], axis=1)
        rows["side"] = np.stack([-met["side"], met["side"]], axis=1)
        rows["maker"][:, 1] = True
        notional = met["price"] / SCALE * (met["filled"] / SCALE)
        fee = np.where(self._is_maker[met["account"]], MAKER_REBATE, MAKER_FEE)
        share = np.stack([np.full(len(met), TAKER_FEE), fee], axis=1)
        rows["fee"] = np.rint(share * notional[:, None] * MONEY_SCALE)
        rows = rows.ravel()
        self.write("fill", rows, self._fill_fields)
        positions.add(rows["account"], rows["symbol"], rows["quantity"] * rows["side"])

    def _fill_fields(self, rows: Rows) -> Fields:
        sides = (enum_code("fill", "liquidity", side) for side in ("maker", "taker"))
        return {
            "trade_id": identifiers("t", rows["trade"]),
            "order_id": identifiers("o", rows["id"]),
            "liquidity": np.where(rows["maker"], *sides),
            "cause": np.full(len(rows), enum_code("fill", "cause", "trade")),
        }

    def _rows_per_second(self, stretch: Stretch, phase: Int64) -> Rows:
        """A row for each second and market, each market at a fixed moment of the second."""
        rows = np.zeros(stretch.mid.shape, CELL)
        rows["second"] = np.arange(stretch.seconds)[:, None]
        rows["symbol"] = np.arange(stretch.mid.shape[1])
        rows["ts"] = stretch.start_ts + rows["second"] * SECOND_NS + phase
        return rows.ravel()

    def write_books(self, stretch: Stretch) -> None:
        """Write a book for each second and market, with `LEVELS` levels a side.

        Levels further from the mid are larger and wider apart.
        """
        rows, markets = self._rows_per_second(stretch, self._phase[0]), self._markets

        def build(cells: Rows) -> Fields:
            where, symbol = (cells["second"], cells["symbol"]), cells["symbol"]
            mid, spread = stretch.mid[where[0], symbol], stretch.spread[where[0], symbol]
            depth = stretch.depth[where[0], symbol] * LEVEL_NOTIONAL * markets.share[symbol]
            offset = np.arange(len(cells) + 1) * LEVELS
            fields: Fields = {}
            for name, sign in (("bids", -1), ("asks", 1)):
                shape = (len(cells), LEVELS)
                gap = 1 + self._rng.poisson(np.arange(LEVELS) * 0.4, shape)
                gap[:, 0] = spread
                away = np.minimum(np.cumsum(gap, axis=1), 900)
                away = np.maximum(away, np.arange(1, LEVELS + 1))
                price = (mid[:, None] + sign * away) * markets.tick[symbol][:, None]
                size = depth[:, None] * (0.15 + 0.12 * np.arange(LEVELS))
                size = size * np.exp(0.4 * self._rng.standard_normal(shape))
                lot = markets.lot[symbol][:, None]
                lots = np.rint(size / markets.price[symbol][:, None] * SCALE / lot)
                quantity = np.maximum(lots.astype(np.int64), 1) * lot
                fields[name] = Ladder(offset, price.ravel(), quantity.ravel())
            return fields

        self.write("book", rows, build)

    def write_marks(self, stretch: Stretch, interest: Int64) -> None:
        """Write a mark for each second and market, with the sources of its index.

        `interest`: open interest of each market, 1e-8.
        """
        rows, markets = self._rows_per_second(stretch, self._phase[1]), self._markets
        rng = self._rng
        shape = stretch.mid.shape
        middle = stretch.mid * markets.tick
        fine = np.maximum(markets.tick // 10, 1)
        noise = 1 + 1e-4 * rng.standard_normal((len(SOURCES), *shape))
        sources = np.rint(middle * noise / (1 + stretch.basis) / fine).astype(np.int64) * fine
        age = rng.integers(SECOND_NS, size=(len(SOURCES), *shape))
        index = np.sort(sources, axis=0)[len(SOURCES) // 2]
        wrong = 1 + self.disturbed.index_error
        index = np.rint(index * wrong / fine).astype(np.int64) * fine
        mark = np.rint(index * (1 + stretch.basis) / fine).astype(np.int64) * fine
        self.funding_rate = FUNDING_RATE + stretch.basis[-1] / 24

        def build(cells: Rows) -> Fields:
            at, symbol = (cells["second"], cells["symbol"]), cells["symbol"]
            funding = FUNDING_RATE + stretch.basis[at] / 24
            return {
                "mark": mark[at],
                "index": index[at],
                "last": middle[at],
                "funding_rate": np.rint(funding * SCALE),
                "funding_interval_s": np.full(len(cells), 3600),
                "open_interest": interest[symbol],
                "sources": _sources_json(
                    [s[at].tolist() for s in sources], [(cells["ts"] - a[at]).tolist() for a in age]
                ),
            }

        self.write("mark", rows, build)


def _sources_json(prices: list[list[int]], times: list[list[int]]) -> TextColumn:
    """The sources of each mark as JSON."""
    columns = [
        [
            f'{{"name":"{name}","price":"{format_decimal(p, SCALE)}","ts":{t}}}'
            for p, t in zip(ps, ts, strict=True)
        ]
        for name, ps, ts in zip(SOURCES, prices, times, strict=True)
    ]
    return TextColumn.from_strings([f"[{','.join(row)}]" for row in zip(*columns, strict=True)])
