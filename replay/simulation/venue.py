"""A simulated venue that runs: books, traders and clearing house, stretch after stretch."""

from __future__ import annotations

import numpy as np

from monitor.core.contract.units import MILLISECOND_NS, SECOND_NS
from replay.simulation import opening
from replay.simulation.clearing.accounts import pay_funding
from replay.simulation.clearing.columns import Ledger
from replay.simulation.clearing.ledger import add_room
from replay.simulation.clearing.states import StateTrail
from replay.simulation.market import Float64, Rows, SimulatedMarkets
from replay.simulation.record_writer import RecordWriter, funding_rates
from replay.simulation.trading import state as columns
from replay.simulation.trading.book import ROWS_KEPT
from replay.simulation.trading.seconds import run_seconds

BOOK_LEVELS = 20
"""Levels a side of the books that are published."""
FUNDING_NS = 50 * MILLISECOND_NS
"""All funding payments of an hour come within this time."""


class SimulatedVenue:
    """Books, traders and clearing house of a simulated venue, and what they need to run."""

    def __init__(
        self,
        state: columns.TradingState,
        ledger: Ledger,
        markets: SimulatedMarkets,
        records: float,
        start_ts: int,
        end_ts: int,
    ) -> None:
        """`records`: expected of a stretch. `ledger`: with the positions of the opening."""
        self._ledger, self._markets, self._end_ts = ledger, markets, end_ts
        quotes = int(np.sum(state.market[:, columns.MAKERS])) * columns.QUOTES
        self._rows = 2 * ROWS_KEPT + 2 * quotes + int(records / 8)
        """Of pool and tape that are free before a second begins."""
        rows = self._rows + int(records)
        state.market[:, columns.CLOCK] = start_ts
        state.counts[[columns.NEXT_ORDER, columns.NEXT_TRADE]] = 1
        self._state = columns.grow_pool(
            state._replace(
                orders=np.zeros(rows, columns.ORDER_ROW),
                cancels=np.zeros(rows, columns.CANCEL_ROW),
                fills=np.zeros(rows, columns.FILL_ROW),
                moves=np.zeros(3 * rows, columns.MOVE_ROW),
            ),
            self._rows + 2 * quotes,
        )
        self._marks = markets.ticks.astype(np.int64)
        self._rates = funding_rates(np.zeros(len(markets.names)))

    def pay_funding(self, ts: int) -> Rows:
        """The funding of every open position at the hour `ts`, as collateral records."""
        paid = pay_funding(self._ledger, self._rates, self._marks)
        rows = np.zeros(len(paid), columns.MOVE_ROW)
        rows["ts"] = ts + np.arange(len(paid)) * FUNDING_NS // max(len(paid), 1)
        for column, name in enumerate(("account", "symbol", "amount", "cause")):
            rows[name] = paid[:, column]
        return rows

    def write_states(self, trail: StateTrail, ts: int, records: dict[str, int]) -> None:
        """Write what every account has at `ts`, after so many records of each kind."""
        trail.write(ts, self._ledger, self._marks, records["fill"], records["collateral"])

    def simulate(self, writer: RecordWriter, ts: int, world: Float64, wishes: Rows) -> None:
        """Simulate and write a stretch from `ts` on."""
        seconds, count, _ = world.shape
        seen = np.zeros((seconds, count, columns.SEEN_WIDTH), np.int64)
        starts = ts + np.arange(seconds)[:, None] * SECOND_NS
        seen[..., columns.BOOK_TS] = starts + writer.phase
        levels = np.zeros((seconds, count, 2, BOOK_LEVELS, 2), np.int64)
        interest = opening.open_interest(self._ledger.positions, count) * self._markets.lot
        changes = np.zeros(len(wishes), columns.LEVERAGE_ROW)
        self._state = self._state._replace(leverages=changes)
        self._state.counts[columns.WISHES] = 0
        done = 0
        while done < seconds:
            self._make_room()
            span = np.array([ts, done, seconds, self._end_ts, self._rows], np.int64)
            done = run_seconds(
                self._state, self._ledger, self._marks, world, wishes, seen, levels, span
            )
            self._write_tape(writer)
        writer.write_books(seen, levels)
        writer.write_marks(seen, ts, world[..., columns.OUTSIDE_INDEX], interest)
        self._rates = funding_rates(seen[-1, :, columns.SEEN_BASIS])

    def _make_room(self) -> None:
        """Let pool and clearing house take at least what a second may need."""
        self._ledger = add_room(self._ledger, self._rows)
        if self._state.counts[columns.FREE_ROWS] < self._rows:
            rows = len(self._state.pool) + 2 * self._rows
            self._state = columns.grow_pool(self._state, rows)

    def _write_tape(self, writer: RecordWriter) -> None:
        """Write what happened, and empty the tape."""
        v, count = self._state, self._state.counts
        writer.write_orders(v.orders[: count[columns.ORDERS]])
        writer.write_cancels(v.cancels[: count[columns.CANCELS]])
        writer.write_fills(v.fills[: count[columns.FILLS]])
        writer.write("collateral", v.moves[: count[columns.MOVES]])
        writer.write("leverage", v.leverages[: count[columns.LEVERAGES]])
        columns.empty_tape(v)
