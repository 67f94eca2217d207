"""The contract's fields as a map names them: what each is, and which of them a record must have."""

from __future__ import annotations

from functools import cache
from typing import Literal

from pydantic import BaseModel

from monitor.core.contract import events
from monitor.core.decode.batch import COLUMNS, Column, derive_column

Member = dict[str, Column]
About = Literal["market", "position", "account_rules", "insurance_fund"]

ABOUT: dict[str, type[BaseModel]] = {
    "market": events.MarketReference,
    "position": events.PositionReference,
    "account_rules": events.AccountReference,
    "insurance_fund": events.InsuranceFundReference,
}
"""What a reference may be about, and its model."""
TERMS = "contract."
"""Begins the names of the fields of a market's contract."""


def _columns(model: type[BaseModel]) -> Member:
    names = (name for name in model.model_fields if name not in ("kind", "contract"))
    return {name: derive_column(name, model) for name in names}


LISTS: dict[str, Member] = {
    "bids": {name: derive_column(name, events.Fill) for name in ("price", "quantity")},
    "sources": _columns(events.Source),
    "tiers": _columns(events.Tier),
}
"""The fields of one member, of each field that is a list."""
LISTS["asks"] = LISTS["bids"]


@cache
def contract_fields(kind: str, about: str | None = None) -> Member:
    """The fields of a kind in the order in which the contract judges them.

    `about`: of a reference, where all are about the same; else its fields are those of all, and
    only what every reference has is required.
    """
    if kind != "reference":
        return {column.name: column for column in COLUMNS[kind]}
    if about is not None:
        return _reference_columns(about)
    union: Member = {}
    each = [_reference_columns(name) for name in ABOUT]
    for column in (c for columns in each for c in columns.values()):
        required = all(column.name in c and c[column.name].required for c in each)
        values = tuple(ABOUT) if column.name == "about" else column.values
        union[column.name] = Column(
            column.name, column.type, required, column.low, column.high, values
        )
    return union


def _reference_columns(about: str) -> Member:
    columns = _columns(ABOUT[about])
    if about == "market":
        for name, column in _columns(events.ContractTerms).items():
            columns[TERMS + name] = Column(
                TERMS + name, column.type, False, column.low, column.high, column.values
            )
    return columns
