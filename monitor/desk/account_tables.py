"""An account for people: its equity by cause, its prices, and how they come about."""

from __future__ import annotations

from typing import Any

from monitor.console import Display
from monitor.core.alerts.formatting import format_iso
from monitor.core.venue.answers.account_report import PRICES


def describe_account(report: dict[str, Any], display: Display) -> None:
    """What is not known first, then tables; `report`: of `report_account`, with the time `at`."""
    for line in report["unknown"]:
        display.say(f"not known: {line}")
    display.say(f"account {report['account']} as of {format_iso(report['at'])}")
    equity = report["equity"]
    rows = [
        ["price", equity["price"]], ["  of closed trades", equity["realised"]],
        ["  of open positions", equity["unrealised"]], ["funding", equity["funding"]],
        ["fees paid", equity["fees"]], ["transfers", equity["transfers"]],
        ["equity", equity["total"]],
    ]  # fmt: skip
    display.table("equity by cause", ["", "amount"], [[name, _number(v)] for name, v in rows])
    positions = report["positions"]
    if not positions:
        display.say("it has no open positions")
        return
    display.table(
        "positions and their prices",
        ["market", "mode", "quantity", "entry", "mark", *PRICES, "tier"],
        [_price_row(one) for one in positions],
    )
    display.table(
        "distance from the mark (and with the slippage of closing into today's book)",
        ["market", *PRICES],
        [[one["symbol"], *(_distance(one, name) for name in PRICES)] for one in positions],
    )
    display.table(
        "liquidation price by margin mode",
        ["market", "as it is", "as isolated", "with", "as cross", "with"],
        [_mode_row(one) for one in positions],
    )
    if report["factor"] is not None:
        moves = report["factor"]
        fall, rise = (
            f"{side} {moves[side]:+,.2%}" if moves[side] is not None else f"{side} nowhere"
            for side in ("down", "up")
        )
        display.say(f"all its cross markets moved together, it is due: {fall}, {rise}")
    for one in positions:
        if one["trace"] is not None:
            display.say(_describe_trace(one))


def _price_row(one: dict[str, Any]) -> list[str]:
    prices = [_number(one[name], "none") for name in PRICES]
    tier = "" if one["tier"] is None else str(one["tier"])
    size = _number(one["quantity"]), _number(one["entry"]), _number(one["mark"])
    return [one["symbol"], one["mode"], *size, *prices, tier]


def _distance(one: dict[str, Any], name: str) -> str:
    """In percent; after it the stressed one."""
    if one["trace"] is None:
        return ""
    stressed = None if one["stressed"] is None else one["stressed"]["distance"][name]
    own, costly = (
        "none" if away is None else f"{away:+,.2%}" for away in (one["distance"][name], stressed)
    )
    return f"{own} ({'no book' if one['stressed'] is None else costly})"


def _mode_row(one: dict[str, Any]) -> list[str]:
    if one["trace"] is None:
        return [one["symbol"], *[""] * 5]
    alone, cross = one["as_isolated"], one["as_cross"]
    shared = ["", ""]
    if cross is not None:
        shared = [_number(cross["liquidation"], "none"), f"equity {_number(cross['equity'])}"]
    return [
        one["symbol"], _number(one["liquidation"], "none"), _number(alone["liquidation"], "none"),
        f"equity {_number(alone['equity'])}: {alone['equity_is']}", *shared,
    ]  # fmt: skip


def _describe_trace(one: dict[str, Any]) -> str:
    trace = one["trace"]
    binds = "; ".join(
        f"{name}: tier {at['tier']} from {_number(at['lower_bound'])}, rate "
        f"{at['maintenance_rate']}, deduction {_number(at['deduction'])}"
        for name, at in trace["binds"].items()
    )
    return (
        f"{one['symbol']}: {trace['formula']} with A0 {trace['equity']}, q {trace['quantity']}, "
        f"p0 {trace['price']}, fee {trace['fee']}, M_other {trace['other_maintenance']}; "
        f"maintenance {trace['maintenance']}; {trace['state']}; {binds or 'no tier binds'}"
    )


def _number(text: str | None, otherwise: str = "not known") -> str:
    """A decimal string as ten digits, with commas."""
    return otherwise if text is None else f"{float(text):,.10g}"
