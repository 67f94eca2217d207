"""Hyperliquid: a node's fills (JSON lines, a block each), and the tables of 2023 (CSV).

Files may be in any order; the first character of a line shows which of both it belongs to. Sources:
hyperliquid.gitbook.io, nodes (`--write-fills`, `--batch-by-block`), API info endpoint (user fills),
margining and liquidations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from monitor.core.decode.batch import Batch
from monitor.venues.adapter import LineAdapter
from monitor.venues.hyperliquid.node_blocks import NodeBlocks
from monitor.venues.hyperliquid.tables import HyperliquidTables
from monitor.venues.parse import Record, canonical_json

BATCH_ROWS = 65_536


class Hyperliquid(LineAdapter):
    """Keeps the position of every account in every market (about 200 bytes each), and the rows of
    tables until all files are read (about 500 bytes each)."""

    NAME = "hyperliquid"
    OPTIONS: ClassVar[Mapping[str, str]] = {
        "maintenance": "maintenance rate of the tables' markets (0.01)",
        "account_values": "use (they set the account after its liquidation) or leave",
    }

    def __init__(self, options: dict[str, str] | None = None) -> None:
        super().__init__(options)
        self.blocks = NodeBlocks(self.source_counts, self.notes, self.left_out)
        self.tables = HyperliquidTables(self.options, self.source_counts, self.notes)

    def begin_file(self, file: str) -> None:
        self.tables.begin_file()

    def guess_kind(self, raw: bytes) -> str | None:
        return "fill" if _is_block(raw) else self.tables.kind

    def parse_line(self, raw: bytes) -> list[Record]:
        if _is_block(raw):
            return self.blocks.parse(raw)
        self.tables.add_line(raw)
        self.anomalies.observe_line(raw)
        return []

    def finish(self) -> list[Batch]:
        """The tables' records, in the order of time."""
        records, batches = self.tables.records(), []
        for low in range(0, len(records), BATCH_ROWS):
            part = records[low : low + BATCH_ROWS]
            rows = [(record["kind"], raw, canonical_json(record)) for raw, record in part]
            batches += self.build_batches(rows)[0]
        return batches


def _is_block(raw: bytes) -> bool:
    return raw.lstrip()[:1] == b"{"
