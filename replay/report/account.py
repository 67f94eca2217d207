"""The page of one account: its four prices on a line around the mark, of each position."""

from __future__ import annotations

from html import escape
from typing import Any, NamedTuple

from monitor.core.alerts.formatting import format_iso
from monitor.page.document import STYLE, format_move, make_document

PRICES = ("warn", "liquidation", "backstop", "bankruptcy")
WIDTH, LEFT, RIGHT, ROW = 1000, 100, 380, 26
"""Of a picture, in its own units: its width, the margins for names and for numbers, a row."""
REACH_MIN, REACH_MAX = 0.02, 1.0
"""The least and the most that a picture shows on either side of the mark, a fraction of it."""
EQUITY = ("price", "realised", "unrealised", "funding", "fees", "transfers", "total")


class _Line(NamedTuple):
    """One price on its line: as it is, and with the slippage of closing into today's book."""

    name: str
    price: float | None
    stressed: float | None


def account_report(report: dict[str, Any]) -> str:
    """The page of one account. `report`: what `brinkwatch account --json` prints: `account`, `at`
    (ns), `equity` by cause, `unknown`, and `positions` with `symbol`, `mode`, `quantity`, `entry`,
    `mark` and the four `PRICES` as decimal strings (None: there is none), and the same four under
    `stressed` (None: there is no book)."""
    name = escape(report["account"])
    unknown = "".join(f"<li>{escape(line)}</li>" for line in report["unknown"])
    body = f"""<h1>Account {name}</h1>
<p class="soft">As of {format_iso(report["at"])}. Each price as it is (the dot), and with
the slippage of closing into today's book (the ring): the distance between the two is the
uncertainty.</p>
{f'<div class="warn">Not known:<ul>{unknown}</ul></div>' if unknown else ""}
{_equity_table(report["equity"])}
<h2>Positions</h2>
{"".join(map(_position, report["positions"])) or "<p>It has no open positions.</p>"}"""
    return make_document(f"Account {report['account']}", body, {}, (), (STYLE,))


def _equity_table(equity: dict[str, str | None]) -> str:
    rows = "".join(
        f"<tr><td>{cause}</td><td>{_money(equity[cause])}</td></tr>"
        for cause in EQUITY
        if cause in equity
    )
    return f"<table><caption>Equity by cause</caption><tbody>{rows}</tbody></table>"


def _position(one: dict[str, Any]) -> str:
    head = f"<h3>{escape(one['symbol'])}, {escape(one['mode'])}</h3>"
    said = f"<p>{_amount(one['quantity'])} at entry {_amount(one['entry'])}"
    mark = None if one["mark"] is None else float(one["mark"])
    stressed = one["stressed"] or {}
    lines = [_Line(name, _number(one[name]), _number(stressed.get(name))) for name in PRICES]
    if mark is None:
        return f'<section class="chart">{head}{said}; its mark is not known.</p></section>'
    return (
        f'<section class="chart">{head}{said}</p>{_picture(one["symbol"], mark, lines)}</section>'
    )


def _picture(symbol: str, mark: float, lines: list[_Line]) -> str:
    """The lines one below another around the mark, as SVG in the page's colours."""
    away = [p / mark - 1 for line in lines for p in line[1:] if p is not None]
    low = max(-REACH_MAX, min([-REACH_MIN, *(1.1 * d for d in away)]))
    high = min(REACH_MAX, max([REACH_MIN, *(1.1 * d for d in away)]))
    height = ROW * (len(lines) + 2)

    def x(distance: float) -> float:
        share = (min(high, max(low, distance)) - low) / (high - low)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    parts = [
        f'<line x1="{x(0)}" x2="{x(0)}" y1="{ROW}" y2="{height - ROW}" class="mark"/>'
        f'<text x="{x(0)}" y="{ROW - 8}" text-anchor="middle">mark {mark:,.7g}</text>'
    ]
    for n, line in enumerate(lines):
        parts += _row(line, mark, ROW * (n + 1.5), x, (low, high))
    for end in (low, high):
        parts.append(
            f'<text x="{x(end)}" y="{height - 6}" text-anchor="middle" class="soft">'
            f"{format_move(end, 1)}</text>"
        )
    said = ", ".join(f"{line.name} {_text(line.price, mark)}" for line in lines)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" class="prices" role="img" '
        f'aria-label="{escape(symbol)}: {said}">{"".join(parts)}</svg>'
    )


def _row(line: _Line, mark: float, y: float, x: Any, reach: tuple[float, float]) -> list[str]:
    """One price: its name, its place, the bar to the stressed one, and both in numbers."""
    parts = [
        f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{line.name}</text>'
        f'<line x1="{x(reach[0])}" x2="{x(reach[1])}" y1="{y}" y2="{y}" class="axis"/>'
    ]
    places = [None if price is None else x(price / mark - 1) for price in line[1:]]
    own, stressed = places
    if own is not None and stressed is not None:
        parts.append(f'<line x1="{own}" x2="{stressed}" y1="{y}" y2="{y}" class="bar"/>')
    if stressed is not None:
        parts.append(f'<circle cx="{stressed}" cy="{y}" r="5" class="ring"/>')
    if own is not None:
        parts.append(f'<circle cx="{own}" cy="{y}" r="4" class="dot"/>')
    numbers = _text(line.price, mark)
    if line.stressed is not None:
        numbers += f"; stressed {_text(line.stressed, mark)}"
    parts.append(f'<text x="{WIDTH - RIGHT + 14}" y="{y + 4}">{numbers}</text>')
    return parts


def _text(price: float | None, mark: float) -> str:
    return "none" if price is None else f"{price:,.7g} ({format_move(price / mark - 1, 1)})"


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


def _money(text: str | None) -> str:
    return "not known" if text is None else f"{float(text):,.2f}"


def _amount(text: str | None) -> str:
    return "not known" if text is None else f"{float(text):,.10g}"
