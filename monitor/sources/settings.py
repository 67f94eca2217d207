"""The field map of a source: how a venue writes its records, as a configuration file says it.

`docs/field-map.md` has it with examples. What a map must be beyond the shape of these models (names
of the contract's fields, required ones, words) `field_map/checks.py` judges.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from monitor.core.settings import StrictModel

Kind = Literal[
    "order", "cancel", "fill", "leverage", "book", "mark", "collateral", "reference"
]  # fmt: skip
TimeUnit = Literal["s", "ms", "us", "ns", "iso"]


def _plain_text(value: Any) -> Any:
    """A number of a TOML file as its shortest text, true and false as these words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, int | float) else value


Plain = Annotated[
    str, BeforeValidator(_plain_text, json_schema_input_type=str | int | float | bool)
]
"""A text, a number or a flag; a number is best written as text, for that is exact."""


class SignRule(StrictModel):
    """The sign of an amount that the source writes without one, by a field beside it."""

    field: str
    """A dotted path into the record."""
    words: dict[str, Literal["+", "-"]]
    """The source's word and the sign; compared as text, without case."""


class KindRule(StrictModel):
    """The kind of each record: one `value` for all, or by a field of the record. Records with other
    words are skipped, and counted by word."""

    value: Kind | None = None
    """The kind of all records."""
    field: str = ""
    """A dotted path into the record."""
    words: dict[str, Kind] = Field(default_factory=dict)
    """The source's word and the contract's kind; compared as text, without case."""

    @model_validator(mode="before")
    @classmethod
    def _accept_name(cls, given: Any) -> Any:
        return {"value": given} if isinstance(given, str) else given


class FieldRule(StrictModel):
    """Where one field of the contract comes from. The text `"px"` is short for
    `{ field = "px" }`."""

    field: str = ""
    """A dotted path into the record: names of objects, and the place in a list, from 0."""
    fields: tuple[str, ...] = ()
    """Several paths, whose values are joined to one text."""
    join: str = ""
    """What stands between the values of `fields`."""
    value: Plain | None = None
    """The same for all records."""
    sign_of: str = ""
    """The path of a number; the value is its sign, `+` or `-`. A side is then `buy` or `sell`,
    unless `words` say otherwise."""
    words: dict[str, str] = Field(default_factory=dict)
    """The source's word and the contract's; compared as text, without case. `"*"` stands for every
    other word, an empty text on the right means absent."""
    unit: TimeUnit | None = None
    """Of a time: s, ms, us or ns since 1970-01-01 UTC, as text or number; iso: ISO 8601 text.
    Without it a time is in ns, or what its Parquet, Avro or Protobuf type says."""
    times: Plain | dict[str, Plain] = ""
    """What a number is multiplied by, exactly: the base units of one contract. A table gives it by
    the contract's symbol; `"*"` stands for all others."""
    over: str = ""
    """The path of a price by which the product is divided, to 18 digits: the contracts of a
    coin-margined market, times their size, over the price, are base units."""
    absolute: bool = False
    """Drop the sign of a number."""
    sign: SignRule | None = None
    """Give a number its sign by another field: sizes of positions beside `LONG` and `SHORT`."""
    each: dict[str, FieldSource] = Field(default_factory=dict)
    """Of a list: the fields of one member, by paths into it. For a side of a book `price` and
    `quantity`: by default `"0"` and `"1"`, pairs in lists."""
    first: Annotated[int, Field(ge=1)] | None = None
    """Of a list: so many of its first members are used. A book has at most 50 levels a side."""
    levels: tuple[int, int] | None = None
    """Of a side of a book whose levels stand in columns of their own: the numbers of the first and
    the last level. `{level}` in the paths of `each` stands for the number."""

    @model_validator(mode="before")
    @classmethod
    def _accept_path(cls, given: Any) -> Any:
        return {"field": given} if isinstance(given, str) else given


_RULE_NAMES = {"field", "fields", "value", "sign_of", "each"}


def _flatten(given: Any) -> Any:
    """TOML reads the key `contract.type` as a table in a table."""
    if not isinstance(given, dict):
        return given
    flat: dict[str, Any] = {}
    for name, rule in given.items():
        if isinstance(rule, dict) and rule and not _RULE_NAMES & set(rule) and "levels" not in rule:
            nested = {k: v for k, v in rule.items() if isinstance(v, dict | str)}
            if name == "contract" and len(nested) == len(rule):
                flat |= {f"{name}.{part}": inner for part, inner in nested.items()}
                continue
        flat[name] = rule
    return flat


FieldSource = Annotated[
    FieldRule, BeforeValidator(lambda given: given, json_schema_input_type=str | FieldRule)
]
FieldTable = Annotated[dict[str, FieldSource], BeforeValidator(_flatten)]
FieldRule.model_rebuild()


class CsvSettings(StrictModel):
    """How the rows of CSV files are written. A row's text is UTF-8."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """Between the cells of a row."""
    quote: Annotated[str, Field(max_length=1)] = '"'
    """Around cells that hold delimiters or line breaks; twice for one within. Empty: there is
    none."""
    columns: tuple[str, ...] = ()
    """The names of the columns, where the files (or the records of the topic) have no header."""
    skip_lines: Annotated[int, Field(ge=0, le=1_000)] = 0
    """Lines before the header, or before the first row."""


class SourceSettings(StrictModel):
    """One topic of the venue's bus, or files of one form."""

    topic: str = ""
    """Live: the topic that is read."""
    files: tuple[str, ...] = ()
    """In `import map`: patterns of the names of the files that are of this source, relative to the
    map: `"orders/*.csv.gz"`, `"s3://bucket/fills/**/*.parquet"`."""
    format: str = "json"
    """json, csv, parquet, avro, protobuf, or a venue's adapter: dydx, hyperliquid, ..."""
    kind: Annotated[
        KindRule | None,
        BeforeValidator(lambda given: given, json_schema_input_type=Kind | KindRule),
    ] = None
    """The contract's kind of all records, or by a field of the record."""
    fields: FieldTable = Field(default_factory=dict)
    """The contract's fields, and where they come from. Where a source mixes kinds, a field is that
    of every kind that has it."""
    by_kind: dict[Kind, FieldTable] = Field(default_factory=dict)
    """Fields of one kind alone, where a source mixes kinds and they differ."""
    unpack: str = ""
    """The path of a list whose members are records of their own. A member has the fields of the
    object around it too."""
    null: tuple[str, ...] = ("", "null", "nan", "none", "\\N")
    """Texts that mean absent; compared without case."""
    zone: str = "UTC"
    """The zone of ISO times that name none: UTC, +08:00, or a name such as Asia/Singapore."""
    csv: CsvSettings = CsvSettings()
    schema_file: str | dict[Annotated[str, Field(pattern=r"^[0-9]{1,10}$")], str] = ""
    """Of Avro and Protobuf where there is no registry, relative to the map: one file (`.avsc`,
    `.proto`, or a compiled set of descriptors) for records without a frame; a table of files by
    schema id for records with one: `{ 7 = "orders-v1.avsc", 9 = "orders-v2.avsc" }`."""
    message: str = ""
    """Of Protobuf with one `schema_file` of several messages: the name of the records' message."""
    start: str = "earliest"
    """Live, where nothing was read yet: earliest, latest, or an ISO time."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that the map names, in the contract's order."""
        if self.kind is None:
            return ()
        named = {self.kind.value, *self.kind.words.values()}
        return tuple(kind for kind in get_args(Kind) if kind in named)

    def rules(self, kind: Kind) -> dict[str, FieldRule]:
        """The rules of the fields of `kind`, by the contract's names; names that it does not have
        are among them where the source mixes kinds."""
        return {**self.fields, **self.by_kind.get(kind, {})}


def anchor_schema_files(tables: dict[str, Any], folder: Path) -> None:
    """Make the paths of `schema_file` in a configuration, as its TOML reads, those of files below
    `folder`, which the configuration is in."""
    sources = tables.get("source")
    for source in sources.values() if isinstance(sources, dict) else ():
        file = source.get("schema_file") if isinstance(source, dict) else None
        if isinstance(file, str) and file:
            source["schema_file"] = str(folder / file)
        elif isinstance(file, dict):
            anchored = {k: str(folder / v) if isinstance(v, str) else v for k, v in file.items()}
            source["schema_file"] = anchored
