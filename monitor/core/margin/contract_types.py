"""What one contract is: linear, inverse or quanto, its size, and the currency that it settles in.

- Linear: profit is quantity·(exit − entry), in the quote currency.
- Inverse (coin-margined): a contract is a fixed amount of quote currency, and everything is counted
  in coin: value contracts·size/price, profit contracts·size·(1/entry − 1/exit).
- Quanto: profit is contracts·multiplier·(exit − entry), in a third currency.

`Contract.at_venue` knows the names that the venues give to coin-margined contracts, so that none of
them is computed as linear because nobody said otherwise. Sizes are the venues' own, read 2026-11:
Binance "Coin-M futures contract specifications" (BTC 100 USD, others 10), OKX "perpetual futures
specifications" (crypto-margined: BTC 100 USD, others 10), BitMEX "ETHUSD series guide" (1e-6 XBT
for each USD), Bybit, Deribit and Gate (inverse positions are counted in USD).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from monitor.core.contract import stepped
from monitor.core.contract.events import ContractTerms
from monitor.core.contract.fixed_point import SCALE

LINEAR, INVERSE, QUANTO = "linear", "inverse", "quanto"
TYPES = (LINEAR, INVERSE, QUANTO)
SETTLEMENT_UNITS = 100
"""Accounts in coin, and their bands, count in hundredths of the coin."""


@dataclass(frozen=True, slots=True)
class Contract:
    """`size`: of one contract, in base units (linear) or quote currency (inverse). `multiplier`: of
    a quanto contract, settlement currency for each unit of price. `settles_in`: None: the quote
    currency."""

    type: str = LINEAR
    size: Fraction = Fraction(1)
    multiplier: Fraction | None = None
    settles_in: str | None = None

    @property
    def units(self) -> Fraction:
        """What one contract counts for in the solver."""
        return self.size if self.multiplier is None else self.multiplier

    @property
    def quantity_units(self) -> Fraction:
        """Units of a position's quantity that one contract is to the ledger and the bands."""
        return self.units if self.type != QUANTO else self.units * SETTLEMENT_UNITS

    @classmethod
    def from_terms(cls, terms: ContractTerms, of_venue: Contract | None) -> Contract | None:
        """What a reference record says, and for what it leaves out what the venue's own name says;
        None: an inverse contract without a size, or a quanto one without a multiplier."""
        if of_venue is None or of_venue.type != terms.type:
            of_venue = cls()
        size = of_venue.size if terms.size is None else stepped.exact(terms.size)
        multiplier = of_venue.multiplier
        if terms.multiplier is not None:
            multiplier = Fraction(terms.multiplier, SCALE)
        lacks = {
            INVERSE: terms.size is None and of_venue.type != INVERSE,
            QUANTO: multiplier is None,
        }
        if lacks.get(terms.type):
            return None
        multiplier = multiplier if terms.type == QUANTO else None
        return cls(terms.type, size, multiplier, terms.settles_in or of_venue.settles_in)

    @classmethod
    def at_venue(cls, regime: str, symbol: str) -> Contract | None:
        """The contract that a venue calls `symbol`; None: the name alone does not say.

        >>> Contract.at_venue("binance", "BTCUSD_PERP").size
        Fraction(100, 1)
        >>> Contract.at_venue("bitmex", "XRPUSD") is None
        True
        """
        name = symbol.upper()
        if regime in LINEAR_ONLY or re.search("USD[TC]", name):
            return cls()
        for pattern, sizes in _INVERSE.get(regime, ()):
            if named := re.fullmatch(pattern, name):
                coin = named["coin"]
                return cls(INVERSE, Fraction(sizes.get(coin, sizes[""])), None, coin)
        multiplier = _QUANTO_MULTIPLIERS.get((regime, name))
        if multiplier is not None:
            return cls(QUANTO, Fraction(1), Fraction(multiplier), "XBT")
        return None if _COIN_MARGINED.fullmatch(name) else cls()


LINEAR_ONLY = ("hyperliquid", "dydx", "drift")
"""Venues without any other kind: their BTC-USD settles in a dollar coin."""
_COIN = r"(?P<coin>[A-Z0-9]+?)"
_MONTH = r"[FGHJKMNQUVXZ][0-9]{2}"
_DOLLAR, _BY_COIN = {"": 1}, {"": 10, "BTC": 100}
_INVERSE = {
    "binance": ((rf"{_COIN}USD_(PERP|[0-9]{{6}})", _BY_COIN),),
    "bybit": ((rf"{_COIN}USD({_MONTH})?", _DOLLAR),),
    "okx": ((rf"{_COIN}-USD-(SWAP|[0-9]{{6}})", _BY_COIN),),
    "deribit": ((rf"{_COIN}-(PERPETUAL|[0-9]{{1,2}}[A-Z]{{3}}[0-9]{{2}})", _DOLLAR),),
    "bitmex": ((rf"(?P<coin>XBT)(USD|{_MONTH})", _DOLLAR), (r"(?P<coin>ETH)USD_ETH", _DOLLAR)),
    "gate": ((rf"{_COIN}_USD", _DOLLAR),),
}
"""Names of inverse contracts by regime, and their size by coin ("": any other), quote currency."""
_QUANTO_MULTIPLIERS = {("bitmex", "ETHUSD"): "0.000001"}
_COIN_MARGINED = re.compile(
    rf"[A-Z0-9]+USD({_MONTH}|_(PERP|ETH|[0-9]{{6}}))?|[A-Z0-9]+-USD-(SWAP|[0-9]{{6}})|XBT{_MONTH}"
    r"|[A-Z0-9]+-(PERPETUAL|[0-9]{1,2}[A-Z]{3}[0-9]{2})"
)
"""What contracts in coin are called at one venue or another."""
