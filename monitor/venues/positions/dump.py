"""A venue's dump of account states, as the records of a day that begins there.

A document is one JSON value, a list of them, or one a line; each part is an account state or rules
of markets, of the venue that its fields show, or an object of states by account. Rules come first,
whatever file they are in, then the states in the order of their times.
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
from monitor.venues.parse import UnreadableError, canonical_json
from monitor.venues.positions import binance, hyperliquid
from monitor.venues.positions.account_records import RecordedAccount
from monitor.venues.positions.shown import Reading, ShownAccount, ShownMarket, ShownPosition

VENUES: dict[str, ModuleType] = {"hyperliquid": hyperliquid, "binance": binance}


class PositionsDump(VenueAdapter):
    """Reads whole documents, and keeps all states until the last is read."""

    NAME: ClassVar[str] = "positions"
    OPTIONS: ClassVar[Mapping[str, str]] = {
        "venue": f"{' or '.join(VENUES)}; without it as the fields of each part show",
        "time": "of states that name none, ms since 1970; without it that of the latest state",
    }

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        super().__init__(options)
        venue, time = self.options.get("venue"), self.options.get("time")
        if venue and venue not in VENUES:
            raise OptionError(f"venue={venue}: it is {' or '.join(VENUES)}")
        if time is not None and not re.fullmatch("[0-9]{13}", time):
            raise OptionError(f"time={time}: give ms since 1970, as 1770185468098")
        self._venues = [venue] if venue else list(VENUES)
        self._time_ns = None if time is None else int(time) * MILLISECOND_NS
        self._file, self._nameless = "", 0
        self._refused: list[BatchRow] = []
        self._accounts: list[ShownAccount] = []
        self._markets: dict[str, tuple[str, ShownMarket]] = {}
        """By symbol: its venue, and its rules."""
        self._venue_of: dict[str, str] = {}
        """By symbol of a position: the venue."""

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
                self._refused.append(("reference", raw, error))
        return []

    def _read_part(self, raw: bytes) -> None:
        part = _guard(lambda: json.loads(raw.decode(), parse_float=str))
        if venue := self._venue_that_shows(part):
            self._add(venue, _guard(VENUES[venue].read, part, raw, ""))
            return
        states = part if isinstance(part, dict) else {}
        venues = [self._venue_that_shows(state) for state in states.values()]
        if not states or None in venues:
            listed = " or ".join(self._venues)
            raise UnreadableError("bad_value", f"no account state and no rules of {listed}")
        for (account, state), venue in zip(states.items(), venues, strict=True):
            self._add(str(venue), _guard(VENUES[str(venue)].read, state, raw, account))

    def _venue_that_shows(self, part: Any) -> str | None:
        """The venue whose account state or rules a JSON value is."""
        return next((name for name in self._venues if VENUES[name].is_shown(part)), None)

    def _add(self, venue: str, reading: Reading) -> None:
        self.source_counts[f"account states of {venue}"] += len(reading.accounts)
        self.source_counts[f"market rules of {venue}"] += len(reading.markets)
        for account in reading.accounts:
            self._accounts.append(account if account.account else self._name(account))
            self._venue_of.update((p.symbol, venue) for p in account.positions)
        self._markets.update((market.symbol, (venue, market)) for market in reading.markets)

    def _name(self, state: ShownAccount) -> ShownAccount:
        self._nameless += 1
        self.notes["account states that name no account: called after their file"] += 1
        number = f"-{self._nameless}" if self._nameless > 1 else ""
        return replace(state, account=f"{self._file}{number}")

    def finish(self) -> list[Batch]:
        """All records: rules, then for each time marks, positions and collateral."""
        by_time = self._states_by_time()
        rows = [*self._refused, *self._market_rows(min(by_time, default=0))]
        accounts: dict[str, RecordedAccount] = {}
        for ts, states in sorted(by_time.items()):
            rows += _mark_rows(states, ts)
            for state in states:
                if state.equity is None:
                    self.notes["account states without equity: it follows from printed prices"] += 1
                account = accounts.setdefault(state.account, RecordedAccount(state.account))
                for record in account.follow(state, ts):
                    rows.append((record["kind"], state.raw, canonical_json(record)))
        return self.build_batches(rows)[0]

    def _states_by_time(self) -> dict[int, list[ShownAccount]]:
        times = [state.ts for state in self._accounts if state.ts is not None]
        undated = self._time_ns if self._time_ns is not None else max(times, default=None)
        if undated is None and self._accounts:
            raise OptionError("no state of the dump has a time: give it with --option time=MS")
        note = "account states without a time: taken to be of the latest"
        by_time: dict[int, list[ShownAccount]] = {}
        for state in self._accounts:
            self.notes[note] += state.ts is None
            ts = undated if state.ts is None else state.ts
            by_time.setdefault(int(ts or 0), []).append(state)
        return by_time

    def _market_rows(self, ts: int) -> Iterator[BatchRow]:
        """Rules of each market, and its mark where they say it."""
        shown: dict[str, tuple[Decimal, bytes]] = {}
        for state in self._accounts:
            for position in state.positions:
                if position.symbol not in self._markets:
                    leverage, raw = shown.get(position.symbol, (Decimal(0), state.raw))
                    shown[position.symbol] = max(leverage, position.max_leverage or leverage), raw
        for symbol, (leverage, raw) in sorted(shown.items()):
            note = "markets without rules in the dump: they have no bands without them"
            if leverage:
                note = "markets without rules in the dump: one rate, of the highest maxLeverage"
                tiers = (("0", *hyperliquid.rates(leverage)),)
                self._markets[symbol] = self._venue_of[symbol], ShownMarket(symbol, tiers, raw)
            self.notes[note] += 1
        for symbol, (venue, market) in sorted(self._markets.items()):
            yield "reference", market.raw, canonical_json(_market_record(venue, market, ts))
            if market.mark is not None and market.mark > 0:
                yield _mark_row(symbol, market.mark, market.raw, ts)


def _mark_rows(states: list[ShownAccount], ts: int) -> Iterator[BatchRow]:
    """The mark of each market as its largest position shows it, which is the least rounded."""
    largest: dict[str, tuple[ShownPosition, bytes]] = {}
    for state in states:
        for position in state.positions:
            best = largest.get(position.symbol)
            if best is None or position.value > best[0].value:
                largest[position.symbol] = position, state.raw
    for symbol, (position, raw) in sorted(largest.items()):
        yield _mark_row(symbol, position.mark, raw, ts)


def _mark_row(symbol: str, mark: Decimal, raw: bytes, ts: int) -> BatchRow:
    record = {"kind": "mark", "ts": ts, "symbol": symbol, "mark": format(mark, "f")}
    return "mark", raw, canonical_json(record)


def _market_record(venue: str, market: ShownMarket, ts: int) -> dict[str, Any]:
    tiers = [
        {"lower_bound": bound, "maintenance_rate": rate, "initial_rate": initial}
        for bound, rate, initial in market.tiers
    ]
    return {
        "kind": "reference",
        "ts": ts,
        "about": "market",
        "symbol": market.symbol,
        "regime": venue,
        "tiers": tiers,
        "mark_rule": venue,
        "path": venue,
        "isolated_only": market.isolated_only or None,
    }


def split_document(document: bytes) -> Iterator[bytes]:
    """The parts of a document as they are written: the members of a list of account states, the
    lines of JSON lines, else the whole."""
    try:
        text = document.decode()
        whole = json.loads(text)
    except (ValueError, RecursionError):
        yield from (line for line in document.splitlines() if line.strip())
        return
    is_part = any(venue.is_shown(whole) for venue in VENUES.values())
    if is_part or not whole or not isinstance(whole, list):
        yield document.strip()
        return
    decoder, end = json.JSONDecoder(), text.index("[") + 1
    for _ in whole:
        between = re.compile(r"[\s,]*").match(text, end)
        begin = end if between is None else between.end()
        end = decoder.raw_decode(text, begin)[1]
        yield text[begin:end].encode()


def _guard(read: Callable[..., Any], *arguments: Any) -> Any:
    """What `read` returns; what it raises for a part of another shape is an `UnreadableError`."""
    try:
        return read(*arguments)
    except KeyError as error:
        raise UnreadableError("missing_field", f"{error.args[0]}: Field required") from None
    except UnicodeDecodeError as error:
        raise UnreadableError("not_utf8", f"at byte {error.start}: {error.reason}") from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise UnreadableError("not_json", str(error)) from None
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
        raise UnreadableError("wrong_type", ascii(str(error))[1:-1]) from None
