"""Real liquidations beside what the rebuilt accounts predicted for them.

python -m tests.bench.bench_outcomes [FOLDER with the tables of 2023] [--leave]

The tables are imported, their records go through the venue scope as in the engine, and each forced
fill gives one `Outcome`: the price at which the account, as rebuilt from everything before that
fill, met its maintenance margin, beside the mark at which the venue closed it. A liquidation of
several markets is judged by one number, the move of all of them against the account: a root in one
market alone would multiply the error by how small its part is. With one market it is the same.

*Resolvable* is decided by what is known without the error, and each of these is counted:

- the venue says cross: the margin of an isolated position is in none of the tables;
- the forced fills are found in the tables (those of the second that make up the notional told);
- the positions rebuilt before that second are just those that were closed;
- the account is not older than the fills: no ledger update before the first fill of the tables,
  unless an account value was told since;
- nothing before (and since an account value was last told) contradicts the rebuilt equity: no
  withdrawal of more than there was, no position opened below its maintenance margin, each by more
  than the fees that the tables lack could explain (`FEE` × turnover).

Two errors are given. *To the mark*: how far the mark at the close was from the predicted price.
*To the threshold*: how far the predicted price was from the one at which the account value that the
venue told (at that mark) meets maintenance. The rest is the *gap*: the mark had already jumped past
the venue's own threshold, which no rebuilt account can foresee. `--leave`: account values told with
earlier liquidations are not used.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from monitor.core.batch import ABSENT, COLUMNS, Batch
from monitor.core.explain import iso
from monitor.core.grid import MONEY, SCALE
from monitor.core.outcomes import EDGES_BPS, Outcome
from monitor.core.settings import EngineSettings
from monitor.core.venue import Venue
from monitor.venues.hyperliquid import Hyperliquid
from monitor.venues.hyperliquid_tables import MAINTENANCE, Forced
from replay import opening
from replay.day import Day
from replay.ingest import ingest

FEE = Fraction(25, 100_000)
"""The venue's published taker fee of 2023."""
FUNDING_PER_HOUR = Fraction(1, 80_000)
"""The venue's published base rate: 0.01 % in 8 hours."""
TARGET_BPS = 25
_HOUR = 3600 * 10**9
_CAUSES = next(column.values for column in COLUMNS["fill"] if column.name == "cause")
_TRADE = _CAUSES.index("trade")
_ADJUSTED = next(c for c in COLUMNS["collateral"] if c.name == "cause").values.index("adjustment")
RATE = Fraction(MAINTENANCE)


@dataclass
class Known:
    """Plain book-keeping of one account: what could contradict the rebuilt equity. Quote currency,
    exact; `held` in base units."""

    cash: Fraction = Fraction(0)
    held: dict[str, Fraction] = field(default_factory=dict)
    turnover: Fraction = Fraction(0)
    hours: Fraction = Fraction(0)
    """Notional × hours that positions stood."""
    ts: int | None = None
    """Time of the last record."""
    old: bool = False
    contradiction: str = ""

    def value(self, last: dict[str, Fraction]) -> tuple[Fraction, Fraction]:
        """Equity and notional at the markets' last fills."""
        notional = sum((abs(q) * last[c] for c, q in self.held.items()), Fraction(0))
        return self.cash + sum((q * last[c] for c, q in self.held.items()), Fraction(0)), notional

    def stand(self, ts: int, last: dict[str, Fraction]) -> None:
        """Time passes with the positions as they are."""
        if self.held and self.ts is not None:
            self.hours += self.value(last)[1] * (ts - self.ts) / _HOUR
        self.ts = ts

    def copy(self, ts: int, last: dict[str, Fraction]) -> Known:
        """All of it as of `ts`."""
        made = dataclasses.replace(self, held=dict(self.held))
        made.stand(ts, last)
        return made

    def check(self, last: dict[str, Fraction], what: str) -> None:
        """Whether what the account has just been let do is at odds with its rebuilt equity."""
        equity, notional = self.value(last)
        if not self.contradiction and equity + FEE * self.turnover < RATE * notional:
            self.contradiction = f"{what}, equity {float(equity):.2f}"


@dataclass
class Case:
    """One real liquidation."""

    told: Forced
    outcomes: list[Outcome]
    why: str
    """Why it is not resolvable; empty: it is."""
    to_mark: float = float("nan")
    gap: float = float("nan")
    """bps of the mark; positive: predicted, or passed by the mark, before what happened."""
    excess: float = float("nan")
    """Rebuilt equity less the account value told, bps of the notional."""
    fees: float = float("nan")
    funding: float = float("nan")
    """What fees and funding could have moved, bps of the notional."""

    @property
    def to_threshold(self) -> float:
        """The error without the gap."""
        return self.to_mark - self.gap


def records(day: Day) -> Iterator[tuple[int, int, Batch, int]]:
    """Moves and fills in the order of time, moves first: (ts, kind, batch, row)."""
    rows = []
    for batch in day.batches():
        if batch.kind in ("collateral", "fill"):
            first = int(batch.kind == "fill")
            rows += [(ts, first, batch, i) for i, ts in enumerate(batch.numbers["ts"].tolist())]
    rows.sort(key=lambda row: (row[0], row[1], row[2].offset[row[3]]))
    return iter(rows)


def liquidations(folder: Path) -> list[Forced]:
    """What the venue told of them, read again: nothing of it reaches the rebuilt accounts."""
    venue = Hyperliquid()
    for path in opening.files_of([folder]):
        venue.open(str(path))
        for chunk in opening.Lines(path):
            venue.read(chunk)
    return sorted(venue.tables.liquidations, key=lambda told: told.ts)


def outcomes(day: Day) -> dict[tuple[int, str], list[Outcome]]:
    """Through the venue scope, as the engine does: outcomes by time and account."""
    venue, found = Venue(EngineSettings(streams=())), defaultdict(list)
    for batch in day.batches():
        venue.hold(batch)
    assert day.meta.span is not None
    for _ in venue.advance(day.meta.span[1] + _HOUR):
        for outcome in venue.outcomes.last:
            found[outcome.ts, outcome.account].append(outcome)
    return found


def cases(folder: Path, leave: bool = False) -> list[Case]:
    """All liquidations of the tables in `folder`."""
    with tempfile.TemporaryDirectory() as room:
        options = {"account_values": "leave"} if leave else {}
        ingest("hyperliquid", [folder], Path(room) / "day", options=options)
        day = Day(Path(room) / "day")
        found, told = outcomes(day), liquidations(folder)
        history = History(told)
        history.read(day)
    made = []
    for one in told:
        key = one.ts, one.user
        held, closed = history.before.get(key, Known()), history.closed[key]
        made.append(_case(one, held, closed, found.get(key, [])))
    return made


class History:
    """The records of the liquidated accounts in the order of time, and what stood before each."""

    def __init__(self, told: list[Forced]) -> None:
        self.known: dict[str, Known] = {one.user: Known() for one in told}
        self.before: dict[tuple[int, str], Known] = {}
        """As of the beginning of a liquidation's second."""
        self.closed: dict[tuple[int, str], dict[str, Fraction]] = defaultdict(dict)
        """What was forced, by market: signed base units."""
        self._last: dict[str, Fraction] = {}
        self._times = {(one.ts, one.user) for one in told}

    def read(self, day: Day) -> None:
        """All moves and fills of the day."""
        words: dict[int, tuple[list[Any], list[Any]]] = {}
        for ts, is_fill, batch, row in records(day):
            if id(batch) not in words:
                words[id(batch)] = batch.texts["account"].words(), batch.texts["symbol"].words()
            accounts, symbols = words[id(batch)]
            account, n = accounts[row], batch.numbers
            mine = self.known.get(account)
            if mine is not None:
                if (ts, account) in self._times and (ts, account) not in self.before:
                    self.before[ts, account] = mine.copy(ts, self._last)
                mine.stand(ts, self._last)
            cause = int(n["cause"][row])
            if is_fill:
                price = Fraction(int(n["price"][row]), SCALE)
                self._last[symbols[row]] = price
                if mine is not None:
                    signed = Fraction(int(n["side"][row]) * int(n["quantity"][row]), SCALE)
                    self._fill(ts, account, symbols[row], signed, price, cause in (ABSENT, _TRADE))
            elif mine is not None:
                amount = Fraction(int(n["amount"][row]), MONEY)
                self._move(ts, account, amount, cause)

    def _move(self, ts: int, account: str, amount: Fraction, cause: int) -> None:
        mine = self.known[account]
        if cause == _ADJUSTED:
            self.known[account] = Known(cash=mine.cash + amount, held=mine.held, ts=ts)
            return
        mine.cash += amount
        mine.old |= not self._last
        if amount < 0:
            mine.check(self._last, "withdrew more than there was")

    def _fill(
        self, ts: int, account: str, symbol: str, signed: Fraction, price: Fraction, free: bool
    ) -> None:
        mine = self.known[account]
        was = mine.held.pop(symbol, Fraction(0))
        if was + signed:
            mine.held[symbol] = was + signed
        mine.cash -= signed * price
        mine.turnover += abs(signed) * price
        if not free:
            closed = self.closed[ts, account]
            closed[symbol] = closed.get(symbol, Fraction(0)) + signed
        elif abs(was + signed) > abs(was):
            mine.check(self._last, "opened below maintenance")


def _case(told: Forced, held: Known, closed: dict[str, Fraction], found: list[Outcome]) -> Case:
    case = Case(told, found, _unresolvable(told, held, closed))
    silent = [o.verdict for o in found if o.error_bps is None] or ([] if found else ["no outcome"])
    if silent:
        case.why = case.why or f"no prediction: {silent[0]}"
        return case
    marks = {o.symbol: Fraction(o.actual or 0, SCALE) for o in found}
    notional, value = Fraction(told.notional, MONEY), Fraction(told.value, MONEY)
    rebuilt = held.cash + sum((-q * marks[c] for c, q in closed.items()), Fraction(0))
    shorts = sum((q * marks[c] for c, q in closed.items() if q > 0), Fraction(0))
    # Equity A falls by e · N while the requirement moves with the notional of each side.
    steep = notional + RATE * (2 * shorts - notional)
    case.to_mark = float((rebuilt - RATE * notional) / steep * -10_000)
    case.gap = float((RATE * notional - value) / steep * 10_000)
    case.excess = float((rebuilt - value) / notional * 10_000)
    case.fees = float(held.turnover * FEE / notional * 10_000)
    case.funding = float(held.hours * FUNDING_PER_HOUR / notional * 10_000)
    return case


def _unresolvable(told: Forced, held: Known, closed: dict[str, Fraction]) -> str:
    if not told.cross:
        return "isolated: its margin is in none of the tables"
    if not closed:
        return "its fills are not in the tables"
    if {c: -q for c, q in closed.items()} != held.held:
        return "the rebuilt positions are not those that were closed"
    if held.old:
        return "the account is older than the fills"
    if held.contradiction:
        return f"contradicted before: {held.contradiction.split(',')[0]}"
    return ""


def reason(case: Case) -> str:
    """Why a resolvable liquidation was missed, by the files alone."""
    if abs(case.to_threshold) <= TARGET_BPS:
        share = case.told.value / case.told.notional
        return f"gap: the mark had jumped past, account value told {share:.2%} of notional"
    excess = f"rebuilt equity {case.excess:+.0f} bps of notional"
    if 0 < case.excess <= case.fees + case.funding:
        return f"{excess}: fees ({case.fees:.0f}) and funding ({case.funding:.0f}) could be it"
    if abs(case.excess) <= case.funding:
        return f"{excess}: funding ({case.funding:.0f}) could be it"
    if case.excess < 0:
        return f"{excess}: money came in, or fills made gains, that the tables lack"
    return (
        f"{excess}, fees could be {case.fees:.0f} and funding {case.funding:.0f}: money went out, "
        "or fills made losses, that the tables lack"
    )


def within(errors: list[float]) -> str:
    """Median, and how many are within the edges."""
    if not errors:
        return "none"
    counts = {edge: sum(abs(error) <= edge for error in errors) for edge in EDGES_BPS}
    shares = ", ".join(f"{n} within {e} ({n / len(errors):.0%})" for e, n in counts.items())
    return f"median {statistics.median(abs(error) for error in errors):.1f} bps, {shares}"


def main() -> None:
    words = [word for word in sys.argv[1:] if word != "--leave"]
    folder = Path(words[0]) if words else Path(__file__).parents[3] / "shared/data/hyperliquid-2023"
    if not folder.is_dir():
        print(f"{folder} is not here: name the folder of the tables of 2023")
        return
    made = cases(folder, "--leave" in sys.argv)
    good = [case for case in made if not case.why]
    for mode, cross in (("cross", True), ("isolated", False)):
        mine = [case for case in made if case.told.cross == cross]
        fine = [case for case in mine if not case.why]
        print(f"{mode}: {len(mine)} liquidations, {len(fine)} resolvable")
        for why, count in Counter(case.why for case in mine if case.why).most_common():
            print(f"  not resolvable, {count}: {why}")
        print(f"  error to the mark at the close: {within([c.to_mark for c in fine])}")
        print(f"  error to the told threshold:    {within([c.to_threshold for c in fine])}")
        print(f"  gap from threshold to mark:     {within([c.gap for c in fine])}")
        rest = [c.to_mark for c in mine if c.why and c.to_mark == c.to_mark]
        print(f"  to the mark where not resolvable: {within(rest)}")
    print("missed (resolvable, over 25 bps to the mark):")
    for case in good:
        if abs(case.to_mark) > TARGET_BPS:
            names = "+".join(sorted(outcome.symbol for outcome in case.outcomes))
            print(
                f"  {iso(case.told.ts)} {names}: to the mark {case.to_mark:+.1f}, to the threshold "
                f"{case.to_threshold:+.1f}, gap {case.gap:+.1f}; {reason(case)}"
            )


if __name__ == "__main__":
    main()
