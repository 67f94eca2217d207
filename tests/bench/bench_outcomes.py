"""Real liquidations beside what the rebuilt accounts predicted for them.

python -m tests.bench.bench_outcomes [FOLDER with the tables of 2023] [--leave]

The tables are imported and their records go through the venue scope as in the engine. Each forced
fill gives one `Outcome`: the price at which the account, rebuilt from everything before that fill,
met its maintenance margin, beside the mark at which the venue closed it. A liquidation of several
markets is judged by one number, a move of all of them against the account: a price in one market
alone would multiply the error by how small its part is. With one market the two are the same.

*Resolvable* is decided without the error, and each of these conditions is counted:

- the venue says cross: no table has the margin of an isolated position;
- the forced fills are in the tables (those of the second that add up to the reported notional);
- the positions rebuilt before that second are exactly those that were closed;
- the account is not older than the fills: no ledger update before the first fill of the tables,
  unless the venue has reported an account value since;
- no record before (and since the last reported account value) contradicts the rebuilt equity: no
  withdrawal of more than the account had, no position opened below its maintenance margin, each by
  more than the fees that the tables lack could explain (`FEE` × turnover).

Two errors are given. *To the mark*: how far the mark at the close was from the predicted price.
*To the threshold*: how far the predicted price was from the one at which the account value that the
venue reported (at that mark) meets maintenance. The rest is the *gap*: the mark had already jumped
past the venue's own threshold, which no rebuilt account can predict. `--leave`: account values
reported with earlier liquidations are not used.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from monitor.core.accounts.liquidation_outcomes import EDGES_BPS, Outcome
from monitor.core.alerts.formatting import format_iso
from monitor.core.contract.fixed_point import MONEY_SCALE
from monitor.core.settings import EngineSettings
from monitor.core.venue.state import VenueState
from monitor.venues.hyperliquid import Hyperliquid
from monitor.venues.hyperliquid.forced_fills import TableLiquidation
from replay.day import Day, feed_files
from replay.day.importer import ingest
from tests.bench.outcome_history import FEE, HOUR_NS, RATE, AccountBook, History

FUNDING_PER_HOUR = Fraction(1, 80_000)
"""The venue's published base rate: 0.01 % in 8 hours."""
TARGET_BPS = 25


@dataclass
class Case:
    """One real liquidation."""

    reported_liquidation: TableLiquidation
    outcomes: list[Outcome]
    why: str
    """Why it is not resolvable; empty: it is."""
    to_mark: float = float("nan")
    gap: float = float("nan")
    """bps of the mark; positive: the predicted price, or the venue's threshold, came first."""
    excess: float = float("nan")
    """Rebuilt equity less the reported account value, bps of the notional."""
    fees: float = float("nan")
    funding: float = float("nan")
    """What fees and funding could have moved, bps of the notional."""
    beside: int = 0
    """The account's other records in the same second; the tables do not give their order."""
    traded_on: bool = False
    """It traded next, without a deposit: it had kept some money."""

    @property
    def to_threshold(self) -> float:
        """The error without the gap."""
        return self.to_mark - self.gap


def liquidations(folder: Path) -> list[TableLiquidation]:
    """The venue's own reports, read apart: nothing of them reaches the rebuilt accounts."""
    venue = Hyperliquid()
    for path in feed_files.list_files([folder]):
        venue.begin_file(str(path))
        for chunk in feed_files.LineReader(path):
            venue.read(chunk)
    return sorted(venue.tables.liquidations, key=lambda liquidation: liquidation.ts)


def outcomes(day: Day) -> dict[tuple[int, str], list[Outcome]]:
    """Through the venue scope, as the engine does: outcomes by time and account."""
    venue = VenueState(EngineSettings(streams=()))
    result: dict[tuple[int, str], list[Outcome]] = defaultdict(list)
    for batch in day.batches():
        venue.add_batch(batch)
    assert day.meta.span is not None
    for _ in venue.advance(day.meta.span.last_ts + HOUR_NS):
        for outcome in venue.outcomes.last:
            result[outcome.ts, outcome.account].append(outcome)
    return result


def cases(folder: Path, leave: bool = False) -> list[Case]:
    """All liquidations of the tables in `folder`."""
    with tempfile.TemporaryDirectory() as scratch:
        options = {"account_values": "leave"} if leave else {}
        ingest("hyperliquid", [folder], Path(scratch) / "day", options=options)
        day = Day(Path(scratch) / "day")
        predicted, reported = outcomes(day), liquidations(folder)
        history = History(reported)
        history.read(day)
    result = []
    for one in reported:
        key = one.ts, one.user
        book, closed = history.before.get(key, AccountBook()), history.closed[key]
        case = _case(one, book, closed, predicted.get(key, []))
        case.beside, case.traded_on = history.beside[key], history.after.get(key) == "traded"
        result.append(case)
    return result


def _case(
    reported: TableLiquidation,
    book: AccountBook,
    closed: dict[str, Fraction],
    predicted: list[Outcome],
) -> Case:
    case = Case(reported, predicted, _unresolvable(reported, book, closed))
    silent = [o.verdict for o in predicted if o.error_bps is None]
    if not predicted:
        silent = ["no outcome"]
    if silent:
        case.why = case.why or f"no prediction: {silent[0]}"
        return case
    marks = {o.symbol: o.actual or Fraction(0) for o in predicted}
    notional, value = (
        Fraction(reported.notional, MONEY_SCALE),
        Fraction(reported.value, MONEY_SCALE),
    )
    rebuilt = book.cash + sum((-q * marks[c] for c, q in closed.items()), Fraction(0))
    shorts = sum((q * marks[c] for c, q in closed.items() if q > 0), Fraction(0))
    # Equity A falls by e · N while the requirement moves with the notional of each side.
    steep = notional + RATE * (2 * shorts - notional)
    case.to_mark = float((rebuilt - RATE * notional) / steep * -10_000)
    case.gap = float((RATE * notional - value) / steep * 10_000)
    case.excess = float((rebuilt - value) / notional * 10_000)
    case.fees = float(book.turnover * FEE / notional * 10_000)
    case.funding = float(book.hours * FUNDING_PER_HOUR / notional * 10_000)
    return case


def _unresolvable(
    reported: TableLiquidation, book: AccountBook, closed: dict[str, Fraction]
) -> str:
    """Why a liquidation is not resolvable; empty: it is."""
    if not reported.cross:
        return "isolated: its margin is in none of the tables"
    if not closed:
        return "its fills are not in the tables"
    if {c: -q for c, q in closed.items()} != book.holdings:
        return "the rebuilt positions are not those that were closed"
    if book.old:
        return "the account is older than the fills"
    if book.contradiction:
        return f"contradicted before: {book.contradiction.split(',')[0]}"
    return ""


def reason(case: Case) -> str:
    """Why a resolvable liquidation was missed, by the files alone."""
    if abs(case.to_threshold) <= TARGET_BPS:
        share = case.reported_liquidation.value / case.reported_liquidation.notional
        return f"gap: the mark had jumped past, reported account value {share:.2%} of notional"
    excess = f"rebuilt equity {case.excess:+.0f} bps of notional"
    if 0 < case.excess <= case.fees + case.funding:
        return f"{excess}: fees ({case.fees:.0f}) and funding ({case.funding:.0f}) could be it"
    if abs(case.excess) <= case.funding:
        return f"{excess}: funding ({case.funding:.0f}) could be it"
    if case.excess < 0:
        return f"{excess}: money came in, or fills made gains, that the tables lack"
    could = f"fees could be {case.fees:.0f} and funding {case.funding:.0f}"
    if case.traded_on:
        return (
            f"{excess}, {could}: the account traded on without a deposit, so it had kept money "
            "outside of the reported account value"
        )
    return f"{excess}, {could}: money went out, or fills made losses, that the tables lack"


def within(errors: list[float]) -> str:
    """Median, and how many are within the edges."""
    if not errors:
        return "none"
    counts = {edge: sum(abs(error) <= edge for error in errors) for edge in EDGES_BPS}
    shares = ", ".join(f"{n} within {e} ({n / len(errors):.0%})" for e, n in counts.items())
    return f"median {statistics.median(abs(error) for error in errors):.1f} bps, {shares}"


def main() -> None:
    arguments = [argument for argument in sys.argv[1:] if argument != "--leave"]
    folder = (
        Path(arguments[0])
        if arguments
        else Path(__file__).parents[3] / "shared/data/hyperliquid-2023"
    )
    if not folder.is_dir():
        print(f"{folder} is not here: name the folder of the tables of 2023")
        return
    every = cases(folder, "--leave" in sys.argv)
    good = [case for case in every if not case.why]
    for mode, cross in (("cross", True), ("isolated", False)):
        mine = [case for case in every if case.reported_liquidation.cross == cross]
        fine = [case for case in mine if not case.why]
        print(f"{mode}: {len(mine)} liquidations, {len(fine)} resolvable")
        for why, count in Counter(case.why for case in mine if case.why).most_common():
            print(f"  not resolvable, {count}: {why}")
        print(f"  error to the mark at the close:  {within([c.to_mark for c in fine])}")
        print(f"  error to the reported threshold: {within([c.to_threshold for c in fine])}")
        print(f"  gap from threshold to mark:      {within([c.gap for c in fine])}")
        rest = [c.to_mark for c in mine if c.why and c.to_mark == c.to_mark]
        print(f"  to the mark where not resolvable: {within(rest)}")
    crossed = [case for case in every if case.reported_liquidation.cross]
    beside = sum(case.beside > 0 for case in crossed)
    unmatched = sum("positions" in case.why for case in crossed)
    print(
        f"of {len(crossed)} cross liquidations {beside} have other records of the account in the "
        f"same second, whose order is unknown; in {unmatched} positions, so fills, are missing"
    )
    print("missed (resolvable, over 25 bps to the mark):")
    for case in good:
        if abs(case.to_mark) > TARGET_BPS:
            names = "+".join(sorted(outcome.symbol for outcome in case.outcomes))
            print(
                f"  {format_iso(case.reported_liquidation.ts)} {names}: to the mark "
                f"{case.to_mark:+.1f}, to the threshold {case.to_threshold:+.1f}, "
                f"gap {case.gap:+.1f}; {reason(case)}"
            )


if __name__ == "__main__":
    main()
