"""Reading the tier tables given to `brinkwatch margin`, and what their rates apply to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from monitor.core.margin.calculator_input import (
    ZERO,
    Fields,
    MarginInputError,
    non_empty_list,
    number,
    shorten,
)
from monitor.core.margin.contract_types import LINEAR, Contract
from monitor.core.margin.liquidation_price import Regime
from monitor.core.margin.tiers import TierError, Tiers

CUM_TOLERANCE = Fraction(1, 50)
"""Quote currency: venues round a tier's cumulative amount to cents."""
LAWS = {"marginal": False, "whole": True}
"""Whether a tier's rate applies to the whole position, by the name of the law."""
MEASURES = {"notional": False, "quantity": True, "contracts": True}
"""Whether the bounds are numbers of contracts, by the name of what they count."""
CONTRACT_BOUNDS = ("minSz", "maxSz")
"""Bounds by contracts, as OKX names them."""
DERIBIT_RATES = {"BTC": ("0.01", "0.02", "0.00005"), "SOL": ("0.02", "0.04", "0.000005")}
"""Maintenance rate, initial rate and their rise for each base unit, by base currency.
Source: Deribit support, "Linear Perpetual"."""


def read_tiers(regime: Regime, fields: Fields, contract: Contract) -> tuple[Tiers, Fraction]:
    """A position's tier table, and how much its rate rises with each base unit."""
    size_rate = fields.fraction("size_rate", inherit=True) or ZERO
    given = fields.find("tiers", inherit=True)
    if given is not None:
        return _table(regime, fields, given, contract), size_rate
    rate = fields.fraction("maintenance_rate", inherit=True)
    if rate is not None:
        return Tiers.flat(rate), size_rate
    base = str(fields.find("symbol")).upper().replace("_", "-").partition("-")[0]
    if regime.name == "deribit" and base in DERIBIT_RATES:
        maintenance, initial, rise = (Fraction(number) for number in DERIBIT_RATES[base])
        return Tiers.from_rows([(ZERO, maintenance, initial)]), rise
    raise MarginInputError(
        f"{fields.where}: no tiers: give them at the position, the pool or the document, "
        'for a venue with one rate as {"lower_bound": 0, "maintenance_rate": r}'
    )


def _table(regime: Regime, fields: Fields, value: object, contract: Contract) -> Tiers:
    """A tier table in any of its forms: a rate, `[rate]`, one row, or a list of rows.

    A row is an object (`lower_bound`, `maintenance_rate`, and if given `initial_rate` and `cum`),
    or `[lower bound, rate]`, or that with an initial rate; `[lower bound, rate, lower bound, rate]`
    is two rows. A row of Hyperliquid may give `max_leverage` in place of the rate (half of 1/max
    leverage). Where no row has a lower bound, each begins at the `upper_bound` of the one before.
    """
    where = f"{fields.where}.tiers"
    by_leverage = regime.name == "hyperliquid"
    raw = _rows(value, where)
    rows = [_row(row, f"{where}[{i}]", by_leverage) for i, row in enumerate(raw)]
    for i in range(1, len(rows)):
        if rows[i].lower_bound is None:
            rows[i] = rows[i]._replace(lower_bound=rows[i - 1].upper_bound)
    cums = [row.cum for row in rows if row.cum is not None]
    whole = _choice(fields, "tier_law", LAWS)
    if whole is None:
        flat = len(rows) > 1 and len(cums) == len(rows) and not any(cums)
        whole = flat or (regime.whole_position and not any(cums))
    by_contracts = _by_contracts(fields, raw, contract)
    try:
        table = Tiers.from_rows(
            [(row.lower_bound or ZERO, row.rate, row.initial) for row in rows],
            rows[0].cum or ZERO,
            whole=whole,
            by_contracts=by_contracts,
        )
    except TierError as error:
        raise MarginInputError(f"{where}: {error}") from None
    for i, (row, given) in enumerate(zip(table.rows, rows, strict=True)):
        if given.cum is not None and abs(given.cum - row.deduction) > CUM_TOLERANCE:
            raise MarginInputError(
                f"{where}[{i}].cum is {float(given.cum):g}, but the bounds and rates give "
                f"{float(row.deduction):g}: mend the row or leave cum out"
            )
    return table


def _choice(fields: Fields, name: str, choices: Mapping[str, bool]) -> bool | None:
    """What the text under `name` chooses; None: not given."""
    text = fields.find(name, inherit=True)
    if text is None:
        return None
    if not isinstance(text, str) or text.lower() not in choices:
        listed = ", ".join(choices)
        raise MarginInputError(f"{fields.where}.{name}: {shorten(text)} is none of {listed}")
    return choices[text.lower()]


def _by_contracts(fields: Fields, rows: Sequence[object], contract: Contract) -> bool:
    """Whether the table's bounds are numbers of contracts."""
    by_contracts = _choice(fields, "tiers_by", MEASURES)
    if by_contracts is not None:
        return by_contracts
    named = [row for row in rows if isinstance(row, dict) and row.keys() & set(CONTRACT_BOUNDS)]
    own = fields.find("contract", inherit=True)
    sizes = own.get("size") if isinstance(own, dict) else None, fields.find("contract_size", True)
    if named and contract.type == LINEAR and sizes == (None, None):
        raise MarginInputError(
            f"{fields.where}.tiers go by contracts: give contract_size (base units a contract; 1 "
            "where the quantity is in contracts too)"
        )
    return bool(named)


def _rows(value: object, where: str) -> Sequence[object]:
    if not isinstance(value, list):
        return [value]
    rows = non_empty_list(value, where)
    if any(isinstance(row, dict | list) for row in rows) or len(rows) == 1:
        return rows
    if len(rows) % 2:
        raise MarginInputError(
            f"{where}: an odd run of bare numbers: give [lower bound, rate] pairs, from 0 upwards"
        )
    return [list(rows[i : i + 2]) for i in range(0, len(rows), 2)]


class TierInput(NamedTuple):
    """A row of a tier table as given; `cum`: its cumulative amount."""

    lower_bound: Fraction | None
    rate: Fraction
    initial: Fraction | None = None
    cum: Fraction | None = None
    upper_bound: Fraction | None = None


def _row(value: object, where: str, by_leverage: bool) -> TierInput:
    if isinstance(value, list):
        if not 2 <= len(value) <= 3:
            raise MarginInputError(f"{where}: a row is [lower bound, rate] or with initial rate")
        return TierInput(*(number(item, f"{where}[{i}]") for i, item in enumerate(value)))
    if not isinstance(value, dict):
        return TierInput(ZERO, number(value, where))
    row = Fields(where, value)
    rate, initial = row.number("maintenance_rate"), row.number("initial_rate")
    if rate is None and by_leverage:
        leverage = row.positive("max_leverage")
        if leverage is not None:
            rate, initial = 1 / (2 * leverage), initial or 1 / leverage
    if rate is None:
        raise MarginInputError(f"{where}: no maintenance_rate: give it as a fraction of notional")
    bounds = row.number("lower_bound"), row.number("upper_bound")
    return TierInput(bounds[0], rate, initial, row.number("cum"), bounds[1])
