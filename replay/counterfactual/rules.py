"""The file of `replay --override`: other rules, by market or for all ("*").

    ["*"]
    leverage_max = 20

    [BTC-PERP]
    tiers = [{ lower_bound = 0, maintenance_rate = 0.01 }]
    mark_rule = "oracle"
    path = "market"
    insurance_fund = 5_000_000

The same as JSON is `{"*": {"leverage_max": 20}, …}`. What a market's own table says goes before
what "*" says.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from monitor.configuration.faults import fault_text
from monitor.configuration.origins import Origins
from monitor.core.contract.events import Multiple, Notional, Tier
from monitor.core.contract.fixed_point import SCALE
from monitor.core.margin.mark_response import MARK_RESPONSES
from monitor.core.margin.paths.table import PATHS
from monitor.core.margin.tiers import TierError, Tiers
from monitor.errors import ConfigError, nearest_name, read_text, reason_unread

EVERY_MARKET = "*"
FILE_BYTES_MAX = 16 << 20


class OverrideTier(Tier):
    """A row of another tier table."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MarketOverride(BaseModel):
    """The rules of a market that are to be others; None: as they were.

    `tiers`: its whole tier table. `leverage_max`: the highest leverage at which a position may
    stand at its entry price, 1e-8. `mark_rule`, `path`: names as in a `reference` record.
    `insurance_fund`: what it holds, 1e-6.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tiers: Annotated[tuple[OverrideTier, ...] | None, Field(max_length=64)] = None
    leverage_max: Multiple | None = None
    mark_rule: str | None = None
    path: str | None = None
    insurance_fund: Notional | None = None

    @field_validator("tiers")
    @classmethod
    def _check_tiers(cls, tiers: tuple[OverrideTier, ...] | None) -> Any:
        if tiers is not None:
            try:
                Tiers.from_reference(tiers)
            except TierError as error:
                raise ValueError(str(error)) from error
        return tiers

    @field_validator("leverage_max")
    @classmethod
    def _check_leverage(cls, leverage: int | None) -> int | None:
        if leverage is not None and leverage < SCALE:
            raise ValueError("must be at least 1: 20 means 20 times")
        return leverage

    @field_validator("mark_rule")
    @classmethod
    def _check_mark_rule(cls, name: str | None) -> str | None:
        return _check_name(name, sorted(MARK_RESPONSES))

    @field_validator("path")
    @classmethod
    def _check_path(cls, name: str | None) -> str | None:
        return _check_name(name, sorted(PATHS))


def _check_name(name: str | None, names: list[str]) -> str | None:
    if name is not None and name not in names:
        raise ValueError(f"{name!r} is none of its values; {nearest_name(name, names)}")
    return name


@dataclass(frozen=True, slots=True)
class OverrideRules:
    """Other rules by market, those for all under `EVERY_MARKET`. `given`: as the user wrote them,
    fit for JSON."""

    by_market: Mapping[str, MarketOverride]
    given: dict[str, Any]

    def of(self, symbol: str) -> MarketOverride:
        """What is to be other in a market: its own table, and what "*" says beyond it."""
        rules = self.by_market.get(EVERY_MARKET, MarketOverride())
        own = self.by_market.get(symbol, MarketOverride())
        return rules.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})

    def check_markets(self, symbols: Collection[str]) -> None:
        """Raise `ConfigError` for a market that is not among those of the day."""
        for symbol in self.by_market:
            if symbol != EVERY_MARKET and symbol not in symbols:
                mend = nearest_name(symbol, sorted(symbols)) if symbols else "it has no markets"
                raise ConfigError(
                    f'--override {symbol}: the day has no record of it; {mend} ("*" means all)'
                )


def read_rules(path: Path) -> OverrideRules:
    """Other rules from a TOML file, or a JSON one where its name ends so.

    Raises `ConfigError` that names the file, the key and the mend.
    """
    text = read_text(path, FILE_BYTES_MAX)
    as_json = path.suffix.lower() == ".json"
    try:
        if as_json:
            values = json.loads(text, parse_float=Decimal, object_pairs_hook=_unique_keys)
        else:
            values = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        form = "JSON" if as_json else "TOML (name the file .json where it is JSON)"
        raise ConfigError(f"{path} is not {form}: {reason_unread(error)}") from error
    if not isinstance(values, dict) or not values:
        raise ConfigError(f'{path} has no rules: give a table for a market, or ["*"] for all')
    markets = {name: _read_market(path, name, table) for name, table in values.items()}
    return OverrideRules(markets, json.loads(json.dumps(values, default=float)))


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} is there twice: leave one out")
    return table


def _read_market(path: Path, name: str, table: Any) -> MarketOverride:
    if not isinstance(table, dict):
        raise ConfigError(f'{path}: {name}: must be a table of rules, as ["{name}"]')
    try:
        return MarketOverride.model_validate(table)
    except ValidationError as error:
        faults = [fault_text(fault, Origins([]), MarketOverride) for fault in error.errors()]
        raise ConfigError("\n".join(f"{path}: {name}.{text}" for text in faults)) from error
