"""The table of severities, row by row.

`python -m tests.core.alerts.test_severity` writes it into its page.
"""

from __future__ import annotations

from typing import Any

import pytest

from monitor.core.alerts.harm import reasons
from monitor.core.alerts.severity import CONDITIONS, Case, SeverityCondition, find_condition, judge
from monitor.core.contract.alert import Stake, StakeShock
from monitor.core.finding import Finding
from tests.core.alerts.findings import START, finding, joint_finding, part
from tests.support import ROOT

PAGE = ROOT / "docs" / "severity.md"
BEGIN, END = "<!-- table -->\n", "<!-- end -->"
FEW, MUCH = 999_999.0, 1e6
DAILY = 1 / 86_400


def page() -> str:
    """The page with the table of the code."""
    text = PAGE.read_text("utf-8")
    rows = [f"| **{c.severity}** | {c.name} | {c.takes} | {c.example} |\n" for c in CONDITIONS]
    head = "| severity | because | what it takes | for example |\n|---|---|---|---|\n"
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return before + BEGIN + head + "".join(rows) + END + after


def condition(one: Finding, stake: Stake | None = None) -> SeverityCondition:
    return judge(Case(one, reasons(one), stake, MUCH, 86_400.0))


def name(stake: Stake | None = None, **changes: Any) -> str:
    return condition(finding(**changes), stake).name


def near(forced: float, absorbed: float | None = None) -> Stake:
    return Stake(forced, forced, 0.0, 2.0, absorbed=absorbed)


def cascade(forced: float, within_hour: bool = True) -> Stake:
    return Stake(0.0, 0.0, 0.0, 2.0, StakeShock(-0.04, 0.05, forced, 0.4, within_hour))


@pytest.mark.parametrize(
    ("forced", "book", "row"),
    [
        (MUCH, MUCH / 2, "a cascade is near"),
        (MUCH, 0.0, "a cascade is near"),
        (MUCH, 0.6 * MUCH, "a smaller cascade is near"),
        (FEW, FEW / 10, "a smaller cascade is near"),
        (FEW, FEW / 1.9, "for the record"),
    ],
)
def test_a_cascade_is_as_grave_as_what_it_forces_beside_the_book(
    forced: float, book: float, row: str
) -> None:
    shock = {"stream": "critical_fall", "detector": "critical_shock", "is_end": False}
    facts = {"shock": -0.01}
    # Its own stake does not count twice.
    stake = cascade(forced)
    assert name(stake, observed=forced, expected=book, facts=facts, **shock) == row


def test_a_wave_of_liquidations_is_critical_and_a_few_are_not() -> None:
    wave = {"stream": "liquidations", "accounts": []}
    assert name(observed=10.0, expected=2.0, **wave) == "liquidations come in a wave"
    assert name(observed=10.0, expected=0.0, **wave) == "liquidations come in a wave"
    assert name(observed=9.0, expected=0.1, **wave) == "worth a look"
    assert name(observed=10.0, expected=2.1, **wave) == "worth a look"
    assert name(observed=10.0, expected=2.0, p=2 * DAILY, **wave) == "for the record"


def test_money_that_nothing_explains_is_critical_from_much_on() -> None:
    moved = {"stream": "unexplained", "symbol": "", "expected": 1e4}
    assert name(observed=MUCH, **moved) == "money moves without a reason"
    assert name(observed=FEW, **moved) == "worth a look"


def test_a_market_without_accounts_is_critical_where_it_cannot_be_traded_for_ten_seconds() -> None:
    def row(
        spread_bps: float, observed: float, windows: int, stream: str = "depth_missing",
        usual: float = 1.0,
    ) -> str:  # fmt: skip
        spread, book = part("spread_bps", spread_bps, 1.0, 0.5), part(stream, observed, usual, 0.5)
        spread.windows, book.windows = windows, 1
        return condition(joint_finding(parts=[spread, book])).name

    critical = "the market cannot be traded"
    assert row(5.0, 5.0, windows=10) == critical
    assert row(5.0, 5.0, windows=9) == "worth a look"
    assert row(4.9, 5.0, windows=10) == "worth a look"
    assert row(5.0, 4.9, windows=10) == "worth a look"
    # The thinner side is one wall away from empty all day.
    assert row(5.0, 0.01, windows=10, stream="depth_25bps_least") == "worth a look"
    assert row(5.0, 0.2, windows=10, stream="depth_25bps") == critical
    # Best prices that step back leave the book empty on both sides.
    assert row(5.0, 2.5, windows=10, stream="step_back_bps", usual=0.0) == critical
    assert row(5.0, 2.4, windows=10, stream="step_back_bps", usual=0.0) == "worth a look"
    # A spread of five times next to nothing costs next to nothing.
    tiny = [part("spread_bps", 1.7, 0.07, 0.5), part("depth_25bps", 1.0, 9.0, 0.5)]
    assert condition(joint_finding(parts=tiny)).severity == "warning"
    # Nor is it enough that the spread is wide in one market and the book gone in another.
    apart = [part("spread_bps", 50.0, 1.0, 0.5), part("depth_25bps", 1.0, 9.0, 0.5, "ETH")]
    assert condition(joint_finding(parts=apart)).severity == "warning"


def test_a_price_that_is_refused_is_critical_once_it_lasts_where_margins_rest_on_it() -> None:
    def row(rule: str, lasts: int, stake: Stake | None) -> str:
        where = {"window": START + lasts - 1, "since": START, "stream": "marks", "detector": rule}
        return name(stake, facts={"offered": 60.0}, **where)

    critical = "margins rest on a price that cannot be trusted"
    assert row("outlying_mark", 10, near(0.0)) == critical
    assert row("outlying_index", 10, near(0.0)) == critical
    assert row("outlying_mark", 9, near(0.0)) == "data are not sound"
    assert row("outlying_mark", 10, None) == "data are not sound"
    assert row("stale_source", 10, near(0.0)) == "data are not sound"
    off = {"stream": "mark_off_market", "detector": "mark_off_market", "is_end": False}
    assert name(facts={"lasted_s": 30.0}, **off) == critical


@pytest.mark.parametrize(
    ("stake", "much"),
    [
        (near(MUCH, absorbed=0.49), True),
        (near(MUCH), True),
        (near(MUCH, absorbed=0.5), False),
        (near(FEW, absorbed=0.0), False),
        (cascade(MUCH), True),
        (cascade(FEW), False),
        (cascade(MUCH, within_hour=False), False),
        (None, False),
    ],
)
def test_where_much_is_at_stake_all_is_one_step_graver(stake: Stake | None, much: bool) -> None:
    assert condition(finding(), stake).severity == ("critical" if much else "warning")
    small = finding(observed=300.0)
    assert condition(small, stake).severity == ("warning" if much else "info")
    crossed = {"stream": "unsound_book", "detector": "unsound_book", "is_end": False}
    unsound = finding(facts={"lasted_s": 9.0}, **crossed)
    assert condition(unsound, stake).severity == ("critical" if much else "warning")


def test_a_burst_of_trades_alone_is_never_critical() -> None:
    burst = finding(stream="trades", observed=99_000.0, expected=1.0, p=1e-200, accounts=[])
    assert condition(burst).severity == "warning"


@pytest.mark.parametrize(
    ("change", "row"),
    [
        ({}, "worth a look"),
        ({"observed": 479.0}, "for the record"),
        ({"p": 1.1 * DAILY}, "for the record"),
        # Twelve minutes are no day, but nothing like it was in them.
        ({"p": 1 / 800, "seen": 754}, "worth a look"),
        ({"p": 1 / 700, "seen": 754}, "for the record"),
        ({"stream": "depth_25bps_least", "observed": 0.5, "expected": 1.0}, "worth a look"),
        ({"stream": "depth_25bps_least", "observed": 2.0, "expected": 1.0}, "for the record"),
        ({"stream": "mark_to_index_bps", "observed": -31.0, "expected": 2.0}, "worth a look"),
    ],
)
def test_a_warning_is_large_and_rare(change: dict[str, Any], row: str) -> None:
    assert name(**change) == row


@pytest.mark.parametrize(
    ("change", "row"),
    [
        ({"stream": "book_silence", "is_end": False}, "data are not sound"),
        ({"stream": "fill_silence", "is_end": False}, "for the record"),
        ({"stream": "market_silence", "facts": {"kinds": "book,fill", "is_gone": 0}},
         "data are not sound"),
        ({"stream": "market_silence", "facts": {"kinds": "fill", "is_gone": 0}}, "for the record"),
        ({"stream": "market_silence", "facts": {"kinds": "book", "is_gone": 1}}, "for the record"),
        ({"stream": "stream_out", "facts": {"stream": "cancels", "why": "x"}},
         "data are not sound"),
        ({"stream": "fill_repeats", "facts": {"repeats": 3}}, "data are not sound"),
    ],
)  # fmt: skip
def test_unsound_data_are_a_warning_and_a_quiet_market_is_none(
    change: dict[str, Any], row: str
) -> None:
    assert name(**{"symbol": "", "observed": 60.0, "expected": 20.0} | change) == row


def test_every_row_has_a_name_of_its_own_and_the_gravest_stand_first() -> None:
    assert [find_condition(one.name) for one in CONDITIONS] == list(CONDITIONS)
    ranks = [("critical", "warning", "info").index(one.severity) for one in CONDITIONS]
    assert ranks == sorted(ranks)


def test_the_page_shows_the_table() -> None:
    assert PAGE.read_text("utf-8") == page()


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
