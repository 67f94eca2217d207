"""A batch as plain values: what the venue stage reads comes back, and nothing else travels."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from monitor.core import snapshot
from monitor.core.contract.stepped import quantise
from monitor.core.decode.batch import Batch
from monitor.core.decode.batch_state import batch_from_state, batch_to_state
from monitor.core.decode.codec import decode
from monitor.core.shard_report import UNUSED_TEXTS, last_books

SECOND = 1_000_000_000
START = 1_764_000_000 * SECOND


def batch_of(kind: str, records: list[dict[str, Any]]) -> Batch:
    raws = [json.dumps({"kind": kind, **record}).encode() for record in records]
    batch = decode(kind, f"{kind}s", 0, np.arange(len(raws), dtype=np.int64), raws)
    assert batch.refused == []
    return batch


def book(second: float, symbol: str, price: str = "99") -> dict[str, Any]:
    levels = {"bids": [[price, "1"]], "asks": [["101", "2"], ["102", "3"]]}
    return {"ts": START + round(second * SECOND), "symbol": symbol, **levels}


def through_bytes(batch: Batch) -> Batch:
    raw = snapshot.pack(batch_to_state(batch, UNUSED_TEXTS), "x")
    return batch_from_state(snapshot.unpack(raw, "x"))


def test_numbers_texts_and_ladders_come_back() -> None:
    books = batch_of("book", [book(0.1, "X"), book(0.2, "long-name"), book(0.3, "X")])
    again = through_bytes(books.select_rows([2, 1]))
    assert (again.kind, again.topic, again.partition) == ("book", "books", 0)
    assert again.offset.tolist() == [2, 1]
    assert again.numbers["ts"].tolist() == books.numbers["ts"][[2, 1]].tolist()
    assert again.texts["symbol"].to_strings() == ["X", "long-name"]
    assert again.ladders["asks"].offset.tolist() == [0, 2, 4]
    assert again.ladders["bids"].price.tolist() == [quantise("99")] * 2


def test_an_absent_text_stays_absent_and_unused_texts_stay_behind() -> None:
    fill = {"ts": START, "symbol": "X", "side": "buy", "price": "10", "quantity": "1"}
    again = through_bytes(batch_of("fill", [fill, {**fill, "account": "a", "trade_id": "7"}]))
    assert again.texts["account"].to_strings() == [None, "a"]
    assert "trade_id" not in again.texts


def test_the_last_book_of_each_symbol_and_interval_is_kept() -> None:
    seconds = [(0.1, "X"), (0.2, "Y"), (0.9, "X"), (0.9, "X"), (1.1, "X")]
    books = batch_of("book", [book(second, symbol) for second, symbol in seconds])
    assert last_books(books, SECOND).offset.tolist() == [1, 3, 4]
