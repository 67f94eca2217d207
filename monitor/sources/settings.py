"""The field map of a source: how a venue writes its records, as a configuration file says it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from monitor.core.settings import StrictModel

Kind = Literal[
    "order", "cancel", "fill", "leverage", "book", "mark", "collateral", "reference"
]  # fmt: skip
TimeUnit = Literal["s", "ms", "us", "ns", "iso"]


class KindRule(StrictModel):
    """The kind of each record, by a field of it. Records with other words are skipped, and counted
    by word."""

    field: str
    """A dotted path into the record."""
    words: dict[str, Kind]
    """The source's word and the contract's kind; compared as text, without case."""


class FieldRule(StrictModel):
    """Where one field of the contract comes from: `field`, or `fields` with `join`, or `value`."""

    field: str = ""
    """A dotted path into the record."""
    fields: tuple[str, ...] = ()
    """Several, joined to one text."""
    join: str = ""
    value: str | int | bool | None = None
    """The same for all records."""
    unit: TimeUnit | None = None
    """Of a time; `iso`: ISO 8601 text."""
    times: str | dict[str, str] = ""
    """What numbers are multiplied by, exactly: contracts to base units; by symbol too."""
    words: dict[str, str] = {}
    """The source's word and the contract's; compared as text, without case."""


class SourceSettings(StrictModel):
    """One topic of the venue's bus, or files of one form."""

    topic: str = ""
    """Live: the topic that is read."""
    files: tuple[str, ...] = ()
    """In `import map`: patterns of the names of the files that are of this source."""
    format: str = "json"
    """json, csv, parquet, avro, protobuf, or a venue's adapter: dydx, hyperliquid, ..."""
    kind: Annotated[Kind | KindRule | None, Field(description="of all records, or by a field")] = (
        None
    )
    fields: dict[str, str | FieldRule] = {}
    """The contract's fields, and where they come from: a dotted path, or a table."""
    start: str = "earliest"
    """Live, where nothing was read yet: earliest, latest, or an ISO time."""
