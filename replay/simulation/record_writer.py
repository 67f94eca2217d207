"""Writes what happened at the simulated venue as records of each kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from monitor.core.contract.fixed_point import SCALE, format_decimal
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import ABSENT, Int64, Ladder, TextColumn, number_columns
from replay.simulation.incidents.disturbances import Disturbances
from replay.simulation.log import Fields, SimulatedLog, enum_code, identifiers
from replay.simulation.market import FUND, VAULT, Float64, Population, Rng, Rows, SimulatedMarkets
from replay.simulation.trading.draws import draw_array, normal_quantiles
from replay.simulation.trading.settlement import INDEX_PARTS
from replay.simulation.trading.state import (
    BASIS_SCALE,
    BID_LEVELS,
    BOOK_TS,
    SEEN_BASIS,
    SEEN_INDEX,
    SEEN_LAST,
    SEEN_MARK,
)

PLACED_TS_SHARE, DETAIL_SHARE = 0.3, 0.7
"""Share of cancels with the time when the order was placed; with its side and price."""
SOURCES = ("alpha", "beta", "gamma")
"""Invented venues from which the index is computed: the one in the middle."""
SOURCE_SPREAD = 1e-4
"""Spread of the other two around it."""
FUNDING_RATE, FUNDING_RATE_MAX = 1.25e-5, 0.04
"""An hour, where the mark equals the index; at most."""
PREMIUM_HOURS = 24
"""Hours over which a premium is paid."""
CELL = np.dtype([("ts", "i8"), ("second", "i8"), ("symbol", "i8")])
SIDE_ROW = np.dtype(
    [("ts", "i8"), ("trade", "i8"), ("id", "i8"), ("symbol", "i4"), ("account", "i4"),
     ("side", "i1"), ("tick", "i8"), ("quantity", "i8"), ("fee", "i8"), ("maker", "?"),
     ("cause", "i1")]
)  # fmt: skip


def funding_rates(basis: Int64 | Float64) -> Int64:
    """The funding rate of an hour (1e-8) for a premium of the mark over the index, 1e-12."""
    rate = np.clip(
        FUNDING_RATE + basis / BASIS_SCALE / PREMIUM_HOURS, -FUNDING_RATE_MAX, FUNDING_RATE_MAX
    )
    return np.rint(rate * SCALE).astype(np.int64)


class RecordWriter:
    """Writes the records of one stretch after the other to the log."""

    def __init__(
        self, log: SimulatedLog, rng: Rng, markets: SimulatedMarkets, population: Population
    ) -> None:
        self._log, self._rng = log, rng
        self._markets, self._population = markets, population
        self._symbol_partition = log.partition_of(markets.names)
        self._account_partition = log.partition_of([*population.names, VAULT, FUND])
        self._normal = normal_quantiles()
        self.phase = rng.integers(SECOND_NS // 2, SECOND_NS * 9 // 10, size=len(markets.names))
        """When in a second the book of each market is published; its mark comes at the end."""
        self.disturbed = Disturbances.usual(0, 1, len(markets.names))
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

    def _sized(self, rows: Rows) -> dict[str, Int64]:
        """Price and quantity, in 1e-8."""
        symbol = rows["symbol"]
        return {
            "price": rows["tick"] * self._markets.tick[symbol],
            "quantity": rows["quantity"] * self._markets.lot[symbol],
        }

    def write_orders(self, rows: Rows) -> None:
        """Write orders (`ORDER_ROW`)."""
        new, replace = (enum_code("order", "action", action) for action in ("new", "replace"))

        def build(mine: Rows) -> Fields:
            sized = self._sized(mine)
            return {
                "order_id": identifiers("o", mine["id"]),
                "replaces": identifiers("o", mine["replaces"]),
                "action": np.where(mine["replaces"] < 0, new, replace),
                "reduce_only": np.where(mine["reduces"] == 1, 1, ABSENT),
                "price": np.where(mine["tick"] == 0, ABSENT, sized["price"]),
                "quantity": sized["quantity"],
            }

        self.write("order", rows, build)

    def write_cancels(self, rows: Rows) -> None:
        """Write cancels (`CANCEL_ROW`), some without what a venue may leave out."""

        def build(mine: Rows) -> Fields:
            detail = self._rng.random(len(mine)) < DETAIL_SHARE
            placed = self._rng.random(len(mine)) < PLACED_TS_SHARE
            sized = self._sized(mine)
            return {
                "order_id": identifiers("o", mine["id"]),
                "side": np.where(detail, mine["side"], ABSENT),
                "price": np.where(detail, sized["price"], ABSENT),
                "quantity": sized["quantity"],
                "placed_ts": np.where(placed, mine["placed"], ABSENT),
            }

        self.write("cancel", rows, build)

    def write_fills(self, fills: Rows) -> None:
        """Write both sides of each fill (`FILL_ROW`), the taker's first.

        What the clearing house forces on somebody is not forced on whoever takes it over, unless
        that is deleveraged.
        """
        trade, adl = (enum_code("fill", "cause", cause) for cause in ("trade", "adl"))
        rows: Rows = np.zeros((len(fills), 2), SIDE_ROW)
        for name in ("ts", "trade", "symbol", "tick", "quantity"):
            rows[name] = fills[name][:, None]
        for name, taker, maker in (
            ("id", fills["taker_id"], fills["maker_id"]),
            ("account", fills["taker"], fills["maker"]),
            ("side", fills["side"], -fills["side"]),
            ("fee", fills["taker_fee"], fills["maker_fee"]),
            ("cause", fills["cause"], np.where(fills["cause"] == adl, adl, trade)),
        ):
            rows[name] = np.stack([taker, maker], axis=1)
        rows["maker"][:, 1] = True
        self.write("fill", rows.ravel(), self._fill_fields)

    def _fill_fields(self, rows: Rows) -> Fields:
        sides = (enum_code("fill", "liquidity", side) for side in ("maker", "taker"))
        return {
            **self._sized(rows),
            "trade_id": identifiers("t", rows["trade"]),
            "order_id": identifiers("o", rows["id"]),
            "liquidity": np.where(rows["maker"], *sides),
        }

    def write_books(self, seen: Int64, levels: Int64) -> None:
        """Write a book for each second and market (`trading/state.py`)."""
        markets = self._markets

        def build(cells: Rows) -> Fields:
            second, symbol = cells["second"], cells["symbol"]
            fields: Fields = {}
            for side, name in enumerate(("bids", "asks")):
                count = seen[second, symbol, BID_LEVELS + side]
                is_level = np.arange(levels.shape[3]) < count[:, None]
                ticks, lots = np.moveaxis(levels[second, symbol, side][is_level], -1, 0)
                row = np.repeat(symbol, count)
                fields[name] = Ladder(
                    np.append(0, np.cumsum(count)), ticks * markets.tick[row],
                    lots * markets.lot[row],
                )  # fmt: skip
            return fields

        self.write("book", _cells(seen[..., BOOK_TS]), build)

    def write_marks(self, seen: Int64, start_ts: int, index: Float64, interest: Int64) -> None:
        """Write a mark for each second and market, at the second's end, with the sources of its
        index.

        `index`: as it is, ticks; the published one may be wrong. `interest`: open interest of each
        market, 1e-8.
        """
        markets, rng = self._markets, self._rng
        shape = index.shape
        ends = start_ts + (1 + np.arange(shape[0])[:, None]) * SECOND_NS - 1
        rows = _cells(np.broadcast_to(ends, shape))
        fine = markets.tick // INDEX_PARTS
        middle = np.rint(index * INDEX_PARTS).astype(np.int64) * fine
        away = np.abs(draw_array(rng, self._normal, (2, *shape))) * SOURCE_SPREAD
        apart = np.rint(index * INDEX_PARTS * away).astype(np.int64) * fine
        sources = (middle - apart[0], middle, middle + apart[1])
        age = rng.integers(SECOND_NS, size=(len(SOURCES), *shape))

        def build(cells: Rows) -> Fields:
            at, symbol = (cells["second"], cells["symbol"]), cells["symbol"]
            tick = markets.tick[symbol]
            return {
                "mark": seen[*at, SEEN_MARK] * tick,
                "index": seen[*at, SEEN_INDEX] * (tick // INDEX_PARTS),
                "last": seen[*at, SEEN_LAST] * tick,
                "funding_rate": funding_rates(seen[*at, SEEN_BASIS]),
                "funding_interval_s": np.full(len(cells), 3600),
                "open_interest": interest[symbol],
                "sources": _sources_json(
                    [s[at].tolist() for s in sources], [(cells["ts"] - a[at]).tolist() for a in age]
                ),
            }

        self.write("mark", rows, build)


def _cells(ts: Int64) -> Rows:
    """A row for each second and market, with its time."""
    rows = np.zeros(ts.shape, CELL)
    rows["second"] = np.arange(ts.shape[0])[:, None]
    rows["symbol"] = np.arange(ts.shape[1])
    rows["ts"] = ts
    return rows.ravel()


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
