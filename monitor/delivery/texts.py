"""What people read of an alert: its description, and the same without the names of accounts."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse

from monitor.core.alerts import formatting as fmt
from monitor.core.contract.alert import Alert, Stake
from monitor.delivery.incidents import Notice
from monitor.delivery.settings import ReceiverSettings

SOURCE = "brinkwatch"
SYMBOLS_SHOWN = 5


def market_names(alert: Alert) -> str:
    """The markets of an alert; empty: it is about the venue."""
    shown = ", ".join(alert.symbols[:SYMBOLS_SHOWN])
    more = len(alert.symbols) - SYMBOLS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def stake_text(stake: Stake | None) -> str:
    """What would be forced, in one sentence; empty where nothing is known."""
    if stake is None:
        return ""
    sentence = (
        f"{fmt.format_amount(stake.forced_notional)} would be forced within "
        f"{fmt.format_number(stake.within_pct)} % of the mark"
    )
    if stake.absorbed is not None:
        sentence += f", of which the last book takes {fmt.format_percent(stake.absorbed)}"
    return sentence


def describe(alert: Alert) -> str:
    """Why it is as grave as it is, what is at stake, what to look at, and how to see it again."""
    lines = [f"{alert.severity} because: {alert.because}"] if alert.because else []
    if stake := stake_text(alert.at_stake):
        lines.append(f"At stake: {stake}.")
    if alert.look_at:
        lines.append(f"Look at: {'; '.join(alert.look_at)}.")
    lines.append(f"More: brinkwatch show {alert.incident}")
    return "\n".join(lines)


def without_accounts(alert: Alert) -> Alert:
    """The alert without its list of accounts, and with `(account)` for each of them in texts."""
    names = {carrier.account for carrier in alert.accounts}
    names |= {fmt.short_name(name) for name in names}
    if not names:
        return alert
    longest_first = sorted(names, key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")

    def hide(text: str) -> str:
        return pattern.sub("(account)", text)

    triage = alert.triage and tuple(
        dataclasses.replace(step, says=hide(step.says)) for step in alert.triage
    )
    return dataclasses.replace(
        alert, accounts=(), summary=hide(alert.summary), triage=triage,
        look_at=tuple(map(hide, alert.look_at)),
    )  # fmt: skip


def links(settings: ReceiverSettings, notice: Notice) -> dict[str, str]:
    """Addresses by what is there, `runbook` and `dashboard`, as far as they are configured. They
    are of the incident's first alert. One that asks for a market leaves out what has none."""
    opening = notice.opening
    templates = {"runbook": settings.runbook_url, "dashboard": settings.dashboard_url}
    symbol = urllib.parse.quote(opening.symbols[0], safe="") if opening.symbols else ""
    return {
        name: template.replace("{kind}", opening.kind).replace("{symbol}", symbol)
        for name, template in templates.items()
        if template and (symbol or "{symbol}" not in template)
    }
