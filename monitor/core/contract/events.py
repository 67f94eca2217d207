"""The contract: what comes in.

These pydantic models are the one source of every field's name, meaning, unit and bound. The JSON
Schema, the AsyncAPI document, the scanner's table (`monitor/core/decode/codec.py`) and the
recorded day's columns (`monitor/core/decode/batch.py`) are derived from them. The models judge
every record that the scanner cannot decide.

Every number is an integer on a grid: prices and quantities as stepped decimals (`stepped.py`),
rates and leverage in 1e-8, money in 1e-6, time in nanoseconds. Digits beyond the grid are rounded
half to even, from the text.
"""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any, Literal, Union

import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from monitor.core.contract import fixed_point, stepped
from monitor.core.contract.fixed_point import SCALE, NumberText
from monitor.core.contract.json_forms import (
    MONEY_GRID,
    PRICE_GRID,
    QUANTITY_GRID,
    RATE_GRID,
    number_schema,
    text_schema,
)

VERSION = 2
"""Version of the contract. It rises when older recorded days can no longer be read."""

TS_MIN = 946_684_800_000_000_000
"""2000-01-01 UTC in ns: an earlier time is in a wrong unit (ms or µs)."""
TS_MAX = 4_102_444_800_000_000_000
"""2100-01-01 UTC in ns."""
RECORD_BYTES_MAX = 1 << 20
"""A longer record is refused unread; Kafka's own default limit."""
NOTIONAL_MAX = 10**12
"""A record of more notional (price × quantity, quote currency) is refused: sums stay in 64 bits."""
LEVELS_MAX = 50
TEXT_MAX = 128


def _read_integer(value: Any) -> int:
    """JSON integers only: no decimal point, no exponent, no string."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, NumberText) or not re.fullmatch(r"-?(0|[1-9][0-9]*)", value, re.ASCII):
        raise PydanticCustomError("wrong_type", "not a JSON integer")
    if len(value) > 20:
        raise PydanticCustomError("out_of_range", "beyond 64 bits")
    return int(value)


def _reject_number(value: Any) -> Any:
    if isinstance(value, NumberText):
        raise PydanticCustomError("wrong_type", "a number where text belongs")
    return value


def _number_text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise PydanticCustomError("wrong_type", "not a number or a decimal string")
    return str(value)


def _fixed_point(scale: int) -> tuple[BeforeValidator, pydantic.PlainSerializer]:
    """How a number on the grid is read, and how it is written."""

    def read(value: Any) -> int:
        return fixed_point.quantise(_number_text(value), scale)

    def write(units: int) -> str:
        return fixed_point.format_decimal(units, scale)

    return BeforeValidator(read), pydantic.PlainSerializer(write, when_used="json")


def _read_price(value: Any) -> int:
    return stepped.quantise(_number_text(value))


def _read_quantity(value: Any) -> int:
    return stepped.quantise(_number_text(value), stepped.PLAIN)


_E8, _E6 = _fixed_point(SCALE), _fixed_point(fixed_point.MONEY_SCALE)
_AS_TEXT = pydantic.PlainSerializer(stepped.format_code, when_used="json")
_PRICE = BeforeValidator(_read_price), _AS_TEXT
_QUANTITY = BeforeValidator(_read_quantity), _AS_TEXT

Price = Annotated[
    int,
    *_PRICE,
    Field(gt=0),
    number_schema("quote currency a unit, > 0", PRICE_GRID, "positive"),
]
Quantity = Annotated[
    int, *_QUANTITY, Field(gt=0), number_schema("base units, > 0", QUANTITY_GRID, "positive")
]
QuantityOrZero = Annotated[
    int, *_QUANTITY, Field(ge=0), number_schema("base units, >= 0", QUANTITY_GRID, "not negative")
]
SignedQuantity = Annotated[
    int, *_QUANTITY, number_schema("base units, long > 0, short < 0", QUANTITY_GRID)
]
Rate = Annotated[int, *_E8, number_schema("a fraction (0.0001 = 1 bp)", RATE_GRID)]
Share = Annotated[
    int,
    *_E8,
    Field(ge=0, le=SCALE),
    number_schema("a fraction between 0 and 1", RATE_GRID, "share"),
]
Multiple = Annotated[int, *_E8, Field(gt=0), number_schema("times, > 0", RATE_GRID, "positive")]
Notional = Annotated[
    int, *_E6, Field(ge=0), number_schema("quote currency, >= 0", MONEY_GRID, "not negative")
]
Money = Annotated[int, *_E6, number_schema("quote currency, signed", MONEY_GRID)]
# A bound stands before what reads the text, or pydantic writes it under a name of its own ("ge")
# that validators of JSON Schema ignore.
Time = Annotated[
    int,
    Field(ge=TS_MIN, lt=TS_MAX, description="event time, ns since 1970-01-01 UTC"),
    BeforeValidator(_read_integer),
]
Count = Annotated[int, Field(ge=0, le=fixed_point.INT64_MAX), BeforeValidator(_read_integer)]
Flag = Annotated[bool, Field(strict=True), BeforeValidator(_reject_number)]

# No white space, no control, format (bidi), private or unassigned character, no surrogate.
_TEXT = r"^[^\s\p{C}]+$"


def _check_printable(text: str) -> str:
    if not text.isprintable():
        raise PydanticCustomError("bad_text", "a character that cannot be shown")
    return text


_Text = Annotated[
    str,
    BeforeValidator(_reject_number),
    pydantic.StringConstraints(strict=True, min_length=1, max_length=TEXT_MAX, pattern=_TEXT),
    pydantic.AfterValidator(_check_printable),
    text_schema(TEXT_MAX),
]
Symbol = Annotated[_Text, Field(description="the market, in the venue's own name")]
Account = Annotated[_Text, Field(description="the account (with its sub-account), never a label")]
Key = Annotated[_Text, Field(description="an identifier in the venue's own form")]

Side = Literal["buy", "sell"]
MarginMode = Literal["cross", "isolated"]
Action = Literal["new", "replace"]
CancelReason = Literal["user", "expired", "self_trade", "post_only", "liquidation", "venue"]
Liquidity = Literal["maker", "taker"]
FillCause = Literal["trade", "liquidation", "backstop", "adl"]
ContractType = Literal["linear", "inverse", "quanto"]
TierMeasure = Literal["notional", "contracts"]
CollateralCause = Literal[
    "deposit", "withdrawal", "isolated_in", "isolated_out", "funding", "rebate", "adjustment"
]


class Event(BaseModel):
    """What every record has."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    ts: Time
    seq: Annotated[
        Count | None, Field(description="the venue's own sequence number in this feed, if it has")
    ] = None


class MarketEvent(Event):
    symbol: Symbol


class SizedEvent(MarketEvent):
    @model_validator(mode="after")
    def _check_notional(self) -> SizedEvent:
        price, quantity = getattr(self, "price", None), getattr(self, "quantity", None)
        if price and quantity and stepped.exact(price) * stepped.exact(quantity) > NOTIONAL_MAX:
            raise PydanticCustomError("out_of_range", "price × quantity is over 1e12")
        return self


class Order(SizedEvent):
    """An order entered the book, or replaced one that was there."""

    kind: Literal["order"] = "order"
    order_id: Key | None = None
    account: Account | None = None
    side: Side
    price: Annotated[Price | None, Field(description="limit price; absent: a market order")] = None
    quantity: Quantity
    action: Action
    replaces: Annotated[Key | None, Field(description="the order id that this one replaces")] = None
    reduce_only: Flag | None = None


class Cancel(SizedEvent):
    """An order left the book without being filled."""

    kind: Literal["cancel"] = "cancel"
    order_id: Key | None = None
    account: Account | None = None
    side: Side | None = None
    price: Price | None = None
    quantity: Annotated[QuantityOrZero | None, Field(description="what was left unfilled")] = None
    placed_ts: Annotated[Time | None, Field(description="when it was placed, ns")] = None
    reason: CancelReason | None = None


class Fill(SizedEvent):
    """One side of a trade; a public trade is one taker record."""

    kind: Literal["fill"] = "fill"
    trade_id: Key | None = None
    order_id: Key | None = None
    account: Account | None = None
    side: Side
    price: Price
    quantity: Quantity
    fee: Annotated[Money | None, Field(description="paid by the account; < 0: a rebate")] = None
    liquidity: Liquidity | None = None
    cause: FillCause | None = None


class Leverage(MarketEvent):
    """An account set its leverage or its margin mode in a market."""

    kind: Literal["leverage"] = "leverage"
    account: Account
    leverage: Multiple
    previous: Multiple | None = None
    margin_mode: MarginMode


Level = tuple[Price, Quantity]


def _merge_levels(levels: list[Level]) -> list[Level]:
    """Add up neighbours at one price: the grid may be coarser than a venue's tick."""
    merged: list[Level] = []
    for price, quantity in levels:
        if merged and merged[-1][0] == price:
            merged[-1] = price, stepped.add(merged[-1][1], quantity)
        else:
            merged.append((price, quantity))
    return merged


BookSide = Annotated[
    list[Level], Field(max_length=LEVELS_MAX), pydantic.AfterValidator(_merge_levels)
]


class Book(MarketEvent):
    """A snapshot of the resting book, best first, up to 50 levels a side."""

    kind: Literal["book"] = "book"
    bids: BookSide
    asks: BookSide

    @model_validator(mode="after")
    def _check_best_first(self) -> Book:
        falls = all(better[0] > worse[0] for better, worse in pairwise(self.bids))
        if not (falls and all(better[0] < worse[0] for better, worse in pairwise(self.asks))):
            raise PydanticCustomError("book_order", "levels are not best first")
        return self


class Source(BaseModel):
    """One venue's price in an index."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: Key
    price: Price
    ts: Time


class Mark(MarketEvent):
    """Mark, index, funding and open interest, as far as the venue publishes them."""

    kind: Literal["mark"] = "mark"
    mark: Price | None = None
    index: Price | None = None
    last: Price | None = None
    funding_rate: Annotated[Rate | None, Field(description="for one funding interval")] = None
    funding_interval_s: Annotated[Count | None, Field(description="seconds")] = None
    open_interest: Annotated[QuantityOrZero | None, Field(description="base units")] = None
    sources: Annotated[list[Source] | None, Field(max_length=64)] = None


class Collateral(Event):
    """Money moved into, out of, or inside an account."""

    kind: Literal["collateral"] = "collateral"
    account: Account
    amount: Annotated[Money, Field(description="signed: > 0 raises the account's collateral")]
    cause: CollateralCause
    symbol: Annotated[
        Symbol | None,
        Field(
            description="for isolated moves and funding; for all others a market that settles in "
            "the money's currency, absent: the quote currency"
        ),
    ] = None


class Tier(BaseModel):
    """One row of a margin tier table: it applies from `lower_bound` of notional upwards."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    lower_bound: Notional
    maintenance_rate: Share
    initial_rate: Share | None = None


class ContractTerms(BaseModel):
    """What one contract of a market is. Quantities of records are base units all the same."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    type: ContractType
    size: Annotated[
        Quantity | None, Field(description="of a contract: base units; inverse: quote currency")
    ] = None
    multiplier: Annotated[
        Multiple | None, Field(description="quanto: settlement currency for each unit of price")
    ] = None
    settles_in: Annotated[Key | None, Field(description="absent: the quote currency")] = None


class _Reference(MarketEvent):
    kind: Literal["reference"] = "reference"


class MarketReference(_Reference):
    """A market's rules of the day."""

    about: Literal["market"]
    tick: Price | None = None
    lot: Quantity | None = None
    regime: Key | None = None
    tiers: Annotated[list[Tier] | None, Field(max_length=64)] = None
    tiers_by: Annotated[
        TierMeasure | None,
        Field(
            description="what `lower_bound` counts; absent: notional in the settlement currency. "
            "contracts: the rate of a position's tier holds for all of it"
        ),
    ] = None
    mark_rule: Key | None = None
    path: Key | None = None
    contract: ContractTerms | None = None
    isolated_only: Annotated[
        Flag | None, Field(description="every position here has a margin of its own")
    ] = None


class PositionReference(_Reference):
    """A position that was there before the record began.

    One of quantity 0 adds nothing: it says what the venue shows of a position by now.
    """

    about: Literal["position"]
    account: Account
    quantity: SignedQuantity
    entry_price: Price
    margin_mode: MarginMode
    leverage: Multiple | None = None
    isolated_margin: Money | None = None
    max_leverage: Annotated[
        Multiple | None, Field(description="the venue's limit for this position, as it shows it")
    ] = None
    liquidation_price: Annotated[Price | None, Field(description="as the venue shows it")] = None
    mark: Annotated[
        Price | None,
        Field(description="at that moment; with it, no liquidation price says that there is none"),
    ] = None


class AccountReference(Event):
    """Rules of an account of its own, such as a vault of the venue."""

    kind: Literal["reference"] = "reference"
    about: Literal["account_rules"]
    account: Account
    maintenance_rate: Annotated[
        Share, Field(gt=0, description="of the notional of all its positions")
    ]


class InsuranceFundReference(Event):
    """The size of the insurance fund (of one market, where it has its own)."""

    kind: Literal["reference"] = "reference"
    about: Literal["insurance_fund"]
    symbol: Symbol | None = None
    amount: Money


Reference = Annotated[
    Union[  # noqa: UP007
        MarketReference, PositionReference, AccountReference, InsuranceFundReference
    ],
    Field(discriminator="about"),
]


class Gap(BaseModel):
    """Records are missing before a control record's offset.

    They are those from `missing_from` on. Where the topic was made anew (`is_new_log`), its records
    take the offsets behind the last one read. `log_offset`: Kafka's own offset of the record where
    reading goes on.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    missing_from: Count
    log_offset: Count
    is_new_log: bool


class Control(BaseModel):
    """A record that time has passed: from `offset` on, nothing before `ts` counts in that topic
    partition. It lets the watermark advance where no records come.

    With `gap` it says as well that the log goes on there after records that are missing.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    kind: Literal["control"] = "control"
    topic: Key
    partition: Count
    offset: Count
    ts: Time
    gap: Gap | None = None


KINDS: dict[str, Any] = {
    "order": Order, "cancel": Cancel, "fill": Fill, "leverage": Leverage, "book": Book,
    "mark": Mark, "collateral": Collateral, "reference": Reference,
}  # fmt: skip
"""The eight kinds, in the order in which output lists them."""

TOPICS: dict[str, str] = {
    "order": "orders", "cancel": "cancels", "fill": "fills", "leverage": "leverage",
    "book": "books", "mark": "marks", "collateral": "collateral", "reference": "reference",
}  # fmt: skip
"""The topic of each kind, by default."""

CONTROL_TOPIC = "brinkwatch.control"
