"""A venue's dump of account states, as reference records of a day that begins there.

A document is one JSON value, a list of them, or one a line; each part is an account state or rules
of markets, of the venue that its fields show. Rules come first, whatever file they are in, then the
states in the order of their times. A second state of an account makes records of what has changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from types import ModuleType
from typing import Any, ClassVar

from monitor.core.contract.units import MILLISECOND_NS
from monitor.core.decode.batch import Batch
from monitor.venues.adapter import BatchRow, OptionError, VenueAdapter
from monitor.venues.parse import Record, UnreadableError, canonical_json
from monitor.venues.positions import binance, hyperliquid
from monitor.venues.positions.states import AccountState, MarketState, PositionState, Reading

VENUES: dict[str, ModuleType] = {"hyperliquid": hyperliquid, "binance": binance}
_SHAPES = (KeyError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError)


class PositionsDump(VenueAdapter):
    """Reads whole documents, and keeps all states until the last is read."""

    NAME: ClassVar[str] = "positions"
    OPTIONS: ClassVar[Mapping[str, str]] = {
        "venue": f"{' or '.join(VENUES)}; without it as the fields of each part show",
        "time": "of states that name none, ms since 1970; without it that of the latest state",
    }

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        super().__init__(options)
        self._venue, time = self.options.get("venue", ""), self.options.get("time")
        if self._venue and self._venue not in VENUES:
            raise OptionError(f"venue={self._venue}: it is {' or '.join(VENUES)}")
        if time is not None and not re.fullmatch("[0-9]{13}", time):
            raise OptionError(f"time={time}: give ms since 1970, as 1770185468098")
        self._ts = None if time is None else int(time) * MILLISECOND_NS
        self._file, self._nameless = "", 0
        self._rows: list[BatchRow] = []
        self._accounts: list[AccountState] = []
        self._markets: dict[str, tuple[str, MarketState]] = {}
        self._regimes: dict[str, str] = {}

    def begin_file(self, file: str) -> None:
        """`file`: how accounts are called that have no name; the second has -2 behind it."""
        self._file, self._nameless = file, 0

    def read(self, chunk: bytes) -> list[Batch]:
        """Take in a document."""
        for raw in split_document(chunk):
            self.source_counts["parts"] += 1
            try:
                self._read_part(raw)
            except UnreadableError as error:
                self._refuse(raw, error)
        return []

    def _refuse(self, raw: bytes, error: UnreadableError) -> None:
        self._rows.append(("reference", raw, error))

    def _read_part(self, raw: bytes) -> None:
        part = _guard(lambda: _parse(raw))
        names = [self._venue] if self._venue else list(VENUES)
        of_venue = [name for name in names if VENUES[name].is_state(part)]
        if of_venue:
            self._add(of_venue[0], _guard(lambda: VENUES[of_venue[0]].read(part, raw, "")))
            return
        states = list(part.items()) if isinstance(part, dict) else []
        for account, state in states:
            of_venue = [name for name in names if VENUES[name].is_state(state)]
            if not of_venue:
                break
            self._add(of_venue[0], _guard(lambda: VENUES[of_venue[0]].read(state, raw, account)))
        else:
            if states:
                return
        raise UnreadableError("bad_value", f"no account states or rules of {' or '.join(names)}")

    def _add(self, venue: str, reading: Reading) -> None:
        self.source_counts[f"account states of {venue}"] += len(reading.accounts)
        self.source_counts[f"market rules of {venue}"] += len(reading.markets)
        self._accounts += [a if a.account else self._name(a) for a in reading.accounts]
        for market in reading.markets:
            self._markets[market.symbol] = venue, market
        for account in reading.accounts:
            self._regimes.update(dict.fromkeys((p.symbol for p in account.positions), venue))

    def _name(self, state: AccountState) -> AccountState:
        self._nameless += 1
        self.notes["account states that name no account: called after their file"] += 1
        number = f"-{self._nameless}" if self._nameless > 1 else ""
        return replace(state, account=f"{self._file}{number}")

    def finish(self) -> list[Batch]:
        """All records: rules, then for each time marks, positions and collateral."""
        times = [a.ts for a in self._accounts if a.ts is not None]
        latest = self._ts if self._ts is not None else max(times, default=None)
        if latest is None and self._accounts:
            raise OptionError("no state in the dump has a time: give it with --option time=MS")
        undated = sum(a.ts is None for a in self._accounts)
        self.notes["account states without a time: taken to be as of the latest"] += undated
        first = min([*times, *([latest] if undated and latest is not None else [])], default=0)
        states = sorted(self._accounts, key=lambda a: a.ts if a.ts is not None else latest or 0)
        rows = [row for row in self._market_rows(states, first)]
        accounts: dict[str, _RecordedAccount] = {}
        by_time: dict[int, list[AccountState]] = {}
        for state in states:
            by_time.setdefault(state.ts if state.ts is not None else latest or 0, []).append(state)
        for ts, now in by_time.items():
            rows += self._mark_rows(now, ts)
            for state in now:
                account = accounts.setdefault(state.account, _RecordedAccount(state.account))
                if state.equity is None:
                    self.notes["account states without equity: it follows from printed prices"] += 1
                rows += [
                    (record["kind"], state.raw, canonical_json(record))
                    for record in account.follow(state, ts)
                ]
        return self.build_batches([*self._rows, *rows])[0]

    def _market_rows(self, states: list[AccountState], ts: int) -> Iterator[BatchRow]:
        seen: dict[str, tuple[Decimal, bytes]] = {}
        for state in states:
            for position in state.positions:
                best = seen.get(position.symbol, (Decimal(0), b""))
                if position.symbol not in self._markets:
                    most = max(best[0], position.max_leverage or Decimal(0))
                    seen[position.symbol] = most, best[1] or state.raw
        for symbol, (leverage, raw) in sorted(seen.items()):
            if leverage:
                note = "markets without rules in the dump: one rate, of the highest maxLeverage seen"
                tiers = (("0", *hyperliquid.rates(leverage)),)
                self._markets[symbol] = self._regimes[symbol], MarketState(symbol, tiers, raw)
            else:
                note = "markets without rules in the dump: no bands without a file of them"
            self.notes[note] += 1
        for symbol, (venue, market) in sorted(self._markets.items()):
            yield "reference", market.raw, canonical_json(_market_record(venue, market, ts))
            if market.mark is not None and market.mark > 0:
                mark = {"kind": "mark", "ts": ts, "symbol": symbol, "mark": str(market.mark)}
                yield "mark", market.raw, canonical_json(mark)

    def _mark_rows(self, states: list[AccountState], ts: int) -> list[BatchRow]:
        """The mark of each market as its largest position shows it, which is the least rounded."""
        largest: dict[str, tuple[Decimal, PositionState, bytes]] = {}
        for state in states:
            for position in state.positions:
                size = abs(position.quantity) * position.mark
                if size > largest.get(position.symbol, (Decimal(-1),))[0]:
                    largest[position.symbol] = size, position, state.raw
        return [
            ("mark", raw, canonical_json(
                {"kind": "mark", "ts": ts, "symbol": symbol, "mark": format(one.mark, "f")}
            ))
            for symbol, (_, one, raw) in sorted(largest.items())
        ]  # fmt: skip


class _RecordedAccount:
    """What the records so far say of an account; `follow` makes those that bring it to a state."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._positions: dict[str, PositionState] = {}
        self._traded: dict[str, Decimal] = {}
        """By market, cash from trading that its open position has."""
        self._margins: dict[str, Decimal] = {}
        self._cash = Decimal(0)
        """Of the account without its open positions."""

    def follow(self, state: AccountState, ts: int) -> list[Record]:
        """Position records of what is new or different, then the collateral that is missing."""
        now = {position.symbol: position for position in state.positions}
        records = []
        for symbol in sorted(now.keys() | self._positions.keys()):
            records.append(self._move(symbol, now.get(symbol), ts))
        self._positions = now
        if state.equity is not None:
            cross = [p for p in now.values() if not p.is_isolated]
            wanted = state.equity - sum(p.quantity * p.mark + self._traded[p.symbol] for p in cross)
            amount = round(wanted - self._cash + sum(self._margins.values()), 6)
            self._cash += amount
            if amount:
                records.append({
                    "kind": "collateral", "ts": ts, "account": self._account,
                    "amount": format(amount, "f"),
                    "cause": "deposit" if amount > 0 else "withdrawal",
                })  # fmt: skip
        return records

    def _move(self, symbol: str, now: PositionState | None, ts: int) -> Record:
        before = self._positions.get(symbol)
        shown = now or self._positions[symbol]
        more = (now.quantity if now else 0) - (before.quantity if before else Decimal(0))
        price = shown.entry if before is None else shown.mark
        if before is None and shown.is_isolated and shown.cash is not None:
            # Where profit was taken out, only the equity at the mark is a margin.
            if shown.cash + shown.quantity * shown.entry <= 0:
                price = shown.mark
        self._traded[symbol] = self._traded.get(symbol, Decimal(0)) - more * price
        margin = None
        if now is not None and now.is_isolated and now.cash is not None:
            wanted = round(now.cash - self._traded[symbol], 6)
            margin = wanted - self._margins.get(symbol, Decimal(0))
            self._cash += margin
            self._margins[symbol] = wanted
        elif now is not None and symbol in self._margins:
            margin = -self._margins.pop(symbol)
            self._cash += margin
        if now is None:
            self._cash += self._traded.pop(symbol)
            self._margins.pop(symbol, None)
        return {
            "kind": "reference", "ts": ts, "about": "position", "symbol": symbol,
            "account": self._account, "quantity": format(more, "f"),
            "entry_price": format(price, "f"),
            "margin_mode": "isolated" if shown.is_isolated else "cross",
            "leverage": _text(shown.leverage), "isolated_margin": _text(margin),
            "max_leverage": _text(now and now.max_leverage),
            "liquidation_price": _text(now and now.printed), "mark": _text(now and now.mark),
        }  # fmt: skip


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def _market_record(venue: str, market: MarketState, ts: int) -> Record:
    tiers = [
        {"lower_bound": bound, "maintenance_rate": rate, "initial_rate": initial}
        for bound, rate, initial in market.tiers
    ]
    return {
        "kind": "reference", "ts": ts, "about": "market", "symbol": market.symbol, "regime": venue,
        "tiers": tiers, "mark_rule": venue, "path": venue,
        "isolated_only": market.isolated_only or None,
    }  # fmt: skip


def split_document(document: bytes) -> Iterator[bytes]:
    """The parts of a document: the members of a list of account states, the lines of JSON lines,
    else the whole."""
    try:
        text = document.decode()
        whole = json.loads(text)
    except (ValueError, RecursionError):
        yield from (line for line in document.splitlines() if line.strip())
        return
    is_part = any(venue.is_state(whole) for venue in VENUES.values())
    if is_part or not isinstance(whole, list):
        yield document.strip()
        return
    decoder, at = json.JSONDecoder(), text.index("[") + 1
    for _ in whole:
        at = re.compile(r"[\s,]*").match(text, at).end()  # type: ignore[union-attr]
        end = decoder.raw_decode(text, at)[1]
        yield text[at:end].encode()
        at = end


def _parse(raw: bytes) -> Any:
    decoder = json.JSONDecoder(parse_float=str)
    return decoder.decode(raw.decode())


def _guard(read: Callable[[], Any]) -> Any:
    """Call `read`; what it raises for a part of another shape becomes an `UnreadableError`."""
    try:
        return read()
    except KeyError as error:
        raise UnreadableError("missing_field", f"{error.args[0]}: Field required") from None
    except UnicodeDecodeError as error:
        raise UnreadableError("not_utf8", f"at byte {error.start}: {error.reason}") from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise UnreadableError("not_json", str(error)) from None
    except _SHAPES as error:
        raise UnreadableError("wrong_type", ascii(str(error))[1:-1]) from None

