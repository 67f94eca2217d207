"""What a desk asks of a venue as it stands: stress, one account, the rules of its markets.

A question is the same on a recorded day and on a running sidecar, where it travels as the path and
the parameters of a request. It is answered with plain values, and shows tables for people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

from monitor.commands.arguments import parse_shocks, parse_survives
from monitor.console import Display
from monitor.core.bands.maker import BandMaker
from monitor.core.venue.answers.account_report import find_account, report_account, some_accounts
from monitor.core.venue.answers.stated_rules import market_names, read_stated_rules
from monitor.core.venue.answers.stress_test import StressTest
from monitor.core.venue.state import VenueState
from monitor.desk.account_tables import describe_account
from monitor.desk.rules_tables import describe_rules
from monitor.desk.stress_curves import stress_curves
from monitor.desk.stress_tables import describe_stress, stress_object
from monitor.errors import BrinkwatchError, ConfigError, UnknownNameError, nearest_name

DEFAULT_SHOCKS = (-0.01, -0.02, -0.05, -0.1, -0.2, 0.01, 0.02, 0.05, 0.1, 0.2)
SHOCKS_MAX = 50
"""Shocks, moves of all markets, and shares of the book in one question, each at most."""
DISPLAY = "display"
"""The parameter with which a sidecar adds what people are to see, under this name."""
Parameters = Mapping[str, Sequence[str]]
"""The values of each parameter, in their order."""


class Question(Protocol):
    """Something asked of a venue. `path`: its name in a request."""

    path: ClassVar[str]

    @property
    def symbols(self) -> Sequence[str]:
        """The markets that it is about; empty: all."""

    def parameters(self) -> list[tuple[str, str]]:
        """Everything asked, as parameters of a request."""

    def answer(
        self, at_ns: int, venue: VenueState, band_maker: BandMaker, display: Display
    ) -> dict[str, Any]:
        """Answer with plain values, and show tables. `at_ns`: the event time of this state.

        Raises `UnknownNameError` for a market or account that is not on record, and
        `BrinkwatchError` where there is nothing to answer from.
        """


@dataclass(frozen=True)
class StressQuestion:
    """What shocks (fractions) do to markets alone, and `factors` to all of them together, with
    these shares of the book. `refill`: the share of the depth taken that comes back in a second.
    `curves`: whether the answer has curves over many shocks too."""

    path: ClassVar[str] = "stress"
    symbols: tuple[str, ...]
    shocks: tuple[float, ...]
    factors: tuple[float, ...]
    survives: tuple[float, ...]
    refill: float = 0.0
    curves: bool = False

    @classmethod
    def from_parameters(cls, parameters: Parameters) -> Self:
        """Of a request; raises `ConfigError`."""
        (survives,) = _at_most(parameters, "depth_survives", 1) or ["1,0.3,0.1"]
        if survives.count(",") >= SHOCKS_MAX:
            raise ConfigError(f"depth_survives: {SHOCKS_MAX} shares at most")
        return cls(
            tuple(parameters.get("symbol", ())),
            tuple(parse_shocks(_at_most(parameters, "shock", SHOCKS_MAX))),
            tuple(parse_shocks(_at_most(parameters, "factor", SHOCKS_MAX))),
            tuple(parse_survives(survives)),
            _share(parameters, "refill"),
            bool(_at_most(parameters, "curves", 1)),
        )

    def parameters(self) -> list[tuple[str, str]]:
        named = (("symbol", self.symbols), ("shock", self.shocks), ("factor", self.factors))
        pairs = [(name, str(value)) for name, values in named for value in values]
        pairs += [("depth_survives", ",".join(map(str, self.survives)))]
        return [*pairs, ("refill", str(self.refill)), *([("curves", "1")] if self.curves else [])]

    def answer(
        self, at_ns: int, venue: VenueState, band_maker: BandMaker, display: Display
    ) -> dict[str, Any]:
        _check_markets(venue, self.symbols)
        shocks = self.shocks or DEFAULT_SHOCKS
        test = StressTest(venue, band_maker)
        stress = test.shock(shocks, self.survives, self.symbols, self.factors, self.refill)
        if not stress.markets:
            raise BrinkwatchError(
                "no market has open positions, a mark and a tier table at that moment: "
                "`brinkwatch rules` says what their records lack"
            )
        describe_stress(at_ns, stress, display)
        answer = stress_object(at_ns, stress)
        if self.curves:
            answer["curves"] = stress_curves(test, self.survives, self.symbols)
        return answer


@dataclass(frozen=True)
class AccountQuestion:
    """How one account stands."""

    path: ClassVar[str] = "account"
    symbols: ClassVar[tuple[str, ...]] = ()
    account: str

    @classmethod
    def from_parameters(cls, parameters: Parameters) -> Self:
        """Of a request; raises `ConfigError`."""
        accounts = _at_most(parameters, "account", 1)
        if not accounts:
            raise ConfigError("account: name one, as /account?account=NAME")
        return cls(*accounts)

    def parameters(self) -> list[tuple[str, str]]:
        return [("account", self.account)]

    def answer(
        self, at_ns: int, venue: VenueState, band_maker: BandMaker, display: Display
    ) -> dict[str, Any]:
        number = find_account(venue.ledger, self.account)
        if number is None:
            names = some_accounts(venue.ledger)
            otherwise = "the bands name the largest holders (`brinkwatch replay DAY --bands F`)"
            mend = nearest_name(self.account, names, otherwise) if names else "there is none"
            raise UnknownNameError(f"no account {self.account} is on record: {mend}")
        report = {"at": at_ns, **report_account(venue, number)}
        describe_account(report, display)
        return report


@dataclass(frozen=True)
class RulesQuestion:
    """What is said of the rules of markets, and what is not."""

    path: ClassVar[str] = "rules"
    symbols: tuple[str, ...]

    @classmethod
    def from_parameters(cls, parameters: Parameters) -> Self:
        """Of a request."""
        return cls(tuple(parameters.get("symbol", ())))

    def parameters(self) -> list[tuple[str, str]]:
        return [("symbol", symbol) for symbol in self.symbols]

    def answer(
        self, at_ns: int, venue: VenueState, band_maker: BandMaker, display: Display
    ) -> dict[str, Any]:
        names = _check_markets(venue, self.symbols)
        every = read_stated_rules(venue, sorted({*self.symbols}) or names)
        unstated = [
            {"symbol": one.symbol, "what": one.what, "says": str(one)}
            for rules in every
            for one in rules.unstated
        ]
        markets = [rules.describe() for rules in every]
        document = {"at": at_ns, "unstated": unstated, "markets": markets}
        describe_rules(document, display)
        return document


def read_question(path: str, parameters: Parameters) -> Question:
    """The question that a request asks at `path`, one of `PARAMETERS`.

    Raises `ConfigError` for parameters that it does not take.
    """
    names = PARAMETERS[path]
    for name in parameters:
        if name not in names:
            raise ConfigError(f"{path} takes no {name}: {nearest_name(name, names)}")
    return _QUESTIONS[path](parameters)


_QUESTIONS: dict[str, Callable[[Parameters], Question]] = {
    "stress": StressQuestion.from_parameters,
    "account": AccountQuestion.from_parameters,
    "rules": RulesQuestion.from_parameters,
}
PARAMETERS = {
    "stress": ("symbol", "shock", "factor", "depth_survives", "refill", "curves"),
    "account": ("account",),
    "rules": ("symbol",),
}
"""The parameters of each question, by its path."""


def _at_most(parameters: Parameters, name: str, most: int) -> list[str]:
    values = list(parameters.get(name, ()))
    if len(values) > most:
        raise ConfigError(f"{name}: {most} at most in one question; ask for the rest in another")
    return values


def _share(parameters: Parameters, name: str) -> float:
    """A number within [0, 1]; 0 where there is none."""
    (text,) = _at_most(parameters, name, 1) or ["0"]
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise ConfigError(f"{name}: {text!r} is no share; give a number from 0 to 1")
    return share


def _check_markets(venue: VenueState, symbols: Sequence[str]) -> list[str]:
    """All markets on record; raises `UnknownNameError` for one of `symbols` that is not."""
    names = market_names(venue)
    for symbol in sorted({*symbols} - {*names}):
        mend = nearest_name(symbol, names) if names else "no market is on record"
        raise UnknownNameError(f"no market {symbol} is on record: {mend}")
    return names
