"""The page of `brinkwatch stress --report`: where each market comes to rest, as a range over how
much of its book survives; what is forced; how the markets hang together."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from monitor.core.alerts.formatting import format_iso, format_number
from monitor.core.margin.mark_response import LATENCY_S
from monitor.page.document import COMPONENTS, GRAPHS, LINES, format_move, make_document

STRESS_ASSETS = (*LINES, *GRAPHS)
PAGE_FILES = (*COMPONENTS, Path(__file__).parent / "scripts" / "stress.js")
CHARTS = {
    "after": "Where the mark comes to rest",
    "forced": "What is forced",
    "rate": "Reproduction number",
}
"""By the element's id: the heads of a market's charts."""
SCROLL = '<div class="scroll" role="group" aria-label="{}" tabindex="0">'
"""Around a table that may be wider than the screen: the arrow keys scroll what has the focus."""


def stress_report(day: str, result: dict[str, Any], curves: dict[str, Any]) -> str:
    """The page of one stress test of `day`. `result`: what `brinkwatch stress --json` prints of it;
    `curves`: of `stress_curves`. Raises `BrinkwatchError` where `STRESS_ASSETS` are missing.
    """
    open_notional = curves["open_notional"]
    symbols = dict.fromkeys(market["symbol"] for market in result["markets"])
    largest = sorted(symbols, key=lambda name: (-open_notional[name], name))
    drawn = [market["symbol"] for market in curves["markets"]]
    body = _body(day, result, largest, drawn, open_notional)
    data = {
        "markets": _with_critical(curves["markets"], result["markets"]),
        "open_notional": open_notional,
        "edges": result["system"]["edges"],
    }
    return make_document(f"Stress of {day}", body, data, STRESS_ASSETS, PAGE_FILES)


def _with_critical(
    drawn: Sequence[dict[str, Any]], every: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The markets with curves, with the critical shocks that are beside them."""
    critical = {(one["symbol"], one["side"]): one["critical"] for one in every}
    return [
        {
            **market,
            "sides": {
                name: {**side, "critical": critical.get((market["symbol"], name), [])}
                for name, side in market["sides"].items()
            },
        }
        for market in drawn
    ]


def _body(
    day: str, result: dict[str, Any], largest: list[str], drawn: list[str],
    open_notional: dict[str, float],
) -> str:  # fmt: skip
    survives = [one["survives"] for one in result["markets"][0]["critical"]]
    shares = " to ".join(
        f"{share * 100:g} %" for share in sorted({max(survives), min(survives)})[::-1]
    )
    options = "".join(f'<option value="{escape(name)}">{escape(name)}</option>' for name in drawn)
    left_out = len(largest) - len(drawn)
    note = f" Curves: the {len(drawn)} markets of the largest open notional." if left_out else ""
    charts = "\n".join(
        f'<section class="chart"><h3>{head}</h3><line-chart id="{place}"></line-chart></section>'
        for place, head in CHARTS.items()
    )
    return f"""<div class="masthead" id="top"><h1>What a move of each mark would force</h1></div>
<p class="soft">{escape(day)}, as of {format_iso(result["at"])}. A mark that follows its book is
taken to do so for {LATENCY_S:g} s.</p>
<p>Never a stopping price: each answer is a range over how much of the book survives, here
{shares} of it.</p>
{_unknown(result["unknown"])}
<h2>Markets</h2>
{_market_table(result, largest, set(drawn), open_notional, survives)}
<h2 id="market-name">Curves</h2>
<p class="screen"><label>Market <select id="market">{options}</select></label>
<span class="soft">The arrow keys choose; in a chart they move the cursor.{note}</span></p>
<div class="charts">
{charts}
</div>
<p class="soft">Dashed: critical shocks, at which the rest jumps further away. R is how far forced
flow moves the mark for each unit that the mark moves; from 1 on it runs on by itself.</p>
<h2>All markets together</h2>
{_system(result["system"])}"""


def _unknown(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    rows = "".join(f"<li>{escape(line)}</li>" for line in lines)
    count = f"{len(lines)} things are not known" if len(lines) > 1 else "One thing is not known"
    return (
        f'<details class="warn"{" open" if len(lines) <= 6 else ""}><summary>{count}; what is '
        f"assumed in their place is said here</summary><ul>{rows}</ul></details>"
    )


def _market_table(
    result: dict[str, Any], largest: list[str], drawn: set[str],
    open_notional: dict[str, float], survives: Sequence[float],
) -> str:  # fmt: skip
    """Each market's critical shocks down and up, for each share of the book."""
    shocks = {
        (market["symbol"], market["side"], one["survives"]): one
        for market in result["markets"]
        for one in market["critical"]
    }
    marks = {market["symbol"]: market["mark"] for market in result["markets"]}
    sides = [side for side in ("down", "up") if any(m["side"] == side for m in result["markets"])]
    heads = "".join(
        f"<th>{side}, {share * 100:g} % left</th>" for side in sides for share in survives
    )
    rows = []
    for name in largest:
        label = escape(name)
        if name in drawn:
            label = f'<button type="button" data-market="{label}">{label}</button>'
        cells = "".join(
            f"<td>{_critical(shocks.get((name, side, share)))}</td>"
            for side in sides
            for share in survives
        )
        rows.append(
            f'<tr data-market="{escape(name)}"><td>{label}</td><td>{marks[name]:,.7g}</td>'
            f"<td>{format_number(open_notional[name])}</td>{cells}</tr>"
        )
    return (
        f"{SCROLL.format('Critical shocks')}<table>"
        "<caption>Critical shocks, and how much further the mark jumps there; the market of the "
        "largest open notional first</caption><thead><tr><th>market</th>"
        f"<th>mark</th><th>open notional</th>{heads}</tr></thead><tbody>{''.join(rows)}</tbody>"
        "</table></div>"
    )


def _critical(one: dict[str, Any] | None) -> str:
    if one is None or one["shock"] is None:
        return "none"
    jump = "no book" if one["jump"] is None else f"jumps {one['jump'] * 100:.1f} %"
    return f'{format_move(one["shock"])} <span class="soft">{jump}</span>'


def _system(system: dict[str, Any]) -> str:
    shocks = " and ".join(
        f"{side} none" if shock is None else f"{side} {format_move(shock)}"
        for side, shock in system["critical_factor_shock"].items()
    )
    intro = (
        f"<p>R of all markets together: <b>{system['r']:.2f}</b>. Critical shock of a common move: "
        f"{shocks}.</p>"
    )
    edges = system["edges"]
    if not edges:
        return intro + "<p>No market moves another, or itself: nobody is near being forced.</p>"
    rows = "".join(map(_edge_row, edges))
    return f"""{intro}
<p class="screen"><label>When marks go <select id="side"><option value="down">down</option>
<option value="up">up</option></select></label> <span class="soft">A market's size is its open
notional, red where it moves itself by as much as it moves; an arrow's width is k, its number the
accounts that carry it (index: outside prices that follow a book). The table has the
same.</span></p>
<market-graph class="graph" id="graph" role="img"
aria-label="Which market moves which; see the table"></market-graph>
{SCROLL.format("Which market moves which")}
<table><caption>k: how far the second market's mark moves for each unit that
the first one's moves; of R: the share of it that the edge carries; largest: the accounts that send
most</caption>
<thead><tr><th>from</th><th class="left">to</th><th class="left">move</th><th>k</th>
<th>of R</th>
<th>accounts</th><th class="left">largest</th></tr></thead><tbody>{rows}</tbody></table></div>"""


def _edge_row(edge: dict[str, Any]) -> str:
    holders = ", ".join(
        f"{holder['account']} {format_number(holder['sends'])}" for holder in edge["holders"]
    )
    return (
        f'<tr><td>{escape(edge["from"])}</td><td class="left">{escape(edge["to"])}</td>'
        f'<td class="left">{escape(edge["side"])}</td><td>{edge["k"]:.3g}</td>'
        f"<td>{edge['share_of_r'] * 100:.0f} %</td><td>{edge['accounts']:,}</td>"
        f'<td class="left">{escape(holders)}</td></tr>'
    )
