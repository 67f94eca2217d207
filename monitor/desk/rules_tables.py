"""The rules of markets for people: what nobody has said first, then what is said."""

from __future__ import annotations

from typing import Any

from monitor.console import Display
from monitor.core.alerts.formatting import format_iso

NOT_SAID = "not said"


def describe_rules(document: dict[str, Any], display: Display) -> None:
    """`document`: as `RulesQuestion` answers."""
    for missing in document["unstated"]:
        display.say(missing["says"])
    markets = document["markets"]
    display.say(f"rules as of {format_iso(document['at'])}, of {len(markets):,} markets")
    display.table(
        "what the venue goes by",
        ["market", "contract", "regime", "mark rule", "a liquidation is set off by", "index from",
         "funding every", "insurance fund", "path"],
        [_market_row(market) for market in markets],
    )  # fmt: skip
    tiers = [
        [market["symbol"], f"{float(row['lower_bound']):,.10g}", _percent(row["maintenance_rate"]),
         _percent(row["initial_rate"]), market["tier_law"] or NOT_SAID]
        for market in markets
        for row in market["tiers"] or ()
    ]  # fmt: skip
    head = ["market", "from notional", "maintenance", "initial", "the rate applies to"]
    display.table("tiers", head, tiers)
    marks = {m["mark"]["rule"]: m["mark"]["formula"] for m in markets if m["mark"]["formula"]}
    for rule, formula in sorted(marks.items()):
        display.say(f"mark rule {rule}: {formula}")
    paths = {m["path"]["name"]: m["path"] for m in markets if m["path"]}
    for name, path in sorted(paths.items()):
        display.say(f"path {name}: {_describe_path(path)}")


def _market_row(market: dict[str, Any]) -> list[str]:
    regime, path, fund = market["regime"], market["path"], market["insurance_fund"]
    dated = "" if market["rule"] in (None, "one version only") else f" ({market['rule']})"
    contract = market["contract"]["type"] or NOT_SAID
    interval_s = market["funding_interval_s"]
    return [
        market["symbol"],
        contract if market["left_out"] is None else f"{contract} (no bands)",
        NOT_SAID if regime is None else regime + dated,
        market["mark"]["rule"] or NOT_SAID,
        {"index": "the index", "last": "the last price", "mark": "the mark"}.get(
            market["trigger"], NOT_SAID
        ),
        ", ".join(market["index"]["sources"]) or NOT_SAID,
        NOT_SAID if interval_s is None else f"{interval_s / 3600:g} h",
        NOT_SAID if fund is None else f"{float(fund):,.10g} of {market['insurance_fund_of']}",
        NOT_SAID if path is None else path["name"],
    ]


def _describe_path(path: dict[str, Any]) -> str:
    text = ", then ".join(path["steps"])
    share = path.get("first_share")
    if share not in (None, "1"):
        above = path["partial_above"]
        text += f"; {_percent(share)} first"
        text += "" if above is None else f" above {float(above):,.10g}"
    if path.get("cooldown_s"):
        text += f"; {path['cooldown_s']:g} s between two steps"
    if path.get("adl"):
        text += f"; ADL by {path['adl']}"
    return text


def _percent(rate: str | None) -> str:
    return NOT_SAID if rate is None else f"{float(rate) * 100:g} %"
