"""A venue that does not exist, with records in a form that nobody knows: a random set of events, a
random map, and the same events written by that map and as the contract has them."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.cases.front_door import START_NS

SYMBOLS = ("BTC-USD", "ETH-USD", "SHIB-USD")
WORDS = {
    "side": ("buy", "sell"),
    "action": ("new", "replace"),
    "reason": ("user", "expired", "venue"),
    "liquidity": ("maker", "taker"),
    "cause": ("trade", "liquidation", "adl"),
    "margin_mode": ("cross", "isolated"),
    "about": ("position",),
    "moves": ("deposit", "withdrawal"),
}
FACTORS = ("0.001", "100", "0.25", "8", "1e-8")

Record = dict[str, Any]


def decimal_text(value: Decimal) -> str:
    return format(value, "f")


def make_events(rng: random.Random, count: int, faulty: bool) -> list[Record]:
    """Canonical events in the order of time, no two at the same; some of them not in bounds."""
    ts, events = START_NS, []
    for number in range(count):
        ts += rng.randrange(1_000, 400_000_000, 1_000)
        kind = rng.choice(("order", "order", "cancel", "fill", "fill", "leverage", "book", "mark",
                           "collateral", "reference"))  # fmt: skip
        event = {"kind": kind, "ts": ts, **_MAKERS[kind](rng, number)}
        if faulty and rng.random() < 0.1:
            _spoil(rng, event)
        events.append(event)
    return events


def _price(rng: random.Random) -> str:
    return decimal_text(Decimal(rng.randint(90_000, 110_000)) / 100)


def _quantity(rng: random.Random) -> str:
    return decimal_text(Decimal(rng.randint(1, 90_000)) / 1_000)


def _account(rng: random.Random) -> str:
    return f"desk{rng.randint(1, 5)}/trader{rng.randint(1, 9)}"


def _sized(rng: random.Random) -> Record:
    return {
        "symbol": rng.choice(SYMBOLS), "account": _account(rng), "price": _price(rng),
        "quantity": _quantity(rng), "side": rng.choice(WORDS["side"]),
    }  # fmt: skip


def _order(rng: random.Random, number: int) -> Record:
    flag = {"reduce_only": rng.random() < 0.5} if rng.random() < 0.5 else {}
    return {**_sized(rng), "order_id": f"o{number}", "action": rng.choice(WORDS["action"]), **flag}


def _cancel(rng: random.Random, number: int) -> Record:
    return {**_sized(rng), "order_id": f"o{number}", "reason": rng.choice(WORDS["reason"])}


def _fill(rng: random.Random, number: int) -> Record:
    fee = decimal_text(Decimal(rng.randint(-500, 500)) / 100)
    words = {name: rng.choice(WORDS[name]) for name in ("liquidity", "cause")}
    return {**_sized(rng), "trade_id": f"t{number}", "fee": fee, **words}


def _leverage(rng: random.Random, number: int) -> Record:
    return {
        "symbol": rng.choice(SYMBOLS), "account": _account(rng),
        "leverage": str(rng.randint(1, 100)), "margin_mode": rng.choice(WORDS["margin_mode"]),
    }  # fmt: skip


def _book(rng: random.Random, number: int) -> Record:
    middle = rng.randint(90_000, 110_000)
    sides = {"bids": -1, "asks": 1}
    levels = {
        side: [
            [decimal_text(Decimal(middle + sign * (n + 1)) / 100), _quantity(rng)]
            for n in range(rng.randint(0, 5))
        ]
        for side, sign in sides.items()
    }
    return {"symbol": rng.choice(SYMBOLS), **levels}


def _mark(rng: random.Random, number: int) -> Record:
    rate = decimal_text(Decimal(rng.randint(-99, 99)) / 1_000_000)
    return {
        "symbol": rng.choice(SYMBOLS), "mark": _price(rng), "index": _price(rng),
        "funding_rate": rate, "funding_interval_s": 28_800, "open_interest": _quantity(rng),
    }  # fmt: skip


def _collateral(rng: random.Random, number: int) -> Record:
    cause = rng.choice(WORDS["moves"])
    amount = Decimal(rng.randint(1, 1_000_000)) / 100 * (1 if cause == "deposit" else -1)
    return {"account": _account(rng), "amount": decimal_text(amount), "cause": cause}


def _reference(rng: random.Random, number: int) -> Record:
    size = Decimal(rng.randint(1, 9_000)) / 1_000 * rng.choice((1, -1))
    return {
        "about": "position", "symbol": rng.choice(SYMBOLS), "account": _account(rng),
        "quantity": decimal_text(size), "entry_price": _price(rng),
        "margin_mode": rng.choice(WORDS["margin_mode"]),
    }  # fmt: skip


_MAKERS: dict[str, Callable[[random.Random, int], Record]] = {
    "order": _order, "cancel": _cancel, "fill": _fill, "leverage": _leverage, "book": _book,
    "mark": _mark, "collateral": _collateral, "reference": _reference,
}  # fmt: skip


def _spoil(rng: random.Random, event: Record) -> None:
    """Take something out, or put something in that the contract refuses."""
    spoilt = rng.choice(("price", "quantity", "side", "symbol", "account", "margin_mode"))
    if spoilt not in event:
        return
    if spoilt in ("price", "quantity"):
        event[spoilt] = rng.choice(("-1", "0", "1e30", "many", None))
    elif spoilt in ("side", "margin_mode"):
        event[spoilt] = rng.choice(("hold", None))
    else:
        event[spoilt] = rng.choice(("a b/c", "x" * 70 + "/" + "y" * 70, None))


@dataclass
class Column:
    """A column of the venue, and what stands in it for an event."""

    name: str
    write: Callable[[Record], Any]


@dataclass
class MappedKind:
    """A kind in the source's own form."""

    kind: str
    columns: dict[str, list[Column]] = field(default_factory=dict)
    rules: dict[str, Any] = field(default_factory=dict)

    def row(self, event: Record) -> Record:
        return {c.name: c.write(event) for some in self.columns.values() for c in some}


def make_mapped(rng: random.Random, kind: str, nested: bool) -> MappedKind:
    """A random form of a kind. nested: lists and objects may be in it."""
    mapped = MappedKind(kind)
    example = {"ts": 0, **_MAKERS[kind](rng, 0)}
    if kind == "order":
        example["reduce_only"] = True
    for name in example:
        column = rng.choice(("", "x_")) + f"c{rng.randint(0, 99)}_{name}"
        columns, rule = _field(rng, kind, name, column, nested)
        mapped.columns[name], mapped.rules[name] = columns, rule
    return mapped


def _field(
    rng: random.Random, kind: str, name: str, column: str, nested: bool
) -> tuple[list[Column], Any]:
    if name == "ts":
        return _time(rng, column)
    if name in ("bids", "asks"):
        return _side(rng, name, column, nested)
    words = WORDS["moves"] if kind == "collateral" and name == "cause" else WORDS.get(name)
    if words:
        codes = {
            word: f"{name[0].upper()}{i + rng.randint(0, 1) * 5}" for i, word in enumerate(words)
        }
        rule = {"field": column, "words": {code.lower(): word for word, code in codes.items()}}
        return [Column(column, lambda e: codes.get(e[name], e[name]))], rule
    if name == "reduce_only":
        rule = {"field": column, "words": {"R": "true", "-": "false"}}
        flags = {True: "r", False: "-", None: None}
        return [Column(column, lambda e: flags[e.get(name)])], rule
    if name in ("symbol", "order_id", "trade_id"):
        return [Column(column, lambda e: e.get(name))], column
    if name == "account":
        return _split_account(rng, column)
    return _number(rng, kind, name, column)


def _time(rng: random.Random, column: str) -> tuple[list[Column], Any]:
    unit = rng.choice(("s", "ms", "us", "ns", "iso", "offset", "two"))
    scale = {"s": 9, "ms": 6, "us": 3, "ns": 0}
    if unit in scale:
        rule = {"field": column, "unit": unit}
        shift = Decimal(1).scaleb(-scale[unit])
        return [Column(column, lambda e: decimal_text(Decimal(e["ts"]) * shift))], rule

    def moment(event: Record, hours: int = 0) -> tuple[str, str]:
        seconds, rest = divmod(event["ts"], 10**9)
        at = datetime.fromtimestamp(seconds, UTC) + timedelta(hours=hours)
        return f"{at:%Y-%m-%d}", f"{at:%H:%M:%S}.{rest:09d}"

    rule = {"field": column, "unit": "iso"}
    if unit == "iso":
        return [Column(column, lambda e: "T".join(moment(e)) + "Z")], rule
    if unit == "offset":
        return [Column(column, lambda e: " ".join(moment(e, 8)) + "+08:00")], rule
    rule = {"fields": [f"{column}_d", f"{column}_t"], "join": "T", "unit": "iso"}
    days = Column(f"{column}_d", lambda e: moment(e)[0])
    return [days, Column(f"{column}_t", lambda e: moment(e)[1])], rule


def _side(rng: random.Random, name: str, column: str, nested: bool) -> tuple[list[Column], Any]:
    if nested and rng.random() < 0.5:
        return [Column(column, lambda e: e[name])], column
    if nested:
        rule = {"field": column, "each": {"price": "p.x", "quantity": "q"}}
        return [
            Column(column, lambda e: [{"p": {"x": p}, "q": q, "n": 1} for p, q in e[name]])
        ], rule
    each = {"price": f"{column}[{{level}}].p", "quantity": f"{column}[{{level}}].q"}
    columns = []
    for level in range(5):
        for place, part in enumerate("pq"):
            columns.append(
                Column(
                    f"{column}[{level}].{part}",
                    lambda e, n=level, i=place: e[name][n][i] if n < len(e[name]) else None,
                )
            )
    return columns, {"levels": [0, 4], "each": each}


def _split_account(rng: random.Random, column: str) -> tuple[list[Column], Any]:
    if rng.random() < 0.5:
        return [Column(column, lambda e: e["account"])], column
    rule = {"fields": [f"{column}_a", f"{column}_b"], "join": "/"}

    def part(event: Record, place: int) -> str | None:
        return event["account"] and event["account"].split("/")[place]

    return [
        Column(f"{column}_a", lambda e: part(e, 0)),
        Column(f"{column}_b", lambda e: part(e, 1)),
    ], rule


def _number(rng: random.Random, kind: str, name: str, column: str) -> tuple[list[Column], Any]:
    def scaled(value: Any, factor: str) -> Any:
        try:
            return decimal_text(Decimal(value) / Decimal(factor))
        except (ArithmeticError, TypeError, ValueError):
            return value

    form = rng.choice(("plain", "factor", "by symbol", "sign"))
    if form == "factor":
        factor = rng.choice((*FACTORS, "-1")) if name == "fee" else rng.choice(FACTORS)
        rule = {"field": column, "times": factor}
        return [Column(column, lambda e: scaled(e.get(name), factor))], rule
    if form == "by symbol" and kind != "collateral":
        factors = {symbol: rng.choice(FACTORS) for symbol in SYMBOLS[1:]} | {"*": "0.01"}
        rule = {"field": column, "times": factors}

        def write(event: Record) -> Any:
            return scaled(event.get(name), factors.get(event["symbol"], "0.01"))

        return [Column(column, write)], rule
    if form == "sign" and name in ("amount", "fee", "funding_rate"):
        sign = {"field": f"{column}_way", "words": {"IN": "+", "OUT": "-"}}
        rule = {"field": column, "sign": sign}
        way = Column(f"{column}_way", lambda e: "out" if e[name][0] == "-" else "in")
        return [Column(column, lambda e: e[name].lstrip("-")), way], rule
    return [Column(column, lambda e: e.get(name))], column


def write_venue(rng: random.Random, events: list[Record], folder: Path, form: str) -> None:
    """The events in files of `form` (csv, json, parquet) with a map `venue.toml`, and in
    `canonical.jsonl`."""
    folder.mkdir()
    lines = [json.dumps({k: v for k, v in event.items() if v is not None}) for event in events]
    (folder / "canonical.jsonl").write_text("".join(line + "\n" for line in lines))
    text = ""
    for kind in _MAKERS:
        own = [event for event in events if event["kind"] == kind]
        if not own:
            continue
        mapped = make_mapped(rng, kind, nested=form != "csv")
        parts: list[list[Record]] = [[] for _ in range(rng.randint(1, 3))]
        for event in own:
            rng.choice(parts).append(mapped.row(event))
        delimiter = rng.choice((",", ";", "\t", "|"))
        for number, rows in enumerate(part for part in parts if part):
            _write_rows(rng, rows, folder / f"{kind}-{number}.{form}", delimiter)
        source = {"files": [f"{kind}-*.{form}"], "format": form, "kind": kind}
        if form == "csv":
            source["csv"] = {"delimiter": delimiter}
        text += f"[source.{kind}s]\n"
        text += "".join(f"{key} = {toml(value)}\n" for key, value in source.items())
        text += f"[source.{kind}s.fields]\n"
        text += "".join(f"{toml(name)} = {toml(rule)}\n" for name, rule in mapped.rules.items())
    (folder / "venue.toml").write_text(text)


def _write_rows(rng: random.Random, rows: list[Record], path: Path, delimiter: str) -> None:
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding=rng.choice(("utf-8", "utf-8-sig"))) as stream:
            quoting = rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
            writer = csv.DictWriter(stream, [*rows[0]], delimiter=delimiter, quoting=quoting)
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".json":
        path.write_text("".join(json.dumps(_as_numbers(rng, row)) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)


def _as_numbers(rng: random.Random, row: Record) -> Record:
    """Some of the numbers as JSON's own: the text stays the same, for these are short."""
    out = dict(row)
    for name, value in row.items():
        if isinstance(value, str) and len(value) < 9 and value.isdecimal() and rng.random() < 0.5:
            out[name] = int(value)
    return out


def toml(value: Any) -> str:
    """A value in TOML, inline."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{toml(k)} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)
