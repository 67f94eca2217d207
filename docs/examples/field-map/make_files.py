"""Three CSV files of a venue that does not exist, for trying the field map in this folder.

Usage: python make_files.py FOLDER. Orders and cancels in one file, trades and positions in others:
times in ms, sides as 1 and 2, quantities in contracts of a thousandth.
"""

import csv
import json
import sys
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from monitor.api import SimulationSettings, open_day, simulate

SIDES = {"buy": 1, "sell": 2}


def rows(day, kind, *names):
    table = day.to_arrow(kind, exact=True)
    times = [ts // 1_000_000 for ts in table.column("ts").cast("int64").to_pylist()]
    records = table.select(names).to_pylist()
    return [{"ts": ts, **record} for ts, record in zip(times, records, strict=True)]


def plain(number):
    return "" if number is None else format(number.normalize(), "f")


def contracts(quantity):
    return "" if quantity is None else max(1, int(abs(quantity) * 1000))


def write(path, names, lines):
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([names, *lines])
    print(f"{path}: {len(lines):,} lines")


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as scratch:
        settings = SimulationSettings(minutes=20, symbols=1, accounts=100, rate=30.0)
        simulate(Path(scratch) / "day", settings)
        day = open_day(Path(scratch) / "day")
        names = "symbol", "side", "price", "quantity", "account", "order_id"
        events = [(r["ts"], "NEW", r) for r in rows(day, "order", *names)]
        events += [(r["ts"], "CXL", r) for r in rows(day, "cancel", *names)]
        orders = [
            (ts, status, r["symbol"], SIDES.get(r["side"]), plain(r["price"]),
             contracts(r["quantity"]), r["account"], r["order_id"])
            for ts, status, r in sorted(events, key=lambda event: event[0])
        ]  # fmt: skip
        trades = [
            (r["ts"], r["symbol"], SIDES.get(r["side"]), plain(r["price"]),
             contracts(r["quantity"]), r["account"])
            for r in rows(day, "fill", *names)
        ]  # fmt: skip
        payloads = [json.loads(r["payload"]) for r in rows(day, "reference", "payload")]
    positions = [
        (p["account"], p["symbol"], "SHORT" if p["quantity"][0] == "-" else "LONG",
         contracts(Decimal(p["quantity"])), p["entry_price"])
        for p in payloads
        if p["about"] == "position"
    ]  # fmt: skip
    header = ["time", "status", "market", "side", "px", "lots", "trader", "order"]
    write(folder / "orders.csv", header, orders)
    write(folder / "trades.csv", ["time", "market", "side", "px", "lots", "trader"], trades)
    write(folder / "positions.csv", ["trader", "market", "way", "lots", "entry"], positions)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
